"""Hypotheses about where the numbers stand, on numbers given by hand: in other places, and wrong in some alone."""

import numpy as np
import pytest
from by_hand import case, draw

from minigan.gradcheck.causes import order, place

# Right numbers in the wrong places ----------------------------------------------------------------------------------


def told(hypothesis, change, *shape, **options):
    n = draw(*shape)
    return hypothesis(case(change(n), n, **options))


def test_axes_in_another_order():
    def swapped(n):
        return n.transpose(0, 2, 1, 3)

    assert told(order.transposed, np.transpose, 4, 4) == ("it is transposed: right numbers, rows and columns swapped")
    wide = "right numbers in the wrong order: a reshape where a transposition belongs"
    assert told(order.transposed, lambda n: n.T.reshape(3, 5), 3, 5) == wide
    assert told(order.transposed, lambda n: n.reshape(5, 3).T, 3, 5) == wide
    assert told(order.transposed, swapped, 3, 4, 4, 2) == (
        "right numbers in the wrong order: axes (0, 1, 2, 3) were taken for (0, 2, 1, 3)"
    )
    assert told(order.transposed, lambda n: n.transpose(1, 0, 2), 3, 3, 4, batched=()).endswith("for (1, 0, 2)")
    assert not told(order.transposed, lambda n: n.transpose(1, 0, 2), 3, 3, 4)  # the batch is never another axis
    assert not told(order.transposed, lambda n: n, 4, 4)
    assert not told(order.transposed, lambda n: n[::-1], 4, 4)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ([1, 0], "the two entries along axis 0 are exchanged"),
        ([5, 4, 3, 2, 1, 0], "right numbers in reverse order along axis 0"),
        ([0, 4, 2, 3, 1, 5], "1 and 4 along axis 0 are exchanged, and only they"),
        ([3, 4, 5, 0, 1, 2], "the two halves along axis 0 are exchanged (of a concatenation"),
        ([5, 0, 1, 2, 3, 4], "a shifted index: right numbers, 1 too far on along axis 0"),
        ([1, 2, 3, 4, 5, 0], "a shifted index: right numbers, 1 too far back along axis 0"),
        ([4, 5, 0, 1, 2, 3], "a shifted index: right numbers, 2 too far on along axis 0"),
        ([2, 3, 4, 5, 0, 1], "a shifted index: right numbers, 2 too far back along axis 0"),
        ([2, 3, 4, 0, 1], "a shifted index: right numbers, 2 too far back along axis 0"),
        ([3, 4, 0, 1, 2], "a shifted index: right numbers, 2 too far on along axis 0"),
        ([0, 3, 1, 4, 2, 5], "along axis 0, what belongs to (3, 2) is taken for (2, 3): groups and their members"),
        ([0, 2, 4, 1, 3, 5], "along axis 0, what belongs to (2, 3) is taken for (3, 2): groups and their members"),
        ([0, 1, 4, 5, 2, 3], "the 3 blocks along axis 0 are in the order 0, 2, 1 (gates, groups, heads)"),
        ([2, 3, 0, 1, 4, 5], "the 3 blocks along axis 0 are in the order 1, 0, 2 (gates, groups, heads)"),
        ([4, 2, 0, 1, 3], "right numbers in another order along axis 0: 4, 2, 0, 1, 3"),
        ([4, 2, 0, 1, 3, 8, 7, 6, 5, 9], "right numbers in another order along axis 0: 4, 2, 0, 1, 3, 8, 7, 6, …"),
        ([2, 1, 0, 4, 3, 7, 6, 5], "right numbers in another order along axis 0: 2, 1, 0, 4, 3, 7, 6, 5"),
        ([2, 2, 2, 2], "all along axis 0 stands what belongs to index 2 alone"),
        ([0, 2, 2, 2], "a wrong index along axis 0: at 1 stands what belongs to 2, 3 stands what belongs to 2"),
        (
            [1, 2, 3, 4, 4],
            "a wrong index along axis 0: at 0 stands what belongs to 1, 1 stands what belongs to 2, 2 stands what "
            "belongs to 3, …",
        ),
        ([1, 2, 3, 3], "a wrong index along axis 0: at 0 stands what belongs to 1, 1 stands what belongs to 2, 2"),
        ([0, 1, 2, 2], ""),
        ([0, 1, 2, 3], ""),
    ],
)
def test_the_order_of_the_slices_along_an_axis_is_named(source, said):
    found = told(order.permuted, lambda n: n[source], len(source), 3)
    assert found.startswith(said), found
    assert bool(found) == bool(said), found
    assert found.endswith("…") == said.endswith("…")
    along = said.replace("axis 0", "axis 1").replace("two entries", "two halves")
    assert told(order.permuted, lambda n: n[:, source], 3, len(source)).startswith(along)


