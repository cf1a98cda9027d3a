"""How good the samples are while a run trains: their Fréchet distance every few epochs, and so the best checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from minigan.backend import RandomStream, to_numpy
from minigan.data.datasets import built_in
from minigan.errors import whole
from minigan.metrics.classifier import SHA256, describe, load_classifier
from minigan.metrics.frechet import frechet_distance
from minigan.store.files import append_line
from minigan.train import Callback, Row, Trainer, generate
from minigan.watch.logs import best_epoch
from minigan.watch.pictures import to_pixels

SAMPLES, IMAGES = 2_000, 5_000  # generated, and of the run's own images: enough to rank the epochs of one run


class Quality(Callback):
    """Every `every` epochs a row of step, epoch and frechet in RUN/quality.jsonl; its best is kept (`Keep`).

    The samples come from the same latents each time. They are held against the images that the run learns from, and
    are fewer than `minigan evaluate` takes, so that the two numbers do not compare.
    """

    def __init__(self, run: Path, every: int, *, say: Callable[[str], None] = print):
        self.run, self.say = run, say
        self.every = whole(every, "every must be a whole number of epochs, at least 1", least=1)

    def start(self, trainer: Trainer) -> None:
        name = built_in(json.loads((self.run / "config.json").read_bytes())["dataset"])
        self.classifier = load_classifier(name if name in SHA256 else "mnist")
        images = trainer.batches.images
        chosen = np.linspace(0, len(images) - 1, min(IMAGES, len(images))).astype(np.int64)
        self.real = self.features(trainer, to_numpy(trainer.batches.take(chosen)))

    def epoch_end(self, trainer: Trainer, row: Row) -> None:
        if trainer.epoch % self.every:
            return
        z = trainer.latents(SAMPLES, RandomStream(trainer.seed, "sample", device=trainer.device))
        distance = frechet_distance(self.features(trainer, generate(trainer.average, z)), self.real)
        scored = {"step": trainer.step, "epoch": trainer.epoch, "frechet": distance}
        append_line(self.run / "quality.jsonl", json.dumps(scored))
        best = ", the best so far" if best_epoch(self.run) == trainer.epoch else ""
        self.say(f"  Fréchet distance of {SAMPLES:,} samples after epoch {trainer.epoch}: {distance:.2f}{best}")

    def features(self, trainer: Trainer, x: np.ndarray) -> np.ndarray:
        return describe(to_pixels(trainer, x), self.classifier)[0]
