"""A run's folder: which one a new run gets, what stands in it first, and where its checkpoints are."""

from __future__ import annotations

import json
import platform
import shlex
from dataclasses import asdict
from pathlib import Path

import numpy as np

from minigan import __version__
from minigan.data.datasets import Dataset
from minigan.errors import RunExistsError
from minigan.files import write_atomically
from minigan.train import Trainer


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a run's folder, the newest last."""
    found = (folder / "checkpoints").glob("epoch-*.safetensors")
    return sorted((path for path in found if path.stem[6:].isdecimal()), key=lambda path: int(path.stem[6:]))


def check_free(out: Path) -> None:
    """Raise RunExistsError if `out` holds a run, or what is left of one."""
    if (out / "config.json").exists() and checkpoints(out):
        command = f"minigan train --resume {shlex.quote(str(out))}"
        raise RunExistsError(f"{out} already holds a run; go on with it: {command}, or give another --out")
    if any((out / part).exists() for part in ("config.json", "metrics.jsonl", "samples", "checkpoints")):
        raise RunExistsError(f"{out} already holds what is left of a run; give another --out, or move that away")


def claim_run(out: Path | None, name: str) -> Path:
    """Make the run's folder: `out`, or the next free `runs/NAME-NNN`. No other run can claim the same."""
    if out is None:
        numbers = [int(n) for p in Path("runs").glob(f"{name}-*") if (n := p.name.removeprefix(f"{name}-")).isdecimal()]
        out = Path("runs") / f"{name}-{max(numbers, default=0) + 1:03d}"
    check_free(out)
    try:
        (out / "checkpoints").mkdir(parents=True)
    except FileExistsError:
        raise RunExistsError(f"{out} has just been taken by another run; start again") from None
    (out / "samples").mkdir()
    return out


def write_config(folder: Path, trainer: Trainer, data: Dataset, *, data_dir: str | None, sample_every: str) -> None:
    """RUN/config.json: everything that decides the run, and where its data came from."""
    config = {
        "recipe": trainer.recipe.name,
        "fields": asdict(trainer.recipe),
        "seed": trainer.seed,
        "device": trainer.device,
        "dataset": data.record,
        "data_dir": data_dir,
        "sample_every": sample_every,
        "versions": {"minigan": __version__, "numpy": np.__version__, "python": platform.python_version()},
    }
    write_atomically(folder / "config.json", (json.dumps(config, indent=2) + "\n").encode())
