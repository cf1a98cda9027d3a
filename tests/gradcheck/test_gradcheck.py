"""The checker is checked: it must fail what is wrong, pass what is right, and know when it cannot tell."""

import functools
import io
import itertools
import math

import numpy as np
import pytest
import strategies
from cases import SYSTEMS
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan import nn
from minigan.backend import RandomStream
from minigan.errors import ArgumentError, DTypeError
from minigan.gan import GANLoss, discriminator_step
from minigan.gradcheck import (
    assert_gradients,
    check,
    check_discriminator_step,
    check_generator_step,
    check_gradients,
    check_layer,
    check_loss,
    check_network,
    check_pair,
    check_recipe,
)
from minigan.gradcheck.numeric import EPS, slope
from minigan.losses import binary_cross_entropy
from minigan.recipes import RECIPES

# One derivative and its error bar ------------------------------------------------------------------------------------

SMOOTH = {
    "sin": (math.sin, math.cos, 1.3),
    "exp": (math.exp, math.exp, 2.0),
    "1/x": (lambda x: 1 / x, lambda x: -1 / x**2, 0.05),
    "tanh": (math.tanh, lambda x: 1 - math.tanh(x) ** 2, -3.0),
    "cubic": (lambda x: 1e3 * x**3, lambda x: 3e3 * x**2, 0.7),
    "steep": (lambda x: math.tanh(1e3 * x), lambda x: 1e3 * (1 - math.tanh(1e3 * x) ** 2), 2e-4),
    "linear": (lambda x: 7 * x + 1e6, lambda x: 7.0, 0.1),
    "square root": (math.sqrt, lambda x: 0.5 / math.sqrt(x), 1e-3),
}


def numeric(f, x, **options):
    array = np.array([x])

    def terms():
        return np.array([f(float(array[0]))])

    return slope(terms, terms(), array, (0,), 1.0, **options)


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("offset", np.linspace(0, 1e-5, 7))
def test_the_true_derivative_lies_within_the_error_bar_of_the_numeric_one(name, offset):
    f, derivative, x = SMOOTH[name]
    found = numeric(f, x + offset)
    assert abs(found.value - derivative(x + offset)) <= found.bar
    assert not found.bend > found.noise + 1e-7 * abs(found.value)


def test_the_error_bar_is_ten_times_richardsons_estimate_and_the_rounding():
    found = numeric(lambda x: x**3, 1.0, h=0.1)
    # D(h) = 3 + h², so D(0.1) = 3.01, D(0.05) = 3.0025, their extrapolation is 3, and the estimate a third of 0.0075
    np.testing.assert_allclose(found.value, 3.0, rtol=1e-12)
    np.testing.assert_allclose(found.bar, 10 * 0.0075 / 3, rtol=1e-9)
    noisy = numeric(lambda x: 2**40 + x, 1.0, h=0.5)
    np.testing.assert_allclose(noisy.bar, 10 * 2.0**-52 * (2**40 + 1) / 0.25, rtol=1e-6)


@pytest.mark.parametrize("distance", [0.0, 1e-6, 2e-5, 4e-5, 7e-5, 9e-5, -3e-5, -8e-5])
def test_a_kink_is_one_only_where_it_is_and_not_where_a_step_crosses_it(distance):
    a = np.array([distance, 1.0])
    row = check(lambda: abs(a).sum(), {"a": a}, {"a": np.sign(a)})["a"]
    assert row.kink.tolist() == [distance == 0, False]
    assert row.right.tolist() == [distance != 0, True]


def test_a_kink_further_away_than_a_step_is_none():
    a = np.array([1.1e-4, -1.1e-4])
    report = check(lambda: abs(a).sum(), {"a": a}, {"a": np.sign(a)})
    assert report
    assert report.kinks == 0


def test_kinks_are_reported_and_excuse_nothing_else():
    x = np.array([[0.0, 1.0, -1.0, 2.0]])

    def relu(x):
        return np.maximum(x, 0), x

    report = check_pair(relu, lambda dy, x: dy * (x >= 0), x)  # 1 at 0: a choice, not a mistake
    assert report
    assert (report.kinks, report["x"].kink.tolist()) == (1, [[True, False, False, False]])
    assert "1 at kinks" in str(report)
    assert not check_pair(relu, lambda dy, x: dy * (x < 1.5), x)
    assert not check_pair(relu, lambda dy, x: dy * (x >= 0), np.zeros((1, 4)))  # nothing but kinks proves nothing


def test_rounding_that_moves_both_sides_alike_is_no_kink():
    """As a bias before BatchNorm does: nothing depends on it, but the last bit."""
    x = np.array([0.5])

    def f():
        return np.array([1.0 + (x[0] != 0.5) * EPS])

    found = slope(f, f(), x, 0, 1.0)
    assert found.value == 0
    assert 0 < found.bend <= found.noise


def test_an_entry_that_rounding_hides_is_undecided_rather_than_wrong():
    a = np.array([1.0])
    for analytic in (1e-3, 1.01e-3):  # beside a constant of 1e6 a derivative of 1e-3 has no digits left
        report = check(lambda: 1e-3 * a[0] + 1e6, {"a": a}, {"a": np.array([analytic])})
        assert report["a"].undecided.all()
        assert not report  # and what could not be decided has not passed
        assert "hardly anything decided: a" in report.headline


