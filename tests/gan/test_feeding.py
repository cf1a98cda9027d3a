"""How D is fed: real and fake as one batch and apart again, and what one mean over both weighs."""

from dataclasses import replace

import numpy as np
import pytest
from twopasses import OfTwoPasses

from minigan import nn
from minigan.backend import RandomStream
from minigan.errors import ArgumentError, DTypeError, ShapeError
from minigan.gan import GANLoss, discriminator_step, generator_step, simultaneous_step
from minigan.gan.feeding import PLAIN, Feeding, join, mean_over_both, split
from minigan.gradcheck.games import Still
from minigan.losses import binary_cross_entropy
from minigan.nn import Dense, Sequential
from minigan.optim import Adam
from minigan.recipes import RECIPES


def draw(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0.1, 0.9, shape)


def test_unless_told_otherwise_real_and_fake_go_to_d_apart_and_one_by_one():
    assert Feeding() == PLAIN == Feeding(batching="separate", packing=1)


@pytest.mark.parametrize("shape", [(2,), (3, 3, 2)])
def test_split_takes_apart_what_join_puts_together_the_real_ones_first(shape):
    x_real, x_fake = draw(2, *shape), draw(5, *shape, seed=1)
    joined = join(x_real, x_fake)
    np.testing.assert_array_equal(joined[:2], x_real)
    for half, whole in zip(split(joined, 2), (x_real, x_fake), strict=True):
        np.testing.assert_array_equal(half, whole)


def test_arrays_of_two_kinds_are_refused_by_name():
    class Foreign:
        pass

    with pytest.raises(TypeError, match="fakes"):
        join(draw(2, 2), Foreign())


def test_a_half_that_is_unlike_the_other_is_refused_before_both_are_one():
    with pytest.raises(ShapeError, match=r"the real half has shape \(2, 3\) and the fake half \(2, 4\)"):
        join(draw(2, 3), draw(2, 4))
    with pytest.raises(
        DTypeError, match="the real half is uint8 and the fake half float32"
    ):  # together they are float32
        join(np.zeros((2, 3), np.uint8), np.zeros((2, 3), "f"))


ALONE = ["pytorch-mlp", "pytorch-mlp-mended", "flux-dcgan", "keras-upconv", "renom-maxout"]


