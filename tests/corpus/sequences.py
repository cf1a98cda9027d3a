"""Layers along an axis: recurrence, attention, sums and sorting, picking entries. The middle axis T is time."""

import math

import numpy as np

from corpus.case import right, sigmoid, softmax, through_softmax, wrong
from minigan.nn.init import normal
from minigan.nn.layer import Layer


@right((4, 3), "one weight matrix used at every step, from a state of zeros")
class SimpleRNN(Layer):
    """h_t = tanh(x_t + h_{t-1} U); the output is all of h."""

    def params(self, in_shape):
        return {"U": ((in_shape[-1], in_shape[-1]), normal(0.6))}

    def forward(self, x, *, train, rng=None):
        h = np.zeros((len(x), x.shape[1] + 1, x.shape[2]), x.dtype)
        for t in range(x.shape[1]):
            h[:, t + 1] = np.tanh(x[:, t] + h[:, t] @ self.U)
        return h[:, 1:], h

    def input_grad(self, dy, cache):
        da = np.zeros_like(dy)
        back = np.zeros_like(dy[:, 0])
        for t in reversed(range(dy.shape[1])):
            da[:, t] = (dy[:, t] + back) * (1 - cache[:, t + 1] ** 2)
            back = da[:, t] @ self.U.T
        return da

    def param_grads(self, dy, cache, grads):
        da = self.input_grad(dy, cache)
        grads["U"][...] = np.einsum("ntc,ntk->ck", cache[:, :-1], da)


@wrong((4, 3), "the last step's part of dU is lost")
class SimpleRNNLastStep(SimpleRNN):
    def param_grads(self, dy, cache, grads):
        da = self.input_grad(dy, cache)
        grads["U"][...] = np.einsum("ntc,ntk->ck", cache[:, :-2], da[:, :-1])


@wrong((4, 3), "what comes back through time is cut off at ±0.5")
class SimpleRNNClipped(SimpleRNN):
    def input_grad(self, dy, cache):
        da = np.zeros_like(dy)
        back = np.zeros_like(dy[:, 0])
        for t in reversed(range(dy.shape[1])):
            da[:, t] = (dy[:, t] + np.clip(back, -0.5, 0.5)) * (1 - cache[:, t + 1] ** 2)
            back = da[:, t] @ self.U.T
        return da


@right((3, 3), "single head, over as many positions as features")
class SelfAttention(Layer):
    """y = softmax(q kᵀ / √C) v with q = x Q, k = x K and v = x."""

    def params(self, in_shape):
        C = in_shape[-1]
        return {"Q": ((C, C), normal(0.7)), "K": ((C, C), normal(0.7))}

    def forward(self, x, *, train, rng=None):
        q, k = x @ self.Q, x @ self.K
        a = softmax(np.einsum("nic,njc->nij", q, k) / math.sqrt(x.shape[-1]))
        return a @ x, (x, q, k, a)

    def queries_and_keys(self, dy, cache):
        x, q, k, a = cache
        ds = through_softmax(np.einsum("nic,njc->nij", dy, x), a) / math.sqrt(x.shape[-1])
        return np.einsum("nij,njc->nic", ds, k), np.einsum("nij,nic->njc", ds, q)

    def input_grad(self, dy, cache):
        dq, dk = self.queries_and_keys(dy, cache)
        return np.einsum("nij,nic->njc", cache[3], dy) + dq @ self.Q.T + dk @ self.K.T

    def param_grads(self, dy, cache, grads):
        dq, dk = self.queries_and_keys(dy, cache)
        grads["Q"][...] = np.einsum("ntc,ntk->ck", cache[0], dq)
        grads["K"][...] = np.einsum("ntc,ntk->ck", cache[0], dk)


@wrong((3, 3), "dk sums over the wrong one of two axes, which are equally long")
class SelfAttentionAxes(SelfAttention):
    def queries_and_keys(self, dy, cache):
        x, q, k, a = cache
        ds = through_softmax(np.einsum("nic,njc->nij", dy, x), a) / math.sqrt(x.shape[-1])
        return np.einsum("nij,njc->nic", ds, k), np.einsum("nij,njc->nic", ds, q)


@right((6, 2), "the sum so far")
class CumulativeSum(Layer):
    def forward(self, x, *, train, rng=None):
        return x.cumsum(axis=1), None

    def input_grad(self, dy, cache):
        return dy[:, ::-1].cumsum(axis=1)[:, ::-1]


@wrong((6, 2), "at inference the sum runs over the batch, where examples must not meet")
class CumulativeSumBatch(CumulativeSum):
    def forward(self, x, *, train, rng=None):
        return x.cumsum(axis=1 if train else 0), train

    def input_grad(self, dy, cache):
        axis = 1 if cache else 0
        return np.flip(np.flip(dy, axis).cumsum(axis=axis), axis)


