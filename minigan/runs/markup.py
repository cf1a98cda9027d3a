"""Texts out of a run's files as HTML: tables of one run, or of two with a mark where they differ."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from minigan.runs.found import Found

LONGEST = 400  # characters of a text that are shown
DEPTH = 4  # lists within lists that are shown

Runs = Sequence[Found]  # one, or two


def aligned(columns: Sequence[dict[str, str]]) -> list[tuple[str, list[str]]]:
    """(name, its text in each column) for every name that one of them has; "–" where one has it not."""
    names = dict.fromkeys(name for column in columns for name in column)
    return [(name, [column.get(name, "–") for column in columns]) for name in names]


def facts_table(runs: Runs, rows: Sequence[tuple[str, list[str]]]) -> str:
    """Names and texts; of two runs a column each, and a mark where they differ."""
    head = ""
    if len(runs) > 1:
        head = f"<thead><tr><td></td>{''.join(f'<th>{name}</th>' for name in heads(runs))}</tr></thead>"
    lines = []
    for name, texts in rows:
        differs = len(set(texts)) > 1
        cells = "".join(f"<td>{cell(text)}</td>" for text in texts)
        mark, sign = (' class="differs"', " <b>≠</b>") if differs else ("", "")
        lines.append(f"<tr{mark}><th>{cell(name)}{sign}</th>{cells}</tr>")
    return f'<div class="scroll"><table class="facts">{head}<tbody>{"".join(lines)}</tbody></table></div>'


def heads(runs: Runs, text: str = "{}") -> list[str]:
    """The runs' names as they head what is theirs, each in its colour."""
    found = enumerate(runs, 1)
    return [f'<span class="name c{colour}">{cell(text.format(run.folder.name))}</span>' for colour, run in found]


def shown(value: Any, depth: int = DEPTH) -> str:
    """A value out of a file as it is read."""
    if isinstance(value, (dict, tuple, list)) and not depth:
        return "…"
    if isinstance(value, dict):
        return ", ".join(f"{key} {shown(each, depth - 1)}" for key, each in value.items())
    if isinstance(value, (tuple, list)):
        return ", ".join(shown(each, depth - 1) for each in value)
    if value is None or isinstance(value, bool):
        return {True: "yes", False: "no", None: "–"}[value]
    return str(value)


def cell(text: object) -> str:
    """Text to stand between tags: what would be markup is shown as it was written, and what is endless is cut off."""
    found = str(text)
    return html.escape(found if len(found) <= LONGEST else f"{found[:LONGEST]}…")
