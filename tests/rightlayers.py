"""Right layers as users write them, of kinds that minigan does not have: no checker may refuse one."""

import numpy as np

from minigan import nn
from minigan.nn.init import ones, zeros


def small(rng, shape):
    return 0.1 * rng.standard_normal(shape)


class Plain(nn.Layer):
    """A layer of two functions of x, forward and derivative, with settings as attributes."""

    def __init__(self, f, derivative, **settings):
        self.f, self.derivative = f, derivative
        self.__dict__.update(settings)

    def forward(self, x, *, train, rng=None):
        return self.f(x), x

    def input_grad(self, dy, cache):
        return dy * self.derivative(cache)


class LayerNorm(nn.Layer):
    axes = (-1,)

    def params(self, in_shape):
        return {"gamma": (in_shape[-1:], ones), "beta": (in_shape[-1:], zeros)}

    def forward(self, x, *, train, rng=None):
        std = np.sqrt(x.var(axis=self.axes, keepdims=True) + x.dtype.type(1e-5))
        h = (x - x.mean(axis=self.axes, keepdims=True)) / std
        return self.gamma * h + self.beta, (h, std)

    def input_grad(self, dy, cache):
        h, std = cache
        d = dy * self.gamma
        mean, along = (a.mean(axis=self.axes, keepdims=True) for a in (d, d * h))
        return (d - mean - h * along) / std

    def param_grads(self, dy, cache, grads):
        axes = tuple(range(dy.ndim - 1))
        grads["gamma"][...], grads["beta"][...] = (dy * cache[0]).sum(axis=axes), dy.sum(axis=axes)


class InstanceNorm(LayerNorm):
    axes = (1, 2)


