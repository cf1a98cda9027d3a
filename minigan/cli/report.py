"""minigan report: a run on one page, or two side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from minigan.cli.arguments import first_word, parse_run
from minigan.errors import ArgumentError


@dataclass
class ReportOptions:
    """Where the page goes."""

    out: Path | None = None  # .html; default: RUN/report.html, or RUN/report-OTHER.html


def command(args: list[str]) -> None:
    """minigan report RUN [OTHER] [flags]"""
    from minigan.runs.report import write_report

    run, rest = first_word(args)
    other, flags = first_word(rest) if run else ("", rest)
    if other and flags and not flags[0].startswith("-"):
        raise ArgumentError(f"minigan report takes one run, or two, got {run}, {other} and {flags[0]}")
    _, options = parse_run(
        ReportOptions(),
        [run, *flags] if run else flags,
        command="minigan report",
        description="Show a run on one page: what it was, its curves, sheets, numbers, alarms; or two, side by side.",
    )
    write_report(run, other or None, options.out)
