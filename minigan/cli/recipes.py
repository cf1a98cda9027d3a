"""minigan recipes: all of them, with their sizes and sources."""

from __future__ import annotations

from minigan.cli.arguments import no_more
from minigan.cli.tables import print_table
from minigan.recipes import DEFAULT, RECIPES


def command(args: list[str]) -> None:
    """minigan recipes"""
    no_more(args, "minigan recipes: every recipe, with the parameters of its networks and where it comes from")
    import numpy as np
    from rich.table import Table

    table = Table("recipe", "G", "D", "epochs", "source", box=None, padding=(0, 2, 0, 0))
    for column in table.columns[1:4]:
        column.justify = "right"
    for name, recipe in RECIPES.items():
        G, D = recipe.networks(np.random.default_rng(0))
        table.add_row(name, f"{G.params.size:,}", f"{D.params.size:,}", f"{recipe.epochs:,}", recipe.source)
    print_table(table)
    print(f"G, D: numbers of parameters. The default of minigan train is {DEFAULT}.")
