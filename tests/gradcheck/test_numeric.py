"""One numeric derivative, on functions given by a few numbers: its value, its error bar, and what it says of a kink."""

import numpy as np
import pytest

from minigan.gradcheck.numeric import EPS, along, entries, first_steps, gradient, slope, typical, walk


def slope_through(*values, h=1.0):
    """Of a function with these values at -h, -h/2, 0, h/2 and h, its slope at 0."""
    θ, table = np.zeros(()), dict(zip((-1.0, -0.5, 0.0, 0.5, 1.0), values, strict=True))

    def f():
        return np.array([float(table[float(θ) / h])])

    return slope(f, f(), θ, ..., 1.0, h)


#: {a function: its values at -1, -1/2, 0, 1/2 and 1, and of its slope, at step 1: the value, the bar, the bend, low and
#: high}. They are worked out by hand. The function is 0 at 0, so that nothing is rounded.
NO_CORNER = -np.inf, np.inf
SLOPES = {
    "a line": ((-3, -1.5, 0, 1.5, 3), (3, 0, 0, 3, 3)),
    "a parabola": ((-2, -1.25, 0, 1.75, 4), (3, 0, 0, *NO_CORNER)),
    "a cube, of which D(1) is 1 and D(1/2) 1/4": ((-1, -0.125, 0, 0.125, 1), (0, 2.5, 0, *NO_CORNER)),
    "a fourth power, which bends less than half as much": ((1, 0.0625, 0, 0.0625, 1), (0, 7.5, 0, *NO_CORNER)),
    "a bend that is 2/5 at half the step": ((0, 0, 0, 2, 10), (1, 20, 0, *NO_CORNER)),
    "the size": ((1, 0.5, 0, 0.5, 1), (0, 10, 2, -1, 1)),
    "a ReLU": ((0, 0, 0, 0.5, 1), (0.5, 5, 1, 0, 1)),
    "a ReLU of the other side": ((1, 0.5, 0, 0, 0), (-0.5, 5, 1, -1, 0)),
    "a corner of slopes 2 and 5": ((-2, -1, 0, 2.5, 5), (3.5, 15, 3, 2, 5)),
    "a corner of slopes 5 and 2": ((-5, -2.5, 0, 1, 2), (3.5, 15, 3, 2, 5)),
    "a root of the size, of which no side has a slope": ((1, 0.75, 0, 0.75, 1), (0, 20, 4, *NO_CORNER)),
    "a bend that changes its sign, and so is noise": ((-0.25, 0.125, 0, 0.125, -0.25), (0, 7.5, 0, *NO_CORNER)),
    "a bend that is nothing at the whole step": ((0, 1, 0, 1, 0), (0, 40, 8, *NO_CORNER)),
    "a bend that is nothing at half the step": ((1, 0, 0, 0, 1), (0, 10, 0, *NO_CORNER)),
    "a bend of which just a tenth does not halve": ((0, 0, 0, 2.75, 9), (6.5 / 3, 17.5 / 3 + 10, 0, *NO_CORNER)),
    "a bend of which more than a tenth does not": ((0, 0, 0, 2.8, 9), (6.7 / 3, 17 / 3 + 11, 2.2, *NO_CORNER)),
    "a right side whose slopes differ by 1 % of the jump": ((0, 0, 0, 50, 101), (149.5 / 3, 5 / 3 + 495, 99, -1, 100)),
    "a right side whose slopes differ by more": ((0, 0, 0, 50, 101.5), (49.75, 495, 98.5, *NO_CORNER)),
    "a left side whose slopes differ by 1 % of the jump": ((-101, -50, 0, 0, 0), (149.5 / 3, 5 / 3 + 495, 99, -1, 100)),
    "a left side whose slopes differ by more": ((-101.5, -50, 0, 0, 0), (49.75, 495, 98.5, *NO_CORNER)),
}


