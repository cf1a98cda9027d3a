"""Flatten and Reshape: the same numbers in the same order under another shape. They compute and copy nothing."""

from __future__ import annotations

import math
from typing import Any

from minigan.backend import Array
from minigan.errors import ArgumentError, ShapeError, whole
from minigan.nn.layer import Layer, Shape


class Reshape(Layer):
    """(N, *in_shape) → (N, *shape), in C order.

    Gradient: dx is dy in x's shape.
    Raises ShapeError if the two shapes hold different numbers of values.
    """

    each_alone = True
    straight = True

    def __init__(self, *shape: int):
        if not shape:
            raise ArgumentError("Reshape needs positive sizes, such as Reshape(7, 7, 64), got none")
        self.shape = tuple(
            whole(size, "Reshape needs positive sizes, such as Reshape(7, 7, 64)", least=1) for size in shape
        )

    def out_shape(self, in_shape: Shape) -> Shape:
        if math.prod(in_shape) != math.prod(self.shape):
            raise ShapeError(f"cannot reshape {in_shape} ({math.prod(in_shape)} values) to {self.shape}")
        return self.shape

    def forward(self, x: Array, *, train: bool, rng: Any = None) -> tuple[Array, Shape]:
        return x.reshape(len(x), *self.shape), x.shape

    def input_grad(self, dy: Array, cache: Shape) -> Array:
        return dy.reshape(cache)

    def tangent(self, dx: Array, cache: Shape) -> Array:
        return dx.reshape(len(dx), *self.shape)

    def cache_of(self, cache: Shape, examples: slice) -> Shape:
        return (len(range(cache[0])[examples]), *cache[1:])


class Flatten(Layer):
    """(N, H, W, C) → (N, H·W·C), in C order: the channels of one pixel stay together.

    Gradient: dx is dy in x's shape.
    """

    each_alone = True
    straight = True

    def out_shape(self, in_shape: Shape) -> Shape:
        return (math.prod(in_shape),)

    def forward(self, x: Array, *, train: bool, rng: Any = None) -> tuple[Array, Shape]:
        return x.reshape(len(x), -1), x.shape

    def input_grad(self, dy: Array, cache: Shape) -> Array:
        return dy.reshape(cache)

    def tangent(self, dx: Array, cache: Shape) -> Array:
        return dx.reshape(len(dx), -1)

    def cache_of(self, cache: Shape, examples: slice) -> Shape:
        return (len(range(cache[0])[examples]), *cache[1:])
