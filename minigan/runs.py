"""Runs: a folder in which a recipe was trained, made by `start`, continued by `resume`, and looked into by `Run`."""

from __future__ import annotations

import base64
import html
import json
import os
import shlex
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from minigan import plot
from minigan.alarms import Alarms
from minigan.backend import RandomStream, resolve_device
from minigan.callbacks import Checkpoints, Every, MetricsLog, Pictures, read_rows
from minigan.checkpoint import load_checkpoint
from minigan.data.datasets import load_dataset, load_recorded
from minigan.errors import ArgumentError, CheckpointError, DivergenceError, RunMissingError, nearest
from minigan.folder import check_free, checkpoints, claim_run, write_config
from minigan.nn import Sequential
from minigan.progress import Watch
from minigan.recipes import DEFAULT, RECIPES, Recipe
from minigan.symptoms import slow_down
from minigan.train import Row, Trainer, draw_latents, generate

CHUNK = 10_000  # samples drawn at a time


class Run:
    """A run's folder, for reading. In a notebook it shows its newest digits and its curves.

    Attributes: `folder`, `config` (the content of config.json), `recipe`.
    Raises RunMissingError if there is no run, or not a whole one, in `folder`.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        try:
            self.config = json.loads((self.folder / "config.json").read_text())
            fields: dict[str, Any] = {
                k: tuple(v) if isinstance(v, list) else v for k, v in self.config["fields"].items()
            }
            self.recipe: Recipe = type(RECIPES[self.config["recipe"]])(**fields)
            self.seed: int = int(self.config["seed"])
            self.dataset: dict[str, Any] = dict(self.config["dataset"])
            for key in ("name", "images", "sha256"):
                self.dataset[key]
            for key in ("device", "data_dir", "sample_every"):
                self.config[key]
        except (FileNotFoundError, NotADirectoryError):
            raise RunMissingError(f"{self.folder} is not a run: there is no config.json in it") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise RunMissingError(f"{self.folder / 'config.json'} cannot be read ({reason})") from None

    @property
    def checkpoint(self) -> Path:
        """The newest checkpoint; raises RunMissingError if there is none."""
        if not (found := checkpoints(self.folder)):
            raise RunMissingError(f"{self.folder} holds no checkpoint")
        return found[-1]

    @property
    def epoch(self) -> int:
        """The epoch of the newest checkpoint."""
        return int(self.checkpoint.stem.removeprefix("epoch-"))

    def has_pictures(self) -> bool:
        """Whether the pictures that come at the end of training are there, and not older than the weights."""
        pictures = [self.folder / "samples" / name for name in ("samples.gif", "interpolation.png")]
        since = self.checkpoint.stat().st_mtime_ns
        return all(path.exists() and path.stat().st_mtime_ns >= since for path in pictures)

    def metrics(self) -> list[Row]:
        """The rows of metrics.jsonl."""
        return read_rows(self.folder / "metrics.jsonl")

    def alarms(self) -> list[Row]:
        """What the alarms said: rows of step, epoch, alarm, saw, means and try; [] if all was quiet."""
        return read_rows(self.folder / "alarms.jsonl")

    def generator(self) -> Sequential:
        """The generator of the newest checkpoint that pictures come from: G, or its average. On the CPU.

        Raises RunMissingError if there is none, CheckpointError if it is damaged.
        """
        G, _ = self.recipe.networks(RandomStream(0, "init").host)
        load_checkpoint(self.checkpoint, {"average" if self.recipe.average else "G": G})
        return G

    def sample(self, count: int = 100, *, seed: int = 0) -> np.ndarray:
        """uint8 (count, 28, 28): new images, decided by `seed`. Raises ArgumentError for a count below 1."""
        if count < 1:
            raise ArgumentError(f"cannot draw {count} images; ask for at least 1")
        G, rng = self.generator(), RandomStream(seed, "sample")
        sizes = [min(CHUNK, count - start) for start in range(0, count, CHUNK)]
        chunks = (generate(G, draw_latents(self.recipe, size, rng)) for size in sizes)
        return np.concatenate([plot.to_uint8(self.recipe.as_images(x), self.recipe.value_range) for x in chunks])

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


def start(
    recipe: Recipe | str = DEFAULT,
    *,
    seed: int = 0,
    dataset: str = "auto",
    data_dir: str | Path | None = None,
    offline: bool = False,
    out: str | Path | None = None,
    device: str = "auto",
    sample_every: str | int = 1,
    preview_every: str | int = "100steps",
    alarms: bool = True,
    say: Callable[[str], None] = print,
    **changes: Any,
) -> Run:
    """Train a recipe and return its run; what `minigan train` does. `changes` are fields of the recipe (epochs=3).

    `out` is the run's folder, by default the next free runs/RECIPE-NNN. `sample_every` and `preview_every` count
    epochs (2), steps ("500steps") or are "never". `dataset`, `data_dir`, `offline`: see `load_dataset`. `alarms`: say
    when training fails.
    Raises RunExistsError if `out` holds a run, ArgumentError for an impossible number, DataError and its like if the
    images cannot be had, DeviceUnavailableError, DivergenceError. On KeyboardInterrupt, pictures are finished first.
    """
    if isinstance(recipe, str):
        recipe = RECIPES[nearest("recipe", recipe, RECIPES)]
    for field in changes:
        nearest("field", field, asdict(recipe))
    recipe = replace(recipe, **changes)
    if not isinstance(seed, int) or seed < 0:
        raise ArgumentError(f"seed must be a whole number that is not negative, got {seed}")
    every = how_often(sample_every, preview_every)
    if out is not None:
        check_free(Path(out))
    device = choose_device(device, say)
    choice = {"test_images": recipe.test_images, "split_seed": seed if recipe.random_split else None}
    data = load_dataset(dataset, count=recipe.images, **choice, data_dir=data_dir, offline=offline, say=say)
    trainer = Trainer(recipe, data.images, seed=seed, device=device)
    folder = claim_run(out if out is None else Path(out), recipe.name)
    places = [data_dir, os.environ.get("MINIGAN_DATA")]
    data_dir = next((str(Path(place).resolve()) for place in places if place), None)
    write_config(folder, trainer, data, data_dir=data_dir, sample_every=str(sample_every))
    Checkpoints(folder / "checkpoints").save(trainer)  # so that it can be resumed from the first moment
    say(f"Training {recipe.name} on {len(data.images):,} images of {data.record['name']} into {folder}")
    return train(folder, trainer, *every, say, alarms=alarms)


def resume(
    folder: str | Path,
    *,
    epochs: int | None = None,
    data_dir: str | Path | None = None,
    offline: bool = False,
    device: str | None = None,
    sample_every: str | int | None = None,
    preview_every: str | int = "100steps",
    alarms: bool = True,
    say: Callable[[str], None] = print,
) -> Run:
    """Go on with a run from its newest checkpoint, to the bit as if it had never stopped (on the same device).

    `epochs` is the new total. The recipe, the seed and the images are the run's own and cannot be changed; `data_dir`,
    `device` and `sample_every` are, unless given, what the run was started with; `alarms` are on unless switched off.
    Raises as `start`; RunMissingError or CheckpointError if the run cannot be read, DataError if its images are no
    longer the same, ArgumentError if it is already trained to the end (and its pictures are drawn).
    """
    run = Run(folder)
    recorded = None if "path" in run.dataset else run.config["data_dir"]  # a folder's images know where they were
    if data_dir is None and recorded and Path(recorded).is_dir():
        data_dir = recorded
    sampling = run.config["sample_every"] if sample_every is None else sample_every
    every = how_often(sampling, preview_every)
    recipe = run.recipe if epochs is None else replace(run.recipe, epochs=epochs)
    if recipe.epochs < run.epoch or (recipe.epochs == run.epoch and run.has_pictures()):
        more = f"minigan train --resume {shlex.quote(str(run.folder))} --epochs {2 * run.epoch}"
        raise ArgumentError(f"{run.folder} has been trained for {run.epoch} epochs; for more: {more}")
    device = choose_device(device or run.config["device"], say)
    data = load_recorded(run.dataset, data_dir=data_dir, offline=offline, say=say)
    trainer = Trainer(recipe, data.images, seed=run.seed, device=device)
    header = load_checkpoint(run.checkpoint, trainer.networks, trainer.optimizers)
    trainer.step, trainer.epoch = header["step"], header["epoch"]
    if trainer.step != trainer.epoch * trainer.epoch_steps:
        raise CheckpointError(f"{run.checkpoint} is not from an epoch's end (step {trainer.step})")
    trainer.history = [row for row in run.metrics() if row["step"] <= trainer.step]
    write_config(
        run.folder, trainer, data, data_dir=data_dir and str(Path(data_dir).resolve()), sample_every=str(sampling)
    )
    say(f"Going on with {run.folder} ({recipe.name} on {data.record['name']}) after epoch {trainer.epoch}")
    return train(run.folder, trainer, *every, say, alarms=alarms)


def train(
    folder: Path,
    trainer: Trainer,
    sample_every: Every,
    preview_every: Every,
    say: Callable[[str], None],
    *,
    alarms: bool = True,
) -> Run:
    """Train to the end, leaving in the folder all that a run leaves, and say where it is."""
    run, name = Run(folder), shlex.quote(str(folder))
    watch = Watch(preview_every)
    watchdog = Alarms(folder, say=watch.say)
    # The checkpoint comes last: what the others wrote before a crash is written again, the same, after a resume.
    watchers = [
        MetricsLog(folder),
        Pictures(folder / "samples", sample_every),
        watch,
        *([watchdog] if alarms else []),
        Checkpoints(folder / "checkpoints"),
    ]
    try:
        with np.errstate(all="ignore"):  # a run that diverges ends in an error of its own, without NumPy's warnings
            trainer.fit(watchers)
    except DivergenceError as error:
        if alarms:
            watchdog.stopped(trainer, error)
        say(f"The last good checkpoint is the end of epoch {run.epoch}: {run.checkpoint}")
        say(f"See what G had learned: minigan sample {name}")
        rates = slow_down(trainer.recipe)
        say(f"--resume would keep the rates and end the same; begin anew: minigan train {trainer.recipe.name} {rates}")
        raise
    except (KeyboardInterrupt, OSError):  # OSError: a disk that is full, or gone
        where = f"in epoch {run.epoch + 1}" if run.epoch < trainer.recipe.epochs else "while drawing the last pictures"
        say(f"Stopped {where}; what is saved is the end of epoch {run.epoch}.")
        say(f"Go on from there: minigan train --resume {name}")
        raise
    say(f"Draw more: minigan sample {name}")
    say(f"Train on:  minigan train --resume {name} --epochs {2 * trainer.epoch}")
    say(f"Everything is in {folder}; look at samples/samples.gif first.")
    return run


def how_often(sample_every: str | int, preview_every: str | int) -> tuple[Every, Every]:
    """Both, parsed; raises ArgumentError naming the one that cannot be."""
    return Every.parse("--sample-every", sample_every), Every.parse("--preview-every", preview_every)


def choose_device(device: str, say: Callable[[str], None]) -> str:
    """The device to run on, "cpu" or "gpu"; says why if "auto" means the CPU."""
    device, reason = resolve_device(device)
    if reason:
        say(reason)
    return device
