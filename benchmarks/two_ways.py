"""Do NumPy and compiled loops train alike? 100 states of a run of each system, and the mean losses of an epoch.

    python benchmarks/two_ways.py             measure, store results/two_ways.json, print the table
    python benchmarks/two_ways.py --table     print the table of the stored results

At full size, on random images. An epoch of the convolutional systems is cut at 100 steps, for time.
"""

from __future__ import annotations

import minigan  # noqa: F401 # isort: skip (before NumPy, so that OpenBLAS's threads are told to sleep)

import statistics
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from results import Results

from minigan.backend import loops
from minigan.recipes import RECIPES
from minigan.train import Trainer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import twoways

RESULTS = Results("two_ways")
SYSTEMS = ("flux-mlp", "pytorch-mlp", "best", "quick-mlp", "renom-maxout", "flux-dcgan", "keras-upconv")
LOSSES = ("d_loss", "g_loss")


def compare(name: str) -> dict[str, object]:
    """The deviations at 100 states, and an epoch's mean losses both ways."""
    cut = {"epoch_steps": 100} if "dcgan" in name or "upconv" in name else {}
    recipe = replace(RECIPES[name], epochs=1, log_every=0, **cut)
    images = np.random.default_rng(0).integers(0, 256, (recipe.images, 28, 28), np.uint8)
    found = twoways.deviations(Trainer(recipe, images), 100, least=loops.LEAST)
    row: dict[str, object] = {what: [statistics.median(apart), max(apart)] for what, apart in found.items()}
    row["beyond"] = sum(max(apart) >= 1e-5 for apart in zip(*found.values(), strict=True))
    for fast in (True, False):
        with twoways.way(fast, loops.LEAST):
            epoch = Trainer(recipe, images).fit().epochs[-1]
        row["loops" if fast else "NumPy"] = [epoch[loss] for loss in LOSSES]
    return row


def table() -> str:
    lines = ["| | losses | gradients | Adam's m, v | states beyond 1e-5 | D's loss | G's loss |", "|---" * 7 + "|"]
    for name, row in RESULTS.read().items():
        apart = " | ".join("{:.0e}, {:.0e}".format(*row[kind]) for kind in ("losses", "gradients", "moments"))
        means = " | ".join(f"{a:.4f}, {b:.4f}" for a, b in zip(row["NumPy"], row["loops"], strict=True))
        lines.append(f"| `{name}` | {apart} | {row['beyond']} | {means} |")
    return "\n".join(lines)


if __name__ == "__main__":
    if "--table" not in sys.argv:
        for name in SYSTEMS:
            RESULTS.add(name, compare(name))
    print(table())
