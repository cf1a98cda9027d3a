"""Penalties on D's gradient with respect to what it sees: the steeper D, the dearer.

g = ∇ₓ Σ D(x), a row for each example (of a group, with packing); N is how many examples there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from minigan.backend import Array, Column, Elementwise, RandomStream, array_module
from minigan.errors import ArgumentError, ShapeError, check_choice, number, whole
from minigan.nn.network import NetworkCache, Sequential
from minigan.nn.second import second_order, signals

Kind = Literal["r1", "r2", "wgan-gp", "wgan-gp-one-sided", "dragan"]
KINDS: tuple[Kind, ...] = ("r1", "r2", "wgan-gp", "wgan-gp-one-sided", "dragan")
SHORTEST = 1e-12  # the least length that is divided by


@dataclass(frozen=True)
class Penalty:
    """What D's loss gains by a penalty on its gradient g, at which x it is taken, and how often.

    "r1"                  weight/2 · mean ‖g‖², at the real images (Mescheder, Geiger & Nowozin, "Which training methods
                          for GANs do actually converge?", ICML 2018)
    "r2"                  the same at the fakes
    "wgan-gp"             weight · mean (‖g‖ - 1)², on the lines between: ε·real + (1 - ε)·fake, ε from U[0, 1) for each
                          example (Gulrajani et al., "Improved training of Wasserstein GANs", NeurIPS 2017)
    "wgan-gp-one-sided"   weight · mean max(0, ‖g‖ - 1)², there (Petzka, Fischer & Lukovnikov, "On the regularization of
                          Wasserstein GANs", ICLR 2018)
    "dragan"              weight · mean (‖g‖ - 1)², around the real images: real + α·s/2·U[0, 1) for each number, s the
                          batch's standard deviation, α from U[0, 1) for each example (Kodali et al., "On convergence
                          and stability of GANs", 2017, in its authors' code)

    `every`: only each so many steps of D, and then so many times as strong, which is nearly the same for less ("lazy":
    Karras et al., "Analyzing and improving the image quality of StyleGAN", CVPR 2020). Where g is 0, ‖g‖ has no
    derivative; 0 is taken for it.
    Raises ArgumentError for an unknown kind, a weight that is not above 0, an `every` below 1.
    """

    kind: Kind
    weight: float = 10.0
    every: int = 1

    def __post_init__(self) -> None:
        check_choice("Penalty kind", self.kind, KINDS)
        needs = "a penalty's weight must be a finite number above 0"
        object.__setattr__(self, "weight", number(self.weight, needs))
        if not self.weight > 0:
            raise ArgumentError(f"{needs}, got {self.weight}; for none leave the penalty out")
        every = whole(self.every, "a penalty's every must be a whole number of steps, at least 1", least=1)
        object.__setattr__(self, "every", every)

    @property
    def drawn(self) -> bool:
        """Whether g is taken neither at the real images nor at the fakes, but at points that are drawn."""
        return self.kind not in ("r1", "r2")

    def points(self, x_real: Array, x_fake: Array, rng: RandomStream | None) -> Array:
        """Where g is taken: as many points as there are real images.

        Raises ArgumentError without a stream to draw them from, ShapeError where not each real image has its fake.
        """
        if rng is None:
            raise ArgumentError(
                f"penalty {self.kind!r} draws its points: pass penalty_rng=RandomStream(seed, 'penalty')"
            )
        N, flat = len(x_real), x_real.reshape(len(x_real), -1)
        share = rng.uniform((N, 1), x_real.dtype)
        if self.kind == "dragan":
            off = flat - flat.mean()
            spread = array_module(flat).sqrt((off * off).mean())
            return points_around(flat, rng.uniform(flat.shape, x_real.dtype), share, spread / 2).reshape(x_real.shape)
        if x_fake.shape != x_real.shape:
            raise ShapeError(
                f"penalty {self.kind!r} draws a line from each real image to a fake, got {len(x_real)} and "
                f"{len(x_fake)}; take as many (d_fakes 'match')"
            )
        return points_between(flat, x_fake.reshape(N, -1), share).reshape(x_real.shape)

    def value(self, g: Array) -> tuple[Array, Array]:
        """(P, ∂P/∂g): the penalty `every` times over, and how it moves with g (N, …)."""
        xp = array_module(g)
        weight, N = g.dtype.type(self.weight * self.every), len(g)
        axes = tuple(range(1, g.ndim))
        squares = (g * g).sum(axis=axes, keepdims=True)
        if not self.drawn:
            return weight / 2 * squares.mean(), weight / N * g
        norms = xp.sqrt(squares)
        off = norms - 1
        if self.kind == "wgan-gp-one-sided":
            off = xp.maximum(off, 0)
        return weight * (off * off).mean(), 2 * weight / N * (off / xp.maximum(norms, SHORTEST)) * g


@Elementwise
def points_between(x_real: Array, x_fake: Array, share: Column) -> Array:
    return share * x_real + (1 - share) * x_fake


@Elementwise
def points_around(x_real: Array, draws: Array, share: Column, spread: float) -> Array:
    return x_real + share * (spread * draws)


class Pass(NamedTuple):
    """A pass through D, and the loss's gradient with respect to its output."""

    cache: NetworkCache
    d_out: Array


def jointly_penalised_backward(D: Sequential, penalty: Penalty, both: Pass, n_real: int) -> Array:
    """The same as `penalised_backward` of a D that is `divisible`, from one pass over both batches, the real one first.

    One way back from ones and one product for each gradient of weights: of the step's time a sixth less (784-512-256-1,
    batches of 128, one core).
    """
    examples = slice(n_real) if penalty.kind == "r1" else slice(n_real, None)
    found = signals(D, ones_for(D, both.cache), both.cache, examples=examples)
    value, u = penalty.value(found[0])
    second_order(D, u, found, both.cache, scale=both.d_out.reshape(-1), examples=examples)
    return value


def penalised_backward(D: Sequential, penalty: Penalty, real: Pass, fake: Pass) -> Array:
    """Write the gradient of the loss and of R1 or R2 with respect to D's parameters; returns the penalty."""
    at, other = (real, fake) if penalty.kind == "r1" else (fake, real)
    D.backward(other.d_out, other.cache, need_input_grad=False)
    return penalise(D, penalty, at.cache, d_out=at.d_out)


def penalise(D: Sequential, penalty: Penalty, cache: NetworkCache, *, d_out: Array | None = None) -> Array:
    """Add the penalty's gradient at the x of a pass to D's `grads`; returns the penalty.

    With `d_out` that of the loss for the same pass is added, too. Where D takes each example alone, one way back serves
    both: from ones it is the penalty's g, and times example n's d_out the loss's.
    """
    found = signals(D, ones_for(D, cache), cache)
    value, u = penalty.value(found[0])
    if d_out is not None and not D.each_alone:
        D.backward(d_out, cache, need_input_grad=False, accumulate=True)
        d_out = None
    second_order(D, u, found, cache, scale=None if d_out is None else d_out.reshape(-1), accumulate=True)
    return value


def ones_for(D: Sequential, cache: NetworkCache) -> Array:
    """The dy of y's sum over the batch: where D takes each example alone, its dx is each example's own gradient."""
    return array_module(D.params).ones(cache.out_shape, dtype=D.dtype)