def test_an_order_is_named_only_if_enough_numbers_show_it():
    n = np.array([1.0, 1.0, 2.0, 2.0, 1.0])
    assert not order.permuted(case(n[::-1], n))
    assert not told(order.permuted, lambda n: n[::-1] * 1.01, 5, 2)
    zeros = draw(6, 3) * (np.arange(6) < 4)[:, None]
    assert order.permuted(case(np.roll(zeros, 1, 0), zeros)) == (
        "a shifted index: right numbers, 1 too far on along axis 0"
    )
    unknown = case(draw(4, 3)[::-1], draw(4, 3), kink=(np.arange(12) == 5).reshape(4, 3))
    assert order.permuted(unknown) == "right numbers in reverse order along axis 0"


def test_a_gradient_that_is_turned():
    assert told(order.turned, lambda n: n[::-1, ::-1], 4, 5).startswith(
        "it is turned by 180°: reversed along axes 0, 1"
    )
    assert told(order.turned, lambda n: n[:, ::-1, ::-1], 2, 3, 4).startswith(
        "it is turned by 180°: reversed along axes 1, 2 "
    )
    assert "axes 0, 1, 2 " in told(order.turned, lambda n: n[::-1, ::-1, ::-1], 2, 3, 4)
    assert not told(order.turned, lambda n: n[::-1], 4, 5)
    assert not told(order.turned, lambda n: n[:, ::-1], 4, 5)
    assert not told(order.turned, lambda n: n[:, ::-1], 1, 5)
    assert not told(order.turned, lambda n: n[::-1, ::-1, ::-1, ::-1, ::-1], 2, 2, 2, 2, 3)


def test_a_gradient_that_is_shifted_without_its_edge():
    for by in (1, -1, 2, -2, 3, -3):
        for axis in (0, 1):
            edge = np.arange(6) < by if by > 0 else np.arange(6) >= 6 + by
            lost = edge[:, None] if axis == 0 else edge

            def moved_on(n, by=by, axis=axis, lost=lost):
                return np.where(lost, 0.123, np.roll(n, by, axis))

            way = "on" if by > 0 else "back"
            assert told(order.shifted, moved_on, 6, 6) == (
                f"a shifted index: right numbers, {abs(by)} too far {way} along axis {axis}"
            )
    both = told(order.shifted, lambda n: np.roll(n, (1, 1), (0, 1)), 5, 5)
    assert both.endswith("1 too far on along axis 0 and 1 too far on along axis 1, as by another padding")
    assert not told(order.shifted, lambda n: np.roll(n, 4, 0), 9, 2)
    assert not told(order.shifted, lambda n: np.roll(n, 1, 0), 2)


def test_displacements_leave_two_slices_in_place():
    assert list(order.displacements((3, 4))) == [
        ((0, 1),),
        ((0, -1),),
        ((1, 1),),
        ((1, -1),),
        ((1, 2),),
        ((1, -2),),
        ((0, 1), (1, 1)),
        ((0, 1), (1, -1)),
        ((0, -1), (1, 1)),
        ((0, -1), (1, -1)),
    ]


def test_the_same_numbers_in_no_order_at_all():
    n = draw(4, 5)
    mixed = np.random.default_rng(2).permutation(n.ravel()).reshape(4, 5)
    assert order.mixed(case(mixed, n)).startswith("right numbers in the wrong places")
    assert order.mixed(case(mixed + 8e-6, n, bar=1e-6))
    assert not order.mixed(case(mixed + 2e-5, n, bar=1e-6))
    assert not order.mixed(case(mixed * (1 + 1e-4 * (n > 0)), n))
    assert not order.mixed(case(mixed, n, kink=n == n.max()))
    five, six = np.arange(20) < 5, np.arange(20) < 6
    for some, enough in ((five, False), (six, True)):
        a = n.ravel().copy()
        a[some] = np.roll(a[some], 1)
        assert bool(order.mixed(case(a.reshape(4, 5), n))) == enough


# Places -------------------------------------------------------------------------------------------------------------


def off_at(wrong, **options):
    n = draw(*np.shape(wrong))
    return case(np.where(wrong, n + 0.1 + draw(*np.shape(wrong), seed=2) ** 2, n), n, **options)


