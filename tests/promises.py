"""A right layer to be spoilt, and all that the checker says of one that is."""

import numpy as np

from minigan import nn
from minigan.gradcheck import check_gradients


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def reports(layer, in_shape, **options):
    return check_gradients(layer, in_shape=in_shape, **options)


def said(layer, in_shape, **options):
    """All problems of both modes, on one line."""
    return " | ".join(problem for report in reports(layer, in_shape, **options) for problem in report.problems)


class Square(nn.Layer):
    """y = x²; the layer that is spoilt below."""

    def forward(self, x, *, train, rng=None):
        return x * x, x

    def input_grad(self, dy, cache):
        return 2 * dy * cache


class KeepsInput(Square):
    def forward(self, x, *, train, rng=None):
        self.x = x
        return x * x, None

    def input_grad(self, dy, cache):
        return 2 * dy * self.x
