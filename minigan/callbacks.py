"""What a run leaves behind: lines on the terminal, sample sheets, a log of metrics, and weights.

RUN/config.json  metrics.jsonl  timing.jsonl
RUN/samples/real.png  epoch-0000.png …
RUN/checkpoints/epoch-0001.safetensors
"""

from __future__ import annotations

import json
import platform
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from minigan import __version__, plot
from minigan.backend import to_numpy
from minigan.checkpoint import save_networks
from minigan.errors import RunExistsError
from minigan.files import write_atomically
from minigan.train import Callback, Row, Trainer, generate

SHEET = 100  # images on a sample sheet


def check_free(out: Path) -> None:
    """Raise RunExistsError if `out` holds a run, or what is left of one."""
    if any((out / part).exists() for part in ("config.json", "metrics.jsonl", "checkpoints")):
        raise RunExistsError(f"{out} already holds a run; give another --out, or move that one away")


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
    (out / "samples").mkdir(exist_ok=True)
    return out


def write_config(run: Path, trainer: Trainer, dataset: dict[str, Any]) -> None:
    """RUN/config.json: everything that decides the run, and where its data came from."""
    config = {
        "recipe": trainer.recipe.name,
        "fields": asdict(trainer.recipe),
        "seed": trainer.seed,
        "device": trainer.device,
        "dataset": dataset,
        "versions": {"minigan": __version__, "numpy": np.__version__, "python": platform.python_version()},
    }
    write_atomically(run / "config.json", (json.dumps(config, indent=2) + "\n").encode())


class PrintLosses(Callback):
    """One plain line per epoch."""

    def start(self, trainer: Trainer) -> None:
        self.began = time.perf_counter()

    def epoch_end(self, trainer: Trainer, row: Row) -> None:
        seconds = time.perf_counter() - self.began
        print(
            f"Epoch {row['epoch']:>{len(str(trainer.recipe.epochs))}}/{trainer.recipe.epochs}  "
            f"d_loss {_number(row['d_loss'])}  g_loss {_number(row['g_loss'])}  "
            f"D(x) {row['d_real']:.2f}  D(G(z)) {row['d_fake']:.2f}  {seconds:.0f} s",
            flush=True,
        )


class MetricsLog(Callback):
    """metrics.jsonl, deterministic values only, and timing.jsonl, the wall-clock."""

    def __init__(self, run: Path):
        self.run = run

    def start(self, trainer: Trainer) -> None:
        self.began = time.perf_counter()

    def logged(self, trainer: Trainer, row: Row) -> None:
        timing = {"step": row["step"], "seconds": round(time.perf_counter() - self.began, 3)}
        for name, values in (("metrics.jsonl", row), ("timing.jsonl", timing)):
            with (self.run / name).open("a") as file:
                file.write(json.dumps(values) + "\n")


class SampleSheets(Callback):
    """A sheet of real images once, and one of the same latents before the first epoch and after each."""

    def __init__(self, folder: Path):
        self.folder = folder

    def start(self, trainer: Trainer) -> None:
        batches = trainer.batches
        real = to_numpy(batches.take(np.arange(min(SHEET, len(batches.images)))))
        self.write(trainer, real, "real.png")
        self.draw(trainer)

    def epoch_end(self, trainer: Trainer, row: Row) -> None:
        self.draw(trainer)

    def draw(self, trainer: Trainer) -> None:
        images = generate(trainer.G, trainer.preview_latents(SHEET))
        self.write(trainer, images, f"epoch-{trainer.epoch:04d}.png")

    def write(self, trainer: Trainer, images: np.ndarray, name: str) -> None:
        pixels = plot.to_uint8(images.reshape(len(images), 28, 28), trainer.recipe.value_range)
        plot.save_png(plot.image_grid(pixels), self.folder / name)


class Checkpoints(Callback):
    """Both networks after every epoch; only the newest is kept."""

    def __init__(self, folder: Path):
        self.folder = folder

    def epoch_end(self, trainer: Trainer, row: Row) -> None:
        path = self.folder / f"epoch-{trainer.epoch:04d}.safetensors"
        header = {"recipe": trainer.recipe.name, "seed": trainer.seed, "epoch": trainer.epoch, "step": trainer.step}
        save_networks(path, {"G": trainer.G, "D": trainer.D}, **header)
        for older in self.folder.glob("epoch-*.safetensors"):
            if older != path:
                older.unlink()


def _number(value: float | None) -> str:
    return "     –" if value is None else f"{value:6.4f}"