ROW, COLUMN = np.indices((6, 6))
PATTERNS = {
    "all of them lie at the edge, along axes 0, 1": (ROW % 5 == 0) | (COLUMN % 5 == 0),
    "all of them lie on the diagonal": ROW == COLUMN,
    "all of them lie off the diagonal": ROW != COLUMN,
    "all of them lie above the diagonal": ROW < COLUMN,
    "all of them lie below the diagonal": ROW > COLUMN,
    "all of them lie on the diagonal or above it": ROW <= COLUMN,
    "all of them lie on the diagonal or below it": ROW >= COLUMN,
    "all of them lie on every other field, as of a chessboard": (ROW + COLUMN) % 2 == 1,
    "all of them lie on every other field, as of a chessboard, too": (ROW + COLUMN) % 2 == 0,
    "all of them lie at index 0 to 2 of axis 0": ROW < 3,
    "all of them lie at index 1 to 5, every 2nd of axis 1": COLUMN % 2 == 1,
    "all of them lie at index 2, 3 of axis 0 and 1, 4 of axis 1": np.isin(ROW, (2, 3)) & np.isin(COLUMN, (1, 4)),
}


@pytest.mark.parametrize("said", PATTERNS)
def test_a_pattern_of_the_wrong_entries_is_told(said):
    wrong = PATTERNS[said]
    said = said.removesuffix(", too")
    assert place.pattern(off_at(wrong)) == said
    if "index" not in said:  # there, the hull of fewer is the same
        assert place.pattern(off_at(wrong ^ ((ROW == 2) & (COLUMN == 3)))) != said


def test_a_pattern_of_signs_and_thresholds_is_told():
    x, y, dy, z = (draw(6, 6, seed=k) for k in (21, 22, 23, 24))
    for name, v in {"x": x, "y": y, "dy": dy, "z": z}.items():
        for said, wrong in {
            f"where {name} < 0": v < 0,
            f"where {name} > 0": v > 0,
            f"where {name} is above ": v > 0.5,
            f"where {name} is below ": v < -0.5,
            f"where |{name}| is above ": abs(v) > 0.8,
            f"where |{name}| is below ": abs(v) < 0.8,
            f"where {name} is between ": (v > 0.1) & (v < 0.9),
        }.items():
            found = place.pattern(off_at(wrong, x=x, y=y, dy=dy, arrays={"z": z}))
            assert found.startswith(f"all of them lie {said}"), found
    row = np.arange(36).reshape(6, 6) / 36
    assert place.pattern(off_at(np.isin(row, row[ROW + COLUMN == 3]), x=row)) == ""
    assert place.pattern(off_at(x > np.sort(x, axis=None)[-4], x=x)).startswith(("", "all of them lie at index"))
    half = place.pattern(off_at(row > 0.6, x=row))
    assert half.endswith("is above 0.597 or so")


def test_there_is_no_pattern_in_too_few_or_too_many():
    assert not place.pattern(off_at(ROW + COLUMN == 0))
    assert not place.pattern(off_at(ROW + COLUMN > 0))
    assert not place.pattern(off_at((ROW == COLUMN) & (ROW < 2)))
    assert (
        place.pattern(off_at((ROW == 2) & (COLUMN < 3))) == "all of them lie at index 2 of axis 0 and 0 to 2 of axis 1"
    )
    assert place.pattern(off_at(np.eye(2) > 0)) == "all of them lie on the diagonal"
    assert "diagonal" not in place.pattern(off_at((ROW == COLUMN)[:4]))
    i, k = np.indices((3, 4, 4, 3))[1:3]
    assert place.pattern(off_at((i % 3 == 0) | (k % 3 == 0))) == "all of them lie at the edge, along axes 1, 2"
    i, k = np.indices((3, 3, 3, 4, 4))[3:]
    edge = (i % 3 == 0) | (k % 3 == 0)
    assert place.pattern(off_at(edge)) == "all of them lie at the edge, along axes 3, 4"


def test_a_threshold_is_told_of_four_entries_with_two_beyond_them():
    x = np.random.default_rng(8).permutation(np.arange(20.0)).reshape(4, 5) / 10
    for count, said in ((4, "all of them lie where x is above 1.55 or so"), (3, "")):
        assert place.pattern(off_at(x > np.sort(x, axis=None)[-count - 1], x=x)) == said
    between = "all of them lie where x is between 0.15 and 0.95 or so"
    assert place.pattern(off_at((x > 0.15) & (x < 0.95), x=x)) == between
    assert place.pattern(off_at((x > 0.05) & (x < 0.95), x=x)) == ""
    x = np.maximum(x - 0.8, 0)
    assert place.pattern(off_at(x > 0, x=x)) == "all of them lie where x > 0"


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ([2], "2"),
        ([0, 1], "0, 1"),
        ([0, 3], "0, 3"),
        ([0, 1, 2, 3], "0 to 3"),
        ([1, 3, 5], "1 to 5, every 2nd"),
        ([1, 4, 7], "1 to 7, every 3rd"),
        ([0, 4, 8], "0 to 8, every 4th"),
        ([0, 3, 4], "0, 3, 4"),
        ([0, 3, 4, 7], ""),
    ],
)
def test_indices_are_told_in_few_characters(at, said):
    assert place.listed(np.array(at)) == said


