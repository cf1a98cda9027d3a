"""The command line: what `minigan COMMAND` does. A user's mistake ends in one line and exit code 2."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from minigan import __version__
from minigan.arguments import asks_help, first_word, no_more, parse, parse_run, print_table, take_flag
from minigan.errors import ArgumentError, MiniganError, RecipeMissingError, nearest
from minigan.flags import Subject
from minigan.named import in_a_command, know, recipe_named, take_recipe
from minigan.options import (
    BenchOptions,
    EvaluateOptions,
    ExerciseOptions,
    ExportOptions,
    GradcheckOptions,
    ResumeOptions,
    RunOptions,
    SampleOptions,
)
from minigan.recipes import DEFAULT, RECIPES
from minigan.recipes.own import check_own, users_code
from minigan.usage import NO_COMMANDS, USAGE, ask_plainly

if TYPE_CHECKING:
    from minigan.screen import Say


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command; exits with 2 and one line on a user's mistake, 130 on Ctrl-C, 143 on SIGTERM."""
    args = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 shows "?", rather than a traceback
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its remarks on its own cache are nobody's business here
    commands = {
        "train": train,
        "sample": sample,
        "evaluate": evaluate,
        "export": export,
        "gradcheck": gradcheck,
        "exercise": exercise,
        "bench": bench,
        "recipes": recipes,
        "info": info,
    }
    try:
        args = ask_plainly(args)
        if not args or args == ["--help"]:
            print(USAGE, end="")
        elif args[0] == "--version":
            print(f"minigan {__version__}")
        elif args[0] in NO_COMMANDS:
            raise ArgumentError(f"unknown command {args[0]!r}; {NO_COMMANDS[args[0]]}")
        else:
            commands[nearest("command", args[0], commands)](args[1:])
        if sys.stdout is not None:  # it is None where the shell has closed it
            sys.stdout.flush()
    except RecipeMissingError as error:
        fail(in_a_command(error, args))
    except MiniganError as error:
        fail(str(error))
    except BrokenPipeError:  # whoever read our output has had enough (… | head)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that flushing at exit does not fail once more
        sys.exit(1)
    except OSError as error:  # a full or read-only disk, a folder without permission
        fail(f"{error.strerror}: {error.filename}" if error.filename else error.strerror or str(error))
    except MemoryError as error:
        fail(f"not enough memory: {error}; a smaller batch, network or count needs less")
    except KeyboardInterrupt as stop:
        print("minigan: interrupted", file=sys.stderr)
        sys.exit(128 + getattr(stop, "number", 2))  # 130 after Ctrl-C, 143 after SIGTERM


def train(args: list[str]) -> None:
    """minigan train [RECIPE | --recipe file.py:NAME] [flags] | --resume RUN [flags]"""
    from minigan import runs

    source, args = take_recipe(args)
    if any(arg.split("=")[0] == "--resume" for arg in args):
        resume(args, source)
        return
    name, flags = first_word(args)
    recipe = recipe_named(name, source, "minigan train")
    with users_code(f"{type(recipe).__name__}.smoke()"):
        recipe = recipe.smoke() if "--smoke" in flags else recipe
    parsed = parse(
        {"recipe": recipe, "run": RunOptions(recipe=source)},
        flags,
        Subject("minigan train", f"--recipe {source}" if source else name, DEFAULT, "recipe", RECIPES),
        description=f"{recipe.source or recipe.name}.\nEvery number of the recipe is a flag. Recipes: "
        f"{', '.join(RECIPES)}, and file.py:NAME behind --recipe.",
    )
    options = asdict(parsed.run)
    del options["smoke"], options["recipe"]
    runs.start(parsed.recipe, **options)


def resume(args: list[str], source: str | None) -> None:
    """minigan train --resume RUN [flags]"""
    from minigan import runs

    folder, flags = take_flag("--resume", args)
    if words := [word for word in flags if word in RECIPES]:
        raise ArgumentError(f"a run keeps its recipe: leave {words[0]} out of minigan train --resume {folder}")
    for flag, what in (("--seed", "seed"), ("--dataset", "images"), ("--out", "folder")):
        if any(given.split("=")[0] == flag for given in flags):
            raise ArgumentError(f"a run keeps its {what}: leave {flag} out of minigan train --resume {folder}")
    know(source, folder, tell=False)
    before = RECIPES[DEFAULT] if asks_help(args) else runs.Run(folder).recipe
    parsed = parse(
        {"recipe": before, "run": ResumeOptions(recipe=source)},
        flags,
        Subject("minigan train --resume", folder, "RUN", "run"),
        description="Go on with a run from its newest checkpoint, as if it had never stopped. The numbers of the "
        "recipe are the run's own: --epochs may grow, another has to be named in --accept too.",
    )
    wanted = {k: v for k, v in asdict(parsed.recipe).items() if v != getattr(before, k)}
    options = asdict(parsed.run)
    del options["recipe"]
    runs.resume(folder, **options, **wanted)


def sample(args: list[str]) -> None:
    """minigan sample RUN [flags]"""
    from minigan.runs.sampling import sample as write

    run, options = parse_run(
        SampleOptions(),
        args,
        command="minigan sample",
        description="Draw images with the newest generator of a run, or with that of RUN/checkpoints/FILE.safetensors.",
    )
    know(options.recipe, run)
    write(run, **{key: value for key, value in asdict(options).items() if key != "recipe"})


