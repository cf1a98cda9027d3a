"""minigan bench: how long a training step takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from minigan.cli.arguments import first_word, parse
from minigan.cli.flags import About
from minigan.cli.named import recipe_named
from minigan.cli.tables import print_table, talk
from minigan.recipes import DEFAULT, RECIPES
from minigan.recipes.own import check_own


@dataclass
class BenchOptions:
    """What to measure and how to say it."""

    recipe: str | None = None  # file.py:NAME of a recipe of your own
    steps: int = 30  # steps that are timed, after a few that are not
    device: Literal["auto", "cpu", "gpu", "dpnp"] = "auto"  # auto: the GPU if one works; dpnp: an Intel GPU
    json: bool = False  # print one JSON object, and nothing else


def command(args: list[str]) -> None:
    """minigan bench [RECIPE | --recipe file.py:NAME] [flags]"""
    import json

    from minigan.backend import resolve_device
    from minigan.backend.loops import told_of_compiling
    from minigan.train import timing as benchmark
    from minigan.train.rehearsal import rehearse

    what, flags = first_word(args)
    options: BenchOptions = parse(
        {"bench": BenchOptions()},
        flags,
        About("minigan bench", what, DEFAULT, "recipe", RECIPES),
        description="Time the training steps of a recipe, on random images.",
    ).bench
    recipe = recipe_named(what, options.recipe, "minigan bench")
    check_own(recipe)
    rehearse(recipe)
    device, reason = resolve_device(options.device)
    if reason and not options.json:
        print(reason)
    say = talk(options.json)
    say(f"Timing {options.steps} steps of {recipe.name}")  # nothing alive beside what is timed
    with told_of_compiling(say):  # in the steps that are not counted
        result = benchmark.bench(recipe, steps=options.steps, device=device)
    if options.json:
        print(json.dumps(result))
        return
    print_table(timing_table(result))


def timing_table(result: dict[str, Any]) -> Any:
    """The result of `bench` for a terminal."""
    from rich.table import Table

    low, high = result["step_ms_range"]
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    facts.add_row(result["recipe"], f"{result['step_ms']:.2f} ms a step on the {result['device']}")
    facts.add_row("range", f"{low:.2f} to {high:.2f} ms in {result['steps']} steps")
    facts.add_row("an epoch", f"{result['epoch_s']} s")
    whole = sum(result["parts_ms"].values())
    for part, ms in result["parts_ms"].items():
        facts.add_row(f"  {part}", f"{ms / whole:5.1%}  {ms:.2f} ms")
    rates = f"{result['products_gflops']:.0f} GFLOP/s in them, {result['gflops']:.0f} over the step"
    facts.add_row("products", f"{result['products']} a step, {result['gflop']} GFLOP; {rates}")
    if result["peak_mb"] is not None:
        memory = f"{result['peak_mb']} MB at most, {result['step_mb']} MB of arrays come and go in a step"
        facts.add_row("memory", f"{memory}, {result['fresh_pages']} fresh pages")
    return facts
