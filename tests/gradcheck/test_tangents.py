"""Forward mode beside backward: whether both are of one matrix, which is wrong if not, and how the matrix moves."""

import re

import numpy as np
import pytest

from minigan import nn
from minigan.gradcheck import check_layer, check_network, check_pair
from minigan.gradcheck.tangents import check_tangents
from minigan.gradcheck.trial import Trial
from minigan.nn.init import ones


class Scale(nn.Layer):
    """Right: y = gamma·x³, a curved layer with a parameter, of which every answer is written out. Spoilt below."""

    def params(self, in_shape):
        return {"gamma": (in_shape[-1:], ones)}

    def forward(self, x, *, train, rng=None):
        return self.gamma * x**3, x

    def input_grad(self, dy, cache):
        return dy * self.gamma * 3 * cache**2

    def param_grads(self, dy, cache, grads):
        grads["gamma"][...] = (dy * cache**3).sum(axis=0)

    def tangent(self, dx, cache):
        return dx * self.gamma * 3 * cache**2

    def tangent_grads(self, dx, dy, cache, grads):
        grads["gamma"][...] = (dy * dx * 3 * cache**2).sum(axis=0)
        return dy * dx * self.gamma * 6 * cache


def network(*layers, in_shape=(4,)):
    return nn.Sequential(layers, in_shape, rng=np.random.default_rng(0), dtype=np.float64)


RIGHT = {
    "of the test's own": (Scale, (4,)),
    "bilinear": (lambda: nn.Dense(3), (4,)),
    "straight": (lambda: nn.LeakyReLU(slope=0.2), (4,)),
    "curved": (nn.Tanh, (4,)),
    "random": (lambda: nn.Dropout(drop=0.5), (4,)),
    "of the batch": (nn.BatchNorm, (4,)),
    "of a norm": (lambda: nn.SpectralNorm(nn.Dense(3)), (4,)),
    "of images": (lambda: nn.MaxPool2d(2), (4, 4, 3)),
}


@pytest.mark.parametrize("train", [True, False], ids=["train", "inference"])
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_layer_gains_a_row_of_its_tangent_and_of_each_derivative_of_that(name, train):
    make, in_shape = RIGHT[name]
    report = check_layer(make(), in_shape, train=train)
    assert report, str(report)
    first = [row.name for row in report.rows if "tangent" not in row.name]
    assert [row.name for row in report.rows] == [*first, "tangent", *(f"∂tangent/∂{array}" for array in first)]
    row = report["tangent"]
    assert (row.how, row.kink.size) == ("pairs", 5)
    assert row.right.all()
    assert 0 <= row.error < 1e-13
    assert (row.bar < 1e-12 * row.scale).all()
    assert np.abs(row.analytic).max() > 0.05 * row.scale, "two zeros are equal whatever made them"


def test_of_a_network_each_parameter_gains_a_row():
    net = network(nn.Dense(5), nn.BatchNorm(), nn.Tanh(), nn.Dense(2))
    report = check_network(net)
    assert report, str(report)
    names = list(net.named_params())
    assert [row.name for row in report.rows] == ["x", *names, "tangent", *(f"∂tangent/∂{name}" for name in names)]


def test_of_a_network_without_parameters_there_is_a_tangent_alone():
    report = check_network(network(nn.Tanh(), nn.LeakyReLU(slope=0.2)))
    assert report, str(report)
    assert [row.name for row in report.rows] == ["x", "tangent"]


class Bare(Scale):
    """Of the first two answers alone."""

    tangent = nn.Layer.tangent


class OnlyForward(nn.LeakyReLU):
    """Another function than the class that it is derived from, with another cache."""

    def forward(self, x, *, train, rng=None):
        return np.abs(x), {"x": x}

    def input_grad(self, dy, cache):
        return dy * np.sign(cache["x"])


def test_a_derived_layer_with_another_forward_has_no_tangent_and_claims_nothing_unless_it_says_so_again():
    report = check_layer(OnlyForward(slope=0.2), (4,))
    assert report, str(report)
    assert [row.name for row in report.rows] == ["x"]

    class SaysSoAgain(OnlyForward):
        straight = True

        def forward(self, x, *, train, rng=None):
            return super().forward(x, train=train)

        def tangent(self, dx, cache):
            return self.input_grad(dx, cache)

    class Inherits(SaysSoAgain):
        pass

    for kind in (SaysSoAgain, Inherits):
        report = check_layer(kind(slope=0.2), (4,))
        assert report, str(report)
        assert [row.name for row in report.rows] == ["x", "tangent", "∂tangent/∂x"]
    assert not OnlyForward.straight


