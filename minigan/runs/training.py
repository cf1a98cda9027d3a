"""Training within a run's folder, to the end or to a stop: what `start` and `resume` have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from minigan.backend import resolve_device, why_one_core
from minigan.errors import ArgumentError, DivergenceError, known_name
from minigan.recipes import Recipe
from minigan.recipes.own import typed, whose
from minigan.runs.folder import Lock, write_config
from minigan.runs.interrupt import Interrupted, Stop
from minigan.runs.machine import keep_machine
from minigan.runs.run import Run
from minigan.runs.saver import CheckpointSaver
from minigan.runs.settings import Settings
from minigan.screen import Say
from minigan.store.files import quoted
from minigan.train import Callback, Trainer
from minigan.train.fitting_batch import fitting_into_memory
from minigan.watch.alarms import Alarms
from minigan.watch.best_epoch import Quality
from minigan.watch.compiling import Compiling
from minigan.watch.logs import MetricsLog
from minigan.watch.pictures import Pictures
from minigan.watch.progress import Watch
from minigan.watch.symptoms import slow_down


def train(
    folder: Path,
    lock: Lock,
    trainer: Trainer,
    settings: Settings,
    saver: CheckpointSaver,
    say: Say,
    *,
    callbacks: Sequence[Callback],
) -> Run:
    """Train to the end, leaving in the folder all that a run leaves, and say where it is."""
    name = f"{quoted(folder)}{typed(trainer.recipe)}"
    watch = Watch(settings.every("preview"), say)
    watchdog = Alarms(folder, say=watch.say)
    # The checkpoint comes last: what the others wrote before a crash is written again, the same, after a resume.
    watchers = [
        lock,
        Compiling(watch.say),
        MetricsLog(folder),
        Pictures(folder / "samples", settings.every("sample")),
        watch,
        *([watchdog] if settings.alarms else []),
        *([Quality(folder, settings.score_every, say=watch.say)] if settings.score_every else []),
        *callbacks,
        saver,
    ]
    try:
        keep_machine(folder)
        # A run that diverges ends in an error of its own, without NumPy's warnings.
        with np.errstate(all="ignore"), Stop() as stop, fitting_into_memory(trainer):
            trainer.fit(watchers, stop=stop)
        if trainer.epoch < trainer.recipe.epochs:
            raise Interrupted(stop.number)
    except DivergenceError as error:
        if settings.alarms:
            watchdog.diverged(trainer, error)
        say(f"The last good checkpoint is {Run(folder).checkpoint}")
        say(f"See what G had learned: minigan sample {name}")
        rates = slow_down(trainer.recipe)
        say(
            f"--resume would keep the rates and end the same; begin anew: minigan train {whose(trainer.recipe)} {rates}"
        )
        raise
    except (KeyboardInterrupt, OSError):  # OSError: a disk that is full, or gone
        say(f"Stopped {standing(trainer)}; what is saved last is {Run(folder).checkpoint}")
        say(f"Go on from there: minigan train --resume {name}")
        raise
    run = Run(folder)
    write_config(folder, {**run.config, "finished": trainer.epoch})
    say(f"Draw more: minigan sample {name}")
    say(f"Train on:  minigan train --resume {name} --epochs {2 * trainer.epoch}")
    say(f"Everything is in {folder}; look at samples/samples.gif first.")
    return Run(folder)


def check_callbacks(callbacks: Sequence[Callback]) -> None:
    """Raise ArgumentError unless these are callbacks, in a list."""
    if not isinstance(callbacks, Sequence):
        raise ArgumentError(f"callbacks must be a list of callbacks, such as [Mine()], got {callbacks!r}")
    for i, callback in enumerate(callbacks):
        if not isinstance(callback, Callback):
            made = f"; make one: {callback.__name__}()" if isinstance(callback, type) else ""
            raise ArgumentError(f"callbacks[{i}] must be a minigan.train.Callback, got {callback!r}{made}")


def changed(recipe: Recipe, changes: dict[str, Any]) -> Recipe:
    """The recipe with other values in some fields; raises ArgumentError for a field that there is not."""
    for field in changes:
        known_name("field", field, asdict(recipe))
    return replace(recipe, **changes)


def standing(trainer: Trainer) -> str:
    """Where training stands, in words."""
    if trainer.epoch == trainer.recipe.epochs:
        return "while drawing the last pictures"
    steps = trainer.step - trainer.epoch * trainer.epoch_steps
    more = f" and {steps:,} of the {trainer.epoch_steps:,} steps of the next" if steps else ""
    return f"after epoch {trainer.epoch}{more}"


def choose_device(device: str, say: Say) -> str:
    """The device to run on, "cpu" or "gpu"; says why if "auto" means the CPU, or if that has one core for two."""
    device, reason = resolve_device(device)
    for line in (reason, why_one_core() if device == "cpu" else ""):
        if line:
            say(line)
    return device
