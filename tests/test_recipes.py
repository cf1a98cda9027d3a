from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from minigan.errors import ArgumentError
from minigan.nn import BatchNorm, Dense, Dropout, LeakyReLU, ReLU, Sigmoid, Tanh
from minigan.recipes import DEFAULT, RECIPES


def networks(name):
    return RECIPES[name].networks(np.random.default_rng(0))


def described(network):
    return [repr(layer) for layer in network.layers]


@pytest.mark.parametrize(
    ("name", "g_parameters", "d_parameters"), [("flux-mlp", 1_486_352, 1_460_225), ("pytorch-mlp", 283_920, 267_009)]
)
def test_parameter_counts_are_the_published_ones(name, g_parameters, d_parameters):
    G, D = networks(name)
    assert (G.params.size, D.params.size) == (g_parameters, d_parameters)


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
    assert DEFAULT == "quick-mlp"


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


@pytest.mark.parametrize("name", RECIPES)
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
    assert (G.in_shape, G.out_shape, D.in_shape, D.out_shape) == ((8,), (784,), (784,), (1,))
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