def test_at_most_one_entry_in_a_hundred_may_be_undecided():
    for noisy, passes in ((1, True), (2, False)):
        a = np.ones(150)
        alone = np.arange(150) < noisy

        def f(a=a, alone=alone):
            return np.where(alone & (a != 1), np.nan, a)  # of which no step finds a value

        report = check(lambda: f().sum(), {"a": a}, {"a": np.ones(150)})
        assert bool(report) == passes, str(report)
        assert int(report["a"].undecided.sum() + report["a"].kink.sum()) == noisy


# Planted errors ------------------------------------------------------------------------------------------------------


class Wrong(nn.Dense):
    """Dense with a planted error in one of its three gradients."""

    def __init__(self, where, spoil):
        super().__init__(4)
        self.where, self.spoil = where, spoil

    def input_grad(self, dy, cache):
        dx = super().input_grad(dy, cache)
        return self.spoil(dx) if self.where == "x" else dx

    def param_grads(self, dy, cache, grads):
        super().param_grads(dy, cache, grads)
        if self.where in grads:
            grads[self.where][...] = self.spoil(grads[self.where].copy())


class WrongNorm(nn.BatchNorm):
    """The same for BatchNorm."""

    def __init__(self, where, spoil):
        super().__init__()
        self.where, self.spoil = where, spoil

    def backward(self, dy, cache, **flags):
        dx = super().backward(dy, cache, **flags)
        if self.where in self.grads:
            self.grads[self.where][...] = self.spoil(self.grads[self.where].copy())
        return self.spoil(dx) if self.where == "x" and dx is not None else dx


def one_entry(g):
    g.flat[-1] *= 1.001
    return g


SPOILS = {
    "0.05 % too large": lambda g: g * 1.0005,
    "one entry 0.1 % too large": one_entry,
    "sign": lambda g: -g,
    "zeros": lambda g: 0 * g,
    "shifted by one": lambda g: np.roll(g, 1, axis=-1),
    "not a number": lambda g: np.full_like(g, np.nan),
    "infinite": lambda g: np.full_like(g, np.inf),
    "mean for sum": lambda g: g / 5,
    "a dropped term": lambda g: g - g.mean(axis=0) if len(g) > 1 else 0 * g,
}
ARRAYS = [(Wrong, name) for name in ("x", "W", "b")] + [(WrongNorm, name) for name in ("x", "gamma", "beta")]


@pytest.mark.parametrize(("kind", "where"), ARRAYS, ids=lambda v: getattr(v, "__name__", v))
@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_a_planted_error_is_reported_in_its_own_array_and_no_other(kind, where, spoil):
    report = check_layer(kind(where, spoil), (4,))
    if kind is WrongNorm and where == "x" and spoil is SPOILS["a dropped term"]:
        assert report  # dx of BatchNorm sums to zero over the batch: there is no mean that could be dropped
        return
    assert not report
    assert {row.name.split(".")[-1] for row in report.rows if row.wrong.any()} == {where}
    assert all(row.cause for row in report.rows if row.wrong.any())
    assert "FAILED" in str(report)


@pytest.mark.parametrize(
    "name", [n if n in ("flux-mlp", "best") else pytest.param(n, marks=pytest.mark.slow) for n in SYSTEMS]
)
@pytest.mark.parametrize("player", "GD")
def test_a_factor_of_1_0005_is_reported_in_every_array_of_a_whole_step(name, player, monkeypatch):
    recipe, point = RECIPES[name].smoke(), {}
    for step in ("discriminator", "generator"):  # the point that `check_recipe` would check the two steps at
        path = f"minigan.gradcheck.games.check_{step}_step"
        monkeypatch.setattr(path, lambda G, D, loss, *arrays, **_: point.update({len(arrays): (G, D, arrays)}))
    check_recipe(recipe)
    G, D, (x, z) = point[2]
    net = G if player == "G" else D
    idle = {  # a bias before BatchNorm has gradient 0, and 1.0005 times that is right
        f"{i - 1}.{type(net.layers[i - 1]).__name__}.b" for i, n in enumerate(net.layers) if isinstance(n, nn.BatchNorm)
    }
    if player == "D" and recipe.loss_kind == "wasserstein":  # which a last bias moves by the same on both halves
        idle.add([*net.named_params()][-1])
    for spoiled in net.named_params().keys() - idle:
        genuine = nn.Sequential.backward

        def wrong(self, dy, cache, spoiled=spoiled, genuine=genuine, **flags):
            dx = genuine(self, dy, cache, **flags)
            if self is net and flags.get("need_param_grads", True):
                self.named_grads()[spoiled][...] *= 1.0005
            return dx

        monkeypatch.setattr(nn.Sequential, "backward", wrong)
        options = {"elementwise": 0, "directions": 3, "feeding": recipe.feeding}
        if player == "G":
            report = check_generator_step(G, D, recipe.loss, z, **options)
        else:
            report = check_discriminator_step(G, D, recipe.loss, x, z, **options)
        monkeypatch.setattr(nn.Sequential, "backward", genuine)
        assert [row.name for row in report.rows if row.wrong.any()] == [spoiled], str(report)


