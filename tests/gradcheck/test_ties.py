"""At a tie every way to share the gradient is right, and giving all of it to each of the tied entries is wrong."""

import numpy as np
import pytest

from minigan.gradcheck import check_pair


def whole_numbers(*shape):
    return np.random.default_rng(0).integers(-2, 3, shape).astype(float)


def normal(*shape):
    return np.random.default_rng(1).standard_normal(shape)


def first(mask):
    shares = np.zeros(mask.shape)
    np.put_along_axis(shares, mask.argmax(-1)[..., None], 1, -1)
    return shares


def at_random(mask):
    weights = np.random.default_rng(5).uniform(0, 1, mask.shape) * mask
    return weights / weights.sum(-1, keepdims=True)


SHARES = {  # of candidates along the last axis, of which the mask's are tied
    "to the first": first,
    "to the last": lambda mask: first(mask[..., ::-1])[..., ::-1],
    "equally": lambda mask: mask / mask.sum(-1, keepdims=True),
    "at random": at_random,
}


def largest(share, v):
    """Of the maximum over the last axis, what each candidate gets."""
    return share(v == v.max(-1, keepdims=True))


def row_max(share):
    return lambda x: (x.max(axis=1), x), lambda dy, x: dy[:, None] * largest(share, x)


def row_min(share):
    return lambda x: (x.min(axis=1), x), lambda dy, x: dy[:, None] * largest(share, -x)


def max_of_all(share):
    return lambda x: (x.max(), x), lambda dy, x: dy * largest(share, x.ravel()).reshape(x.shape)


def longest(share):
    return lambda x: (abs(x).max(axis=1), x), lambda dy, x: dy[:, None] * largest(share, abs(x)) * np.sign(x)


