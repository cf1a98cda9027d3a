"""Pairs at hard points (ties, kinks, all sizes of numbers), and pairs that keep what they should hand on."""

import numpy as np

from corpus.case import draw, right_pair, wrong_pair


def whole_numbers(*shape):
    """Small whole numbers with many ties."""
    return np.random.default_rng(3).integers(-2, 3, shape).astype(float)


@wrong_pair("forward leaves x where backward finds it, for whichever forward was the last")
def left_behind():
    left = {}

    def forward(x):
        left["x"] = x
        return np.sin(x), None

    return forward, lambda dy, _: dy * np.cos(left["x"]), draw(4, 3)


@wrong_pair("the cache is one array for all calls")
def one_room():
    room = np.empty((4, 3))

    def forward(x):
        np.cos(x, out=room)
        return np.sin(x), room

    return forward, lambda dy, slope: dy * slope, draw(4, 3)


@wrong_pair("dy is kept within ±4, where a random one stays by itself")
def clipped():
    return lambda x: (np.sin(x), np.cos(x)), lambda dy, slope: np.clip(dy, -4, 4) * slope, draw(4, 3)


@wrong_pair("one example's gradient longer than 6 is shortened")
def shortened():
    def backward(dy, slope):
        length = np.linalg.norm(dy, axis=1, keepdims=True)
        return dy * slope * np.minimum(1, 6 / np.maximum(length, 1e-12))

    return lambda x: (np.sin(x), np.cos(x)), backward, draw(4, 3)


@wrong_pair("divides by the number of examples with a gradient, forward by that of all")
def counted_rows():
    def backward(dy, shape):
        with_gradient = max(np.count_nonzero(dy), 1)
        return np.broadcast_to((dy * len(dy) / with_gradient / shape[1])[:, None], shape)

    return lambda x: (x.mean(axis=1), x.shape), backward, draw(4, 3)


@wrong_pair("the largest entries of a row: each of the tied ones gets everything")
def row_max_all():
    return lambda x: (x.max(axis=1), x), lambda dy, x: dy[:, None] * (x == x.max(axis=1)[:, None]), whole_numbers(5, 8)


@right_pair("the largest entries of a row: the last of the tied ones gets everything")
def row_max_last():
    def backward(dy, x):
        dx = np.zeros_like(x)
        dx[np.arange(len(x)), x.shape[1] - 1 - x[:, ::-1].argmax(axis=1)] = dy
        return dx

    return lambda x: (x.max(axis=1), x), backward, whole_numbers(5, 8)


@wrong_pair("tied entries share by the size of the block, so that the sum falls short")
def row_max_share():
    def backward(dy, x):
        won = x == x.max(axis=1)[:, None]
        alone = won.sum(axis=1) == 1
        return dy[:, None] * won * np.where(alone, 1, 1 / x.shape[1])[:, None]

    return lambda x: (x.max(axis=1), x), backward, whole_numbers(5, 8)


@wrong_pair("of the range, all lowest and all highest entries get everything")
def row_range_all():
    def backward(dy, x):
        return dy[:, None] * ((x == x.max(axis=1)[:, None]) * 1.0 - (x == x.min(axis=1)[:, None]))

    return lambda x: (np.ptp(x, axis=1), x), backward, whole_numbers(5, 8)


@right_pair("of the largest size, tied among both signs, a third and two thirds go to the first and the last")
def largest_size():
    def backward(dy, x):
        dx, size = np.zeros_like(x), np.abs(x)
        first, last = size.argmax(axis=1), x.shape[1] - 1 - size[:, ::-1].argmax(axis=1)
        rows = np.arange(len(x))
        for at, part in ((first, 1 / 3), (last, 2 / 3)):
            dx[rows, at] += part * dy * np.sign(x[rows, at])
        return dx

    return lambda x: (np.abs(x).max(axis=1), x), backward, whole_numbers(5, 8)


@right_pair("sorted, with ties: each place hands back to where its value came from")
def sorted_ties():
    def forward(x):
        order = x.argsort(axis=1, kind="stable")
        return np.take_along_axis(x, order, axis=1) * np.arange(1, 5), order

    def backward(dy, order):
        dx = np.empty_like(dy)
        np.put_along_axis(dx, order, dy * np.arange(1, 5), axis=1)
        return dx

    return forward, backward, np.round(2 * draw(5, 4))


@right_pair("a logarithm over six orders of magnitude")
def logarithm_of_decades():
    return lambda x: (np.log(x), x), lambda dy, x: dy / x, np.logspace(-3, 3, 12).reshape(3, 4)


@wrong_pair("a logarithm over six orders of magnitude, with 1e-5 added in backward: wrong at the small end")
def logarithm_of_decades_guarded():
    return lambda x: (np.log(x), x), lambda dy, x: dy / (x + 1e-5), np.logspace(-3, 3, 12).reshape(3, 4)


def normalised(x):
    centred = x - x.mean(axis=0)
    std = np.sqrt((centred**2).mean(axis=0) + 1e-12)
    return centred / std, (centred / std, std)


@right_pair("normalised data of the size 1e-3")
def normalised_small():
    def backward(dy, cache):
        y, std = cache
        return (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std

    return normalised, backward, 1e-3 * draw(6, 3)


@wrong_pair("normalised data of the size 1e-3, of which the mean is taken for a constant in one column")
def normalised_small_column():
    def backward(dy, cache):
        y, std = cache
        mean = dy.mean(axis=0) * np.array([1, 0, 1])
        return (dy - mean - y * (dy * y).mean(axis=0)) / std

    return normalised, backward, 1e-3 * draw(6, 3)


@right_pair("numbers of the size 1e8")
def large_numbers():
    x = 1e8 * np.random.default_rng(0).uniform(1, 9, 9)
    return lambda x: (np.sqrt(x), x), lambda dy, x: dy / (2 * np.sqrt(x)), x


@right_pair("the sum hands the same array to both")
def same_array_twice():
    return lambda a, b: (a + b, None), lambda dy, _: (dy, dy), draw(4, 3), draw(4, 3, seed=1)


@right_pair("draws from the rng that it is handed, and keeps the draws")
def noise():
    def forward(x, rng):
        m = rng.uniform(x.shape, np.float64) + 0.5
        return np.sin(x) * m, np.cos(x) * m

    return forward, lambda dy, slope: dy * slope, draw(4, 3)


@right_pair("a table worked out once for each length, which is no state")
def table_for_length():
    tables = {}

    def forward(x):
        n = x.shape[1]
        if n not in tables:
            tables[n] = np.cos(np.outer(np.arange(n), np.arange(n)))
        return x @ tables[n], n

    return forward, lambda dy, n: dy @ tables[n].T, draw(4, 3)


@right_pair("a single number, whose gradient is spread as a read-only view")
def total():
    return lambda x: (x.sum(), x.shape), lambda dy, shape: np.broadcast_to(dy, shape), draw(4, 3)