@pytest.mark.parametrize(("dtype", "room"), [(np.float64, 1e-12), (np.float32, 2e-5)], ids=["float64", "float32"])
@pytest.mark.parametrize("counts", [(6, 6), (2, 8)], ids=str)
@pytest.mark.parametrize("packing", [1, 2])
@pytest.mark.parametrize("name", ALONE)
def test_two_batches_that_d_cannot_tell_from_one_give_in_one_pass_what_they_give_in_two(
    name, packing, counts, dtype, room, monkeypatch
):
    recipe = replace(RECIPES[name].smoke(), packing=packing, batch_size=8, update="alternating")
    found = []
    for as_one in (True, False):
        if not as_one:
            monkeypatch.setattr(Sequential, "each_alone", False)
        G, D = recipe.networks(np.random.default_rng(4), dtype=dtype)
        assert recipe.feeding.as_one(D) == as_one
        for net, seed in ((G, 0), (D, 1)):
            net.params[...] += 0.1 * np.random.default_rng(seed).standard_normal(net.params.size)
        x = draw(counts[0], *recipe.image_shape).astype(dtype)
        z = np.random.default_rng(2).standard_normal((counts[1], recipe.latent_dim)).astype(dtype)
        rng = OfTwoPasses(3, D, [n // packing for n in counts]) if as_one else RandomStream(3, "dropout")
        result = discriminator_step(G, D, Still(D), recipe.loss, x, z, feeding=recipe.feeding, rng=rng)
        found.append({**result._asdict(), **D.named_grads()})
    for name, array in found[0].items():
        other = found[1][name]
        assert array.shape == other.shape
        np.testing.assert_allclose(array, other, rtol=0, atol=room * abs(other).max(), err_msg=name)


class Silent(nn.Layer):
    """A layer of somebody's own, who says nothing of batches."""

    def forward(self, x, *, train, rng=None):
        return x, None

    def input_grad(self, dy, cache):
        return dy


class Derived(nn.Tanh):
    """As it, with another forward: it may be anything."""

    def forward(self, x, *, train, rng=None):
        return super().forward(x - x.mean(axis=0), train=train)


class DerivedAndAlone(nn.Tanh):
    each_alone = True


@pytest.mark.parametrize(
    ("layer", "passes"),
    [
        (nn.Tanh(), [7]),
        (DerivedAndAlone(), [7]),
        (nn.Dropout(drop=0.5), [7]),
        (nn.BatchNorm(), [3, 4]),
        (nn.SpectralNorm(Dense(2)), [3, 4]),
        (Silent(), [3, 4]),
        (Derived(), [3, 4]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Layer) else "",
)
def test_d_makes_one_pass_if_all_its_layers_say_so_and_two_if_one_says_nothing(layer, passes, monkeypatch):
    rng = np.random.default_rng(0)
    G, D = (Sequential(layers, in_shape=(2,), rng=rng) for layers in ([Dense(2)], [layer, Dense(1)]))
    seen, forward = [], Sequential.forward

    def counted(self, x, **options):
        seen.extend([len(x)] * (self is D))
        return forward(self, x, **options)

    monkeypatch.setattr(Sequential, "forward", counted)
    x, z = np.ones((3, 2), "f"), np.ones((4, 2), "f")
    discriminator_step(G, D, Still(D), GANLoss(output="logit"), x, z, rng=RandomStream(0, "dropout"))
    assert seen == passes


@pytest.mark.parametrize("counts", [(4, 4), (2, 6), (5, 1)])
@pytest.mark.parametrize("loss", [GANLoss(), GANLoss(labels=(0.9, 0.2)), GANLoss(output="logit", kind="hinge")])
def test_the_mean_over_both_weighs_each_half_by_its_share_in_value_and_gradient(loss, counts):
    (n_real, n_fake), (out_real, out_fake) = counts, (draw(n, 1, seed=n) for n in counts)
    losses, d_real, d_fake = loss.for_discriminator(out_real, out_fake)
    (value, *parts), *gradients = mean_over_both(losses, d_real, d_fake)
    assert parts == [*losses[1:]]
    np.testing.assert_allclose(value, (n_real * losses[1] + n_fake * losses[2]) / (n_real + n_fake), rtol=1e-14)
    np.testing.assert_allclose(gradients[0], n_real / (n_real + n_fake) * d_real, rtol=1e-14)
    np.testing.assert_allclose(gradients[1], n_fake / (n_real + n_fake) * d_fake, rtol=1e-14)


def test_the_mean_over_both_is_that_of_the_cross_entropy_of_the_joined_batch():
    out_real, out_fake = draw(2, 1), draw(6, 1, seed=1)
    (value, _, _), *gradients = mean_over_both(*GANLoss().for_discriminator(out_real, out_fake))
    expected, gradient = binary_cross_entropy(join(out_real, out_fake), np.array([[1.0]] * 2 + [[0.0]] * 6))
    np.testing.assert_allclose(value, expected, rtol=1e-14)
    np.testing.assert_allclose(join(*gradients), gradient, rtol=1e-14)


def test_float32_stays_float32():
    halves = [draw(n, 1).astype("f") for n in (3, 4)]
    (value, _, _), d_real, d_fake = mean_over_both(*GANLoss().for_discriminator(*halves))
    assert {value.dtype, d_real.dtype, d_fake.dtype} == {np.dtype("f")}


@pytest.mark.parametrize("what", ["feeding", "loss"])
@pytest.mark.parametrize("word", ["concat", None, 2, Feeding, GANLoss], ids=str)
def test_a_step_refuses_what_is_no_feeding_or_no_loss_by_name(what, word):
    rng, x = np.random.default_rng(0), np.ones((4, 2), np.float32)
    G, D = (Sequential([Dense(n)], in_shape=(2,), rng=rng) for n in (2, 1))
    given = {"loss": GANLoss(output="logit"), "feeding": PLAIN, what: word}
    g_optimizer, d_optimizer = Adam(G, lr=1e-3), Adam(D, lr=1e-3)
    for step, own in (
        (discriminator_step, {"d_optimizer": d_optimizer, "x_real": x}),
        (generator_step, {"g_optimizer": g_optimizer}),
        (simultaneous_step, {"d_optimizer": d_optimizer, "g_optimizer": g_optimizer, "x_real": x}),
    ):
        with pytest.raises(ArgumentError, match=f"^{what} must be a "):
            step(G=G, D=D, z=x, **own, **given)
