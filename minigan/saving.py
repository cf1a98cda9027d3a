"""When a run is saved, under which name, and which checkpoints are kept.

RUN/checkpoints/epoch-0003.safetensors        after the third epoch
RUN/checkpoints/epoch-0003+0120.safetensors   120 steps later
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigan.backend import RandomStream
from minigan.errors import ArgumentError, CheckpointError, MiniganError, RecipeMissingError, whole
from minigan.facts import FACTS, POSITION, check_entries, check_means
from minigan.nn import Layer, Sequential
from minigan.nn.flat import state_shapes
from minigan.own import users_code
from minigan.recipes import RECIPES, Recipe
from minigan.recorded import recipe_of
from minigan.store.checkpoint import check_alike, part, restore, save_checkpoint
from minigan.store.files import flush
from minigan.store.tensors import read_tensors
from minigan.train import Callback, Row, Trainer
from minigan.watch.logs import LOGS, read_rows
from minigan.watch.rhythm import Every


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a run's folder, the newest last."""
    found = {path: place(path) for path in (folder / "checkpoints").glob("epoch-*.safetensors")}
    return sorted((path for path in found if found[path]), key=lambda path: found[path] or (0, 0))


def place(path: Path) -> tuple[int, int] | None:
    """(whole epochs, steps since) of a checkpoint, by its name; None for another name."""
    match = re.fullmatch(r"epoch-(\d{1,9})(?:\+(\d{1,9}))?", path.stem)
    return (int(match[1]), int(match[2] or 0)) if match else None


@dataclass(frozen=True)
class Keep:
    """Which checkpoints stay: the last few, every so many epochs one, and the best.

    Those within an epoch serve until the next is complete. `best`: the epoch that `quality.jsonl` finds best is kept.
    """

    last: int = 2  # so that there is one to go on from should the newest be damaged
    every: int = 0  # epochs; 0: none for that reason

    def __post_init__(self) -> None:
        for field, flag, least in (("last", "--keep", 1), ("every", "--keep-every", 0)):
            value = whole(getattr(self, field), f"{flag} must be a whole number, at least {least}", least=least)
            object.__setattr__(self, field, value)

    def choose(self, places: list[tuple[int, int]], best: int | None = None) -> set[tuple[int, int]]:
        """Of checkpoints at these places, those that stay."""
        whole = sorted(p for p in places if p[1] == 0)
        within = sorted(p for p in places if p[1] and (not whole or p > whole[-1]))
        regular = {p for p in whole if self.every and p[0] and p[0] % self.every == 0}
        return {*whole[-self.last :], *within[-self.last :], *regular, *(p for p in whole if p[0] == best)}


class Checkpoints(Callback):
    """Saves all that a run needs to go on, every so often and when it is stopped or over.

    `facts` are what decides the run (recipe, seed, images, versions): a checkpoint holds them too, so that it can be
    used alone, and no file beside it can contradict it unnoticed.
    """

    def __init__(self, run: Path, facts: dict[str, Any], every: Every, keep: Keep):
        self.run, self.facts, self.every, self.keep = run, facts, every, keep

    def start(self, trainer: Trainer) -> None:
        self.rows, self.digest = 0, hashlib.sha256()
        for row in trainer.history:
            self.logged(trainer, row)

    def logged(self, trainer: Trainer, row: Row) -> None:
        self.rows += 1
        self.digest.update(as_line(row))

    def settled(self, trainer: Trainer) -> None:
        whole = trainer.step == trainer.epoch * trainer.epoch_steps
        due = whole and (self.every.epoch_due(trainer.epoch) or best_epoch(self.run) == trainer.epoch)
        if due or self.every.step_due(trainer.step) or trainer.epoch == trainer.recipe.epochs:
            self.save(trainer)

    def stopped(self, trainer: Trainer) -> None:
        self.save(trainer)

    def save(self, trainer: Trainer) -> Path:
        """Write the checkpoint of where the trainer stands, then remove those that need not be kept."""
        trainer.check_weights()
        at = (trainer.epoch, trainer.step - trainer.epoch * trainer.epoch_steps)
        name = f"epoch-{at[0]:04d}+{at[1]:04d}" if at[1] else f"epoch-{at[0]:04d}"
        path = self.run / "checkpoints" / f"{name}.safetensors"
        for log in LOGS:
            flush(self.run / log)  # what the checkpoint counts must not be younger on the disk than it
        history = {"rows": self.rows, "sha256": self.digest.hexdigest()}
        layers = {name: described(network.layers) for name, network in trainer.networks.items()}
        header = {**self.facts, **trainer.position(), "history": history, "architecture": layers}
        save_checkpoint(path, trainer.networks, trainer.optimizers, trainer.kept_grads(), **header)
        found = {place(p): p for p in checkpoints(self.run)}
        for stale in found.keys() - self.keep.choose([p for p in found if p], best_epoch(self.run)):
            with suppress(PermissionError):  # Windows, while somebody draws from it: the next save tries again
                found[stale].unlink()
        return path


