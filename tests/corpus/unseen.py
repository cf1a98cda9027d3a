"""Mistakes that no check from outside sees at ordinary random inputs: examples for the documentation."""

import numpy as np

from corpus.norms import Centring
from minigan.nn import Dense
from minigan.nn.layer import Layer


class FarAway(Layer):
    """The slope is wrong beyond 8, where no random input comes."""

    def forward(self, x, *, train, rng=None):
        return np.tanh(x), x

    def input_grad(self, dy, cache):
        return dy * np.where(cache > 8, 1, 1 - np.tanh(cache) ** 2).astype(dy.dtype)


class AnotherFunction(Layer):
    """A cosine was meant, and a sine is computed: with its own right derivative."""

    def forward(self, x, *, train, rng=None):
        return np.sin(x), x

    def input_grad(self, dy, cache):
        return dy * np.cos(cache)


class LargeBatch(Layer):
    """Beyond 1,000 examples those after the first 1,000 get no gradient."""

    def forward(self, x, *, train, rng=None):
        return x * x, x

    def input_grad(self, dy, cache):
        dx = np.zeros_like(dy)
        dx[:1000] = (2 * dy * cache)[:1000]
        return dx


class BelowTheTolerance(Layer):
    """Off by one part in 10⁹."""

    def forward(self, x, *, train, rng=None):
        return np.tanh(x), np.tanh(x)

    def input_grad(self, dy, cache):
        return dy * (1 - cache**2) * (1 + 1e-9)


class ExactlyOnTheEdge(Layer):
    """The slope at the very bound is 2, more than on either side; no random input is exactly 1."""

    kinks = (1.0,)

    def forward(self, x, *, train, rng=None):
        return np.minimum(x, 1), x

    def input_grad(self, dy, cache):
        return dy * ((cache < 1) + 2 * (cache == 1)).astype(dy.dtype)


class SwappedDecay(Centring):
    """The running mean keeps a fifth of what it held, where four fifths were meant: still an average."""

    def update_buffers(self, cache):
        self.running *= 1 - self.decay
        self.running += self.decay * cache


class UnreadInTraining(Centring):
    """The running mean has the wrong sign, and training, which leaves x as it is, has nothing to hold it against."""

    def forward(self, x, *, train, rng=None):
        scale = np.ones_like(x[0]) if train else 1 + self.running * self.running
        return x / scale, (scale, x.mean(axis=0))

    def input_grad(self, dy, cache):
        return dy / cache[0]

    def update_buffers(self, cache):
        self.running *= self.decay
        self.running -= (1 - self.decay) * cache[1]


class OneOfThousands(Dense):
    """A single entry of 4,000 is too large by 1e-5, and so large an array is compared along a few directions."""

    def __init__(self):
        super().__init__(1000)

    def param_grads(self, dy, cache, grads):
        super().param_grads(dy, cache, grads)
        grads["W"][1, 7] *= 1 + 1e-5


UNSEEN = [
    FarAway,
    AnotherFunction,
    LargeBatch,
    BelowTheTolerance,
    ExactlyOnTheEdge,
    SwappedDecay,
    UnreadInTraining,
    OneOfThousands,
]
