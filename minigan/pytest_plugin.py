"""For tests of gradients, other people's too: the fixture `assert_gradients`. pytest loads this by itself.

    def test_my_layer(assert_gradients):
        assert_gradients(MyLayer(7), in_shape=(4,))

It is `minigan.gradcheck.assert_gradients`, which can as well be imported; the fixture also counts what was checked, for
a line at the end of the run, and with `--gradient-pictures DIR` draws where a failed check went wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


class Totals:
    """What all the tests of a run have checked."""

    checks = entries = undecided = kinks = 0


TOTALS = pytest.StashKey[Totals]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("minigan", "gradients checked by minigan")
    group.addoption("--gradient-pictures", metavar="DIR", help="draw the errors of failed gradient checks into DIR")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TOTALS] = Totals()


@pytest.fixture(name="assert_gradients")
def asserting_fixture(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`assert_gradients(target, *arrays, in_shape=…)`: fail with a report unless all gradients are right."""
    from minigan.errors import ArgumentError, MiniganError
    from minigan.gradcheck import check_gradients

    totals, folder = request.config.stash[TOTALS], str(request.config.getoption("--gradient-pictures") or "")

    def asserting(target: Any, *arrays: Any, **options: Any) -> Any:
        __tracebackhide__ = True
        try:
            reports = check_gradients(target, *arrays, **options)
        except MiniganError as error:  # of how it was called; the lines of minigan would explain nothing
            pytest.fail(str(error), pytrace=False)
        for report in reports:
            totals.checks += 1
            totals.entries += report.entries
            totals.undecided += round(report.undecided * report.entries)
            totals.kinks += report.kinks
        failed = [report for report in reports if not report]
        for i, report in enumerate(failed if folder else []):
            name = re.sub(r"\W+", "-", request.node.name).strip("-")
            path = Path(folder) / f"{name}-{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                report.picture(path)
            except ArgumentError as error:  # nothing was checked entry by entry
                request.node.add_report_section("call", "gradient picture", str(error))
            else:
                request.node.add_report_section("call", "gradient picture", str(path))
        if failed:
            pytest.fail("\n\n".join(map(str, failed)), pytrace=False)
        return reports

    return asserting


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    totals = config.stash[TOTALS]
    if totals.checks:
        terminalreporter.write_line(
            f"gradients: {totals.checks:,} checks of {totals.entries:,} entries, {totals.undecided:,} undecided, "
            f"{totals.kinks:,} at kinks"
        )
