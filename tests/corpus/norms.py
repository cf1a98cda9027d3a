"""Layers that bring something to mean 0 or size 1: over features, groups, images, the batch, or what was met."""

import numpy as np

from corpus.case import right, wrong
from minigan.nn.init import normal, ones, zeros
from minigan.nn.layer import Layer


def around_one(rng, shape, **fans):
    return 1 + 0.3 * rng.standard_normal(shape)


def standardise(x, axis, eps=1e-5):
    """(x_hat, 1/std), with the statistics over `axis`."""
    centred = x - x.mean(axis=axis, keepdims=True)
    inv_std = 1 / np.sqrt((centred**2).mean(axis=axis, keepdims=True) + eps)
    return centred * inv_std, inv_std


def through_statistics(d, x_hat, inv_std, axis):
    """dx where mean and variance move with x."""
    mean, projection = d.mean(axis=axis, keepdims=True), (d * x_hat).mean(axis=axis, keepdims=True)
    return (d - mean - x_hat * projection) * inv_std


@right((3, 6), "the mean and the variance of each position move with x")
class LayerNorm(Layer):
    def params(self, in_shape):
        return {"gamma": (in_shape[-1:], around_one), "beta": (in_shape[-1:], zeros)}

    def forward(self, x, *, train, rng=None):
        x_hat, inv_std = standardise(x, -1)
        return self.gamma * x_hat + self.beta, (x_hat, inv_std)

    def input_grad(self, dy, cache):
        x_hat, inv_std = cache
        return through_statistics(dy * self.gamma, x_hat, inv_std, -1)

    def param_grads(self, dy, cache, grads):
        axes = tuple(range(dy.ndim - 1))
        grads["gamma"][...] = (dy * cache[0]).sum(axis=axes)
        grads["beta"][...] = dy.sum(axis=axes)


@wrong((3, 6), "the projection is divided by n - 1, the variance by n")
class LayerNormUnbiased(LayerNorm):
    def input_grad(self, dy, cache):
        x_hat, inv_std = cache
        d, n = dy * self.gamma, dy.shape[-1]
        projection = (d * x_hat).sum(axis=-1, keepdims=True) / (n - 1)
        return (d - d.mean(axis=-1, keepdims=True) - x_hat * projection) * inv_std


@right((6,), "eps under the root, in both directions")
class RMSNorm(Layer):
    eps = 1e-3

    def params(self, in_shape):
        return {"gain": (in_shape[-1:], around_one)}

    def forward(self, x, *, train, rng=None):
        square = (x * x).mean(axis=-1, keepdims=True)
        return self.gain * x / np.sqrt(square + self.eps), (x, square)

    def factor(self, square):
        return 1 / np.sqrt(square + self.eps)

    def input_grad(self, dy, cache):
        x, square = cache
        r, d = self.factor(square), dy * self.gain
        return r * d - x * r**3 * (d * x).mean(axis=-1, keepdims=True)

    def param_grads(self, dy, cache, grads):
        x, square = cache
        grads["gain"][...] = (dy * x / np.sqrt(square + self.eps)).sum(axis=tuple(range(dy.ndim - 1)))


@wrong((6,), "eps outside of the root in backward")
class RMSNormEps(RMSNorm):
    def factor(self, square):
        return 1 / (np.sqrt(square) + self.eps)


@right((3, 2, 6), "statistics over height, width and the channels of a group")
class GroupNorm(Layer):
    groups, axes = 2, (1, 2, 4)

    def split(self, x):
        return x.reshape(*x.shape[:3], self.groups, -1)

    def forward(self, x, *, train, rng=None):
        x_hat, inv_std = standardise(self.split(x), self.axes)
        return x_hat.reshape(x.shape), (x_hat, inv_std)

    def input_grad(self, dy, cache):
        return through_statistics(self.split(dy), *cache, self.axes).reshape(dy.shape)


