"""Make the runs that every later minigan must read: python tests/stored/make.py FOLDER.

FOLDER is tests/stored/DATE. Each run comes with eight samples, drawn by the version that made it: `drawn.npy`. That of
2026-11-29 was made so by commit 1a7eb26, which knew no --recipe. After a change of what a run records, make a folder
for the day; those that are there stay as they are. Of 2026-11-30b one run is kept,
the first with a penalty.
"""

import os
import sys
from pathlib import Path

from minigan.cli.main import main

SMALL = "--images 100 --batch-size 32 --epochs 2 --latent-dim 4 --g-hidden 2 2 --d-hidden 2 2 --log-every 2 --keep 1"
WHERE = "--dataset glyphs --device cpu --sample-every never"
RECIPES = {"quick-mlp": "quick-mlp", "own": "--recipe my_recipe.py:Sketch", "wgan-gp": "wgan-gp"}

if __name__ == "__main__":
    folder = Path(sys.argv[1]).absolute()
    os.chdir(Path(__file__).parents[2] / "docs")  # where my_recipe.py is; no path of this machine shall be recorded
    for name, recipe in RECIPES.items():
        run = folder / name
        main(["train", *f"{recipe} {SMALL} {WHERE} --out {run}".split()])
        own = recipe.split() if recipe.startswith("--") else []
        main(["sample", str(run), "--count", "8", "--out", str(run / "drawn.npy"), *own])
        for left in [*(run / "samples").iterdir(), run / ".lock"]:  # the pictures are ten times the size of the rest
            left.unlink()
