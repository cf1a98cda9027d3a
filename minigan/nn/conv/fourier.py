"""The three products of a convolution of stride 1 by the convolution theorem, where that takes fewer multiplications.

Waves turn a correlation into products, wave by wave: y = G [(F x) · (T W)], where F and T say how much of each wave is
in the image and in the kernel, and G adds the waves up again. F, T and G are small matrices over places; the dot is a
matrix product over channels, one for each of the R rows of F x and T W. Each step is linear in x and in W, so the
gradients are the same steps transposed. A wave of frequency ω gives complex factors X and V, and (XV) takes three real
products, so three rows: X'V', X''V'' and (X' + X'')(V' + V''), where ' is the real part and '' the imaginary one.

Letters as in layers.py. 5×5 kernels on 7×7 images take R = 121 products of each pair of channels where im2col takes
7·7·5·5 = 1225. Source: Mathieu, Henaff & LeCun, "Fast training of convolutional networks through FFTs", 2014.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minigan import backend
from minigan.backend import Array
from minigan.nn.conv.windows import Pair, Windows

TILE_BYTES = 2**25  # of waves at a time


class Transform(NamedTuple):
    """The three matrices, for one size of image and one placing of the windows."""

    F: Array  # (R, H·W): image to waves
    T: Array  # (R, KH·KW): kernel to waves
    G: Array  # (OH·OW, R): waves to image


def pays(size: Pair, windows: Windows, C: int, K: int, N: int) -> bool:
    """Whether the waves take less than half of the multiplications of im2col, for N images of C and K channels."""
    if windows.stride != (1, 1):
        return False
    (H, W), (KH, KW), (OH, OW) = size, windows.kernel, windows.counts
    n, m = period(size, windows)
    R = 3 * (n * m) // 2
    direct = OH * OW * KH * KW * C * K
    return 2 * R * (C * K + H * W * C + OH * OW * K + KH * KW * C * K / N) < direct


def period(size: Pair, windows: Windows) -> Pair:
    """The sides of the torus on which no window meets the image a second time: odd, so that only ω = 0 is real.

    The zeros above an image and those below it may share their rows of the torus: the wider margin is room enough.
    """
    H, W = (n + max(sides) for n, sides in zip(size, windows.pad, strict=True))
    return H | 1, W | 1


@lru_cache(maxsize=16)
def transform(size: Pair, windows: Windows, dtype: Any) -> Transform:
    """F, T and G for these windows on images of `size`, computed in float64."""
    n, m = period(size, windows)
    # Of each pair of opposite frequencies one is enough, since images are real.
    waves = [(u, v) for u in range(n) for v in range(m // 2 + 1) if v > 0 or 0 < u <= n // 2]
    omega = 2 * np.pi * np.array(waves).reshape(-1, 2) / (n, m)  # none, on a torus of one place

    def angles(sides: Pair, above: int = 0, left: int = 0) -> np.ndarray:
        """ω·p for each frequency ω and each place p."""
        p, q = np.indices(sides).reshape(2, -1)
        return omega[:, :1] * (p - above) + omega[:, 1:] * (q - left)

    def stack(*parts: np.ndarray) -> np.ndarray:
        """The row of ω = 0, then the three rows of each other frequency."""
        return np.concatenate([np.ones((1, parts[0].shape[1])), *parts])

    (above, _), (left, _) = windows.pad
    x, w, y = angles(size), angles(windows.kernel, above, left), angles(windows.counts)
    F = stack(np.cos(x), -np.sin(x), np.cos(x) - np.sin(x))  # Σ x e^(-iωp)
    T = stack(np.cos(w), np.sin(w), np.cos(w) + np.sin(w))  # Σ W e^(+iωp): the kernel is not flipped
    # Re[XV e^(iωp)], with XV = (P1 - P2) + i(P3 - P1 - P2) of the three products
    G = stack(2 * (np.cos(y) + np.sin(y)), 2 * (np.sin(y) - np.cos(y)), -2 * np.sin(y)).T / (n * m)
    return Transform(*(np.ascontiguousarray(matrix, dtype) for matrix in (F, T, G)))


def matrices(x_size: Pair, windows: Windows, like: Array) -> Transform:
    """The transform in the dtype, and on the device, of `like`."""
    device = backend.device_of(like)
    return Transform(*(backend.to_device(matrix, device) for matrix in transform(x_size, windows, like.dtype)))


def images_at_once(size: Pair, windows: Windows, C: int, K: int, itemsize: int) -> int:
    """How many images have waves, of x and y, of TILE_BYTES; at least one."""
    n, m = period(size, windows)
    return max(1, TILE_BYTES // (3 * (n * m) // 2 * (C + K) * itemsize))


def correlate(x: Array, W: Array, windows: Windows, y: Array) -> None:
    """y = G [(F x)·(T W)]."""
    F, T, G = matrices(x.shape[1:3], windows, x)
    waves = backend.matmul(by_row(to_waves(F, x)), kernel_waves(T, W))  # (R, N, K)
    backend.matmul(G, by_row(waves), out=flat_pixels(y))


def spread(y: Array, W: Array, windows: Windows, x: Array) -> None:
    """x = Fᵀ [(Gᵀ y)·(T W)ᵀ]: the gradient of `correlate` with respect to x, given y's."""
    F, T, G = matrices(x.shape[1:3], windows, x)
    waves = backend.matmul(by_row(to_waves(G.T, y)), kernel_waves(T, W).swapaxes(1, 2))  # (R, N, C)
    backend.matmul(F.T, by_row(waves), out=flat_pixels(x))


def correlate_all(x: Array, y: Array, windows: Windows, W: Array) -> None:
    """W = Tᵀ [(F x)ᵀ·(Gᵀ y)]: the gradient of `correlate` with respect to W, given y's."""
    F, T, G = matrices(x.shape[1:3], windows, x)
    waves = backend.matmul(by_row(to_waves(F, x)).swapaxes(1, 2), by_row(to_waves(G.T, y)))  # (R, C, K)
    KH, KW, C, K = W.shape
    backend.matmul(T.T, waves.reshape(len(T), C * K), out=W.reshape(KH * KW, C * K))


def to_waves(F: Array, x: Array) -> Array:
    """(N, H, W, C) → (N, R, C)."""
    return backend.matmul(F, flat_pixels(x))


def kernel_waves(T: Array, W: Array) -> Array:
    """(KH, KW, C, K) → (R, C, K)."""
    KH, KW, C, K = W.shape
    return backend.matmul(T, W.reshape(KH * KW, C * K)).reshape(-1, C, K)


def flat_pixels(x: Array) -> Array:
    """(N, H, W, C) → (N, H·W, C), a view."""
    N, H, W, C = x.shape
    return x.reshape(N, H * W, C)


def by_row(waves: Array) -> Array:
    """(N, R, C) ↔ (R, N, C), a view: a matrix product reads it as it lies."""
    return waves.swapaxes(0, 1)
