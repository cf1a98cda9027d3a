"""Elementwise layers, gates and softmaxes that minigan does not have."""

import math

import numpy as np

from corpus.case import right, sigmoid, softmax, through_softmax, wrong
from minigan.nn.init import normal
from minigan.nn.layer import Layer


class Elementwise(Layer):
    """y = f(x) with dx = dy·f′(x); what subclasses give is `f` and `slope`."""

    def forward(self, x, *, train, rng=None):
        return self.f(x), x

    def input_grad(self, dy, cache):
        return dy * self.slope(cache)


@right((3, 4), "a slope for each feature, shared by all positions")
class PReLU(Layer):
    kinks = (0.0,)

    def params(self, in_shape):
        return {"slope": (in_shape[-1:], normal(0.3))}

    def forward(self, x, *, train, rng=None):
        return np.where(x > 0, x, self.slope * x), x

    def input_grad(self, dy, cache):
        return np.where(cache > 0, dy, self.slope * dy)

    def param_grads(self, dy, cache, grads):
        grads["slope"][...] = (dy * np.minimum(cache, 0)).sum(axis=tuple(range(dy.ndim - 1)))


@wrong((3, 4), "the shared slope's gradient is summed over the batch, but averaged over the positions")
class PReLUMean(PReLU):
    def param_grads(self, dy, cache, grads):
        grads["slope"][...] = (dy * np.minimum(cache, 0)).sum(axis=0).mean(axis=0)


@right((7,), "the approximation by tanh, with its own derivative")
class GELU(Elementwise):
    cubic = 3

    def inner(self, x):
        return np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))

    def f(self, x):
        return 0.5 * x * (1 + self.inner(x))

    def slope(self, x):
        t = self.inner(x)
        inner_slope = math.sqrt(2 / math.pi) * (1 + self.cubic * 0.044715 * x**2)
        return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner_slope


@wrong((7,), "the derivative of the cubic term has a 2 for its 3: small near 0")
class GELUCubic(GELU):
    cubic = 2


@wrong((7,), "NumPy's √(2/π) is a float64: a float32 network's output is float64")
class GELUPromotes(GELU):
    def inner(self, x):
        return np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))


@right((8,), "a plain x·sigmoid(x)")
class SiLU(Elementwise):
    def f(self, x):
        return x * sigmoid(x)

    def slope(self, x):
        s = sigmoid(x)
        return s * (1 + x * (1 - s))


@wrong((30,), "beyond 1.5 the slope is taken for 1, as it is beyond 20")
class SiLUSaturated(SiLU):
    def slope(self, x):
        return np.where(x > 1.5, 1.0, super().slope(x)).astype(x.dtype)


@right((6,), "written so that it does not overflow")
class Softplus(Elementwise):
    def f(self, x):
        return np.logaddexp(2 * x, 0) / 2

    def slope(self, x):
        return sigmoid(2 * x)


@wrong((6,), "the sharpness is in forward only")
class SoftplusSharpness(Softplus):
    def slope(self, x):
        return sigmoid(x)


@right((6,), "another slope on either side of 0")
class ELU(Layer):
    alpha, kinks = 0.7, (0.0,)

    def forward(self, x, *, train, rng=None):
        y = np.where(x > 0, x, self.alpha * np.expm1(np.minimum(x, 0)))
        return y, y

    def input_grad(self, dy, cache):
        return np.where(cache > 0, dy, dy * (cache + self.alpha))


@wrong((6,), "y + 1 for y + α: wrong for negative inputs only")
class ELUNegative(ELU):
    def input_grad(self, dy, cache):
        return np.where(cache > 0, dy, dy * (cache + 1))


@right((8,), "flat on both sides")
class HardTanh(Layer):
    kinks = (-1.0, 1.0)

    def forward(self, x, *, train, rng=None):
        return np.clip(x, -1, 1), x

    def input_grad(self, dy, cache):
        return dy * (np.abs(cache) < 1)


@wrong((8,), "the gradient passes where the upper bound was cut off")
class HardTanhUpper(HardTanh):
    def input_grad(self, dy, cache):
        return dy * (cache > -1)