@pytest.mark.parametrize("where", ["x", "W", "b"])
def test_an_array_too_large_for_single_entries_is_still_caught_along_directions(where):
    report = check_layer(Wrong(where, SPOILS["0.05 % too large"]), (4,), elementwise=0)
    assert [row.name.split(".")[-1] for row in report.rows if row.wrong.any()] == [where]
    assert all(report[name].how == "directions" and report[name].kink.size == 5 for name in ("x", "W", "b"))
    row = next(row for row in report.rows if row.wrong.any())
    assert "1.0005 times" in row.cause


def test_an_error_of_five_in_ten_thousand_is_measured_as_such():
    report = check_layer(Wrong("W", SPOILS["0.05 % too large"]), (4,))
    np.testing.assert_allclose(report.error, 5e-4, rtol=0.01)


@pytest.mark.parametrize(("factor", "passes"), [(1 + 5e-8, True), (1 + 3e-7, False)])
def test_the_tolerance_is_one_in_ten_million(factor, passes):
    a = np.array([0.7])
    report = check(lambda: 3 * a[0], {"a": a}, {"a": np.array([3 * factor])})
    assert bool(report) == passes


@pytest.mark.parametrize(
    ("small", "off", "passes"),
    [
        (1e-3, 1 + 1e-5, False),  # a gradient a thousand times smaller than the largest is still held to its own scale
        (1e-9, 1 + 1e-4, True),  # … one a billion times smaller is rounding noise beside it
    ],
)
def test_small_gradients_are_held_to_their_own_scale_down_to_the_floor(small, off, passes):
    a, b = np.array([0.3]), np.array([0.7])
    report = check(lambda: a[0] + small * b[0], {"a": a, "b": b}, {"a": np.ones(1), "b": np.array([small * off])})
    assert bool(report) == passes, str(report)


def test_a_bias_before_batchnorm_has_gradient_zero_and_passes():
    net = nn.Sequential([nn.Dense(4), nn.BatchNorm()], (3,), rng=np.random.default_rng(0), dtype=np.float64)
    report = check_network(net)
    assert report, str(report)
    assert np.abs(report["0.Dense.b"].analytic).max() < 1e-10


@pytest.mark.slow
def test_200_random_right_configurations_give_no_false_alarm():
    """Stacks of layers with every activation, normalisation and shape, at 200 random points: all are right."""
    undecided = entries = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        spatial = tuple(rng.integers(1, 4, rng.integers(0, 3)))
        choices = [
            nn.ReLU,
            nn.Tanh,
            nn.Sigmoid,
            nn.BatchNorm,
            lambda: nn.LeakyReLU(slope=0.2),
            lambda: nn.Dropout(drop=0.4),
            lambda rng=rng: nn.Dense(int(rng.integers(1, 6)), bias=bool(rng.integers(2))),
        ]
        layers = [choices[i]() for i in rng.integers(0, len(choices), rng.integers(1, 6))]
        net = nn.Sequential([*layers, nn.Flatten(), nn.Dense(2)], (*spatial, int(rng.integers(1, 6))), rng=rng)
        options = {"batch": int(rng.integers(2, 7)), "train": bool(rng.integers(2)), "seed": seed}
        report = check_network(net, **options)
        assert not any(row.wrong.any() for row in report.rows), f"{options}\n{report}"
        assert not report.problems, report.problems
        undecided, entries = undecided + report.undecided * report.entries, entries + report.entries
    assert undecided < 0.01 * entries


def test_an_off_by_one_window_is_reported():
    def window_mean(x):  # y[:, i] = (x[:, i] + x[:, i+1] + x[:, i+2]) / 3
        return (x[:, :-2] + x[:, 1:-1] + x[:, 2:]) / 3, x.shape

    def right(dy, shape, first=0):
        dx = np.zeros(shape)
        for k in range(3):
            at = slice(first + k, first + k + dy.shape[1])
            dx[:, at] += dy[:, : dx[:, at].shape[1]] / 3
        return dx

    x = np.random.default_rng(0).standard_normal((4, 9))
    assert check_pair(window_mean, right, x)
    report = check_pair(window_mean, lambda dy, shape: right(dy, shape, first=1), x)
    assert not report
    assert "shifted index" in report["x"].cause


# Any two functions ---------------------------------------------------------------------------------------------------


def affine(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dy, cache):
    x, w = cache
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


def affine_arrays():
    rng = np.random.default_rng(0)
    return rng.standard_normal((5, 4)), rng.standard_normal((4, 3)), rng.standard_normal(3)


def test_a_pair_of_functions_is_checked_under_the_names_of_its_arguments():
    report = check_pair(affine, affine_backward, *affine_arrays())
    assert report, str(report)
    assert [row.name for row in report.rows] == ["x", "w", "b"]
    assert "affine and affine_backward" in report.title


