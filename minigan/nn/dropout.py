"""Dropout: random features are silenced in training, so that no unit can rely on one other unit."""

from __future__ import annotations

from minigan.backend import Array, Elementwise, RandomStream, array_module
from minigan.errors import ArgumentError, number
from minigan.nn.layer import Layer

DRAWS = 2**16  # different values of 16 random bits


class Dropout(Layer):
    """y = x·m / (1 - drop) in training, y = x otherwise; m is 0 with probability `drop`, else 1.

    The division keeps the mean of y at x, so that nothing needs rescaling at inference ("inverted" dropout).
    `drop` is rounded to a multiple of 2⁻¹⁶, since 16 random bits decide about each feature.
    Shapes: x, m and y any, the same.
    Gradient: dx = dy·m / (1 - drop); dx = dy at inference.
    Raises ArgumentError unless 0 <= drop < 1, and in training if no `rng` is given.
    Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 2014.
    """

    each_alone = True
    straight = True

    def __init__(self, *, drop: float):
        needs = "Dropout needs 0 <= drop < 1 (the probability of silencing a feature)"
        self.drop = number(drop, needs)
        if not 0 <= self.drop < 1:
            raise ArgumentError(f"{needs}, got {drop}")

    def forward(self, x: Array, *, train: bool, rng: RandomStream | None = None) -> tuple[Array, Array | None]:
        if not train or self.drop == 0:
            return x, None
        if not isinstance(rng, RandomStream):
            raise ArgumentError("Dropout in training needs rng; pass forward(..., rng=RandomStream(seed, 'dropout'))")
        draws = rng.bits(x.shape)
        array_module(**{"x": x, "the draws of rng": draws})
        silent = min(round(self.drop * DRAWS), DRAWS - 1)  # of so many different draws, and the rest is kept
        return silenced(x, draws, silent, DRAWS / (DRAWS - silent))  # backward must silence the same features

    def input_grad(self, dy: Array, cache: Array | None) -> Array:
        return dy if cache is None else masked(dy, cache)

    tangent = input_grad  # each entry by itself: J is diagonal

    def cache_of(self, cache: Array | None, examples: slice) -> Array | None:
        return None if cache is None else cache[examples]


@Elementwise
def silenced(x: Array, draws: Array, silent: float, scale: float) -> tuple[Array, Array]:
    scaled_mask = (draws >= silent) * scale
    return x * scaled_mask, scaled_mask


@Elementwise
def masked(dy: Array, scaled_mask: Array) -> Array:
    return dy * scaled_mask