def blocks(x):
    N, H, W = x.shape
    return x.reshape(N, H // 2, 2, W // 2, 2).swapaxes(2, 3).reshape(N, H // 2, W // 2, 4)


def unblock(v):
    N, H, W, _ = v.shape
    return v.reshape(N, H, W, 2, 2).swapaxes(2, 3).reshape(N, 2 * H, 2 * W)


def pool(share):
    return lambda x: (blocks(x).max(-1), x), lambda dy, x: unblock(largest(share, blocks(x)) * dy[..., None])


def pool_in_a_loss(share):
    def loss(x):
        return 0.5 * (blocks(x).max(-1) ** 2).sum(), x

    return loss, lambda dy, x: dy * unblock(largest(share, blocks(x)) * blocks(x).max(-1)[..., None])


def overlapping(share):
    def windows(x):
        return np.lib.stride_tricks.sliding_window_view(x, 3, axis=1)

    def backward(dy, x):
        g, dx = largest(share, windows(x)) * dy[..., None], np.zeros_like(x)
        for k in range(3):
            dx[:, k : k + dy.shape[1]] += g[..., k]
        return dx

    return lambda x: (windows(x).max(-1), x), backward


def maxout(share):
    def forward(x, W, V):
        candidates = np.stack([x @ W, x @ V], -1)
        return candidates.max(-1), (x, W, V, candidates)

    def backward(dy, cache):
        x, W, V, candidates = cache
        g = largest(share, candidates) * dy[..., None]
        return g[..., 0] @ W.T + g[..., 1] @ V.T, x.T @ g[..., 0], x.T @ g[..., 1]

    return forward, backward


def maximum_of_two(share):
    def backward(dy, cache):
        g = largest(share, np.stack(cache, -1)) * dy[..., None]
        return g[..., 0], g[..., 1]

    return lambda a, b: (np.maximum(a, b), (a, b)), backward


def multiclass_hinge(share):
    def forward(s):
        rows, y = np.arange(len(s)), np.arange(len(s)) % s.shape[1]
        margins = s - s[rows, y][:, None] + 1
        margins[rows, y] = 0
        return margins.max(axis=1), (margins, rows, y)

    def backward(dy, cache):
        margins, rows, y = cache
        g = largest(share, margins) * dy[:, None]
        g[rows, y] = 0
        g[rows, y] -= g.sum(axis=1)
        return g

    return forward, backward


def partly_tied():
    x = normal(2, 6, 6)
    x[0, :2, :2], x[1, 2:4, 4:6] = 1.5, 1.7
    return x


def large_and_partly_tied():
    x = normal(3, 32, 32)
    x[:, ::8, ::4] = x[:, ::8, 1::4] = 3.0
    return x


W = normal(4, 3)
TIED = {
    "rows of whole numbers": (row_max, whole_numbers(6, 4)),
    "rows all equal": (row_max, np.ones((3, 4))),
    "rows of zeros": (row_max, np.zeros((3, 4))),
    "rows of 1e-3": (row_max, np.full((3, 4), 1e-3)),
    "least of rows": (row_min, whole_numbers(6, 4)),
    "largest of all": (max_of_all, np.ones((3, 4))),
    "largest size": (longest, np.array([[2.0, -2, 1, 0], [3, 3, -3, 1], [-1, -1, 0, 0]])),
    "pooling": (pool, partly_tied()),
    "pooling of a constant": (pool, np.ones((1, 6, 6))),
    "pooling of many": (pool, large_and_partly_tied()),
    "pooling in a loss": (pool_in_a_loss, partly_tied()),
    "pooling a constant in a loss": (pool_in_a_loss, np.ones((1, 6, 6))),
    "overlapping windows": (overlapping, whole_numbers(3, 9)),
    "overlapping windows of a constant": (overlapping, np.ones((3, 9))),
    "maxout of twins": (maxout, normal(5, 4), W, W.copy()),
    "maximum of two arrays": (maximum_of_two, np.ones((3, 2)), np.ones((3, 2))),
    "multiclass hinge": (multiclass_hinge, normal(4, 1) + np.array([0, 0, 1, 1])),
}


COSTLY = ("pooling of many", "overlapping windows of a constant", "maxout of twins", "pooling of a constant")


def costly_slow(name):
    return pytest.param(name, marks=pytest.mark.slow) if name in COSTLY else name


@pytest.mark.parametrize(
    "share",
    ["to the first", "equally", *(pytest.param(s, marks=pytest.mark.slow) for s in ("to the last", "at random"))],
)
@pytest.mark.parametrize("name", [costly_slow(name) for name in TIED])
def test_every_way_to_share_a_tie_is_proven_right(name, share):
    make, *arrays = TIED[name]
    report = check_pair(*make(SHARES[share]), *arrays, pure=False)
    assert report, str(report)
    assert all(row.proven for row in report.rows)
    assert "right at ties" in str(report) or name == "pooling of many"


@pytest.mark.parametrize("name", [costly_slow(name) for name in TIED])
def test_a_tie_that_is_counted_by_each_of_its_entries_is_wrong(name):
    make, *arrays = TIED[name]
    report = check_pair(*make(lambda mask: mask * 1.0), *arrays, pure=False)
    assert any(row.wrong.any() for row in report.rows), str(report)


def test_the_report_says_what_is_wrong_with_a_tie():
    x = normal(5, 4)
    x[0, 1] = x[0, 2] = 3.0
    report = check_pair(*row_max(lambda mask: mask * 1.0), x)
    assert report["x"].wrong.sum() == 2
    assert (
        "2 entries of x are at a kink together, and their gradients add up to +2.88738, where moving them together "
        in (report["x"].cause)
    )
    assert "changes f by +1.44369" in report["x"].cause


def relu(at_zero):
    return lambda x: np.where(x == 0, at_zero, x > 0)


def mlp(x, V, W):
    h = x @ V
    return np.maximum(h, 0) @ W, (x, h, V, W)


def mlp_backward(slope):
    def backward(dy, cache):
        x, h, V, W = cache
        dh = (dy @ W.T) * slope(h)
        return dh @ V.T, x.T @ dh, np.maximum(h, 0).T @ dy

    return backward


@pytest.mark.parametrize("at_zero", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    "x",
    [
        pytest.param(np.zeros((3, 4)), marks=pytest.mark.slow),
        pytest.param(np.vstack([np.zeros((1, 4)), normal(4, 4)]), marks=pytest.mark.slow),
        whole_numbers(4, 4),
    ],
    ids=["all", "a row", "some"],
)
def test_whatever_relus_slope_at_zero_a_network_of_them_is_not_wrong_where_many_are_zero(x, at_zero):
    for V, W in ((normal(4, 8), normal(8, 3)), (whole_numbers(4, 5), whole_numbers(5, 2))):
        for seed in range(2):
            report = check_pair(mlp, mlp_backward(relu(at_zero)), x, V, W, seed=seed, pure=False)
            assert not any(row.wrong.any() for row in report.rows), str(report)


CONVENTIONS = {
    "ReLU": (lambda x: np.maximum(x, 0), lambda x, c: np.where(x == 0, (1 + c) / 2, x > 0)),
    "leaky ReLU": (lambda x: np.where(x > 0, x, 0.2 * x), lambda x, c: np.where(x > -0.5 * c, 1, 0.2)),
    "|x|": (abs, lambda x, c: np.where(x == 0, c, np.sign(x))),
    "clip": (lambda x: np.clip(x, -1, 1), lambda x, c: abs(x) < 1 + c * 1e-9),
    "hinge": (lambda x: np.maximum(0, 1 - x), lambda x, c: -1.0 * (x < 1 + c * 1e-9)),
}


@pytest.mark.parametrize("convention", [-1, 1])
@pytest.mark.parametrize("name", CONVENTIONS)
def test_at_a_kink_either_side_is_as_good_alone_and_in_a_sum(name, convention):
    f, derivative = CONVENTIONS[name]
    x = whole_numbers(4, 6)
    both = np.array([1.0, -1.0, 2.0, -3.0, 1.0, 1.0])
    alone = check_pair(lambda x: (f(x), x), lambda dy, x: dy * derivative(x, convention), x)
    summed = check_pair(
        lambda x: ((f(x) * both).sum(1), x), lambda dy, x: dy[:, None] * both * derivative(x, convention), x
    )
    for report in (alone, summed):
        assert not report["x"].wrong.any(), str(report)
        assert not report["x"].tied.any(), "a kink in every direction is not decided by any"


@pytest.mark.slow
def test_the_middle_of_equal_numbers_is_a_tie_that_no_single_entry_shows():
    def median(x):
        at = np.argsort(x, axis=1, kind="stable")[:, 1:3]
        return np.median(x, axis=1), (at, x.shape)

    def backward(dy, cache, share=0.5):
        dx = np.zeros(cache[1])
        np.put_along_axis(dx, cache[0], share * np.stack([dy, dy], 1), 1)
        return dx

    for x in (np.ones((3, 4)), whole_numbers(6, 4)):
        report = check_pair(median, backward, x, pure=False)
        assert report, str(report)
        assert not check_pair(median, lambda dy, c: backward(dy, c, share=1.0), x, pure=False)


def test_sorting_equal_numbers_is_right_in_any_order():
    def ordered(x):
        at = np.argsort(x, axis=1, kind="stable")
        return np.take_along_axis(x, at, 1), at

    def backward(dy, at):
        dx = np.zeros_like(dy)
        np.put_along_axis(dx, at, dy, 1)
        return dx

    for x in (np.ones((3, 5)), whole_numbers(4, 5)):
        report = check_pair(ordered, backward, x, pure=False)
        assert report, str(report)


def test_a_product_with_two_zeros_has_the_gradient_zero_and_passes():
    x = np.array([[0.0, 0.0, 1.0, 2.0], [0.0, 3.0, 0.0, 1.0]])
    assert check_pair(lambda x: (x.prod(axis=1), x), lambda dy, x: 0 * x, x)
    assert check_pair(lambda a, b: (a * b, (a, b)), lambda dy, c: (dy * c[1], dy * c[0]), np.zeros(3), np.zeros(3))
    assert not check_pair(lambda x: (x.prod(axis=1), x), lambda dy, x: dy[:, None] + 0 * x, x)
    dead = check_pair(lambda x: (np.maximum(x - 50, 0), 0), lambda dy, c: 0 * dy, np.ones((3, 4)))
    assert "nothing was tested" in dead.problems[0]


def test_where_everything_is_at_kinks_the_report_says_what_to_do():
    report = check_pair(lambda x: (np.maximum(x, 0), x), lambda dy, x: dy * (x > 0), np.zeros((1, 4)))
    assert not report
    assert "check at another point" in " ".join(str(report).split())


@pytest.mark.parametrize("wrong", [-10.0, 100.0])
def test_a_wrong_slope_at_a_kink_is_not_excused_by_what_else_is_there(wrong):
    report = check_pair(mlp, mlp_backward(relu(wrong)), np.zeros((3, 4)), normal(4, 8), normal(8, 3), pure=False)
    assert report["x"].wrong.any()


def test_a_tie_that_is_counted_twice_is_told_of_small_gradients_too():
    x = whole_numbers(4, 6)
    forward, backward = row_max(lambda mask: mask.astype(float))
    assert not check_pair(lambda x: (1e-4 * forward(x)[0], x), lambda dy, x: 1e-4 * backward(dy, x), x)
