"""What a report makes of its numbers: the verdict on each entry, on each array and on the check, and how it says so."""

import io
import runpy
import sys

import numpy as np
import pytest
from rich.console import Console

from minigan.errors import ArgumentError
from minigan.gradcheck import picture
from minigan.gradcheck import report as module
from minigan.gradcheck.report import Report, Row

SMALL = 2.0**-24  # 6e-8: less than the tolerance beside a scale of 1
ABOVE, BELOW = (1 + 1e-12), (1 - 1e-12)


def row(analytic, numeric, *, bar=0.0, kink=False, low=None, high=None, scale=1.0, shape=None, how="entries", **more):
    """An array of these entries; at a kink the slopes to either side are -1 and 1 unless given."""
    analytic, numeric = np.array(analytic, float), np.array(numeric, float)

    def like(value):
        return np.broadcast_to(value, analytic.shape).copy()

    low, high = like(-1.0 if low is None else low), like(1.0 if high is None else high)
    marks = {name: like(more.pop(name)) for name in ("tied", "miss") if name in more}
    more = {"name": "x", **marks, **more}
    name = more.pop("name")
    shape = analytic.shape if shape is None else shape
    return Row(name, shape, how, analytic, numeric, like(bar), like(kink), low, high, scale, **more)


def verdicts(found):
    """One word for each entry; faint ones are undecided, too."""
    assert not (found.faint & ~found.undecided).any()
    words = {"wrong": found.wrong, "right": found.right, "faint": found.faint, "undecided": found.undecided}
    pick = np.full(found.kink.shape, "at a kink", dtype=object)
    for word in ("undecided", "faint", "right", "wrong"):
        pick[words[word]] = word
    assert not (found.wrong & (found.right | found.undecided)).any()
    assert not (found.right & found.undecided).any()
    return pick.ravel().tolist()


# One entry ------------------------------------------------------------------------------------------------------------