def test_one_entry_or_two_alone():
    n = draw(3, 4)
    one = n.copy()
    one[1, 2] = 0.25
    assert place.alone(case(one, n)) == f"one entry alone is wrong, at [1, 2]: 0.25 where {n[1, 2]:.7g} is right"
    two = n.copy()
    two[0, 1], two[2, 3] = n[2, 3], n[0, 1]
    assert place.alone(case(two, n)) == "two entries alone are wrong: [0, 1] and [2, 3] have each other's value"
    two[0, 1] += 1
    assert not place.alone(case(two, n))
    assert not place.alone(case(n + 1, n))
    assert place.alone(case([1.0, 2.0], [1.0, 3.0])) == "one entry alone is wrong, at [1]: 2 where 3 is right"
    assert not place.alone(case([1.0], [2.0]))
    assert not place.alone(case([1.0, 2.0], [2.0, 1.0]))
    assert place.alone(case([1.0, 2.0, 3.0], [1.0, 3.0, 2.0]))


def test_what_the_wrong_entries_share_as_numbers():
    n, some = draw(4, 5), ROW[:4, :5] == 1
    assert place.seen(case(np.where(some, 0, n), n)) == ", and are zero there"
    assert place.seen(case(n, np.where(some, 0, n))) == ", where they should be zero"
    assert place.seen(case(np.where(some, -n, n), n)) == ", and have the wrong sign"
    assert place.seen(case(np.where(some, 2.5 * n, n), n)) == ", and are 2.5 times what they should be"
    assert place.seen(off_at(some)) == ""
    two = some & (COLUMN[:4, :5] < 2)
    assert place.seen(case(np.where(two, 0, n), n)) == ", and are zero there"
    assert place.seen(case(n, np.where(two, 0, n))) == ", where they should be zero"
    assert place.seen(case(np.where(two, -n, n), n)) == ", and have the wrong sign"
    one = some & (COLUMN[:4, :5] == 2)
    for a, right in ((np.where(one, 0, n), n), (n, np.where(one, 0, n)), (np.where(one, -n, n), n)):
        assert place.seen(case(a, right)) == ""
    equal = np.where(some, 1.0, n)
    assert place.seen(case(np.where(some, 2.0, n), equal)) == ""


def test_all_wrong_entries_in_one_slice():
    n = draw(4, 5)
    assert place.in_one_slice(off_at(ROW[:4, :5] == 0)) == "all wrong entries lie at index 0 of axis 0, the first"
    assert place.in_one_slice(off_at(ROW[:2, :3] == 0)) == "all wrong entries lie at index 0 of axis 0, the first"
    assert place.in_one_slice(off_at(COLUMN[:4, :5] == 2)) == "all wrong entries lie at index 2 of axis 1"
    assert place.in_one_slice(off_at(COLUMN[:4, :5] == 4)) == "all wrong entries lie at index 4 of axis 1, the last"
    lost = place.in_one_slice(case(np.where(COLUMN[:4, :5] == 4, 0, n), n))
    assert lost.endswith("the last, and are zero there: a loop or a slice ends one too early")
    assert not place.in_one_slice(off_at(COLUMN[:4, :5] < 2))
    assert not place.in_one_slice(off_at(np.ones((1, 3), bool)))


def test_entries_at_kinks_are_told_with_the_nearest_bound():
    n = draw(3, 4)
    kink = COLUMN[:3, :4] == 1
    a = np.where(kink, n + ROW[:3, :4] + 1, n)
    said = place.at_kinks(case(a, n, kink=kink))
    assert said.startswith("right but at kinks: the 3 wrong entries lie where y has a corner")
    assert f"(at [2, 1]: {a[2, 1]:.6g}, where anything from {n[2, 1]:.6g} to {n[2, 1]:.6g} would do)" in said
    one = kink & (ROW[:3, :4] == 0)
    assert "the wrong entry lies where" in place.at_kinks(case(np.where(one, n + 1, n), n, kink=kink))
    assert not place.at_kinks(case(a + 1, n, kink=kink))
    assert not place.at_kinks(case(n, n, kink=kink))
