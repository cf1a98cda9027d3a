"""How samples are laid before D: alone, or several side by side."""

from __future__ import annotations

from minigan.backend import Array, array_module
from minigan.errors import ArgumentError


def pack(x: Array, m: int) -> Array:
    """m samples after another side by side along the last axis, as a D with packing m sees them.

    Shapes: x (N, …, C), the result (N/m, …, mC); with m = 1 it is x itself.
    Raises ArgumentError if m does not divide N.
    """
    if m == 1:
        return x
    if len(x) % m:
        raise ArgumentError(
            f"{len(x)} samples cannot be packed in groups of {m}; take a batch size that {m} divides, and leave out a "
            "last batch that is not full (drop_last)"
        )
    groups = x.reshape(len(x) // m, m, *x.shape[1:])
    return array_module(x).moveaxis(groups, 1, -2).reshape(len(groups), *x.shape[1:-1], m * x.shape[-1])


def unpack(x: Array, m: int) -> Array:
    """The samples one by one again, (N/m, …, mC) to (N, …, C): undoes `pack`, and takes gradients back through it."""
    if m == 1:
        return x
    groups = x.reshape(*x.shape[:-1], m, x.shape[-1] // m)
    return array_module(x).moveaxis(groups, -2, 1).reshape(m * len(x), *x.shape[1:-1], groups.shape[-1])
