"""Layers that let the largest win: MaxPool2d over the places of a window, Maxout over groups of features.

Both compare a list of candidates, views of x that line up with y, and remember which won: only it gets the gradient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minigan.backend import Array, Elementwise, array_module
from minigan.errors import ArgumentError, ShapeError, whole
from minigan.nn.conv.windows import (
    Pad,
    Pair,
    Windows,
    check_image_shape,
    padding,
    pair,
    place_windows,
    strided,
    surround,
    whole_sizes,
)
from minigan.nn.layer import Layer, Shape


def largest(candidates: Sequence[Array]) -> tuple[Array, Array]:
    """(the largest of the candidates, the number of the one that it is), entry by entry; of equals the first."""
    y = candidates[0].copy()
    which = array_module(y).zeros_like(y)  # numbers in y's dtype
    for number, candidate in enumerate(candidates[1:], start=1):
        challenge(y, which, candidate, number, out=(y, which))
    return y, which


@Elementwise
def challenge(xp, y: Array, which: Array, candidate: Array, number: float) -> tuple[Array, Array]:
    which = xp.maximum(which, (candidate > y) * number)  # the numbers rise, and a maximum is cheaper than a choice
    return xp.maximum(y, candidate), which


@Elementwise
def prize(dy: Array, which: Array, number: float) -> Array:
    return dy * (which == number)


def winners(candidates: Sequence[Array], which: Array) -> Array:
    """Of each entry's candidates the one with the number that `largest` gave it in another list."""
    y = prize(candidates[0], which, 0)
    for number, candidate in enumerate(candidates[1:], start=1):
        y += prize(candidate, which, number)
    return y


def lead(candidates: Sequence[Array]) -> list[Array]:
    """How far the largest candidate is ahead of the next one, entry by entry: where it is 0, the maximum has a kink."""
    y, which = largest(candidates)
    xp = array_module(y)
    others = [xp.where(which == number, -math.inf, candidate) for number, candidate in enumerate(candidates)]
    return [y - largest(others)[0]] if len(candidates) > 1 else []


class MaxPool2d(Layer):
    """y[p, q, c] = max over i, j of x[p·SH + i - above, q·SW + j - left, c], for each image; outside it, x is -∞.

    Shapes: x (N, H, W, C), y (N, OH, OW, C), with OH and OW as in `place_windows`.
    Gradient: dy goes to the entry that won its window; of equal ones to the first, row by row from the top left (as in
    PyTorch). Where windows overlap, an entry that won several gets the sum.
    `kernel` and `stride` (by default the kernel: windows side by side): one number or (height, width). `pad`: as in
    Conv2d.
    Raises ArgumentError for impossible sizes, or a pad as large as the kernel, whose windows would see nothing of the
    image; ShapeError for an input that is no image or too small for the kernel.
    Source: Ranzato et al., "Unsupervised learning of invariant feature hierarchies", 2007.
    """

    each_alone = True
    straight = True

    def __init__(self, kernel: int | Pair, *, stride: int | Pair | None = None, pad: Pad = 0):
        self.kernel = whole_sizes("MaxPool2d", "kernel", kernel)
        self.stride = self.kernel if stride is None else whole_sizes("MaxPool2d", "stride", stride)
        self.pad = padding("MaxPool2d", pad)
        if pad != "same" and any(max(pair(p)) >= k for p, k in zip(pair(self.pad), pair(self.kernel), strict=True)):
            raise ArgumentError(f"MaxPool2d needs a pad smaller than its kernel, got pad {pad} and kernel {kernel}")

    def out_shape(self, in_shape: Shape) -> Shape:
        check_image_shape("MaxPool2d", in_shape)
        return (*self.windows(in_shape[:2]).counts, in_shape[2])

    def windows(self, size: Shape) -> Windows:
        """The windows on an image of `size` (H, W)."""
        return place_windows(size, self.kernel, self.stride, self.pad)

    def candidates(self, x: Array, outside: float = -math.inf) -> list[Array]:
        """For each place in the kernel, what falls on it in all the windows."""
        windows = self.windows(x.shape[1:3])
        padded = surround(x, windows.pad, outside)
        return [padded[places] for places in kernel_places(windows)]

    def forward(self, x: Array, *, train: bool, rng: Any = None) -> tuple[Array, tuple[Array, Shape]]:
        y, which = largest(self.candidates(x))
        return y, (which, x.shape)  # who won, and x's shape for dx

    def input_grad(self, dy: Array, cache: tuple[Array, Shape]) -> Array:
        which, (N, H, W, C) = cache
        windows = self.windows((H, W))
        (top, bottom), (left, right) = windows.pad
        dx = array_module(dy=dy, cache=which).zeros((N, top + H + bottom, left + W + right, C), dtype=dy.dtype)
        for number, places in enumerate(kernel_places(windows)):
            dx[places] += prize(dy, which, number)
        return dx[:, top : top + H, left : left + W]

    def tangent(self, dx: Array, cache: tuple[Array, Shape]) -> Array:
        return winners(self.candidates(dx, outside=0), cache[0])

    def kink_offsets(self, x: Array) -> list[Array]:
        return lead(self.candidates(x))


