"""Whether a gradient is right along a direction at another point: both sides of each tolerance, by hand."""

import numpy as np
import pytest

from minigan.gradcheck.elsewhere import off_along, stale, wrong_again
from minigan.gradcheck.subject import Subject

ONE = np.ones(1)


def line(f, grad, *, at=0.0, v=1.0, floor=0.0):
    """Whether the gradient `grad` of f(x) is wrong at x = at, along v."""
    x = np.array([float(at)])
    found = off_along(lambda: f(x), [(x, ..., np.array([float(v)]))], [np.array([grad])], floor)
    assert x == at
    return found


@pytest.mark.parametrize("v", [1.0, -1.0, 1e-3, 1e3])
@pytest.mark.parametrize("slope", [3.0, -3.0])
def test_a_gradient_may_be_off_by_a_hundred_thousandth_of_the_slope(slope, v):
    for share, wrong in ((0, False), (0.9e-5, False), (-0.9e-5, False), (1.1e-5, True), (-1.1e-5, True), (-2, True)):
        assert line(lambda x: slope * x, slope * (1 + share), v=v) is wrong, share


def test_a_gradient_may_be_off_by_a_hundred_thousandth_of_what_is_small_beside_usual_slopes():
    for grad, wrong in ((0.9e-3, False), (-0.9e-3, False), (1.1e-3, True), (-1.1e-3, True)):
        assert line(np.zeros_like, grad, floor=100.0) is wrong
    assert line(np.zeros_like, 0.0) is False
    assert line(np.zeros_like, 1e-300) is True


def test_a_gradient_may_be_off_by_what_rounding_hides():
    """Terms near 1e6 are rounded to 1e-10, which divided by the step is 1e-6; the bar is some ten times that."""
    for share, wrong in ((0, False), (3e-5, False), (-3e-5, False), (2e-4, True), (-2e-4, True)):
        assert line(lambda x: 1e6 + x, 1 + share) is wrong, share


def test_a_kink_within_a_step_decides_nothing_and_one_further_off_does():
    for v in (1.0, 1e-2, 1e2):
        for at in (0.0, 0.2e-4, -0.2e-4):
            for grad in (1.0, 0.0, -1.0, 100.0):
                assert line(np.abs, grad, at=at, v=v) is None
        assert line(np.abs, 1.0, at=1.1e-4, v=v) is False
        assert line(np.abs, -1.0, at=1.1e-4, v=v) is True


def test_a_corner_that_is_small_beside_the_slope_is_none():
    """From 1 - c to 1 + c: a bend of 2c, which is held against a hundred-thousandth of the slope."""
    for c, found in ((0.4e-5, False), (0.6e-5, None)):
        assert line(lambda x, c=c: x + c * np.abs(x), 1.0) is found


def test_where_there_is_no_number_nothing_is_told():
    assert line(lambda x: x + np.nan, 1.0) is None
    assert line(lambda x: 1 / x, 1.0, at=1e-4) is None
    assert line(lambda x: x, np.nan) is True


def test_the_step_is_measured_along_the_direction_of_all_arrays_together():
    """x and y move by 3/5 and 4/5 of a step of 1e-4: a kink of x at 7e-5 is beyond it, one at 1e-5 within."""
    for at, found in ((7e-5, False), (1e-5, None)):
        x, y = np.array([at]), np.array([2.0])
        moves = [(x, ..., 3 * ONE), (y, ..., 4 * ONE)]
        assert off_along(lambda x=x, y=y: np.abs(x) + 5 * y, moves, [ONE, 5 * ONE], 0.0) is found
    assert off_along(lambda: np.abs(x) + 5 * y, [(x, ..., 0 * ONE), (y, ..., ONE)], [7 * ONE, 5 * ONE], 0.0) is False
    assert off_along(lambda: x * 0 + 5 * y, moves, [0 * ONE, 5.001 * ONE], 0.0) is True


# A gradient that is kept ---------------------------------------------------------------------------------------------

AT = np.array([1.0, 2.0])


def square(*points, grad=lambda dy, x: 2 * dy * x, forward=None):
    """Σ x² at x = (1, 2), and at others."""
    x = AT.copy()

    def passed(x=x):
        return x * x, x

    return Subject({"x": x}, forward or passed, lambda dy, x: {"x": grad(dy, x)}, elsewhere=points)


