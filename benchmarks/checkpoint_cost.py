"""What does a checkpoint cost: seconds to save and to load it, its size, and the share of training that saving takes?

    python benchmarks/checkpoint_cost.py            measure, store results/checkpoint_cost.json, print the table
    python benchmarks/checkpoint_cost.py --table    print the table from results/checkpoint_cost.json

The recipes at their full size, on random images. A save is all of it: looking for NaN, hashing, writing, waiting until
the bytes are on the disk, renaming, removing what need not be kept; medians over 15 of them, after some steps. The run
lies under `runs`, as any run does, and not in a folder for temporary files, which may be no disk at all.
At the default interval there is one save an epoch; how long that is comes from the steps. Run nothing else meanwhile.
"""

from __future__ import annotations

import minigan  # noqa: F401 # isort: skip (before NumPy: see minigan/__init__.py)

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from unittest.mock import patch

import numpy as np
from results import Results

from minigan.recipes import RECIPES
from minigan.runs.saved import checkpoints, read_saved
from minigan.runs.saver import CheckpointSaver, Keep
from minigan.store import tensors
from minigan.train import Trainer
from minigan.watch.rhythm import Every

RESULTS = Results("checkpoint_cost")
NAMES = ("flux-dcgan", "best")
STEPS, SAVES, LOADS = 7, 15, 5


class Clock:
    """Seconds by name; `timed(name, function)` is the function, whose time is added; `lap` calls one and returns it."""

    def __init__(self):
        self.seconds = defaultdict(float)

    def timed(self, name, function):
        def call(*args, **options):
            began = time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                self.seconds[name] += time.perf_counter() - began

        return call

    def lap(self, function):
        self.seconds.pop("lap", None)
        self.timed("lap", function)()
        return self.seconds["lap"]


def parts(saver, trainer):
    """The seconds of one save: all, and of that the check for NaN, hashing, and writing with fsync and rename."""
    clock = Clock()
    with ExitStack() as stack:
        stack.enter_context(patch.object(trainer, "check_weights", clock.timed("check", trainer.check_weights)))
        stack.enter_context(patch.object(tensors, "array_facts", clock.timed("hash", tensors.array_facts)))
        stack.enter_context(patch.object(tensors, "write_atomically", clock.timed("write", tensors.write_atomically)))
        clock.timed("save", saver.save)(trainer)
    return clock.seconds


def measure(name, run):
    """The medians of a recipe."""
    recipe = RECIPES[name]
    images = np.random.default_rng(0).integers(0, 256, (recipe.images, 28, 28), dtype=np.uint8)
    trainer, clock = Trainer(recipe, images), Clock()
    (run / "checkpoints").mkdir(parents=True)
    dataset = {"name": "random", "images": len(images), "sha256": ""}
    facts = {"recipe": name, "fields": asdict(recipe), "seed": 0, "dataset": dataset}
    saver = CheckpointSaver(run, facts, Every(1, steps=False), Keep())
    saver.start(trainer)
    steps = [clock.lap(trainer.advance) for _ in range(1 + STEPS)]
    saves = []
    for epoch in range(1, 2 + SAVES):
        trainer.epoch, trainer.step = epoch, epoch * trainer.epoch_steps
        saves.append(parts(saver, trainer))
    newest = checkpoints(run)[-1]
    loads = [clock.lap(lambda: read_saved(newest).into(trainer)) for _ in range(LOADS)]
    median = {part: statistics.median(save[part] for save in saves[1:]) for part in saves[0]}
    epoch = statistics.median(steps[1:]) * trainer.epoch_steps
    found = {"mb": round(newest.stat().st_size / 1e6, 1), "load_s": round(statistics.median(loads), 4)}
    found |= {f"{part}_s": round(seconds, 4) for part, seconds in median.items()}
    return found | {"epoch_s": round(epoch, 1), "share": round(median["save"] / epoch, 6)}


def table():
    """The stored results as Markdown."""
    lines = ["| recipe | checkpoint | save | of that hashing | writing | load | an epoch | saving's share |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for name, r in RESULTS.read().items():
        seconds = " | ".join(f"{1e3 * r[f'{part}_s']:.0f} ms" for part in ("save", "hash", "write", "load"))
        lines.append(f"| `{name}` | {r['mb']} MB | {seconds} | {r['epoch_s']:.0f} s | {r['share']:.2%} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="only print the table of the stored results")
    parser.add_argument("--only", default="", help="only the recipes whose name contains this")
    arguments = parser.parse_args()
    if not arguments.table:
        Path("runs").mkdir(exist_ok=True)
        for name in NAMES:
            if arguments.only in name:
                with tempfile.TemporaryDirectory(dir="runs", prefix="checkpoint-cost-") as work:
                    RESULTS.add(name, measure(name, Path(work) / "run"))
    print(table())