def kernel_places(windows: Windows) -> list[tuple[slice, slice, slice]]:
    """For each place in the kernel, where it falls in all the windows of a padded image."""
    (KH, KW), (SH, SW), _, (OH, OW) = windows
    return [(slice(None), strided(i, SH, OH), strided(j, SW, OW)) for i in range(KH) for j in range(KW)]


class Maxout(Layer):
    """y[k] = max over j of x[k·pieces + j]: each output is the largest of `pieces` neighbouring features.

    After a Dense layer it is an activation that learns its own shape: a maximum of `pieces` straight lines. The same as
    MaxPool2d((1, pieces)) on the features laid out as an image of one channel.
    Shapes: x (N, …, C), y (N, …, C / pieces).
    Gradient: dy goes to the feature that won; of equal ones to the first.
    Raises ArgumentError for fewer than 1 piece, ShapeError if the pieces do not divide the features.
    Source: Goodfellow et al., "Maxout networks", 2013.
    """

    each_alone = True
    straight = True

    def __init__(self, pieces: int):
        self.pieces = whole(pieces, "Maxout needs a whole number of pieces, at least 1", least=1)

    def out_shape(self, in_shape: Shape) -> Shape:
        if not in_shape or in_shape[-1] % self.pieces:
            C = in_shape[-1] if in_shape else 0
            fits = max(1, C // self.pieces) * self.pieces
            raise ShapeError(
                f"{C} features cannot be shared out to groups of {self.pieces}; {fits} can, or take a number of pieces "
                f"that divides {C}"
            )
        return (*in_shape[:-1], in_shape[-1] // self.pieces)

    def candidates(self, x: Array) -> list[Array]:
        """The first piece of every output, the second, …"""
        return [x[..., j :: self.pieces] for j in range(self.pieces)]

    def forward(self, x: Array, *, train: bool, rng: Any = None) -> tuple[Array, Array]:
        return largest(self.candidates(x))  # who won is all that backward needs

    def input_grad(self, dy: Array, cache: Array) -> Array:
        dx = array_module(dy=dy, cache=cache).empty((*dy.shape[:-1], dy.shape[-1] * self.pieces), dtype=dy.dtype)
        for j in range(self.pieces):
            prize(dy, cache, j, out=dx[..., j :: self.pieces])
        return dx

    def tangent(self, dx: Array, cache: Array) -> Array:
        return winners(self.candidates(dx), cache)

    def cache_of(self, cache: Array, examples: slice) -> Array:
        return cache[examples]

    def kink_offsets(self, x: Array) -> list[Array]:
        return lead(self.candidates(x))