def test_the_arrays_of_a_pair_are_left_alone():
    arrays = affine_arrays()
    kept = [a.copy() for a in arrays]
    check_pair(affine, affine_backward, *arrays)
    for a, b in zip(arrays, kept, strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_is_no_array_is_handed_through_and_needs_no_gradient():
    def power(x, exponent):
        return x**exponent, (x, exponent)

    x = np.random.default_rng(0).uniform(1, 2, (3, 4))
    assert check_pair(power, lambda dy, c: dy * c[1] * c[0] ** (c[1] - 1), x, 3)
    assert check_pair(power, lambda dy, c: (dy * c[1] * c[0] ** (c[1] - 1), None), x, 3)
    with pytest.raises(ArgumentError, match="returned 3 gradients for x"):
        check_pair(power, lambda dy, c: (dy, dy, dy), x, 3)


def test_randomness_is_frozen_whether_it_is_numpys_global_or_an_rng():
    def old_dropout(x):
        mask = np.random.rand(*x.shape) > 0.5  # noqa: NPY002
        return x * mask, mask

    def new_dropout(x, rng):
        mask = rng.uniform(x.shape) > 0.5
        return x * mask, mask

    state = np.random.get_state()[1].copy()  # noqa: NPY002
    for forward in (old_dropout, new_dropout):
        assert check_pair(forward, lambda dy, mask: dy * mask, np.ones((4, 6)))
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_a_loss_is_checked_with_its_mean():
    p = np.random.default_rng(0).uniform(0.1, 0.9, (6, 1))
    assert check_loss(lambda p: binary_cross_entropy(p, 1.0), p)
    report = check_loss(lambda p: (binary_cross_entropy(p, 1.0)[0], 6 * binary_cross_entropy(p, 1.0)[1]), p)
    assert not report
    assert "a mean is missing" in report["p"].cause


# What must hold before numbers are compared --------------------------------------------------------------------------


def problems_of(forward, backward=lambda dy, cache: dy * cache):
    return check_pair(forward, backward, np.random.default_rng(0).standard_normal((4, 3))).problems


def test_a_right_pair_has_no_problems():
    assert problems_of(lambda x: (x * x, 2 * x)) == []


def random_pair(rng):
    return lambda x: (x * (m := rng.uniform(size=x.shape)), m), lambda dy, m: dy * m


def test_a_forward_with_a_generator_of_its_own_is_called_not_deterministic():
    rng = np.random.default_rng(0)
    (problem,) = problems_of(lambda x: (x * (m := rng.uniform(size=x.shape)), m))
    assert "not deterministic" in problem
    assert "kinks" not in " ".join(check_pair(*random_pair(rng), np.ones((4, 3))).remarks())  # no advice on noise
    assert "rng that forward is given" in problem


def test_a_forward_that_changes_its_argument_is_reported():
    def forward(x):
        if x.flags.writeable:
            x += 1e-9
        return 2 * x, 2.0

    assert any("forward changes x; work on a copy" in problem for problem in problems_of(forward))


def test_a_forward_that_cannot_take_read_only_input_is_reported():
    def forward(x):
        x *= 1.0
        return 2 * x, 2.0

    assert any("forward fails on a read-only x" in problem for problem in problems_of(forward))


def test_a_backward_that_changes_dy_is_reported():
    def backward(dy, cache):
        dy *= cache
        return dy.copy()

    assert any("backward changes dy" in problem for problem in problems_of(lambda x: (2 * x, 2.0), backward))


def test_a_backward_that_uses_up_its_cache_is_reported():
    def backward(dy, cache):
        dx = dy * cache[0]
        cache[0] = cache[0] * 1.5
        return dx

    (problem,) = problems_of(lambda x: (x * x, [2 * x]), backward)
    assert "a second backward on the same cache gives another gradient of x" in problem


def test_a_layer_that_adds_to_its_gradient_instead_of_writing_it_is_reported():
    class Adds(nn.Dense):
        def param_grads(self, dy, cache, grads):
            grads["W"] += cache.T @ dy
            grads["b"][...] = dy.sum(axis=0)

    report = check_layer(Adds(3), (4,))
    assert not report
    (problem,) = report.problems
    assert "backward adds to the gradient of W" in problem


def test_a_forward_that_reads_memory_instead_of_the_array_is_reported():
    def forward(x):
        memory = x if x.base is None else x.base  # below a view it holds other numbers too
        return memory.ravel()[: x.size].reshape(x.shape).copy(), 1.0

    assert any("another result for a non-contiguous x" in p for p in problems_of(forward, lambda dy, c: dy))


def test_a_gradient_of_another_shape_or_dtype_is_a_problem_not_a_broadcast():
    (problem,) = problems_of(lambda x: (x, 0), lambda dy, c: dy.sum(axis=1, keepdims=True))
    assert "shape (4, 1) and x has (4, 3)" in problem
    (problem,) = problems_of(lambda x: (x, 0), lambda dy, c: dy.astype("f"))
    assert "float32" in problem


def test_a_forward_that_changes_an_argument_once_and_for_all_is_reported():
    def clips(x, w):
        return x @ np.clip(w, -0.5, 0.5, out=w), (x, w)

    x, w = np.ones((4, 2)), np.array([[0.1, 0.9], [0.3, 0.2]])
    report = check_pair(clips, lambda dy, c: (dy @ c[1].T, c[0].T @ dy), x, w)
    assert report.problems == ["forward changes w; work on a copy"]
    assert w[0, 1] == 0.9


def test_a_forward_that_changes_its_labels_is_reported():
    def counts(x, labels):
        labels -= 1
        return x * 2, 0

    report = check_pair(counts, lambda dy, c: 2 * dy, np.ones((2, 2)), np.array([5, 6]))
    assert "int64 (2,)" in report.problems[0]


def test_a_layer_that_keeps_its_cache_in_itself_is_reported():
    class Stateful(nn.Layer):
        def forward(self, x, *, train, rng=None):
            self.x = x.copy()
            return x * x, None

        def input_grad(self, dy, cache):
            return 2 * dy * self.x

    (problem,) = check_layer(Stateful(), (3,)).problems
    assert "the gradient of x depends on the last forward pass" in problem


def test_a_layer_that_moves_its_statistics_in_forward_is_reported():
    class Moves(nn.BatchNorm):
        def forward(self, x, *, train, rng=None):
            if train:
                self.running_mean[...] = 0.9 * self.running_mean + 0.1 * x.mean(axis=0)
            return super().forward(x, train=train, rng=rng)

    (problem,) = check_layer(Moves(), (3,)).problems
    assert "forward changes what it reads besides" in problem


def test_a_forward_that_computes_in_float32_is_reported():
    (problem,) = problems_of(lambda x: (np.tanh(x.astype("f")).astype(float), 1 - np.tanh(x) ** 2))
    assert "forward computes in float32" in problem


def test_a_function_of_few_levels_is_not_taken_for_float32():
    assert problems_of(lambda x: (np.clip(1e6 * x, -0.5, 0.5) + 0 * x, 0), lambda dy, c: 0 * dy) == []
    assert problems_of(lambda x: (np.round(4 * x) / 4, 0), lambda dy, c: 0 * dy) == []


def test_an_exception_on_another_memory_layout_is_a_caution_not_a_crash():
    def picky(x):
        assert x.flags.c_contiguous
        return 2 * x, 2.0

    report = check_pair(picky, lambda dy, cache: dy * cache, np.random.default_rng(0).standard_normal((4, 3)))
    assert report, str(report)
    assert any("forward fails on a non-contiguous x (AssertionError" in caution for caution in report.cautions)
    assert "x = np.ascontiguousarray(x)" in str(report)


def test_where_nothing_depends_on_anything_nothing_was_tested():
    report = check_pair(lambda x: (np.maximum(x - 50, 0), 0), lambda dy, c: 0 * dy, np.ones((3, 4)))
    assert not report
    assert "nothing was tested" in report.problems[0]


@pytest.mark.parametrize("at_the_kink", [np.nan, np.inf, 1e6, -0.1])
def test_at_a_kink_a_gradient_outside_of_the_slopes_on_both_sides_is_wrong(at_the_kink):
    x = np.array([[0.0, 1.0, -1.0, 2.0]])
    report = check_pair(
        lambda x: (np.maximum(x, 0), x), lambda dy, x: abs(dy) * np.where(x == 0, at_the_kink, x > 0), x, seed=3
    )
    positive = check_pair(lambda x: (np.maximum(x, 0), x), lambda dy, x: dy * np.where(x == 0, at_the_kink, x > 0), x)
    assert not report
    assert positive["x"].wrong.tolist() == [[True, False, False, False]]


def test_an_array_of_which_most_lies_at_kinks_is_not_proven():
    report = check_pair(lambda x: (abs(x), x), lambda dy, x: dy * np.sign(x), np.array([[0.0, 0.0, 0.0, 1.0]]))
    assert not report
    assert "hardly anything decided: x" in report.headline


def test_a_large_array_with_exact_zeros_is_checked_at_single_entries_instead():
    x = np.maximum(np.random.default_rng(0).standard_normal((50, 60)), -0.2)
    x[x < 0] = 0

    def relu(x):
        return np.maximum(x, 0), x

    report = check_pair(relu, lambda dy, x: dy * (x > 0), x)
    row = report["x"]
    assert (row.how, row.kink.size) == ("random entries", 200)
    assert not row.wrong.any()
    assert row.kink.any()
    wrong = check_pair(relu, lambda dy, x: 1.0005 * dy * (x > 0), x)
    assert wrong["x"].wrong.any()
    place = wrong["x"].places[wrong["x"].index[0]]
    assert ",".join(map(str, place)) in str(wrong)


LARGE = {
    "batchnorm at 1e5": (1e5, lambda x: (x - x.mean(0)) / x.std(0)),
    "batchnorm at 1e6": (1e6, lambda x: (x - x.mean(0)) / x.std(0)),
    "batchnorm by E[x²] at 100": (100, lambda x: (x - x.mean(0)) / np.sqrt((x * x).mean(0) - x.mean(0) ** 2)),
}


@pytest.mark.parametrize("name", LARGE)
def test_right_code_is_not_failed_for_rounding_far_from_zero(name):
    offset, normalise = LARGE[name]

    def backward(dy, cache):
        x_hat, std = cache
        return (dy - dy.mean(0) - x_hat * (dy * x_hat).mean(0)) / std

    for seed in range(20):
        x = np.random.default_rng(seed).standard_normal((5, 3)) + offset
        report = check_pair(lambda x: (normalise(x), (normalise(x), x.std(0))), backward, x, seed=seed)
        assert not report["x"].wrong.any(), str(report)


def test_right_code_too_steep_for_the_first_step_passes_by_another():
    for seed in range(25):
        x = np.random.default_rng(seed).standard_normal((5, 3)) * 1e-4
        report = check_pair(
            lambda x: (np.tanh(1e4 * x), x), lambda dy, x: dy * 1e4 * (1 - np.tanh(1e4 * x) ** 2), x, seed=seed
        )
        assert report, str(report)


def test_a_step_that_is_lost_beside_large_numbers_is_taken_larger():
    x = np.full((3, 4), 1e13)
    assert check_pair(lambda x: (x * x, x), lambda dy, x: 2 * dy * x, x)
    assert not check_pair(lambda x: (x * x, x), lambda dy, x: 2.001 * dy * x, x)


def test_where_no_step_finds_a_value_the_report_says_so():
    report = check_pair(lambda x: (np.where(x == 1, x, np.nan), 1.0), lambda dy, c: dy, np.ones((3, 4)))
    assert report["x"].undecided.all()
    assert "f has no value within a step" in " ".join(str(report).split())


def test_a_hypothesis_that_the_code_does_not_allow_is_no_crash():
    def log_loss(p):
        assert (p > 0).all()
        assert (p < 1).all()
        return -np.log(p), p

    report = check_pair(log_loss, lambda dy, p: -dy * p, np.random.default_rng(0).uniform(0.2, 0.8, (4, 3)))
    assert report["p"].wrong.all()


@pytest.mark.parametrize(
    ("forward", "backward", "arrays", "message"),
    [
        (lambda x: (x, 0), lambda dy, c: None, [np.ones(3)], r"backward returned no gradient \(None\) for x"),
        (lambda x: (x, 0), lambda dy, c: dy * 1j, [np.ones(3)], "a gradient of complex128 for x"),
        (lambda x: (x, 0), lambda dy, c: dy, [np.ones((0, 3))], r"x is empty, its shape is \(0, 3\)"),
        (lambda x: x, lambda dy, c: dy, [np.ones(3)], r"must return \(y, cache\), and it returned ndarray"),
        (lambda x: (x, 0), lambda dy, c: dy, [np.arange(3)], "no array of floats was given"),
        (lambda x: (x, 0), lambda dy, c: dy, [np.ones(3, "f")], "got float32; convert it"),
    ],
)
def test_functions_that_break_the_form_are_refused_by_name(forward, backward, arrays, message):
    with pytest.raises((ArgumentError, DTypeError), match=message):
        check_pair(forward, backward, *arrays)


def test_functions_of_any_kind_can_be_checked():
    class Scale:
        def __call__(self, *arrays):
            return arrays[0] * arrays[1], arrays

    def noisy(x, rng, w):
        return x * w * (mask := rng.uniform(x.shape) > 0.5), (x, w, mask)

    x, w = np.ones((2, 3)), np.full((2, 3), 2.0)
    report = check_pair(Scale(), functools.partial(lambda dy, c: (dy * c[1], dy * c[0])), x, w)
    assert report, str(report)
    assert [row.name for row in report.rows] == ["arrays[0]", "arrays[1]"]
    assert check_pair(noisy, lambda dy, c: (dy * c[1] * c[2], dy * c[0] * c[2]), x, w)


# Layers, networks, steps ---------------------------------------------------------------------------------------------


def test_the_upstream_is_not_the_input():
    """With dy = x the true gradient of BatchNorm is nearly zero and that of a square W symmetric: errors hide."""
    seen = {}

    class Spy(nn.Dense):
        def input_grad(self, dy, cache):
            seen.setdefault("dy, x", (dy.copy(), cache.copy()))
            return super().input_grad(dy, cache)

    check_layer(Spy(4), (4,))
    dy, x = seen["dy, x"]
    assert abs((dy * x).sum()) / np.sqrt((dy * dy).sum() * (x * x).sum()) < 0.5


def test_checking_restores_what_it_touched_to_the_bit():
    a = np.random.default_rng(0).standard_normal(10)
    kept = a.copy()
    check(lambda: np.sin(a).sum(), {"a": a}, {"a": np.cos(a)})
    np.testing.assert_array_equal(a, kept)
    net = nn.Sequential([nn.Dense(4), nn.BatchNorm()], (3,), rng=np.random.default_rng(0))
    params, buffers, version = net.params.copy(), net.buffers.copy(), net.version
    assert check_network(net)  # in float32: what is checked is a float64 copy
    np.testing.assert_array_equal(net.params, params)
    np.testing.assert_array_equal(net.buffers, buffers)
    assert net.version == version
    assert net.params.dtype == np.float32


def test_an_array_is_restored_even_if_the_function_raises():
    a = np.array([1.0, 2.0])

    def f():
        if a[1] != 2.0:
            raise RuntimeError("moved")
        return a.sum()

    with pytest.raises(RuntimeError, match="moved"):
        check(f, {"a": a}, {"a": np.ones(2)})
    np.testing.assert_array_equal(a, [1.0, 2.0])


def test_a_layer_in_use_can_be_checked_and_stays_in_use():
    dense = nn.Dense(4)
    net = nn.Sequential([dense], (3,), rng=np.random.default_rng(0))
    before = dense.W.copy()
    assert check_layer(dense, (3,))
    np.testing.assert_array_equal(dense.W, before)
    assert np.shares_memory(dense.W, net.params)


def test_what_cannot_be_checked_is_refused():
    a = np.ones(3)
    with pytest.raises(DTypeError, match=r"checked in float64.*float32"):
        check(lambda: 0.0, {"a": a.astype("f")}, {"a": a})
    with pytest.raises(DTypeError, match=r"a: .*got list"):
        check(lambda: 0.0, {"a": [1.0]}, {"a": a})
    with pytest.raises(DTypeError, match="the output of float64 arrays is float32"):
        check(lambda: np.float32(a.sum()), {"a": a}, {"a": a})
    with pytest.raises(ArgumentError, match="there is nothing to check"):
        check(lambda: 0.0, {}, {})
    with pytest.raises(ArgumentError, match=r"gradients of \['b'\] were given for the arrays \['a'\]"):
        check(lambda: 0.0, {"a": a}, {"b": a})
    with pytest.raises(ArgumentError, match="NaN or Inf at the point of the check"):
        check(lambda: math.nan, {"a": a}, {"a": a})


def test_a_parameter_that_is_a_single_number_is_checked():
    class Scale(nn.Layer):
        def params(self, in_shape):
            return {"a": ((), nn.init.ones)}

        def forward(self, x, *, train, rng=None):
            return self.a * x, x

        def input_grad(self, dy, cache):
            return self.a * dy

        def param_grads(self, dy, cache, grads):
            grads["a"][...] = (dy * cache).sum()

    report = check_layer(Scale(), (4,))
    assert report, str(report)
    assert report["a"].shape == ()


def test_dropout_below_a_kinked_activation_can_be_checked():
    layers = [nn.Dense(6), nn.Dropout(drop=0.5), nn.LeakyReLU(slope=0.2), nn.Dense(2)]
    report = check_network(nn.Sequential(layers, (3,), rng=np.random.default_rng(0)))
    assert report, str(report)


def test_checking_a_step_puts_running_statistics_and_gradients_back():
    rng = np.random.default_rng(0)
    G = nn.Sequential([nn.Dense(4), nn.BatchNorm(), nn.Tanh()], (3,), rng=rng, dtype=np.float64)
    D = nn.Sequential([nn.BatchNorm(), nn.Dense(1), nn.Sigmoid()], (4,), rng=rng, dtype=np.float64)
    for net in (G, D):
        net.grads[...] = 3.0
    before = [(net.buffers.copy(), net.grads.copy(), net.params.copy()) for net in (G, D)]
    x, z = np.tanh(rng.standard_normal((5, 4))), rng.standard_normal((5, 3))
    assert check_generator_step(G, D, GANLoss(), z)
    assert check_discriminator_step(G, D, GANLoss(), x, z)
    for net, (buffers, grads, params) in zip((G, D), before, strict=True):
        np.testing.assert_array_equal(net.buffers, buffers)
        np.testing.assert_array_equal(net.grads, grads)
        np.testing.assert_array_equal(net.params, params)


def test_a_step_that_forgets_one_of_its_two_batches_is_reported_with_the_batch():
    def forgetful(G, D, optimizer, loss, x_real, z, *, rng=None):
        result = discriminator_step(G, D, optimizer, loss, x_real, z, rng=rng)
        x_fake, _ = G.forward(z, train=True, rng=rng)
        out, cache = D.forward(x_fake, train=True, rng=rng)
        D.backward(loss.bce(out, loss.labels[1])[1], cache)  # overwrites what the real images said
        return result

    rng = np.random.default_rng(0)
    G = nn.Sequential([nn.Dense(4)], (3,), rng=rng, dtype=np.float64)
    D = nn.Sequential([nn.Dense(3), nn.Tanh(), nn.Dense(1), nn.Sigmoid()], (4,), rng=rng, dtype=np.float64)
    x, z = rng.standard_normal((5, 4)), rng.standard_normal((5, 3))
    report = check_discriminator_step(G, D, GANLoss(), x, z, step=forgetful)
    assert not report
    assert "gradient of loss_fake alone" in report["0.Dense.W"].cause


# One door for all ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "arrays", "options", "count"),
    [
        (nn.Dense(3), (), {"in_shape": (4,)}, 2),
        (nn.BatchNorm, (), {"in_shape": (2, 4)}, 2),
        (lambda: nn.Tanh(), (), {"in_shape": (4,)}, 2),
        (nn.Sequential([nn.Dense(2)], (3,), rng=np.random.default_rng(0)), (), {}, 2),
        ((affine, affine_backward), affine_arrays(), {}, 1),
        ((affine, affine_backward, *affine_arrays()), (), {}, 1),
        ((lambda x: (x * x, x), lambda dy, x: 2 * dy * x), (), {"in_shape": (3,)}, 1),
        (lambda x: (np.mean(x * x), 2 * x / x.size), (), {"in_shape": (3,)}, 1),
        (lambda x: (np.mean(x * x), 2 * x / x.size), (np.ones((2, 2)),), {}, 1),
        (RECIPES["pytorch-mlp"].smoke(), (), {"elementwise": 0}, 2),
    ],
)
def test_whatever_has_a_gradient_can_be_asserted(target, arrays, options, count):
    reports = assert_gradients(target, *arrays, **options)
    assert len(reports) == count
    assert all(reports)


