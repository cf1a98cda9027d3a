"""The flat vectors of a network, and how they are cut into the named arrays of its layers.

One vector each of parameters, gradients and buffers; an array of a layer is a view of its place in one of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from minigan.backend import Array
from minigan.errors import ArgumentError, ShapeError
from minigan.nn.layer import Layer, Shape, Specs

Places = dict[str, Shape]  # one layer's parameters, or its buffers, in the order in which they lie in the vector


class Vector:
    """A flat vector as an attribute of a network: `net.params = values` is `net.params[...] = values`.

    The layers hold views of the vector, and would neither see nor train another one in its place.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, network: None, owner: type) -> Vector: ...
    @overload
    def __get__(self, network: object, owner: type) -> Array: ...
    def __get__(self, network: object, owner: type) -> Any:
        return self if network is None else vars(network)[self.name]

    def __set__(self, network: object, values: Any) -> None:
        vector = vars(network)[self.name]
        if values is not vector:  # as after net.params *= 2
            vector[...] = values


def walk_shapes(layers: Sequence[Layer], in_shape: Shape) -> list[Shape]:
    """The shapes between the layers, the input's first."""
    shapes = [in_shape]
    for i, layer in enumerate(layers):
        if layer.grads or (layer in layers[:i] and layer.params(shapes[-1])):
            raise ArgumentError(f"layer {i} ({layer!r}) has its place in a network already; make a new one")
        try:
            shapes.append(layer.out_shape(shapes[-1]))
        except ShapeError as error:
            raise ShapeError(f"layer {i} ({layer!r}) does not fit its input {shapes[-1]}: {error}") from None
        if layer.each_alone and (what := what_is_shared(layer, shapes[-2])):
            raise ArgumentError(
                f"layer {i} ({layer!r}) says each_alone = True, and {what}: only one of them can be right, and without "
                "each_alone a layer is always served"
            )
    return shapes


def what_is_shared(layer: Layer, in_shape: Shape) -> str:
    """What the layer says of itself that no layer can that takes each example alone, or ""."""
    if layer.across_batch:
        return "across_batch = True, too"
    if (least := layer.least_batch(in_shape)) > 1:
        return f"learns from {least} examples at a time or more"
    return ""


def initial_values(specs: list[Specs], rng: np.random.Generator, dtype: np.dtype) -> np.ndarray:
    """One flat vector of initial values, in the order of the layers."""
    parts = [init(rng, shape).ravel() for spec in specs for shape, init in spec.values()]
    return np.concatenate([np.zeros(0), *parts]).astype(dtype)


def places(specs: list[Specs]) -> list[Places]:
    """The specs without their initialisers, which are not needed once the values are drawn: pickle may refuse them."""
    return [{name: shape for name, (shape, _) in spec.items()} for spec in specs]


def cut(flat: Array, places: list[Places]) -> list[dict[str, Array]]:
    """Each layer's arrays by name, as views of the flat vector."""
    layers, start = [], 0
    for own in places:
        views = {}
        for name, shape in own.items():
            views[name] = flat[start : start + math.prod(shape)].reshape(shape)
            start += math.prod(shape)
        layers.append(views)
    return layers


def named(layers: Sequence[Layer], arrays: list[dict[str, Any]]) -> dict[str, Any]:
    """What each layer has by its name, as {"0.Dense.W": …}."""
    return {
        f"{i}.{type(layer).__name__}.{name}": array
        for i, (layer, own) in enumerate(zip(layers, arrays, strict=True))
        for name, array in own.items()
    }


def state_shapes(layers: Sequence[Layer], in_shape: Shape) -> dict[str, Shape]:
    """The names and shapes of what `Sequential(layers, in_shape).state()` would hold, without making any of it."""
    shapes = walk_shapes(layers, in_shape)[:-1]
    params = places([layer.params(shape) for layer, shape in zip(layers, shapes, strict=True)])
    buffers = places([layer.buffers(shape) for layer, shape in zip(layers, shapes, strict=True)])
    return {**named(layers, params), **named(layers, buffers)}
