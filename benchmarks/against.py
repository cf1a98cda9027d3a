"""A step of each system by the code of an older commit and by today's, in turn: is either faster?

    python benchmarks/against.py COMMIT [RECIPE …]     measure, add to results/against.json, print the table
    python benchmarks/against.py --table               print the table of the stored results

Two processes take turns in short rounds of one run. Told are both medians of the rounds, and the median of the rounds'
ratios with their middle half: a change within that is the machine's. Measure on an idle one.
"""

from __future__ import annotations

import minigan  # noqa: F401 # isort: skip (before NumPy, so that OpenBLAS's threads are told to sleep)

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import turns

from minigan import train
from minigan.recipes import RECIPES

SYSTEMS = ("flux-mlp", "pytorch-mlp", "renom-maxout", "flux-dcgan", "keras-upconv", "best", "quick-mlp")
ROUNDS = 15


def results():
    """Imported late: the older code may not have what it needs."""
    from results import Results

    return Results("against")


def worker(name: str) -> None:
    """Whenever a line arrives on standard input, time some steps and answer with the median in milliseconds."""
    recipe = RECIPES[name]
    images = np.random.default_rng(0).integers(0, 256, (recipe.images, 28, 28), np.uint8)
    trainer = train.Trainer(recipe, images)
    turns.answer(name, lambda: trainer.train_step(trainer.batches.batch(trainer.step)))


def compare_with(older: str, name: str) -> dict[str, object]:
    """Both codes' milliseconds, and the ratio older/today's, of one system; `older` is a folder."""
    folders = older, str(Path(__file__).resolve().parents[1])
    command = [sys.executable, __file__, "--worker", name]
    times = turns.take_turns([(command, {**os.environ, "PYTHONPATH": folder}) for folder in folders], ROUNDS)
    low, ratio, high = statistics.quantiles((a / b for a, b in zip(*times, strict=True)), n=4)
    rounded = {"ratio": round(ratio, 3), "from": round(low, 3), "to": round(high, 3)}
    return {"older": round(statistics.median(times[0]), 2), "today": round(statistics.median(times[1]), 2), **rounded}


def table() -> str:
    lines = ["| | older commit | ms a step then | today | then / today, middle half |", "|---|---|--:|--:|---|"]
    for name, row in results().read().items():
        spread = f"{row['ratio']:.2f}, {row['from']:.2f} to {row['to']:.2f}"
        lines.append(f"| `{name}` | {row['commit']} | {row['older']:.1f} | {row['today']:.1f} | {spread} |")
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2])
    else:
        if "--table" not in sys.argv:
            commit, *names = sys.argv[1:]
            with tempfile.TemporaryDirectory() as older:
                subprocess.run(f"git archive {commit} minigan | tar -x -C {older}", shell=True, check=True)
                for name in names or SYSTEMS:
                    results().add(name, {"commit": commit, **compare_with(older, name)})
        print(table())
