"""Packing: D judges m samples at once, the right ones side by side, and G's gradient finds its way back."""

from dataclasses import replace

import numpy as np
import pytest

from minigan.backend import RandomStream
from minigan.data.glyphs import make_glyphs
from minigan.errors import ArgumentError, ShapeError
from minigan.gan import Feeding, GANLoss, discriminator_step, generator_step, pack, simultaneous_step, steps, unpack
from minigan.gradcheck import check_discriminator_step, check_generator_step, check_recipe
from minigan.gradcheck.games import Still
from minigan.nn import BatchNorm, Conv2d, Dense, Dropout, Flatten, LeakyReLU, Reshape, Sequential, Sigmoid, Tanh
from minigan.optim import SGD, Adam
from minigan.recipes import RECIPES
from minigan.train import Trainer, generate

SHAPES = [(12, 5), (12, 3, 4, 2), (12, 3, 3, 1)]


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def toy(packing, *, images=False, logit=False):
    """A G and a D for groups of `packing` samples: of 4 numbers, or images of 2×2×2."""
    rng = np.random.default_rng(2)
    g_layers = [Dense(5), BatchNorm(), LeakyReLU(slope=0.2), Dense(8 if images else 4), Tanh()]
    d_layers = [Dense(6), LeakyReLU(slope=0.2), Dropout(drop=0.3), Dense(1), *([] if logit else [Sigmoid()])]
    shape = (4 * packing,)
    if images:
        g_layers, d_layers, shape = (
            [*g_layers, Reshape(2, 2, 2)],
            [Conv2d(3, 2), Flatten(), *d_layers],
            (2, 2, 2 * packing),
        )
    G, D = (Sequential(*of, rng=rng, dtype=np.float64) for of in ((g_layers, (3,)), (d_layers, shape)))
    for net in (G, D):
        net.params += 0.1 * draw(net.params.size)
    return G, D


def stream():
    return RandomStream(0, "dropout")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("m", [2, 3, 4])
