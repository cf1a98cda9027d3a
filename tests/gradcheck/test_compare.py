"""The comparison of one subject: what is measured of each array, by which scale, and in what order things are asked."""

import numpy as np
import pytest

from minigan.errors import ArgumentError, DTypeError
from minigan.gradcheck import check
from minigan.gradcheck.compare import (
    along_directions,
    at_entries,
    check_arrays,
    check_form,
    compare,
    first_passes,
    fitting,
    judge,
    judged,
)
from minigan.gradcheck.kinks import Origin
from minigan.gradcheck.numeric import Measured, Slope, first_steps
from minigan.gradcheck.subject import Subject


def rng():
    return np.random.default_rng(0)


def origin(f, grad, unit=1.0, **arrays):
    grads = {name: np.broadcast_to(np.asarray(grad, float), array.shape) for name, array in arrays.items()}
    return Origin(f, f(), arrays, grads, unit)


# What is refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrays", "error", "said"),
    [
        ({}, ArgumentError, "layer: there is nothing to check, no array of floats was given"),
        ({"x": np.ones(3), "W": np.ones(3, np.float32)}, DTypeError, "W: gradients are .* got float32; convert it"),
        ({"x": [1.0]}, DTypeError, "x: gradients are checked in float64 .* got list; convert it"),
        ({"x": np.zeros((0, 3))}, ArgumentError, r"layer: x is empty, its shape is \(0, 3\)"),
    ],
)
def test_arrays_that_cannot_be_checked_are_refused(arrays, error, said):
    with pytest.raises(error, match=f"^{said}$"):
        check_arrays(arrays, "layer")


def test_arrays_of_float64_are_not_refused():
    check_arrays({"x": np.ones((1, 1)), "c": np.zeros(())}, "layer")


X = {"x": np.ones(2)}


@pytest.mark.parametrize(
    ("grads", "error", "said"),
    [
        ({"y": np.ones(2)}, ArgumentError, r"gradients of \['y'\] were given for the arrays \['x'\]"),
        ({"x": np.array(None)}, DTypeError, r"backward returned no gradient \(None\) for x"),
        ({"x": np.array([None, 1])}, DTypeError, "backward returned a gradient of object for x"),
        ({"x": np.array("1")}, DTypeError, "backward returned a gradient of <U1 for x"),
        ({"x": np.ones(2, complex)}, DTypeError, "backward returned a gradient of complex128 for x"),
    ],
)
def test_what_is_no_gradient_is_refused(grads, error, said):
    with pytest.raises(error, match=f"^layer: {said}$"):
        check_form(X, grads, "layer")


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint8", "bool"])
def test_numbers_of_any_kind_may_be_a_gradient(dtype):
    check_form(X, {"x": np.ones(2, dtype)}, "layer")
    assert fitting(np.ones(2, dtype), (2,)).dtype == np.float64


def test_a_gradient_of_another_shape_is_no_number():
    assert fitting(np.array([1, 2]), (2,)).tolist() == [1, 2]
    assert np.isnan(fitting(np.ones((2, 1)), (2,))).tolist() == [True, True]
    assert np.isnan(fitting(np.ones(()), (1,))).tolist() == [True]


# The first passes ---------------------------------------------------------------------------------------------------


def subject(forward, backward, x=(1.0, 2.0)):
    x = np.array(x)
    return Subject({"x": x}, lambda: (forward(x), x.copy()), lambda dy, cache: {"x": backward(x, dy, cache)})


def changing(who, grad=3.0):
    """A subject of which `who` ("forward", "backward" or "dy") changes what it should not; of 3x, grad·dy is given."""

    def forward(x):
        y = 3 * x
        if who == "forward":
            x[0] += 1
        return y

    def backward(x, dy, _cache):
        dx = grad * dy
        if who == "backward":
            x[0] += 1
        if who == "dy":
            dy[0] += 1
        return dx

    return subject(forward, backward)


@pytest.mark.parametrize(
    ("who", "said"),
    [
        (None, []),
        ("forward", ["forward changes x; work on a copy"]),
        ("backward", ["backward changes x; work on a copy"]),
        ("dy", ["backward changes dy; work on a copy"]),
    ],
)
def test_what_the_first_passes_change_is_said_and_put_back(who, said):
    s, given = changing(who), np.array([0.5, -4.0])
    y, dy, grads, problems = first_passes(s, "layer", given, rng())
    assert problems == said
    assert y.tolist() == [3, 6]
    assert s.arrays["x"].tolist() == [1, 2]
    assert dy is given
    assert dy.tolist() == [0.5, -4]
    assert grads["x"].tolist() == [1.5, -12]


