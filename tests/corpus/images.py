"""Layers on images and on axes of positions: windows, shuffles, borders, gates by channel, noise."""

import numpy as np

from corpus.case import right, sigmoid, wrong
from minigan.nn.init import normal
from minigan.nn.layer import Layer


@right((4, 6, 2), "windows side by side")
class AveragePool(Layer):
    def out_shape(self, in_shape):
        return in_shape[0] // 2, in_shape[1] // 3, in_shape[2]

    def forward(self, x, *, train, rng=None):
        N, H, W, C = x.shape
        return x.reshape(N, H // 2, 2, W // 3, 3, C).mean(axis=(2, 4)), None

    def input_grad(self, dy, cache):
        return dy.repeat(2, axis=1).repeat(3, axis=2) / 6


@right((6, 2), "windows overlap, and at the borders fewer values count")
class SmoothEdges(Layer):
    """Means over three neighbours, over two at either end."""

    def counts(self, n):
        counts = np.full((n, 1), 3)
        counts[[0, -1]] = 2
        return counts

    def forward(self, x, *, train, rng=None):
        padded = np.pad(x, ((0, 0), (1, 1), (0, 0)))
        total = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
        return (total / self.counts(x.shape[1])).astype(x.dtype), None

    def input_grad(self, dy, cache):
        return self.forward_sum((dy / self.counts(dy.shape[1])).astype(dy.dtype))

    def forward_sum(self, d):
        padded = np.pad(d, ((0, 0), (1, 1), (0, 0)))
        return padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]


@wrong((6, 2), "backward divides by three at the borders too, after the sum")
class SmoothEdgesBorder(SmoothEdges):
    def input_grad(self, dy, cache):
        return (self.forward_sum(dy) / self.counts(dy.shape[1])).astype(dy.dtype)


@right((3, 5, 2), "an output without height and width")
class GlobalPool(Layer):
    def out_shape(self, in_shape):
        return in_shape[-1:]

    def forward(self, x, *, train, rng=None):
        return x.mean(axis=(1, 2)), x.shape

    def input_grad(self, dy, cache):
        _, H, W, _ = cache
        return np.broadcast_to(dy[:, None, None] / (H * W), cache)


@wrong((3, 5, 2), "divides by the square of the height: right on square images only")
class GlobalPoolSquare(GlobalPool):
    def input_grad(self, dy, cache):
        return np.broadcast_to(dy[:, None, None] / cache[1] ** 2, cache)


