"""What a run goes on from, and whether it is still the run that was trained: the checks before a resume."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from minigan.data.datasets import Dataset, built_in, folder_of, load_recorded
from minigan.errors import ArgumentError, CheckpointError, known_name
from minigan.recipes import Recipe
from minigan.runs.changes import as_flags, check_changes, differing
from minigan.runs.lost import config_remedy
from minigan.runs.run import Run
from minigan.runs.saved import Saved, checkpoints, read_saved
from minigan.train import Row


def check_accept(names: Iterable[str], recipe: Recipe) -> set[str]:
    """The fields of the recipe that may differ, or "metrics"; raises ArgumentError for what is neither."""
    given: list[Any] = [None] if isinstance(names, str) or not isinstance(names, Iterable) else [*names]
    if not all(isinstance(name, str) for name in given):
        raise ArgumentError(f"accept must be a list of the recipe's fields, such as ['lr_g'], got {names!r}")
    return {known_name("field", name.replace("-", "_"), [*asdict(recipe), "metrics"]) for name in given}


def newest_whole(run: Run, accepted: set[str], say: Callable[[str], None]) -> tuple[Saved, list[Row]]:
    """The newest checkpoint from which the run can go on to the bit, and the rows of metrics before it.

    One that is damaged is passed over, and one whose rows of metrics are lost. Raises RunMissingError if there is no
    checkpoint, CheckpointError with what is wrong with the newest if none is whole.
    """
    first: CheckpointError | None = None
    newest_first = (checkpoints(run.folder) or [run.checkpoint])[::-1]
    for path, older in zip(newest_first, [*newest_first[1:], None], strict=True):
        try:
            saved = read_saved(path)
            rows = [row for row in run.metrics() if row["step"] <= saved.header["step"]]
            return saved, rows if "metrics" in accepted else saved.history(run.folder)
        except CheckpointError as error:
            if older:
                say(f"{error}; going back to {older.name}")
            first = first or error
    assert first is not None
    lost = "metrics.jsonl" in str(first) and "; put it back, or go on without those rows: --accept metrics"
    raise CheckpointError(f"{first}{lost or ''}")


def accepted_changes(run: Run, saved: Saved, wanted: Recipe, accepted: set[str]) -> dict[str, tuple[Any, Any]]:
    """{field: (in the checkpoint, wanted)} of the recipe's fields that differ and are accepted.

    Raises CheckpointError with the list of all differences if one is not: what config.json says is not what was
    trained; ArgumentError for one that cannot be. The number of epochs may always differ.
    """
    if told := strangers(run, saved):
        raise CheckpointError(f"{run.folder / 'config.json'} is of another run: {told}; {config_remedy(run.folder)}")
    check_changes(saved.recipe, wanted, run.dataset["images"], begun(run))
    before, after = asdict(saved.recipe), differing(saved.recipe, wanted)
    if refused := {name: value for name, value in after.items() if name not in accepted}:
        told = tell({name: (before[name], value) for name, value in refused.items()})
        back = as_flags({name: before[name] for name in refused})
        names = " ".join(name.replace("_", "-") for name in refused)
        raise CheckpointError(
            f"the run in {run.folder} was trained otherwise: {told}; put that back ({back}), or accept it by name: "
            f"--accept {names}"
        )
    return {name: (before[name], value) for name, value in after.items()}


def begun(run: Run) -> str:
    """The flags with which a new run has the same images and the same seed."""
    images = built_in(run.dataset) or folder_of(run.dataset, None)
    return shlex.join(["--dataset", str(images), *(["--seed", str(run.seed)] if run.seed else [])])


def strangers(run: Run, saved: Saved) -> str:
    """What config.json says otherwise of the run than its checkpoint, beside the fields of the recipe; or ""."""
    facts = {"recipe": saved.recipe.name, "seed": saved.header["seed"], **dotted("dataset", saved.header["dataset"])}
    stated = {"recipe": run.recipe.name, "seed": run.seed, **dotted("dataset", run.dataset)}
    places = [key for key in {**facts, **stated} if key != "dataset.path"]  # images may move, if they stay the same
    return tell({key: (facts.get(key), stated.get(key)) for key in places if facts.get(key) != stated.get(key)})


def tell(pairs: dict[str, tuple[Any, Any]]) -> str:
    return ", ".join(f"{key} was {old!r} and is {new!r}" for key, (old, new) in pairs.items())


def missed(run: Run) -> list[str]:
    """A sentence if config.json is gone, and with it what it alone has held."""
    held = ", ".join(f"{key.replace('_', '-')} {value}" for key, value in run.settings.items() if value is not None)
    return [f"{run.lost}, and the rest is as by default: {held}."] if run.lost else []


def dotted(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """{"name.key": value}."""
    return {f"{name}.{key}": value for key, value in values.items()}


def load_again(
    run: Run, data_dir: str | Path | None, offline: bool, say: Callable[[str], None]
) -> tuple[Dataset, str | None]:
    """The run's own images, from where they were or from `data_dir`, and that folder."""
    recorded = (
        None if built_in(run.dataset) is None else run.settings["data_dir"]
    )  # a folder's images know where they were
    if data_dir is None and recorded and Path(recorded).is_dir():
        data_dir = recorded
    data = load_recorded(run.dataset, data_dir=data_dir, offline=offline, say=say)
    return data, data_dir and str(Path(data_dir).resolve())


def set_aside(folder: Path, newest: Path) -> None:
    """Rename the checkpoints behind the one that is gone on from: they are damaged, or their rows are lost."""
    paths = checkpoints(folder)
    for path in paths[paths.index(newest) + 1 :]:
        path.replace(path.with_suffix(".aside"))
