"""Which step is believed, and which are asked for, on slopes made up by hand."""

import numpy as np
import pytest

from minigan.gradcheck import steps as module
from minigan.gradcheck.kinks import Origin
from minigan.gradcheck.numeric import STEP, Measured, Slope
from minigan.gradcheck.report import DECIDED, TOLERANCE, Row
from minigan.gradcheck.steps import (
    BLURRED,
    Doubts,
    agree,
    believed,
    choose,
    confirmed,
    kinked,
    off,
    rounding_hides,
    same_verdict,
    settled,
)

SCALE = 8.0  # of all that follows: a power of 2, so that a share of it is exact


def S(value=0.0, bar=0.0, *, bend=0.0, noise=0.0, sides=(-np.inf, np.inf), lost=0.0, h=STEP):
    return Slope(value, bar, bend, noise, *sides, lost, h)


def corner(low=-1.0, high=1.0, *, bar=1.0, h=STEP):
    """A kink, of which the slopes to either side are known."""
    return S((low + high) / 2, bar, bend=high - low, sides=(low, high), h=h)


def above(x):
    return float(np.nextafter(x, np.inf))


# What a slope says --------------------------------------------------------------------------------------------------


def test_a_kink_is_a_bend_above_noise_and_tolerance():
    least = 0.25 + TOLERANCE * SCALE
    assert not kinked(least, 0.25, SCALE)
    assert kinked(above(least), 0.25, SCALE)
    assert kinked(np.array([0.0, 1.0]), np.array([0.0, 0.25]), SCALE).tolist() == [False, True]


def test_a_gradient_is_wrong_beyond_tolerance_and_bar_on_either_side():
    room = TOLERANCE * SCALE + 0.25
    for sign in (1, -1):
        assert not off(S(0, 0.25), sign * room, SCALE)
        assert off(S(0, 0.25), sign * above(room), SCALE)
        assert off(S(5, 0.25), 5 + sign * 0.26, SCALE)


def test_at_a_kink_nothing_is_wrong_unless_the_bar_is_narrow_all_the_same():
    assert off(S(0, DECIDED * SCALE, bend=1), 5, SCALE)
    assert not off(S(0, above(DECIDED * SCALE), bend=1), 5, SCALE)
    assert off(S(0, above(DECIDED * SCALE)), 5, SCALE)


def test_two_steps_find_one_corner_if_both_its_slopes_agree_to_a_tenth_of_the_jump():
    one = corner(0, 10)
    for low, high, same in [
        (0, 10, True),
        (1, 11, True),
        (-1, 9, True),
        (1.01, 10, False),
        (-1.01, 10, False),
        (0, 11.01, False),
        (0, 8.99, False),
    ]:
        assert agree(one, corner(low, high)) == same, (low, high)
    assert agree(corner(20, 30), corner(21, 31))
    assert not agree(corner(20, 30), corner(22, 32))
    assert not agree(one, S())


def test_rounding_hides_what_a_larger_step_might_tell():
    noisy = S(bar=3, noise=4, lost=1)  # rounding is 2 of a bar of 4, a noise being four times what is in the bar
    assert rounding_hides(noisy, SCALE)
    assert not rounding_hides(noisy._replace(bar=3.5), SCALE)
    assert not rounding_hides(noisy._replace(bend=4.1), SCALE)
    assert rounding_hides(noisy._replace(bend=4), SCALE)
    least = BLURRED * SCALE
    assert not rounding_hides(S(bar=least, noise=4), SCALE)
    assert rounding_hides(S(bar=above(least), noise=4), SCALE)
    assert rounding_hides(S(bar=least / 2, lost=least), SCALE)
    assert not rounding_hides(S(bar=np.inf, noise=np.inf), SCALE)


def test_a_wrong_gradient_is_confirmed_by_another_step_with_nearly_the_same_derivative():
    best = S(0, 0.25)
    assert confirmed(best, [best, S(0.5, 0.25, h=1)], 5, SCALE)
    assert not confirmed(best, [best], 5, SCALE)
    assert not confirmed(best, [best, S(0.51, 0.25, h=1)], 5, SCALE)  # another derivative
    assert not confirmed(best, [best, S(-0.51, 0.25, h=1)], 5, SCALE)
    assert not confirmed(best, [best, S(0, 5, h=1)], 5, SCALE)  # beside which the gradient is not wrong


