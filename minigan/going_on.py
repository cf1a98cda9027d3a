"""What a run goes on from, and whether it is still the run that was trained: the checks before a resume."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from minigan.data.datasets import Dataset, built_in, load_recorded
from minigan.errors import ArgumentError, CheckpointError, nearest
from minigan.folder import Run
from minigan.recipes import RECIPES, Recipe
from minigan.saving import Saved, checkpoints, read_saved
from minigan.train import Row

#: Fields on which the shapes of the networks depend, or which images a step sees: no run can change them on its way.
FIXED = (
    *("latent_dim", "g_hidden", "d_hidden", "packing", "batch_size", "drop_last", "epoch_steps", "images"),
    *("test_images", "random_split"),
)


def check_accept(names: Iterable[str], own: Recipe | None = None) -> set[str]:
    """The fields that may differ, of the run's `own` recipe too, or "metrics"; ArgumentError for one that never can."""
    known = {field for recipe in (*RECIPES.values(), *filter(None, [own])) for field in asdict(recipe)} | {"metrics"}
    accepted = {nearest("field", name.replace("-", "_"), known) for name in names}
    if fixed := sorted(accepted & set(FIXED)):
        raise ArgumentError(
            f"{', '.join(fixed)} cannot change within a run: the networks' shapes, or which images a step sees, depend "
            "on it; begin a new run"
        )
    return accepted


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


def compare(run: Run, saved: Saved, wanted: Recipe, accepted: set[str]) -> dict[str, tuple[Any, Any]]:
    """{field: (in the checkpoint, wanted)} of the recipe's fields that differ and are accepted.

    Raises CheckpointError with the list of all differences if one is not: what config.json says is not what was
    trained. The number of epochs may always differ.
    """
    before, after = asdict(saved.recipe), asdict(wanted)
    facts = {"recipe": saved.recipe.name, "seed": saved.header["seed"], **inside("dataset", saved.header["dataset"])}
    asked = {"recipe": wanted.name, "seed": run.seed, **inside("dataset", run.dataset)}
    places = [key for key in {**facts, **asked} if key != "dataset.path"]  # images may move, if they stay the same
    strange = {key: (facts.get(key), asked.get(key)) for key in places if facts.get(key) != asked.get(key)}
    if wanted.name == saved.recipe.name:
        strange |= {key: (before[key], after[key]) for key in before if before[key] != after[key]}
    strange.pop("epochs", None)
    if refused := {key: pair for key, pair in strange.items() if key not in accepted}:
        told = ", ".join(f"{key} was {old!r} and is {new!r}" for key, (old, new) in refused.items())
        can = [key.replace("_", "-") for key in refused if key in before and key not in FIXED]
        accept = f"accept it by name: --accept {' '.join(can)}" if len(can) == len(refused) else "begin a new run"
        raise CheckpointError(f"the run in {run.folder} was trained otherwise: {told}; put that back, or {accept}")
    return strange


def inside(name: str, values: dict[str, Any]) -> dict[str, Any]:
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
