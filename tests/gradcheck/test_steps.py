"""Whatever the size of the data, right code passes and wrong code does not: the step follows, and others confirm."""

import numpy as np
import pytest

from minigan.gradcheck import check, check_pair
from minigan.gradcheck.numeric import first_steps


def elementwise(f, derivative):
    return lambda x: (f(x), x), lambda dy, x: dy * derivative(x)


def normalise(x, axis=0):
    std = x.std(axis, keepdims=True)
    x_hat = (x - x.mean(axis, keepdims=True)) / std
    return x_hat, (x_hat, std, axis)


def normalise_backward(dy, cache):
    x_hat, std, axis = cache
    return (dy - dy.mean(axis, keepdims=True) - x_hat * (dy * x_hat).mean(axis, keepdims=True)) / std


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    return y, y


def norm(x):
    return (length := np.sqrt((x * x).sum(axis=1))), (x, length)


def cross_entropy(x):
    return np.maximum(x, 0) - 0.3 * x + np.log1p(np.exp(-abs(x))), x


SCALED = {  # right at any scale s of the data
    "1/x": lambda s: elementwise(lambda x: 1 / x, lambda x: -1 / x**2),
    "log|x|": lambda s: elementwise(lambda x: np.log(abs(x)), lambda x: 1 / x),
    "square root": lambda s: elementwise(lambda x: np.sqrt(abs(x)), lambda x: 0.5 * np.sign(x) / np.sqrt(abs(x))),
    "cube": lambda s: elementwise(lambda x: x**3, lambda x: 3 * x * x),
    "a bell": lambda s: elementwise(
        lambda x: np.exp(-((x / s) ** 2)), lambda x: -2 * x / s**2 * np.exp(-((x / s) ** 2))
    ),
    "tanh of x/s": lambda s: elementwise(lambda x: np.tanh(x / s), lambda x: (1 - np.tanh(x / s) ** 2) / s),
    "batch norm": lambda s: (normalise, normalise_backward),
    "layer norm": lambda s: (lambda x: normalise(x, 1), normalise_backward),
    "length": lambda s: (norm, lambda dy, c: (dy / c[1])[:, None] * c[0]),
    "variance by E[x²]": lambda s: (
        lambda x: ((x * x).mean(0) - x.mean(0) ** 2, x),
        lambda dy, x: 2 * dy * (x - x.mean(0)) / len(x),
    ),
}


@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize(
    "scale", [1e-3, *(pytest.param(s, marks=pytest.mark.slow) for s in (1e-8, 0.05, 1.0, 1e3, 1e8))]
)
def test_right_code_passes_at_data_of_any_size(name, scale):
    forward, backward = SCALED[name](scale)
    for seed in range(3):
        x = np.random.default_rng(seed).standard_normal((5, 4)) * scale
        report = check_pair(forward, backward, x, seed=seed, pure=False)
        assert report, str(report)
        assert report.kinks == 0
        assert not check_pair(forward, lambda dy, c: 1.0005 * backward(dy, c), x, seed=seed, pure=False)


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1.0])
def test_softmax_and_cross_entropy_pass_at_small_logits(scale):
    x = np.random.default_rng(0).standard_normal((5, 4)) * scale
    assert check_pair(softmax, lambda dy, y: y * (dy - (dy * y).sum(axis=1, keepdims=True)), x)
    assert check_pair(cross_entropy, lambda dy, x: dy * (1 / (1 + np.exp(-x)) - 0.3), x)


@pytest.mark.parametrize("near", [False, True], ids=["x ~ 1", "x ~ 1/k"])
def test_a_fast_wave_is_never_called_wrong_by_aliasing(near):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        k = 10 ** rng.uniform(0, 7)
        x = rng.standard_normal((4, 3)) / (k if near else 1)
        report = check_pair(*elementwise(lambda x, k=k: np.sin(k * x), lambda x, k=k: k * np.cos(k * x)), x, pure=False)
        assert report, f"k = {k}\n{report}"


def test_sizes_may_differ_within_an_array():
    rng = np.random.default_rng(1)
    for _ in range(10):
        x = rng.standard_normal((4, 3)) * 10 ** rng.uniform(-4, 2, (4, 3))
        report = check_pair(*elementwise(lambda x: np.log(abs(x)), lambda x: 1 / x), x)
        assert report, str(report)


@pytest.mark.parametrize("small", [1e-4, 5e-5, 1e-8])
def test_a_step_that_ends_where_the_function_is_not_defined_is_followed_by_a_smaller_one(small):
    def careful(x):
        if (x <= 0).any():
            raise ValueError("log needs positive numbers")
        return np.log(x), x

    for forward in (careful, lambda x: (np.log(x), x)):
        report = check_pair(forward, lambda dy, x: dy / x, np.array([small, 1.0, 2.0]))
        assert report, str(report)