def test_dy_is_drawn_if_none_is_given():
    _, dy, grads, _ = first_passes(changing(None), "layer", None, rng())
    assert dy.tolist() == rng().standard_normal(2).tolist()
    assert grads["x"].tolist() == (3 * dy).tolist()


def test_an_output_that_cannot_be_checked_is_refused():
    with pytest.raises(DTypeError, match="the output of float64 arrays is float32"):
        first_passes(subject(np.float32, None), "layer", None, rng())
    for bad in (np.nan, np.inf):
        with pytest.raises(ArgumentError, match="the output holds NaN or Inf at the point"):
            first_passes(subject(lambda x, bad=bad: x * bad, None), "layer", None, rng())


def test_a_backward_that_divides_by_0_raises_no_warning():
    found = first_passes(subject(lambda x: x, lambda _x, dy, _cache: dy / 0), "layer", np.ones(2), rng())
    assert found[2]["x"].tolist() == [np.inf, np.inf]


# What is measured ---------------------------------------------------------------------------------------------------


def test_a_small_array_is_measured_entry_by_entry():
    x = np.array([[1.0, -0.5], [0.25, 2.0]])
    o = origin(lambda: (x**2).ravel(), 7.0, x=x)
    found = at_entries(o, "x", None, None)
    assert (found.how, found.places) == ("entries", None)
    assert found.analytic is o.grads["x"]
    assert found.lines == [((0, 0), 1.0), ((0, 1), 1.0), ((1, 0), 1.0), ((1, 1), 1.0)]
    assert [s.value for s in found.slopes] == pytest.approx([2, -1, 0.5, 4])
    assert [s.h for s in found.slopes] == first_steps(x).ravel().tolist()
    assert [s.h for s in at_entries(o, "x", None, 0.125).slopes] == [0.125] * 4


def test_a_number_is_measured_as_an_entry():
    c = np.array(3.0)
    found = at_entries(origin(lambda: np.array([c**2]), 6.0, c=c), "c", None, None)
    assert found.lines == [((), 1.0)]
    assert found.slopes[0].value == pytest.approx(6)


def test_of_a_large_array_two_hundred_entries_are_drawn():
    x = np.arange(1.0, 601).reshape(2, 300)
    o = origin(lambda: (x**2).ravel(), 2 * x, x=x)
    found = at_entries(o, "x", rng(), 0.5)
    assert found.how == "random entries"
    assert len(found.slopes) == len(set(found.places)) == 200
    assert found.places == sorted(found.places)  # in C order
    assert found.lines == [(place, 1.0) for place in found.places]
    assert found.analytic.tolist() == [2 * x[place] for place in found.places]
    assert [s.value for s in found.slopes] == pytest.approx(found.analytic)


def test_along_directions_units_are_measured_against_the_gradient_along_them():
    x = np.arange(6.0).reshape(2, 3)
    grad = np.array([[1.0, -2, 3], [4, 5, 6]])
    found = along_directions(origin(lambda: (x**2).ravel(), grad, x=x), "x", 4, rng(), None)
    assert (found.how, found.places, len(found.slopes)) == ("directions", None, 4)
    for a, (where, v), s in zip(found.analytic, found.lines, found.slopes, strict=True):
        assert where is ...
        assert np.linalg.norm(v) == pytest.approx(1)
        assert a == pytest.approx((grad * v).sum())
        assert s.value == pytest.approx((2 * x * v).sum())
    assert abs((found.lines[0][1] * found.lines[1][1]).sum()) < 0.99


@pytest.mark.parametrize(("size", "h", "step"), [(0.25, None, 0.25e-4), (9, None, 1e-4), (0.25, 0.5, 0.5), (9, 2, 2)])
def test_the_step_along_a_direction_follows_the_typical_size_up_to_1(size, h, step):
    x = np.full(3, size)
    found = along_directions(origin(lambda: x, 1.0, x=x), "x", 2, rng(), h)
    assert [s.h for s in found.slopes] == pytest.approx([step] * 2)


# How it is judged ---------------------------------------------------------------------------------------------------


def measured(analytic, *slopes, **given):
    return Measured("entries", np.array(analytic, float), [], list(slopes), **given)


def S(value, bar=0.0, *, bend=0.0, noise=0.0, sides=(-np.inf, np.inf)):
    return Slope(value, bar, bend, noise, *sides, 0.0, 1.0)


