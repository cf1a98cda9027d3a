"""Upsample2d: an image made larger by repeating its pixels."""

from __future__ import annotations

from typing import Any

from minigan.backend import Array, array_module
from minigan.nn.conv.windows import Pair, check_image_shape, pair, whole_sizes
from minigan.nn.layer import Layer, Shape


class Upsample2d(Layer):
    """y[p, q, c] = x[⌊p / a⌋, ⌊q / b⌋, c] with the scale (a, b): each pixel becomes a block of a×b (nearest neighbour).

    Shapes: x (N, H, W, C), y (N, a·H, b·W, C).
    Gradient: dx is the sum of dy over each block.
    `scale`: one number or (a, b). With a convolution after it, it grows an image as ConvTranspose2d does, but evenly:
    see Odena, Dumoulin & Olah, "Deconvolution and checkerboard artifacts", 2016.
    Raises ArgumentError for a scale that is not whole, or below 1; ShapeError for an input that is no image.
    """

    each_alone = True
    straight = True

    def __init__(self, scale: int | Pair):
        self.scale = whole_sizes("Upsample2d", "scale", scale)

    def out_shape(self, in_shape: Shape) -> Shape:
        check_image_shape("Upsample2d", in_shape)
        (H, W, C), (a, b) = in_shape, pair(self.scale)
        return (a * H, b * W, C)

    def forward(self, x: Array, *, train: bool, rng: Any = None) -> tuple[Array, Shape]:
        (N, H, W, C), (a, b) = x.shape, pair(self.scale)
        y = array_module(x).empty((N, H, a, W, b, C), dtype=x.dtype)
        y[...] = x[:, :, None, :, None]
        return y.reshape(N, a * H, b * W, C), x.shape

    def input_grad(self, dy: Array, cache: Shape) -> Array:
        (N, H, W, C), (a, b) = cache, pair(self.scale)
        return dy.reshape(N, H, a, W, b, C).sum(axis=(2, 4))

    def tangent(self, dx: Array, cache: Shape) -> Array:
        return self.forward(dx, train=True)[0]  # as linear as a copy
