"""A layer with two mistakes in its backward, for the chapter on checking gradients."""

import numpy as np

from minigan import nn


class MyLayer(nn.Layer):
    """y = tanh(x g), with a weight g for each feature."""

    def params(self, in_shape):
        return {"g": (in_shape, nn.init.ones)}

    def forward(self, x, *, train, rng=None):
        y = np.tanh(x * self.g)
        return y, (x, y)

    def input_grad(self, dy, cache):
        _, y = cache
        return dy * (1 - y * y)

    def param_grads(self, dy, cache, grads):
        x, y = cache
        grads["g"][...] = (dy * (1 - y * y) * x).mean(axis=0)
