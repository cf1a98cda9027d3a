"""Convolutions: a small kernel of weights that looks at every place of an image, and its adjoint, which draws one.

Both layers are the same three products over the windows of im2col.py, in different roles: Conv2d goes from the larger
image to the smaller, ConvTranspose2d from the smaller to the larger, and each one's backward is the other's forward.
How the products are computed is `plan`'s choice: by im2col, which always works, or where it is cheaper another way.
Below, x is the larger image (N, H, W, C), y the smaller (N, OH, OW, K), W the kernel (KH, KW, C, K).
"""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from types import ModuleType
from typing import Any

from minigan.backend import Array, array_module
from minigan.backend.products import batch_sum
from minigan.errors import ShapeError, truth, whole
from minigan.nn.conv import fourier, im2col, turned
from minigan.nn.conv.windows import (
    Pad,
    Pair,
    Windows,
    check_image_shape,
    padding,
    pair,
    place_windows,
    times,
    whole_sizes,
)
from minigan.nn.dense import add_bias
from minigan.nn.init import Initialiser, glorot_uniform, zeros
from minigan.nn.layer import Grads, Layer, Shape, Specs

#: The ways to the three products, modules that offer the same functions: the first that pays is taken, the last always.
WAYS: tuple[ModuleType, ...] = (fourier, turned, im2col)


def correlate(x: Array, W: Array, windows: Windows) -> Array:
    """y: at each window the sum of what it sees of x, weighted by the kernel."""
    y = array_module(x=x, W=W).empty((len(x), *windows.counts, W.shape[3]), dtype=x.dtype)
    way, tiles = plan(x, y, windows)
    for tile in tiles:
        way.correlate(x[tile], W, windows, y[tile])
    return y


def spread(y: Array, W: Array, size: Shape, windows: Windows) -> Array:
    """x: each value of y stamps the kernel, times itself, on its window. The adjoint of `correlate`."""
    x = array_module(y=y, W=W).empty((len(y), *size, W.shape[2]), dtype=y.dtype)
    way, tiles = plan(x, y, windows)
    for tile in tiles:
        way.spread(y[tile], W, windows, x[tile])
    return x


def correlate_all(x: Array, y: Array, out: Array, windows: Windows) -> None:
    """dW, written into `out` (KH, KW, C, K): how the kernel's places and channels in x went with y's."""
    way, (first, *rest) = plan(x, y, windows)
    way.correlate_all(x[first], y[first], windows, out)
    part = array_module(x=x, y=y).empty_like(out)
    for tile in rest:
        way.correlate_all(x[tile], y[tile], windows, part)
        out += part


def plan(x: Array, y: Array, windows: Windows) -> tuple[ModuleType, list[slice]]:
    """The way to take, and the batch in slices that it can do at once."""
    (N, H, W, C), K = x.shape, y.shape[3]
    way = next(way for way in WAYS if way.pays((H, W), windows, C, K, N))
    limit = way.images_at_once((H, W), windows, C, K, x.itemsize)
    edges = [N * i // -(-N // limit) for i in range(-(-N // limit) + 1)]
    return way, [slice(*ends) for ends in pairwise(edges)]


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
        self.channels = whole(channels, f"{name} needs a whole number of output channels, at least 1", least=1)
        self.kernel, self.stride = whole_sizes(name, "kernel", kernel), whole_sizes(name, "stride", stride)
        self.pad, self.bias = padding(name, pad), truth(bias, f"{name}: bias")
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

    def add_bias(self, y: Array) -> None:
        """y += b, if there is one."""
        if self.bias:
            add_bias(y, self.b, out=y)


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

    each_alone = True
    bilinear = True

    def out_shape(self, in_shape: Shape) -> Shape:
        check_image_shape("Conv2d", in_shape)
        return (*self.windows(in_shape[:2]).counts, self.channels)

    def params(self, in_shape: Shape) -> Specs:
        return self.kernel_params((in_shape[2], self.channels), in_shape[2])

    def forward(self, x: Array, *, train: bool, rng: Any = None) -> tuple[Array, Array]:
        y = self.tangent(x, x)
        self.add_bias(y)
        return y, x  # dW needs x; its columns are KH·KW times as large, and cheaper to make again than to keep

    def tangent(self, dx: Array, cache: Array) -> Array:
        return correlate(dx, self.W, self.windows(dx.shape[1:3]))

    def input_grad(self, dy: Array, cache: Array) -> Array:
        size = cache.shape[1:3]
        return spread(dy, self.W, size, self.windows(size))

    def param_grads(self, dy: Array, cache: Array, grads: Grads) -> None:
        correlate_all(cache, dy, grads["W"], self.windows(cache.shape[1:3]))
        if self.bias:
            grads["b"][...] = batch_sum(dy)


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

    each_alone = True
    bilinear = True

    def out_shape(self, in_shape: Shape) -> Shape:
        check_image_shape("ConvTranspose2d", in_shape)
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
        y = self.tangent(x, x)
        self.add_bias(y)
        return y, x  # dW needs x; dx needs only W

    def tangent(self, dx: Array, cache: Array) -> Array:
        size = self.out_size(dx.shape[1:3])
        return spread(dx, self.W, size, self.windows(size))

    def input_grad(self, dy: Array, cache: Array) -> Array:
        return correlate(dy, self.W, self.windows(dy.shape[1:3]))

    def param_grads(self, dy: Array, cache: Array, grads: Grads) -> None:
        correlate_all(dy, cache, grads["W"], self.windows(dy.shape[1:3]))
        if self.bias:
            grads["b"][...] = batch_sum(dy)
