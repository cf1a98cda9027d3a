"""A layer whose two passes are formulas."""

from __future__ import annotations  # the annotations are read as text

from typing import Any

from minigan.backend import Array, Elementwise
from minigan.nn import Layer


@Elementwise
def silu(xp, x: Array) -> tuple[Array, Array]:
    s = 1 / (1 + xp.exp(-x))
    return x * s, s


@Elementwise
def silu_grad(dy: Array, x: Array, s: Array) -> Array:
    return dy * s * (1 + x * (1 - s))


class SiLU(Layer):
    """y = x·σ(x). Gradient: dx = dy·σ(x)·(1 + x·(1 - σ(x)))."""

    def forward(self, x: Array, *, train: bool, rng: Any = None) -> tuple[Array, tuple[Array, Array]]:
        y, s = silu(x)
        return y, (x, s)

    def input_grad(self, dy: Array, cache: tuple[Array, Array]) -> Array:
        return silu_grad(dy, *cache)
