"""Starting a run: a recipe trained in a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from minigan.data.datasets import load_dataset
from minigan.errors import ArgumentError, known_name
from minigan.recipes import DEFAULT, RECIPES, Recipe
from minigan.recipes.own import check_own, misspelt
from minigan.runs.folder import check_free, claim_run, facts_of, keep_source, locked, write_config
from minigan.runs.recorded import check_record
from minigan.runs.run import Run
from minigan.runs.saver import CheckpointSaver
from minigan.runs.settings import Settings, given_of, takes
from minigan.runs.training import changed, check_callbacks, choose_device, train
from minigan.screen import Say, heard
from minigan.train import Callback, Trainer
from minigan.train.rehearsal import rehearse


@takes(Settings)
def start(
    recipe: Recipe | str = DEFAULT,
    *,
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
    given, changes = given_of(changes, Settings)
    settings, say = Settings(**given), heard(say)
    check_callbacks(callbacks)
    if isinstance(recipe, str):
        recipe = RECIPES[known_name("recipe", recipe, RECIPES)]
    if not isinstance(recipe, Recipe):
        made = f"; make one: {recipe.__name__}(…)" if isinstance(recipe, type) and issubclass(recipe, Recipe) else ""
        raise ArgumentError(f"recipe must be a Recipe, or the name of one, got {recipe!r}{made}")
    recipe = changed(recipe, changes)
    check_own(recipe)
    check_record(recipe)
    rehearse(recipe)
    settings.check_reached(given, recipe.epochs)
    if settings.out is not None:
        check_free(settings.out)
    device = choose_device(settings.device, say)
    where = {"data_dir": settings.data_dir, "offline": settings.offline}
    data = load_dataset(settings.dataset, **recipe.choice(settings.seed), **where, say=say)
    trainer = Trainer(recipe, data.images, seed=settings.seed, device=device)
    check_turn(trainer)
    folder = claim_run(settings.out, recipe.name)
    places = [settings.data_dir, os.environ.get("MINIGAN_DATA")]
    data_dir = next((Path(place).resolve() for place in places if place), None)
    settings = replace(settings, device=device, data_dir=data_dir)
    with locked(folder) as lock:
        facts = facts_of(trainer, data)
        keep_source(folder, recipe)
        write_config(folder, {**facts, **settings.record(), "changes": [], "finished": None})
        fewer = f" (all there are, of {recipe.images:,} asked for)" if len(data.images) < recipe.images else ""
        say(f"Training {recipe.name} on {len(data.images):,} images of {data.record['name']}{fewer} into {folder}")
        for line in (*misspelt(type(recipe)), *without_effect(trainer)):
            say(line)
        saver = CheckpointSaver(folder, facts, settings.every("save"), settings.stay)
        saver.start(trainer)
        saver.save(trainer)  # so that it can be resumed from the first moment
        return train(folder, lock, trainer, settings, saver, say, callbacks=callbacks)


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