def test_an_assertion_that_fails_shows_the_report():
    with pytest.raises(AssertionError, match="the sign is wrong"):
        assert_gradients((lambda x: (x * x, x), lambda dy, x: -2 * dy * x), np.ones((2, 3)) + np.eye(2, 3))


def test_what_has_no_gradient_or_no_shape_is_refused_with_the_remedy():
    with pytest.raises(ArgumentError, match=r"Dense.* needs in_shape.*--in-shape 4"):
        check_gradients(nn.Dense(3))
    with pytest.raises(ArgumentError, match="a str cannot be checked; give a layer"):
        check_gradients("Dense")
    with pytest.raises(ArgumentError, match="a function is checked at an array"):
        check_gradients((affine, affine_backward))
    with pytest.raises(ArgumentError, match="close over the others: lambda x: loss"):
        check_gradients(binary_cross_entropy, np.ones((2, 1)), np.ones((2, 1)))
    with pytest.raises(ArgumentError, match="got seed -1 and batch None"):
        check_gradients(nn.Tanh(), in_shape=(3,), seed=-1)


# The report ----------------------------------------------------------------------------------------------------------


def test_the_report_names_the_worst_entry_with_both_values():
    a = np.array([1.0, 2.0, 3.0])
    report = check(lambda: (a**2).sum(), {"a": a}, {"a": np.array([2.0, 4.5, 6.0])})
    row = report["a"]
    assert (row.index, row.analytic[1], row.how) == ((1,), 4.5, "entries")
    np.testing.assert_allclose(row.numeric[1], 4.0, rtol=1e-9)
    np.testing.assert_allclose(row.error, 0.5 / 6, rtol=1e-6)
    assert report.headline == "gradient: FAILED (wrong: a)"
    line = str(report).splitlines()[2].split()
    assert line[:7] == ["WRONG", "a", "3", "3", "entries", "8.3e-02", "1"]
    assert line[7:9] == ["+4.5", "+4"]
    assert line[10:] == ["1", "wrong"]
    assert "one entry alone is wrong, at [1]: 4.5 where 4 is right" in str(report)


