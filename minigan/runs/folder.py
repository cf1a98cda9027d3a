"""A run's folder: which one a new run gets, what stands in it first, and who may write there."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from minigan import __version__
from minigan.backend.loops import done_by
from minigan.data.datasets import Dataset
from minigan.errors import (
    RunBusyError,
    RunExistsError,
)
from minigan.recipes import Recipe
from minigan.recipes.own import is_own, source_of
from minigan.runs import lost
from minigan.runs.recorded import record_of
from minigan.runs.saved import checkpoints
from minigan.store.files import quoted, write_atomically
from minigan.train import Callback, Row, Trainer


def check_free(out: Path) -> None:
    """Raise RunExistsError if `out` holds a run, or what is left of one."""
    if checkpoints(out) and ((out / "config.json").exists() or lost.stand_in(out, None)):
        command = f"minigan train --resume {quoted(out)}"
        raise RunExistsError(f"{out} already holds a run; go on with it: {command}, or give another --out")
    if any((out / part).exists() for part in ("config.json", "metrics.jsonl", "samples", "checkpoints")):
        raise RunExistsError(f"{out} already holds what is left of a run; give another --out, or move that away")


def claim_run(out: Path | None, name: str) -> Path:
    """Make the run's folder: `out`, or the next free `runs/NAME-NNN`. No other run can claim the same."""
    if out is None:
        numbers = [int(n) for p in Path("runs").glob(f"{name}-*") if (n := p.name.removeprefix(f"{name}-")).isdecimal()]
        out = Path("runs") / f"{name}-{max(numbers, default=0) + 1:03d}"
    check_free(out)
    try:
        (out / "checkpoints").mkdir(parents=True)
    except FileExistsError:
        raise RunExistsError(f"{out} has just been taken by another run; start again") from None
    (out / "samples").mkdir()
    return out


class Lock(Callback):
    """One training at a time in a folder: a lock of the system's on RUN/.lock, an empty file that stays.

    It goes with the process, however that ends. A file that is deleted lets a second process in, which makes and locks
    a new one: so before each row of metrics it is looked for, and locked anew where it is gone or another. Raises
    RunBusyError if somebody else has it, at first or then.
    """

    def __init__(self, folder: Path):
        self.path, self.owner = folder / ".lock", os.getpid()
        self.take()

    def take(self) -> None:
        from filelock import lock_descriptor

        self.file = self.path.open("ab")
        try:
            free = lock_descriptor(self.file.fileno(), blocking=False)
        except OSError:  # a file system without locks
            return
        if not free:
            self.file.close()
            raise RunBusyError(
                f"another process, or this one, is training in {self.path.parent}; wait for it, or stop it"
            )

    def give_back(self) -> None:
        from filelock import unlock_descriptor

        if not self.file.closed and os.getpid() == self.owner:  # a fork has the same lock, and must not end it
            with suppress(OSError):  # where there are none
                unlock_descriptor(self.file.fileno())
        self.file.close()

    def logged(self, trainer: Trainer, row: Row) -> None:
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(self.file.fileno()), self.path.stat()):
                return
        self.give_back()
        self.take()


@contextmanager
def locked(folder: Path) -> Iterator[Lock]:
    """While entered, nobody else can train in the folder; raises RunBusyError if somebody does."""
    lock = Lock(folder)
    try:
        for litter in folder.rglob(".*.tmp"):  # of a process that was killed while it wrote
            with suppress(PermissionError):  # on Windows, of one that is writing: it may be evaluated meanwhile
                litter.unlink()
        yield lock
    finally:
        lock.give_back()


def facts_of(trainer: Trainer, data: Dataset) -> dict[str, Any]:
    """Everything that decides a run: what config.json and every checkpoint of it begin with."""
    return {
        **record_of(trainer.recipe),
        "seed": trainer.seed,
        "dataset": data.record,
        "elementwise": done_by(trainer.device),
        "versions": {"minigan": __version__, "numpy": np.__version__, "python": platform.python_version()},
    }


def keep_source(folder: Path, recipe: Recipe, until: int = 0) -> None:
    """RUN/recipe.py: the text of a recipe of one's own, to be read; minigan runs it only where it is asked to by name.

    Another text that stands there, by which the run was trained `until` this epoch, is put beside it.
    """
    kept, text = folder / "recipe.py", source_of(type(recipe))[1] if is_own(recipe) else None
    if text is None or (kept.exists() and kept.read_bytes() == text):
        return
    if kept.exists():
        kept.replace(folder / f"recipe-until-epoch-{until:04d}.py")
    write_atomically(kept, text)


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """RUN/config.json: what decides the run, its settings, what was changed on the way, and whether it is finished."""
    write_atomically(folder / "config.json", (json.dumps(config, indent=2) + "\n").encode())
