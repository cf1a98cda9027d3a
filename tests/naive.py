"""Naive twins: each formula once more as slow loops over single numbers, with nothing shared with the library."""

import math

import numpy as np


def dense(x, W, b):
    rows = x.reshape(-1, x.shape[-1])
    y = np.zeros((len(rows), W.shape[1]))
    for n in range(len(rows)):
        for k in range(W.shape[1]):
            y[n, k] = sum(rows[n, c] * W[c, k] for c in range(W.shape[0])) + (0 if b is None else b[k])
    return y.reshape(*x.shape[:-1], W.shape[1])


def elementwise(function, x):
    return np.array([function(v) for v in x.ravel().tolist()]).reshape(x.shape)


def sigmoid(v):
    return 1 / (1 + math.exp(-v))


def batchnorm(x, gamma, beta, eps, mean=None, var=None):
    """Training if mean and var are None. Returns y and the statistics used: mean, biased and unbiased variance."""
    y = np.empty(x.shape)
    used = []
    for c in range(x.shape[-1]):
        values = x[..., c].ravel().tolist()
        n = len(values)
        m = sum(values) / n if mean is None else mean[c]
        v = sum((value - m) ** 2 for value in values) / n if var is None else var[c]
        y[..., c] = (gamma[c] * (x[..., c] - m) / math.sqrt(v + eps)) + beta[c]
        used.append((m, v, v * n / (n - 1)))
    return y, np.array(used).T


def convolution(x, W, b, stride, pad):
    """One sum for each output: over the kernel's places that fall on the image, and the channels."""
    (KH, KW, C, K), (N, H, w, _) = W.shape, x.shape
    (SH, SW), ((top, bottom), (left, right)) = stride, pad
    OH, OW = (H + top + bottom - KH) // SH + 1, (w + left + right - KW) // SW + 1
    y = np.zeros((N, OH, OW, K))
    for n, p, q, k in np.ndindex(y.shape):
        total = 0.0 if b is None else float(b[k])
        for i, j, c in np.ndindex(KH, KW, C):
            row, column = p * SH + i - top, q * SW + j - left
            if 0 <= row < H and 0 <= column < w:
                total += float(x[n, row, column, c]) * float(W[i, j, c, k])
        y[n, p, q, k] = total
    return y


def transposed_convolution(x, W, b, stride, pad, size):
    """Every input number stamps the kernel on the output, as far as that reaches."""
    (KH, KW, K, C), (N, H, w, _) = W.shape, x.shape
    (SH, SW), ((top, _), (left, _)) = stride, pad
    y = np.zeros((N, *size, K)) + (0 if b is None else b)
    for n, p, q, c in np.ndindex(N, H, w, C):
        for i, j, k in np.ndindex(KH, KW, K):
            row, column = p * SH + i - top, q * SW + j - left
            if 0 <= row < size[0] and 0 <= column < size[1]:
                y[n, row, column, k] += float(W[i, j, k, c]) * float(x[n, p, q, c])
    return y


def max_pool(x, kernel, stride, pad):
    """(y, dx for a gradient of ones): the first of the largest wins its window, row by row."""
    N, H, w, C = x.shape
    (KH, KW), (SH, SW), ((top, bottom), (left, right)) = kernel, stride, pad
    y = np.zeros((N, (H + top + bottom - KH) // SH + 1, (w + left + right - KW) // SW + 1, C))
    dx = np.zeros(x.shape)
    for n, p, q, c in np.ndindex(y.shape):
        best = None
        for i, j in np.ndindex(KH, KW):
            row, column = p * SH + i - top, q * SW + j - left
            if 0 <= row < H and 0 <= column < w and (best is None or x[n, row, column, c] > x[(n, *best, c)]):
                best = (row, column)
        y[n, p, q, c] = x[(n, *best, c)]
        dx[(n, *best, c)] += 1
    return y, dx


def softmax_cross_entropy(x, t):
    total = 0.0
    for row, target in zip(x.tolist(), t.tolist(), strict=True):
        norm = math.log(sum(math.exp(v) for v in row))
        weights = [float(k == target) for k in range(len(row))] if isinstance(target, int) else target
        total -= sum(w * (v - norm) for w, v in zip(weights, row, strict=True))
    return total / len(x)


def binary_cross_entropy(p, t):
    total = 0.0
    for p_i, t_i in zip(p.ravel().tolist(), np.broadcast_to(t, p.shape).ravel().tolist(), strict=True):
        log_p = max(math.log(p_i), -100) if p_i > 0 else -100
        log_q = max(math.log(1 - p_i), -100) if p_i < 1 else -100
        total -= t_i * log_p + (1 - t_i) * log_q
    return total / p.size


def adam(theta, grads, *, lr, beta1, beta2, eps):
    """Algorithm 1 of Kingma & Ba, one number at a time, over the gradients of successive steps."""
    out = []
    for i, value in enumerate(theta.tolist()):
        m = v = 0.0
        for t, grad in enumerate(grads, start=1):
            g = float(grad[i])
            m = beta1 * m + (1 - beta1) * g
            v = beta2 * v + (1 - beta2) * g * g
            value -= lr * (m / (1 - beta1**t)) / (math.sqrt(v / (1 - beta2**t)) + eps)
        out.append(value)
    return np.array(out)
