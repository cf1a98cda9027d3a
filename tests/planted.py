"""Right pairs of functions of many sorts, to plant mistakes in."""

import numpy as np

from minigan.gradcheck import check_pair


def draw(*shape, seed=0):
    return np.random.default_rng([seed, 5]).standard_normal(shape)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Pair:
    """A right forward and backward, with the arrays they are checked at."""

    def __init__(self, forward, backward, *arrays):
        self.forward, self.backward, self.arrays = forward, backward, arrays

    def causes(self, mistake, array=0, **options):
        """{an array's name: its cause} if one gradient is replaced by a function of it, dy and the cache."""

        def wrong(dy, cache):
            right = self.backward(dy, cache)
            grads = list(right) if isinstance(right, tuple) else [right]
            grads[array] = np.asarray(mistake(grads[array], dy, cache))
            return tuple(grads)

        report = check_pair(self.forward, wrong, *self.arrays, pure=False, **options)
        return {row.name: row.cause for row in report.rows if row.wrong.any()}


def elementwise(f, derivative, x=None):
    return Pair(lambda x: (f(x), x), lambda dy, x: dy * derivative(x), draw(6, 4) if x is None else x)


def dense_backward(dy, cache):
    x, W = cache
    return dy @ W.T, x.T @ dy, dy.sum(axis=0)


def dense(N=5, C=4, K=4):
    return Pair(lambda x, W, b: (x @ W + b, (x, W)), dense_backward, draw(N, C), draw(C, K, seed=1), draw(K, seed=2))


def scale_backward(dy, cache):
    return dy * cache[1], (dy * cache[0]).sum(axis=0)


def scale():
    return Pair(lambda x, g: (x * g, (x, g)), scale_backward, draw(5, 6), draw(6, seed=1))


def convolved(x, w):
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[:2], axis=(1, 2))  # N, OH, OW, C, KH, KW
    return np.einsum("nhwcij,ijcf->nhwf", windows, w), (x, w, windows.copy())


def spread(dy, w, shape, put=np.add):
    """What the windows give back; `put` says how an entry takes what comes from the next tap."""
    dx, (H, W) = np.zeros(shape), dy.shape[1:3]
    for i, j in np.ndindex(w.shape[:2]):
        part = dx[:, i : i + H, j : j + W]
        part[...] = put(part, np.einsum("nhwf,cf->nhwc", dy, w[i, j]))
    return dx


def conv_backward(dy, cache):
    x, w, windows = cache
    return spread(dy, w, x.shape), np.einsum("nhwcij,nhwf->ijcf", windows, dy)


def conv():
    return Pair(convolved, conv_backward, draw(2, 4, 5, 1), draw(3, 3, 1, 2, seed=1))


def normalised(over, mean=True):
    """Layer, instance and RMS normalisation."""

    def forward(x):
        h = x - x.mean(axis=over, keepdims=True) if mean else x
        s = np.sqrt((h * h).mean(axis=over, keepdims=True) + 1e-5)
        return h / s, (h / s, s)

    def backward(dy, cache):
        h, s = cache
        d = dy - h * (dy * h).mean(axis=over, keepdims=True)
        return (d - dy.mean(axis=over, keepdims=True) if mean else d) / s

    return forward, backward


def norm(over=(-1,), mean=True, shape=(5, 6)):
    return Pair(*normalised(over, mean), draw(*shape))


def softmax_pair():
    return Pair(
        lambda x: (softmax(x), softmax(x)), lambda dy, y: y * (dy - (dy * y).sum(-1, keepdims=True)), draw(5, 4)
    )


REPEATED = np.array([0, 2, 2, 1, 2, 0])


def gathered(dy, shape):
    d = np.zeros(shape)
    np.add.at(d, REPEATED, dy)
    return d


def embedding():
    return Pair(lambda E: (E[REPEATED], E.shape), gathered, draw(5, 3))


def last_one_wins(g, dy, shape):
    d = np.zeros(shape)
    d[REPEATED] += dy
    return d


def loss(value, gradient, x):
    return Pair(lambda x: (value(x), x), lambda dy, x: dy * gradient(x), x)


def mean_square(T):
    return loss(lambda x: ((x - T) ** 2).mean(), lambda x: 2 * (x - T) / x.size, draw(5, 3, seed=1))


def pooled():
    return Pair(
        lambda x: (x.reshape(3, 2, 2, 3, 2, 2).mean(axis=(2, 4)), 0),
        lambda dy, _: dy.repeat(2, axis=1).repeat(2, axis=2) / 4,
        draw(3, 4, 6, 2),
    )


def pooled_everywhere():
    return Pair(
        lambda x: (x.mean(axis=(1, 2)), x.shape),
        lambda dy, shape: np.broadcast_to(dy[:, None, None] / 15, shape),
        draw(4, 3, 5, 2),
    )


tanh = elementwise(np.tanh, lambda x: 1 - np.tanh(x) ** 2)
residual = elementwise(lambda x: x + np.tanh(x), lambda x: 2 - np.tanh(x) ** 2)
TARGETS = draw(5, 3)
PROBABLE, LIKELY = (np.random.default_rng(k).uniform(0.1, 0.9, (5, 3)) for k in range(2))
BCE = loss(
    lambda p: -(LIKELY * np.log(p) + (1 - LIKELY) * np.log(1 - p)).sum(),
    lambda p: (p - LIKELY) / (p * (1 - p)),
    PROBABLE,
)


def flipped(*axes):
    return lambda g, dy, cache: np.flip(g, axes)


def at(index, change):
    """A mistake in some entries only."""

    def mistake(g, dy, cache):
        g = g.copy()
        g[index] = change(g[index])
        return g

    return mistake


def groups(x):
    z = x.reshape(4, 2, 4)
    h, s = z - z.mean(axis=-1, keepdims=True), np.sqrt(z.var(axis=-1, keepdims=True) + 1e-5)
    return (h / s).reshape(x.shape), (h / s, s)


def groups_backward(dy, cache):
    h, s = cache
    d = dy.reshape(h.shape)
    d = d - d.mean(axis=-1, keepdims=True) - h * (d * h).mean(axis=-1, keepdims=True)
    return (d / s).reshape(dy.shape)


def heaviest(x):
    """Max pooling of four neighbours; the cache is which was the largest."""
    w = x.reshape(3, 2, 4)
    return w.max(axis=2), w.argmax(axis=2)


def heaviest_backward(dy, which):
    return (np.eye(4)[which] * dy[..., None]).reshape(3, 8)


PRODUCT = Pair(lambda a, b: (a * b, (a, b)), lambda dy, c: (dy * c[1], dy * c[0]), draw(4, 3), draw(4, 3, seed=1))


def shares_backward(dy, x):
    total = x.sum(1, keepdims=True)
    return (dy - (dy * x).sum(1, keepdims=True) / total) / total


def attention_backward(dy, cache):
    q, k = cache
    a = softmax(q @ k.T / 2)
    d = a * (dy - (dy * a).sum(-1, keepdims=True)) / 2
    return d @ k, d.T @ q


SHARES = Pair(lambda x: (x / x.sum(1, keepdims=True), x), shares_backward, abs(draw(5, 4)) + 1)
ATTENTION = Pair(lambda q, k: (softmax(q @ k.T / 2), (q, k)), attention_backward, draw(3, 4), draw(5, 4, seed=1))
