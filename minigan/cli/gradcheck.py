"""`minigan gradcheck`: checks, and what the terminal shows of them."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minigan.cli.arguments import first_word, parse
from minigan.cli.flags import About
from minigan.errors import ArgumentError, MiniganError, known_name
from minigan.gradcheck.anything import check_gradients
from minigan.gradcheck.report import Report
from minigan.recipes import RECIPES, Recipe
from minigan.recipes.loading import where_raised
from minigan.screen import Screen, Stages


@dataclass
class GradcheckOptions:
    """How to check."""

    in_shape: tuple[int, ...] = ()  # shape of the input without the batch, such as 4,7: of a layer, a pair, a loss
    batch: int | None = None  # images of the batch; default: 5 (4 for a recipe)
    seed: int = 0  # decides the point of the check
    picture: Path | None = None  # draw the error of each entry of the first check that failed into this PNG


def check_and_print(
    targets: dict[str, Any], *, in_shape: tuple[int, ...] | None, batch: int | None, seed: int, picture: Path | None
) -> bool:
    """Check each target, print its reports as tables, and whether all passed.

    Of a recipe both steps are checked twice: small, and at its published size along directions alone.
    Raises ArgumentError, in one line, if the code that is checked raises anything.
    """
    screen, reports, start = Screen(), [], time.perf_counter()
    work = [(name, *part) for name, target in targets.items() for part in checks_of(target)]
    with Stages(screen) as stage:
        for done, (name, target, options) in enumerate(work):
            note = f" ({options['note']})" if options else ""
            stage(f"Checking {name}{note}", done, len(work))
            given = {} if isinstance(target, Recipe) else {"in_shape": in_shape}
            for report in check_target(name, target, seed=seed, batch=batch, **given, **options):
                # In a pipe nothing is wrapped.
                screen.console.print(report) if screen.console.is_terminal else print(report)
                print()
                reports.append(report)
                if picture and not report:
                    draw_errors(report, picture)
                    picture = None  # the first that failed is the one to look at
    entries, kinks = sum(r.entries for r in reports), sum(r.kinks for r in reports)
    undecided = sum(round(r.undecided * r.entries) for r in reports)
    failed = sum(not r for r in reports)
    verdict = f"{failed} of {len(reports)} checks FAILED" if failed else f"all {len(reports)} checks passed"
    seconds = time.perf_counter() - start
    print(f"{verdict}: {entries:,} entries and directions, {undecided} undecided, {kinks} at kinks, {seconds:.1f} s")
    return not failed


def draw_errors(report: Report, path: Path) -> None:
    """Draw a report's errors, or say why not."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        report.picture(path)
    except ArgumentError as error:
        print(f"No picture: {error}.\n")
    else:
        print(f"The error of each entry: {path}\n")


def checks_of(target: Any) -> list[tuple[Any, dict[str, Any]]]:
    """What is checked one after the other, each with its options: of a recipe two sizes."""
    if isinstance(target, Recipe):
        return [(target.smoke(), {"note": "small"}), (target, {"note": "published size", "elementwise": 0})]
    return [(target, {})]


def check_target(name: str, target: Any, **options: Any) -> list[Report]:
    """The reports on one target, the mistakes of whose code become an ArgumentError."""
    try:
        return check_gradients(target, **options)
    except (MiniganError, BrokenPipeError):
        raise
    except (Exception, SystemExit) as error:  # a check that ends here has checked nothing
        raise ArgumentError(f"{name} raised {type(error).__name__}: {error}{where_raised(error)}") from None


def command(args: list[str]) -> None:
    """minigan gradcheck [RECIPE | module:NAME | file.py:NAME] [flags]"""
    from minigan.cli.gradcheck import check_and_print
    from minigan.recipes.loading import load_object

    what, flags = first_word(args)
    options: GradcheckOptions = parse(
        {"check": GradcheckOptions()},
        flags,
        About("minigan gradcheck", what, "[WHAT]", "thing to check"),
        description="Check hand-written gradients against numeric ones. WHAT is a recipe, or the module:NAME or "
        "file.py:NAME of a layer, a network, a loss x -> (value, gradient), a pair (forward, backward, *arrays), or a "
        "function without arguments that makes one of these; without WHAT: all recipes. Exit code 1: one is wrong.",
    ).check
    if options.picture and options.picture.suffix != ".png":
        raise ArgumentError(f"--picture must end in .png, got {options.picture}")
    if options.seed < 0 or (options.batch is not None and options.batch < 1):
        raise ArgumentError(f"--seed must not be negative and --batch at least 1, got {options.seed}, {options.batch}")
    if what and ":" not in what:
        what = known_name("recipe", what, RECIPES, also="; or module:NAME, or file.py:NAME")
    recipes = {what: RECIPES[what]} if what in RECIPES else RECIPES
    targets = {what: load_object(what)} if ":" in what else recipes
    passed = check_and_print(
        targets, in_shape=options.in_shape or None, batch=options.batch, seed=options.seed, picture=options.picture
    )
    if not passed:
        sys.exit(1)
