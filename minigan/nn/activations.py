"""Activations: elementwise functions between the linear layers.

Each caches its output y, not its input: the derivative can be written in y, and the next layer keeps y anyway.
"""

from __future__ import annotations

from typing import Any

from minigan.backend import Array, Elementwise
from minigan.errors import ArgumentError, number
from minigan.nn.layer import Grads, Layer


class ReLU(Layer):
    """y = max(x, 0).

    Shapes: x and y any, the same.
    Gradient: dx = dy where y > 0, else 0 (at x = 0 exactly, where there is no derivative, 0).
    Source: Nair & Hinton, "Rectified linear units improve restricted Boltzmann machines", 2010.
    """

    each_alone = True
    straight = True
    kinks = (0.0,)

    def forward(self, x: Array, *, train: bool, rng: Any = None) -> tuple[Array, Array]:
        y = relu(x)
        return y, y

    def input_grad(self, dy: Array, cache: Array) -> Array:
        return relu_grad(dy, cache)

    tangent = input_grad  # each entry by itself: J is diagonal

    def cache_of(self, cache: Array, examples: slice) -> Array:
        return cache[examples]


@Elementwise
def relu(xp, x: Array) -> Array:
    return xp.maximum(x, 0)


@Elementwise
def relu_grad(dy: Array, y: Array) -> Array:
    return dy * (y > 0)


class LeakyReLU(Layer):
    """y = x where x > 0, else slope·x, with 0 < slope < 1.

    Shapes: x and y any, the same.
    Gradient: dx = dy where y > 0, else slope·dy (y has the sign of x because slope > 0). So a discriminator passes
    some gradient to the generator through every unit.
    Raises ArgumentError for another slope.
    Source: Maas, Hannun & Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013.
    """

    each_alone = True
    straight = True
    kinks = (0.0,)

    def __init__(self, *, slope: float):
        self.slope = number(slope, "LeakyReLU needs 0 < slope < 1")
        if not 0 < self.slope < 1:
            raise ArgumentError(f"LeakyReLU needs 0 < slope < 1, got {slope}; for slope 0 use ReLU()")

    def forward(self, x: Array, *, train: bool, rng: Any = None) -> tuple[Array, Array]:
        y = leaky_relu(x, self.slope)
        return y, y

    def input_grad(self, dy: Array, cache: Array) -> Array:
        return leaky_relu_grad(dy, cache, self.slope)

    tangent = input_grad  # each entry by itself: J is diagonal

    def cache_of(self, cache: Array, examples: slice) -> Array:
        return cache[examples]


@Elementwise
def leaky_relu(xp, x: Array, slope: float) -> Array:
    return xp.maximum(x, slope * x)  # slope < 1: the larger of the two is the right branch


@Elementwise
def leaky_relu_grad(xp, dy: Array, y: Array, slope: float) -> Array:
    return dy * xp.maximum(y > 0, slope)  # of 1 or 0: NumPy has to guess each branch of a where, ten times as long


class Tanh(Layer):
    """y = tanh(x), between -1 and 1.

    Shapes: x and y any, the same.
    Gradient: dx = dy·(1 - y²). Curvature: dy/dx = 1 - y² changes with x by -2y·(1 - y²).
    Source: LeCun et al., "Efficient backprop", 1998, section 4.4.
    """

    each_alone = True
    out_range = (-1.0, 1.0)

    def forward(self, x: Array, *, train: bool, rng: Any = None) -> tuple[Array, Array]:
        y = tanh(x)
        return y, y

    def input_grad(self, dy: Array, cache: Array) -> Array:
        return tanh_grad(dy, cache)

    tangent = input_grad  # each entry by itself: J is diagonal

    def tangent_grads(self, dx: Array, dy: Array, cache: Array, grads: Grads) -> Array:
        return tanh_bend(dy, dx, cache)


@Elementwise
def tanh(xp, x: Array) -> Array:
    return xp.tanh(x)


@Elementwise
def tanh_grad(dy: Array, y: Array) -> Array:
    return dy * (1 - y * y)


@Elementwise
def tanh_bend(dy: Array, dx: Array, y: Array) -> Array:
    return dy * dx * (-2 * y * (1 - y * y))


def sigmoid(x: Array) -> Array:
    """σ(x) = 1 / (1 + e⁻ˣ), written with e^(-|x|): no exponential overflows, and small values keep their digits."""
    return logistic(x)


@Elementwise
def logistic(xp, x: Array) -> Array:
    z = xp.exp(-abs(x))
    return xp.maximum(z, x >= 0) / (1 + z)  # where x >= 0 the numerator is 1; z never is above it


class Sigmoid(Layer):
    """y = σ(x) = 1 / (1 + e⁻ˣ), between 0 and 1.

    Shapes: x and y any, the same.
    Gradient: dx = dy·y·(1 - y). Curvature: dy/dx = y·(1 - y) changes with x by y·(1 - y)·(1 - 2y).
    Source: Rumelhart, Hinton & Williams, "Learning representations by back-propagating errors", 1986.
    """

    each_alone = True
    out_range = (0.0, 1.0)

    def forward(self, x: Array, *, train: bool, rng: Any = None) -> tuple[Array, Array]:
        y = sigmoid(x)
        return y, y

    def input_grad(self, dy: Array, cache: Array) -> Array:
        return sigmoid_grad(dy, cache)

    tangent = input_grad  # each entry by itself: J is diagonal

    def tangent_grads(self, dx: Array, dy: Array, cache: Array, grads: Grads) -> Array:
        return sigmoid_bend(dy, dx, cache)


@Elementwise
def sigmoid_grad(dy: Array, y: Array) -> Array:
    return dy * (y * (1 - y))


@Elementwise
def sigmoid_bend(dy: Array, dx: Array, y: Array) -> Array:
    return dy * dx * (y * (1 - y) * (1 - 2 * y))
