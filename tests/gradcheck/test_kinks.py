"""What a kink is made of, on functions of a number or two that bend where a reader can see it."""

import numpy as np
import pytest

from minigan.gradcheck import kinks
from minigan.gradcheck.kinks import Corner, Origin, bounds, corners, entry, forgive, hides_kinks, jumps, walk_aside
from minigan.gradcheck.numeric import STEP, first_steps
from minigan.gradcheck.report import DECIDED, Row


class Draws:
    """A random generator that draws the same numbers, in turn, for all entries of an array, and permutes nothing."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def standard_normal(self, shape):
        self.numbers.append(self.numbers.pop(0))
        return np.full(shape, self.numbers[-1])

    def permutation(self, a):
        return a


def origin(f, grads=None, **arrays):
    return Origin(f, f(), arrays, grads or {name: np.zeros_like(array) for name, array in arrays.items()}, 1.0)


def at(*entries, weights=None):
    return np.array(entries), np.ones(len(entries)) if weights is None else np.array(weights)


def row(analytic, *, numeric=None, kink=True, low=-1.0, high=1.0, scale=1.0, how="entries", bar=0.0, **given):
    analytic = np.array(analytic, float)
    zero = np.zeros(analytic.shape)
    numeric = zero if numeric is None else np.array(numeric, float)
    shape = given.pop("shape", analytic.shape)
    return Row("x", shape, how, analytic, numeric, zero + bar, zero + kink > 0, zero + low, zero + high, scale, **given)


# A point ------------------------------------------------------------------------------------------------------------


def test_a_direction_moves_the_entries_that_it_names_in_c_order():
    x, c = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array(5.0)
    o = origin(lambda: np.zeros(1), x=x, c=c)
    moves = o.moves({"x": at(1, 2, weights=[0.5, -3.0]), "c": at(0, weights=[7.0])})
    for array, where, w in moves:
        array[where] += w
    assert x.tolist() == [[1, 2.5], [0, 4]]
    assert c == 12


def test_a_step_is_not_too_large_for_any_entry_that_moves():
    o = origin(lambda: np.zeros(1), x=np.array([[0.5, 0.125], [0.25, 8.0]]), c=np.array(0.0625))
    assert o.step({"x": at(0, 3)}) == pytest.approx(0.5 * STEP)
    assert o.step({"x": at(3)}) == STEP
    assert o.step({"x": at(0, 3), "c": at(0)}) == pytest.approx(0.0625 * STEP)


def test_the_derivative_along_a_direction_adds_up():
    grads = {"x": np.array([[1.0, 2.0], [4.0, 8.0]]), "c": np.array(16.0)}
    o = origin(lambda: np.zeros(1), grads, x=np.ones((2, 2)), c=np.ones(()))
    assert o.analytic({"x": at(1, 2, weights=[0.5, -3.0]), "c": at(0, weights=[2.0])}) == 1 - 12 + 32


def test_the_kth_entry_of_a_row_is_at_its_place_in_the_array():
    for r, place in [
        (row(np.zeros((2, 3))), 4),
        (row(np.zeros(5), shape=(2, 3), places=[(0, 0), (0, 1), (0, 2), (1, 1), (1, 2)]), 5),
        (row(np.zeros(5), shape=(), places=[()] * 5), 0),
    ]:
        ((name, (flat, w)),) = entry(r, 4).items()
        assert (name, flat.tolist(), w.tolist()) == ("x", [place], [1])


# Corners ------------------------------------------------------------------------------------------------------------


def only_corner(f, x, k=0, **given):
    x = np.array(x, float)
    (found,) = corners(origin(lambda: f(x), x=x), [row(np.zeros(x.shape), kink=np.arange(x.size) == k, **given)])
    return found


def test_a_corner_tells_how_much_the_function_bends_and_in_which_terms():
    found = only_corner(lambda x: np.array([3 * abs(x[1]) + 5, x[1], -0.5 * abs(x[1]), x[0]]), [7, 0, 0.25], 1)
    assert (found.k, found.flat, found.θ, found.a) == (1, 1, 0, 0)
    assert found.jump == pytest.approx(5)
    assert found.terms == {0, 2}
    assert only_corner(lambda x: np.array([5 - abs(x[0] - 2)]), [2]).θ == 2
    assert only_corner(lambda x: np.array([5 - abs(x[0] - 2)]), [2]).jump == pytest.approx(2)


def test_a_term_bends_if_it_does_by_a_thousandth_of_the_largest_or_by_what_decides():
    for share, terms in [(0.00101, {0, 1}), (0.00099, {0})]:
        assert only_corner(lambda x, s=share: abs(x[0]) * np.array([1, s]), [0]).terms == terms
    for scale, terms in [(3999, {0, 1}), (4001, {0}), (19999, {0}), (20000, {-1}), (20001, {-1})]:
        assert only_corner(lambda x: abs(x[0]) * np.array([1, 0.2]), [0], scale=scale).terms == terms, scale


def test_corners_are_the_entries_at_kinks_that_have_a_gradient():
    x = np.zeros(4)
    o = origin(lambda: abs(x), x=x)
    rows = [row([1, np.nan, np.inf, 0.5], kink=[True, True, True, False]), row([1, 1], how="directions")]
    assert [(c.k, c.a) for c in corners(o, rows)] == [(0, 1)]
    assert [c.k for c in corners(o, rows[::-1])] == [0]
    some = row([1, 2], how="random entries", shape=(4,), places=[(1,), (3,)])
    assert [(c.k, c.flat, c.a, c.terms) for c in corners(o, [some])] == [(0, 1, 1, {1}), (1, 3, 2, {3})]


def test_a_corner_is_open_until_it_is_right_at_a_tie_or_wrong():
    r = row([0, 0, 5])
    r.tied[1] = True
    assert [Corner(r, k, k, 0.0, 2.0, frozenset()).open for k in range(3)] == [True, False, False]


# Bounds -------------------------------------------------------------------------------------------------------------

H = STEP  # the step of numbers that are 0 or more than 1


def bounds_of(f, *, y=False, draws=(0.5, -0.5), **options):
    """The bounds of a function of x = 0, and of y = 0 if it has one, along x."""
    x, other = np.zeros(()), np.zeros(())
    if y:
        o = origin(lambda: np.atleast_1d(f(float(x), float(other))), x=x, y=other)
    else:
        o = origin(lambda: np.atleast_1d(f(float(x))), x=x)
    found = bounds(o, {"x": at(0)}, Draws(*draws), **options)
    assert x == other == 0
    return found


@pytest.mark.parametrize(
    ("f", "found"),
    [
        (lambda x: 3 * x, (3, 3)),
        (lambda x: abs(x) + 2 * x, (1, 3)),
        (lambda x: -abs(x), (-1, 1)),
        (lambda x: np.array([abs(x), -2 * abs(x), 5 * x]), (2, 8)),  # either term by itself
        (lambda x: np.array([abs(x) - abs(x), 5 * x]), (5, 5)),  # that is no bend
    ],
)
def test_the_bounds_are_the_slopes_and_all_bends_of_either_sign(f, found):
    assert bounds_of(f, passes=1) == pytest.approx(found, abs=1e-6)
    assert bounds_of(f) == pytest.approx(found, abs=1e-6)
    assert bounds_of(f, places=kinks.QUICK, passes=2) == pytest.approx(found, abs=1e-6)
    assert bounds_of(f, steps=10.0) == pytest.approx(found, abs=1e-6)


def test_bends_that_cancel_at_the_point_lie_apart_beside_it():
    assert bounds_of(lambda x, y: abs(x) - abs(x + y), y=True) == pytest.approx((-2, 2), abs=1e-6)
    assert bounds_of(lambda x, y: max(x, y) + min(x, y), y=True) == pytest.approx((1, 1), abs=1e-6)


def test_the_widest_of_all_passes_bounds_the_gradient():
    def f(x, y):
        return max(x, 0.0) if y > 0 else -max(x, 0.0)

    for draws in [(0.5, -0.5), (-0.5, 0.5)]:
        assert bounds_of(f, y=True, draws=(draws[0], draws[0], draws[1], draws[1])) == pytest.approx((-1, 1), abs=1e-6)
    assert bounds_of(f, y=True, draws=(0.5,)) == pytest.approx((0, 1), abs=1e-6)
    assert bounds_of(f, y=True, draws=(-0.5,)) == pytest.approx((-1, 0), abs=1e-6)


def test_a_kink_within_a_step_is_seen_and_none_beyond_it():
    for side in (1, -1):
        for place, seen in [(0.02, True), (0.5, True), (0.95, True), (1.05, False), (1.5, False)]:
            low, high = bounds_of(lambda x, p=side * place: abs(x - p * H))
            assert (high - low > 0.01) == seen, (side, place)
    for place, seen in [(0.005, True), (0.01, False)]:
        low, high = bounds_of(lambda x, p=place: abs(x - p * H), places=kinks.QUICK)
        assert (high - low > 0.01) == seen, place
    for place, seen in [(9.5, True), (10.5, False)]:
        low, high = bounds_of(lambda x, p=place: abs(x - p * H), steps=10.0)
        assert (high - low > 0.01) == seen, place


def test_further_from_the_point_bends_are_told_apart_at_less_than_a_third_of_a_step():
    for sign in (1, -1):
        low, high = bounds_of(lambda x, s=sign: s * (abs(s * x - 0.1 * H) - abs(s * x - 0.9 * H)))
        assert (low, high) == pytest.approx((0, 12 / 7), abs=0.01)  # from 0.3 to 1 it rises by 1.2 H


def test_a_bend_before_the_first_two_points_of_a_line_is_a_part_of_the_first_slope():
    low, high = bounds_of(lambda x: abs(x + 0.9 * H))  # from -1 to -0.3 it rises by 0.5 H
    assert (low, high) == pytest.approx((5 / 7, 1), abs=0.01)


@pytest.mark.parametrize("sign", [1, -1])
def test_where_the_function_has_no_value_within_a_step_anything_is_allowed(sign):
    for f in (
        lambda x: sign * np.inf if x > 0.5 * H else x,
        lambda x: sign * np.inf if x < -0.5 * H else x,
        lambda x: np.nan if sign * x > 0.5 * H else x,
    ):
        assert bounds_of(f) == (-np.inf, np.inf)


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        ({}, 10 * 67),
        ({"passes": 3}, 3 * 67),
        ({"places": 12}, 10 * 11),
        ({"steps": 10.0}, 10 * 67),
    ],
)
def test_a_look_costs_ten_lines_of_67_points_and_a_quick_one_of_11(options, calls):
    count = []
    bounds_of(lambda x: count.append(x) or x, **options)
    assert len(count) == 1 + calls  # and the value at the point


def test_the_lines_pass_the_point_at_a_five_hundredth_of_the_steps_of_all_entries():
    x, y, seen = np.zeros(()), np.array([0.5, 8.0]), []

    def f():
        seen.append(y - [0.5, 8])
        return np.zeros(1)

    o = origin(f, x=x, y=y)
    for steps in (1.0, 10.0):
        seen.clear()
        bounds(o, {"x": at(0)}, np.random.default_rng(0), steps, passes=200)
        aside = np.unique(np.abs(seen) / (steps * first_steps(y)), axis=0)
        assert len(aside) == 200
        assert np.median(aside, axis=0) == pytest.approx(0.67 * 2e-3, rel=0.2)  # as of normal numbers


def test_a_walk_aside_moves_both_and_leaves_both_as_they_were():
    x, y = np.array([1.0, 2.0]), np.array([5.0])
    found = walk_aside(
        lambda: np.array([*x, *y]),
        [(x, ..., np.array([0.5, 0.25])), (y, ..., np.array([1.0]))],
        [(x, 1, 2.0)],
        np.array([-1.0, 3.0]),
    )
    assert found.tolist() == [[1.5, 0.25, 6], [1.5, 8.25, 6]]
    assert (x.tolist(), y.tolist()) == ([1, 2], [5])


# What hides kinks ---------------------------------------------------------------------------------------------------


@pytest.fixture
def found(monkeypatch):
    """Bounds given by hand: `found(*bounds)`, one after the other, the last again and again; what was asked is kept."""
    asked, given = [], []

    def stub(_origin, v, _rng, *steps, **options):
        asked.append((v["x"][0].tolist(), *steps, options))
        bounds = given.pop(0) if len(given) > 1 else given[0]
        if isinstance(bounds, Exception):
            raise bounds
        return bounds

    def give(*bounds):
        given[:] = bounds
        asked.clear()
        return asked

    monkeypatch.setattr(kinks, "bounds", stub)
    return give


@pytest.mark.parametrize(
    ("first", "again", "hides"),
    [
        ((5, 6), (5, 6), False),  # just a fiftieth
        ((5, 6.01), (5, 6), True),
        ((5, 7), (0, 5.9), True),
        ((5, 7), (0, 6), False),  # just three times as much
        ((0, 10), (0, 3), False),  # just 0.3 of it
        ((0, 10), (0, 3.1), True),
        ((0, 10), (0, 30.1), False),
        ((-np.inf, np.inf), (0, 1), False),
        ((0, 10), (-np.inf, np.inf), False),
    ],
)
def test_kinks_hide_where_slopes_vary_by_a_fiftieth_and_as_much_at_ten_times_the_step(
    found, first, again, hides, monkeypatch
):
    monkeypatch.setattr(kinks, "jumps", lambda *_: False)
    asked = found(first, again)
    assert hides_kinks(None, {"x": at(3)}, 50.0, None) is hides
    quick = {"places": 12}
    assert asked == [([3], quick), ([3], 10.0, quick)][: 2 if asked[1:] else 1]
    assert (len(asked) == 1) == (first in [(5, 6), (-np.inf, np.inf)])
    monkeypatch.setattr(kinks, "jumps", lambda *_: True)
    found(first, again)
    assert not hides_kinks(None, {"x": at(3)}, 50.0, None), "the other side of a jump is no choice"


@pytest.mark.parametrize(
    ("f", "jump"),
    [
        (lambda x: x, False),
        (lambda x: np.maximum(x, 0), False),
        (np.sort, False),
        (lambda x: x * x, False),  # a hundredth, even
        (lambda x: 0 * x, False),
        (lambda x: x + (x > 0), True),
        (lambda x: x + 1e-3 * (x >= 0), True),
        (lambda x: x + (x > 1e-8), True),
        (lambda x: x + (x > -1e-8), True),
        (lambda x: x + (x > 1.0), False),  # far away
    ],
)
def test_f_jumps_where_ten_times_as_far_it_changes_by_as_much(f, jump):
    x = np.zeros(4)
    there = origin(lambda: f(x), x=x)
    assert jumps(there, np.random.default_rng(0)) is jump
    assert not x.any()


# What is forgiven ---------------------------------------------------------------------------------------------------

ROOM = DECIDED * 8  # of a scale of 8


def forgiven(r):
    forgive(None, r, Draws())
    return r


def test_a_wrong_entry_at_a_kink_is_allowed_what_the_bounds_allow(found):
    asked = found((-2, 3))
    r = forgiven(row([2, -1.5, 3, 4.5, -0.5], scale=8))
    assert asked == [([k], {}) for k in (0, 1, 2, 3)]  # the last is not wrong
    assert r.wrong.tolist() == [False] * 5
    assert r.low.tolist() == [-2, -2, -2, -2, -1]
    assert r.high.tolist() == [3, 3, 3, 4.5, 1]  # and half of what they vary by, as some of it may have been missed
    assert r.kink.all()
    for a in (5.5 + 0.9 * ROOM, -4.5 - 0.9 * ROOM):
        assert not forgiven(row([a], scale=8)).wrong.any()
    for a in (5.5 + 1.1 * ROOM, -4.5 - 1.1 * ROOM):
        r = forgiven(row([a], scale=8))
        assert r.wrong.all()
        assert (r.low[0], r.high[0]) == (-1, 1)


def test_where_no_more_bends_than_the_entry_shows_nothing_is_hidden(found):
    found((0, 102))  # no more than a fiftieth wider than the entry's own slopes
    r = forgiven(row([101.5, 102 + 0.9 * ROOM, 103, -0.5], low=0, high=100, scale=8))
    assert r.wrong.tolist() == [False, False, True, True]
    found((0, 102.1))
    r = forgiven(row([102 + 51, 102.1 + 51.1], low=0, high=100, scale=8))
    assert r.wrong.tolist() == [False, True]
    found((900, 1003))
    assert not forgiven(row([1050], low=900, high=1000, scale=8)).wrong.any()


def test_an_entry_between_the_edges_of_what_is_allowed_is_not_wrong(found):
    found((-2, 3))
    top, bottom = 3 + 2.5 + ROOM, -2 - 2.5 - ROOM
    assert forgiven(row([top, bottom], scale=8)).wrong.tolist() == [False, False]


def test_away_from_a_kink_an_entry_is_forgiven_only_if_kinks_hide(found, monkeypatch):
    sizes, hide = [], [True]
    monkeypatch.setattr(kinks, "hides_kinks", lambda _o, v, size, _rng: sizes.append((v["x"][0][0], size)) or hide[0])
    found((-2, 3))
    wrong = {"numeric": [-7, 1], "kink": False, "low": -np.inf, "high": np.inf, "scale": 8}
    r = forgiven(row([2, -4.5], **wrong))
    assert not r.wrong.any()
    assert r.kink.tolist() == [True, True]
    assert (r.low.tolist(), r.high.tolist()) == ([-2, -4.5], [3, 3])
    assert sizes == [(0, 7), (1, 4.5)]
    found((-2, -1))
    assert not forgiven(row([-0.5, -0.5], **wrong)).wrong.any()  # half a unit may have been missed
    hide[0] = False
    r = forgiven(row([2, -4.5], **wrong))
    assert r.wrong.all()
    assert not r.kink.any()


def test_an_entry_whose_neighbourhood_is_outside_of_the_domain_is_not_forgiven(found):
    found(ZeroDivisionError(), (-2, 3))
    assert forgiven(row([2, 2])).wrong.tolist() == [True, False]


def test_what_is_no_number_and_what_is_along_directions_is_not_forgiven(found):
    asked = found((-2, 3))
    assert forgiven(row([np.nan, 2])).wrong.tolist() == [True, False]
    assert forgiven(row([2, 2], how="directions")).wrong.all()
    assert asked == [([1], {})]


def test_after_four_entries_that_stay_wrong_the_others_do_too(found):
    asked = found((-1, 1))
    assert forgiven(row([9] * 7)).wrong.all()
    assert len(asked) == 4
    asked = found(*[(-1, 1)] * 3, (-9, 9))
    assert forgiven(row([9] * 7)).wrong.tolist() == [True] * 3 + [False] * 4
    assert len(asked) == 7


def test_after_twenty_entries_that_were_all_forgiven_the_others_at_kinks_are_unsure(found, monkeypatch):
    monkeypatch.setattr(kinks, "hides_kinks", lambda *_: True)
    asked = found((-9, 9))
    r = forgiven(row([5] * 23, kink=[True] * 21 + [False] + [True]))
    assert len(asked) == 21  # and the one that shows no kink
    assert not r.wrong.any()
    assert r.high.tolist() == [9] * 20 + [np.inf, 9, np.inf]
    assert r.low.tolist() == [-9] * 20 + [-np.inf, -9, -np.inf]
    asked = found((-1, 1), (-9, 9))
    r = forgiven(row([5] * 23))
    assert len(asked) == 23
    assert r.wrong.tolist() == [True] + [False] * 22
