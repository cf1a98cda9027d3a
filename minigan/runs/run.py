"""`Run`: a run's folder, for reading."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minigan import plot
from minigan.backend import RandomStream
from minigan.errors import ArgumentError, MiniganError, RecipeMissingError, RunMissingError, whole
from minigan.nn import Sequential
from minigan.recipes import Recipe
from minigan.recipes.recipe import SIZE
from minigan.runs import lost
from minigan.runs.recorded import edited, recipe_of
from minigan.runs.saved import checkpoints, epoch_and_step, read_saved
from minigan.runs.schema import FACTS, check_entries
from minigan.runs.settings import RECORDED, Settings
from minigan.screen import Say, silence
from minigan.store.tensors import read_tensors
from minigan.train import Row, draw_latents, generate
from minigan.watch.logs import read_rows

CHUNK = 1_000  # samples drawn at a time: two batches


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
            stated = {**Settings().record(), "changes": [], **self.config}
            check_entries(stated, {**FACTS, **RECORDED, "changes": list})
            self.recipe: Recipe = recipe_of(self.config, self.folder)
            self.seed: int = self.config["seed"]
            self.dataset: dict[str, Any] = self.config["dataset"]
            self.settings = {key: stated[key] for key in RECORDED}
        except (RecipeMissingError, RunMissingError):
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, MiniganError) as error:
            if isinstance(error, ArgumentError) and (told := edited(self.config, self.folder)):
                raise RunMissingError(f"{self.folder}: {told[0]}: {error}; {told[1]}") from None
            reason = f"{type(error).__name__}: {error}"
            raise RunMissingError(
                f"{self.folder / 'config.json'} cannot be read ({reason}); {lost.config_remedy(self.folder)}"
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
        return (epoch_and_step(self.checkpoint) or (0, 0))[0]

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