def first(dy, _):
    return 2 * dy * AT


def told(subject, dy=1.0):
    return stale(subject, dy, {"x": 2 * dy * AT}, np.random.default_rng(0))


def refusing(*refused):
    def forward(x=AT):
        if x[0] in refused:
            raise ValueError("not here")
        return x * x, x

    return forward


POINTS = [{"x": np.array([a, a + 1.5])} for a in (3.0, 5.0, 7.0)]


def test_a_gradient_that_is_the_same_and_wrong_at_all_other_points_is_told():
    said = (
        "the gradients are right at the first point, and the same ones again at others, where they are wrong: the "
        "cache of the first pass is kept, or its answer"
    )
    for dy in (1.0, -0.3, np.array([0.5, 2.0])):
        for count in (2, 3):
            assert told(square(*POINTS[:count], grad=first), dy) == [said]
        assert told(square(*POINTS), dy) == []
    assert told(square(*POINTS, grad=first, forward=refusing(5.0))) == [said]
    assert told(square(*POINTS, forward=lambda x=AT: (x * x, AT))) == [said]


def test_a_single_point_is_no_proof_nor_are_several_if_one_is_right():
    assert told(square(grad=first)) == []
    assert told(square(POINTS[0], grad=first)) == []
    assert told(square(*POINTS, grad=first, forward=refusing(3.0, 7.0))) == []
    assert told(square({"x": AT.copy()}, *POINTS, grad=first)) == []
    assert told(square(*POINTS, grad=lambda dy, x: first(dy, x) if x[0] < 6 else 2 * dy * x)) == []


def test_no_warning_of_a_strange_point_escapes():
    assert told(square(*POINTS, {"x": -AT}, forward=lambda x=AT: (np.log(x), x), grad=lambda dy, x: dy / x)) == []


def test_the_points_are_left_as_they_were():
    points = [{"x": p["x"].copy()} for p in POINTS]
    told(square(*points, grad=first))
    assert all(np.array_equal(p["x"], q["x"]) for p, q in zip(points, POINTS, strict=True))


class Along:
    """In place of a generator: the same direction each time."""

    def __init__(self, *v):
        self.v = np.array(v)

    def standard_normal(self, shape):
        assert self.v.shape == shape
        return self.v


def test_only_gradients_that_are_the_same_again_are_held_against_the_slope():
    """y = x·w at w = 3 and at w = 4: that of x, 3, is kept and wrong; that of w, x, is the same because it is right."""
    at = {"x": np.array([2.0]), "w": np.array([4.0])}
    kept = {"x": np.array([3.0]), "w": np.array([2.0])}

    def wrong(dx, dw, rng=np.random.default_rng(0), dy=1.0):  # noqa: B008
        return wrong_again(
            Subject({}, lambda x, w: (x * w, (x, w)), lambda dy, _: {"x": dy * dx, "w": dy * dw}),
            dy, at, {name: dy * grad for name, grad in kept.items()}, rng,
        )  # fmt: skip

    for dy in (1.0, -5.0):
        assert wrong(3 * ONE, 2 * ONE, dy=dy) is True
        assert wrong(3 * ONE, 7 * ONE, Along(1.0), dy) is True
        assert wrong(4 * ONE, 2 * ONE, Along(1.0), dy) is False
        assert wrong(4 * ONE, 7 * ONE, dy=dy) is False  # neither is the same: whatever is wrong is not kept


def test_what_is_kept_may_be_off_by_what_is_small_beside_its_largest_entry():
    """Gradients up to 1000, along a direction in which they are 0, and the slope is not: 1e-5·1 % of 1000 is 1e-4."""
    grad = np.array([1000.0, 0.0])
    for slope, wrong in ((0.9e-4, False), (1.1e-4, True), (-0.9e-4, False), (-1.1e-4, True)):
        subject = Subject({}, lambda x, s=slope: (np.array([1000.0, s]) * x, None), lambda dy, _: {"x": grad})
        assert wrong_again(subject, 1.0, {"x": np.zeros(2)}, {"x": grad}, Along(0.0, 1.0)) is wrong