def test_the_table_in_colours_says_the_same_as_the_text():
    from rich.console import Console

    report = check_layer(Wrong("b", SPOILS["sign"]), (4,))
    console = Console(width=200, color_system="truecolor", force_terminal=True, record=True, file=io.StringIO())
    console.print(report)
    shown = console.export_text()
    for word in " ".join(str(report).split("\n")).split():
        assert word in shown


def test_the_picture_shows_wrong_entries_in_red_and_right_ones_in_green(tmp_path):
    from PIL import Image

    report = check_layer(Wrong("W", one_entry), (4,))
    report.picture(tmp_path / "errors.png", array="W")
    pixels = np.asarray(Image.open(tmp_path / "errors.png").convert("RGB")).astype(int)
    red = (pixels[..., 0] > 180) & (pixels[..., 1] < 200) & (pixels[..., 2] < 120)
    green = (pixels[..., 1] > pixels[..., 0] + 60) & (pixels[..., 2] < 120)
    assert green.sum() > 10 * red.sum() > 0
    report.picture(tmp_path / "all.png")
    with pytest.raises(ArgumentError, match="raise elementwise"):
        check_layer(nn.Dense(3), (4,), elementwise=0).picture(tmp_path / "none.png")


# Any shape, dtype and memory layout ----------------------------------------------------------------------------------


