"""More of what `Layer` promises: broken in one combination only, or kept in a way that is easily taken for a breach."""

import numpy as np

from corpus.breaches import Scaled
from corpus.case import right, sigmoid, wrong
from corpus.norms import Centring, standardise, through_statistics
from minigan.errors import ArgumentError, ShapeError
from minigan.nn.init import normal, ones, zeros
from minigan.nn.layer import Layer


@wrong((4,), "accumulate is kept to, unless the input's gradient is not asked for")
class AccumulatesSometimes(Scaled):
    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        return super().backward(
            dy,
            cache,
            need_param_grads=need_param_grads,
            need_input_grad=need_input_grad,
            accumulate=accumulate and need_input_grad,
        )


@wrong((5,), "frozen, dx leaves out what is worked out with the parameters' gradients")
class FrozenHalf(Layer):
    """y = x·σ(x·s)."""

    def params(self, in_shape):
        return {"s": (in_shape, normal(1.0))}

    def forward(self, x, *, train, rng=None):
        return x * sigmoid(x * self.s), x

    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        gate = sigmoid(cache * self.s)
        through_gate = dy * cache * gate * (1 - gate)
        if need_param_grads:
            ds = (through_gate * cache).sum(axis=0)
            self.grads["s"][...] = self.grads["s"] + ds if accumulate else ds
            return dy * gate + through_gate * self.s if need_input_grad else None
        return dy * gate if need_input_grad else None


@wrong((4,), "the first batch's size is kept for good")
class FirstBatch(Layer):
    def forward(self, x, *, train, rng=None):
        self.n = vars(self).get("n", len(x))
        return np.tanh(x) / len(x) if train else np.tanh(x), (x, train)

    def input_grad(self, dy, cache):
        x, train = cache
        return dy * (1 - np.tanh(x) ** 2) / (self.n if train else 1)


@wrong((4,), "backward alone promotes: dx of a float32 network is float64")
class PromotesBackward(Layer):
    def forward(self, x, *, train, rng=None):
        return x / 2, x.shape[1]

    def input_grad(self, dy, cache):
        return dy / np.sqrt(np.float64(cache))


@wrong((4,), "update_buffers adds and forgets nothing: the buffer grows with every step")
class CentringAdds(Centring):
    def update_buffers(self, cache):
        self.running += (1 - self.decay) * cache


@wrong((4,), "inference moves the buffer")
class CentringAtInference(Centring):
    def forward(self, x, *, train, rng=None):
        y, mean = super().forward(x, train=train, rng=rng)
        if not train:
            self.running[...] = self.decay * self.running + (1 - self.decay) * x.mean(axis=0)
        return y, mean


@wrong((6,), "dy is rounded to eight decimals: right for a dy of the size 1")
class RoundsUpstream(Layer):
    def forward(self, x, *, train, rng=None):
        return np.tanh(x), np.tanh(x)

    def input_grad(self, dy, cache):
        return np.round(dy, 8) * (1 - cache * cache)


@wrong((6,), "1e-9 is added so that no gradient is 0")
class Jitter(Layer):
    def forward(self, x, *, train, rng=None):
        return np.tanh(x), np.tanh(x)

    def input_grad(self, dy, cache):
        return dy * (1 - cache * cache) + 1e-9


@wrong((6,), "training's mask stays on the layer, and an inference in flight is masked by it")
class RemembersMask(Layer):
    mask = None

    def forward(self, x, *, train, rng=None):
        if not train:
            return x, None
        self.mask = (rng.uniform(x.shape) < 0.5) * x.dtype.type(2)
        return x * self.mask, None

    def input_grad(self, dy, cache):
        return dy if self.mask is None else dy * self.mask


@wrong((4,), "of features that are six orders of magnitude apart the smallest one's gradient is twice too large")
class DecadesSmallest(Layer):
    sizes = (1.0, 1e-2, 1e-4, 1e-6)

    def forward(self, x, *, train, rng=None):
        return x * np.array(self.sizes, x.dtype), None

    def input_grad(self, dy, cache):
        return dy * np.array((*self.sizes[:-1], 2e-6), dy.dtype)


@right((4,), "features that are six orders of magnitude apart")
class Decades(DecadesSmallest):
    def input_grad(self, dy, cache):
        return dy * np.array(self.sizes, dy.dtype)


