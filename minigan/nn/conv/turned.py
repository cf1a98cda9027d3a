"""The three products of a convolution of stride 1 from the other side: y's columns, where they are fewer than x's.

With stride 1 x and y can change places, if the kernel is turned by 180°: y[p] = Σ W[i]·x[p + i - above] over i is what
each x[q], as a stamp of the turned kernel on y, adds up to. A layer that makes one channel of 64 then copies 9 numbers
a pixel, in place of 576. Letters as in layers.py.
"""

from __future__ import annotations

from minigan.backend import Array, array_module
from minigan.nn.conv import im2col
from minigan.nn.conv.windows import Pair, Windows


def pays(size: Pair, windows: Windows, C: int, K: int, N: int) -> bool:
    """Whether y's columns are smaller, and the windows on y can be had (without a pad below zero)."""
    (H, W), (OH, OW) = size, windows.counts
    fits = all(side < k for sides, k in zip(windows.pad, windows.kernel, strict=True) for side in sides)
    return windows.stride == (1, 1) and fits and H * W * K < OH * OW * C


def images_at_once(size: Pair, windows: Windows, C: int, K: int, itemsize: int) -> int:
    """How many images have columns of TILE_BYTES; at least one."""
    return im2col.images_at_once(windows.counts, from_y(size, windows), K, C, itemsize)


def correlate(x: Array, W: Array, windows: Windows, y: Array) -> None:
    im2col.spread(x, turn(W), from_y(x.shape[1:3], windows), y)


def spread(y: Array, W: Array, windows: Windows, x: Array) -> None:
    im2col.correlate(y, turn(W), from_y(x.shape[1:3], windows), x)


def correlate_all(x: Array, y: Array, windows: Windows, W: Array) -> None:
    turned = array_module(W).empty_like(turn(W))
    im2col.correlate_all(y, x, from_y(x.shape[1:3], windows), turned)
    W[...] = turn(turned)


def turn(W: Array) -> Array:
    """(KH, KW, C, K) → (KH, KW, K, C), upside down and left to right; a copy. Turned twice, W is as it was."""
    W = W[::-1, ::-1].swapaxes(2, 3)
    return W.reshape(W.size).reshape(W.shape)


def from_y(size: Pair, windows: Windows) -> Windows:
    """The windows on y, of which each pixel of x, an image of `size`, has one."""
    (KH, KW), _, ((above, below), (left, right)), _ = windows
    pad = ((KH - 1 - above, KH - 1 - below), (KW - 1 - left, KW - 1 - right))
    return Windows((KH, KW), (1, 1), pad, size)
