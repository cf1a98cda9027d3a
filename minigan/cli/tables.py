"""What commands print: tables, and what they say meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minigan.screen import Say


def talk(to_stderr: bool) -> Say:
    """Where a command says what it is doing: standard error, if standard output is to hold nothing else."""
    from rich.console import Console

    from minigan.screen import Screen

    return Screen(Console(stderr=True, highlight=False)) if to_stderr else print


def print_table(table: Table) -> None:
    """As wide as the terminal; in a pipe or a file one line per row."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if console.is_terminal:
        console.print(table)
    else:
        console.width = 400
        with console.capture() as captured:
            console.print(table)
        print("\n".join(line.rstrip() for line in captured.get().splitlines()))
