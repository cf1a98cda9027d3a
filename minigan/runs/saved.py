"""A checkpoint of a run, read: what it holds, whether it is whole, and what comes out of it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigan.backend import RandomStream
from minigan.errors import ArgumentError, CheckpointError, MiniganError, RecipeMissingError
from minigan.nn import Layer, Sequential
from minigan.nn.flat import state_shapes
from minigan.recipes import RECIPES, Recipe
from minigan.recipes.own import users_code
from minigan.runs.recorded import recipe_of
from minigan.runs.schema import FACTS, POSITION, check_entries, check_means
from minigan.store.checkpoint import check_alike, part, restore
from minigan.store.tensors import read_tensors
from minigan.train import Row, Trainer
from minigan.watch.logs import read_rows


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a run's folder, the newest last."""
    found = {path: epoch_and_step(path) for path in (folder / "checkpoints").glob("epoch-*.safetensors")}
    return sorted((path for path in found if found[path]), key=lambda path: found[path] or (0, 0))


def epoch_and_step(path: Path) -> tuple[int, int] | None:
    """(whole epochs, steps since) of a checkpoint, by its name; None for another name."""
    match = re.fullmatch(r"epoch-(\d{1,9})(?:\+(\d{1,9}))?", path.stem)
    return (int(match[1]), int(match[2] or 0)) if match else None


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
    if (named := epoch_and_step(path)) and named[0] != header["epoch"]:
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
