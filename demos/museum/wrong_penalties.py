"""Three penalties on D's gradient whose own gradient is wrong, each with the check that let it pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from exhibit import Exhibit

from minigan import gan
from minigan.backend import RandomStream
from minigan.exercises import plugged_in
from minigan.gan import GANLoss, Penalty
from minigan.gan.penalty import penalise
from minigan.gradcheck import Report, check_discriminator_step
from minigan.nn import Dense, LeakyReLU, Sequential, Tanh
from minigan.nn.second import second_order, signals
from minigan.optim import SGD

LOSS = GANLoss(kind="wasserstein", output="logit")
EACH_STEP, LAZY = Penalty("wgan-gp"), Penalty("wgan-gp", every=16)


def players() -> tuple[Sequential, Sequential, np.ndarray, np.ndarray]:
    """A small G and a critic D of leaky ReLUs, four real images of six pixels, and latents."""
    rng = np.random.default_rng(0)
    G = Sequential([Dense(5), Tanh(), Dense(6), Tanh()], (3,), rng=rng, dtype=np.float64)
    D = Sequential([Dense(5), LeakyReLU(slope=0.2), Dense(1)], (6,), rng=rng, dtype=np.float64)
    return G, D, np.tanh(rng.standard_normal((4, 6))), rng.standard_normal((4, 3))


def step_with(piece: Any, penalty: Penalty) -> tuple[Any, Sequential, float]:
    """What D's step with this piece saw, D after it, and the penalty by differences of D before it."""
    G, D, real, z = players()
    points = penalty.points(real, G.forward(z, train=True)[0], RandomStream(0, "penalty"))
    value = penalty.value(slopes(D, points))[0]
    with plugged_in(penalise=piece):
        drawn = RandomStream(0, "penalty")
        seen = gan.discriminator_step(G, D, SGD(D, lr=0.01), LOSS, real, z, penalty=penalty, penalty_rng=drawn)
    return seen, D, float(value)


def slopes(D: Sequential, x: np.ndarray, h: float = 1e-6) -> np.ndarray:
    """D's gradient at each x, by central differences."""
    steps = h * np.eye(x.shape[1])
    return np.stack([(D(x + v) - D(x - v))[:, 0] / (2 * h) for v in steps], axis=1)


def checked(penalty: Penalty) -> Callable[[Any], Report]:
    """minigan's check of D's step with a piece in place of minigan's own."""

    def check(piece: Any) -> Report:
        with plugged_in(penalise=piece):
            G, D, real, z = players()
            return check_discriminator_step(G, D, LOSS, real, z, penalty=penalty, step=gan.discriminator_step)

    return check


def value_without_gradient(D, penalty, cache):
    g = D.backward(np.ones(cache.out_shape), cache, need_param_grads=False)
    return penalty.value(g)[0]  # added to the loss, and that is all


def the_loss_holds_it(piece: Any) -> str:
    seen, D, value = step_with(piece, EACH_STEP)
    off = abs(float(seen.loss - seen.loss_real - seen.loss_fake) - value)
    assert off < 1e-7
    assert np.isfinite(D.params).all()
    return f"passed: the loss holds the penalty, {value:.3f}, as differences of D give it, to {off:.0e}"


WITHOUT_GRADIENT = Exhibit(
    title="A fine that nobody collects",
    story="The penalty is computed and added to the critic's loss. What the critic learns from is the gradient, which "
    "knows nothing of it. “… the term is added to the critic's loss function but it's gradient is not computed.”",
    where="mlpack/mlpack#2891, #3063",
    name="penalise",
    right=penalise,
    wrong=value_without_gradient,
    usual=the_loss_holds_it,
    check=checked(EACH_STEP),
    cause=r"penalty is left out",
)


def images_for_weights(D, penalty, cache):
    dys = signals(D, np.ones(cache.out_shape), cache)
    value, u = penalty.value(dys[0])
    dx = bend(D, u, dys, cache)  # the penalty's derivative with respect to the images x
    D.backward(dx.sum(axis=-1, keepdims=True), cache, need_input_grad=False, accumulate=True)
    return value


def bend(D: Sequential, u: np.ndarray, dys: list[np.ndarray], cache: Any) -> np.ndarray:
    """How ⟨u, g⟩ moves with x, by the slopes of the layers: right, and 0 for layers whose slopes stay the same."""
    along = [u]
    for layer, own in zip(D.layers[:-1], cache.layers, strict=False):
        along.append(layer.tangent(along[-1], own))
    bent = np.zeros_like(dys[-1])
    for layer, own, dx, dy in zip(D.layers[::-1], cache.layers[::-1], along[::-1], dys[:0:-1], strict=True):
        curvature = layer.tangent_grads(dx, dy, own, {name: np.empty_like(g) for name, g in layer.grads.items()})
        bent = layer.input_grad(bent, own) + (0 if curvature is None else curvature)
    return bent


def right_by_the_images(piece: Any) -> str:
    _, moved, _ = step_with(piece, EACH_STEP)
    G, D, real, z = players()
    assert (moved.grads != 0).sum() == D.params.size - 1  # the last bias moves real and fake alike
    x, h = EACH_STEP.points(real, G.forward(z, train=True)[0], RandomStream(0, "penalty")), 1e-6

    def penalty(x: np.ndarray) -> Any:
        out, cache = D.forward(x, train=True)
        return EACH_STEP.value(signals(D, np.ones_like(out), cache)[0])

    steps = h * np.eye(x.size).reshape(-1, *x.shape)
    n = np.array([(penalty(x + v)[0] - penalty(x - v)[0]) / (2 * h) for v in steps]).reshape(x.shape)
    out, cache = D.forward(x, train=True)
    off = abs(bend(D, penalty(x)[1], signals(D, np.ones_like(out), cache), cache) - n).max()
    assert off < 1e-6
    return f"passed: the penalty's derivative with respect to the images agrees with central differences to {off:.0e}"


BY_THE_IMAGES = Exhibit(
    title="The images for the weights",
    story="The penalty is taken at interpolated images, so its derivative is taken with respect to them. That of a "
    "critic of leaky ReLUs is zero: its slope is the same all around. “… shouldn't the gradient be computed with "
    "respect to the mixed image x'?” (It should not, and in the library that was asked it is not.)",
    where="after ddbourgin/numpy-ml#65",
    name="penalise",
    right=penalise,
    wrong=images_for_weights,
    usual=right_by_the_images,
    check=checked(EACH_STEP),
    cause=r"penalty is left out",
)


def seldom_and_not_more(D, penalty, cache):
    dys = signals(D, np.ones(cache.out_shape), cache)
    value, u = penalty.value(dys[0])
    second_order(D, u / penalty.every, dys, cache, accumulate=True)  # that of one step, though the next have none
    return value


def right_in_every_step(piece: Any) -> str:
    off = abs(step_with(piece, EACH_STEP)[1].grads - step_with(penalise, EACH_STEP)[1].grads).max()
    assert off < 1e-12
    return f"passed: with the penalty in every step, the gradients agree with a reference to {off:.0e}"


UNSCALED = Exhibit(
    title="Seldom, and not the more",
    story="A lazy penalty is computed in every sixteenth step alone, and has to count sixteen times there. “… when it "
    "was 32 latent vector was ignored”: of what should have regularised, a 32nd was left.",
    where="after labmlai/annotated_deep_learning_paper_implementations#161",
    name="penalise",
    right=penalise,
    wrong=seldom_and_not_more,
    usual=right_in_every_step,
    check=checked(LAZY),
    cause=r"1/16\b.*every",
)