@pytest.mark.parametrize("name", SLOPES)
@pytest.mark.parametrize("h", [1.0, 4.0])
def test_a_slope_is_what_the_formulas_say(name, h):
    values, expected = SLOPES[name]
    found = slope_through(*values, h=h)
    slopes = found.value, found.bar, found.bend, found.low, found.high
    assert [h * s for s in slopes] == pytest.approx(expected, rel=1e-12)
    assert (found.noise, found.lost, found.h) == (0, 0, h)


# Rounding -----------------------------------------------------------------------------------------------------------

#: At numbers of this size a float's neighbours are 1 apart; ten times its rounding over half a step of 1 is 20.
LARGE = 2.0**52


def test_the_rounding_of_what_moved_is_in_the_bar_and_of_what_did_not_beside_it():
    θ = np.zeros(())

    def f():  # terms that move at the whole step only, at half the step only, and not at all
        return np.array([LARGE + (θ == 1), 3 * LARGE + 2 * (θ == 0.5), 5.0 * LARGE, 7.0 * LARGE])

    found = slope(f, f(), θ, ..., 1.0, 1.0)
    assert found.noise == 4 * (20 + 60)
    assert found.lost == 140
    assert found.bar == pytest.approx(10 * 1.5 / 3 + 80)  # D(1) is 1/2, D(1/2) is 2, and the bend is less than noise


@pytest.mark.parametrize(("more", "widened"), [(10, 0), (11, 10 * 88 / 2)])
def test_a_bend_widens_the_bar_as_soon_as_it_is_more_than_noise(more, widened):
    found = slope_through(LARGE, LARGE + more, LARGE, LARGE + more, LARGE)
    assert (found.value, found.bend, found.noise) == (0, 8 * more, 80)
    assert found.bar == 20 + widened


def test_a_smooth_bend_widens_the_bar_though_it_may_be_noise():
    found = slope_through(LARGE, LARGE - 2, LARGE, LARGE + 1, LARGE + 1)  # bends: 1, and -2 at half the step
    assert found.bend == 0
    assert found.bar == pytest.approx(10 * 2.5 / 3 + 20 + 10 * 5 / 2)


@pytest.mark.parametrize("values", [(0, 0, 0, 1, 8), (0, 0, 0, 4, 1)])
def test_the_rounding_of_the_number_is_as_large_as_the_steepest_slope_makes_it(values):
    array, other = np.array([-3.0, 2.0]), np.array([LARGE, 1.0])
    table = dict(zip((1.0, 1.5, 2.0, 2.5, 3.0), values, strict=True))
    moves = [(array, ..., 1.0), (other, ..., np.array([0.0, 0.5]))]  # the largest number that moves is 3

    def f():
        return np.array([float(table[float(array[1])])])

    assert along(f, f(), moves, 1.0).noise == pytest.approx(4 * 20 * EPS * 3 * 4, abs=0)  # D(1) and D(1/2) are 4 and 1


def test_a_step_that_is_lost_beside_the_number_is_said_to_be():
    found = slope(lambda: np.zeros(1), np.zeros(1), np.array(2 * LARGE), ..., 1.0, 2.0)  # whose neighbour is 2 away
    assert found.noise == found.bar == np.inf
    found = slope(lambda: np.zeros(1), np.zeros(1), np.array(2 * LARGE), ..., 1.0, 2.5)
    assert found.noise == found.bar == 0
    found = slope(lambda: np.zeros(1), np.zeros(1), np.array(2 * LARGE), ..., 0.5, 4.0)
    assert found.noise == np.inf
    number, small = np.array(2 * LARGE), np.zeros(())
    found = along(lambda: np.zeros(1), np.zeros(1), [(number, ..., 1.0), (small, ..., 1.0)], 2.0)
    assert found.noise == 0  # one of the numbers moves


def test_noise_widens_what_a_corner_allows():
    found = slope_through(LARGE, LARGE, LARGE, LARGE + 500, LARGE + 1000)
    assert (found.low, found.high) == (-20, 1020)


