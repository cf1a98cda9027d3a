"""im2col and col2im: the windows that a kernel sees on an image, laid out as the rows of a matrix, and back.

With them a convolution is one matrix product, and its gradients are two more. The windows are tiled over the batch, so
that their copy stays in the processor's cache, and never grows with the batch.

N batch, H W height and width of the image, C its channels; KH KW the kernel's height and width, SH SW its stride (how
far it moves from one window to the next), OH OW how many windows there are, from top to bottom and from left to right.
Source: Chellapilla, Puri & Simard, "High performance convolutional neural networks for document processing", 2006.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from minigan.backend import Array, array_module
from minigan.errors import ArgumentError, ShapeError

Pair = tuple[int, int]
#: Zeros around an image: on all sides, (above and below, left and right), ((above, below), (left, right)), or "same".
Pad = int | Pair | tuple[Pair, Pair] | str

TILE_BYTES = 2**21  # of columns at a time: within a fifth of the best of 0.5 to 16 MiB (benchmarks/tiles.py)


class Windows(NamedTuple):
    """Where a kernel stands on an image of one size."""

    kernel: Pair  # (KH, KW)
    stride: Pair  # (SH, SW)
    pad: tuple[Pair, Pair]  # rows of zeros (above, below) the image, columns of zeros (left, right) of it
    counts: Pair  # (OH, OW)


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


def im2col(x: Array, windows: Windows) -> Array:
    """(N, H, W, C) → (N·OH·OW, KH·KW·C): each row is what one window sees. One strided view and one copy."""
    (KH, KW), (SH, SW), pad, (OH, OW) = windows
    x = surround(x, pad)
    N, C = x.shape[0], x.shape[3]
    n, h, w, c = x.strides
    as_strided = array_module(x).lib.stride_tricks.as_strided
    view = as_strided(x, (N, OH, OW, KH, KW, C), (n, SH * h, SW * w, h, w, c))
    return view.reshape(N * OH * OW, KH * KW * C)


def col2im(columns: Array, size: tuple[int, ...], windows: Windows) -> Array:
    """(N·OH·OW, KH·KW·C) → (N, H, W, C): each pixel is the sum of what stands for it in all the windows that see it.

    The adjoint of im2col: Σ im2col(x)·c = Σ x·col2im(c) for all x and c. One addition for each place in the kernel.
    """
    (KH, KW), (SH, SW), ((top, bottom), (left, right)), (OH, OW) = windows
    (H, W), C = size, columns.shape[1] // (KH * KW)
    columns = columns.reshape(-1, OH, OW, KH, KW, C)
    x = array_module(columns).zeros((len(columns), top + H + bottom, left + W + right, C), columns.dtype)
    for i in range(KH):
        for j in range(KW):
            x[:, every(i, SH, OH), every(j, SW, OW)] += columns[:, :, :, i, j]
    return x[:, top : top + H, left : left + W]


def every(start: int, stride: int, count: int) -> slice:
    """`count` places from `start` on, `stride` apart: where place `start` of the kernel falls in each window."""
    return slice(start, start + stride * (count - 1) + 1, stride)


def surround(x: Array, pad: tuple[Pair, Pair], value: float = 0.0) -> Array:
    """(N, H, W, C) with rows and columns of `value` around each image."""
    (top, bottom), (left, right) = pad
    if not (top or bottom or left or right):
        return x
    N, H, W, C = x.shape
    padded = array_module(x).full((N, top + H + bottom, left + W + right, C), value, x.dtype)
    padded[:, top : top + H, left : left + W] = x
    return padded


def tiles(N: int, windows: Windows, channels: int, itemsize: int) -> Iterator[slice]:
    """The batch in slices, so many images at a time as have TILE_BYTES of columns; at least one."""
    (KH, KW), (OH, OW) = windows.kernel, windows.counts
    images = max(1, TILE_BYTES // (OH * OW * KH * KW * channels * itemsize))
    for start in range(0, N, images):
        yield slice(start, min(start + images, N))


# What a layer's constructor and its errors need -----------------------------------------------------------------------


def pair(value: Any) -> Any:
    """(value, value) of a single thing; a pair as it is."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)


def times(sizes: Any) -> str:
    """3×5"""
    return "×".join(str(size) for size in sizes)


def check_sizes(layer: str, name: str, value: Any, *, low: int = 1) -> None:
    """Raise ArgumentError unless the value is a whole number of at least `low`, or a pair of them."""
    sizes = pair(value)
    if len(sizes) != 2 or not all(isinstance(n, int) and n >= low for n in sizes):
        raise ArgumentError(f"{layer} needs a {name} of whole numbers, at least {low}, one or (h, w), got {value}")


def check_pad(layer: str, pad: Pad) -> None:
    """Raise ArgumentError unless `pad` is one of the forms of `Pad`."""
    if pad == "same":
        return
    sides = [pair(part) for part in pair(pad)]
    if len(sides) != 2 or not all(len(s) == 2 and all(isinstance(n, int) and n >= 0 for n in s) for s in sides):
        raise ArgumentError(
            f"{layer} needs a pad of whole numbers that are not negative: 1, (h, w), ((above, below), (left, right)), "
            f"or 'same', got {pad!r}"
        )


def check_images(layer: str, in_shape: tuple[int, ...]) -> None:
    """Raise ShapeError unless the layer's input is (H, W, C)."""
    if len(in_shape) != 3:
        shape = f"{in_shape[0]}, {in_shape[1]}, 1" if len(in_shape) == 2 else "height, width, channels"
        raise ShapeError(
            f"{layer} takes images (H, W, C), got an input with {len(in_shape)} axes; put Reshape({shape}) before it"
        )