def evaluate(args: list[str]) -> None:
    """minigan evaluate RUN [flags]"""
    import json

    from minigan.runs import evaluation

    options: EvaluateOptions
    run, options = parse_run(
        EvaluateOptions(),
        args,
        command="minigan evaluate",
        description="Measure the samples of a run's newest generator as the papers do, with real images and noise for "
        "comparison. Leaves RUN/evaluation.json, and in RUN/samples/nearest.png the samples nearest to training data.",
    )
    know(options.recipe, run)
    choice = {key: value for key, value in asdict(options).items() if key not in ("json", "recipe")}
    result = evaluation.evaluate(run, **choice, say=talk(options.json))
    if options.json:
        print(json.dumps(result))
        return
    print_table(evaluation.table(result))
    print(f"\n{evaluation.legend(result)}\nThe samples nearest to training images: {run}/samples/nearest.png")


def export(args: list[str]) -> None:
    """minigan export RUN [flags]"""
    from minigan.runs.exporting import export as write

    options: ExportOptions
    run, options = parse_run(
        ExportOptions(),
        args,
        command="minigan export",
        description="Write the newest generator of a run, or that of RUN/checkpoints/FILE.safetensors, for programs "
        "that know nothing of minigan: as ONNX, or as the weights of a PyTorch network whose code is then printed.",
    )
    know(options.recipe, run)
    if code := write(run, options.out, say=talk(to_stderr=True)):
        print(code)
    print(f"Wrote the generator to {options.out}", file=sys.stderr if code else sys.stdout)


def gradcheck(args: list[str]) -> None:
    """minigan gradcheck [RECIPE | module:NAME | file.py:NAME] [flags]"""
    from minigan.gradcheck.anything import load
    from minigan.gradcheck.command import check_and_print

    what, flags = first_word(args)
    options: GradcheckOptions = parse(
        {"check": GradcheckOptions()},
        flags,
        Subject("minigan gradcheck", what, "[WHAT]", "thing to check"),
        description="Check hand-written gradients against numeric ones. WHAT is a recipe, or the module:NAME or "
        "file.py:NAME of a layer, a network, a loss x -> (value, gradient), a pair (forward, backward, *arrays), or a "
        "function without arguments that makes one of these; without WHAT: all recipes. Exit code 1: one is wrong.",
    ).check
    if options.picture and options.picture.suffix != ".png":
        raise ArgumentError(f"--picture must end in .png, got {options.picture}")
    if options.seed < 0 or (options.batch is not None and options.batch < 1):
        raise ArgumentError(f"--seed must not be negative and --batch at least 1, got {options.seed}, {options.batch}")
    if what and ":" not in what:
        what = nearest("recipe", what, RECIPES, also="; or module:NAME, or file.py:NAME")
    targets = {name: RECIPES[name] for name in ([what] if what else RECIPES)} if ":" not in what else {what: load(what)}
    passed = check_and_print(
        targets, in_shape=options.in_shape or None, batch=options.batch, seed=options.seed, picture=options.picture
    )
    if not passed:
        sys.exit(1)


def exercise(args: list[str]) -> None:
    """minigan exercise NAME [flags]"""
    from minigan.data.datasets import NAMES
    from minigan.exercises import STUBS, work_on

    name, flags = first_word(args)
    options: ExerciseOptions = parse(
        {"exercise": ExerciseOptions()},
        flags,
        Subject("minigan exercise", name, "NAME", "exercise", STUBS),
        description="The first time, write a stub to complete; after that, check it and say what is wrong; once it is "
        f"right, train with it. Exercises: {', '.join(STUBS)}.",
    ).exercise
    if not name:
        raise ArgumentError(f"which exercise? minigan exercise {' | '.join(STUBS)}")
    if options.dataset not in NAMES and not Path(options.dataset).is_dir():
        nearest("dataset", options.dataset, NAMES, also=", or a folder of IDX files")
    if options.epochs < 0:
        raise ArgumentError(f"--epochs must not be negative, got {options.epochs}")
    if not work_on(name, options.out, epochs=options.epochs, dataset=options.dataset):
        sys.exit(1)


def bench(args: list[str]) -> None:
    """minigan bench [RECIPE | --recipe file.py:NAME] [flags]"""
    import json

    from minigan import bench as benchmark
    from minigan.backend import resolve_device

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


def recipes(args: list[str]) -> None:
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


def info(args: list[str]) -> None:
    """minigan info"""
    no_more(args, "minigan info: versions, BLAS, GPU and data, as minigan finds them on this machine")
    from rich.table import Table

    from minigan.info import facts

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, fact in facts():
        table.add_row(name, fact)
    print_table(table)


def talk(to_stderr: bool) -> Say:
    """Where a command says what it is doing: standard error, if standard output is to hold nothing else."""
    from rich.console import Console

    from minigan.screen import Screen

    return Screen(Console(stderr=True, highlight=False)) if to_stderr else print


def fail(message: str) -> NoReturn:
    print(f"minigan: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
