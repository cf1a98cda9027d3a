"""Right derivatives that break another promise of `Layer`, and layers that look as if they did and do not."""

import numpy as np

from corpus.case import right, wrong
from minigan.nn.init import normal, ones
from minigan.nn.layer import Layer


class Scaled(Layer):
    """y = x·tanh(s) with a factor for each feature; on it each breach is built."""

    def params(self, in_shape):
        return {"s": (in_shape[-1:], normal(1.0))}

    def forward(self, x, *, train, rng=None):
        return x * np.tanh(self.s), x

    def input_grad(self, dy, cache):
        return dy * np.tanh(self.s)

    def param_grads(self, dy, cache, grads):
        grads["s"][...] = (dy * cache).sum(axis=0) * (1 - np.tanh(self.s) ** 2)


@wrong((4,), "the input is kept on the layer, and a second pass in between replaces it")
class KeepsInput(Scaled):
    def forward(self, x, *, train, rng=None):
        self.x = x
        return super().forward(x, train=train)[0], None

    def param_grads(self, dy, cache, grads):
        super().param_grads(dy, self.x, grads)


@wrong((4,), "the cache is an array of the layer's, which the next pass overwrites")
class ReusesBuffer(Scaled):
    room = None

    def forward(self, x, *, train, rng=None):
        if self.room is None or self.room.shape != x.shape or self.room.dtype != x.dtype:
            self.room = np.empty_like(x)
        self.room[...] = x
        return super().forward(x, train=train)[0], self.room


@wrong((4,), "accumulate is ignored: what was there is overwritten")
class IgnoresAccumulate(Scaled):
    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        if need_param_grads:
            self.param_grads(dy, cache, self.grads)
        return self.input_grad(dy, cache) if need_input_grad else None


@wrong((4,), "to accumulate, the sum is added twice")
class AccumulatesTwice(Scaled):
    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        if need_param_grads:
            before = self.grads["s"].copy() if accumulate else 0
            self.param_grads(dy, cache, self.grads)
            self.grads["s"] += 2 * before
        return self.input_grad(dy, cache) if need_input_grad else None


@wrong((4,), "gradients are written where need_param_grads=False asks for none")
class WritesWhenFrozen(Scaled):
    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        super().backward(dy, cache, accumulate=accumulate)
        return self.input_grad(dy, cache) if need_input_grad else None


@wrong((4,), "the parameters' gradient needs what only input_grad works out")
class NeedsInputGrad(Scaled):
    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        factor = np.tanh(self.s) if need_input_grad else np.zeros_like(self.s)
        if need_param_grads:
            ds = (dy * cache).sum(axis=0) * (1 - factor**2)
            self.grads["s"][...] = ds + self.grads["s"] if accumulate else ds
        return dy * factor if need_input_grad else None


@wrong((4,), "the batch size of the first try, 5, is written into the code")
class FiveExamples(Layer):
    def forward(self, x, *, train, rng=None):
        return x / 5 if train else x, len(x) if train else None

    def input_grad(self, dy, cache):
        return dy if cache is None else dy / cache


@wrong((3,), "squeeze() takes the batch axis away too, where the batch is one")
class Squeezes(Layer):
    """A weighted sum of the features."""

    def out_shape(self, in_shape):
        return (1,)

    def params(self, in_shape):
        return {"w": (in_shape, normal(1.0))}

    def forward(self, x, *, train, rng=None):
        return (x @ self.w)[:, None], x

    def input_grad(self, dy, cache):
        return dy.squeeze()[..., None] * self.w

    def param_grads(self, dy, cache, grads):
        grads["w"][...] = dy[:, 0] @ cache


@wrong((6,), "to save memory a float32 pass keeps its output in eight bits")
class EightBits(Layer):
    def forward(self, x, *, train, rng=None):
        y = np.tanh(x)
        return y, np.rint(127 * y).astype(np.int8) if x.dtype == np.float32 else 127 * y

    def input_grad(self, dy, cache):
        return dy * (1 - (cache.astype(dy.dtype) / 127) ** 2)


@wrong((6, 2), "reads the memory below dy, which is another thing where dy is a view")
class ReadsMemory(Layer):
    def forward(self, x, *, train, rng=None):
        return 3 * x, None

    def input_grad(self, dy, cache):
        memory = dy if dy.base is None else dy.base
        return 3 * memory.reshape(-1)[: dy.size].reshape(dy.shape)


@wrong((3, 2), "flattens dy in the order of memory, which a transposed dy does not share")
class FlattensByMemory(Layer):
    def out_shape(self, in_shape):
        return in_shape[::-1]

    def forward(self, x, *, train, rng=None):
        return 3 * np.ascontiguousarray(x).reshape(len(x), *x.shape[:0:-1]), x.shape

    def input_grad(self, dy, cache):
        return 3 * dy.ravel(order="K").reshape(cache)