def best_epoch(run: Path) -> int | None:
    """The epoch of the least Fréchet distance in RUN/quality.jsonl, the first of equals; None if none was measured."""
    rows = read_rows(run / "quality.jsonl")
    return min(rows, key=lambda row: row["frechet"])["epoch"] if rows else None


class Saved(NamedTuple):
    """A checkpoint of a run, read and found to be whole: its networks have the shapes of its recipe's."""

    path: Path
    header: dict[str, Any]
    tensors: dict[str, np.ndarray]
    recipe: Recipe

    def generator(self) -> Sequential:
        """The generator that pictures come from, G or its average, on the CPU."""
        G, _ = self.recipe.networks(RandomStream(0, "init").host)
        restore(self.path, self.header, self.tensors, {"average" if self.recipe.average else "G": G})
        return G

    def into(self, trainer: Trainer) -> None:
        """Bring a trainer to where this was saved; raises CheckpointError, before anything is touched, if it cannot."""
        try:
            trainer.check_position(self.header)
        except ArgumentError as error:
            raise CheckpointError(f"{self.path} does not fit this run: {error}") from None
        tensors = self.tensors
        if not self.recipe.average:  # one that begins now starts as a copy of G
            tensors = {**tensors, **{f"average.{name}": array for name, array in part(tensors, "G").items()}}
        # Before G's first update there is no last gradient of it either, and its norm is 0.
        kept = trainer.kept_grads() if self.recipe.d_steps > 1 else {}
        check_alike(self.path, tensors, kept)
        restore(self.path, self.header, tensors, trainer.networks, trainer.optimizers)
        trainer.go_on_from(self.header, part({name: tensors[name] for name in kept}, "last"))

    def history(self, run: Path) -> list[Row]:
        """The rows of metrics up to here; raises CheckpointError if RUN/metrics.jsonl does not hold the very same."""
        rows = [row for row in read_rows(run / "metrics.jsonl") if row["step"] <= self.header["step"]]
        wanted = self.header["history"]
        if len(rows) != wanted["rows"] or hashlib.sha256(b"".join(map(as_line, rows))).hexdigest() != wanted["sha256"]:
            raise CheckpointError(
                f"{run / 'metrics.jsonl'} holds {len(rows)} whole rows up to step {self.header['step']:,} and not the "
                f"{wanted['rows']} that {self.path.name} was saved with"
            )
        return rows


def read_saved(path: Path) -> Saved:
    """Read a checkpoint of a run; nothing of the size that its header claims is made before its arrays bear it out.

    Raises CheckpointError if it is missing, damaged, not of a run, or not of its own recipe; RecipeMissingError if that
    is somebody's own, and not defined here.
    """
    header, tensors = read_tensors(path)
    if "own" not in header and header.get("recipe") not in tuple(RECIPES):
        raise CheckpointError(f"{path} is no checkpoint of a run: it names no recipe that this minigan knows")
    try:
        check_entries(header, {**FACTS, **POSITION})
        check_means(header["means"])
        recipe = recipe_of(header, path)
        with users_code(f"{type(recipe).__name__}.layers()"):
            shapes = {
                name: (layers, state_shapes(layers, shape)) for name, (layers, shape) in recipe.architecture().items()
            }
        for name, (layers, shape) in shapes.items():
            check_shapes(shape, part(tensors, name))
            if (stored := header["architecture"].get(name)) != described(layers):
                raise CheckpointError(f"{name} was {stored} and is now {described(layers)}")
    except RecipeMissingError:
        raise
    except (KeyError, TypeError, AttributeError, MiniganError) as error:
        raise CheckpointError(f"{path} does not fit its own recipe: {error}") from None
    if (named := place(path)) and named[0] != header["epoch"]:
        raise CheckpointError(
            f"{path} was saved after epoch {header['epoch']}, and not after {named[0]} as its name says"
        )
    return Saved(path, header, tensors, recipe)


def described(layers: list[Layer]) -> list[str]:
    """Every layer with its options: what no shape tells, such as the slope of a LeakyReLU."""
    return [repr(layer) for layer in layers]


def check_shapes(shapes: dict[str, tuple[int, ...]], tensors: dict[str, np.ndarray]) -> None:
    """Raise CheckpointError unless the tensors have these names and shapes."""
    for name in sorted(shapes.keys() | tensors.keys()):
        expected, found = shapes.get(name), tensors[name].shape if name in tensors else None
        if expected != found:
            raise CheckpointError(f"{name} is {found or 'not there'} and should be {expected or 'not there'}")


def as_line(row: Row) -> bytes:
    """A row of metrics as it stands in its file."""
    return (json.dumps(row) + "\n").encode()