# Which one is believed ----------------------------------------------------------------------------------------------


def test_the_step_with_the_narrowest_bar_is_believed_and_the_first_of_equal_ones():
    steps = [S(1, 0.5, h=9), S(1, 0.25, h=3), S(1, 0.25, h=1)]
    assert choose(steps, SCALE) == steps[1]


def test_a_bar_is_widened_by_what_smaller_steps_contradict_and_not_by_larger_ones():
    assert choose([S(0, 0.1, h=9), S(3, 2, h=3)], SCALE) == S(0, 1, h=9)  # they are 3 apart, of which 2 are in a bar
    assert choose([S(3, 0.1, h=9), S(0, 2, h=3)], SCALE) == S(3, 1, h=9)
    assert choose([S(9, 0.1, h=9), S(0, 2, h=3)], SCALE) == S(0, 2, h=3)
    assert choose([S(0, 0.5, h=9), S(1, 0.25, h=3)], SCALE) == S(1, 0.25, h=3)
    assert choose([S(0, 2, h=9), S(1, 0.25, h=3), S(5, np.inf, h=1)], SCALE) == S(1, 0.25, h=3)


def test_a_narrow_bar_is_believed_beside_a_kink_and_is_no_kink():
    narrow = S(0.5, DECIDED * SCALE, bend=1, h=1)
    assert choose([corner(h=9), narrow], SCALE) == narrow._replace(bend=0)
    assert choose([corner(h=9), corner(h=3), narrow._replace(bar=above(narrow.bar))], SCALE).h == 3
    assert choose([S(0, 2, bend=TOLERANCE)], SCALE) == S(0, 2)  # too small a bend


def test_of_kinks_the_smallest_step_that_knows_its_slopes_is_believed():
    blind = S(0, 3, bend=9)
    assert choose([corner(h=9), corner(h=3), blind], SCALE) == corner(h=3)
    assert choose([corner(h=9), blind, corner(h=3)], SCALE) == corner(h=3)
    assert choose([blind._replace(h=9), blind], SCALE) == blind


def test_a_kink_that_one_step_alone_sees_there_allows_anything():
    alone = corner(h=3)._replace(low=-np.inf, high=np.inf)
    assert choose([corner(-5, 5, h=9), corner(h=3)], SCALE) == alone
    assert choose([S(bar=2, h=9), corner(h=3)], SCALE) == alone
    assert choose([corner(-5, 5, h=9), corner(-3, 3, h=5), corner(h=3)], SCALE) == alone
    assert choose([corner(h=9), corner(h=3)], SCALE) == corner(h=3)
    assert choose([corner(h=9), corner(-5, 5, h=5), corner(h=3)], SCALE) == corner(h=3)
    assert choose([corner(h=3)], SCALE) == corner(h=3)  # no other was asked


def test_smaller_steps_are_wanted_until_one_agrees_or_three_do_not():
    right, wrong, wide = S(), [S(1, h=h) for h in (9, 3, 1, 0.5)], S(0, 1)
    assert settled([right], 0, SCALE)
    assert not settled(wrong[:3], 0, SCALE)
    assert settled(wrong, 0, SCALE)
    assert not settled([S(1, 0.5 * DECIDED, h=9), *wrong[1:]], 0, SCALE)  # the best is not the first
    assert not settled([wide], 0, SCALE)
    assert settled([S(0, DECIDED * SCALE)], 0, SCALE)
    assert not settled([S(0, above(DECIDED * SCALE))], 0, SCALE)


def test_smaller_steps_are_wanted_until_three_see_a_kink_of_known_slopes():
    kinks = [corner(h=h) for h in (9, 3, 1)]
    assert not settled(kinks[:1], 0, SCALE)
    assert not settled(kinks[:2], 0, SCALE)
    assert settled(kinks, 0, SCALE)
    assert not settled([corner(-5, 5, h=9), corner(-3, 3, h=3), corner(h=1)], 0, SCALE)


# Which ones are asked for -------------------------------------------------------------------------------------------


