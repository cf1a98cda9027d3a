"""What is lost of a run's folder and what stands in for it, and what there is in the way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from minigan.errors import CheckpointError, RunFolderError
from minigan.runs.saved import checkpoints, read_saved
from minigan.store.files import quoted
from minigan.watch.logs import LOGS

#: What config.json and every checkpoint of a run begin with (`facts_of`).
SHARED = ("recipe", "fields", "own", "seed", "dataset", "elementwise", "versions")


def stand_in(folder: Path, chosen: Path | None) -> tuple[dict[str, Any], str] | None:
    """(what config.json would say of a run, a sentence that says so), out of the checkpoint that is `chosen`, or the
    newest that is whole; None if there is none in the run's folder.
    """
    found = checkpoints(folder)[::-1]
    for path in found if chosen is None else [p for p in found if p.resolve() == chosen.resolve()]:
        try:
            header = read_saved(path).header
        except CheckpointError:
            continue
        told = f"{folder / 'config.json'} is gone; what it said of the run is taken from {path.name}"
        return {key: header[key] for key in SHARED if key in header}, told
    return None


def config_remedy(folder: Path) -> str:
    """What to do about a config.json that is there and says nothing, or something else than its checkpoints."""
    if not (found := checkpoints(folder)):
        return "begin a new run: there is no checkpoint beside it"
    return f"put the run's own back, or remove it: what {found[-1].name} says then stands in for it"


def check_places(folder: Path) -> list[str]:
    """Make the folders of a run that are gone, a sentence each.

    Raises RunFolderError for one that is none, and for what cannot be written to.
    """
    gone = [place for place in (folder / "samples", folder / "checkpoints") if not place.exists()]
    for place in (folder / "samples", folder / "checkpoints"):
        try:
            place.mkdir(exist_ok=True)
        except FileExistsError:
            raise RunFolderError(
                f"{place} is no folder, and a run keeps its {place.name} there; move it away: "
                f"mv {quoted(place)} {quoted(place.with_name(f'{place.name}.aside'))}"
            ) from None
    for place in (folder, folder / "samples", folder / "checkpoints", *(folder / log for log in LOGS)):
        if place.exists() and not os.access(place, os.W_OK):
            raise RunFolderError(f"{place} cannot be written to; give back the permission: chmod u+w {quoted(place)}")
    return [f"{place} was gone, and begins anew." for place in gone]
