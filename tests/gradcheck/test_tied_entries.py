"""Which entries are moved together, and what is said of them, on corners and slopes made up by hand."""

import numpy as np
import pytest

from minigan.gradcheck import ties
from minigan.gradcheck.kinks import Corner, Origin
from minigan.gradcheck.numeric import STEP, Slope
from minigan.gradcheck.report import DECIDED, TOLERANCE, Row
from minigan.gradcheck.ties import alike, as_direction, changes_jointly, explain, grouped, settle_ties, together


class Draws:
    """A generator whose normal numbers are 0.5 and whose uniform ones lie 3/4, 4/4, 5/4, … along their interval.

    What it is to permute it turns around.
    """

    def __init__(self):
        self.share = 0.5

    def standard_normal(self, shape):
        return np.full(shape, 0.5)

    def uniform(self, low, high):
        self.share += 0.25
        return low + self.share * (high - low)

    def permutation(self, those):
        return np.flip(np.arange(those) if isinstance(those, int) else those)


def row(analytic, *, name="x", how="entries", scale=1.0, **given):
    """A row of kinks, each of slopes -1 to 1."""
    analytic = np.array(analytic, float)
    zero = np.zeros(analytic.shape)
    shape = given.pop("shape", analytic.shape)
    return Row(name, shape, how, analytic, zero, zero, zero == 0, zero - 1, zero + 1, scale, **given)


def corner(r, k, θ=0.0, jump=2.0, terms=(0,), flat=None):
    return Corner(r, k, k if flat is None else flat, θ, jump, frozenset(terms))


def origin(f, grads=None, **arrays):
    return Origin(f, f(), arrays, grads or {name: np.zeros_like(array) for name, array in arrays.items()}, 1.0)


def plain(v):
    """A direction as {name: {entry: how much it moves}}."""
    return {name: dict(zip(i.tolist(), w.tolist(), strict=True)) for name, (i, w) in v.items()}


# What changes with anything -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "changes"),
    [
        (lambda _: 5.0, False),
        (lambda x: 2 + 0.4 * STEP < x < 2 + 0.6 * STEP, True),
        *((lambda x, t=t: t + 1.5 < x < t + 2.5, True) for t in (1, -1, 3, -3)),
        *((lambda x, t=t: t + 1.5 < x < t + 2.5, False) for t in (2, -2, 4, -4)),
    ],
)
def test_all_is_moved_by_once_and_by_three_times_its_size_both_ways(f, changes):
    x = np.array(2.0)
    o = origin(lambda: np.array([7.0, float(f(x))]), x=x)
    assert changes_jointly(o, Draws()) is changes  # half of what is typical is 1


def test_a_product_of_zeros_changes_if_all_are_moved():
    x, y = np.zeros(2), np.zeros(())
    assert changes_jointly(origin(lambda: x * y, x=x, y=y), np.random.default_rng(0))


# Groups -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "groups"),
    [
        ([], []),
        ([{0}], [[0]]),
        ([{0}, {1}, {2}], [[0], [1], [2]]),
        ([{0}, {1}, {0}], [[0, 2], [1]]),
        ([{0}, {1}, {2}, {0, 2}], [[0, 2, 3], [1]]),
        ([{0}, {1}, {0, 1}, {3}, {1, 3}], [[0, 1, 2, 3, 4]]),
        ([{5, 1}, {6, 2}, {7, 3}, {8, 4}, {1, 2}, {3, 4}, {4, 1}], [[0, 1, 2, 3, 4, 5, 6]]),
        ([{-1}, {0}, {-1}], [[0, 2], [1]]),
    ],
)
def test_corners_that_bend_a_term_in_common_are_one_group_directly_or_by_way_of_others(terms, groups):
    r = row(np.zeros(len(terms)))
    found = grouped([corner(r, k, terms=t) for k, t in enumerate(terms)])
    assert sorted(sorted(c.k for c in group) for group in found) == groups


def test_a_group_is_followed_by_those_of_one_size():
    r = row(np.zeros(6))
    group = [corner(r, k, θ) for k, θ in enumerate([1, -2, 3, 2, -1, 4])]
    assert [[c.k for c in some] for some in alike(group)] == [[0, 1, 2, 3, 4, 5], [0, 4], [1, 3]]
    assert [[c.k for c in some] for some in alike(group[:1])] == [[0]]
    assert [[c.k for c in some] for some in alike([group[0], group[4]])] == [[0, 4]]
    assert [[c.k for c in some] for some in alike(group[:2] + group[4:5])] == [[0, 1, 4], [0, 4]]
    some = row(np.zeros(3), how="random entries")  # of which one stands for all of its size
    group = [corner(some, k, θ) for k, θ in enumerate([1, -2, 3])]
    assert [[c.k for c in some] for some in alike(group)] == [[0, 1, 2], [0], [1], [2]]


