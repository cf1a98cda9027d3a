"""Dense: every output feature is a weighted sum of all input features."""

from __future__ import annotations

from functools import partial
from typing import Any

from minigan import backend
from minigan.backend import Array, Elementwise, Vector
from minigan.backend.products import batch_sum, rows
from minigan.errors import ShapeError, truth, whole
from minigan.nn.init import Initialiser, glorot_uniform, zeros
from minigan.nn.layer import Grads, Layer, Shape, Specs


class Dense(Layer):
    """y = x W + b, along the last axis.

    Shapes: x (N, …, C), W (C, K), b (K,), y (N, …, K). Below, every axis but the last counts as batch.
    Gradient: dx = dy Wᵀ, dW = xᵀ dy, db = Σ dy over the batch.
    Raises ArgumentError for a size below 1, ShapeError for an input without features.
    Source: Rumelhart, Hinton & Williams, "Learning representations by back-propagating errors", 1986.
    """

    each_alone = True
    bilinear = True

    def __init__(
        self, features: int, *, bias: bool = True, init_W: Initialiser = glorot_uniform, init_b: Initialiser = zeros
    ):
        self.features = whole(features, "Dense needs a whole number of output features, at least 1", least=1)
        self.bias, self.init_W, self.init_b = truth(bias, "Dense: bias"), init_W, init_b
        self.W: Array
        self.b: Array

    def out_shape(self, in_shape: Shape) -> Shape:
        if not in_shape:
            raise ShapeError("Dense needs an input with a last axis of features, got single numbers; in_shape=(1,)?")
        return (*in_shape[:-1], self.features)

    def params(self, in_shape: Shape) -> Specs:
        C, K = in_shape[-1], self.features
        W = {"W": ((C, K), partial(self.init_W, fan_in=C, fan_out=K))}
        return {**W, "b": ((K,), partial(self.init_b, fan_in=C, fan_out=K))} if self.bias else W

    def forward(self, x: Array, *, train: bool, rng: Any = None) -> tuple[Array, Array]:
        y = backend.matmul(rows(x), self.W)
        if self.bias:
            add_bias(y, self.b, out=y)
        return y.reshape(*x.shape[:-1], -1), x  # dW needs x; dx needs only W

    def input_grad(self, dy: Array, cache: Array) -> Array:
        return backend.matmul(rows(dy), self.W.T).reshape(cache.shape)

    def tangent(self, dx: Array, cache: Array) -> Array:
        return backend.matmul(rows(dx), self.W).reshape(*dx.shape[:-1], -1)

    def param_grads(self, dy: Array, cache: Array, grads: Grads) -> None:
        backend.matmul(rows(cache).T, rows(dy), out=grads["W"])
        if self.bias:
            grads["b"][...] = batch_sum(dy)


@Elementwise
def add_bias(y: Array, b: Vector) -> Array:
    y += b
    return y