def ask(first, answer, a=0.0, **size):
    """(The slope believed, the steps asked for), where `answer` gives the slope at a step but for the step itself."""
    asked = []

    def at(h):
        asked.append(h)
        return answer(len(asked))._replace(h=h)

    return believed(at, first, a, SCALE, **size), asked


def powers(h, *shares):
    return pytest.approx([h * share for share in shares])


def test_where_the_first_step_agrees_no_other_is_asked_for():
    assert ask(S(), None) == (S(), [])


def test_what_the_terms_that_did_not_move_may_hide_counts_as_rounding():
    best, asked = ask(S(0, 1e-9, noise=1e-8, lost=1e-9), None)
    assert (best.bar, best.noise, best.lost, asked) == (pytest.approx(2e-9), pytest.approx(1.4e-8), 0, [])


def test_a_wrong_gradient_takes_three_smaller_steps():
    best, asked = ask(S(1), lambda _: S(1))
    assert best == S(1)
    assert asked == powers(STEP, 1 / 30, 1 / 900, 1 / 27000)


def test_a_gradient_that_a_smaller_step_confirms_is_right():
    best, asked = ask(S(1, 1e-9), lambda n: S(1 if n < 2 else 0, 1e-9))
    assert asked == powers(STEP, 1 / 30, 1 / 900)
    assert (best.value, best.bar, best.h) == (0, 1e-9, asked[-1])


def test_six_smaller_steps_at_most_are_asked_for():
    best, asked = ask(S(0, 1), lambda _: S(0, 2))
    assert best == S(0, 1)
    assert asked == powers(STEP, *(30.0**-n for n in range(1, 7)))


def test_no_smaller_step_is_asked_for_where_rounding_hides_everything():
    for noise, steps in [(DECIDED * SCALE, 6), (above(DECIDED * SCALE), 1)]:
        assert len(ask(S(0, 1), lambda _, noise=noise: S(0, 2, noise=noise))[1]) == steps
    for lost, steps in [(DECIDED * SCALE / 4, 6), (above(DECIDED * SCALE) / 4, 1)]:
        assert len(ask(S(0, 1), lambda _, lost=lost: S(0, 2, lost=lost))[1]) == steps


def test_rounding_may_hide_everything_from_the_second_of_the_smaller_steps():
    assert len(ask(S(0, 1), lambda n: S(0, 2, noise=0.1 * (n - 1)))[1]) == 2


def test_a_kink_takes_three_steps_that_see_it():
    best, asked = ask(corner(), lambda _: corner())
    assert asked == powers(STEP, 1 / 30, 1 / 900)
    assert best == corner(h=asked[-1])


def hidden(bar, **other):
    """A slope of which all the bar is rounding."""
    return S(bar=bar, noise=4 * bar, **other)


def test_larger_steps_are_asked_for_first_where_rounding_hides_and_up_to_the_size_of_the_number():
    best, asked = ask(hidden(1), lambda n: hidden(1 / (n + 1)), size=1e6)
    assert asked == powers(STEP, 30, 900, 27000, 810000, 1e6)
    assert (best.bar, best.h) == (1 / 6, asked[-1])
    assert ask(hidden(1), None)[1] == []  # of numbers up to 1
    best, asked = ask(hidden(1, h=STEP / 2), lambda n: hidden(1 / (n + 1)))
    assert asked == powers(STEP, 1)


def test_no_larger_step_is_asked_for_once_the_bar_is_narrow():
    least = BLURRED * SCALE
    assert ask(hidden(1), lambda _: hidden(least), size=1e6)[1] == powers(STEP, 30)
    assert ask(hidden(1), lambda n: hidden([above(least), least][n - 1]), size=1e6)[1] == powers(STEP, 30, 900)


def test_no_larger_step_is_asked_for_once_the_bar_does_not_get_narrower():
    best, asked = ask(hidden(1), lambda n: hidden([0.5, 0.5, 0][n - 1]), size=1e6)
    assert (best.h, asked) == (asked[1], powers(STEP, 30, 900))
    best, asked = ask(hidden(1), lambda n: hidden([0.5, 0.7, 0][n - 1]), size=1e6)
    assert (best.h, asked) == (asked[0], powers(STEP, 30, 900))