def test_where_the_function_has_no_value_the_bar_is_infinite():
    for values in [(np.nan, 0, 0, 0, 0), (0, 0, 0, np.inf, 0)]:
        found = slope_through(*values)
        assert found.bar == np.inf
        assert (found.low, found.high) == NO_CORNER


# Walking ------------------------------------------------------------------------------------------------------------


def test_a_walk_moves_all_its_arrays_and_leaves_them_to_the_bit():
    a, b = np.array([[0.1, 0.2], [0.3, 0.4]]), np.array([0.5])
    before = a.copy(), b.copy()
    found = walk(lambda: np.array([*a.ravel(), *b]), [(a, (0, 1), 2.0), (b, ..., np.array([-1.0]))], (1.0, -3.0))
    assert [y.tolist() for y in found] == [[0.1, 2.2, 0.3, 0.4, -0.5], [0.1, 0.2 - 6.0, 0.3, 0.4, 3.5]]
    assert np.array_equal(a, before[0])
    assert np.array_equal(b, before[1])


@pytest.mark.parametrize("error", [ValueError, ZeroDivisionError, FloatingPointError, AssertionError])
def test_a_function_that_refuses_a_number_has_no_value_there(error):
    θ = np.array([3.0])

    def f():
        if θ[0] > 3:
            raise error("no such number")
        return 2 * θ

    found = walk(f, [(θ, ..., 1.0)], (1.0, -1.0))
    assert np.isnan(found[0])
    assert found[1] == 4
    assert θ == 3


def test_a_function_that_is_broken_says_so_and_the_array_is_left_as_it_was():
    θ = np.array([3.0])

    def f():
        raise KeyError("x")

    with pytest.raises(KeyError):
        walk(f, [(θ, ..., 1.0)], (1.0,))
    assert θ == 3


def test_a_walk_is_silent_where_the_function_divides_by_0():
    θ = np.array([1.0])
    assert walk(lambda: 1 / θ, [(θ, ..., 1.0)], (-1.0,))[0] == np.inf


# Steps --------------------------------------------------------------------------------------------------------------


def test_the_typical_size_is_the_median_of_what_is_not_0():
    assert typical(np.array([0.0, -3.0, 1.0, 0.0, 2.0])) == 2
    assert typical(np.array([0.0, 0.25])) == 0.25
    assert typical(np.array([1e-30])) == 1e-12
    assert typical(np.zeros(4)) == 1
    assert typical(np.ones(0)) == 1


def test_the_first_step_is_a_share_of_the_size_and_never_above_that_of_1():
    assert first_steps(np.array([0.5, -0.25, 0.125, 0.0, -0.75])).tolist() == pytest.approx(
        [0.5e-4, 0.375e-4, 0.375e-4, 0.375e-4, 0.75e-4]  # the typical size is 0.375
    )
    assert first_steps(np.array([[100.0, -2000.0]])).tolist() == [[1e-4, 1e-4]]
    assert first_steps(np.zeros(())) == 1e-4
    assert first_steps(np.array([0.1, 100.0]), 0.25).tolist() == [0.25, 0.25]


def test_entries_are_in_c_order_each_with_its_own_step():
    array = np.array([[0.5, -0.25, 1.0], [0.0, 0.75, 4.0]])
    weights = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])

    def f():
        return np.array([(weights * array).sum()])

    found = entries(f, f(), array)
    assert [s.value for s in found] == pytest.approx([1, 2, 3, 4, 5, 6])
    assert [s.h for s in found] == first_steps(array).ravel().tolist()
    assert [s.h for s in entries(f, f(), array, 0.5)] == [0.5] * 6
    assert gradient(f, array) == pytest.approx(weights)
    assert gradient(f, array).shape == (2, 3)


def test_a_slope_is_of_one_unit_along_the_direction_at_the_usual_step():
    array = np.array([1.0, 2.0])
    found = slope(lambda: array**2, array**2, array, ..., np.array([3.0, -1.0]))
    assert found.value == pytest.approx(2 * 1 * 3 - 2 * 2 * 1)
    assert found.h == 1e-4
