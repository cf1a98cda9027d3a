"""Convolutions: a small kernel of weights that looks at every place of an image, and its adjoint, which draws one.

Both layers are the same three matrix products over the windows of im2col.py, in different roles: Conv2d goes from the
larger image to the smaller, ConvTranspose2d from the smaller to the larger, and each one's backward is the other's
forward. Below, x is the larger image (N, H, W, C), y the smaller (N, OH, OW, K), W the kernel (KH, KW, C, K).
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from minigan import backend
from minigan.backend import Array, array_module
from minigan.errors import ArgumentError, ShapeError
from minigan.nn.im2col import (
    Pad,
    Pair,
    Windows,
    check_images,
    check_pad,
    check_sizes,
    col2im,
    im2col,
    pair,
    place_windows,
    tiles,
    times,
)
from minigan.nn.init import Initialiser, glorot_uniform, zeros
from minigan.nn.layer import Grads, Layer, Shape, Specs, rows


def correlate(x: Array, W: Array, windows: Windows) -> Array:
    """y = im2col(x) W: at each window the sum of what it sees, weighted by the kernel."""
    C, K = W.shape[2:]
    y = array_module(x=x, W=W).empty((len(x), *windows.counts, K), x.dtype)
    for tile in tiles(len(x), windows, C, x.itemsize):
        backend.matmul(im2col(x[tile], windows), W.reshape(-1, K), out=rows(y[tile]))
    return y


def spread(y: Array, W: Array, size: Shape, windows: Windows) -> Array:
    """x = col2im(y Wᵀ): each value of y stamps the kernel, times itself, on its window. The adjoint of `correlate`."""
    C, K = W.shape[2:]
    x = array_module(y=y, W=W).empty((len(y), *size, C), y.dtype)
    for tile in tiles(len(y), windows, C, y.itemsize):
        x[tile] = col2im(backend.matmul(rows(y[tile]), W.reshape(-1, K).T), size, windows)
    return x


def correlate_all(x: Array, y: Array, out: Array, windows: Windows) -> None:
    """dW = im2col(x)ᵀ y, written into `out` (KH, KW, C, K): how the kernel's places and channels went with y's."""
    K = y.shape[-1]
    dW, part = out.reshape(-1, K), array_module(x=x, y=y).empty_like(out).reshape(-1, K)
    for tile in tiles(len(x), windows, x.shape[-1], x.itemsize):
        product = backend.matmul(im2col(x[tile], windows).T, rows(y[tile]), out=part if tile.start else dW)
        if tile.start:
            dW += product


class Convolution(Layer):
    """What the two layers share: sizes, weights, bias."""

    def __init__(
        self,
        channels: int,
        kernel: int | Pair,
        *,
        stride: int | Pair = 1,
        pad: Pad = 0,
        bias: bool = True,
        init_W: Initialiser = glorot_uniform,
        init_b: Initialiser = zeros,
    ):
        name = type(self).__name__
        if not isinstance(channels, int) or channels < 1:
            raise ArgumentError(f"{name} needs a whole number of output channels, at least 1, got {channels}")
        check_sizes(name, "kernel", kernel)
        check_sizes(name, "stride", stride)
        check_pad(name, pad)
        self.channels, self.kernel, self.stride, self.pad, self.bias = channels, kernel, stride, pad, bias
        self.init_W, self.init_b = init_W, init_b
        self.W: Array
        self.b: Array

    def windows(self, size: Shape) -> Windows:
        """The windows on the larger image, of `size` (H, W)."""
        return place_windows(size, self.kernel, self.stride, self.pad)

    def kernel_params(self, ends: Pair, C: int) -> Specs:
        """W (KH, KW, *ends) and b (channels,). A unit has KH·KW inputs from each of C channels."""
        area = math.prod(pair(self.kernel))
        fans = {"fan_in": area * C, "fan_out": area * self.channels}
        W = {"W": ((*pair(self.kernel), *ends), partial(self.init_W, **fans))}
        return {**W, "b": ((self.channels,), partial(self.init_b, **fans))} if self.bias else W


class Conv2d(Convolution):
    """y[p, q, k] = b[k] + Σ over i, j, c of W[i, j, c, k] · x[p·SH + i - above, q·SW + j - left, c], for each image.

    (x is 0 outside the image. As in PyTorch and Keras the kernel is not flipped: strictly, a cross-correlation.)
    Shapes: x (N, H, W, C), W (KH, KW, C, K), b (K,), y (N, OH, OW, K), with OH and OW as in `place_windows`.
    Gradient: with X = im2col(x), a matrix, y = X W: so dW = Xᵀ dy, dx = col2im(dy Wᵀ), db = Σ dy over N, OH and OW.
    `kernel` and `stride`: one number or (height, width). `pad`: zeros on each side: one number, (above and below, left
    and right), ((above, below), (left, right)), or "same" (OH = ⌈H / SH⌉, TensorFlow's rule).
    Raises ArgumentError for impossible sizes, ShapeError for an input that is no image or too small for the kernel.
    Source: LeCun et al., "Backpropagation applied to handwritten zip code recognition", 1989.
    """

    def out_shape(self, in_shape: Shape) -> Shape:
        check_images("Conv2d", in_shape)
        return (*self.windows(in_shape[:2]).counts, self.channels)

    def params(self, in_shape: Shape) -> Specs:
        return self.kernel_params((in_shape[2], self.channels), in_shape[2])

    def forward(self, x: Array, *, train: bool, rng: Any = None) -> tuple[Array, Array]:
        y = correlate(x, self.W, self.windows(x.shape[1:3]))
        if self.bias:
            y += self.b
        return y, x  # dW needs x; its columns are KH·KW times as large, and cheaper to make again than to keep

    def input_grad(self, dy: Array, cache: Array) -> Array:
        size = cache.shape[1:3]
        return spread(dy, self.W, size, self.windows(size))

    def param_grads(self, dy: Array, cache: Array, grads: Grads) -> None:
        correlate_all(cache, dy, grads["W"], self.windows(cache.shape[1:3]))
        if self.bias:
            rows(dy).sum(axis=0, out=grads["b"])


class ConvTranspose2d(Convolution):
    """The adjoint of a Conv2d from K channels to C with the same kernel: every input value stamps the kernel on y.

    y[p·SH + i - above, q·SW + j - left, k] += W[i, j, k, c] · x[p, q, c] over all p, q, i, j, c; then b[k] is added. So
    ⟨conv(a), x⟩ = ⟨a, y⟩ for every image a, and an image grows by the stride: the layer that draws in a generator.
    Shapes: x (N, H, W, C), W (KH, KW, K, C), b (K,), y (N, OH, OW, K) with OH = (H - 1)·SH + KH - above - below, and
    likewise OW; with pad="same" OH = H·SH. (`pad` cuts off here what the convolution pads.)
    Gradient: those of Conv2d with x and y exchanged: dx = im2col(dy) W, dW = im2col(dy)ᵀ x, db = Σ dy.
    Raises ArgumentError for impossible sizes, ShapeError for an input that is no image, or if `pad` leaves nothing.
    Source: Dumoulin & Visin, "A guide to convolution arithmetic for deep learning", 2016, chapter 4.
    """

    def out_shape(self, in_shape: Shape) -> Shape:
        check_images("ConvTranspose2d", in_shape)
        return (*self.out_size(in_shape[:2]), self.channels)

    def out_size(self, size: Shape) -> Pair:
        """(OH, OW) for an input of `size` (H, W)."""
        kernel, stride = pair(self.kernel), pair(self.stride)
        if self.pad == "same":
            return size[0] * stride[0], size[1] * stride[1]
        whole = [(n - 1) * s + k for n, k, s in zip(size, kernel, stride, strict=True)]
        H, W = (n - sum(pair(sides)) for n, sides in zip(whole, pair(self.pad), strict=True))
        if H < 1 or W < 1:
            raise ShapeError(
                f"the kernel's {times(kernel)} stamps fill {times(whole)}, and pad={self.pad} cuts off {times(whole)} "
                f"or more of it; leave at least 1×1: pad less than {min(whole)} in all"
            )
        return H, W

    def params(self, in_shape: Shape) -> Specs:
        return self.kernel_params((self.channels, in_shape[2]), in_shape[2])

    def forward(self, x: Array, *, train: bool, rng: Any = None) -> tuple[Array, Array]:
        size = self.out_size(x.shape[1:3])
        y = spread(x, self.W, size, self.windows(size))
        if self.bias:
            y += self.b
        return y, x  # dW needs x; dx needs only W

    def input_grad(self, dy: Array, cache: Array) -> Array:
        return correlate(dy, self.W, self.windows(dy.shape[1:3]))

    def param_grads(self, dy: Array, cache: Array, grads: Grads) -> None:
        correlate_all(dy, cache, grads["W"], self.windows(dy.shape[1:3]))
        if self.bias:
            rows(dy).sum(axis=0, out=grads["b"])