def test_a_step_without_a_value_is_no_reason_to_ask_for_no_larger_one():
    best, asked = ask(S(0, np.inf), lambda n: S(0, np.inf if n < 9 else 0), size=1e6)
    assert asked == powers(STEP, *(30.0**-n for n in range(1, 7)), 30, 900, 27000)
    assert (best.bar, best.h) == (0, asked[-1])


def test_no_larger_step_is_asked_for_beyond_a_kink():
    assert ask(hidden(1), lambda _: S(0, 0.5, bend=2), size=1e6)[1] == powers(STEP, 30)
    assert ask(corner(), lambda _: corner(), size=1e6)[1] == powers(STEP, 1 / 30, 1 / 900)


def test_where_a_larger_step_leaves_the_domain_what_is_known_is_believed():
    def answer(n):
        if n == 2:
            raise KeyError("out of the table")
        return hidden(0.5)

    best, asked = ask(hidden(1), answer, size=1e6)
    assert (best.bar, best.h) == (0.5, asked[0])


def test_a_gradient_that_is_wrong_beside_the_first_step_takes_smaller_ones_though_rounding_hides():
    assert ask(hidden(0.5), lambda _: hidden(0.5), a=1, size=1e6)[1][0] == pytest.approx(STEP / 30)


def test_what_one_step_alone_has_seen_is_looked_at_closer_by():
    blurred = hidden(3)
    best, asked = ask(S(1), lambda n: [blurred, S(1)][n - 1])  # a third of the step confirms it
    assert asked == powers(STEP, 1 / 30, 1 / 3)
    assert best == S(1)
    best, asked = ask(S(1), lambda n: [blurred, S(0)][n - 1])  # or says that it is right
    assert asked == powers(STEP, 1 / 30, 1 / 3)
    assert best == S(0, h=asked[-1])
    best, asked = ask(S(1), lambda _: blurred, a=-1.0)  # or cannot tell, and then neither can the first
    assert asked == powers(STEP, 1 / 30, 1 / 3)
    assert best == S(1, 2)


def test_what_is_seen_closer_by_stands_between_the_larger_and_the_smaller_steps():
    best, asked = ask(S(1), lambda n: [hidden(3), S(0.5, 0.25)][n - 1])
    assert asked == powers(STEP, 1 / 30, 1 / 3)
    assert best == S(1, 0.25)  # 0.5 off, of which 0.25 are in the smaller step's bar


# What is doubtful ---------------------------------------------------------------------------------------------------


class Asked(Doubts):
    """Doubts that only note down what is asked about, and put the slopes of `better` in its place."""

    def __init__(self, better):
        super().__init__()
        self.better, self.asked = better, []

    def ask(self, origin, row, m, k):
        self.asked.append((row.name, k))
        before, m.slopes[k] = m.slopes[k], self.better(m.slopes[k])
        return before


def rows_of(**arrays):
    """({name: what was measured}, the rows) of arrays, each of (analytic, slope) pairs."""
    found, rows = {}, []
    for name, pairs in arrays.items():
        analytic, slopes = np.array([float(a) for a, _ in pairs]), [s for _, s in pairs]
        found[name] = Measured("entries", analytic, [((k,), 1.0) for k in range(len(pairs))], slopes)
        value, bar, bend, noise, low, high, _, _ = map(np.array, zip(*slopes, strict=True))
        kink = kinked(bend, noise, SCALE)
        rows.append(Row(name, analytic.shape, "entries", analytic, value, bar, kink, low, high, SCALE))
    return found, rows


def settle(found, rows, better=lambda s: s):
    doubts = Asked(better)
    again = [doubts.settle(None, rows, found) for _ in range(2)]
    return again, doubts.asked


WIDE = 2 * DECIDED * SCALE
DOUBTS = {
    "right": (8, S(8), False),
    "wrong": (8, S(7), True),
    "at a kink": (0, corner(), True),
    "wrong at a kink": (5, corner(), True),
    "undecided": (8, S(8, WIDE), True),
    "faint": (1e-9, S(1e-9, 1e-9), False),
    "not a number": (np.nan, S(8), False),
    "infinite, at a kink": (np.inf, corner(), False),
    "blurred by the first step": (8, hidden(DECIDED, h=STEP)._replace(value=8), False),
    "blurred by a smaller one": (8, hidden(DECIDED, h=STEP / 2)._replace(value=8), True),
    "of a small step, and not blurred": (8, S(8, h=STEP / 2), False),
}


