"""Where a kernel stands on an image: the windows that convolutions and pooling look through.

N batch, H W height and width of the image, C its channels; KH KW the kernel's height and width, SH SW its stride (how
far it moves from one window to the next), OH OW how many windows there are, from top to bottom and from left to right.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from minigan.backend import Array, array_module
from minigan.errors import ShapeError, whole

Pair = tuple[int, int]
#: Zeros around an image: on all sides, (above and below, left and right), ((above, below), (left, right)), or "same".
Pad = int | Pair | tuple[Pair, Pair] | str


class Windows(NamedTuple):
    """Where a kernel stands on an image of one size."""

    kernel: Pair  # (KH, KW)
    stride: Pair  # (SH, SW)
    pad: tuple[Pair, Pair]  # rows of zeros (above, below) the image, columns of zeros (left, right) of it
    counts: Pair  # (OH, OW)


@lru_cache(maxsize=256)  # a small image takes as long as finding its windows, which are the same in every pass
def place_windows(size: tuple[int, ...], kernel: int | Pair, stride: int | Pair, pad: Pad) -> Windows:
    """The windows on an image of `size` (H, W): OH = ⌊(H + above + below - KH) / SH⌋ + 1, and likewise OW.

    What is left over below and to the right, because the stride does not divide, is seen by no window. "same" is
    TensorFlow's rule: OH = ⌈H / SH⌉, and of the zeros that this takes the odd one comes below (to the right).
    Raises ShapeError if not even one window fits.
    """
    ks, strides = pair(kernel), pair(stride)
    if isinstance(pad, str):
        needed = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(size, ks, strides, strict=True)]
        pads = [(total // 2, total - total // 2) for total in needed]
    else:
        pads = [pair(sides) for sides in pair(pad)]
    padded = [n + sum(sides) for n, sides in zip(size, pads, strict=True)]
    if padded[0] < ks[0] or padded[1] < ks[1]:
        raise ShapeError(
            f"a kernel of {times(ks)} does not fit an image of {times(size)}, {times(padded)} with its padding; take a "
            f"kernel of at most {times(padded)}, more padding, or pad='same'"
        )
    OH, OW = ((n - k) // s + 1 for n, k, s in zip(padded, ks, strides, strict=True))
    return Windows(ks, strides, (pads[0], pads[1]), (OH, OW))


@lru_cache(maxsize=256)
def inside(windows: Windows, axis: int, size: int) -> tuple[tuple[slice, slice], ...]:
    """Along one axis, for each place of the kernel: where it falls in an image of `size`, and in which windows."""
    stride, before, count = windows.stride[axis], windows.pad[axis][0], windows.counts[axis]
    places = []
    for place in range(windows.kernel[axis]):
        first = max(
            0, -((place - before) // stride)
        )  # of the windows in which the place is not above (left of) the image
        stop = max(first, min(count, (size - 1 + before - place) // stride + 1))  # … and is not below it
        places.append((strided(place - before + stride * first, stride, stop - first), slice(first, stop)))
    return tuple(places)


def strided(start: int, stride: int, count: int) -> slice:
    """`count` places from `start` on, `stride` apart: where place `start` of the kernel falls in each window."""
    return slice(start, start + stride * count, stride)


def surround(x: Array, pad: tuple[Pair, Pair], value: float = 0.0) -> Array:
    """(N, H, W, C) with rows and columns of `value` around each image."""
    (top, bottom), (left, right) = pad
    if not (top or bottom or left or right):
        return x
    N, H, W, C = x.shape
    padded = array_module(x).full((N, top + H + bottom, left + W + right, C), value, dtype=x.dtype)
    padded[:, top : top + H, left : left + W] = x
    return padded


def pair(value: Any) -> Any:
    """(value, value) of a single thing; a pair as it is."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)


def times(sizes: Any) -> str:
    """3×5"""
    return "×".join(str(size) for size in sizes)


def whole_sizes(layer: str, name: str, value: Any) -> int | Pair:
    """A whole number of at least 1, or a pair of them, as Python's; raises ArgumentError for anything else."""
    return wholes(value, f"{layer} needs a {name} of whole numbers, at least 1, one or (h, w)", depth=1, least=1)


def padding(layer: str, pad: Any) -> Pad:
    """One of the forms of `Pad`, in Python's numbers; raises ArgumentError for anything else."""
    if isinstance(pad, str) and pad == "same":
        return "same"
    needs = (
        f"{layer} needs a pad of whole numbers that are not negative: 1, (h, w), ((above, below), (left, right)), or "
        "'same'"
    )
    return wholes(pad, needs, depth=2, least=0)


def wholes(value: Any, needs: str, *, depth: int, least: int) -> Any:
    """A whole number, or down to `depth` pairs of them; a list becomes a tuple, which a layer's repr shows."""
    if depth and isinstance(value, (tuple, list)) and len(value) == 2:
        return tuple(wholes(part, needs, depth=depth - 1, least=least) for part in value)
    return whole(value, needs, least=least)


def check_image_shape(layer: str, in_shape: tuple[int, ...]) -> None:
    """Raise ShapeError unless the layer's input is (H, W, C)."""
    if len(in_shape) != 3:
        shape = f"{in_shape[0]}, {in_shape[1]}, 1" if len(in_shape) == 2 else "height, width, channels"
        raise ShapeError(
            f"{layer} takes images (H, W, C), got an input with {len(in_shape)} axes; put Reshape({shape}) before it"
        )
