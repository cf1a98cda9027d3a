"""Layers that make features of features: products, distances, waves, gates with weights."""

import numpy as np

from corpus.case import right, sigmoid, softmax, wrong
from minigan.nn.init import normal, uniform
from minigan.nn.layer import Layer


@right((4,), "a factor and its transpose, neither square nor symmetrical")
class QuadraticForm(Layer):
    """y_k = xᵀ A_k x."""

    def out_shape(self, in_shape):
        return (2,)

    def params(self, in_shape):
        return {"A": ((2, in_shape[0], in_shape[0]), normal(0.6))}

    def forward(self, x, *, train, rng=None):
        return np.einsum("ni,kij,nj->nk", x, self.A, x), x

    def input_grad(self, dy, cache):
        return np.einsum("nk,kij,nj->ni", dy, self.A + self.A.swapaxes(1, 2), cache)

    def param_grads(self, dy, cache, grads):
        grads["A"][...] = np.einsum("nk,ni,nj->kij", dy, cache, cache)


@wrong((4,), "2 A x, as if A were symmetrical")
class QuadraticFormSymmetric(QuadraticForm):
    def input_grad(self, dy, cache):
        return 2 * np.einsum("nk,kij,nj->ni", dy, self.A, cache)


@right((3,), "centres and widths are learned")
class RBF(Layer):
    """y_k = exp(-w_k² ‖x - c_k‖²)."""

    def out_shape(self, in_shape):
        return (2,)

    def params(self, in_shape):
        return {"c": ((2, in_shape[0]), normal(0.8)), "w": ((2,), uniform(0.6))}

    def forward(self, x, *, train, rng=None):
        apart = x[:, None] - self.c
        distance = (apart**2).sum(axis=-1)
        y = np.exp(-(self.w**2) * distance)
        return y, (apart, distance, y)

    def input_grad(self, dy, cache):
        apart, _, y = cache
        return ((-2 * self.w**2 * dy * y)[..., None] * apart).sum(axis=1)

    def param_grads(self, dy, cache, grads):
        apart, distance, y = cache
        grads["c"][...] = ((2 * self.w**2 * dy * y)[..., None] * apart).sum(axis=0)
        grads["w"][...] = (-2 * self.w * dy * y * distance).sum(axis=0)


@right((3,), "sine and cosine of learned frequencies side by side")
class Fourier(Layer):
    def out_shape(self, in_shape):
        return (4,)

    def params(self, in_shape):
        return {"B": ((in_shape[0], 2), normal(1.0))}

    def forward(self, x, *, train, rng=None):
        phase = x @ self.B
        return np.concatenate([np.sin(phase), np.cos(phase)], axis=1), (x, phase)

    def before(self, dy, cache):
        return dy[:, :2] * np.cos(cache[1]) - dy[:, 2:] * np.sin(cache[1])

    def input_grad(self, dy, cache):
        return self.before(dy, cache) @ self.B.T

    def param_grads(self, dy, cache, grads):
        grads["B"][...] = cache[0].T @ self.before(dy, cache)


@right((4, 3), "the largest counts more, along the middle axis")
class LogSumExp(Layer):
    def out_shape(self, in_shape):
        return in_shape[1:]

    def forward(self, x, *, train, rng=None):
        return np.logaddexp.reduce(2 * x, axis=1) / 2, x

    def input_grad(self, dy, cache):
        return dy[:, None] * softmax(2 * cache, axis=1)


@right((5,), "both ends of the range move with x")
class MinMax(Layer):
    def forward(self, x, *, train, rng=None):
        low, high = x.min(axis=1, keepdims=True), x.max(axis=1, keepdims=True)
        y = (x - low) / (high - low)
        return y, (y, high - low)

    def input_grad(self, dy, cache):
        y, width = cache
        dx = dy / width
        dx -= (y == 1) * (dy * y).sum(axis=1, keepdims=True) / width
        dx -= (y == 0) * (dy * (1 - y)).sum(axis=1, keepdims=True) / width
        return dx


@wrong((5,), "the lower end's part in the width is missing")
class MinMaxWidth(MinMax):
    def input_grad(self, dy, cache):
        y, width = cache
        dx = dy / width
        dx -= (y == 1) * (dy * y).sum(axis=1, keepdims=True) / width
        dx -= (y == 0) * dy.sum(axis=1, keepdims=True) / width
        return dx


@right((2,), "a factor that is cut off at 0 takes the other one's gradient too: most are 0, at some points all")
class CutProduct(Layer):
    kinks = (0.0,)

    def out_shape(self, in_shape):
        return (1,)

    def forward(self, x, *, train, rng=None):
        factors = np.maximum(x, 0)
        return factors.prod(axis=1, keepdims=True), factors

    def input_grad(self, dy, cache):
        dx = np.empty_like(cache)
        for i in range(cache.shape[1]):
            dx[:, i] = dy[:, 0] * np.delete(cache, i, axis=1).prod(axis=1) * (cache[:, i] > 0)
        return dx


