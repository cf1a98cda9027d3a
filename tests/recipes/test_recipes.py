from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from minigan.errors import ArgumentError
from minigan.nn import (
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Dropout,
    Flatten,
    LeakyReLU,
    Maxout,
    ReLU,
    Reshape,
    Sigmoid,
    SpectralNorm,
    Tanh,
    Upsample2d,
    UpsampleConv2d,
)
from minigan.recipes import DEFAULT, RECIPES


def networks(name):
    return RECIPES[name].networks(np.random.default_rng(0))


def described(network):
    return [repr(layer) for layer in network.layers]


@pytest.mark.parametrize(
    ("name", "g_parameters", "d_parameters"),
    [
        ("flux-mlp", 1_486_352, 1_460_225),
        ("pytorch-mlp", 283_920, 267_009),
        ("flux-dcgan", 2_231_168, 138_561),
        ("keras-upconv", 1_434_753, 386_049),
        ("renom-maxout", 2_508_984, 1_231_441),
    ],
)
def test_parameter_counts_are_those_of_the_texts(name, g_parameters, d_parameters):
    G, D = networks(name)
    assert (G.params.size, D.params.size) == (g_parameters, d_parameters)


#: What each text states, beside the sizes of its layers.
NUMBERS = {
    "flux-mlp": {
        "epochs": 1000, "batch_size": 128, "latent_dim": 100, "lr_g": 2e-4, "lr_d": 2e-4, "beta1": 0.9, "beta2": 0.999,
        "eps": 1e-8, "dropout": 0.3, "d_batching": "concat", "d_output": "probability", "labels": (1, 0),
        "latents": "normal", "drop_last": False, "images": 60_000, "update": "alternating", "shared_fakes": False,
    },
    "pytorch-mlp": {
        "epochs": 20, "batch_size": 100, "latent_dim": 64, "lr_g": 2e-4, "lr_d": 2e-4, "beta1": 0.9, "beta2": 0.999,
        "eps": 1e-8, "dropout": 0, "d_batching": "separate", "d_output": "probability", "labels": (1, 0),
        "latents": "normal", "log_every": 200, "update": "alternating", "shared_fakes": False,
    },
    "flux-dcgan": {
        "epochs": 25, "batch_size": 128, "latent_dim": 100, "lr_g": 2e-4, "lr_d": 2e-4, "beta1": 0.9, "beta2": 0.999,
        "eps": 1e-8, "dropout": 0.3, "d_batching": "separate", "d_output": "logit", "labels": (1, 0),
        "latents": "normal", "drop_last": False, "shared_fakes": True, "d_fakes": "full", "init_std": 0.02,
    },
    "keras-upconv": {
        "epochs": 200, "epoch_steps": 20, "batch_size": 32, "latent_dim": 64, "lr_g": 1e-4, "lr_d": 1e-4, "beta1": 0.5,
        "beta2": 0.9, "eps": 1e-7, "dropout": 0, "d_batching": "separate", "d_output": "probability", "labels": (0, 1),
        "latents": "normal", "pad": 2, "images": 70_000, "test_images": True, "d_steps": 1, "shared_fakes": False,
    },
    "renom-maxout": {
        "epochs": 30, "batch_size": 256, "latent_dim": 100, "lr_g": 1e-3, "lr_d": 1e-3, "beta1": 0.5, "beta2": 0.999,
        "eps": 1e-8, "dropout": 0.5, "d_batching": "separate", "d_output": "logit", "labels": (1, 0),
        "latents": "uniform", "drop_last": True, "images": 50_000, "test_images": True, "random_split": True,
        "update": "simultaneous", "g_loss": "non_saturating", "init_g": 0.05, "init_d": 0.005, "pieces": 5,
        "value_range": (0, 1),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_of_a_recipe_is_its_texts(name):
    assert {field: getattr(RECIPES[name], field) for field in NUMBERS[name]} == NUMBERS[name]


def test_a_variant_differs_from_its_system_in_one_number():
    def changed(variant, system):
        mine, its = vars(RECIPES[variant]), vars(RECIPES[system])
        return {field: (its[field], value) for field, value in mine.items() if its[field] != value}

    assert changed("flux-dcgan-half", "flux-dcgan") == {"beta1": (0.9, 0.5)}
    assert changed("pytorch-mlp-mended", "pytorch-mlp") == {"dropout": (0.0, 0.3)}


def test_renoms_gammas_start_from_one_or_from_glorots_normal():
    ones, glorot = (
        replace(RECIPES["renom-maxout"], init_gamma=start).networks(np.random.default_rng(0))[0].layers
        for start in ("ones", "glorot")
    )
    assert all((layer.gamma == 1).all() for layer in ones if isinstance(layer, BatchNorm))
    assert [layer.gamma.std() for layer in glorot if isinstance(layer, BatchNorm)] == pytest.approx(
        [(2 / 101) ** 0.5, (2 / 1201) ** 0.5, (2 / 1201) ** 0.5], rel=0.15
    )


def test_flux_dcgan_is_s2_layer_by_layer():
    G, D = networks("flux-dcgan")
    norm, leaky, drop = BatchNorm(decay=0.9, eps=1e-5), LeakyReLU(slope=0.2), Dropout(drop=0.3)
    up = [
        ConvTranspose2d(128, 5, stride=1, pad=2, bias=False), norm, ReLU(),
        ConvTranspose2d(64, 4, stride=2, pad=1, bias=False), norm, ReLU(),
        ConvTranspose2d(1, 4, stride=2, pad=1, bias=False), Tanh(),
    ]  # fmt: skip
    assert described(G) == list(map(repr, [Dense(12544, bias=False), norm, ReLU(), Reshape(7, 7, 256), *up]))
    down = [layer for K in (64, 128) for layer in (Conv2d(K, 4, stride=2, pad=1), leaky, drop)]
    assert described(D) == list(map(repr, [*down, Flatten(), Dense(1)]))
    assert G(np.ones((3, 100), np.float32)).shape == (3, 28, 28, 1)  # the text's own tests of the shapes
    assert D(np.ones((3, 28, 28, 1), np.float32)).shape == (3, 1)
    for layer in (*G.layers, *D.layers):
        if isinstance(layer, (Conv2d, ConvTranspose2d)):
            assert layer.W.std() == pytest.approx(0.02, rel=0.1)
            assert not layer.bias or (layer.b == 0).all()


def test_keras_upconv_is_s3_layer_by_layer():
    G, D = networks("keras-upconv")
    norm, leaky = BatchNorm(decay=0.8, eps=1e-3), LeakyReLU(slope=0.2)
    up = [layer for K in (128, 64) for layer in (UpsampleConv2d(K, 3, scale=2), norm, leaky)]
    expected = [Dense(16384), leaky, Reshape(8, 8, 256), *up, Conv2d(1, 3, pad="same"), Tanh()]
    assert described(G) == list(map(repr, expected))
    down = [layer for K, s in ((64, 1), (128, 2), (256, 2)) for layer in (Conv2d(K, 3, stride=s, pad="same"), leaky)]
    assert described(D) == list(map(repr, [*down, Flatten(), Dense(1), Sigmoid()]))
    assert (G.out_shape, D.in_shape) == ((32, 32, 1), (32, 32, 1))


def test_keras_upconv_draws_the_same_images_with_upsampling_and_convolution_apart():
    recipe = RECIPES["keras-upconv"].smoke()
    merged, apart = (
        replace(recipe, merged=value).networks(np.random.default_rng(0), dtype=np.float64)[0] for value in (True, False)
    )
    assert any(isinstance(layer, Upsample2d) for layer in apart.layers)
    np.testing.assert_array_equal(apart.params, merged.params)
    z = np.random.default_rng(1).standard_normal((3, recipe.latent_dim))
    np.testing.assert_allclose(apart(z), merged(z), rtol=1e-12, atol=1e-13)


def test_renom_maxout_is_s4_layer_by_layer():
    G, D = networks("renom-maxout")
    norm = BatchNorm(decay=0.01, eps=1e-5)
    hidden = [layer for _ in range(2) for layer in (Dense(1200), ReLU(), norm)]
    assert described(G) == list(map(repr, [norm, *hidden, Dense(784), Sigmoid()]))
    hidden = [layer for _ in range(2) for layer in (Dense(1200), Maxout(5), Dropout(drop=0.5))]
    assert described(D) == list(map(repr, [*hidden, Dense(1)]))
    for net, limit in ((G, 0.05), (D, 0.005)):
        for layer in (layer for layer in net.layers if isinstance(layer, Dense)):
            assert limit * 0.95 < abs(layer.W).max() <= limit
            assert (layer.b == 0).all()


def test_images_lose_their_padding_before_they_are_shown():
    recipe = RECIPES["keras-upconv"]
    x = np.pad(np.ones((3, 28, 28, 1)), ((0, 0), (2, 2), (2, 2), (0, 0)))
    np.testing.assert_array_equal(recipe.as_images(x), np.ones((3, 28, 28)))
    assert RECIPES["flux-mlp"].as_images(np.zeros((5, 784))).shape == (5, 28, 28)


@pytest.mark.parametrize(
    ("name", "widths", "match"),
    [("flux-dcgan", (8, 4), "three hidden layers"), ("keras-upconv", (8,) * 7, "1 to 6, got")],
)
def test_a_convolutional_generator_of_another_depth_is_refused(name, widths, match):
    with pytest.raises(ArgumentError, match=match):
        replace(RECIPES[name], g_hidden=widths)


def test_flux_mlp_is_s0_layer_by_layer():
    G, D = networks("flux-mlp")
    leaky, drop = LeakyReLU(slope=0.2), Dropout(drop=0.3)
    expected_G = [Dense(256), leaky, Dense(512), leaky, Dense(1024), leaky, Dense(784), Tanh()]
    expected_D = [Dense(1024), leaky, drop, Dense(512), leaky, drop, Dense(256), leaky, drop, Dense(1), Sigmoid()]
    assert described(G) == [repr(layer) for layer in expected_G]
    assert described(D) == [repr(layer) for layer in expected_D]
    recipe = RECIPES["flux-mlp"]
    assert (recipe.epochs, recipe.batch_size, recipe.latent_dim) == (1000, 128, 100)
    assert (recipe.lr_g, recipe.lr_d, recipe.beta1, recipe.beta2) == (2e-4, 2e-4, 0.9, 0.999)
    assert (recipe.d_batching, recipe.labels, recipe.latents, recipe.drop_last) == ("concat", (1, 0), "normal", False)


def test_quick_mlp_normalises_gs_features_and_drops_ds():
    G, D = networks("quick-mlp")
    leaky, drop = LeakyReLU(slope=0.2), Dropout(drop=0.3)
    hidden = [layer for width in (256, 512) for layer in (Dense(width, bias=False), BatchNorm(), leaky)]
    assert described(G) == [repr(layer) for layer in [*hidden, Dense(784), Tanh()]]
    assert not any(layer.bias for layer in G.layers[:-2] if isinstance(layer, Dense))  # BatchNorm's β is the bias
    hidden = [layer for width in (512, 256) for layer in (Dense(width), leaky, drop)]
    assert described(D) == [repr(layer) for layer in [*hidden, Dense(1), Sigmoid()]]


def test_best_is_the_default_and_normalises_gs_features_and_ds_weights():
    G, D = networks("best")
    recipe = RECIPES["best"]
    hidden = [layer for width in recipe.g_hidden for layer in (Dense(width, bias=False), BatchNorm(), ReLU())]
    assert described(G) == [repr(layer) for layer in [*hidden, Dense(784), Tanh()]]
    assert not any(layer.bias for layer in G.layers[:-2] if isinstance(layer, Dense))  # BatchNorm's β is the bias
    hidden = [layer for width in recipe.d_hidden for layer in (SpectralNorm(Dense(width)), LeakyReLU(slope=0.2))]
    assert described(D) == [repr(layer) for layer in [*hidden, SpectralNorm(Dense(1))]]  # a logit
    assert (recipe.loss_kind, recipe.d_output) == ("bce", "logit")
    assert DEFAULT == "best"


def test_pytorch_mlp_is_s1_layer_by_layer():
    G, D = networks("pytorch-mlp")
    leaky = LeakyReLU(slope=0.2)
    expected_G = [Dense(256), ReLU(), Dense(256), ReLU(), Dense(784), Tanh()]
    assert described(G) == [repr(layer) for layer in expected_G]
    assert described(D) == [repr(layer) for layer in [Dense(256), leaky, Dense(256), leaky, Dense(1), Sigmoid()]]
    recipe = RECIPES["pytorch-mlp"]
    assert (recipe.epochs, recipe.batch_size, recipe.latent_dim, recipe.log_every) == (20, 100, 64, 200)
    assert (recipe.lr_g, recipe.lr_d, recipe.beta1, recipe.beta2) == (2e-4, 2e-4, 0.9, 0.999)
    assert recipe.d_batching == "separate"


@pytest.mark.parametrize("name", ["quick-mlp", "flux-mlp", "pytorch-mlp"])
def test_weights_start_as_pytorchs_or_as_fluxs(name):
    torch, flux = (replace(RECIPES[name], init=init).networks(np.random.default_rng(0)) for init in ("torch", "glorot"))
    assert RECIPES[name].init == "torch"
    for layer in (n for net in torch for n in net.layers if isinstance(n, Dense)):
        limit = 1 / np.sqrt(len(layer.W))  # PyTorch's Linear, weights and bias
        assert limit * 0.95 < abs(layer.W).max() <= limit
        assert not layer.bias or 0 < abs(layer.b).max() <= limit
    for layer in (n for net in flux for n in net.layers if isinstance(n, Dense)):
        limit = np.sqrt(6 / sum(layer.W.shape))
        assert limit * 0.95 < abs(layer.W).max() <= limit
        assert not layer.bias or (layer.b == 0).all()


@pytest.mark.parametrize("name", RECIPES)
def test_smoke_is_the_same_system_but_small(name):
    recipe = RECIPES[name]
    smoke = recipe.smoke()
    G, D = smoke.networks(np.random.default_rng(0))
    assert [type(layer) for layer in G.layers] == [type(layer) for layer in networks(name)[0].layers]
    assert [type(layer) for layer in D.layers] == [type(layer) for layer in networks(name)[1].layers]
    assert (G.in_shape, D.out_shape) == ((8,), (1,))
    assert G.params.size + D.params.size < 100_000
    assert np.prod(G.out_shape) == np.prod(D.in_shape) == recipe.pixels
    assert smoke.loss == recipe.loss
    assert smoke.epochs == 1


def test_a_logit_discriminator_has_no_sigmoid():
    recipe = replace(RECIPES["flux-mlp"], d_output="logit")
    _, D = recipe.networks(np.random.default_rng(0))
    assert not any(isinstance(layer, Sigmoid) for layer in D.layers)
    assert recipe.loss.output == "logit"


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"epochs": 0}, "epochs must be a whole number, at least 1, got 0"),
        ({"batch_size": -1}, "batch_size must be a whole number, at least 1, got -1"),
        ({"latent_dim": 0}, "latent_dim"),
        ({"d_steps": 0}, "d_steps"),
        ({"images": 0}, "images must"),
        ({"d_warmup": -1}, "d_warmup must be a whole number, at least 0, got -1"),
        ({"log_every": -1}, "log_every must be a whole"),
        ({"epochs": 2.5}, "epochs must be a whole number, at least 1, got 2.5"),
        ({"labels": (2.0, 0.0)}, "labels"),
        ({"init": "pytorch"}, "init is 'pytorch'; it must be torch or glorot"),
        ({"d_fakes": "half"}, "d_fakes is 'half'"),
        ({"epoch_steps": -1}, "epoch_steps must be a whole"),
        ({"latents": "gauss"}, "latents is 'gauss'"),
        ({"update": "simultanous"}, "update is 'simultanous'"),
        ({"update": "simultaneous", "d_batching": "concat"}, "--d-batching separate"),
        ({"update": "simultaneous", "d_steps": 2}, "simultaneous"),
    ],
)
def test_impossible_recipes_are_refused_when_they_are_written_down(changes, match):
    with pytest.raises(ArgumentError, match=match):
        replace(RECIPES["pytorch-mlp"], **changes)


@pytest.mark.parametrize("name", RECIPES)
def test_both_networks_are_drawn_from_the_generator_that_is_given(name):
    first, second = (RECIPES[name].smoke().networks(np.random.default_rng(seed)) for seed in (0, 1))
    for a, b in zip(first, second, strict=True):
        assert not np.array_equal(a.params, b.params)


def test_recipes_are_frozen():
    with pytest.raises(FrozenInstanceError):
        RECIPES["flux-mlp"].epochs = 3
