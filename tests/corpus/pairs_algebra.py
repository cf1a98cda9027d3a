"""Pairs of matrices, polynomials, positions: what is differentiated outside of networks, and points that are hard."""

import math

import numpy as np

from corpus.case import draw, right_pair, wrong_pair


def well_posed(n, seed=0):
    return 2 * np.eye(n) + 0.5 * draw(n, n, seed=seed)


@right_pair("the inverse, transposed")
def log_determinant():
    return lambda A: (np.linalg.slogdet(A)[1], A), lambda dy, A: dy * np.linalg.inv(A).T, well_posed(4)


@wrong_pair("the inverse as it is: right for symmetrical matrices")
def log_determinant_transposed():
    return lambda A: (np.linalg.slogdet(A)[1], A), lambda dy, A: dy * np.linalg.inv(A), well_posed(4)


@right_pair("minus the inverse on both sides, transposed")
def inverse():
    return lambda A: (np.linalg.inv(A),) * 2, lambda dy, y: -y.T @ dy @ y.T, well_posed(3)


def solve(A, b):
    return np.linalg.solve(A.T @ A, A.T @ b), (A, b, np.linalg.solve(A.T @ A, A.T @ b))


@right_pair("A has a part in both sides of the normal equations")
def least_squares():
    def backward(dy, cache):
        A, b, x = cache
        u = np.linalg.solve(A.T @ A, dy)
        return np.outer(b - A @ x, u) - np.outer(A @ u, x), A @ u

    return solve, backward, draw(6, 3), draw(6, seed=1)


@wrong_pair("the residual's term is left out: right where the fit is exact")
def least_squares_residual():
    def backward(dy, cache):
        A, _, x = cache
        u = np.linalg.solve(A.T @ A, dy)
        return -np.outer(A @ u, x), A @ u

    return solve, backward, draw(6, 3), draw(6, seed=1)


@right_pair("one norm over another, of the same x")
def norm_ratio():
    def forward(x):
        one, two = np.abs(x).sum(axis=1), np.sqrt((x * x).sum(axis=1))
        return one / two, (x, one[:, None], two[:, None])

    def backward(dy, cache):
        x, one, two = cache
        return dy[:, None] * (np.sign(x) / two - one * x / two**3)

    return forward, backward, draw(4, 3)


@wrong_pair("y / x for the product of the others, guarded against 0: where one factor is 0 nothing remains")
def product_guarded():
    def backward(dy, cache):
        x, y = cache
        return dy[:, None] * y[:, None] / np.where(x == 0, 1, x)

    x = draw(4, 3)
    x[1, 2] = 0
    return lambda x: (x.prod(axis=1), (x, x.prod(axis=1))), backward, x


@right_pair("all but one of the factors, also where two of them are 0")
def product_with_zeros():
    def backward(dy, x):
        others = [np.delete(x, i, axis=1).prod(axis=1) for i in range(x.shape[1])]
        return dy[:, None] * np.stack(others, axis=1)

    x = draw(4, 3)
    x[1, 1:] = x[2] = 0
    return lambda x: (x.prod(axis=1), x), backward, x


@right_pair("what is scattered to the same place adds up")
def scatter():
    index = np.array([1, 0, 1, 3, 1])

    def forward(x):
        y = np.zeros((4, x.shape[1]))
        np.add.at(y, index, x**2)
        return y, x

    return forward, lambda dy, x: 2 * x * dy[index], draw(5, 2)


@wrong_pair("gathered rows are written back, and of several the last one wins")
def gather():
    index = np.array([1, 0, 1, 3, 1])

    def backward(dy, shape):
        dx = np.zeros(shape)
        dx[index] = dy
        return dx

    return lambda x: (x[index], x.shape), backward, draw(4, 2)


def tied_blocks():
    x = np.random.default_rng(0).integers(0, 3, (4, 6)).astype(float)
    x[0] = [2, 2, 1, 0, 1, 2]
    return x


def block_max(x):
    blocks = x.reshape(len(x), -1, 3)
    return blocks.max(axis=2), blocks


@right_pair("of equal largest entries the first one gets all")
def pooling_first():
    def backward(dy, blocks):
        dx = np.zeros_like(blocks)
        np.put_along_axis(dx, blocks.argmax(axis=2)[..., None], dy[..., None], axis=2)
        return dx.reshape(len(dx), -1)

    return block_max, backward, tied_blocks()


@right_pair("equal largest entries share alike")
def pooling_shared():
    def backward(dy, blocks):
        won = blocks == blocks.max(axis=2, keepdims=True)
        return (won / won.sum(axis=2, keepdims=True) * dy[..., None]).reshape(len(dy), -1)

    return block_max, backward, tied_blocks()


@wrong_pair("equal largest entries get all, each of them")
def pooling_all():
    def backward(dy, blocks):
        won = blocks == blocks.max(axis=2, keepdims=True)
        return (won * dy[..., None]).reshape(len(dy), -1)

    return block_max, backward, tied_blocks()