@right((4,), "refuses a batch of one in training, as it must")
class NeedsTwo(Layer):
    def buffers(self, in_shape):
        return {"mean": (in_shape, zeros), "var": (in_shape, ones)}

    def forward(self, x, *, train, rng=None):
        if not train:
            return (x - self.mean) / np.sqrt(self.var + 1e-5), (None, 1 / np.sqrt(self.var + 1e-5), x)
        if len(x) < 2:
            raise ShapeError(f"NeedsTwo needs at least 2 examples in training, got {len(x)}")
        x_hat, inv_std = standardise(x, 0)
        return x_hat, (x_hat, inv_std, x)

    def input_grad(self, dy, cache):
        x_hat, inv_std, _ = cache
        return dy * inv_std if x_hat is None else through_statistics(dy, x_hat, inv_std, 0)

    def update_buffers(self, cache):
        self.mean[...] = 0.9 * self.mean + 0.1 * cache[2].mean(axis=0)
        self.var[...] = 0.9 * self.var + 0.1 * cache[2].var(axis=0, ddof=1)


@right((5,), "the cache is a function")
class ClosureCache(Layer):
    def forward(self, x, *, train, rng=None):
        y = np.tanh(x)
        return y, lambda dy: dy * (1 - y * y)

    def input_grad(self, dy, cache):
        return cache(dy)


@right((5, 2), "the answer is a view of the input")
class Crop(Layer):
    def out_shape(self, in_shape):
        return in_shape[0] - 3, in_shape[1]

    def forward(self, x, *, train, rng=None):
        return x[:, 1:-2], x.shape

    def input_grad(self, dy, cache):
        dx = np.zeros(cache, dy.dtype)
        dx[:, 1:-2] = dy
        return dx


@right((4,), "a fixed table among the buffers, which nothing moves")
class FixedProjection(Layer):
    def out_shape(self, in_shape):
        return (3,)

    def buffers(self, in_shape):
        return {"table": ((in_shape[0], 3), normal(1.0))}

    def forward(self, x, *, train, rng=None):
        y = np.cos(x @ self.table)
        return y, x

    def input_grad(self, dy, cache):
        return (-dy * np.sin(cache @ self.table)) @ self.table.T


@right((4,), "an average that is freed of its start by a count: nothing is known before the first step")
class Debiased(Layer):
    def buffers(self, in_shape):
        return {"average": (in_shape, zeros), "known": ((1,), zeros)}

    def forward(self, x, *, train, rng=None):
        if train:
            return x - x.mean(axis=0), (x.mean(axis=0), train)
        return x - self.average / np.where(self.known == 0, 1, self.known), (None, train)

    def input_grad(self, dy, cache):
        return dy - dy.mean(axis=0) if cache[1] else dy

    def update_buffers(self, cache):
        self.average[...] = 0.9 * self.average + 0.1 * cache[0]
        self.known[...] = 0.9 * self.known + 0.1


@right((4,), "counts its steps, and the count has no part in any answer")
class CountsSteps(Scaled):
    def buffers(self, in_shape):
        return {"steps": ((1,), zeros)}

    def update_buffers(self, cache):
        self.steps += 1


@right((8,), "through frequencies: where dy is 0, rounding remains")
class FourierMix(Layer):
    def params(self, in_shape):
        return {"k": (in_shape, normal(0.5))}

    def forward(self, x, *, train, rng=None):
        return self.mix(np.fft.rfft(x), np.fft.rfft(self.k), x), x

    def mix(self, a, b, like):
        return np.fft.irfft(a * b, like.shape[-1]).astype(like.dtype)

    def input_grad(self, dy, cache):
        return self.mix(np.fft.rfft(dy), np.fft.rfft(self.k).conj(), dy)

    def param_grads(self, dy, cache, grads):
        grads["k"][...] = self.mix(np.fft.rfft(dy), np.fft.rfft(cache).conj(), dy).sum(axis=0)


@right((5,), "whole examples are skipped in training, by one draw each; without rng it says so")
class StochasticDepth(Layer):
    def forward(self, x, *, train, rng=None):
        if train and rng is None:
            raise ArgumentError("StochasticDepth in training needs rng")
        kept = (rng.uniform((len(x), 1)) < 0.7) / x.dtype.type(0.7) if train else np.ones((len(x), 1), x.dtype)
        return x + kept.astype(x.dtype) * np.sin(x), (x, kept.astype(x.dtype))

    def input_grad(self, dy, cache):
        x, kept = cache
        return dy * (1 + kept * np.cos(x))


@right((6,), "half silent in training: neither value nor gradient")
class HalfSilentInTraining(Layer):
    def forward(self, x, *, train, rng=None):
        speaks = np.arange(x.shape[1]) < 3 if train else np.ones(x.shape[1], bool)
        return np.where(speaks, 2 * x, 0).astype(x.dtype), speaks

    def input_grad(self, dy, cache):
        return np.where(cache, 2 * dy, 0).astype(dy.dtype)