class OfFirstOrder(Scale):
    tangent_grads = nn.Layer.tangent_grads


def test_without_a_tangent_nothing_is_said_of_one():
    for report in (check_layer(Bare(), (4,)), check_network(network(nn.Dense(3), Bare(), nn.Dense(2)))):
        assert report, str(report)
        assert "tangent" not in str(report)
    assert "tangent" not in str(check_pair(lambda x: (x * x, x), lambda dy, x: 2 * dy * x, np.arange(1.0, 4.0)))


def test_without_second_order_the_tangent_is_checked_alone():
    for report in (check_layer(OfFirstOrder(), (4,)), check_network(network(nn.Dense(3), OfFirstOrder()))):
        assert report, str(report)
        assert [row.name for row in report.rows if "tangent" in row.name] == ["tangent"]


# Which of the two is wrong --------------------------------------------------------------------------------------------


class ForgetsAFactor(nn.LeakyReLU):
    def tangent(self, dx, cache):
        return dx * np.where(cache > 0, 1.0, self.slope) / 2


class AnotherMask(nn.ReLU):
    def tangent(self, dx, cache):
        return dx * (cache > 0.2)


class NotTransposed(nn.Dense):
    def tangent(self, dx, cache):
        return dx @ self.W.T


class OnlyDirect(nn.BatchNorm):
    """What reaches y by way of the batch's mean and variance is left out."""

    def tangent(self, dx, cache):
        return dx * self.gamma * cache.inv_std


class FarTooMuch(nn.Tanh):
    def tangent(self, dx, cache):
        return np.full_like(dx, np.nan)


TANGENTS = {
    "a factor": (ForgetsAFactor(slope=0.2), (4,), "it is 0.5 times what it should be, for each dx and dy"),
    "a mask": (AnotherMask(), (6,), ""),
    "transposed": (NotTransposed(4), (4,), ""),
    "a term": (OnlyDirect(), (4,), ""),
    "not a number": (FarTooMuch(), (4,), "⟩ is +nan"),
}


@pytest.mark.parametrize("name", TANGENTS)
def test_a_wrong_tangent_is_found_and_is_what_is_called_wrong(name):
    layer, in_shape, seen = TANGENTS[name]
    report = check_layer(layer, in_shape)
    assert [row.name for row in report.rows if row.wrong.any()] == ["tangent"], str(report)
    cause = report["tangent"].cause
    assert cause.startswith("tangent is wrong, and backward right: ")
    assert seen in cause
    assert ("times what it should be" in cause) == (name == "a factor")


def test_a_wrong_tangent_is_found_in_a_network_and_in_numbers_alone():
    net = network(nn.Dense(5), ForgetsAFactor(slope=0.2), nn.Dense(2))
    for options in ({}, {"pure": False}):
        report = check_network(net, **options)
        assert not report
        assert report["tangent"].cause.startswith("tangent is wrong, and backward right"), str(report)


def test_the_finite_difference_along_dx_is_told():
    class Half(nn.Reshape):
        def tangent(self, dx, cache):
            return super().tangent(dx, cache) / 2

    row = check_layer(Half(4), (4,))["tangent"]
    a, n = row.analytic[row.index], row.numeric[row.index]
    np.testing.assert_allclose(a, n / 2)
    assert (
        f"is {a:+.6g} and ⟨backward(dy), dx⟩ {n:+.6g}, where finite differences of y along dx give {n:+.6g}"
        in row.cause
    )


class WrongBackward(Scale):
    def input_grad(self, dy, cache):
        return 2 * super().input_grad(dy, cache)


class WrongBoth(WrongBackward):
    def tangent(self, dx, cache):
        return 3 * super().tangent(dx, cache)


def test_a_wrong_backward_is_told_from_a_wrong_tangent_and_makes_one_row_wrong():
    report = check_layer(WrongBackward(), (4,))
    assert [row.name for row in report.rows] == ["x", "gamma", "tangent"], "its derivatives wait for a right backward"
    assert [row.name for row in report.rows if row.wrong.any()] == ["x"]
    row = report["tangent"]
    assert row.right.all()
    assert row.cause.startswith("backward is wrong, and tangent right: ")
    assert "it is 2 times what it should be, for each dx and dy" in row.cause


