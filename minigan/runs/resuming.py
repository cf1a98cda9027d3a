"""Going on with a run, to the bit as if it had never stopped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from minigan.errors import ArgumentError, as_path
from minigan.recipes.own import typed
from minigan.runs.folder import facts_of, keep_source, locked, write_config
from minigan.runs.lost import check_places
from minigan.runs.recorded import other_way, since
from minigan.runs.resumable import accepted_changes, check_accept, load_again, missed, newest_whole, set_aside
from minigan.runs.run import Run
from minigan.runs.saver import CheckpointSaver
from minigan.runs.settings import Again, Settings, given_of, takes
from minigan.runs.starting import check_turn, without_effect
from minigan.runs.training import changed, check_callbacks, choose_device, standing, train
from minigan.screen import Say, heard
from minigan.store.files import quoted
from minigan.train import Callback, Trainer
from minigan.train.rehearsal import rehearse


@takes(Again)
def resume(
    folder: str | Path,
    *,
    accept: Iterable[str] = (),
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
    given, changes = given_of(changes, Again)
    folder, say = as_path(folder, "name the folder of a run"), heard(say)
    check_callbacks(callbacks)
    Settings(**given)
    Run(folder)  # before a lock is left in a folder that is none
    with locked(folder) as lock:
        run = Run(folder)
        settings = Settings(**{**run.settings, **given})
        accepted = check_accept(accept, run.recipe)
        recipe = changed(run.recipe, changes)
        settings.check_reached(given, recipe.epochs)
        saved, history = newest_whole(run, accepted, say)
        differences = accepted_changes(run, saved, recipe, accepted)
        epoch = saved.header["epoch"]
        if recipe.epochs < epoch or (recipe.epochs == epoch and run.is_finished()):
            more = f"minigan train --resume {quoted(folder)}{typed(recipe)} --epochs {2 * epoch}"
            raise ArgumentError(f"{folder} has been trained for {epoch} epochs; for more: {more}")
        rehearse(recipe)
        device = choose_device(settings.device, say)
        data, data_dir = load_again(run, given.get("data_dir"), settings.offline, say)
        settings = replace(settings, device=device, data_dir=data_dir)
        trainer = Trainer(recipe, data.images, seed=run.seed, device=device)
        saved.into(trainer)
        trainer.history = history
        if differences:
            check_turn(trainer)
        facts = facts_of(trainer, data)
        record = [*run.config.get("changes", []), *([{"epoch": epoch, **differences}] if differences else [])]
        for line in (*since(saved.header, recipe), *other_way(saved.header, device, facts["elementwise"])):
            say(line)
        idle = [line for line in without_effect(trainer) if any(name in line for name in differences)]
        for line in (*idle, *missed(run), *check_places(folder)):
            say(line)
        set_aside(folder, saved.path)
        keep_source(folder, recipe, epoch)
        write_config(folder, {**facts, **settings.record(), "changes": record, "finished": None})
        say(f"Going on with {folder} ({recipe.name} on {data.record['name']}) {standing(trainer)}")
        saver = CheckpointSaver(folder, facts, settings.every("save"), settings.stay)
        if accepted:  # what has been accepted once need not be again, should this be stopped before its next checkpoint
            saver.start(trainer)
            saver.save(trainer)
        return train(folder, lock, trainer, settings, saver, say, callbacks=callbacks)
