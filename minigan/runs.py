"""Runs: a recipe trained in a folder, by `start`, and gone on with by `resume`. (`Run` looks into such a folder.)"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from minigan.backend import check_seed, resolve_device, why_one_core
from minigan.data.datasets import load_dataset
from minigan.errors import ArgumentError, DivergenceError, nearest, whole
from minigan.folder import Lock, Run, check_free, claim_run, facts_of, keep_source, locked, write_config
from minigan.going_on import check_accept, compare, load_again, missed, newest_whole, set_aside
from minigan.interrupt import Interrupted, Stop
from minigan.lost import check_places
from minigan.own import check_own
from minigan.recipes import DEFAULT, RECIPES, Recipe
from minigan.recorded import check_record, since, typed, whose
from minigan.saving import Checkpoints, Keep
from minigan.screen import Say, silence
from minigan.store.files import quoted
from minigan.train import Callback, Trainer
from minigan.train.fitting_batch import fitting_into_memory
from minigan.watch.alarms import Alarms
from minigan.watch.best_epoch import Quality
from minigan.watch.logs import MetricsLog
from minigan.watch.pictures import Pictures
from minigan.watch.progress import Watch
from minigan.watch.rhythm import Every
from minigan.watch.symptoms import slow_down


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
    save_every: str | int = 1,
    keep: int = 2,
    keep_every: int = 0,
    score_every: int = 0,
    alarms: bool = True,
    callbacks: Sequence[Callback] = (),
    say: Say | None = print,
    **changes: Any,
) -> Run:
    """Train a recipe and return its run; what `minigan train` does. `changes` are fields of the recipe (epochs=3).

    `out` is the run's folder, by default the next free runs/RECIPE-NNN. `sample_every`, `preview_every` and
    `save_every` count epochs (2), steps ("500steps") or are "never". Of the checkpoints the last `keep` stay, one every
    `keep_every` epochs (0: none), and the best by Fréchet distance, if that is measured every `score_every` epochs.
    `dataset`, `data_dir`, `offline`: see `load_dataset`. `alarms`: say when training fails. `callbacks` watch training
    too, after minigan's own and before a checkpoint is saved. `say` gets every line (None: nobody does), and nothing
    else is shown, unless it is `print`: then a terminal or a notebook also shows the digits, alive.
    Raises RunExistsError if `out` holds a run, RunBusyError if another process trains there, ArgumentError for an
    impossible number, DataError and its like if the images cannot be had, DeviceUnavailableError, DivergenceError.
    On Ctrl-C the step is finished, everything saved, and Interrupted (a KeyboardInterrupt) raised.
    """
    if isinstance(recipe, str):
        recipe = RECIPES[nearest("recipe", recipe, RECIPES)]
    recipe, say = changed(recipe, changes), say or silence
    check_own(recipe)
    check_record(recipe)
    check_callbacks(callbacks)
    seed = check_seed(seed)
    settings: dict[str, Any] = {"sample_every": str(sample_every), "save_every": str(save_every)}
    settings |= {"keep": keep, "keep_every": keep_every, "score_every": score_every}
    schedule = Schedule(settings, preview_every)
    settings |= schedule.numbers
    schedule.check_reached(settings, recipe.epochs)
    if out is not None:
        check_free(Path(out))
    device = choose_device(device, say)
    data = load_dataset(dataset, **recipe.choice(seed), data_dir=data_dir, offline=offline, say=say)
    trainer = Trainer(recipe, data.images, seed=seed, device=device)
    check_turn(trainer)
    folder = claim_run(out if out is None else Path(out), recipe.name)
    places = [data_dir, os.environ.get("MINIGAN_DATA")]
    data_dir = next((str(Path(place).resolve()) for place in places if place), None)
    with locked(folder) as lock:
        facts = facts_of(trainer, data)
        config = {**facts, "device": device, "data_dir": data_dir, **settings, "changes": [], "finished": None}
        keep_source(folder, recipe)
        write_config(folder, config)
        fewer = f" (all there are, of {recipe.images:,} asked for)" if len(data.images) < recipe.images else ""
        say(f"Training {recipe.name} on {len(data.images):,} images of {data.record['name']}{fewer} into {folder}")
        for line in without_effect(trainer):
            say(line)
        saver = Checkpoints(folder, facts, schedule.save, schedule.keep)
        saver.start(trainer)
        saver.save(trainer)  # so that it can be resumed from the first moment
        return train(folder, lock, trainer, schedule, saver, say, alarms=alarms, callbacks=callbacks)


def resume(
    folder: str | Path,
    *,
    data_dir: str | Path | None = None,
    offline: bool = False,
    device: str | None = None,
    sample_every: str | int | None = None,
    preview_every: str | int = "100steps",
    save_every: str | int | None = None,
    keep: int | None = None,
    keep_every: int | None = None,
    score_every: int | None = None,
    accept: Iterable[str] = (),
    alarms: bool = True,
    callbacks: Sequence[Callback] = (),
    say: Say | None = print,
    **changes: Any,
) -> Run:
    """Go on with a run from its newest whole checkpoint, to the bit as if it had never stopped (on the same device).

    `epochs` is the new total. Any other field of the recipe that is changed, here or in config.json, has to be named in
    `accept`, and not each can be; so has "metrics", if metrics.jsonl is lost. What is not given stays as the run was
    started; `alarms` are on unless switched off; `callbacks` and `say` are those of `start`.
    Raises as `start`; RunMissingError or CheckpointError if the run cannot be read or has changed, DataError if its
    images are no longer the same, ArgumentError if it is already trained to the end or a field cannot change,
    RunFolderError if something in the folder is in the way.
    """
    folder, say = Path(folder), say or silence
    check_callbacks(callbacks)
    Run(folder)  # before a lock is left in a folder that is none
    with locked(folder) as lock:
        run = Run(folder)
        texts = {"sample_every": sample_every, "save_every": save_every}
        given = {key: None if value is None else str(value) for key, value in texts.items()}
        given |= {"keep": keep, "keep_every": keep_every, "score_every": score_every}
        settings = {**run.settings, **{key: value for key, value in given.items() if value is not None}}
        schedule = Schedule(settings, preview_every)
        settings |= schedule.numbers
        accepted = check_accept(accept, run.recipe)
        recipe = changed(run.recipe, changes)
        schedule.check_reached(given, recipe.epochs)
        saved, history = newest_whole(run, accepted, say)
        differences = compare(run, saved, recipe, accepted)
        epoch = saved.header["epoch"]
        if recipe.epochs < epoch or (recipe.epochs == epoch and run.is_finished()):
            more = f"minigan train --resume {quoted(folder)}{typed(recipe)} --epochs {2 * epoch}"
            raise ArgumentError(f"{folder} has been trained for {epoch} epochs; for more: {more}")
        settings["device"] = choose_device(device or settings["device"], say)
        data, settings["data_dir"] = load_again(run, data_dir, offline, say)
        trainer = Trainer(recipe, data.images, seed=run.seed, device=settings["device"])
        saved.into(trainer)
        trainer.history = history
        if differences:
            check_turn(trainer)
        facts = facts_of(trainer, data)
        record = [*run.config.get("changes", []), *([{"epoch": epoch, **differences}] if differences else [])]
        for line in since(saved.header, recipe):
            say(line)
        idle = [line for line in without_effect(trainer) if any(name in line for name in differences)]
        for line in (*idle, *missed(run), *check_places(folder)):
            say(line)
        set_aside(folder, saved.path)
        keep_source(folder, recipe, epoch)
        write_config(folder, {**facts, **settings, "changes": record, "finished": None})
        say(f"Going on with {folder} ({recipe.name} on {data.record['name']}) {where(trainer)}")
        saver = Checkpoints(folder, facts, schedule.save, schedule.keep)
        if accepted:  # what has been accepted once need not be again, should this be stopped before its next checkpoint
            saver.start(trainer)
            saver.save(trainer)
        return train(folder, lock, trainer, schedule, saver, say, alarms=alarms, callbacks=callbacks)


def train(
    folder: Path,
    lock: Lock,
    trainer: Trainer,
    schedule: Schedule,
    saver: Checkpoints,
    say: Say,
    *,
    alarms: bool = True,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """Train to the end, leaving in the folder all that a run leaves, and say where it is."""
    name = f"{quoted(folder)}{typed(trainer.recipe)}"
    watch = Watch(schedule.preview, say)
    watchdog = Alarms(folder, say=watch.say)
    # The checkpoint comes last: what the others wrote before a crash is written again, the same, after a resume.
    watchers = [
        lock,
        MetricsLog(folder),
        Pictures(folder / "samples", schedule.sample),
        watch,
        *([watchdog] if alarms else []),
        *([Quality(folder, schedule.score, say=watch.say)] if schedule.score else []),
        *callbacks,
        saver,
    ]
    try:
        # A run that diverges ends in an error of its own, without NumPy's warnings.
        with np.errstate(all="ignore"), Stop() as stop, fitting_into_memory(trainer):
            trainer.fit(watchers, stop=stop)
        if trainer.epoch < trainer.recipe.epochs:
            raise Interrupted(stop.number)
    except DivergenceError as error:
        if alarms:
            watchdog.diverged(trainer, error)
        say(f"The last good checkpoint is {Run(folder).checkpoint}")
        say(f"See what G had learned: minigan sample {name}")
        rates = slow_down(trainer.recipe)
        say(
            f"--resume would keep the rates and end the same; begin anew: minigan train {whose(trainer.recipe)} {rates}"
        )
        raise
    except (KeyboardInterrupt, OSError):  # OSError: a disk that is full, or gone
        say(f"Stopped {where(trainer)}; what is saved last is {Run(folder).checkpoint}")
        say(f"Go on from there: minigan train --resume {name}")
        raise
    run = Run(folder)
    write_config(folder, {**run.config, "finished": trainer.epoch})
    say(f"Draw more: minigan sample {name}")
    say(f"Train on:  minigan train --resume {name} --epochs {2 * trainer.epoch}")
    say(f"Everything is in {folder}; look at samples/samples.gif first.")
    return Run(folder)


class Schedule:
    """How often a run is drawn, shown, saved and scored; raises ArgumentError naming the flag that cannot be."""

    def __init__(self, settings: dict[str, Any], preview_every: str | int):
        self.sample = Every.parse("--sample-every", settings["sample_every"])
        self.preview = Every.parse("--preview-every", preview_every)
        self.save = Every.parse("--save-every", settings["save_every"])
        self.keep = Keep(settings["keep"], settings["keep_every"])
        self.score = whole(settings["score_every"], "--score-every must be a whole number of epochs, or 0 for never")
        self.numbers = {"keep": self.keep.last, "keep_every": self.keep.every, "score_every": self.score}

    @staticmethod
    def check_reached(settings: dict[str, Any], epochs: int) -> None:
        """Raise ArgumentError for what would never happen in so many epochs."""
        for name, happens in (("score_every", "measured"), ("keep_every", "kept for good")):
            if (settings[name] or 0) > epochs:
                flag = f"--{name.replace('_', '-')} {settings[name]}"
                raise ArgumentError(f"{flag} is beyond the last epoch, {epochs}: nothing would ever be {happens}")


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
        nearest("field", field, asdict(recipe))
    return replace(recipe, **changes)


def check_turn(trainer: Trainer) -> None:
    """Raise ArgumentError if the run is over before G's first update. (A `Trainer` by itself may train D alone.)"""
    recipe, steps = trainer.recipe, trainer.recipe.epochs * trainer.epoch_steps
    turns = max(trainer.step - recipe.d_warmup, 0) // recipe.d_steps + 1  # of G's, up to its next
    if trainer.step < steps < (turn := recipe.d_warmup + turns * recipe.d_steps):
        which = "first update" if turns == 1 else "next update"
        raise ArgumentError(
            f"G would never learn: its {which} comes after d_warmup {recipe.d_warmup} + {turns} × d_steps "
            f"{recipe.d_steps} = {turn} updates of D, and the run has {steps}; lower them (--d-warmup, --d-steps), or "
            f"train for more --epochs: {-(-turn // trainer.epoch_steps)}"
        )


def without_effect(trainer: Trainer) -> list[str]:
    """What of the recipe changes nothing in a run on so many images, or from where it stands on, a sentence each."""
    recipe, images, steps = trainer.recipe, len(trainer.batches.images), trainer.recipe.epochs * trainer.epoch_steps
    found, published = [], RECIPES.get(recipe.name)
    if images % recipe.batch_size == 0:
        names = ["drop_last"] * recipe.drop_last + ["d_fakes"] * (recipe.d_fakes == "full")
        found += [f"{images:,} images fill their batches of {recipe.batch_size}: {n} changes nothing." for n in names]
    if recipe.log_every > steps and not (
        published and recipe.log_every == published.log_every
    ):  # which nobody asked for
        found += [f"The run has {steps:,} steps: log_every {recipe.log_every:,} changes nothing."]
    if trainer.step >= recipe.d_warmup > 0 and recipe.d_steps == 1:
        found += [f"D's warm-up was over before step {trainer.step:,}: d_warmup changes nothing."]
    return found


def where(trainer: Trainer) -> str:
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