class WrongInOneOfMany(nn.LeakyReLU):
    """By so little that five directions in 1200 entries do not show it."""

    def input_grad(self, dy, cache):
        dx = super().input_grad(dy, cache)
        dx[0, 0] *= 1 + 2e-6
        return dx


def test_a_backward_that_only_the_tangent_shows_to_be_wrong_makes_that_row_wrong():
    report = check_layer(WrongInOneOfMany(slope=0.2), (240,), elementwise=0)
    assert report["x"].passes
    assert not report
    row = report["tangent"]
    assert row.wrong.any()
    assert "do not go with one matrix" in row.cause or "backward is wrong" in row.cause


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_backward_that_is_no_number_is_not_compared_but_told(value):
    class NoNumber(Scale):
        def input_grad(self, dy, cache):
            return np.full_like(dy, value)

    report = check_layer(NoNumber(), (4,))
    assert [row.name for row in report.rows if row.wrong.any()] == ["x"], str(report)
    assert report["tangent"].cause.startswith("backward is wrong, and tangent right: ")
    assert report["tangent"].right.all()


def test_two_wrong_passes_are_both_called_wrong():
    report = check_layer(WrongBoth(), (4,))
    assert [row.name for row in report.rows if row.wrong.any()] == ["x", "tangent"]
    assert report["tangent"].cause.startswith("both tangent and backward are wrong: ")


class SlightlyOff(Scale):
    def tangent(self, dx, cache):
        return super().tangent(dx, cache) * (1 + 1e-10)


def test_what_no_finite_difference_could_see_is_found():
    report = check_layer(SlightlyOff(), (4,))
    assert [row.name for row in report.rows if row.wrong.any()] == ["tangent"]
    assert 1e-12 < report["tangent"].error < 1e-10
    assert "Finite differences cannot tell which is wrong" in report["tangent"].cause


class OtherSide(nn.ReLU):
    """At 0 its tangent goes up and its backward nowhere."""

    def tangent(self, dx, cache):
        return dx * (cache >= 0)


def test_at_a_kink_the_two_must_take_the_same_side():
    x = np.random.default_rng(0).standard_normal((5, 4))
    x[2, 3] = 0.0
    right, wrong = (check_tangents(Trial(network(layer), x, train=True)) for layer in (nn.ReLU(), OtherSide()))
    assert right, str(right)
    assert wrong["tangent"].wrong.all()
    assert "take different sides of a kink" in wrong["tangent"].cause


class ByLargeNumbers(nn.Layer):
    """y = x; back, by way of numbers a million times as large, which rounds more."""

    straight = True

    def forward(self, x, *, train, rng=None):
        return x.copy(), None

    def input_grad(self, dy, cache):
        return (dy * 1e6 + dy) - dy * 1e6

    def tangent(self, dx, cache):
        return dx.copy()


def test_rounding_of_numbers_that_cancel_is_not_called_wrong():
    x = np.random.default_rng(0).standard_normal((5, 4))
    report = check_tangents(Trial(network(ByLargeNumbers()), x, train=True))
    row = report["tangent"]
    assert (np.abs(row.analytic - row.numeric) > 1e-12 * row.scale).any(), "it must round by more than that"
    assert report, str(report)


# What a tangent must be besides ---------------------------------------------------------------------------------------


class AddsTheBias(nn.Dense):
    def tangent(self, dx, cache):
        return super().tangent(dx, cache) + self.b


class Squares(Scale):
    def tangent(self, dx, cache):
        return super().tangent(dx, cache) * np.abs(dx)


class Spoils(Scale):
    def tangent(self, dx, cache):
        dx *= 3 * self.gamma * cache**2
        return dx


class ReadsMemory(Scale):
    def tangent(self, dx, cache):
        return super().tangent(dx.ravel(order="K").reshape(dx.shape), cache)


class UsesUp(nn.Layer):
    straight = True

    def forward(self, x, *, train, rng=None):
        return 2 * x, [2.0]

    def input_grad(self, dy, cache):
        return 2.0 * dy

    def tangent(self, dx, cache):
        return cache.pop() * dx


class AnotherShape(Scale):
    def tangent(self, dx, cache):
        return super().tangent(dx, cache).sum(axis=0)


class Raises(Scale):
    def tangent(self, dx, cache):
        raise ValueError("not today")


