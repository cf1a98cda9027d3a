"""minigan bench: how long a training step takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from minigan.cli.arguments import first_word, parse
from minigan.cli.bench import BenchOptions
from minigan.cli.flags import Subject
from minigan.cli.named import recipe_named
from minigan.cli.tables import print_table, talk
from minigan.recipes import DEFAULT, RECIPES
from minigan.recipes.own import check_own

if TYPE_CHECKING:
    pass


def bench(args: list[str]) -> None:
    """minigan bench [RECIPE | --recipe file.py:NAME] [flags]"""
    import json

    from minigan.backend import resolve_device
    from minigan.train import timing as benchmark

    what, flags = first_word(args)
    options: BenchOptions = parse(
        {"bench": BenchOptions()},
        flags,
        Subject("minigan bench", what, DEFAULT, "recipe", RECIPES),
        description="Time the training steps of a recipe, on random images.",
    ).bench
    recipe = recipe_named(what, options.recipe, "minigan bench")
    check_own(recipe)
    device, reason = resolve_device(options.device)
    if reason and not options.json:
        print(reason)
    talk(options.json)(f"Timing {options.steps} steps of {recipe.name}")  # nothing alive beside what is timed
    result = benchmark.bench(recipe, steps=options.steps, device=device)
    if options.json:
        print(json.dumps(result))
        return
    print_table(benchmark.table(result))


@dataclass
class BenchOptions:
    """What to measure and how to say it."""

    recipe: str | None = None  # file.py:NAME of a recipe of your own
    steps: int = 30  # steps that are timed, after a few that are not
    device: Literal["auto", "cpu", "gpu"] = "auto"  # auto: the GPU if one works
    json: bool = False  # print one JSON object, and nothing else