@right((8,), "mixed in a learned share with the identity")
class Swish(Layer):
    def params(self, in_shape):
        return {"beta": ((1,), normal(1.0))}

    def forward(self, x, *, train, rng=None):
        s = sigmoid(self.beta * x)
        return x * s, (x, s)

    def input_grad(self, dy, cache):
        x, s = cache
        return dy * s * (1 + self.beta * x * (1 - s))

    def param_grads(self, dy, cache, grads):
        x, s = cache
        grads["beta"][...] = (dy * x * x * s * (1 - s)).sum()


@right((6,), "the constants of LeCun, the same in both directions")
class ScaledTanh(Elementwise):
    slope_at_0 = 1.7159 * 2 / 3

    def f(self, x):
        return 1.7159 * np.tanh(2 / 3 * x)

    def slope(self, x):
        return self.slope_at_0 * (1 - np.tanh(2 / 3 * x) ** 2)


@wrong((6,), "the product of the constants is rounded: off by 3e-6")
class ScaledTanhRounded(ScaledTanh):
    slope_at_0 = 1.14393


@right((5,), "a softmax that may answer nothing: the maximum cancels, in forward as well")
class QuietSoftmax(Layer):
    def forward(self, x, *, train, rng=None):
        top = np.maximum(x.max(axis=-1, keepdims=True), 0)
        e = np.exp(x - top)
        y = e / (np.exp(-top) + e.sum(axis=-1, keepdims=True))
        return y, y

    def input_grad(self, dy, cache):
        return through_softmax(dy, cache)


@wrong((5,), "with 1 for exp(-max) in forward, the maximum does not cancel, and backward takes it for a constant")
class QuietSoftmaxDetached(QuietSoftmax):
    def forward(self, x, *, train, rng=None):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        y = e / (1 + e.sum(axis=-1, keepdims=True))
        return y, y


@right((3, 4), "along the middle axis")
class ColumnSoftmax(Layer):
    def forward(self, x, *, train, rng=None):
        y = softmax(x, axis=1)
        return y, y

    def input_grad(self, dy, cache):
        return through_softmax(dy, cache, axis=1)


@wrong((4,), "Σ dy is the mean over the features, off by their number")
class LogSoftmax(Layer):
    def forward(self, x, *, train, rng=None):
        y = x - np.logaddexp.reduce(x, axis=-1, keepdims=True)
        return y, y

    def input_grad(self, dy, cache):
        return dy - np.exp(cache) * dy.mean(axis=-1, keepdims=True)


@right((3, 6), "one half of the features opens and shuts the other")
class GLU(Layer):
    def out_shape(self, in_shape):
        return (*in_shape[:-1], in_shape[-1] // 2)

    def forward(self, x, *, train, rng=None):
        a, b = np.split(x, 2, axis=-1)
        gate = sigmoid(b)
        return a * gate, (a, gate)

    def input_grad(self, dy, cache):
        a, gate = cache
        return np.concatenate([dy * gate, dy * a * gate * (1 - gate)], axis=-1)


@wrong((3, 6), "the two halves are put together the other way round")
class GLUSwapped(GLU):
    def input_grad(self, dy, cache):
        return np.roll(super().input_grad(dy, cache), dy.shape[-1], axis=-1)


@wrong((6,), "at inference the slope is that of training's noise-free tanh, although forward is clipped there")
class ClippedAtInference(Layer):
    """tanh in training; at inference its cheap stand-in, a clipped line."""

    def forward(self, x, *, train, rng=None):
        return (np.tanh(x) if train else np.clip(x, -1, 1)), x

    def input_grad(self, dy, cache):
        return dy * (1 - np.tanh(cache) ** 2)


@right((5,), "turns so fast that a step of 1e-4 is a whole radian")
class FastSine(Elementwise):
    def f(self, x):
        return np.sin(1e4 * x)

    def slope(self, x):
        return 1e4 * np.cos(1e4 * x)


@right((6,), "steps: the gradient is zero, and rightly so")
class Rounded(Layer):
    def forward(self, x, *, train, rng=None):
        return np.rint(x), None

    def input_grad(self, dy, cache):
        return np.zeros_like(dy)


@right((6,), "outputs of the size 1e-9")
class Faint(Elementwise):
    def f(self, x):
        return 1e-9 * np.tanh(x)

    def slope(self, x):
        return 1e-9 * (1 - np.tanh(x) ** 2)