@wrong((3, 2, 6), "the projection is a mean over the channels only, not over height and width")
class GroupNormCount(GroupNorm):
    def input_grad(self, dy, cache):
        x_hat, inv_std = cache
        d = self.split(dy)
        mean, projection = d.mean(axis=self.axes, keepdims=True), (d * x_hat).mean(axis=4, keepdims=True)
        return ((d - mean - x_hat * projection) * inv_std).reshape(dy.shape)


@right((3, 4, 2), "statistics of each image and channel by themselves")
class InstanceNorm(Layer):
    def forward(self, x, *, train, rng=None):
        x_hat, inv_std = standardise(x, (1, 2))
        return x_hat, (x_hat, inv_std)

    def input_grad(self, dy, cache):
        return through_statistics(dy, *cache, (1, 2))


@wrong((3, 4, 2), "the projection runs over the batch too: right at a batch of one")
class InstanceNormOverBatch(InstanceNorm):
    def input_grad(self, dy, cache):
        x_hat, inv_std = cache
        projection = (dy * x_hat).mean(axis=(0, 1, 2), keepdims=True)
        return (dy - dy.mean(axis=(1, 2), keepdims=True) - x_hat * projection) * inv_std


@right((4,), "the batch's mean in training, a buffer at inference")
class Centring(Layer):
    decay = 0.8

    def buffers(self, in_shape):
        return {"running": (in_shape[-1:], zeros)}

    def forward(self, x, *, train, rng=None):
        mean = x.mean(axis=0) if train else self.running
        return x - mean, mean if train else None

    def input_grad(self, dy, cache):
        return dy if cache is None else dy - dy.mean(axis=0)

    def update_buffers(self, cache):
        self.running *= self.decay
        self.running += (1 - self.decay) * cache


@wrong((4,), "update_buffers subtracts the batch's mean")
class CentringSign(Centring):
    def update_buffers(self, cache):
        self.running *= self.decay
        self.running -= (1 - self.decay) * cache


@right((4,), "the buffer only ever grows, so that inference need not come near training")
class RunningMax(Layer):
    def buffers(self, in_shape):
        return {"largest": (in_shape[-1:], ones)}

    def forward(self, x, *, train, rng=None):
        if not train:
            return x / self.largest, (self.largest.copy(), None, None)
        winner = np.abs(x).argmax(axis=0)
        peak = np.take_along_axis(x, winner[None], axis=0)[0]
        return x / np.abs(peak), (np.abs(peak), winner, x * np.sign(peak))

    def input_grad(self, dy, cache):
        largest, winner, signed = cache
        dx = dy / largest
        if winner is not None:
            dx[winner, np.arange(dx.shape[1])] -= (dy * signed).sum(axis=0) / largest**2
        return dx

    def update_buffers(self, cache):
        np.maximum(self.largest, cache[0], out=self.largest)


@wrong((4,), "update_buffers binds a new array: the network's buffer never moves")
class RunningMaxRebound(RunningMax):
    def update_buffers(self, cache):
        self.largest = np.maximum(self.largest, cache[0])


@right((4,), "the batch's mean moves with x, the variance is a buffer in training too")
class VarianceFromBuffer(Layer):
    def buffers(self, in_shape):
        return {"var": (in_shape[-1:], ones)}

    def forward(self, x, *, train, rng=None):
        inv_std = 1 / np.sqrt(self.var + 1e-3)
        centred = x - x.mean(axis=0) if train else x
        return centred * inv_std, (centred, inv_std, train)

    def input_grad(self, dy, cache):
        _, inv_std, train = cache
        return inv_std * (dy - dy.mean(axis=0)) if train else inv_std * dy

    def update_buffers(self, cache):
        self.var[...] = 0.9 * self.var + 0.1 * (cache[0] ** 2).mean(axis=0)


