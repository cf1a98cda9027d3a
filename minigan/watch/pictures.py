"""Pictures of a run: sheets of samples, curves and an animation.

RUN/samples/real.png  epoch-0000.png …  curves.png  samples.gif  interpolation.png
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from minigan import plot
from minigan.backend import Array, array_module, to_numpy
from minigan.train import Callback, Row, Trainer, generate
from minigan.watch.rhythm import Every

SHEET = 100  # images on a sample sheet


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