def test_neighbouring_samples_lie_side_by_side_along_the_last_axis(shape, m):
    x = draw(*shape)
    packed = pack(x, m)
    assert packed.shape == (12 // m, *shape[1:-1], m * shape[-1])
    for i, group in enumerate(packed):
        np.testing.assert_array_equal(group, np.concatenate(list(x[i * m : (i + 1) * m]), axis=-1))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_unpack_undoes_pack_and_is_its_adjoint(shape, m):
    x = draw(*shape)
    np.testing.assert_array_equal(unpack(pack(x, m), m), x)
    dy = draw(*pack(x, m).shape, seed=1)
    np.testing.assert_allclose((pack(x, m) * dy).sum(), (x * unpack(dy, m)).sum(), rtol=1e-12)


def test_without_packing_the_very_arrays_go_to_D():
    x = draw(4, 3)
    assert pack(x, 1) is x
    assert unpack(x, 1) is x
    assert Feeding().packing == 1


@pytest.mark.parametrize("m", [5, 8, 100])
def test_a_batch_that_cannot_be_packed_is_named_with_the_remedy(m):
    with pytest.raises(ArgumentError, match=rf"12 samples cannot be packed in groups of {m}; .*drop_last"):
        pack(draw(12, 2), m)
    G, D = toy(5)
    options = {"feeding": Feeding(packing=5), "rng": stream()}
    with pytest.raises(ArgumentError, match="12 samples cannot be packed in groups of 5"):
        discriminator_step(G, D, SGD(D, lr=0.1), GANLoss(), draw(12, 4), draw(12, 3), **options)


@pytest.mark.parametrize("packing", [0, -1, 1.5, "2"])
def test_an_impossible_packing_is_refused(packing):
    with pytest.raises(ArgumentError, match=f"packing must be a whole number of samples, at least 1, got {packing!r}"):
        Feeding(packing=packing)


def test_a_D_of_another_size_is_refused():
    G, D = toy(1)
    options = {"feeding": Feeding(packing=2), "rng": stream()}
    with pytest.raises(ShapeError, match=r"x has shape \(12, 8\)"):
        discriminator_step(G, D, SGD(D, lr=0.1), GANLoss(), draw(12, 4), draw(12, 3), **options)


@pytest.mark.parametrize("images", [False, True], ids=["flat", "images"])
@pytest.mark.parametrize("batching", ["separate", "concat"])
@pytest.mark.parametrize("packing", [2, 3])
def test_both_steps_of_a_packed_game_pass_the_gradient_check(packing, batching, images):
    G, D = toy(packing, images=images)
    loss, feeding = GANLoss(), Feeding(batching=batching, packing=packing)
    x, z = np.tanh(draw(6, *G.out_shape)), draw(6, 3, seed=1)
    for report in (
        check_discriminator_step(G, D, loss, x, z, feeding=feeding),
        check_generator_step(G, D, loss, z, feeding=feeding),
    ):
        assert report, str(report)


def test_the_gradient_check_finds_a_gradient_that_goes_back_to_the_wrong_pixels(monkeypatch):
    G, D = toy(2, images=True)
    monkeypatch.setattr(steps, "unpack", lambda x, m: x.reshape(m * len(x), *x.shape[1:-1], -1))
    assert not check_generator_step(G, D, GANLoss(), draw(6, 3, seed=1), feeding=Feeding(packing=2), elementwise=0)


@pytest.mark.parametrize("name", ["quick-mlp", "flux-dcgan"])
def test_a_recipe_with_packing_passes_the_gradient_check(name):
    for report in check_recipe(replace(RECIPES[name].smoke(), packing=2), elementwise=20):
        assert report, str(report)


@pytest.mark.parametrize("logit", [False, True], ids=["probability", "logit"])
def test_the_simultaneous_step_has_the_gradients_of_the_two_steps(logit):
    loss, x, z = GANLoss(output="logit" if logit else "probability"), draw(6, 4), draw(6, 3, seed=1)
    feeding = Feeding(packing=2)

    def no_dropout():
        G, D = toy(2, logit=logit)
        D.layers[2].drop = 0.0  # the draws of the passes differ between the steps
        return G, D

    G, D = no_dropout()
    d, g = simultaneous_step(G, D, Still(G), Still(D), loss, x, z, feeding=feeding, rng=stream())
    G2, D2 = no_dropout()
    d2 = discriminator_step(G2, D2, Still(D2), loss, x, z, feeding=feeding, rng=stream())
    np.testing.assert_allclose(D.grads, D2.grads, rtol=1e-12)
    g2 = generator_step(G2, D2, Still(G2), loss, z, feeding=feeding, rng=stream())
    np.testing.assert_allclose(G.grads, G2.grads, rtol=1e-12)
    np.testing.assert_allclose([d.loss, g.loss], [d2.loss, g2.loss], rtol=1e-12)
    assert d.prob_real.shape == d.prob_fake.shape == d2.prob_fake.shape == (3, 1)
    assert g.fakes.shape == g2.fakes.shape == (6, 4)


def test_the_fate_of_a_sample_depends_on_its_partner():
    """Why packing helps: D's answer is about the group, so that two alike can be told from two that differ."""
    x = np.repeat(draw(2, 4), 2, axis=0)  # a, a, b, b
    _, D = toy(2)
    alike, mixed = D(pack(x, 2)), D(pack(x[[0, 2, 1, 3]], 2))
    assert np.abs(alike - mixed).min() > 1e-3


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_can_be_packed_and_still_makes_single_images(name):
    images = make_glyphs(70)[0]
    recipe = replace(RECIPES[name].smoke(), packing=2)
    trainer = Trainer(recipe, images)
    trainer.fit()
    assert trainer.D.in_shape == (*recipe.image_shape[:-1], 2 * recipe.image_shape[-1])
    assert generate(trainer.G, trainer.preview_latents(3)).shape == (3, *recipe.image_shape)
    assert trainer.epoch == 1


def test_a_batch_size_or_a_last_batch_that_packing_does_not_divide_is_refused_before_training():
    with pytest.raises(ArgumentError, match=r"batch_size 32 is not a multiple of packing 3; .* take --batch-size 33"):
        replace(RECIPES["quick-mlp"].smoke(), packing=3)
    with pytest.raises(ArgumentError, match="packing must be a whole number, at least 1, got 0"):
        replace(RECIPES["quick-mlp"], packing=0)
    recipe = replace(RECIPES["pytorch-mlp"].smoke(), packing=4)
    with pytest.raises(
        ArgumentError, match=r"would hold 6 images, which cannot be packed in groups of 4; .*--drop-last"
    ):
        Trainer(recipe, make_glyphs(70)[0])
    Trainer(replace(recipe, drop_last=True), make_glyphs(70)[0]).fit()


def test_a_game_without_packing_is_the_same_to_the_bit():
    """Against the game of one sample at a time, written in the open."""
    G, D = toy(1)
    x, z = draw(6, 4), draw(6, 3, seed=1)
    generator_step(G, D, Adam(G, lr=0.1), GANLoss(), z, feeding=Feeding(packing=1), rng=stream())
    discriminator_step(G, D, Adam(D, lr=0.1), GANLoss(), x, z, feeding=Feeding(packing=1), rng=stream())

    G2, D2 = toy(1)
    rng, loss = stream(), GANLoss()
    fakes, cache_G = G2.forward(z, train=True, rng=rng)
    out, cache = D2.forward(fakes, train=True, rng=rng)
    G2.backward(D2.backward(loss.for_generator(out)[1], cache, need_param_grads=False), cache_G)
    G2.update_buffers(cache_G)
    Adam(G2, lr=0.1).step()
    rng = stream()
    fakes, _ = G2.forward(z, train=True, rng=rng)
    out, cache = D2.forward(np.concatenate([x, fakes]), train=True, rng=rng)  # D takes each example alone
    _, d_real, d_fake = loss.for_discriminator(out[:6], out[6:])
    D2.backward(np.concatenate([d_real, d_fake]), cache)
    Adam(D2, lr=0.1).step()
    np.testing.assert_array_equal(G.params, G2.params)
    np.testing.assert_array_equal(D.params, D2.params)
