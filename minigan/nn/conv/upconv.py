"""UpsampleConv2d: an image made larger and convolved, in one layer, without ever making the larger image.

Letters as in layers.py; S the scale, a and b the rows and columns 0…S-1 within a block of the larger image.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minigan import backend
from minigan.backend import Array, array_module, share
from minigan.backend.products import batch_sum
from minigan.nn.conv.layers import Convolution, correlate, correlate_all, spread
from minigan.nn.conv.windows import Pair, Windows, check_image_shape, pair, place_windows, whole_sizes
from minigan.nn.init import Initialiser, glorot_uniform, zeros
from minigan.nn.layer import Grads, Shape, Specs


class Phases(NamedTuple):
    """Along one axis: through which window of the small image each of the S pixels of a block looks, and how."""

    starts: list[int]  # S: in the first block; in the next one each is one further
    merge: np.ndarray  # (S, T, k): 1 where place i of the kernel falls on place t of the window, else 0
    pad: Pair  # zeros before and after the small image


@lru_cache(maxsize=64)
def phases(kernel: int, scale: int) -> Phases:
    """Pixel a of block 0 is y[a] = Σ W[i]·x[⌊(a + i - before) / S⌋] over i, with `before` as in pad="same"."""
    before = (kernel - 1) // 2
    seen = np.array([[(a + i - before) // scale for i in range(kernel)] for a in range(scale)])
    starts, lowest, T = seen[:, 0], seen.min(), (seen[:, -1] - seen[:, 0]).max() + 1
    merge = (seen - starts[:, None])[:, None] == np.arange(T)[:, None]
    merge = merge.astype(float)
    merge.flags.writeable = False  # one for all
    return Phases((starts - lowest).tolist(), merge, (int(-lowest), int(starts.max() + T - 1)))


class UpsampleConv2d(Convolution):
    """Upsample2d(S), then Conv2d(channels, kernel, pad="same"), with half of the products (S = 2, kernel 3).

    Neighbours in the larger image are often copies of one pixel. Where several places of the kernel fall on copies, one
    weight does, their sum: the pixel (a, b) of every block sees the small image through a smaller kernel V_ab, whose
    weights are sums of W's. So: merge W into the S² small kernels, take them for the channels of one convolution of the
    small image, and put each one's output in its place in the blocks.
    Shapes: x (N, H, W, C), W (KH, KW, C, K), b (K,), y (N, S·H, S·W, K). `scale`: one number or (S for rows, columns).
    Gradient: that of the convolution with V, and dW[i, j] is the sum of dV wherever W[i, j] went.
    Raises ArgumentError for impossible sizes, ShapeError for an input that is no image.
    Source: Odena, Dumoulin & Olah, "Deconvolution and checkerboard artifacts", 2016, for the two layers; the merging is
    that of Shi et al., "Is the deconvolution layer the same as a convolutional layer?", 2016, in reverse.
    """

    each_alone = True
    bilinear = True

    def __init__(
        self,
        channels: int,
        kernel: int | Pair,
        *,
        scale: int | Pair = 2,
        bias: bool = True,
        init_W: Initialiser = glorot_uniform,
        init_b: Initialiser = zeros,
    ):
        super().__init__(channels, kernel, pad="same", bias=bias, init_W=init_W, init_b=init_b)
        self.scale = whole_sizes("UpsampleConv2d", "scale", scale)

    def out_shape(self, in_shape: Shape) -> Shape:
        check_image_shape("UpsampleConv2d", in_shape)
        (H, W), (SH, SW) = in_shape[:2], pair(self.scale)
        return (SH * H, SW * W, self.channels)

    def params(self, in_shape: Shape) -> Specs:
        return self.kernel_params((in_shape[2], self.channels), in_shape[2])

    def forward(self, x: Array, *, train: bool, rng: Any = None) -> tuple[Array, Array]:
        return self.drawn(x, self.b if self.bias else 0), x

    def tangent(self, dx: Array, cache: Array) -> Array:
        return self.drawn(dx, 0)

    def drawn(self, x: Array, b: Array | float) -> Array:
        """The larger image's convolution, and b."""
        xp = array_module(x)
        y = xp.empty((len(x), *self.out_shape(x.shape[1:])), dtype=x.dtype)
        z = correlate(x, self.merged(), self.small_windows(x.shape[1:3]))

        def draw(images: slice) -> None:
            for seen, place in self.pairs(z[images], y[images]):
                xp.add(seen, b, out=place)

        share(draw, y)
        return y

    def input_grad(self, dy: Array, cache: Array) -> Array:
        size = cache.shape[1:3]
        return spread(self.gather(dy, size), self.merged(), size, self.small_windows(size))

    def param_grads(self, dy: Array, cache: Array, grads: Grads) -> None:
        size = cache.shape[1:3]
        windows, dz = self.small_windows(size), self.gather(dy, size)
        dV = array_module(dy).empty((*windows.kernel, cache.shape[3], dz.shape[3]), dtype=dy.dtype)
        correlate_all(cache, dz, dV, windows)
        self.unmerge(dV, grads["W"])
        if self.bias:
            grads["b"][...] = batch_sum(dy)

    # The small image's windows, and where their outputs belong -------------------------------------------------------

    def axes(self) -> list[Phases]:
        """The phases of the rows and of the columns."""
        return [phases(k, s) for k, s in zip(pair(self.kernel), pair(self.scale), strict=True)]

    def small_windows(self, size: Shape) -> Windows:
        """The windows of the merged kernels on the small image, of `size` (H, W)."""
        down, across = self.axes()
        return place_windows(size, (down.merge.shape[1], across.merge.shape[1]), 1, (down.pad, across.pad))

    def merging(self) -> Array:
        """M (TH·TW·SH·SW, KH·KW), of zeros and ones: V = M W."""
        down, across = self.axes()
        M = np.einsum("ati,buj->tuabij", down.merge, across.merge)
        return backend.to_device(M.reshape(-1, math.prod(M.shape[4:])).astype(self.W.dtype), backend.device_of(self.W))

    def merged(self) -> Array:
        """V (TH, TW, C, SH·SW·K): a small kernel for each pixel of a block."""
        KH, KW, C, K = self.W.shape
        V = backend.matmul(self.merging(), self.W.reshape(KH * KW, C * K))
        TH, TW = self.small_windows((KH, KW)).kernel
        return V.reshape(TH, TW, -1, C, K).swapaxes(2, 3).reshape(TH, TW, C, -1)

    def unmerge(self, dV: Array, dW: Array) -> None:
        """dW = Mᵀ dV: the adjoint of `merged`."""
        (TH, TW, C, _), (KH, KW, _, K) = dV.shape, dW.shape
        dV = dV.reshape(TH, TW, C, -1, K).swapaxes(2, 3).reshape(-1, C * K)
        backend.matmul(self.merging().T, dV, out=dW.reshape(KH * KW, C * K))

    def pairs(self, z: Array, y: Array) -> Iterator[tuple[Array, Array]]:
        """For each pixel of a block: what the windows say of it (a view of z), and its places in the image (of y)."""
        (SH, SW), (down, across) = pair(self.scale), self.axes()
        N, H, W, K = len(y), y.shape[1] // SH, y.shape[2] // SW, y.shape[3]
        z, y = z.reshape(*z.shape[:3], SH, SW, K), y.reshape(N, H, SH, W, SW, K)
        for a, p in enumerate(down.starts):
            for b, q in enumerate(across.starts):
                yield z[:, p : p + H, q : q + W, a, b], y[:, :, a, :, b]

    def gather(self, dy: Array, size: Shape) -> Array:
        """dz, the gradient with respect to what the windows said: dy in its places, 0 where no pixel looked."""
        channels = math.prod(pair(self.scale)) * dy.shape[3]
        dz = array_module(dy).zeros((len(dy), *self.small_windows(size).counts, channels), dtype=dy.dtype)

        def take(images: slice) -> None:
            for seen, drawn in self.pairs(dz[images], dy[images]):
                seen[...] = drawn

        share(take, dz)
        return dz