def test_a_row_holds_what_was_measured():
    at = origin(lambda: np.zeros(1), 0.0, x=np.ones((2, 2)))
    row = judge(at, {"x": measured([[4, 3]], S(2, 0.5), S(5, 0.25, bend=3, noise=2, sides=(1, 6)), places=[(0, 1)])})[0]
    assert (row.name, row.shape, row.how, row.places) == ("x", (2, 2), "entries", [(0, 1)])
    assert row.analytic.tolist() == [[4, 3]]
    assert row.numeric.tolist() == [[2, 5]]
    assert row.bar.tolist() == [[0.5, 0.25]]
    assert row.kink.tolist() == [[False, True]]
    assert row.low.tolist() == [[-np.inf, 1]]
    assert row.high.tolist() == [[np.inf, 6]]


@pytest.mark.parametrize(
    ("x", "W", "scales"),
    [
        (measured([-8], S(2)), measured([1], S(-4)), (8, 4)),
        (measured([np.nan], S(2)), measured([np.inf], S(-4)), (2, 4)),
        (measured([3], S(np.nan)), measured([3], S(np.inf)), (3, 3)),
        (measured([50000], S(0)), measured([3], S(5.001)), (50000, 5.001)),
        (measured([50000], S(0)), measured([3], S(4.999)), (50000, 5)),  # 1e-4 of the largest of the check
        (measured([0], S(0)), measured([0], S(0)), (np.finfo(float).tiny,) * 2),
    ],
)
def test_the_scale_of_an_array_is_its_largest_gradient_and_no_less_than_a_share_of_the_checks(x, W, scales):
    at = origin(lambda: np.zeros(1), 0.0, x=np.ones(1), W=np.ones(1))
    assert tuple(row.scale for row in judge(at, {"x": x, "W": W})) == pytest.approx(scales)


def test_the_size_of_dy_is_its_largest_entry():
    for dy, size in [([0.5, -0.75], 0.75), ([0.25, -0.25], 0.25)]:
        s = subject(lambda _x: np.ones(2), lambda _x, _dy, _cache: np.zeros(2))
        assert compare(s, title="layer", dy=np.array(dy))["x"].size == size


@pytest.mark.parametrize(("unit", "size"), [(3.0, 8.0), (9.0, 9.0)])
def test_what_is_zero_is_told_by_the_largest_gradient_of_the_check_and_by_dy(unit, size):
    at = origin(lambda: np.zeros(1), 0.0, unit, x=np.ones(1), W=np.ones(1))
    rows = judge(at, {"x": measured([1], S(1)), "W": measured([-8], S(2))})
    assert [row.size for row in rows] == [size, size]


def test_the_rows_are_judged_anew_once_other_steps_have_settled_a_doubt():
    x = np.array([1.0, 2.0])
    o = origin(lambda: x**2, [2.0, 4.0], x=x)
    found = {"x": at_entries(o, "x", None, None)}
    found["x"].slopes[0] = S(1e9, 1.0)._replace(h=1e-4)  # by luck: beside it, all else is small
    row = judged(o, found)[0]
    assert row.numeric == pytest.approx([2, 4])
    assert row.scale == pytest.approx(4)
    assert row.right.all()


# The whole ----------------------------------------------------------------------------------------------------------


def checked(f, grad, x, **options):
    x = np.array(x, float)
    return check(lambda: f(x), {"x": x}, {"x": np.array(grad, float)}, **options)


def test_a_right_gradient_passes_and_a_wrong_one_is_diagnosed():
    report = checked(lambda x: (x**3).sum(), [3.0, 12.0], [1, 2], title="cubes")
    assert report
    assert report.title == "cubes"
    report = checked(lambda x: (x**3).sum(), [6.0, 24.0], [1, 2])
    assert not report
    assert report.title == "gradient"
    assert "2" in report["x"].cause


@pytest.mark.parametrize(
    ("options", "size", "how", "count"),
    [
        ({}, 2000, "entries", 2000),
        ({}, 2001, "directions", 5),
        ({"elementwise": 3}, 3, "entries", 3),
        ({"elementwise": 3, "directions": 2}, 4, "directions", 2),
    ],
)
def test_up_to_so_many_entries_are_checked_one_by_one_and_more_along_directions(options, size, how, count):
    report = checked(lambda x: x.sum(), np.ones(size), np.ones(size), pure=False, **options)
    assert report
    assert (report["x"].how, report["x"].kink.size) == (how, count)


