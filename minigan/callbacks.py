"""What a run leaves for people to look at: a log of metrics, sheets of samples, curves and an animation.

RUN/metrics.jsonl  timing.jsonl
RUN/samples/real.png  epoch-0000.png …  curves.png  samples.gif  interpolation.png
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from minigan import plot
from minigan.backend import Array, array_module, to_numpy
from minigan.errors import ArgumentError
from minigan.store.files import append_line, write_atomically
from minigan.train import Callback, Row, Trainer, generate

SHEET = 100  # images on a sample sheet
DRAWN = ("d_loss", "g_loss", "d_real", "d_fake", "acc_real", "acc_fake")  # as curves; None where there is none yet
#: The logs of a run, a row a line; and what must stand in a row of each, beside its step, since it is counted on. What
#: may also be None may be left out: a column that did not exist when the row was written.
LOGS: dict[str, dict[str, Any]] = {
    "metrics.jsonl": {"epoch": int, **dict.fromkeys(DRAWN, int | float | None)},
    "timing.jsonl": {"seconds": int | float},
    "alarms.jsonl": {"alarm": str},
    "quality.jsonl": {"epoch": int, "frechet": int | float},
}


@dataclass(frozen=True)
class Every:
    """How often: every `count` epochs or steps; never if `count` is 0."""

    count: int
    steps: bool  # counted in steps, not in epochs

    @classmethod
    def parse(cls, flag: str, text: str | int) -> Self:
        """From 5, "5" or "5epochs", "500steps", or "never"; raises ArgumentError naming the flag."""
        if text in (0, "0", "never"):
            return cls(0, False)
        match = re.fullmatch(r"(\d{1,9}) ?(epochs?|steps?)?", str(text))
        if not match or int(match[1]) == 0:
            raise ArgumentError(f"{flag} must be like 5 (epochs), 500steps or never, got {text!r}")
        return cls(int(match[1]), (match[2] or "").startswith("step"))

    def step_due(self, step: int) -> bool:
        return self.steps and self.count > 0 and step % self.count == 0

    def epoch_due(self, epoch: int) -> bool:
        return not self.steps and self.count > 0 and epoch % self.count == 0


class MetricsLog(Callback):
    """metrics.jsonl, deterministic values only, and timing.jsonl, the wall-clock (of a resumed run: without the pause).

    What the files hold beyond the trainer's step, from a run that was cut off later, is cut off first.
    """

    def __init__(self, run: Path):
        self.run = run

    def start(self, trainer: Trainer) -> None:
        for name in LOGS:  # whether or not alarms are on now
            keep_rows(self.run / name, trainer.step)
        timing = read_rows(self.run / "timing.jsonl")
        self.began = time.perf_counter() - (timing[-1]["seconds"] if timing else 0)

    def logged(self, trainer: Trainer, row: Row) -> None:
        timing = {"step": row["step"], "seconds": round(time.perf_counter() - self.began, 3)}
        for name, values in (("metrics.jsonl", row), ("timing.jsonl", timing)):
            append_line(self.run / name, json.dumps(values))


def read_rows(path: Path) -> list[Row]:
    """The rows of a .jsonl file, up to the first that is not whole; [] if there is no file."""
    rows, columns = [], {"step": int, **LOGS.get(path.name, {})}
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(row, dict) or not all(isinstance(row.get(n), kind) for n, kind in columns.items()):
            break
        rows.append(row)
    return rows


def keep_rows(path: Path, step: int) -> None:
    """Cut a .jsonl file behind its last whole row of at most `step`."""
    if path.exists():
        lines = [json.dumps(row) + "\n" for row in read_rows(path) if row["step"] <= step]
        write_atomically(path, "".join(lines).encode())


class Pictures(Callback):
    """RUN/samples: real images; the same latents before the first step and every so often; at the end the rest."""

    def __init__(self, folder: Path, every: Every):
        self.folder, self.every = folder, every

    def start(self, trainer: Trainer) -> None:
        batches = trainer.batches
        real = to_numpy(batches.take(np.arange(min(SHEET, len(batches.images)))))
        plot.save_png(plot.image_grid(to_pixels(trainer, real)), self.folder / "real.png")
        if trainer.step == 0 or not sheets(self.folder, trainer.epoch_steps):  # or they are lost
            self.draw_sheet(trainer)

    def step_end(self, trainer: Trainer) -> None:
        if self.every.step_due(trainer.step):
            self.draw_sheet(trainer)

    def epoch_end(self, trainer: Trainer, row: Row) -> None:
        if self.every.epoch_due(trainer.epoch) or trainer.epoch == trainer.recipe.epochs:
            self.draw_sheet(trainer)
        if trainer.epoch < trainer.recipe.epochs:  # the last time it is drawn below
            plot.save_curves(trainer.history, self.folder / "curves.png")

    def finish(self, trainer: Trainer) -> None:
        plot.save_curves(trainer.history, self.folder / "curves.png")  # up to the last interval, if it was interrupted
        steps = trainer.epoch_steps
        plot.save_gif(sheets(self.folder, steps), self.folder / "samples.gif")
        z = interpolate(trainer.preview_latents(SHEET // 10 + 1), 10, sphere=trainer.recipe.latents == "normal")
        between = to_pixels(trainer, generate(trainer.average, z))
        plot.save_png(plot.image_grid(between), self.folder / "interpolation.png")

    def draw_sheet(self, trainer: Trainer) -> None:
        images = generate(trainer.average, trainer.preview_latents(SHEET))
        whole = trainer.step == trainer.epoch * trainer.epoch_steps
        name = f"epoch-{trainer.epoch:04d}.png" if whole else f"step-{trainer.step:07d}.png"
        plot.save_png(plot.image_grid(to_pixels(trainer, images)), self.folder / name)


def to_pixels(trainer: Trainer, images: np.ndarray) -> np.ndarray:
    """Network images as uint8 (N, 28, 28); raises DivergenceError if they are no longer numbers."""
    if not np.isfinite(images).all():
        raise trainer.divergence("what G draws")
    return plot.to_uint8(trainer.recipe.as_images(images), trainer.recipe.value_range)


def sheets(folder: Path, steps_per_epoch: int) -> list[Path]:
    """The sample sheets in a folder, in the order in which training made them."""
    found = {}
    for path in folder.iterdir():
        if match := re.fullmatch(r"(epoch|step)-(\d+)\.png", path.name):
            found[path] = int(match[2]) * (steps_per_epoch if match[1] == "epoch" else 1)
    return sorted(found, key=lambda path: found[path])


def interpolate(z: Array, count: int, *, sphere: bool) -> Array:
    """From each row of z (N, latent) to the next in `count` equal parts, ends included: (count·(N-1), latent).

    Along the straight line, a(1-t) + bt; or, for normal latents, on the arc (a·sin((1-t)ω) + b·sin(tω)) / sin ω with
    ω the angle between a and b, since the middle of a straight line is shorter than any latent that G has learned from.
    Source: White, "Sampling generative networks", 2016 (the arc, known as slerp).
    """
    xp = array_module(z)
    a, b = z[:-1, None], z[1:, None]
    t = xp.linspace(0, 1, count, dtype=z.dtype)[:, None]
    if sphere:
        lengths = xp.sqrt((a * a).sum(axis=-1, keepdims=True) * (b * b).sum(axis=-1, keepdims=True))
        angle = xp.arccos(xp.clip((a * b).sum(axis=-1, keepdims=True) / lengths, -0.9999, 0.9999))
        path = (a * xp.sin((1 - t) * angle) + b * xp.sin(t * angle)) / xp.sin(angle)
    else:
        path = a * (1 - t) + b * t
    return path.reshape(-1, z.shape[1]).astype(z.dtype)
