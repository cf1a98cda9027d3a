"""Alarms: what goes wrong in a GAN that no loss shows, said while it happens, once, with what to try.

Every hundred steps a reading is taken of the two players and of the pictures that G makes of the same latents each
time; each alarm below is a question to the last few readings. Looking changes nothing, and costs about half a hundredth
of the training of a small recipe, and less of a large one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minigan import backend
from minigan.backend import Array, to_numpy
from minigan.errors import DivergenceError, whole
from minigan.recipes import Recipe
from minigan.recipes.recipe import SIZE
from minigan.store.files import append_line
from minigan.train import Callback, Row, Trainer, generate
from minigan.train.metrics import Means, gradient_norms
from minigan.watch.logs import read_rows
from minigan.watch.pictures import to_pixels
from minigan.watch.symptoms import (
    ALARMS,
    COPY,
    DIGITS,
    MARGIN,
    NOT_A_NUMBER,
    PICTURES,
    STREAK,
    SURELY,
    Reading,
    slow_down,
)

if TYPE_CHECKING:
    from minigan.nn import Sequential

EVERY = 100  # steps between two readings
WINDOW = 20  # steps before a reading over which D's answers are averaged
WEIGHTS = 10_000  # of a network, looked at to see whether it moves
READ = 256  # real images read as digits, once, to see whether they are digits


class Alarms(Callback):
    """Asks every alarm every so many steps, and passes on what it says: once, to `say` and to RUN/alarms.jsonl.

    `run` is the run's folder (None: nothing is kept). In a resumed run the readings begin anew, so a
    gradient that had vanished before the stop is not known to have been larger. Attributes: `readings`, for those who
    wonder why an alarm is silent, and `raised`, rows of step, epoch, alarm, saw, means and try.
    While training, raises DivergenceError if a loss or a picture is no longer made of finite numbers.
    """

    def __init__(self, run: Path | None = None, *, say: Callable[[str], None] = print, every: int = EVERY):
        self.path, self.say = run and run / "alarms.jsonl", say
        self.every = whole(every, "every must be a whole number of steps, at least 1", least=1)
        self.readings: list[Reading] = []
        self.raised: list[Row] = []

    def start(self, trainer: Trainer) -> None:
        if self.path:
            self.raised = read_rows(self.path)
        real = some(trainer, PICTURES)
        self.real_range, self.real_distances = limits(trainer.recipe, real), distances(real)
        self.real_copies = repeated_share(self.real_distances, self.real_distances)
        self.looks, self.reader = 0, None
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
        drawn = distances(pictures)
        reading["spread"] = drawn[0] / self.real_distances[0] if self.real_distances[0] > 0 else 1.0
        reading["copies"], reading["real_copies"] = repeated_share(drawn, self.real_distances), self.real_copies
        self.looks += 1
        if (
            self.looks == STREAK and trainer.recipe.pixels == (SIZE + 2 * trainer.recipe.pad) ** 2
        ):  # 28 by 28 to look at
            self.reader = reader(to_pixels(trainer, some(trainer, READ)))
        if self.reader and self.looks % STREAK == 0:  # seldom: it takes some times as long as the rest of a look
            reading["digits"] = digits(to_pixels(trainer, pictures), self.reader)
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


def some(trainer: Trainer, count: int) -> np.ndarray:
    """About `count` of the run's real images, evenly spread, in the range that D sees."""
    images = trainer.batches.images
    return to_numpy(trainer.batches.take(np.linspace(0, len(images) - 1, min(count, len(images))).astype(np.int64)))


def reader(real: np.ndarray) -> Sequential | None:
    """The shipped classifier that reads these uint8 images (N, 28, 28) best; None unless they are digits of many kinds.

    It is asked instead of the name of the data: so a folder of one's own digits is read too, and letters are not.
    """
    from minigan.metrics.classifier import SHA256, load_classifier  # here: not every run gets this far

    counts, best = max(((digits(real, c), c) for c in map(load_classifier, SHA256)), key=lambda found: sum(found[0]))
    return best if sum(counts) >= DIGITS * len(real) and max(counts) <= len(real) / 2 else None


def digits(pixels: np.ndarray, classifier: Sequential) -> list[int]:
    """How many of the uint8 images (N, 28, 28) are read surely as 0, as 1, …"""
    from minigan.metrics.classifier import describe

    probability = describe(pixels, classifier)[1]
    return np.bincount(probability.argmax(axis=1)[probability.max(axis=1) >= SURELY], minlength=10).tolist()


def distances(x: np.ndarray) -> tuple[float, np.ndarray]:
    """(mean Euclidean distance between two of the N images x, that of each to its nearest other, (N,)); 0 for N = 1."""
    if len(x) < 2:
        return 0.0, np.zeros(len(x))
    x = x.reshape(len(x), -1).astype(np.float64)
    x -= x.mean(axis=0)  # distances stay, and small ones between far-off images lose no digits
    squares = (x * x).sum(axis=1)
    d = np.sqrt(np.maximum(squares[:, None] + squares - 2 * backend.matmul(x, x.T), 0))
    others = d[~np.eye(len(x), dtype=bool)].reshape(len(x), -1)
    return float(others.mean()), others.min(axis=1)


def repeated_share(drawn: tuple[float, np.ndarray], real: tuple[float, np.ndarray]) -> float:
    """The part of the pictures that are copies of another, from their `distances` and those of real images.

    A copy is one that is near relative to the mean distance, where real images' median to the nearest is the unit.
    """
    unit = np.median(real[1]) / real[0] if real[0] > 0 else 0.0
    return float((drawn[1] <= COPY * unit * drawn[0]).mean())


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
