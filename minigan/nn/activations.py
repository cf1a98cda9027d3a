"""Activations: elementwise functions between the linear layers.

Each caches its output y, not its input: the derivative can be written in y, and the next layer keeps y anyway.
"""

from __future__ import annotations

from typing import Any

from minigan.backend import Array, array_module, shared
from minigan.errors import ArgumentError, number
from minigan.nn.layer import Layer


class ReLU(Layer):
    """y = max(x, 0).

    Shapes: x and y any, the same.
    Gradient: dx = dy where y > 0, else 0 (at x = 0 exactly, where there is no derivative, 0).
    Source: Nair & Hinton, "Rectified linear units improve restricted Boltzmann machines", 2010.
    """

    kinks = (0.0,)

    def forward(self, x: Array, *, train: bool, rng: Any = None) -> tuple[Array, Array]:
        y = array_module(x).maximum(x, 0)
        return y, y

    def input_grad(self, dy: Array, cache: Array) -> Array:
        return dy * (cache > 0)


class LeakyReLU(Layer):
    """y = x where x > 0, else slope·x, with 0 < slope < 1.

    Shapes: x and y any, the same.
    Gradient: dx = dy where y > 0, else slope·dy (y has the sign of x because slope > 0). So a discriminator passes
    some gradient to the generator through every unit.
    Raises ArgumentError for another slope.
    Source: Maas, Hannun & Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013.
    """

    kinks = (0.0,)

    def __init__(self, *, slope: float):
        self.slope = number(slope, "LeakyReLU needs 0 < slope < 1")
        if not 0 < self.slope < 1:
            raise ArgumentError(f"LeakyReLU needs 0 < slope < 1, got {slope}; for slope 0 use ReLU()")

    def forward(self, x: Array, *, train: bool, rng: Any = None) -> tuple[Array, Array]:
        xp = array_module(x)

        def leak(y: Array, x: Array) -> None:
            xp.multiply(x, self.slope, out=y)
            xp.maximum(x, y, out=y)  # slope < 1: the larger of the two is the right branch

        y = shared(leak, x)
        return y, y

    def input_grad(self, dy: Array, cache: Array) -> Array:
        xp = array_module(dy=dy, cache=cache)

        def pass_on(dx: Array, dy: Array, y: Array) -> None:
            dx[...] = y > 0  # 1 or 0,
            xp.clip(dx, self.slope, 1, out=dx)  # so 1 or the slope; where(y > 0, 1, slope) has to guess each branch,
            dx *= dy  # which takes ten times as long

        return shared(pass_on, dy, cache)


class Tanh(Layer):
    """y = tanh(x), between -1 and 1.

    Shapes: x and y any, the same.
    Gradient: dx = dy·(1 - y²).
    Source: LeCun et al., "Efficient backprop", 1998, section 4.4.
    """

    out_range = (-1.0, 1.0)

    def forward(self, x: Array, *, train: bool, rng: Any = None) -> tuple[Array, Array]:
        y = array_module(x).tanh(x)
        return y, y

    def input_grad(self, dy: Array, cache: Array) -> Array:
        return dy * (1 - cache * cache)


def sigmoid(x: Array) -> Array:
    """σ(x) = 1 / (1 + e⁻ˣ), written with e^(-|x|): no exponential overflows, and small values keep their digits."""
    xp = array_module(x)
    z = xp.exp(-abs(x))
    return xp.maximum(z, x >= 0) / (1 + z)  # where x >= 0 the numerator is 1; z never is above it


class Sigmoid(Layer):
    """y = σ(x) = 1 / (1 + e⁻ˣ), between 0 and 1.

    Shapes: x and y any, the same.
    Gradient: dx = dy·y·(1 - y).
    Source: Rumelhart, Hinton & Williams, "Learning representations by back-propagating errors", 1986.
    """

    out_range = (0.0, 1.0)

    def forward(self, x: Array, *, train: bool, rng: Any = None) -> tuple[Array, Array]:
        y = sigmoid(x)
        return y, y

    def input_grad(self, dy: Array, cache: Array) -> Array:
        return dy * (cache * (1 - cache))
