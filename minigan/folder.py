"""A run's folder: which one a new run gets, what stands in it first, who may write there, and what can be read."""

from __future__ import annotations

import base64
import html
import json
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from minigan import __version__, lost, plot
from minigan.backend import RandomStream
from minigan.data.datasets import Dataset
from minigan.errors import (
    MiniganError,
    RecipeMissingError,
    RunBusyError,
    RunExistsError,
    RunMissingError,
    whole,
)
from minigan.facts import FACTS, check_entries
from minigan.nn import Sequential
from minigan.own import is_own, source_of
from minigan.recipes import Recipe
from minigan.recipes.recipe import SIZE
from minigan.recorded import recipe_of, record_of
from minigan.saving import checkpoints, place, read_saved
from minigan.screen import Say, silence
from minigan.store.files import quoted, write_atomically
from minigan.store.tensors import read_tensors
from minigan.train import Callback, Row, Trainer, draw_latents, generate
from minigan.watch.logs import read_rows

CHUNK = 1_000  # samples drawn at a time: two batches
#: What config.json says of a run that decides nothing: how often it is shown and saved, and where it came from;
SETTINGS: dict[str, Any] = {
    **{"device": str, "data_dir": str | None, "sample_every": str, "save_every": str},
    **dict.fromkeys(("keep", "keep_every", "score_every"), int),
}
#: and what minigan did before it said so, of what is not there.
BEFORE: dict[str, Any] = {
    **{"device": "auto", "data_dir": None, "sample_every": "1", "save_every": "1"},
    **{"keep": 2, "keep_every": 0, "score_every": 0},
}


class Run:
    """A run's folder, for reading. In a notebook it shows its newest digits and its curves.

    `path` is the folder, or one of the checkpoints in it, which then stands in for the newest.
    Attributes: `folder`, `config` (the content of config.json; where that is gone, what the newest whole checkpoint
    says), `lost` (a sentence that says so, or ""), `recipe`, `seed`, `dataset`.
    Raises RunMissingError if there is no run, or not a whole one, at `path`; RecipeMissingError if its recipe is one's
    own, and not defined here.
    """

    def __init__(self, path: str | Path):
        self.folder, self.chosen = Path(path), None
        if self.folder.suffix == ".safetensors":
            self.folder, self.chosen = Path(path).absolute().parent.parent, Path(path)
        self.lost = ""
        try:
            self.config: dict[str, Any] = self.read(path)
            stated = {**BEFORE, "changes": [], **self.config}
            check_entries(stated, {**FACTS, **SETTINGS, "changes": list})
            self.recipe: Recipe = recipe_of(self.config, self.folder)
            self.seed: int = self.config["seed"]
            self.dataset: dict[str, Any] = self.config["dataset"]
            self.settings = {key: stated[key] for key in SETTINGS}
        except (RecipeMissingError, RunMissingError):
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, MiniganError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise RunMissingError(
                f"{self.folder / 'config.json'} cannot be read ({reason}); {lost.remedy(self.folder)}"
            ) from None

    def read(self, path: str | Path) -> dict[str, Any]:
        """What config.json says, or what stands in for it."""
        try:
            return json.loads((self.folder / "config.json").read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            if found := lost.stand_in(self.folder, self.chosen):
                config, self.lost = found
                return {**config, "data_dir": None}
            inside = "it" if self.chosen is None else self.folder
            nor = ", nor a whole checkpoint to stand in for it" if checkpoints(self.folder) else ""
            raise RunMissingError(f"{path} is not a run: there is no config.json in {inside}{nor}") from None

    @property
    def checkpoint(self) -> Path:
        """The newest checkpoint, or the chosen one; raises RunMissingError if there is none."""
        if self.chosen:
            return self.chosen
        if not (found := checkpoints(self.folder)):
            raise RunMissingError(f"{self.folder} holds no checkpoint")
        return found[-1]

    @property
    def epoch(self) -> int:
        """The whole epochs of that checkpoint."""
        return (place(self.checkpoint) or (0, 0))[0]

    def is_finished(self) -> bool:
        """Whether it is trained to the end, with the pictures that come then."""
        return self.config.get("finished") == self.recipe.epochs == self.epoch

    def metrics(self) -> list[Row]:
        """The rows of metrics.jsonl."""
        return read_rows(self.folder / "metrics.jsonl")

    def alarms(self) -> list[Row]:
        """What the alarms said: rows of step, epoch, alarm, saw, means and try; [] if all was quiet."""
        return read_rows(self.folder / "alarms.jsonl")

    def generator(self) -> Sequential:
        """The generator of the checkpoint that pictures come from: G, or its average. On the CPU.

        Raises RunMissingError if there is none, CheckpointError if it is damaged.
        """
        return read_saved(self.checkpoint).generator()

    def sample(self, count: int = 100, *, seed: int = 0, tell: Callable[[int], None] | None = None) -> np.ndarray:
        """uint8 (count, 28, 28): new images, decided by `seed`; `tell` is told on the way how many there are.

        Raises ArgumentError for a count below 1.
        """
        return draw(self.checkpoint, count, seed=seed, tell=tell)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    def _repr_html_(self) -> str:
        """Twenty samples, the curves, and what the run is, for a notebook."""
        images = [plot.png(plot.image_grid(self.sample(20)).repeat(2, axis=0).repeat(2, axis=1))]
        curves = self.folder / "samples" / "curves.png"
        images += [curves.read_bytes()] if curves.exists() else []
        pictures = "".join(
            f'<img src="data:image/png;base64,{base64.b64encode(image).decode()}" style="max-height: 30em"><br>'
            for image in images
        )
        facts = (
            f"{self.recipe.name} on {self.dataset['images']:,} images of {self.dataset['name']}, "
            f"seed {self.seed}, after {self.epoch} of {self.recipe.epochs} epochs, in {self.folder}"
        )
        return f"<div><p>{html.escape(facts)}</p>{pictures}</div>"


def stated(path: str | Path) -> dict[str, Any]:
    """What a run's config.json, or a checkpoint, says of it, unchecked; {} if it cannot be read."""
    try:
        if Path(path).suffix == ".safetensors":
            return read_tensors(Path(path))[0]
        found = json.loads((Path(path) / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def checkpoint_of(path: str | Path, say: Say = silence) -> Path:
    """A checkpoint itself, or the newest of a run's folder; raises RunMissingError if there is none.

    `say` is told what is lost of the folder.
    """
    if Path(path).suffix == ".safetensors":
        return Path(path)
    run = Run(path)
    if run.lost:
        say(f"{run.lost}.")
    return run.checkpoint


def draw(checkpoint: Path, count: int, *, seed: int = 0, tell: Callable[[int], None] | None = None) -> np.ndarray:
    """uint8 (count, 28, 28): new images by the generator in a checkpoint, which needs nothing beside it.

    `tell` is told how many there are, before the first and after each thousand.
    """
    count = whole(count, "ask for a whole number of images to draw, at least 1", least=1)
    saved, rng = read_saved(checkpoint), RandomStream(seed, "sample")
    recipe, G = saved.recipe, saved.generator()
    images = np.empty((count, SIZE, SIZE), np.uint8)
    for start in range(0, count, CHUNK):
        if tell:
            tell(start)
        x = generate(G, draw_latents(recipe, min(CHUNK, count - start), rng))
        images[start : start + CHUNK] = plot.to_uint8(recipe.as_images(x), recipe.value_range)
    return images


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
