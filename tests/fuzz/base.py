"""Runs to be damaged: two that minigan has trained, so small that a case takes a moment, and how each would go on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
import runfolder
from curves import curves_as_text

from fuzz.files import idx
from fuzz.judge import Enough
from minigan import plot
from minigan.runs import training
from minigan.runs.interrupt import Interrupted
from minigan.runs.run import Run
from minigan.screen import silence
from minigan.train import Trainer
from minigan.watch import pictures
from minigan.watch.progress import Watch

STEPS = 15  # that a case may train
#: Three steps an epoch and G moves at every second, so that a checkpoint holds means, an average and G's last gradient.
TINY = {
    "images": 60,
    "batch_size": 20,
    "latent_dim": 2,
    "g_hidden": (2,),
    "d_hidden": (2,),
    "d_steps": 2,
    "log_every": 2,
}
QUALITY = '{"step": 3, "epoch": 1, "frechet": 5.5}\n{"step": 6, "epoch": 2, "frechet": 7.25}\n'
ALARM = '{"step": 3, "epoch": 1, "alarm": "G has collapsed", "saw": "x", "means": "y", "try": "z"}\n'


@contextlib.contextmanager
def small():
    """Sheets of few images, curves as text, no waiting for the disk, and no run that trains for ever."""
    steps, advance = SimpleNamespace(left=STEPS), Trainer.advance

    def limited(self, watchers=()):
        steps.left -= 1
        if steps.left < 0:
            raise Enough
        advance(self, watchers)

    with (
        patch.object(pictures, "SHEET", 20),
        patch.object(plot, "save_curves", curves_as_text),
        patch.object(os, "fsync", lambda descriptor: None),
        patch.object(Trainer, "advance", limited),
        patch.object(training, "Watch", lambda every, say: Watch(every, silence)),
    ):
        yield steps


def read_all(folder):
    """{name: bytes} of every file in a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_all(folder, files):
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


class Base:
    """A run of two epochs and one that was stopped after four steps, and what becomes of both if they go on."""

    def __init__(self, folder):
        self.folder, self.run = folder, folder / "run"
        images = np.random.default_rng(0).integers(0, 256, (TINY["images"], 28, 28)).astype(np.uint8)
        write_all(folder / "images", {"images.idx": idx(images, 0x08)})
        options = {"epochs": 2, "dataset": str(folder / "images"), "preview_every": "never", **TINY}
        with small() as steps:
            self.finished = self.keep(runfolder.start(self.run, **options))
            self.longer = self.keep(runfolder.resume(self.run, epochs=3))
            shutil.rmtree(self.run)
            with pytest.MonkeyPatch.context() as monkeypatch, contextlib.suppress(Interrupted):
                steps.left = STEPS
                runfolder.press(monkeypatch, 4)
                runfolder.start(self.run, **options)
            self.stopped = self.keep(Run(self.run))
        self.config = json.loads(self.finished["run/config.json"])
        self.trainer = Trainer(Run(self.run).recipe, images, seed=0)

    def keep(self, run):
        """The files of a run and of its images; with logs of what it did not come to."""
        if not (run.folder / "quality.jsonl").exists():
            (run.folder / "quality.jsonl").write_text(QUALITY)
            (run.folder / "alarms.jsonl").write_text(ALARM)
        return read_all(self.folder)