def test_where_a_direction_meets_a_kink_entries_are_drawn_instead():
    x = np.ones(300)
    x[7] = 0
    report = checked(lambda x: np.abs(x).sum(), np.sign(x), x, elementwise=10, pure=False)
    assert (report["x"].how, report["x"].kink.size) == ("random entries", 200)
    assert report
    x[7] = 1
    assert checked(lambda x: np.abs(x).sum(), np.sign(x), x, elementwise=10)["x"].how == "directions"
    assert checked(lambda x: np.abs(x).sum(), [1, 0], [1, 0])["x"].how == "entries"  # as all of a small array are


def test_what_a_jump_makes_of_one_entry_is_no_scale_for_the_others():
    def f(x):
        return 3 * x[0] + (x[1] > 0)

    report = checked(f, [3, 0], [1, 0])
    assert (report["x"].wrong.tolist(), report["x"].kink.tolist()) == ([False, False], [False, True])
    np.testing.assert_allclose(report["x"].scale, 3)
    report = checked(f, [3 * 1.001, 0], [1, 0])
    assert report["x"].wrong.tolist() == [True, False]


def test_a_function_that_does_not_change_tests_nothing():
    said = ["nothing was tested: at this point y does not change with any of the arrays"]
    assert checked(lambda x: 3.0, [0, 0], [1, 2]).problems == said
    assert checked(lambda x: 3.0, [0, 1], [1, 2]).problems == []  # that is wrong, which says more
    assert checked(lambda x: x[0] * x[1], [0, 0], [0, 0]).problems == []  # it does if both are moved
    x, c = np.ones(2), np.array(3.0)
    report = check(lambda: 2 * c, {"x": x, "c": c}, {"x": np.zeros(2), "c": np.array(2.0)})
    assert report.problems == []


def report_of(s, **options):
    return compare(s, title="layer", **options)


def test_what_the_passes_change_is_told_and_the_numbers_are_not_explained():
    report = report_of(changing("backward"))
    assert report.problems == ["backward changes x; work on a copy"]
    assert not report.sound
    assert report["x"].right.all()
    report = report_of(changing("backward", 6.0))
    assert report["x"].wrong.all()
    assert report["x"].cause == ""


def test_a_second_pass_is_asked_for_and_only_if_pure():
    calls = []

    def backward(_x, dy, _cache):
        calls.append(1)
        return 3 * dy * len(calls)

    report = report_of(subject(lambda x: 3 * x, backward))
    assert len(report.problems) == 1
    assert not report.sound
    calls.clear()
    report = report_of(subject(lambda x: 3 * x, backward), pure=False)
    assert report
    assert report.sound
    assert len(calls) == 1


def test_a_backward_must_be_linear_in_dy_unless_dy_is_given():
    def curved(_x, dy, _cache):
        return 3 * np.where(np.abs(dy) > 5, 9, dy)

    s = subject(lambda x: 3 * x, curved)
    report = report_of(s)
    assert report.problems
    assert report.sound  # the numbers are worth advice
    assert report["x"].right.all()
    assert report_of(s, dy=np.array([1.0, -2.0])).problems == []
    assert report_of(s, pure=False).problems == []


def test_the_form_of_a_gradient_is_told_before_what_else_is_wrong():
    report = report_of(changing("backward", np.ones((2, 1))))
    assert [problem.split(";")[0] for problem in report.problems] == [
        "backward changes x",
        "the gradient of x has shape (2, 2) and x has (2,)",
    ]


def test_the_checks_draws_are_a_function_of_its_seed():
    found = [report_of(changing(None), **seed)["x"].analytic.tolist() for seed in ({}, {"seed": 0}, {"seed": 1})]
    assert found[0] == found[1] != found[2]


def kept(factor):
    """x², with the first gradient, times the factor, at every point."""
    x = np.array([1.0, 2.0])
    first = 2 * factor * x

    def forward(x=x):
        return x**2, None

    points = tuple({"x": np.array(other)} for other in ([3.0, -1.0], [0.5, 4.0]))
    return Subject({"x": x}, forward, lambda dy, _cache: {"x": first * dy}, inputs=("x",), elsewhere=points)


def test_a_gradient_of_another_point_is_found_only_if_pure_and_only_beside_right_numbers():
    assert [problem.split(",")[0] for problem in report_of(kept(1)).problems] == [
        "the gradients are right at the first point"
    ]
    assert report_of(kept(1), pure=False)
    assert report_of(kept(2)).problems == []
