"""Alarms: what goes wrong in a GAN that no loss shows, said while it happens, once, with what to try.

Every hundred steps a reading is taken of the two players and of the pictures that G makes of the same latents each
time; each alarm below is a question to the last few readings. Looking changes nothing, and costs well under a hundredth
of the training.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from minigan import backend
from minigan.backend import Array, to_numpy
from minigan.callbacks import read_rows
from minigan.errors import ArgumentError, DivergenceError
from minigan.files import append_line
from minigan.means import Means, gradient_norms
from minigan.recipes import Recipe
from minigan.symptoms import ALARMS, MARGIN, NOT_A_NUMBER, PICTURES, Reading, slow_down
from minigan.train import Callback, Row, Trainer, generate

EVERY = 100  # steps between two readings
WINDOW = 20  # steps before a reading over which D's answers are averaged
WEIGHTS = 10_000  # of a network, looked at to see whether it moves


class Alarms(Callback):
    """Asks every alarm every so many steps, and passes on what it says: once, to `say` and to RUN/alarms.jsonl.

    `run` is the run's folder (None: nothing is kept). In a resumed run the readings begin anew, so a
    gradient that had vanished before the stop is not known to have been larger. Attributes: `readings`, for those who
    wonder why an alarm is silent, and `raised`, rows of step, epoch, alarm, saw, means and try.
    While training, raises DivergenceError if a loss or a picture is no longer made of finite numbers.
    """

    def __init__(self, run: Path | None = None, *, say: Callable[[str], None] = print, every: int = EVERY):
        if not isinstance(every, int) or every < 1:
            raise ArgumentError(f"every must be a whole number of steps, at least 1, got {every}")
        self.path, self.say, self.every = run and run / "alarms.jsonl", say, every
        self.readings: list[Reading] = []
        self.raised: list[Row] = []

    def start(self, trainer: Trainer) -> None:
        if self.path:
            self.raised = read_rows(self.path)
        images = trainer.batches.images
        chosen = np.linspace(0, len(images) - 1, min(PICTURES, len(images))).astype(np.int64)
        real = to_numpy(trainer.batches.take(chosen))
        self.real_range, self.real_distances = limits(trainer.recipe, real), distances(real)
        self.z = trainer.preview_latents(PICTURES)
        self.means, self.g_steps, self.pictures = Means(), trainer.g_optimizer.steps, None
        self.weights = {name: sample_weights(net.params) for name, net in (("G", trainer.G), ("D", trainer.D))}

    def step_end(self, trainer: Trainer) -> None:
        since = trainer.step % self.every
        if since == 0 or since > self.every - WINDOW:
            self.means.add(trainer.latest)
        if since == 0:
            self.readings.append(self.read(trainer))
            self.means = Means()
            for alarm in ALARMS:
                if saw := alarm.saw(self.readings):
                    self.record(trainer, alarm.name, saw, alarm.means, alarm.remedy(trainer.recipe))

    def read(self, trainer: Trainer) -> Reading:
        """What the alarms judge by; see the names at its end."""
        means = self.means.result()
        pictures = generate(trainer.average, self.z)
        if bad := [name for name, value in means.items() if value is not None and not np.isfinite(value)]:
            raise trainer.divergence(", ".join(bad))
        if not np.isfinite(pictures).all():
            raise trainer.divergence("what G draws")
        low, high = trainer.recipe.value_range
        reading: Reading = {"step": trainer.step, "epoch": trainer.epoch, **means}
        reading["g_steps"] = trainer.g_optimizer.steps - self.g_steps  # updates of G since the last reading
        for name, network in (("G", trainer.G), ("D", trainer.D)):
            norms, weights = gradient_norms(name, network).values(), sample_weights(network.params)
            reading[f"{name.lower()}_grad"] = float(np.linalg.norm(list(norms)))
            reading[f"{name.lower()}_moved"] = change(self.weights[name], weights)
            self.weights[name] = weights
        if self.pictures is not None:  # the largest change of a pixel, as a part of the range
            reading["changed"] = float(np.abs(pictures - self.pictures).max()) / (high - low)
        margin = MARGIN * (high - low)
        reading["outside"] = float(((pictures < low - margin) | (pictures > high + margin)).mean())
        reading["range"], reading["real_range"] = limits(trainer.recipe, pictures), self.real_range
        ratios = (a / b if b > 0 else 1.0 for a, b in zip(distances(pictures), self.real_distances, strict=True))
        reading["spread"], reading["nearest"] = ratios  # between any two, and to the nearest; in those of real images
        self.pictures, self.g_steps = pictures, trainer.g_optimizer.steps
        return reading

    def record(self, trainer: Trainer, name: str, saw: str, means: str, remedy: str) -> None:
        """Raise an alarm, unless it has been raised before."""
        if name in [row["alarm"] for row in self.raised]:
            return
        epoch = -(-trainer.step // trainer.epoch_steps)  # the one that is under way
        row = {"step": trainer.step, "epoch": epoch, "alarm": name, "saw": saw, "means": means, "try": remedy}
        self.raised.append(row)
        if self.path:
            append_line(self.path, json.dumps(row))
        lines = f"ALARM: {name} (step {trainer.step:,}, epoch {epoch})", f"  saw:     {saw}.", f"  usually: {means}."
        self.say("\n".join([*lines, f"  try:     {remedy}."]))

    def diverged(self, trainer: Trainer, error: DivergenceError) -> None:
        """Keep the alarm that ended the run."""
        means = "a rate too high: the weights grow until a sum overflows"
        self.record(trainer, NOT_A_NUMBER, str(error), means, slow_down(trainer.recipe))

    def finish(self, trainer: Trainer) -> None:
        if self.raised:
            names = ", ".join(f"{row['alarm']} (step {row['step']:,})" for row in self.raised)
            self.say(f"Alarms of this run: {names}" + (f"; see {self.path}" if self.path else ""))


def distances(x: np.ndarray) -> tuple[float, float]:
    """(mean Euclidean distance between two of the N images x, median distance to the nearest other); 0, 0 for N = 1."""
    if len(x) < 2:
        return 0.0, 0.0
    x = x.reshape(len(x), -1).astype(np.float64)
    x -= x.mean(axis=0)  # distances stay, and small ones between far-off images lose no digits
    squares = (x * x).sum(axis=1)
    d = np.sqrt(np.maximum(squares[:, None] + squares - 2 * backend.matmul(x, x.T), 0))
    others = d[~np.eye(len(x), dtype=bool)].reshape(len(x), -1)
    return float(others.mean()), float(np.median(others.min(axis=1)))


def limits(recipe: Recipe, x: np.ndarray) -> tuple[float, float]:
    """(least, greatest) value of x as parts of the recipe's pixel range: 0, 1 where it is filled."""
    low, high = recipe.value_range
    return (float(x.min()) - low) / (high - low), (float(x.max()) - low) / (high - low)


def sample_weights(params: Array) -> np.ndarray:
    """About WEIGHTS of the parameters, evenly spread, copied to the host."""
    return np.array(to_numpy(params[:: max(1, params.size // WEIGHTS)]))


def change(before: np.ndarray, after: np.ndarray) -> float:
    """‖after - before‖ / ‖before‖."""
    return float(np.linalg.norm(after - before) / max(float(np.linalg.norm(before)), 1e-30))