@settings(max_examples=60)
@given(case=strategies.layers(), batch=st.integers(2, 5), train=st.booleans(), seed=st.integers(0, 2**16))
def test_every_layer_is_right_whatever_its_shape(case, batch, train, seed):
    make, in_shape = case
    report = check_layer(make(), in_shape, batch=batch, train=train, seed=seed)
    assert not any(row.wrong.any() for row in report.rows), str(report)
    assert not report.problems


@settings(max_examples=100)
@given(case=strategies.layers(), dtype=strategies.dtypes, layout=strategies.layouts, data=st.data())
def test_no_memory_layout_changes_the_result_of_a_layer(case, dtype, layout, data):
    make, in_shape = case
    net = nn.Sequential([make()], in_shape, rng=np.random.default_rng(0), dtype=dtype)
    x = data.draw(strategies.arrays((3, *in_shape), dtype))
    dy = np.random.default_rng(1).standard_normal((3, *net.out_shape)).astype(dtype)

    def passes(x, dy):
        y, cache = net.forward(x, train=True, rng=RandomStream(0, "dropout"))
        return y, net.backward(dy, cache), net.grads.copy()

    tolerance = 1e-4 if dtype == np.float32 else 1e-10
    for a, b in zip(passes(x, dy), passes(layout(x), layout(dy)), strict=True):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1.0, np.abs(a).max(initial=0)))


def test_two_passes_that_differ_are_told_by_how_much():
    calls = itertools.count()
    (problem,) = problems_of(lambda x: (x + next(calls), 1.0), lambda dy, c: dy)
    assert "two calls on the same arguments differ by up to 1.0e+00;" in problem


def test_a_term_that_comes_with_any_dy_is_told_as_one_of_which_dy_is_no_factor():
    (problem,) = problems_of(lambda x: (x * x, x), lambda dy, x: 2 * dy * x + 0.1 * (dy != 0))
    assert "dy and -dy add up to more than 0 for x: there is a term of which dy is no factor" in problem