@pytest.mark.parametrize("name", DOUBTS)
def test_what_is_in_doubt_is_asked_about_once(name):
    a, s, doubtful = DOUBTS[name]
    again, asked = settle(*rows_of(x=[(8, S(8)), (a, s)], y=[(8, S(8)), (8, S(8)), (a, s)]))
    assert again == [doubtful, False]
    assert asked == ([("x", 1), ("y", 2)] if doubtful else [])


def test_after_twenty_doubts_that_all_proved_true_the_others_are_believed():
    wrong = [(8, S(7))] * 30
    again, asked = settle(*rows_of(x=wrong, y=wrong))
    assert again == [True, False]
    assert [name for name, _ in asked] == ["x"] * 20 + ["y"] * 20
    assert len(set(asked)) == 40


def test_kinds_of_doubt_are_counted_each_for_itself():
    _, asked = settle(*rows_of(x=[(8, S(7))] * 30 + [(8, S(8, WIDE))] * 30 + [(0, corner())] * 30))
    assert [sum(30 * kind <= k < 30 * kind + 30 for _, k in asked) for kind in range(3)] == [20, 20, 20]


def test_one_doubt_that_proved_false_has_all_the_others_asked_about():
    answers = iter([S(8)] + [S(7)] * 29)
    _, asked = settle(*rows_of(x=[(8, S(7))] * 30), better=lambda s: next(answers))
    assert len(set(asked)) == 30
    answers = iter([S(7)] * 19 + [S(8)] + [S(7)] * 10)
    _, asked = settle(*rows_of(x=[(8, S(7))] * 30), better=lambda s: next(answers))
    assert len(set(asked)) == 30


def test_what_is_asked_is_the_slope_of_that_entry_up_to_the_size_of_its_numbers(monkeypatch):
    x, given = np.array([2.0, -3.0, 50.0, 4.0]), []  # of which 3.5 is typical

    def f():
        return x**2

    def believe(at, *others):
        given.append(others)
        return at(0.25)

    monkeypatch.setattr(module, "believed", believe)
    m = Measured("entries", np.array([1.0, 2, 3, 4]), [((k,), 1.0) for k in range(4)], [S(k) for k in range(4)])
    row = Row("x", (4,), "entries", m.analytic, *[np.zeros(4)] * 5, SCALE)
    origin = Origin(f, f(), {"x": x}, {"x": m.analytic}, 1.0)
    assert Doubts().ask(origin, row, m, 2) == S(2)
    assert Doubts().ask(origin, row, m, 1) == S(1)
    assert given == [(S(2), 3.0, SCALE, 50.0), (S(1), 2.0, SCALE, 3.5)]
    assert [(s.value, s.h) for s in m.slopes] == [(0, STEP), (-6, 0.25), (100, 0.25), (3, STEP)]
    x /= 100
    Doubts().ask(origin, row, m, 0)
    assert given[-1][-1] == 1  # no less, however small they are


def test_a_doubt_has_proved_true_if_the_verdict_is_the_same():
    row = rows_of(x=[(0, S()), (8, S())])[1][0]
    verdicts = {
        "right": S(8),
        "wrong": S(7),
        "undecided": S(8, WIDE),
        "at a kink": S(8, WIDE, bend=1),
        "at a kink, the bar narrow": S(8, bend=1),
        "wrong, the bar wide": S(-8, WIDE),
        "wrong, the bar narrow, at a kink": S(-8, bend=1),
    }
    for one, s in verdicts.items():
        for other, t in verdicts.items():
            assert same_verdict(s, t, row, 1) == (one == other), (one, other)
    least = DECIDED * SCALE
    assert same_verdict(S(8, least), S(8), row, 1)
    assert not same_verdict(S(8, above(least)), S(8), row, 1)
    assert same_verdict(S(8), S(7), row, 0)  # the entry before, of which both make a wrong one