def test_a_hundred_sizes_at_most_are_tried():
    r = row(np.zeros(300))
    group = [corner(r, k, k // 2) for k in range(300)]
    assert [[c.k for c in some] for some in list(alike(group))[1:]] == [[2 * k, 2 * k + 1] for k in range(100)]


# Directions ---------------------------------------------------------------------------------------------------------


def test_a_direction_names_the_entries_of_each_array_that_move():
    x, W = row(np.zeros(9)), row(np.zeros(9), name="W")
    v = as_direction([(corner(x, 2), 1.0), (corner(W, 3, flat=7), -2.0), (corner(x, 4), 0.0), (corner(x, 0), 0.5)])
    assert plain(v) == {"x": {2: 1, 0: 0.5}, "W": {7: -2}}
    assert as_direction([(corner(x, 2), 0.0)]) == {}


def moved(group, *, signed, **arrays):
    return plain(together(origin(lambda: np.zeros(1), **arrays), group, Draws(), signed=signed))


def test_equal_entries_move_equally_and_others_by_another_amount():
    x = row(np.zeros(5))
    group = [corner(x, k, θ) for k, θ in enumerate([3, -3, 2, 0])]
    assert moved(group, signed=False) == {"x": {0: 1.25, 1: 1.25, 2: 1.5, 3: 1.75}}
    assert moved(group, signed=True) == {"x": {0: 1.25, 1: -1.25, 2: 1.5}}
    assert moved(group[:2], signed=False) == {"x": {0: 1, 1: 1}}
    assert moved(group[:2], signed=True) == {"x": {0: 1, 1: -1}}
    assert moved(group[3:], signed=True) == {}


def test_of_an_array_of_which_some_entries_were_drawn_all_that_are_equal_to_them_move():
    W, x = np.array([[1.0, -2.0, 5.0], [-1.0, 0.0, 1.0]]), row(np.zeros(3))
    some = row(np.zeros(2), name="W", how="random entries", shape=(2, 3), places=[(0, 0), (0, 1)])
    group = [corner(some, 0, 1.0), corner(some, 1, -2.0, flat=1), corner(x, 2, 5.0)]
    assert moved(group[:1], signed=False, W=W) == {"W": {0: 1, 3: 1, 5: 1}}
    assert moved(group[:1], signed=True, W=W) == {"W": {0: 1, 3: -1, 5: 1}}
    assert moved(group, signed=False, W=W) == {"W": {0: 1.25, 1: 1.5, 3: 1.25, 5: 1.25}, "x": {2: 1.75}}
    assert moved(group, signed=True, W=W) == {"W": {0: 1.25, 1: -1.5, 3: -1.25, 5: 1.25}, "x": {2: 1.75}}
    zero = [corner(some, 0, 0.0, flat=4)]
    assert moved(zero, signed=False, W=W) == {"W": {4: 1}}
    assert moved(zero, signed=True, W=W) == {}


@pytest.fixture
def tried(monkeypatch):
    """The directions that a group has been tried along, each with the entries that it is told of."""
    found = []

    def stub(_origin, group, v, _rng):
        found.append(([c.k for c in group], plain(v).get("x", {})))
        for c in group if stub.settles and stub.settles(len(found)) else ():
            c.row.tied.flat[c.k] = True

    stub.settles = None
    monkeypatch.setattr(ties, "try_direction", stub)

    def try_group(group, settles=None):
        found.clear()
        stub.settles = settles
        ties.try_group(origin(lambda: np.zeros(1), x=np.zeros(9)), group, Draws())
        return list(found)

    return try_group


def test_a_group_is_tried_as_a_whole_in_pairs_and_by_the_signs_of_its_gradients(tried):
    r = row([1, -1, 0])
    group = [corner(r, k, 3.0, jump) for k, jump in enumerate([2.0, 4.0, 1.0])]
    assert tried(group) == [
        ([0, 1, 2], {0: 1, 1: 1, 2: 1}),
        ([0, 1], {0: 1, 1: 0.5}),  # a pair, so that their bends are the same
        ([0, 1], {0: 1, 1: -0.5}),
        ([0, 2], {0: 1, 2: 2}),
        ([0, 2], {0: 1, 2: -2}),
        ([0, 1, 2], {0: 1, 1: -1, 2: 1}),
    ]
    assert tried(group[:1]) == [([0], {0: 1})]


def test_entries_of_either_sign_are_moved_with_their_signs_too(tried):
    r = row([1, 1])
    assert tried([corner(r, 0, 0.5), corner(r, 1, -0.5)])[:2] == [([0, 1], {0: 1, 1: 1}), ([0, 1], {0: 1, 1: -1})]
    assert tried([corner(r, 0, 3.0), corner(r, 1, -4.0)])[:3] == [
        ([0, 1], {0: 1.25, 1: 1.5}),
        ([0, 1], {0: 1.75, 1: -2}),
        ([0, 1], {0: 1, 1: 1}),  # there are no equal ones
    ]
    assert tried([corner(r, 0, 0.0), corner(r, 1, 0.0)])[1] == ([0, 1], {0: 1, 1: 1})  # the pair


def test_an_entry_that_does_not_bend_alone_is_no_pair(tried):
    r = row([1, 1])
    assert tried([corner(r, 0), corner(r, 1, jump=0.0)]) == [([0, 1], {0: 1, 1: 1})] * 2


def test_what_is_settled_is_not_tried_again(tried):
    r = row([1, 1, 1])
    group = [corner(r, k, -3.0) for k in range(3)]
    assert len(tried(group, lambda n: True)) == 1
    r.tied[:] = False
    assert len(tried(group, lambda n: n == 2)) == 2
    r.tied[:] = False
    assert tried(group, lambda n: n == 3)[2:] == [  # the first and the second: then the first and the third
        ([0, 1], {0: 1, 1: 1}),
        ([0, 2], {0: 1, 2: 1}),
        ([0, 2], {0: 1, 2: -1}),
    ]
    r.tied[:] = [True, False, True]
    assert tried(group) == [([0, 1, 2], {0: 1, 1: 1, 2: 1}), ([0, 1, 2], {0: -1, 1: -1, 2: -1})]


def test_a_hundred_pairs_at_most_are_tried(tried):
    r = row(np.ones(103))
    pairs = [ks for ks, _ in tried([corner(r, k) for k in range(103)]) if len(ks) == 2]
    assert pairs == [[0, k] for k in range(1, 101) for _ in range(2)]


# Along one direction ------------------------------------------------------------------------------------------------

LOW, HIGH = -np.inf, np.inf


def S(value, bar=0.0, *, bend=0.0, noise=0.0, sides=(LOW, HIGH)):
    return Slope(value, bar, bend, noise, *sides, 0.0, STEP)


@pytest.fixture
def along(monkeypatch):
    """Tries a direction along which gradients add up to `a`, and f's slope and bounds are as given; what was asked."""
    asked = []

    def try_direction(a, s, *bounds, second=None, scale=1.0, count=1, jump=2.0):
        """(which entries are right, by how much they miss, what was asked)."""
        asked.clear()
        given = list(bounds)

        def stub(_origin, _v, _rng, **options):
            asked.append(options)
            if isinstance(given[0], Exception):
                raise given[0]
            return given.pop(0)

        def slope_at(_f, _here, _moves, h):
            asked.append(h)
            return s

        def believe(at, first, analytic, scale):
            asked.append((first, analytic, scale))
            return second or at(first.h / 30)

        monkeypatch.setattr(ties, "bounds", stub)
        monkeypatch.setattr(ties, "along", slope_at)
        monkeypatch.setattr(ties, "believed", believe)
        grads = np.zeros(count)
        grads[0] = a
        r = row(grads, scale=scale)
        group = [corner(r, k, jump=jump) for k in range(count)]
        o = origin(lambda: np.zeros(1), {"x": grads}, x=np.ones(count))
        ties.try_direction(o, group, as_direction([(c, 1.0) for c in group]), Draws())
        return r.tied.tolist(), r.miss.tolist(), list(asked), r.cause

    return try_direction


def above(x):
    return float(np.nextafter(x, np.inf))


QUICK = {"places": 12, "passes": 3}


def test_nothing_is_held_against_a_direction_in_which_nothing_moves(along):
    ties.try_direction(None, [], {}, None)


def test_entries_whose_gradients_add_up_to_the_derivative_are_right(along):
    assert along(5, S(5), (5, 5), count=2) == ([True, True], [0, 0], [STEP, QUICK], "")
    for a in (5 + TOLERANCE + 0.899e-4, 5 - TOLERANCE - 0.899e-4):
        assert along(a, S(5, 0.9e-4), (5, 5))[0] == [True]
    for a in (5 + TOLERANCE + 1.1e-4, 5 - TOLERANCE - 1.1e-4):
        assert along(a, S(5, 0.9e-4), (4, 6))[2][1] == (S(5, 0.9e-4), a, 1.0)  # then other steps are asked


def test_a_derivative_is_one_if_its_bar_is_narrow_and_it_does_not_bend(along):
    for s, right in [
        (S(5, 8 * DECIDED), True),
        (S(5, above(8 * DECIDED)), False),
        (S(5, bend=8 * TOLERANCE), True),
        (S(5, bend=1), False),
    ]:
        asked = along(5, s, (5, 5), scale=8.0)[2]
        assert (asked == [STEP, QUICK]) == right, s
    assert along(8 * TOLERANCE, S(0), (0, 0), scale=8.0)[0] == [True]
    assert along(above(8 * TOLERANCE), S(0), (0, 0), scale=8.0)[0] == [False]


def test_where_many_entries_move_the_scale_is_larger_by_the_root_of_their_number(along):
    for count in (1, 4, 16):
        room = TOLERANCE * 8 * count**0.5
        assert along(room, S(0), (0, 0), scale=8.0, count=count)[0][0]
        assert not along(above(room), S(0), (0, 0), scale=8.0, count=count)[0][0]


def test_less_than_a_whole_unit_of_moves_makes_the_scale_no_smaller(along, monkeypatch):
    scales = []
    monkeypatch.setattr(ties, "kinked", lambda _bend, _noise, scale: scales.append(scale) or False)
    r = row([1, 1], scale=8.0)
    o = origin(lambda: np.zeros(1), {"x": np.ones(2)}, x=np.ones(2))
    for weights, scale in [((0.25, 0.25), 8), ((-2, 2), 16)]:
        pairs = [(corner(r, k), w) for k, w in enumerate(weights)]
        ties.try_direction(o, [c for c, _ in pairs], as_direction(pairs), Draws())
        assert set(scales) == {scale}
        scales.clear()


def test_the_step_that_is_believed_counts(along):
    tied, _, asked, _ = along(5, S(4), (5, 5), second=S(5))
    assert tied == [True]
    assert asked == [STEP, (S(4), 5, 1.0), QUICK]
    assert along(5, S(4), (5, 5))[2][2] == STEP / 30


def test_a_derivative_of_which_the_slope_varies_nearby_proves_nothing(along):
    for size, jump, a in [(2, 2.0, 1), (5, 2.0, 5), (5, 2.0, -5)]:
        assert along(a, S(a), (0, size * 0.02), jump=jump)[0] == [True]
        assert along(a, S(a), (0, above(size * 0.02)), jump=jump) == ([False], [0], [STEP, QUICK], "")
    assert along(5, S(5), (900, 900.05))[0] == [True]


def test_a_kink_along_the_direction_tells_nothing_if_the_gradient_is_within_its_slopes(along):
    s = S(0, 1, bend=2, sides=(-1, 1))
    for a in (1, -1, 1 + DECIDED, -1 - DECIDED):
        assert along(a, s, (0, 0))[:2] == ([False], [0])
        assert len(along(a, s, (0, 0))[2]) == 3  # no bounds are asked for
    for a in (1 + 1.1 * DECIDED, -1 - 1.1 * DECIDED):
        assert along(a, s, (-2, 2))[2][-1] == {}
        assert along(a, s, (0, 0))[1] == [abs(a)]
    assert along(9, S(0, 1, sides=(-10, 10)), (0, 0))[1] == [9]  # that is none
    s = S(0, 1, bend=2, sides=(-1, 1))
    for a in (1 + 7 * DECIDED, -1 - 7 * DECIDED):
        assert len(along(a, s, (-2, 2), scale=8.0)[2]) == 3


def test_what_lies_outside_of_the_bounds_and_half_of_what_they_vary_by_is_wrong(along):
    room = DECIDED * 8
    for a in (4 + 1 + 0.9 * room, 2 - 1 - 0.9 * room):
        assert along(a, S(9, 1), (2, 4), scale=8.0)[1] == [0]
    for a in (4 + 1 + 1.1 * room, 2 - 1 - 1.1 * room):
        tied, miss, _, cause = along(a, S(9, 1), (2, 4), scale=8.0)
        assert tied == [False]
        assert miss == pytest.approx([1 + 1.1 * room])
        assert cause.startswith("a tie is counted more than once")
    assert along(room, S(9, 1), (0, 0), scale=8.0)[1] == [0]
    assert along(above(room), S(9, 1), (0, 0), scale=8.0)[1] == [above(room)]


def test_a_move_that_leaves_the_domain_tells_nothing(along):
    assert along(5, S(9, 1), ValueError())[:2] == ([False], [0])


# What is said -------------------------------------------------------------------------------------------------------


def said(a, low, high, *rows):
    rows = rows or (row([1.0]),)
    explain([corner(r, 0) for r in rows], 7, a, low, high)
    return [r.cause for r in rows]


@pytest.mark.parametrize(
    ("a", "low", "high", "should"),
    [
        (2, 1, 1, "+1"),
        (-100, -51, -49, "-50"),  # no more apart than a fiftieth of the gradient
        (-100, -51.1, -49, "between -51.1 and -49"),
        (2, 0.9, 1, "between +0.9 and +1"),
        (-2, 0.9, 1, "between +0.9 and +1"),
        (3, -1e-12, 1e-12, "+0"),
        (3, 1e-9, 1e-9, "+0"),
        (1, 5e-10, 5e-10, "+0"),
        (3, 4e-9, 4e-9, "+4e-09"),
        (-3, -4e-9, -4e-9, "-4e-09"),
        (3, -4e-9, 8e-9, "+2e-09"),
        (3, 8e-9, -4e-9, "+2e-09"),
    ],
)
def test_what_moving_a_tie_together_changes_is_said_beside_what_its_gradients_add_up_to(a, low, high, should):
    assert said(a, low, high) == [
        "a tie is counted more than once, or not at all: 7 entries of x are at a kink together, and their gradients "
        f"add up to {a:+.6g}, where moving them together changes f by {should} a unit; give a tie's gradient to one of "
        "the entries, or share it between them"
    ]


def test_every_array_of_a_tie_is_told_unless_more_is_wrong_with_it():
    x, W, told, wrong = row([1.0]), row([1.0], name="W"), row([1.0], name="b", cause="b"), row([9.0, 0], name="c")
    x.miss[:] = 1
    causes = said(2, 1, 1, x, W, told, wrong)
    assert causes[0] == causes[1]
    assert "7 entries of x, W, b, c are" in causes[0]
    assert causes[2:] == ["b", ""]


# The whole ----------------------------------------------------------------------------------------------------------


def settled(count, mark=lambda c: None, *, how="random entries", terms=lambda x: abs(x), monkeypatch):
    """(How many groups were tried, the row) of so many zeros; `mark` stands for trying one entry."""
    tried = []

    def stub(_origin, group, _rng):
        tried.append([c.k for c in group])
        for c in group:
            mark(c)

    monkeypatch.setattr(ties, "try_group", stub)
    x = np.zeros(count)
    places = [(k,) for k in range(count)] if how == "random entries" else None
    r = row(np.zeros(count), how=how, places=places)
    settle_ties(origin(lambda: terms(x), x=x), [r], Draws())
    return tried, r


def right(c):
    c.row.tied.flat[c.k] = True


def test_after_a_hundred_groups_that_are_all_right_so_are_the_others(monkeypatch):
    tried, r = settled(130, right, monkeypatch=monkeypatch)
    assert tried == [[k] for k in range(129, 29, -1)]  # in the order drawn
    assert r.tied.all()


def test_after_a_hundred_groups_of_which_one_is_open_or_wrong_the_others_are_not_known(monkeypatch):
    for mark in (lambda c: c.k == 77 or right(c), lambda c: c.row.miss.put(c.k, c.k == 77) or right(c)):
        tried, r = settled(130, mark, monkeypatch=monkeypatch)
        assert len(tried) == 100
        assert not r.tied[:30].any()


def test_an_entry_that_bends_by_itself_is_no_tie(monkeypatch):
    assert settled(3, how="entries", monkeypatch=monkeypatch)[0] == []
    together = settled(3, how="entries", terms=lambda x: abs(x).sum(keepdims=True), monkeypatch=monkeypatch)[0]
    assert together == [[0, 1, 2]]
    together = settled(2, how="entries", terms=lambda x: abs(x).sum(keepdims=True), monkeypatch=monkeypatch)[0]
    assert together == [[0, 1]]


def test_what_is_wrong_by_convention_only_is_taken_back_first(monkeypatch):
    monkeypatch.setattr(ties, "forgive", lambda _origin, r, _rng: r.high.fill(9))
    monkeypatch.setattr(ties, "try_group", lambda *_: None)
    x = np.zeros(2)
    r = row([5, 0])
    settle_ties(origin(lambda: abs(x), x=x), [r], Draws())
    assert not r.wrong.any()
