"""minigan info: what minigan finds on this machine."""

from __future__ import annotations

from minigan.cli.arguments import no_more
from minigan.cli.tables import print_table


def command(args: list[str]) -> None:
    """minigan info"""
    no_more(args, "minigan info: versions, BLAS, GPU and data, as minigan finds them on this machine")
    from rich.table import Table

    from minigan.cli.machine import facts

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, fact in facts():
        table.add_row(name, fact)
    print_table(table)