@right((6,), "moves the gradient back to where the sorted values came from")
class Sorted(Layer):
    index = np.intp

    def forward(self, x, *, train, rng=None):
        order = x.argsort(axis=-1)
        return np.take_along_axis(x, order, axis=-1), order.astype(self.index)

    def input_grad(self, dy, cache):
        dx = np.zeros_like(dy)
        np.put_along_axis(dx, cache.astype(np.intp), dy, axis=-1)
        return dx


@wrong((270,), "the order is kept in a uint8, which wraps at 256")
class SortedCompact(Sorted):
    index = np.uint8


@wrong((6,), "reads the gradient by the order, instead of writing it there: right for a swap of two")
class SortedForwards(Sorted):
    def input_grad(self, dy, cache):
        return np.take_along_axis(dy, cache, axis=-1)


@right((6,), "the three largest pass, the others are 0")
class TopThree(Layer):
    def forward(self, x, *, train, rng=None):
        third = np.partition(x, -3, axis=-1)[..., -3, None]
        return x * (x >= third), x >= third

    def input_grad(self, dy, cache):
        return dy * cache


@right((4, 2), "entries taken twice: their gradients add up")
class Take(Layer):
    index = np.array([0, 2, 2, 3, 0])

    def out_shape(self, in_shape):
        return len(self.index), in_shape[1]

    def forward(self, x, *, train, rng=None):
        return x[:, self.index], x.shape

    def input_grad(self, dy, cache):
        dx = np.zeros(cache, dy.dtype)
        np.add.at(dx, (slice(None), self.index), dy)
        return dx


@wrong((4, 2), "dx[:, index] += dy adds only once where an entry was taken twice")
class TakeOnce(Take):
    def input_grad(self, dy, cache):
        dx = np.zeros(cache, dy.dtype)
        dx[:, self.index] += dy
        return dx


@right((5,), "beside itself and beside its square")
class Beside(Layer):
    def out_shape(self, in_shape):
        return (3 * in_shape[0],)

    def forward(self, x, *, train, rng=None):
        return np.concatenate([x, x, x * x], axis=1), x

    def input_grad(self, dy, cache):
        a, b, c = np.split(dy, 3, axis=1)
        return a + b + 2 * cache * c


@right((4,), "a gate between a transformed input and the input")
class Highway(Layer):
    def params(self, in_shape):
        C = in_shape[-1]
        return {"W": ((C, C), normal(0.6)), "G": ((C, C), normal(0.6)), "bias": ((C,), normal(1.0))}

    def forward(self, x, *, train, rng=None):
        h, g = np.tanh(x @ self.W), sigmoid(x @ self.G + self.bias)
        return g * h + (1 - g) * x, (x, h, g)

    def before(self, dy, cache):
        x, h, g = cache
        return dy * g * (1 - h * h), dy * (h - x) * g * (1 - g)

    def input_grad(self, dy, cache):
        dh, dg = self.before(dy, cache)
        return dh @ self.W.T + dg @ self.G.T + dy * (1 - cache[2])

    def param_grads(self, dy, cache, grads):
        dh, dg = self.before(dy, cache)
        grads["W"][...], grads["G"][...], grads["bias"][...] = cache[0].T @ dh, cache[0].T @ dg, dg.sum(axis=0)


@wrong((4,), "the carry's part of the gate's slope is missing")
class HighwayCarry(Highway):
    def before(self, dy, cache):
        _, h, g = cache
        return dy * g * (1 - h * h), dy * h * g * (1 - g)


@right((4,), "the length and the direction of each column are learned apart")
class WeightNormDense(Layer):
    def out_shape(self, in_shape):
        return (3,)

    def params(self, in_shape):
        return {"V": ((in_shape[-1], 3), normal(1.0)), "g": ((3,), normal(1.0))}

    def forward(self, x, *, train, rng=None):
        length = np.sqrt((self.V**2).sum(axis=0))
        return x @ (self.V / length * self.g), (x, length)

    def input_grad(self, dy, cache):
        return dy @ (self.V / cache[1] * self.g).T

    def param_grads(self, dy, cache, grads):
        x, length = cache
        direction, dW = self.V / length, x.T @ dy
        grads["g"][...] = (dW * direction).sum(axis=0)
        grads["V"][...] = self.g / length * (dW - self.along(direction, dW))

    def along(self, direction, dW):
        return direction * (dW * direction).sum(axis=0)


@wrong((4,), "the projection is left out of dV: the column's length gets a gradient")
class WeightNormProjection(WeightNormDense):
    def along(self, direction, dW):
        return 0


@wrong((4,), "a weight used twice: only its second use counts")
class TiedAutoencoder(Layer):
    """y = tanh(x W) Wᵀ."""

    def params(self, in_shape):
        return {"W": ((in_shape[-1], 3), normal(0.7))}

    def forward(self, x, *, train, rng=None):
        h = np.tanh(x @ self.W)
        return h @ self.W.T, (x, h)

    def input_grad(self, dy, cache):
        return (dy @ self.W * (1 - cache[1] ** 2)) @ self.W.T

    def param_grads(self, dy, cache, grads):
        grads["W"][...] = dy.T @ cache[1]
