"""The museum's claims: each usual check passes the wrong piece, minigan's does not, and the report names the cause."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from minigan.errors import ArgumentError

MUSEUM = Path(__file__).parents[1] / "demos" / "museum"
sys.path.insert(0, str(MUSEUM))  # its files import one another, as under `python demos/museum`
try:
    from exhibits import EXHIBITS, find
finally:
    sys.path.remove(str(MUSEUM))


@cache
def report_of(exhibit):
    """What minigan says of the wrong piece."""
    return exhibit.report()


of_each = pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.slug)


@of_each
def test_the_usual_check_passes_the_wrong_piece(exhibit):
    assert exhibit.usual(exhibit.wrong).startswith("passed: ")


@of_each
def test_the_usual_check_passes_the_right_piece_too(exhibit):
    assert exhibit.usual(exhibit.right).startswith("passed: ")


@of_each
def test_minigan_fails_the_wrong_piece_and_passes_the_right_one(exhibit):
    assert not report_of(exhibit)
    assert exhibit.check(exhibit.right)


@of_each
def test_the_report_names_the_cause(exhibit):
    report = report_of(exhibit)
    assert exhibit.named(report), report


@of_each
def test_the_code_that_is_shown_is_the_wrong_piece(exhibit):
    assert exhibit.code.startswith((f"class {exhibit.wrong.__name__}(", f"def {exhibit.wrong.__name__}("))


def test_an_exhibit_is_found_by_number_and_by_name():
    assert [find(str(i)) for i in range(1, 16)] == list(EXHIBITS) == [find(e.slug) for e in EXHIBITS]
    with pytest.raises(ArgumentError, match="did you mean w-for-w"):
        find("w-for-v")


@pytest.mark.slow
def test_all_are_shown_and_the_named_ones_counted():
    shown = subprocess.run(
        [sys.executable, "-X", "utf8", MUSEUM, "all"], capture_output=True, encoding="utf-8", check=True
    ).stdout
    assert all(f"{i}. {e.title}" in shown for i, e in enumerate(EXHIBITS, start=1))
    assert shown.endswith("The cause was named in 15 of 15.\n")


def test_the_committed_numbers_are_of_these_exhibits():
    runs = json.loads((MUSEUM / "digits.json").read_text(encoding="utf-8"))["runs"]
    assert [runs[str(i)]["title"] for i in range(1, 16)] == [e.title for e in EXHIBITS]
