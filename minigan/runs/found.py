"""What a run's folder tells of it, without its recipe's class and without computing anything: for `minigan report`.

`Run` needs the recipe, in order to draw; here what was recorded will do. So a run of a recipe of one's own is read on
any machine, and nothing that stands in its files is executed.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from minigan.data.batches import count_batches
from minigan.errors import ArgumentError, MiniganError, RunMissingError
from minigan.nn.flat import places, walk_shapes
from minigan.nn.summary import Rows, summary_rows
from minigan.recipes import RECIPES, Recipe
from minigan.runs import lost
from minigan.runs.run import Run, stated
from minigan.runs.saved import checkpoints, epoch_and_step
from minigan.runs.schema import FACTS, OWN, check_entries
from minigan.runs.settings import RECORDED, Settings
from minigan.store.checkpoint import is_count
from minigan.train import Row
from minigan.watch.logs import LOGS, read_rows
from minigan.watch.pictures import sheets


@dataclass(frozen=True)
class Found:
    """A run as its folder tells it.

    `config` is what config.json says (or what stands in for it), `recipe` None for one of somebody's own; `fields` are
    the recipe's, and `defaults` what they are where the recipe is taken as it is ({} if nobody knows). `logs` are the
    rows of each of `LOGS`, `sheets` the pictures of samples with the step of each, `place` (whole epochs, steps since)
    of the newest checkpoint, None without one. `notes` say what is lost or damaged, a sentence each.
    """

    folder: Path
    config: dict[str, Any]
    recipe: Recipe | None
    fields: dict[str, Any]
    defaults: dict[str, Any]
    logs: dict[str, list[Row]]
    sheets: list[tuple[int, Path]]
    place: tuple[int, int] | None
    notes: list[str]

    @property
    def name(self) -> str:
        """The recipe's."""
        return self.config["recipe"]

    @property
    def settings(self) -> dict[str, Any]:
        return {**Settings().record(), **{name: self.config[name] for name in RECORDED if name in self.config}}

    @property
    def epoch_steps(self) -> int:
        """The updates of D in an epoch, or 0 if its record does not tell."""
        return steps_of(self.fields, self.config["dataset"]["images"])

    @property
    def step(self) -> int:
        """The updates of D that the newest checkpoint, or the last row of a log, tells of."""
        told = [row["step"] for row in self.logs["metrics.jsonl"][-1:]]
        if self.place:
            told += [self.place[0] * self.epoch_steps + self.place[1]]
        return max(told, default=0)

    @property
    def seconds(self) -> float | None:
        """How long training took to the last row, without pauses."""
        rows = self.logs["timing.jsonl"]
        return finite(rows[-1]["seconds"]) if rows else None

    def networks(self) -> dict[str, Rows]:
        """A table of the layers of G and D, as `Sequential.summary` shows them; of one's own recipe only the layers,
        as the newest checkpoint names them ({} if there is none).
        """
        if self.recipe:
            return {name: rows_of(*part) for name, part in self.recipe.architecture().items() if name in ("G", "D")}
        told = {}
        if found := checkpoints(self.folder):
            told = stated(found[-1]).get("architecture")
        known = told if isinstance(told, dict) else {}
        return {name: layer_rows(known[name]) for name in ("G", "D") if isinstance(known.get(name), list)}


def find(folder: str | Path) -> Found:
    """What the run in a folder tells of itself.

    Raises ArgumentError for a checkpoint, RunMissingError if there is no run, or if what it records cannot be read.
    """
    folder = Path(folder)
    if folder.suffix == ".safetensors":
        raise ArgumentError(f"{folder} is a checkpoint; a report is of the folder of a run: {folder.parent.parent}")
    config, recipe, notes = recorded(folder)
    logs = {name: sound(read_rows(folder / name)) for name in LOGS}
    for name, rows in logs.items():
        path = folder / name
        if path.exists() and len(path.read_bytes().splitlines()) > len(rows):
            notes.append(f"Line {len(rows) + 1} of {name} is damaged, or being written: nothing behind it is shown.")
    fields = asdict(recipe) if recipe else config["fields"]
    defaults = asdict(RECIPES[recipe.name]) if recipe else {}
    steps = steps_of(fields, config["dataset"]["images"])
    drawn = sheets(folder / "samples", steps) if (folder / "samples").is_dir() else []
    found = [(step_of(path, steps), path) for path in drawn]
    reached = [place for path in checkpoints(folder) if (place := epoch_and_step(path))]
    return Found(folder, config, recipe, fields, defaults, logs, found, reached[-1] if reached else None, notes)


def recorded(folder: Path) -> tuple[dict[str, Any], Recipe | None, list[str]]:
    """(what config.json says, minigan's recipe or None, notes on what stands in for it)."""
    config, notes = stated(folder), []
    if not config and (found := checkpoints(folder)):
        config = stated(found[-1])
        notes = [f"{folder / 'config.json'} is gone or damaged; what it said is taken from {found[-1].name}."]
    if "own" not in config:
        run = Run(folder)
        return run.config, run.recipe, [f"{run.lost}."] if run.lost else []
    try:
        stands = {**Settings().record(), "changes": [], **config}
        check_entries(stands, {"recipe": str, "fields": dict, "own": OWN, **FACTS, **RECORDED, "changes": list})
    except TypeError as error:
        reason = f"{type(error).__name__}: {error}"
        raise RunMissingError(
            f"{folder / 'config.json'} cannot be read ({reason}); {lost.config_remedy(folder)}"
        ) from None
    return config, None, notes


def sound(rows: list[Row]) -> list[Row]:
    """The rows up to the first whose step is no count."""
    wrong = next((i for i, row in enumerate(rows) if not is_count(row["step"])), len(rows))
    return rows[:wrong]


def steps_of(fields: dict[str, Any], images: int) -> int:
    """The updates of D in an epoch of a recipe with these fields; 0 if they do not tell, as one's own may not."""
    try:
        size, last = fields["batch_size"], fields.get("drop_last", False)
        return int(fields.get("epoch_steps") or count_batches(images, size, drop_last=last))
    except (KeyError, TypeError, ValueError, ZeroDivisionError, MiniganError):
        return 0


def step_of(path: Path, epoch_steps: int) -> int:
    """When a sheet was drawn, by its name: epoch-0003.png or step-0000500.png."""
    kind, number = path.stem.split("-")
    return int(number) * ((epoch_steps or 1) if kind == "epoch" else 1)


def rows_of(layers: list[Any], in_shape: tuple[int, ...]) -> Rows:
    """The table of a network that is not made."""
    shapes = walk_shapes(layers, in_shape)
    own = places([layer.params(shape) for layer, shape in zip(layers, shapes[:-1], strict=True)])
    counts = [sum(map(math.prod, each.values())) for each in own]
    return summary_rows(layers, in_shape, shapes[1:], counts)


def layer_rows(layers: list[Any]) -> Rows:
    """The table of a network of which only the layers are known."""
    return [("", "layer", "", ""), *((str(i), str(layer), "", "") for i, layer in enumerate(layers))]


def finite(value: Any) -> float | None:
    """A number out of a file as a float; None for what is none, or is not finite."""
    try:
        found = float(value) if isinstance(value, (int, float)) else math.nan
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def evaluation_of(folder: Path) -> dict[str, Any] | None:
    """What `minigan evaluate` left in the run; None if it did not. Raises ValueError if that cannot be read."""
    try:
        found = json.loads((folder / "evaluation.json").read_bytes())
    except FileNotFoundError:
        return None
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found
