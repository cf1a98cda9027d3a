"""Right code as other people write it passes the checker: layers that minigan does not have, in the style of CS231n."""

import numpy as np
import pytest

from minigan.gradcheck import check_pair

EMBEDDED = np.array([0, 2, 2, 1])


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    y = e / e.sum(axis=-1, keepdims=True)
    return y, y


def softmax_backward(dy, y):
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


def layernorm(x, gamma, beta):
    std = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / std
    return x_hat * gamma + beta, (x_hat, std, gamma)


def layernorm_backward(dy, cache):
    x_hat, std, gamma = cache
    d = dy * gamma
    mean, projection = d.mean(axis=-1, keepdims=True), (d * x_hat).mean(axis=-1, keepdims=True)
    return (d - mean - x_hat * projection) / std, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


def max_pool(x):
    N, H, W, C = x.shape
    windows = x.reshape(N, H // 2, 2, W // 2, 2, C)
    y = windows.max(axis=(2, 4))
    return y, (windows, y)


def max_pool_backward(dy, cache):
    windows, y = cache
    N, H, W, C = y.shape
    return ((windows == y[:, :, None, :, None]) * dy[:, :, None, :, None]).reshape(N, 2 * H, 2 * W, C)


def affine(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, w)


def affine_backward(dy, cache):
    x, w = cache
    return (dy @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dy, dy.sum(axis=0)


def convolution(x, w):
    columns = np.lib.stride_tricks.sliding_window_view(x, len(w), axis=1)  # memory that overlaps
    return columns @ w, (x, w, columns)


def convolution_backward(dy, cache):
    x, w, columns = cache
    dx = np.zeros_like(x)
    for k in range(len(w)):
        dx[:, k : k + dy.shape[1]] += dy * w[k]
    return dx, np.einsum("nl,nlk->k", dy, columns)


def embedding_backward(dy, shape):
    d = np.zeros(shape)
    np.add.at(d, EMBEDDED, dy)
    return d


def rnn_step(x, h, Wx, Wh):
    y = np.tanh(x @ Wx + h @ Wh)
    return y, (x, h, Wx, Wh, y)


def rnn_step_backward(dy, cache):
    x, h, Wx, Wh, y = cache
    d = dy * (1 - y * y)
    return d @ Wx.T, d @ Wh.T, x.T @ d, h.T @ d


def cross_entropy(x, labels):
    return -(x[np.arange(len(x)), labels] - np.log(np.exp(x).sum(axis=1))).mean(), (x, labels)


def cross_entropy_backward(dy, cache):
    x, labels = cache
    return dy * (softmax(x)[0] - np.eye(x.shape[1])[labels]) / len(x)


CASES = {
    "softmax": (softmax, softmax_backward, draw(5, 4)),
    "layer norm": (layernorm, layernorm_backward, draw(5, 4), draw(4, seed=1), draw(4, seed=2)),
    "max pooling": (max_pool, max_pool_backward, draw(2, 4, 4, 3)),
    "affine of images": (affine, affine_backward, draw(3, 2, 2), draw(4, 5, seed=1), draw(5, seed=2)),
    "affine of one image": (affine, affine_backward, draw(1, 4), draw(4, 5, seed=1), draw(5, seed=2)),
    "large affine": (affine, affine_backward, draw(100, 40), draw(40, 60, seed=1), draw(60, seed=2)),
    "convolution": (convolution, convolution_backward, draw(3, 9), draw(3, seed=1)),
    "embedding": (lambda E: (E[EMBEDDED], E.shape), embedding_backward, draw(5, 3)),
    "RNN step": (rnn_step, rnn_step_backward, draw(3, 4), draw(3, 5), draw(4, 5, seed=1), draw(5, 5, seed=2)),
    "cross-entropy": (cross_entropy, cross_entropy_backward, draw(5, 3), np.array([0, 1, 2, 1, 0])),
    "a sum": (lambda x: ((x * x).sum(), x), lambda dy, x: 2 * dy * x, draw(3, 4)),
    "the input itself": (lambda x: (x, None), lambda dy, _: dy, draw(3, 4)),
    "a view of it": (lambda x: (x.reshape(len(x), -1), x.shape), lambda dy, shape: dy.reshape(shape), draw(2, 3, 4)),
    "hinge": (lambda s: (np.maximum(0, 1 - s), s), lambda dy, s: -dy * (s < 1), draw(20, 1)),
    "Huber": (
        lambda x: (np.where(abs(x) < 1, 0.5 * x * x, abs(x) - 0.5), x),
        lambda dy, x: dy * np.clip(x, -1, 1),
        draw(20, 1),
    ),
    "a number": (lambda x: (np.exp(x), x), lambda dy, x: dy * np.exp(x), np.array(0.3)),
}


@pytest.mark.parametrize("name", CASES)
def test_right_code_passes(name):
    for seed in range(3):
        report = check_pair(*CASES[name], seed=seed)
        assert report, str(report)


@pytest.mark.parametrize("name", CASES)
def test_the_same_code_off_by_five_in_ten_thousand_fails(name):
    forward, backward, *arrays = CASES[name]

    def wrong(dy, cache):
        grads = backward(dy, cache)
        return tuple(1.0005 * g for g in grads) if isinstance(grads, tuple) else 1.0005 * grads

    report = check_pair(forward, wrong, *arrays)
    assert all(row.wrong.any() for row in report.rows), str(report)