@right((3,), "two inputs from one, each with a weight")
class Bilinear(Layer):
    """y = (x U) · (x V), entry by entry."""

    def out_shape(self, in_shape):
        return (2,)

    def params(self, in_shape):
        return {"U": ((in_shape[0], 2), normal(0.8)), "V": ((in_shape[0], 2), normal(0.8))}

    def forward(self, x, *, train, rng=None):
        return (x @ self.U) * (x @ self.V), x

    def input_grad(self, dy, cache):
        return (dy * (cache @ self.V)) @ self.U.T + (dy * (cache @ self.U)) @ self.V.T

    def param_grads(self, dy, cache, grads):
        grads["U"][...] = cache.T @ (dy * (cache @ self.V))
        grads["V"][...] = cache.T @ (dy * (cache @ self.U))


@right((3,), "every product of two features")
class OuterProduct(Layer):
    def out_shape(self, in_shape):
        return (in_shape[0] ** 2,)

    def forward(self, x, *, train, rng=None):
        return (x[:, :, None] * x[:, None, :]).reshape(len(x), -1), x

    def input_grad(self, dy, cache):
        dy = dy.reshape(len(dy), cache.shape[1], cache.shape[1])
        return np.einsum("nij,nj->ni", dy + dy.swapaxes(1, 2), cache)


@right((3,), "the angle between x and learned directions")
class CosineSimilarity(Layer):
    def out_shape(self, in_shape):
        return (2,)

    def params(self, in_shape):
        return {"D": ((2, in_shape[0]), normal(1.0))}

    def forward(self, x, *, train, rng=None):
        a = np.sqrt((x * x).sum(axis=1, keepdims=True) + 1e-6)
        b = np.sqrt((self.D**2).sum(axis=1))
        return x @ self.D.T / (a * b), (x, a, b)

    def input_grad(self, dy, cache):
        x, a, b = cache
        return (dy / b) @ self.D / a - x * (dy * (x @ self.D.T) / b).sum(axis=1, keepdims=True) / a**3

    def param_grads(self, dy, cache, grads):
        x, a, b = cache
        projection = (dy * (x @ self.D.T) / a).sum(axis=0)
        grads["D"][...] = (dy / (a * b)).T @ x - self.D * (projection / b**3)[:, None]


@right((3,), "two narrow matrices in place of a wide one, with a residual way around them")
class LowRankResidual(Layer):
    def params(self, in_shape):
        return {"A": ((in_shape[0], 2), normal(0.8)), "B": ((2, in_shape[0]), normal(0.8))}

    def forward(self, x, *, train, rng=None):
        return x + x @ self.A @ self.B, x

    def input_grad(self, dy, cache):
        return dy + dy @ self.B.T @ self.A.T

    def param_grads(self, dy, cache, grads):
        grads["A"][...] = cache.T @ (dy @ self.B.T)
        grads["B"][...] = (cache @ self.A).T @ dy


@right((4, 2), "update and reset gates over time; a weight has a part in every step")
class MinimalGRU(Layer):
    """f = σ(x_t + h W), h ← (1 - f)·h + f·tanh(x_t + (f·h) U); the output is the last h."""

    def out_shape(self, in_shape):
        return in_shape[-1:]

    def params(self, in_shape):
        C = in_shape[-1]
        return {"W": ((C, C), normal(0.6)), "U": ((C, C), normal(0.6))}

    def forward(self, x, *, train, rng=None):
        h, steps = np.zeros_like(x[:, 0]), []
        for t in range(x.shape[1]):
            f = sigmoid(x[:, t] + h @ self.W)
            c = np.tanh(x[:, t] + (f * h) @ self.U)
            steps.append((h, f, c))
            h = (1 - f) * h + f * c
        return h, steps

    def unroll(self, dh, steps):
        """(dx_t, dW, dU) of each step, the last one first."""
        for h, f, c in reversed(steps):
            dc = dh * f * (1 - c * c)
            dm = dc @ self.U.T
            df = (dh * (c - h) + dm * h) * f * (1 - f)
            yield dc + df, h.T @ df, (f * h).T @ dc
            dh = dh * (1 - f) + dm * f + df @ self.W.T

    def input_grad(self, dy, cache):
        return np.stack([dx for dx, _, _ in self.unroll(dy, cache)][::-1], axis=1)

    def param_grads(self, dy, cache, grads):
        grads["W"][...] = sum(dW for _, dW, _ in self.unroll(dy, cache))
        grads["U"][...] = sum(dU for _, _, dU in self.unroll(dy, cache))
