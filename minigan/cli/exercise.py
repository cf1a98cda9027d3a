"""minigan exercise: pieces of minigan to write oneself."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from minigan.cli.arguments import first_word, parse
from minigan.cli.flags import About
from minigan.errors import ArgumentError, known_name


@dataclass
class ExerciseOptions:
    """Where to work, and what to do with a finished piece."""

    out: Path = Path("exercises")  # folder of the stub and its test
    epochs: int = 4  # of training with the finished piece, up to half a minute each on two cores; 0: do not train
    dataset: str = "auto"  # what to train on: see minigan train --help (maxpool2d and softmax: always glyphs)


def command(args: list[str]) -> None:
    """minigan exercise NAME [flags]"""
    from minigan.data.datasets import NAMES
    from minigan.exercises import STUBS, work_on

    name, flags = first_word(args)
    options: ExerciseOptions = parse(
        {"exercise": ExerciseOptions()},
        flags,
        About("minigan exercise", name, "NAME", "exercise", STUBS),
        description="The first time, write a stub to complete; after that, check it and say what is wrong; once it is "
        f"right, train with it. Exercises: {', '.join(STUBS)}.",
    ).exercise
    if not name:
        raise ArgumentError(f"which exercise? minigan exercise {' | '.join(STUBS)}")
    if options.dataset not in NAMES and not Path(options.dataset).is_dir():
        known_name("dataset", options.dataset, NAMES, also=", or a folder of IDX files")
    if options.epochs < 0:
        raise ArgumentError(f"--epochs must not be negative, got {options.epochs}")
    if not work_on(name, options.out, epochs=options.epochs, dataset=options.dataset):
        sys.exit(1)