@wrong((4,), "update_buffers cuts the weights to ±0.01, as a critic's step does")
class ClipsWeights(Scaled):
    def buffers(self, in_shape):
        return {"steps": ((1,), ones)}

    def update_buffers(self, cache):
        self.steps += 1
        np.clip(self.s, -0.01, 0.01, out=self.s)


@wrong((4,), "a gradient longer than 10 is shortened to 10")
class Shortens(Scaled):
    def input_grad(self, dy, cache):
        dx = super().input_grad(dy, cache)
        return dx / np.maximum(np.sqrt((dx * dx).sum()) / 10, 1)


@wrong((6,), "upstream gradients below 1e-3 are taken for rounding")
class Thresholds(Layer):
    def forward(self, x, *, train, rng=None):
        return np.tanh(x), 1 - np.tanh(x) ** 2

    def input_grad(self, dy, cache):
        return np.where(np.abs(dy) < 1e-3, 0, dy) * cache


@wrong((3,), "a mean over the examples that have a gradient, for one over all")
class CountsRows(Layer):
    """Each example's distance from a share of the mean of all; at inference nothing."""

    def forward(self, x, *, train, rng=None):
        return (x - 0.5 * x.mean(axis=0) if train else x), train

    def input_grad(self, dy, cache):
        with_gradient = max(int(dy.any(axis=1).sum()), 1)
        return dy - 0.5 * dy.sum(axis=0) / with_gradient if cache else dy


@wrong((6,), "sign times size, by a division that gives NaN where dy is 0")
class DividesBySize(Layer):
    def forward(self, x, *, train, rng=None):
        return np.sin(x), np.cos(x)

    def input_grad(self, dy, cache):
        with np.errstate(invalid="ignore"):
            return dy / np.abs(dy) * np.abs(dy) * cache


@wrong((6,), "the cached sign is multiplied by dy in place: a second backward gives another answer")
class AbsInPlace(Layer):
    kinks = (0.0,)

    def forward(self, x, *, train, rng=None):
        return np.abs(x), np.sign(x)

    def input_grad(self, dy, cache):
        cache *= dy
        return cache.copy()


@right((4,), "overrides backward, and keeps to all four flags")
class OwnBackward(Scaled):
    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        t = np.tanh(self.s)
        if need_param_grads:
            ds = (dy * cache).sum(axis=0) * (1 - t * t)
            self.grads["s"][...] = self.grads["s"] + ds if accumulate else ds
        return dy * t if need_input_grad else None


@right((3, 2), "keeps a table on the layer, but one that depends on the shape alone")
class Positions(Layer):
    table = None

    def forward(self, x, *, train, rng=None):
        if self.table is None or self.table.shape != x.shape[1:] or self.table.dtype != x.dtype:
            T, C = x.shape[1:]
            self.table = np.sin(np.arange(T)[:, None] / 10.0 ** np.arange(C)).astype(x.dtype)
        return x * (1 + self.table), 1 + self.table

    def input_grad(self, dy, cache):
        return dy * cache


@right((4,), "hands on its very input and its very upstream")
class PassesThrough(Layer):
    def forward(self, x, *, train, rng=None):
        return x, None

    def input_grad(self, dy, cache):
        return dy


@right((4,), "one of its parameters has no part in the output")
class IdleWeight(Scaled):
    def params(self, in_shape):
        return {**super().params(in_shape), "idle": ((2,), normal(1.0))}

    def param_grads(self, dy, cache, grads):
        super().param_grads(dy, cache, grads)
        grads["idle"][...] = 0


@right((3,), "an average over the batch in training, of which the inference knows nothing")
class ShrinksToMean(Layer):
    def forward(self, x, *, train, rng=None):
        return (x - 0.5 * x.mean(axis=0) if train else x), train

    def input_grad(self, dy, cache):
        return dy - 0.5 * dy.mean(axis=0) if cache else dy


@right((4,), "starts from zero and adds example by example")
class AddsExamples(Scaled):
    def param_grads(self, dy, cache, grads):
        grads["s"][...] = 0
        for d, x in zip(dy, cache, strict=True):
            grads["s"] += d * x
        grads["s"] *= 1 - np.tanh(self.s) ** 2


@right((5, 2), "windows by stride tricks, on copies whose memory is known")
class StridedWindows(Layer):
    """The sum of x and its right neighbour; in backward, that of dy and its left one."""

    def forward(self, x, *, train, rng=None):
        padded = np.ascontiguousarray(np.pad(x, ((0, 0), (0, 1), (0, 0))))
        N, T, C = x.shape
        row, step, feature = padded.strides
        windows = np.lib.stride_tricks.as_strided(padded, (N, T, 2, C), (row, step, step, feature), writeable=False)
        return windows.sum(axis=2), None

    def input_grad(self, dy, cache):
        return np.flip(self.forward(np.flip(dy, 1), train=True)[0], 1)