def median(x):
    order = x.argsort(axis=1)[:, 2:4]
    return np.take_along_axis(x, order, axis=1).mean(axis=1), (order, x.shape)


@wrong_pair("of an even number the median is a mean of two, and the lower one gets all")
def median_lower():
    def backward(dy, cache):
        order, shape = cache
        dx = np.zeros(shape)
        np.put_along_axis(dx, order[:, :1], dy[:, None], axis=1)
        return dx

    return median, backward, draw(4, 6)


def circular(x, k):
    return np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(k, x.shape[-1]), x.shape[-1]), (x, k)


@right_pair("a circular convolution by way of frequencies, backwards with the conjugates")
def fourier_convolution():
    def backward(dy, cache):
        x, k = cache
        n, up = x.shape[-1], np.fft.rfft(dy)
        dk = np.fft.irfft(up * np.fft.rfft(x).conj(), n).sum(axis=0)[: len(k)]
        return np.fft.irfft(up * np.fft.rfft(k, n).conj(), n), dk

    return circular, backward, draw(3, 8), draw(3, seed=1)


@wrong_pair("without the conjugate at x: dk is that of the mirrored x")
def fourier_convolution_conjugate():
    _, right, *arrays = fourier_convolution()

    def backward(dy, cache):
        x, k = cache
        dk = np.fft.irfft(np.fft.rfft(dy) * np.fft.rfft(x), x.shape[-1]).sum(axis=0)[: len(k)]
        return right(dy, cache)[0], dk

    return circular, backward, *arrays


@wrong_pair("between table entries the slope is that of the next interval")
def interpolation():
    def forward(x, table):
        low = np.floor(x).astype(int)
        return table[low] + (x - low) * (table[low + 1] - table[low]), (x - low, low, table)

    def backward(dy, cache):
        part, low, table = cache
        dtable = np.zeros_like(table)
        np.add.at(dtable, low, dy * (1 - part))
        np.add.at(dtable, low + 1, dy * part)
        return dy * (table[low + 2] - table[low + 1]), dtable

    return forward, backward, np.random.default_rng(2).uniform(0.1, 3.9, 7), draw(6)


@right_pair("a polynomial, Horner's way, of its point and its coefficients")
def polynomial():
    def forward(x, c):
        return np.polyval(c, x), (x, c)

    def backward(dy, cache):
        x, c = cache
        return dy * np.polyval(np.polyder(c), x), dy @ np.vander(x, len(c))

    return forward, backward, draw(6), draw(4, seed=1)


@wrong_pair("rolled back along the flat array, not along each row: wrong at the seam only")
def circular_shift():
    def forward(x):
        y = np.roll(x, 2, axis=1)
        return y * y, y

    return forward, lambda dy, y: np.roll(2 * dy * y, -2), draw(3, 5)


@right_pair("turns fast: x is of the size 1/k")
def fast_sine():
    k = 3e6
    return lambda x: (np.sin(k * x), k * x), lambda dy, phase: dy * k * np.cos(phase), draw(4, 3) / k


@right_pair("bends hard at small x, and no entry is near the pole")
def reciprocal_of_small():
    x = np.random.default_rng(0).uniform(2e-4, 2e-3, (4, 3))
    return lambda x: (1 / x, x), lambda dy, x: -dy / x**2, x


@wrong_pair("1e-4 is added to the square, in backward only")
def reciprocal_guarded():
    x = np.random.default_rng(0).uniform(1, 3, (4, 3))
    return lambda x: (1 / x, x), lambda dy, x: -dy / (x**2 + 1e-4), x


@right_pair("rounded to whole steps: zero, and rightly so")
def quantised():
    return lambda x: (np.floor(4 * x) / 4, x), lambda dy, x: np.zeros_like(x), draw(4, 3)


@wrong_pair("beyond 10 the square is cut off, in backward only")
def cut_off():
    def forward(x):
        return np.hypot(x, 1), x

    return forward, lambda dy, x: dy * x / np.sqrt(np.minimum(x * x, 100) + 1), 20 * draw(4, 3)


@wrong_pair("a rational function whose denominator's part has lost its sign at negative x")
def rational():
    def backward(dy, x):
        below = 1 + x * x
        return dy * (1 / below - 2 * x * np.abs(x) / below**2)

    return lambda x: (x / (1 + x * x), x), backward, draw(4, 3)


@wrong_pair("natural logarithm's slope for the logarithm to base 2, rounded to three digits")
def binary_logarithm():
    x = np.random.default_rng(0).uniform(0.5, 3, (4, 3))
    return lambda x: (x * np.log2(x), x), lambda dy, x: dy * (np.log2(x) + 1.443), x


@right_pair("two arrays whose gradients are a million times apart")
def apart():
    def backward(dy, cache):
        x, w = cache
        return dy * w * np.cos(x * w), dy * x * np.cos(x * w)

    return lambda x, w: (np.sin(x * w), (x, w)), backward, 1e-3 * draw(4, 3), math.sqrt(1e6) * (2 + draw(4, 3, seed=1))
