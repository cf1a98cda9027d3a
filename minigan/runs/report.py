"""A run on one page, or two side by side: what `minigan report` does.

The page is one file: it asks for nothing, runs nothing, and shows what stands in the run's folder. What comes out of
that folder is text, which `cell` or `html.escape` makes harmless where it is put between tags.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minigan import __version__, plot
from minigan.errors import ArgumentError
from minigan.runs.chart import Curve, Point, chart
from minigan.runs.evaluation import legend, results_rows
from minigan.runs.found import Found, evaluation_of, find, finite
from minigan.runs.gallery import figure, image, sheets_of_one, sheets_of_two, side_by_side
from minigan.runs.identity import identity, machines, progress
from minigan.runs.markup import Runs, cell, heads, shown
from minigan.screen import Say, heard
from minigan.store.files import quoted, write_atomically

WEB = Path(__file__).with_name("web")
ALARMS = 50  # rows shown: more no run of minigan's has
LARGEST = 1e30  # a value beyond it is not drawn


def write_report(
    run: str | Path, other: str | Path | None = None, out: str | Path | None = None, *, say: Say | None = print
) -> Path:
    """Write the page of a run, or of two side by side, and return its path; what `minigan report` does.

    `out` ends in .html; by default it is RUN/report.html, of two runs RUN/report-OTHER.html. The page is made of what
    the folders hold: nothing is trained, drawn or measured, and no recipe is imported. It shows at most 11 sheets of
    a run, 8 of each of two, and stays below 5 MB.
    Raises ArgumentError for another ending, or for the same run twice; RunMissingError for a folder that is no run.
    """
    found = [find(path) for path in (run, other) if path is not None]
    if len(found) == 2 and found[0].folder.resolve() == found[1].folder.resolve():
        raise ArgumentError(f"{run} and {other} are the same run; two runs side by side are two")
    with_other = f"-{found[1].folder.resolve().name}" if len(found) == 2 else ""
    path = found[0].folder / f"report{with_other}.html" if out is None else Path(out)
    if path.suffix != ".html":
        raise ArgumentError(f"--out must end in .html, got {out}")
    write_atomically(path, whole_page(found).encode())
    heard(say)(f"Wrote {path}: open it in a browser")
    return path


def whole_page(runs: Runs) -> str:
    """The whole page."""
    title = " and ".join(str(run.folder) for run in runs)
    sections: dict[str, Callable[[Runs], str]] = {
        "What it was": identity,
        "Curves": curves,
        "Sheets through time": time_sheets,
        "Interpolation": interpolations,
        "How good": evaluations,
        "Alarms": raised_alarms,
        "Machine": machines,
    }
    body = "".join(f"<section><h2>{name}</h2>{make(runs)}</section>" for name, make in sections.items())
    parts = {
        "title": html.escape(title),
        "style": (WEB / "report.css").read_text(encoding="utf-8"),
        "head": heading(runs),
        "body": body,
        "foot": f"Made by minigan {html.escape(__version__)} of what the folder of the run holds.",
    }
    template = (WEB / "report.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda name: parts[name[1]], template)


def heading(runs: Runs) -> str:
    """Which runs these are, and what is to be known before one reads on."""
    lines = []
    for colour, run in enumerate(runs, 1):
        chip = f' class="name c{colour}"' if len(runs) > 1 else ""
        lines.append(f"<h1><span{chip}>{cell(run.folder)}</span></h1><p>{cell(run.name)}: {cell(progress(run))}</p>")
        lines += [f'<p class="note">{cell(note)}</p>' for note in run.notes]
    return "".join(lines)


def curves(runs: Runs) -> str:
    """Those of curves.png, and the Fréchet distance where it was measured on the way."""
    if not any(run.logs["metrics.jsonl"] for run in runs):
        return "<p>No values yet: the first row of metrics.jsonl comes at the end of an epoch, or of an interval.</p>"
    charts = []
    for title, columns in plot.PANELS.items():
        share = {} if title == "loss" else {"limits": (-0.03, 1.03), "level": 0.5}
        if len(runs) == 1:
            lines = [
                Curve(label, i, column_points(runs[0], name)) for i, (name, label) in enumerate(columns.items(), 1)
            ]
            charts.append(chart(title, lines, marks=alarm_marks(runs), **share))
            continue
        for name, label in columns.items():
            lines = [Curve(run.folder.name, i, column_points(run, name)) for i, run in enumerate(runs, 1)]
            charts.append(chart(f"{title}, {label}", lines, marks=alarm_marks(runs), **share))
    if any(run.logs["quality.jsonl"] for run in runs):
        lines = [
            Curve(run.folder.name, i, [(row["step"], drawable(row["frechet"])) for row in run.logs["quality.jsonl"]])
            for i, run in enumerate(runs, 1)
        ]
        charts.append(chart("Fréchet distance of 2,000 samples", lines))
    marks = " An upright line is an alarm." if alarm_marks(runs) else ""
    note = f'<p class="soft">Against the step (updates of D). Dotted: neither player is ahead.{marks}</p>'
    return f'<div class="charts">{"".join(charts)}</div>{note}'


def column_points(run: Found, name: str) -> list[Point]:
    return [(row["step"], drawable(row.get(name))) for row in plot.usual_rows(run.logs["metrics.jsonl"])]


def drawable(value: Any) -> float | None:
    found = finite(value)
    return found if found is not None and abs(found) < LARGEST else None


def alarm_marks(runs: Runs) -> list[tuple[float, str, int]]:
    """Where in the curves there was an alarm."""
    colours = range(1, len(runs) + 1) if len(runs) > 1 else (3,)
    pairs = zip(runs, colours, strict=True)
    return [(row["step"], row["alarm"], colour) for run, colour in pairs for row in run.logs["alarms.jsonl"][:ALARMS]]


def time_sheets(runs: Runs) -> str:
    if not any(run.sheets for run in runs):
        return "<p>No pictures yet: the first sheet is drawn when training begins.</p>"
    told = '<p class="soft">One hundred pictures of the same latents each time.</p>'
    return told + (sheets_of_one(runs[0]) if len(runs) == 1 else sheets_of_two(*runs))


def interpolations(runs: Runs) -> str:
    told = "Each row goes from one latent to the next."
    return same_picture(runs, "interpolation.png", told, "It is drawn when training ends.")


def same_picture(runs: Runs, name: str, told: str, without: str) -> str:
    """A picture of each run by its name, where one is there."""
    paths = [run.folder / "samples" / name for run in runs]
    if not any(path.is_file() for path in paths):
        return f"<p>{without}</p>"
    note = f'<p class="soft">{told}</p>'
    if len(runs) == 1:
        return note + f'<div class="large">{figure(image(paths[0], told), name)}</div>'
    both = side_by_side([(run, path, name) for run, path in zip(runs, paths, strict=True)])
    return f'{note}<div class="pairs">{both}</div>'


def evaluations(runs: Runs) -> str:
    """The table of `minigan evaluate` for each run, and the samples nearest to training images."""
    parts = []
    for run, name in zip(runs, heads(runs), strict=True):
        parts += [f"<h3>{name}</h3>"] * (len(runs) > 1)
        parts.append(evaluation(run))
    nearest = same_picture(runs, "nearest.png", "Each sample, and to its right the training image nearest to it.", "")
    return "".join(parts) + nearest


def evaluation(run: Found) -> str:
    command = f"<code>minigan evaluate {cell(quoted(run.folder))}</code>"
    try:
        if (result := evaluation_of(run.folder)) is None:
            return f"<p>Not measured yet: {command} does it.</p>"
        rows, notes = results_rows(result), legend(result)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return f"<p>evaluation.json cannot be read; {command} makes it anew.</p>"
    head, *lines = (
        f"<tr><th>{cell(name)}</th>{''.join(f'<td>{cell(value)}</td>' for value in values)}</tr>"
        for name, *values in rows
    )
    told = "".join(f"<p>{cell(line)}</p>" for line in notes.splitlines())
    return (
        f'<div class="scroll"><table class="numbers"><thead>{head}</thead><tbody>{"".join(lines)}</tbody></table></div>'
        f'<div class="soft">{told}</div>'
    )


def raised_alarms(runs: Runs) -> str:
    """What was raised and when, with the remedy as it was given then."""
    parts = []
    for run, name in zip(runs, heads(runs), strict=True):
        parts += [f"<h3>{name}</h3>"] * (len(runs) > 1)
        rows = run.logs["alarms.jsonl"]
        parts += [] if rows else ["<p>None was recorded. (With <code>--no-alarms</code> none ever is.)</p>"]
        for row in rows[:ALARMS]:
            when = f"step {row['step']:,}, epoch {shown(row.get('epoch', '?'))}"
            told = "".join(
                f"<dt>{name}</dt><dd>{cell(row.get(key, '–'))}</dd>"
                for key, name in (("saw", "saw"), ("means", "usually"), ("try", "try"))
            )
            head = f"<h3>{cell(row['alarm'])} <small>{cell(when)}</small></h3>"
            parts.append(f'<div class="alarm">{head}<dl>{told}</dl></div>')
    return "".join(parts)
