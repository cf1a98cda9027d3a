"""How D is fed: real and fake as one batch and apart again, and what one mean over both weighs."""

import numpy as np
import pytest

from minigan.errors import ArgumentError
from minigan.gan import GANLoss, discriminator_step, generator_step, simultaneous_step
from minigan.gan.feeding import PLAIN, Feeding, join, mean_over_both, split
from minigan.losses import binary_cross_entropy
from minigan.nn import Dense, Sequential
from minigan.optim import Adam


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
