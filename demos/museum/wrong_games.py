"""A loss and two steps of the game whose gradient is wrong, each with the check that let it pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from exhibit import Exhibit

from minigan import gan, losses
from minigan.gan import DiscriminatorResult, GANLoss, GeneratorResult
from minigan.gradcheck import check_discriminator_step, check_generator_step, check_loss
from minigan.nn import Dense, Sequential, Sigmoid, Tanh
from minigan.optim import SGD


def players(dtype: Any = np.float64) -> tuple[Sequential, Sequential, np.ndarray, np.ndarray]:
    """A small G and D, four real images of six pixels, and latents."""
    rng = np.random.default_rng(0)
    G = Sequential([Dense(5), Tanh(), Dense(6), Tanh()], (3,), rng=rng, dtype=dtype)
    D = Sequential([Dense(5), Tanh(), Dense(1), Sigmoid()], (6,), rng=rng, dtype=dtype)
    return G, D, np.tanh(rng.standard_normal((4, 6))).astype(dtype), rng.standard_normal((4, 3)).astype(dtype)


def generator_step_without_D(G, D, g_optimizer, loss, z=None, *, fakes=None, rng=None):
    x_fake, cache_G = fakes or G.forward(z, train=True, rng=rng)
    out, _ = D.forward(x_fake, train=True, rng=rng)
    value, d_out = loss.for_generator(out)
    dy = d_out * np.ones_like(x_fake)  # (N, 1) beside (N, 784): inside a layer NumPy does this unasked
    G.backward(dy, cache_G, need_input_grad=False)
    G.update_buffers(cache_G)
    g_optimizer.step()
    return GeneratorResult(value, x_fake)


def only_G_moves(step: Any) -> str:
    G, D, _, z = players()
    before = [*map(np.copy, (G.params, D.params))]
    value = step(G, D, SGD(G, lr=0.1), GANLoss(), z).loss
    assert (G.params != before[0]).all()
    assert (D.params == before[1]).all()
    return f"passed: the loss is finite ({value:.2f}), every weight of G has moved, and none of D"


WITHOUT_D = Exhibit(
    title="A generator that skips its critic",
    story="The gradient of the loss with respect to the critic's output, one number a fake, goes straight into the "
    "generator, where it is broadcast over all pixels. What the critic thinks of a pixel is never asked.",
    where="ddbourgin/numpy-ml, models/wgan_gp.py",
    name="generator_step",
    right=gan.generator_step,
    wrong=generator_step_without_D,
    usual=only_G_moves,
    check=lambda step: check_generator_step(*players()[:2], GANLoss(), players()[3], step=step),
    cause=r"\bD is (left out|skipped|missing)|without D\b",
)


def mean_of_a_mean(p, t):
    value, gradient = losses.binary_cross_entropy(p, t)
    return value, gradient / len(p)  # the loss has divided by N already


def same_direction(loss: Any) -> str:
    p, h = np.random.default_rng(0).uniform(0.1, 0.9, (8, 1)), 1e-5
    steps = h * np.eye(8)[:, :, None]
    n = np.array([[(loss(p + v, 1.0)[0] - loss(p - v, 1.0)[0]) / (2 * h)] for v in steps])
    a = loss(p, 1.0)[1]
    cosine = float((a * n).sum() / np.linalg.norm(a) / np.linalg.norm(n))
    assert (np.sign(a) == np.sign(n)).all()
    assert cosine > 0.999
    return f"passed: all signs agree with the numeric gradient, and the cosine of the angle is {cosine:.6f}"


MEAN = Exhibit(
    title="A mean too many",
    story="“All of the gradients match sign, and only differ in size … can I blame float precision?” No: they had been "
    "averaged once more.",
    where="datascience.stackexchange.com/questions/30850",
    name="binary_cross_entropy",
    right=losses.binary_cross_entropy,
    wrong=mean_of_a_mean,
    usual=same_direction,
    check=lambda loss: check_loss(
        lambda p: loss(p, 1.0), np.random.default_rng(0).uniform(0.1, 0.9, (8, 1)), title=loss.__name__
    ),
    cause=r"1/8\b.*\bmean\b.* taken twice",
)


def forgetful_discriminator_step(G, D, d_optimizer, loss, x_real, z=None, *, fakes=None, rng=None):
    x_fake = fakes[0] if fakes else G.forward(z, train=True, rng=rng, keep=False)[0]
    out_real, cache_real = D.forward(x_real, train=True, rng=rng)
    out_fake, cache_fake = D.forward(x_fake, train=True, rng=rng)
    values, d_real, d_fake = loss.for_discriminator(out_real, out_fake)
    D.backward(d_real, cache_real, need_input_grad=False)
    D.backward(d_fake, cache_fake, need_input_grad=False)  # writes where it should add: accumulate=True
    D.update_buffers(cache_real)
    D.update_buffers(cache_fake)
    d_optimizer.step()
    return DiscriminatorResult(*values, loss.probability(out_real), loss.probability(out_fake))


def sees_the_fakes(step: Any) -> str:
    G, D, x, z = players()
    optimizer = SGD(D, lr=1.0)
    results = [step(G, D, optimizer, GANLoss(), x, z) for _ in range(200)]
    first, last = results[0].loss_fake, results[-1].loss_fake
    right = float((results[-1].prob_fake < 0.5).mean())
    assert last < first
    assert right == 1.0
    return f"passed: D's loss on the fakes falls from {first:.2f} to {last:.3f}, and D sees through {right:.0%} of them"


FORGETFUL = Exhibit(
    title="The fakes overwrite the real",
    story="D's gradient on the real images was kept by reference, and lost when the gradients were cleared for the "
    "next pass. Here the second backward overwrites the first.",
    where="vasily789/adaptive-weighted-gans#1",
    name="discriminator_step",
    right=gan.discriminator_step,
    wrong=forgetful_discriminator_step,
    usual=sees_the_fakes,
    check=lambda step: check_discriminator_step(*players()[:2], GANLoss(), *players()[2:], step=step),
    cause=r"loss_fake alone",
)