@right((3,), "each two examples have statistics of their own, a last one alone too")
class GhostBatchNorm(Layer):
    size = 2

    def parts(self, n):
        return [slice(start, start + self.size) for start in range(0, n, self.size)]

    def buffers(self, in_shape):
        return {"mean": (in_shape[-1:], zeros), "var": (in_shape[-1:], ones)}

    def forward(self, x, *, train, rng=None):
        if not train:
            return (x - self.mean) / np.sqrt(self.var + 0.1), (1 / np.sqrt(self.var + 0.1), None, x)
        halves = [standardise(x[part], 0, eps=0.1) for part in self.parts(len(x))]
        return np.concatenate([x_hat for x_hat, _ in halves]), (None, halves, x)

    def input_grad(self, dy, cache):
        scale, halves, _ = cache
        if halves is None:
            return dy * scale
        dx = np.zeros_like(dy)
        for part, (x_hat, inv_std) in zip(self.parts(len(dy)), halves, strict=False):
            dx[part] = through_statistics(dy[part], x_hat, inv_std, 0)
        return dx

    def update_buffers(self, cache):
        self.mean[...] = 0.9 * self.mean + 0.1 * cache[2].mean(axis=0)
        self.var[...] = 0.9 * self.var + 0.1 * cache[2].var(axis=0)


@wrong((3,), "a last example alone is left without gradient where the batch is odd, and more than one")
class OddTail(Layer):
    def forward(self, x, *, train, rng=None):
        y = 0.1 * x
        for start in range(0, len(x), 2):
            y[start : start + 2] += np.tanh(x[start : start + 2])
        return y, y - 0.1 * x

    def input_grad(self, dy, cache):
        dx = 0.1 * dy
        for k in range(max(len(dy) // 2, 1)):
            part = slice(2 * k, 2 * k + 2)
            dx[part] += dy[part] * (1 - cache[part] ** 2)
        return dx


@wrong((4,), "the batch's statistics at inference too: an example's answer depends on its neighbours")
class BatchStatisticsAlways(Layer):
    def forward(self, x, *, train, rng=None):
        x_hat, inv_std = standardise(x, 0, eps=0.1)
        return x_hat, (x_hat, inv_std)

    def input_grad(self, dy, cache):
        return through_statistics(dy, *cache, 0)


@wrong((4,), "forward in training moves the buffer, which is update_buffers' work")
class CentringInForward(Centring):
    def forward(self, x, *, train, rng=None):
        y, mean = super().forward(x, train=train, rng=rng)
        if train:
            super().update_buffers(mean)
        return y, mean


@right((3,), "by what was met so far, in training too; a count among the buffers")
class RunningNormaliser(Layer):
    def buffers(self, in_shape):
        return {"count": ((1,), ones), "mean": (in_shape[-1:], normal(0.3)), "square": (in_shape[-1:], ones)}

    def forward(self, x, *, train, rng=None):
        inv_std = 1 / np.sqrt(np.maximum(self.square, 0) + 1)
        return (x - self.mean) * inv_std, (x, inv_std)

    def input_grad(self, dy, cache):
        return dy * cache[1]

    def update_buffers(self, cache):
        x, _ = cache
        self.count += 1
        self.mean += (x.mean(axis=0) - self.mean) / self.count
        self.square += ((x**2).mean(axis=0) - self.square) / self.count


@right((4, 4), "divides by a length that moves with x")
class UnitLength(Layer):
    def forward(self, x, *, train, rng=None):
        length = np.sqrt((x * x).sum(axis=-1, keepdims=True)) + 1e-6
        return x / length, (x, length)

    def input_grad(self, dy, cache):
        x, length = cache
        return dy / length - x * (dy * x).sum(axis=-1, keepdims=True) / (length**2 * (length - 1e-6))


@wrong((4, 4), "the projection runs over axis 1, which is the last one of flat inputs only; square, so it fits")
class UnitLengthAxis(UnitLength):
    def input_grad(self, dy, cache):
        x, length = cache
        return dy / length - x * (dy * x).sum(axis=1, keepdims=True) / (length**2 * (length - 1e-6))