PROBLEMS = {
    "a bias": (AddsTheBias(3), "tangent is not linear in dx: a dx of zeros gives .* a term of which dx is no factor"),
    "squares": (Squares(), "tangent is not linear in dx: "),
    "in place": (Spoils(), "tangent changes dx; work on a copy"),
    "memory": (ReadsMemory(), "tangent gives another result for a .* dx"),
    "a cache used up": (UsesUp(), r"a second tangent on the same cache fails \(IndexError"),
    "a shape": (AnotherShape(), r"tangent returns float64 \(4,\) where y is float64 \(5, 4\)"),
    "an error": (Raises(), r"tangent fails \(ValueError: not today\)"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_what_a_tangent_must_not_do_is_a_problem_told_in_a_sentence(name):
    layer, sentence = PROBLEMS[name]
    report = check_layer(layer, (4,))
    assert not report
    (problem,) = report.problems
    assert re.search(sentence, problem), problem


# The derivative of the tangent ----------------------------------------------------------------------------------------


class WrongCurvature(nn.Tanh):
    def tangent_grads(self, dx, dy, cache, grads):
        return -super().tangent_grads(dx, dy, cache, grads)


class WrongGamma(Scale):
    def tangent_grads(self, dx, dy, cache, grads):
        curvature = super().tangent_grads(dx, dy, cache, grads)
        grads["gamma"] *= 1.001
        return curvature


class LosesTheBend(Scale):
    def tangent_grads(self, dx, dy, cache, grads):
        super().tangent_grads(dx, dy, cache, grads)


class LeavesBias(nn.Dense):
    """The bias keeps what an earlier pass has written."""

    def tangent_grads(self, dx, dy, cache, grads):
        self.param_grads(dy, dx, {"W": grads["W"], "b": np.empty_like(grads["b"])})


class ClaimsStraight(Bare):
    straight = True

    def params(self, in_shape):
        return {}

    def forward(self, x, *, train, rng=None):
        return x**3, x

    def input_grad(self, dy, cache):
        return 3 * dy * cache**2

    def param_grads(self, dy, cache, grads):
        pass

    def tangent(self, dx, cache):
        return self.input_grad(dx, cache)

    tangent_grads = nn.Layer.tangent_grads


class ClaimsStraightWithWeights(OfFirstOrder):
    straight = True


class ClaimsBilinear(OfFirstOrder):
    bilinear = True


DERIVATIVES = {
    "a sign": (WrongCurvature(), "x", "sign"),
    "a thousandth": (WrongGamma(), "gamma", ""),
    "no curvature": (LosesTheBend(), "x", "zero everywhere"),
    "not written": (LeavesBias(3), "b", "must write each entry, 0 where nothing depends on it"),
    "straight": (ClaimsStraight(), "x", r"says straight = True, and .* changes with x .*write tangent_grads"),
    "straight, with weights": (ClaimsStraightWithWeights(), "gamma", "says straight = True"),
    "bilinear": (ClaimsBilinear(), "x", "says bilinear = True, and .* changes with x .*the cache must be x"),
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_a_wrong_derivative_of_the_tangent_is_found_and_what_it_may_come_from_told(name):
    layer, array, cause = DERIVATIVES[name]
    report = check_layer(layer, (4,))
    assert not report
    wrong = [row.name for row in report.rows if row.wrong.any()]
    assert f"∂tangent/∂{array}" in wrong, str(report)
    assert all(row.startswith("∂tangent/∂") for row in wrong), "nothing else is wrong with it"
    assert re.search(cause, report[f"∂tangent/∂{array}"].cause), str(report)


def test_a_wrong_curvature_is_found_in_the_parameters_below_it():
    report = check_network(network(nn.Dense(3), WrongCurvature(), nn.Dense(2)))
    assert [row.name for row in report.rows if row.wrong.any()] == ["∂tangent/∂0.Dense.W", "∂tangent/∂0.Dense.b"]


def test_tangent_grads_that_fail_are_a_problem():
    class Fails(Scale):
        def tangent_grads(self, dx, dy, cache, grads):
            raise KeyError("beta")

    report = check_layer(Fails(), (4,))
    assert report.problems == ["tangent_grads fails (KeyError: 'beta')"]


def test_where_the_two_passes_are_not_sound_nothing_is_said_of_a_tangent():
    class Keeps(Scale):
        def forward(self, x, *, train, rng=None):
            self.last = x
            return super().forward(x, train=train)

        def input_grad(self, dy, cache):
            return super().input_grad(dy, self.last)

    report = check_layer(Keeps(), (4,))
    assert report.problems
    assert "tangent" not in str(report)