@right((2, 3, 8), "four channels become two by two pixels")
class PixelShuffle(Layer):
    def out_shape(self, in_shape):
        return 2 * in_shape[0], 2 * in_shape[1], in_shape[2] // 4

    def forward(self, x, *, train, rng=None):
        N, H, W, C = x.shape
        return x.reshape(N, H, W, 2, 2, C // 4).transpose(0, 1, 3, 2, 4, 5).reshape(N, 2 * H, 2 * W, C // 4), x.shape

    order = (0, 1, 3, 2, 4, 5)

    def input_grad(self, dy, cache):
        N, H, W, C = cache
        return dy.reshape(N, H, 2, W, 2, C // 4).transpose(self.order).reshape(cache)


@wrong((2, 3, 8), "row and column within the block are swapped in backward")
class PixelShuffleSwapped(PixelShuffle):
    order = (0, 1, 3, 4, 2, 5)


@right((3, 4, 6), "the inverse permutation")
class ChannelShuffle(Layer):
    def forward(self, x, *, train, rng=None):
        return x.reshape(*x.shape[:-1], 2, 3).swapaxes(-1, -2).reshape(x.shape), None

    def input_grad(self, dy, cache):
        return dy.reshape(*dy.shape[:-1], 3, 2).swapaxes(-1, -2).reshape(dy.shape)


@wrong((3, 4, 6), "the same permutation again, which is no inverse where groups and channels differ")
class ChannelShuffleAgain(ChannelShuffle):
    def input_grad(self, dy, cache):
        return self.forward(dy, train=True)[0]


@right((5, 2), "mirrored at the ends; what a border gives comes back to where it was read")
class ReflectPad(Layer):
    def out_shape(self, in_shape):
        return in_shape[0] + 3, in_shape[1]

    def forward(self, x, *, train, rng=None):
        return np.pad(x, ((0, 0), (2, 1), (0, 0)), mode="reflect"), None

    def input_grad(self, dy, cache):
        dx = dy[:, 2:-1].copy()
        dx[:, 1] += dy[:, 1]
        dx[:, 2] += dy[:, 0]
        dx[:, -2] += dy[:, -1]
        return dx


@wrong((5, 2), "the last border's gradient goes to the last entry, as if the edge were repeated")
class ReflectPadEdge(ReflectPad):
    def input_grad(self, dy, cache):
        dx = super().input_grad(dy, cache)
        dx[:, -2] -= dy[:, -1]
        dx[:, -1] += dy[:, -1]
        return dx


@right((7, 3), "each channel has taps of its own, two positions apart")
class DilatedDepthwise(Layer):
    apart, taps = 2, 3

    def out_shape(self, in_shape):
        return in_shape[0] - self.apart * (self.taps - 1), in_shape[1]

    def params(self, in_shape):
        return {"K": ((self.taps, in_shape[-1]), normal(0.7)), "b": (in_shape[-1:], normal(0.5))}

    def starts(self):
        return [(k, k * self.apart) for k in range(self.taps)]

    def forward(self, x, *, train, rng=None):
        length = self.out_shape(x.shape[1:])[0]
        return sum(x[:, at : at + length] * self.K[k] for k, at in self.starts()) + self.b, x

    def input_grad(self, dy, cache):
        dx = np.zeros_like(cache)
        for k, at in self.starts():
            dx[:, at : at + dy.shape[1]] += dy * self.K[k]
        return dx

    def param_grads(self, dy, cache, grads):
        for k, at in self.starts():
            grads["K"][k] = (dy * cache[:, at : at + dy.shape[1]]).sum(axis=(0, 1))
        grads["b"][...] = dy.sum(axis=(0, 1))


@wrong((7, 3), "the kernel is turned in dx, as in a true convolution")
class DilatedDepthwiseTurned(DilatedDepthwise):
    def input_grad(self, dy, cache):
        dx = np.zeros_like(cache)
        for k, at in self.starts():
            dx[:, at : at + dy.shape[1]] += dy * self.K[-1 - k]
        return dx


@wrong((7, 3), "the last tap's gradient forgets that it is two positions on")
class DilatedDepthwiseTap(DilatedDepthwise):
    def param_grads(self, dy, cache, grads):
        super().param_grads(dy, cache, grads)
        grads["K"][-1] = (dy * cache[:, self.taps - 1 : self.taps - 1 + dy.shape[1]]).sum(axis=(0, 1))


@right((2, 3, 4), "the gate depends on all pixels")
class SqueezeExcite(Layer):
    def params(self, in_shape):
        return {"W": ((in_shape[-1], in_shape[-1]), normal(0.7))}

    def forward(self, x, *, train, rng=None):
        pooled = x.mean(axis=(1, 2))
        gate = sigmoid(pooled @ self.W)
        return x * gate[:, None, None], (x, pooled, gate)

    def before_gate(self, dy, cache):
        x, _, gate = cache
        return (dy * x).sum(axis=(1, 2)) * gate * (1 - gate)

    def input_grad(self, dy, cache):
        x, _, gate = cache
        through_gate = self.before_gate(dy, cache) @ self.W.T / (x.shape[1] * x.shape[2])
        return dy * gate[:, None, None] + through_gate[:, None, None]

    def param_grads(self, dy, cache, grads):
        grads["W"][...] = cache[1].T @ self.before_gate(dy, cache)


@wrong((2, 3, 4), "the way through the gate is missing from dx")
class SqueezeExciteGate(SqueezeExcite):
    def input_grad(self, dy, cache):
        return dy * cache[2][:, None, None]


@right((2, 3, 4), "whole channels are silenced, by draws of the rng that is handed in")
class SpatialDropout(Layer):
    def forward(self, x, *, train, rng=None):
        if not train:
            return x, None
        mask = (rng.uniform((len(x), 1, 1, x.shape[-1])) < 0.5) * x.dtype.type(2)
        return x * mask, mask

    def input_grad(self, dy, cache):
        return dy if cache is None else dy * cache


@right((6,), "the noise is drawn in the input's dtype")
class GaussianDropout(Layer):
    def forward(self, x, *, train, rng=None):
        if not train:
            return x, None
        noise = 1 + 0.5 * rng.normal(x.shape).astype(x.dtype)
        return x * noise, noise

    def input_grad(self, dy, cache):
        return dy if cache is None else dy * cache


@wrong((6,), "the cache holds a second draw, not the one that was used")
class GaussianDropoutRedrawn(GaussianDropout):
    def forward(self, x, *, train, rng=None):
        y, noise = super().forward(x, train=train, rng=rng)
        return y, (1 + 0.5 * rng.normal(x.shape).astype(x.dtype) if train else noise)


@wrong((5, 2), "the middle of an odd row meets itself, and gets its gradient twice")
class MirrorMax(Layer):
    """The larger of x and its mirror image along axis 1."""

    def forward(self, x, *, train, rng=None):
        y = np.maximum(x, x[:, ::-1])
        return y, (x, y)

    def input_grad(self, dy, cache):
        x, y = cache
        return dy * (x == y) + (dy * (x[:, ::-1] == y))[:, ::-1]


@right((5, 2), "a value that meets itself gets half of its gradient from either side")
class MirrorMaxHalves(MirrorMax):
    def input_grad(self, dy, cache):
        x, _ = cache
        tied = (x == x[:, ::-1]) * dy.dtype.type(1) + 1
        return super().input_grad(dy / tied, cache)


@wrong((16, 17, 1), "the index of the largest pixel is kept in an int8, and half of them do not fit")
class PeakValue(Layer):
    def out_shape(self, in_shape):
        return in_shape[-1:]

    def forward(self, x, *, train, rng=None):
        flat = x.reshape(len(x), -1, x.shape[-1])
        return flat.max(axis=1), (flat.argmax(axis=1).astype(np.int8), x.shape)

    def input_grad(self, dy, cache):
        winner, shape = cache
        dx = np.zeros((shape[0], shape[1] * shape[2], shape[3]), dy.dtype)
        np.put_along_axis(dx, winner[:, None].astype(int), dy[:, None], axis=1)
        return dx.reshape(shape)