ENTRIES = {
    "the same number": ("right", 2.0, 2.0, {}),
    "as much off as the tolerance, 1e-7 of the scale": ("faint", 4 * 1e-7, 0.0, {"scale": 4.0}),
    "more off than that": ("wrong", 4 * 1e-7 * ABOVE, 0.0, {"scale": 4.0}),
    "as much off as the tolerance and the bar": ("right", 4 * 1e-7 + 4e-5, 4e-5, {"scale": 4.0, "bar": 4e-5}),
    "more off than both": ("wrong", 4e-5 + 4 * 1e-7 * ABOVE, 0.0, {"scale": 4.0, "bar": 4e-5}),
    "the other sign": ("wrong", -2.0, 2.0, {}),
    "a bar of 1e-4 of the scale": ("right", 2.0, 2.0, {"scale": 4.0, "bar": 4 * 1e-4}),
    "a wider bar": ("undecided", 2.0, 2.0, {"scale": 4.0, "bar": 4 * 1e-4 * ABOVE}),
    "a bar without end": ("undecided", 2.0, 2.0, {"bar": np.inf}),
    "a numeric NaN, of which nothing can be told": ("undecided", 2.0, np.nan, {"bar": np.inf}),
    "an analytic NaN": ("wrong", np.nan, 2.0, {}),
    "an analytic infinity, however wide the bar": ("wrong", np.inf, 2.0, {"bar": np.inf}),
    "off by 1 % of the numeric": ("right", 99 * SMALL, 100 * SMALL, {}),
    "off by 1 % of the analytic": ("right", -100 * SMALL, -99 * SMALL, {}),
    "off by more than 1 % of itself, though little beside the scale": ("faint", 98.9 * SMALL, 100 * SMALL, {}),
    "so small, and a bar of 1e-4 of the scale": ("faint", 2e-5, 1e-5, {"scale": 4.0, "bar": 4 * 1e-4}),
    "so small, and a wider bar": ("undecided", 2e-5, 1e-5, {"scale": 4.0, "bar": 4 * 1e-4 * ABOVE}),
    "zero but for rounding, 1e-13 of the scale": ("right", 4 * 1e-13, -1e-9, {"scale": 4.0, "bar": 1e-9}),
    "zero but for rounding, 1e-13 of the size of dy": ("right", 8 * 1e-13, 0.0, {"scale": 4.0, "size": 8.0}),
    "more than that": ("faint", 8 * 1e-13 * ABOVE, 0.0, {"scale": 4.0, "size": 8.0}),
    "zero where the numeric is more than its bar": ("faint", 0.0, 1e-9 * ABOVE, {"bar": 1e-9}),
    "zero of the numeric's bar": ("right", 0.0, 1e-9, {"bar": 1e-9}),
    "a rounded zero, far more than the tolerance of a tiny scale": ("right", 1e-14, 0.0, {"scale": 1e-9, "size": 1.0}),
    "the same where no size is known": ("wrong", 1e-14, 0.0, {"scale": 1e-9}),
    "steps, which have no gradient": ("right", 0.0, 0.0, {"scale": 1e-300, "bar": 4 * 1e-7, "size": 4.0}),
    "steps, and a wider bar": ("undecided", 0.0, 0.0, {"scale": 1e-300, "bar": 4 * 1e-7 * ABOVE, "size": 4.0}),
    "at a kink, between its slopes": ("at a kink", 0.5, 0.0, {"kink": True}),
    "at a kink, within 1e-4 of the scale": ("at a kink", 1.0 + 2.0**-14, 0.0, {"kink": True}),
    "at a kink, further out": ("wrong", 1.0 + 2.0**-13, 0.0, {"kink": True}),
    "at a kink, below": ("wrong", -1.0 - 2.0**-13, 0.0, {"kink": True}),
    "at a kink, within as much of a larger scale": ("at a kink", -1.0 - 2.0**-12, 0.0, {"kink": True, "scale": 4.0}),
    "at a kink, whatever the bar": ("wrong", 3.0, 3.0, {"kink": True, "bar": 9.0}),
    "at a kink, zero and outside": ("wrong", 0.0, 0.0, {"kink": True, "low": 0.5}),
    "at a kink of which nothing is known": ("at a kink", 1e9, 0.0, {"kink": True, "low": -np.inf, "high": np.inf}),
    "at a kink, NaN": ("wrong", np.nan, 0.0, {"kink": True}),
    "at a kink, tied": ("right", 0.5, 0.0, {"kink": True, "tied": True}),
    "at a kink, tied and outside": ("wrong", 2.0, 0.0, {"kink": True, "tied": True}),
    "at a kink, not what the tied add up to": ("wrong", 0.5, 0.0, {"kink": True, "miss": 1e-9}),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_each_entry_gets_the_verdict_of_the_rule(name):
    verdict, analytic, numeric, more = ENTRIES[name]
    assert verdicts(row([analytic], [numeric], **more)) == [verdict]


def test_an_entry_beside_it_that_is_not_zero_gives_a_scale_to_a_zero():
    alone, beside = {"scale": 1e-9, "bar": [4e-8, 0.0], "size": 1.0}, [0.0, 0.0]
    assert verdicts(row([0.0, 0.0], beside, **alone)) == ["right", "right"]
    assert verdicts(row([0.0, 1e-9], [0.0, 1e-9], **alone)) == ["undecided", "right"]


def test_how_far_off_an_entry_is_is_its_distance_from_what_is_allowed():
    plain = row([1.0, np.nan, -2.0, np.inf], [3.0, 1.0, 1.0, np.inf])
    np.testing.assert_array_equal(plain.difference, [2.0, np.inf, 3.0, np.inf])
    kink = row([0.5, 1.5, -3.0], [0.0, 0.0, 0.0], kink=True)
    np.testing.assert_array_equal(kink.difference, [0.0, 0.5, 2.0])
    assert row([0.5], [0.0], kink=True, miss=0.75).difference == [0.75]


# One array ------------------------------------------------------------------------------------------------------------

RIGHT, FAINT, OPEN, WRONG = (1.0, 1.0, 0.0), (0.9 * SMALL, SMALL, 0.0), (1.0, 1.0, 1.0), (2.0, 1.0, 0.0)


def of(*entries, **more):
    analytic, numeric, bar = zip(*entries, strict=True)
    return row(analytic, numeric, bar=bar, **more)


@pytest.mark.parametrize(
    ("entries", "passes", "proven", "word"),
    [
        ([RIGHT], True, True, "ok"),
        ([RIGHT, OPEN], True, True, "ok"),
        ([RIGHT, RIGHT, OPEN, OPEN, OPEN], False, False, "?"),
        ([RIGHT, FAINT, OPEN, OPEN], True, False, "faint"),
        ([FAINT], True, False, "faint"),
        ([FAINT, OPEN, OPEN], False, False, "?"),
        ([RIGHT] * 9 + [WRONG], False, False, "WRONG"),
    ],
)
def test_an_array_passes_if_half_of_it_is_right_or_faint_and_is_proven_if_half_is_right(entries, passes, proven, word):
    found = of(*entries)
    assert (found.passes, found.proven, found.cells()[0]) == (passes, proven, word)


@pytest.mark.parametrize(
    ("found", "worst", "error"),
    [
        (row([[1.0, 2.0, 3.5], [4.0, 5.0, 6.75]], [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], scale=6.0), (1, 2), 0.125),
        (row([0.9, 5.0], [0.0, 4.0], kink=[True, False], scale=4.0), (1,), 0.25),
        (row([9.0, 5.0], [0.0, 4.0], kink=[True, False], scale=4.0), (0,), 2.0),  # wrong, so that kinks count
        (row([0.9, 5.0, 6.0], [0.0, 5.0, 6.0], kink=[True, False, False]), (1,), 0.0),  # the first that is none
        (row([1.0, 1.0 + SMALL, 1.0], [1.0, 1.0, np.nan], bar=[0.0, 0.0, np.inf]), (1,), SMALL),
        (row([1.0, 1.0], [np.nan, 1.0], bar=[np.inf, 0.0]), (1,), 0.0),
        (row([1.0], [np.nan], bar=np.inf), (0,), np.nan),
        (row([1.0, np.nan], [3.0, 1.0]), (1,), np.inf),
        (row(2.0, 1.5, scale=2.0), (), 0.25),
    ],
)
def test_the_worst_entry_is_a_wrong_one_if_any_is_and_else_none_at_a_kink(found, worst, error):
    assert found.index == worst
    np.testing.assert_equal(found.error, error)


def test_a_row_of_the_table_says_what_was_found_at_the_worst_entry():
    found = row([[1.0, 2.0], [3.0, 5.0]], [[1.0, 2.0], [3.0, 4.0]], bar=1e-9, scale=4.0)
    assert found.cells() == (
        *("WRONG", "x", "2×2", "4 entries", "2.5e-01", "1,1", "+5", "+4", "1e-09"),
        "1 wrong",
    )


def test_of_drawn_entries_the_place_in_the_array_is_told():
    places = [(0, 7), (2, 3), (4, 1)]
    found = row([1.0, 5.0, 3.0], [1.0, 2.0, 3.0], shape=(5, 9), how="random entries", places=places)
    assert found.cells()[2:6] == ("5×9", "3 random entries", "3.0e+00", "2,3")


def test_a_single_number_has_neither_shape_nor_place():
    assert row(2.0, 2.0).cells()[1:6] == ("x", "number", "1 entries", "0.0e+00", "")


def test_what_is_not_right_is_counted_by_its_kind():
    found = row(
        [2.0, 1.0, 1.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0],
        [1.0, 1.0, 1.0, *[0.0] * 6],
        bar=[0.0, 0.0, 1.0, *[0.0] * 6],
        kink=[False] * 3 + [True] * 6,
        tied=[False] * 6 + [True] * 3,
    )
    assert found.cells()[-1] == "2 wrong, 1 undecided, 2 at kinks, 3 right at ties"
    assert row([1.0], [1.0]).cells()[-1] == ""


# A check --------------------------------------------------------------------------------------------------------------


def report(*rows, **more):
    return Report("trial", [*rows], **more)


def test_a_check_of_nothing_has_no_error_and_no_entries():
    empty = Report("trial", problems=["it is wrong"])
    assert (empty.error, empty.entries, empty.undecided, empty.faint, empty.kinks) == (0.0, 0, 0.0, 0, 0)
    assert not empty
    assert str(empty) == "trial: FAILED (1 problem)\n→ problem: it is wrong"


def test_the_counts_are_those_of_all_arrays():
    found = report(
        of(RIGHT, FAINT, OPEN),
        row([0.0, 0.5, 0.5], [0.0, 0.0, 0.0], kink=[False, True, True], tied=[False, False, True], bar=9.0, name="b"),
        row([1.5], [1.0], name="c"),
    )
    assert (found.entries, found.faint, found.kinks, found.error) == (7, 1, 1, 0.5)
    np.testing.assert_allclose(found.undecided, 2 / 7, rtol=1e-15)
    assert found["c"] is found.rows[2]
    with pytest.raises(KeyError):
        found["d"]
    assert report(of(OPEN)).undecided == 1.0


def test_one_entry_in_a_hundred_may_be_undecided_and_not_more():
    enough, too_many = report(of(*[RIGHT] * 99, OPEN)), report(of(*[RIGHT] * 98, OPEN))
    assert enough
    assert enough.headline == "trial: passed, largest error 0.0e+00"
    assert not too_many
    assert too_many.headline == "trial: FAILED (undecided: 1% of the entries)"
    enough.problems.append("it is wrong")
    assert enough.headline == "trial: FAILED (1 problem)"


def test_faint_entries_count_as_right():
    assert report(of(*[RIGHT] * 9, FAINT))


def test_the_headline_names_what_failed():
    wrong, undecided = of(RIGHT, WRONG, name="w"), of(OPEN, name="u")
    found = report(of(RIGHT), wrong, of(WRONG, name="v"), undecided, of(OPEN, name="s"), problems=["a", "b"])
    assert found.headline == "trial: FAILED (wrong: w, v; hardly anything decided: u, s; 2 problems)"
    assert report(of(RIGHT), wrong).headline == "trial: FAILED (wrong: w)"
    assert report(of(RIGHT), undecided).headline == "trial: FAILED (hardly anything decided: u)"


def test_the_remarks_come_in_an_order():
    found = report(
        of(WRONG, name="a", cause="the sign is wrong"),
        of(WRONG, name="b", cause="a sum is missing"),
        of(WRONG, name="c", cause="the sign is wrong"),
        of(OPEN, name="d"),
        problems=["backward changes dy"],
        cautions=["a read-only x"],
    )
    first, *causes, advice, last = found.remarks()
    assert first == "problem: backward changes dy"
    assert causes == ["a, c: the sign is wrong", "b: a sum is missing"]
    assert advice.startswith("d: most of it is undecided")
    assert last == "caution: a read-only x"
    found.sound = False
    assert len(found.remarks()) == 4


@pytest.mark.parametrize(
    ("rows", "problems", "told"),
    [
        ([of(RIGHT)], ["it is wrong"], True),
        ([of(RIGHT)], [], False),
        ([of(RIGHT), of(FAINT, name="b")], ["it is wrong"], False),
        ([row([0.0], [0.0])], ["it is wrong"], False),
        ([row([0.0], [0.0]), of(RIGHT, name="b")], ["it is wrong"], True),
    ],
)
def test_gradients_that_are_right_all_the_same_are_called_so(rows, problems, told):
    assert (
        any(text.startswith("the gradients are right") for text in report(*rows, problems=problems).remarks()) == told
    )


KINK = {"kink": True}
NOWHERE = (1.0, np.nan, np.inf)


@pytest.mark.parametrize(
    ("found", "begins"),
    [
        (of(NOWHERE, *[RIGHT] * 9), ["some numeric derivatives could not be taken"]),
        (of(NOWHERE, WRONG), ["some numeric derivatives could not be taken"]),
        (row([0.0], [0.0], bar=np.inf, tied=True, **KINK), []),
        (row([0.0] * 3, [0.0] * 3, kink=[True, True, False]), ["most of it lies at kinks"]),
        (row([0.0] * 4, [0.0] * 4, kink=[True, True, False, False], bar=[0.0, 0.0, 0.0, 1.0]), []),  # half of it may
        (row([0.0] * 3, [0.0] * 3, tied=[True, True, False], **KINK), []),
        (row([0.0] * 2 + [9.0], [0.0] * 3, **KINK), []),  # wrong
        (of(OPEN, OPEN, RIGHT), ["most of it is undecided"]),
        (of(OPEN, RIGHT), []),
        (of(OPEN, OPEN, WRONG), []),
        (of(OPEN, OPEN, RIGHT, RIGHT, RIGHT), []),
        (of(FAINT, FAINT, RIGHT), ["most of it is too small beside the check's largest gradient"]),
        (of(FAINT, RIGHT), []),
        (of(FAINT, FAINT, RIGHT, RIGHT, RIGHT), []),
        (of(FAINT, FAINT, WRONG), []),
        (of(RIGHT), []),
    ],
)
def test_what_to_do_about_an_array_is_said_once_most_of_it_is_undecided(found, begins):
    said = report(found).remarks()
    assert [text.startswith(f"x: {begin}") for text, begin in zip(said, begins, strict=True)] == [True] * len(begins)


def test_the_text_is_the_headline_the_table_and_the_remarks():
    found = report(
        of(RIGHT, WRONG, name="weights", cause=f"{'y' * 70} {'z' * 7}"),
        of(RIGHT),
        problems=["x" * 77],
    )
    assert str(found).splitlines() == [
        "trial: FAILED (wrong: weights; 1 problem)",
        "       array    shape  checked    error    at  analytic  numeric  ± bar  not right",
        "WRONG  weights  2      2 entries  1.0e+00  1   +2        +1       0e+00  1 wrong",
        "ok     x        1      1 entries  0.0e+00  0   +1        +1       0e+00",
        f"→ problem: {'x' * 77}",  # 88 characters
        f"→ weights: {'y' * 70}",
        "  zzzzzzz",
    ]
    assert repr(found) == str(found)


def test_a_column_without_anything_in_it_is_left_out():
    head, only = report(row(1.0, 1.0)).cells()
    assert head == ("", "array", "shape", "checked", "error", "analytic", "numeric", "± bar")
    assert only == ("ok", "x", "number", "1 entries", "0.0e+00", "+1", "+1", "0e+00")


def test_the_table_in_colours_has_the_same_cells_a_space_apart_and_folds_only_names():
    name = "a_name_that_is_longer_than_a_column_may_be"
    found = report(of(RIGHT, WRONG, name=name), of(FAINT, name="f"), of(OPEN, name="o"), of(RIGHT, name="k"))
    lines, table = io.StringIO(), found.__rich__()
    Console(width=200, file=lines).print(table)
    shown = [line.split() for line in lines.getvalue().splitlines()]
    assert shown[1:6] == [" ".join(line).split() for line in found.cells()]
    assert lines.getvalue().splitlines()[2].startswith(f"WRONG {name} 2")
    assert [column.no_wrap for column in table.columns] == [head != "array" for head in found.cells()[0]]
    assert [column.min_width for column in table.columns] == [6 if h == "array" else None for h in found.cells()[0]]
    assert [str(cell.style) for cell in table.columns[0].cells] == ["bold red", "yellow", "yellow", "green"]


def test_rich_is_loaded_only_for_a_table_in_colours(monkeypatch):
    for name in ("rich.table", "rich.text"):
        monkeypatch.setitem(sys.modules, name, None)  # so that importing it fails
    anew = runpy.run_path(module.__file__, run_name="report_without_rich")
    assert str(anew["Report"]("trial")) == "trial: passed, largest error 0.0e+00"


def test_a_picture_is_of_the_arrays_checked_entry_by_entry_or_of_the_one_named(monkeypatch):
    drawn = []

    class Figure:
        def __init__(self, rows):
            drawn.append([row.name for row in rows])

        def savefig(self, file, metadata):
            assert (file, metadata) == ("errors.png", {"Software": None})

    monkeypatch.setattr(picture, "errors_figure", Figure)
    found = report(of(RIGHT, name="a"), of(RIGHT, name="b", how="directions"), of(WRONG, name="c"))
    found.picture("errors.png")
    found.picture("errors.png", array="b")
    assert drawn == [["a", "c"], ["b"]]
    with pytest.raises(ArgumentError, match=r"nothing to draw.*raise elementwise"):
        report(of(RIGHT, how="directions")).picture("errors.png")