@pytest.mark.parametrize("power", range(2, 8))
def test_the_derivative_of_a_power_is_zero_at_zero_and_no_kink(power):
    report = check_pair(lambda x: (x**power, x), lambda dy, x: power * dy * x ** (power - 1), np.zeros(3))
    assert report, str(report)


def test_next_to_a_pole_nothing_right_is_wrong():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = 1 + rng.standard_normal((4, 3)) * 10 ** rng.uniform(-5, 0)
        report = check_pair(*elementwise(lambda x: x / (x * x - 1), lambda x: -(x * x + 1) / (x * x - 1) ** 2), x)
        assert not any(row.wrong.any() for row in report.rows), str(report)


def test_what_rounding_hides_from_every_step_is_not_wrong():
    """Beside b, which is a billion times larger, what x and w add is lost in y's last digit."""
    rng = np.random.default_rng(0)
    x, w, b = rng.standard_normal((4, 3)) * 1e-5, rng.standard_normal((3, 2)) * 1e-5, rng.standard_normal(2) * 1e5
    report = check_pair(
        lambda x, w, b: (x @ w + b, (x, w)), lambda dy, c: (dy @ c[1].T, c[0].T @ dy, dy.sum(0)), x, w, b
    )
    assert not any(row.wrong.any() for row in report.rows), str(report)
    assert report["x"].undecided.any()


def test_the_first_step_is_that_of_the_size_of_the_entry_or_of_the_array():
    np.testing.assert_allclose(
        first_steps(np.array([1e-3, 2e-3, -0.3, 0.0, 50.0, 4e-3])), [4e-7, 4e-7, 3e-5, 4e-7, 1e-4, 4e-7]
    )
    np.testing.assert_allclose(first_steps(np.zeros(3)), 1e-4)
    np.testing.assert_allclose(first_steps(np.array([1e-3, 2.0]), h=1e-6), 1e-6)


def test_a_first_step_can_be_given():
    seen = []
    a = np.array([0.5])

    def f():
        seen.append(a[0])
        return 3 * a[0]

    assert check(f, {"a": a}, {"a": np.array([3.0])}, h=1e-2, pure=False)
    assert max(seen) == 0.51


def test_nothing_that_is_right_at_the_first_step_is_measured_again():
    calls = [0]

    def f(x):
        calls[0] += 1
        return np.tanh(x), x

    x = np.random.default_rng(0).standard_normal((5, 4))
    assert check_pair(f, lambda dy, x: dy * (1 - np.tanh(x) ** 2), x, pure=False)
    assert calls[0] == 4 * x.size + 3  # the pass, the point itself, and one to see whether there is a batch


@pytest.mark.parametrize("off", [0.0, 7.0, -1.0, 0.3])
def test_an_entry_far_below_the_largest_is_undecided_unless_it_is_right_at_its_own_size(off):
    a = np.array([0.7, 0.4])
    report = check(lambda: a[0] + 1e-11 * a[1], {"a": a}, {"a": np.array([1.0, off * 1e-11])})
    row = report["a"]
    assert row.undecided.tolist() == [False, off != 0]  # rounding hides it from every step, whatever it is
    assert report.faint == (off != 0)
    assert report  # for it may be the rounding of right code
    assert ("1 undecided" in str(report)) == (off != 0)
    measured = check_pair(lambda x: (x * [1.0, 1e-11], 0), lambda dy, c: dy * [1.0, off * 1e-11], np.ones((1, 2)))
    assert measured["x"].undecided.tolist() == [[False, True]]  # its own term shows it, and the scale excuses it
    assert measured["x"].right.tolist() == [[True, False]]


def test_an_array_of_nothing_but_faint_entries_passes_and_is_not_ok():
    x, w = np.ones((3, 2)), np.full(2, 0.5)

    def backward(dy, c):
        return dy[:, None] * c[1] * 1e-12, dy @ c[0] * 3e-12, dy.sum(keepdims=True)

    report = check_pair(lambda x, w, b: (x @ w * 1e-12 + b, (x, w)), backward, x, w, np.ones(1))
    assert report, str(report)
    assert report["w"].faint.all()
    assert not report["w"].proven
    assert "faint  w" in str(report)
    assert "too small beside the check's largest gradient" in " ".join(str(report).split())


@pytest.mark.slow
def test_a_thousand_right_functions_of_random_sizes_give_no_false_alarm():
    undecided = entries = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        scale = 10 ** rng.uniform(-8, 8)
        for name, make in SCALED.items():
            report = check_pair(*make(scale), rng.standard_normal((5, 4)) * scale, seed=seed, pure=False)
            assert not report["x"].wrong.any(), f"{name} at {scale}\n{report}"
            undecided, entries = undecided + report.undecided * report.entries, entries + report.entries
    assert undecided < 0.001 * entries