class GroupNorm(nn.Layer):
    def __init__(self, groups):
        self.groups = groups

    def forward(self, x, *, train, rng=None):
        g = x.reshape(len(x), -1, self.groups, x.shape[-1] // self.groups)
        std = g.std(axis=(1, 3), keepdims=True)
        h = (g - g.mean(axis=(1, 3), keepdims=True)) / std
        return h.reshape(x.shape), (h, std)

    def input_grad(self, dy, cache):
        h, std = cache
        d = dy.reshape(h.shape)
        mean, along = (a.mean(axis=(1, 3), keepdims=True) for a in (d, d * h))
        return ((d - mean - h * along) / std).reshape(dy.shape)


class BatchStatistics(nn.Layer):
    """Batch normalisation as most people write it, with an average of the user's choice."""

    def __init__(self, decay=0.9, eps=1e-3, ddof=0, groups=1):
        self.decay, self.eps, self.ddof, self.groups = decay, eps, ddof, groups

    def buffers(self, in_shape):
        return {"mean": (in_shape[-1:], zeros), "var": (in_shape[-1:], ones)}

    def forward(self, x, *, train, rng=None):
        g = x.reshape(self.groups if train else 1, -1, x.shape[-1])
        mean = g.mean(axis=1, keepdims=True) if train else self.mean
        var = g.var(axis=1, keepdims=True) if train else self.var
        std = np.sqrt(var + x.dtype.type(self.eps))
        h = (g - mean) / std
        return h.reshape(x.shape), (h, std, mean, g.var(axis=1, ddof=self.ddof) if train else None)

    def input_grad(self, dy, cache):
        h, std, _, var = cache
        d = dy.reshape(h.shape)
        if var is None:
            return (d / std).reshape(dy.shape)
        mean, along = (a.mean(axis=1, keepdims=True) for a in (d, d * h))
        return ((d - mean - h * along) / std).reshape(dy.shape)

    def update_buffers(self, cache):
        self.mean[...] = self.decay * self.mean + (1 - self.decay) * cache[2].mean(axis=(0, 1))
        self.var[...] = self.decay * self.var + (1 - self.decay) * cache[3].mean(axis=0)


class Momentum(BatchStatistics):
    """In place, and with the weight of the new."""

    def update_buffers(self, cache):
        self.mean += (1 - self.decay) * (cache[2].mean(axis=(0, 1)) - self.mean)
        np.add(self.decay * self.var, (1 - self.decay) * cache[3].mean(axis=0), out=self.var)


class Cumulative(BatchStatistics):
    """The mean over all batches so far, with a count."""

    def buffers(self, in_shape):
        return {**super().buffers(in_shape), "count": ((1,), zeros)}

    def update_buffers(self, cache):
        self.count += 1
        self.mean += (cache[2].mean(axis=(0, 1)) - self.mean) / self.count
        self.var += (cache[3].mean(axis=0) - self.var) / self.count


class Sums(BatchStatistics):
    """Sums over all batches, divided at inference."""

    def buffers(self, in_shape):
        return {**super().buffers(in_shape), "count": ((1,), ones)}

    def forward(self, x, *, train, rng=None):
        if train:
            return super().forward(x, train=train, rng=rng)
        std = np.sqrt(self.var / self.count + x.dtype.type(self.eps))
        h = (x - self.mean / self.count) / std
        return h, (h[None], std, None, None)

    def update_buffers(self, cache):
        self.count += 1
        self.mean += cache[2].mean(axis=(0, 1))
        self.var += cache[3].mean(axis=0)


class StatisticsOfBefore(BatchStatistics):
    """The running statistics in training too, which the batch moves afterwards."""

    def forward(self, x, *, train, rng=None):
        y, cache = super().forward(x, train=False, rng=rng)
        return y, (*cache[:2], x[None].mean(axis=1, keepdims=True), x[None].var(axis=1))

    def input_grad(self, dy, cache):
        return dy / cache[1]


class FrozenStatistics(BatchStatistics):
    """Statistics that are loaded, and no gradient through any."""

    def forward(self, x, *, train, rng=None):
        return super().forward(x, train=False, rng=rng)

    def update_buffers(self, cache):
        pass


class Calls(Plain):
    """Counts its calls, in itself and in a buffer."""

    calls = 0

    def buffers(self, in_shape):
        return {"steps": ((1,), zeros)}

    def forward(self, x, *, train, rng=None):
        self.calls += 1
        return super().forward(x, train=train, rng=rng)

    def update_buffers(self, cache):
        self.steps += 1


class Annealed(nn.Layer):
    """A temperature that grows by 1 % a step."""

    def buffers(self, in_shape):
        return {"t": ((1,), ones)}

    def forward(self, x, *, train, rng=None):
        y = np.tanh(x * self.t)
        return y, (y, self.t.copy())

    def input_grad(self, dy, cache):
        y, t = cache
        return dy * t * (1 - y * y)

    def update_buffers(self, cache):
        self.t *= 1.01


class LargestSoFar(nn.Layer):
    """Scaled by the largest size so far: the batch's own in training, which is held fixed."""

    def buffers(self, in_shape):
        return {"largest": ((1,), ones)}

    def forward(self, x, *, train, rng=None):
        return x / self.largest, (self.largest.copy(), np.abs(x).max())

    def input_grad(self, dy, cache):
        return dy / cache[0]

    def update_buffers(self, cache):
        self.largest[...] = np.maximum(self.largest, cache[1])


class Centred(nn.Layer):
    """Only the mean is taken away; the buffer holds its negative, which is added at inference."""

    def buffers(self, in_shape):
        return {"shift": (in_shape, zeros)}

    def forward(self, x, *, train, rng=None):
        shift = -x.mean(axis=0) if train else self.shift
        return x + shift, shift if train else None

    def input_grad(self, dy, cache):
        return dy if cache is None else dy - dy.mean(axis=0)

    def update_buffers(self, cache):
        self.shift[...] = 0.95 * self.shift + 0.05 * cache


class GaussianDropout(nn.Layer):
    def forward(self, x, *, train, rng=None):
        noise = 1 + x.dtype.type(0.3) * rng.normal(x.shape, x.dtype) if train else np.ones_like(x)
        return x * noise, noise

    def input_grad(self, dy, cache):
        return dy * cache


class HostNoise(nn.Layer):
    """Draws from the generator itself, in x's dtype: other draws in float32 than in float64."""

    def forward(self, x, *, train, rng=None):
        return (x + rng.host.standard_normal(x.shape, x.dtype) if train else x), None

    def input_grad(self, dy, cache):
        return dy


class SpatialDropout(nn.Layer):
    always = False

    def forward(self, x, *, train, rng=None):
        if not train and not self.always:
            return x, None
        mask = (rng.uniform((len(x), 1, 1, x.shape[-1])) > 0.4) / x.dtype.type(0.6)
        return x * mask.astype(x.dtype), mask.astype(x.dtype)

    def input_grad(self, dy, cache):
        return dy if cache is None else dy * cache


class AlwaysDropout(SpatialDropout):
    always = True


class StochasticDepth(nn.Layer):
    def forward(self, x, *, train, rng=None):
        keep = (rng.bits((len(x), 1)) > 20_000).astype(x.dtype) if train else np.full((len(x), 1), 0.7, x.dtype)
        y = np.sin(x)
        return x + keep * y, (keep, np.cos(x))

    def input_grad(self, dy, cache):
        return dy * (1 + cache[0] * cache[1])


class Embedded(nn.Layer):
    """Rows of a table at fixed places are added; the others' gradient is zero."""

    index = np.array([0, 2, 2])

    def params(self, in_shape):
        return {"E": ((4, in_shape[-1]), small)}

    def forward(self, x, *, train, rng=None):
        return x[:, None] + self.E[self.index], None

    def out_shape(self, in_shape):
        return (3, *in_shape)

    def input_grad(self, dy, cache):
        return dy.sum(axis=1)

    def param_grads(self, dy, cache, grads):
        grads["E"][...] = 0
        np.add.at(grads["E"], self.index, dy.sum(axis=0))


class Constant(nn.Layer):
    """A learned constant, as a style-based generator begins with: x is not looked at."""

    def params(self, in_shape):
        return {"c": (in_shape, small)}

    def forward(self, x, *, train, rng=None):
        return np.repeat(self.c[None], len(x), axis=0), None

    def input_grad(self, dy, cache):
        return np.zeros_like(dy)

    def param_grads(self, dy, cache, grads):
        grads["c"][...] = dy.sum(axis=0)


class BroadcastConstant(Constant):
    def forward(self, x, *, train, rng=None):
        return np.broadcast_to(self.c, x.shape), None


class PReLU(nn.Layer):
    def params(self, in_shape):
        return {"a": (in_shape[-1:], small)}

    def forward(self, x, *, train, rng=None):
        return np.where(x > 0, x, self.a * x), x

    def input_grad(self, dy, cache):
        return np.where(cache > 0, dy, self.a * dy)

    def param_grads(self, dy, cache, grads):
        grads["a"][...] = (dy * np.minimum(cache, 0)).sum(axis=tuple(range(dy.ndim - 1)))


class Softmax(nn.Layer):
    def __init__(self, sharpness=1.0):
        self.sharpness = sharpness

    def forward(self, x, *, train, rng=None):
        e = np.exp(self.sharpness * (x - x.max(axis=-1, keepdims=True)))
        y = e / e.sum(axis=-1, keepdims=True)
        return y, y

    def input_grad(self, dy, y):
        return self.sharpness * y * (dy - (dy * y).sum(axis=-1, keepdims=True))


class Gated(nn.Layer):
    def out_shape(self, in_shape):
        return (*in_shape[:-1], in_shape[-1] // 2)

    def forward(self, x, *, train, rng=None):
        a, b = np.split(x, 2, axis=-1)
        s = 1 / (1 + np.exp(-b))
        return a * s, (a, s)

    def input_grad(self, dy, cache):
        a, s = cache
        return np.concatenate([dy * s, dy * a * s * (1 - s)], axis=-1)


class WeightNorm(nn.Layer):
    def __init__(self, features):
        self.features = features

    def out_shape(self, in_shape):
        return (self.features,)

    def params(self, in_shape):
        return {"V": ((in_shape[-1], self.features), small), "g": ((self.features,), ones)}

    def forward(self, x, *, train, rng=None):
        length = np.sqrt((self.V * self.V).sum(axis=0))
        unit = self.V / length
        return x @ (self.g * unit), (x, unit, length)

    def input_grad(self, dy, cache):
        return dy @ (self.g * cache[1]).T

    def param_grads(self, dy, cache, grads):
        x, unit, length = cache
        dW = x.T @ dy
        grads["g"][...] = (dW * unit).sum(axis=0)
        grads["V"][...] = self.g / length * (dW - unit * (dW * unit).sum(axis=0))


class Residual(nn.Layer):
    """Wraps another layer, whose weights are views of its own, and overrides backward."""

    def __init__(self, inner):
        self.inner = inner

    def params(self, in_shape):
        return self.inner.params(in_shape)

    def forward(self, x, *, train, rng=None):
        y, cache = self.bound().forward(x, train=train, rng=rng)
        return x + y, cache

    def bound(self):
        inner = type(self.inner)(self.inner.features)
        inner.W, inner.b, inner.grads = self.W, self.b, self.grads
        return inner

    def backward(self, dy, cache, **flags):
        dx = self.bound().backward(dy, cache, **flags)
        return None if dx is None else dx + dy


class Shared(nn.Layer):
    """Overrides backward to compute what both answers need once, and returns dx whether it is wanted or not."""

    def params(self, in_shape):
        return {"W": ((in_shape[-1], in_shape[-1]), small)}

    def forward(self, x, *, train, rng=None):
        y = np.tanh(x @ self.W)
        return y, (x, y)

    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        x, y = cache
        da = dy * (1 - y * y)
        if need_param_grads:
            if accumulate:
                self.grads["W"] += x.T @ da
            else:
                np.matmul(x.T, da, out=self.grads["W"])
        return da @ self.W.T


class Discrimination(nn.Layer):
    """Minibatch discrimination: each example is told how near the others are, at inference too."""

    across_batch = True

    def out_shape(self, in_shape):
        return (in_shape[0] + 1,)

    def forward(self, x, *, train, rng=None):
        nearness = np.exp(-((x[:, None] - x[None]) ** 2).sum(axis=-1))
        return np.concatenate([x, nearness.sum(axis=1, keepdims=True)], axis=1), (x, nearness)

    def input_grad(self, dy, cache):
        x, nearness = cache
        weight = nearness * (dy[:, -1:] + dy[:, -1])
        return dy[:, :-1] - 2 * (weight[:, :, None] * (x[:, None] - x[None])).sum(axis=1)


class SpreadOfBatch(nn.Layer):
    """The standard deviation over the batch as one more feature, as in progressive growing."""

    across_batch = True

    def out_shape(self, in_shape):
        return (in_shape[0] + 1,)

    def forward(self, x, *, train, rng=None):
        std = np.sqrt(x.var(axis=0) + x.dtype.type(1e-8))
        extra = np.full((len(x), 1), std.mean(), x.dtype)
        return np.concatenate([x, extra], axis=1), (x, std)

    def input_grad(self, dy, cache):
        x, std = cache
        return dy[:, :-1] + dy[:, -1].sum() * (x - x.mean(axis=0)) / (std * x.size)


class Attention(nn.Layer):
    """Over the middle axis, within each example."""

    def forward(self, x, *, train, rng=None):
        s = x @ x.swapaxes(1, 2)
        e = np.exp(s - s.max(axis=-1, keepdims=True))
        a = e / e.sum(axis=-1, keepdims=True)
        return a @ x, (x, a)

    def input_grad(self, dy, cache):
        x, a = cache
        da = dy @ x.swapaxes(1, 2)
        ds = a * (da - (da * a).sum(axis=-1, keepdims=True))
        return a.swapaxes(1, 2) @ dy + ds @ x + ds.swapaxes(1, 2) @ x


class Recurrent(nn.Layer):
    """Along the middle axis."""

    def params(self, in_shape):
        return {"U": ((in_shape[-1], in_shape[-1]), small)}

    def forward(self, x, *, train, rng=None):
        h = [np.zeros_like(x[:, 0])]
        for t in range(x.shape[1]):
            h.append(np.tanh(x[:, t] + h[-1] @ self.U))
        return np.stack(h[1:], axis=1), h

    def back(self, dy, h):
        after, found = np.zeros_like(dy[:, 0]), []
        for t in reversed(range(dy.shape[1])):
            da = (dy[:, t] + after) * (1 - h[t + 1] ** 2)
            found.append(da)
            after = da @ self.U.T
        return found[::-1]

    def input_grad(self, dy, cache):
        return np.stack(self.back(dy, cache), axis=1)

    def param_grads(self, dy, cache, grads):
        grads["U"][...] = sum(h.T @ da for h, da in zip(cache, self.back(dy, cache), strict=False))


class RememberedTable(nn.Layer):
    """A table of positions, made once for each length and kept: it depends on no pass."""

    def __init__(self):
        self.tables = {}

    def forward(self, x, *, train, rng=None):
        key = x.shape[1:], x.dtype
        if key not in self.tables:
            self.tables[key] = np.sin(np.arange(x[0].size)).reshape(x.shape[1:]).astype(x.dtype)
        return x * self.tables[key], self.tables[key]

    def input_grad(self, dy, cache):
        return dy * cache


class Projection(nn.Layer):
    """Random Fourier features: a fixed matrix as an attribute, in float64."""

    def __init__(self, scale):
        self.scale, self.B = scale, np.random.default_rng(0).standard_normal((4, 3))

    def out_shape(self, in_shape):
        return (6,)

    def forward(self, x, *, train, rng=None):
        B = (self.scale * self.B).astype(x.dtype)
        z = x @ B
        return np.concatenate([np.sin(z), np.cos(z)], axis=1), (z, B)

    def input_grad(self, dy, cache):
        z, B = cache
        d = dy[:, :3] * np.cos(z) - dy[:, 3:] * np.sin(z)
        return d @ B.T


class PowerIteration(nn.Layer):
    """W over its largest singular value, kept up by a vector in a buffer."""

    def params(self, in_shape):
        return {"W": ((in_shape[0], 3), small)}

    def buffers(self, in_shape):
        return {"u": ((3,), ones)}

    def out_shape(self, in_shape):
        return (3,)

    def forward(self, x, *, train, rng=None):
        u = self.u / np.sqrt((self.u**2).sum())
        v = self.W @ u
        sigma = np.sqrt((v * v).sum())
        return x @ (self.W / sigma), (x, u, v / sigma, sigma, self.W / sigma)

    def input_grad(self, dy, cache):
        return dy @ cache[4].T

    def param_grads(self, dy, cache, grads):
        x, u, v, sigma, W = cache
        dW = x.T @ dy
        grads["W"][...] = (dW - (dW * W).sum() * np.outer(v, u)) / sigma

    def update_buffers(self, cache):
        u = cache[4].T @ cache[2]
        self.u[...] = u / np.sqrt((u * u).sum())


class Shuffled(nn.Layer):
    """Depth to space: a permutation of the entries."""

    def out_shape(self, in_shape):
        H, W, C = in_shape
        return (2 * H, 2 * W, C // 4)

    def forward(self, x, *, train, rng=None):
        N, H, W, C = x.shape
        y = x.reshape(N, H, W, 2, 2, C // 4).transpose(0, 1, 3, 2, 4, 5)
        return y.reshape(N, 2 * H, 2 * W, C // 4), x.shape

    def input_grad(self, dy, shape):
        N, H, W, C = shape
        return dy.reshape(N, H, 2, W, 2, C // 4).transpose(0, 1, 3, 2, 4, 5).reshape(shape)


class Sorted(nn.Layer):
    def forward(self, x, *, train, rng=None):
        order = np.argsort(x, axis=-1)
        return np.take_along_axis(x, order, -1), order

    def input_grad(self, dy, order):
        dx = np.empty_like(dy)
        np.put_along_axis(dx, order, dy, -1)
        return dx


class LargestTwo(nn.Layer):
    def out_shape(self, in_shape):
        return (2,)

    def forward(self, x, *, train, rng=None):
        order = np.argsort(-x, axis=1)[:, :2]
        return np.take_along_axis(x, order, 1), (order, x.shape)

    def input_grad(self, dy, cache):
        dx = np.zeros(cache[1], dy.dtype)
        np.put_along_axis(dx, cache[0], dy, 1)
        return dx


class UnitRows(nn.Layer):
    def forward(self, x, *, train, rng=None):
        length = np.sqrt((x * x).sum(axis=1, keepdims=True))
        return x / length, (x / length, length)

    def input_grad(self, dy, cache):
        y, length = cache
        return (dy - y * (dy * y).sum(axis=1, keepdims=True)) / length


class Spectrum(nn.Layer):
    """By way of complex numbers."""

    def forward(self, x, *, train, rng=None):
        return np.fft.fft(x, axis=1).real.astype(x.dtype), None

    def input_grad(self, dy, cache):
        return np.fft.fft(dy, axis=1).real.astype(dy.dtype)


class ListCache(Plain):
    """Its cache is a list, its answer a list of two, and it works in place on what is its own."""

    def forward(self, x, *, train, rng=None):
        y = x.copy()
        y *= y
        return [y, [x, 2]]

    def input_grad(self, dy, cache):
        dx = dy * cache[0]
        dx *= cache[1]
        return dx


class AllByName(nn.Dense):
    def forward(self, x, **options):
        return super().forward(x, **options)

    def backward(self, dy, cache, **flags):
        return super().backward(dy, cache, **flags)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))


def gelu_slope(x):
    t = np.tanh(0.7978845608 * (x + 0.044715 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.7978845608 * (1 + 3 * 0.044715 * x**2)


RIGHT = {
    "layer norm": (LayerNorm, (6,)),
    "layer norm of images": (LayerNorm, (2, 3, 4)),
    "instance norm": (InstanceNorm, (4, 3, 2)),
    "group norm": (lambda: GroupNorm(2), (3, 2, 4)),
    "batch norm": (BatchStatistics, (4,)),
    "batch norm of images": (BatchStatistics, (2, 3, 4)),
    "batch norm, unbiased": (lambda: BatchStatistics(ddof=1), (4,)),
    "batch norm, slow": (lambda: BatchStatistics(decay=0.9999), (4,)),
    "batch norm, latest": (lambda: BatchStatistics(decay=0), (4,)),
    "batch norm, never moved": (lambda: BatchStatistics(decay=1), (4,)),
    "ghost batch norm": (lambda: BatchStatistics(groups=5), (3, 2)),
    "momentum": (Momentum, (4,)),
    "cumulative": (Cumulative, (4,)),
    "sums": (Sums, (4,)),
    "statistics of before": (StatisticsOfBefore, (4,)),
    "frozen statistics": (FrozenStatistics, (4,)),
    "counts": (lambda: Calls(np.tanh, lambda x: 1 - np.tanh(x) ** 2), (4,)),
    "annealed": (Annealed, (4,)),
    "largest so far": (LargestSoFar, (4,)),
    "centred": (Centred, (4,)),
    "Gaussian dropout": (GaussianDropout, (6,)),
    "noise of the host": (HostNoise, (6,)),
    "spatial dropout": (SpatialDropout, (2, 3, 4)),
    "dropout at inference too": (AlwaysDropout, (2, 3, 4)),
    "stochastic depth": (StochasticDepth, (4,)),
    "embedding": (Embedded, (4,)),
    "constant": (Constant, (4,)),
    "constant, broadcast": (BroadcastConstant, (4,)),
    "PReLU": (PReLU, (6,)),
    "softmax": (Softmax, (5,)),
    "sharp softmax": (lambda: Softmax(30.0), (5,)),
    "gated": (Gated, (6,)),
    "weight norm": (lambda: WeightNorm(3), (4,)),
    "residual": (lambda: Residual(nn.Dense(4)), (4,)),
    "shared": (Shared, (4,)),
    "minibatch discrimination": (Discrimination, (3,)),
    "spread of the batch": (SpreadOfBatch, (3,)),
    "attention": (Attention, (3, 4)),
    "recurrent": (Recurrent, (3, 4)),
    "remembered table": (RememberedTable, (3, 4)),
    "Fourier features": (lambda: Projection(1.0), (4,)),
    "steep Fourier features": (lambda: Projection(100.0), (4,)),
    "power iteration": (PowerIteration, (4,)),
    "depth to space": (Shuffled, (2, 3, 4)),
    "sorted": (Sorted, (6,)),
    "largest two": (LargestTwo, (6,)),
    "unit rows": (UnitRows, (4,)),
    "spectrum": (Spectrum, (6,)),
    "lists": (lambda: ListCache(None, None), (4,)),
    "all by name": (lambda: AllByName(3), (4,)),
    "GELU": (lambda: Plain(gelu, gelu_slope), (6,)),
    "sine": (lambda: Plain(lambda x: np.sin(30 * x), lambda x: 30 * np.cos(30 * x), omega=30), (6,)),
    "softplus": (lambda: Plain(lambda x: np.logaddexp(0, x), lambda x: 1 / (1 + np.exp(-x))), (6,)),
    "clipped": (lambda: Plain(lambda x: np.clip(x, -1, 1), lambda x: (np.abs(x) < 1).astype(x.dtype)), (6,)),
    "cube": (lambda: Plain(lambda x: x**3, lambda x: 3 * x**2, scales=[1, 2], names={"a": 1}), (6,)),
    "exponential": (lambda: Plain(lambda x: np.exp(3 * x), lambda x: 3 * np.exp(3 * x)), (6,)),
    "logarithm": (lambda: Plain(lambda x: np.log(x * x + 0.1), lambda x: 2 * x / (x * x + 0.1)), (6,)),
    "identity": (lambda: Plain(lambda x: x, lambda x: 1), (6,)),
}
