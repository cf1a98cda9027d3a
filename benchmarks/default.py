"""How good are the digits of quick-mlp, and of variants of it?

    python benchmarks/default.py            train what is missing, score it, print the tables (needs torch and MNIST)
    python benchmarks/default.py --table    print the tables from results/default.json
    python benchmarks/default.py --time     time `minigan train quick-mlp` to its end (run nothing else meanwhile)

The distance is Fréchet's, ‖μ₁-μ₂‖² + tr(Σ₁ + Σ₂ - 2(Σ₁Σ₂)^½), between the features that a small classifier sees in
10,000 samples and in 10,000 test images (`quality.classifier`; the glyphs have their own): 0 for the same distribution,
about 2 to 3 for as many training images. The score is that of quality.py. Interrupted, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import quality
from results import Results

from minigan import plot
from minigan.backend import RandomStream
from minigan.data.datasets import load_dataset
from minigan.recipes.mlp import QUICK_MLP, FluxMLP
from minigan.train import Callback, Trainer, generate

RESULTS = Results("default")
DATA, SEEDS = ("mnist", "glyphs"), range(5)
SAMPLES = 10_000
RECIPE = QUICK_MLP
NO_BATCHNORM = FluxMLP(**vars(RECIPE))  # the same numbers
VARIANTS = {  # each differs from quick-mlp in the thing that it is called after; all on MNIST with seed 0
    "without BatchNorm in G": NO_BATCHNORM,
    "dropout 0.2": replace(RECIPE, dropout=0.2),
    "dropout 0.4": replace(RECIPE, dropout=0.4),
    "rates 2e-3": replace(RECIPE, lr_g=2e-3, lr_d=2e-3),
    "rates 2e-3, without BatchNorm in G": replace(NO_BATCHNORM, lr_g=2e-3, lr_d=2e-3),
    "rates 2e-4, without BatchNorm in G": replace(NO_BATCHNORM, lr_g=2e-4, lr_d=2e-4),
    "β1 0": replace(RECIPE, beta1=0.0),
    "batch 128, 16 epochs": replace(RECIPE, batch_size=128, epochs=16),
    "fakes of G's own": replace(RECIPE, shared_fakes=False),
    "no average": replace(RECIPE, average=0.0),
}


def jobs():
    """{label: (data set, recipe, seed)}"""
    default = {f"{name} seed {seed}": (name, RECIPE, seed) for name in DATA for seed in SEEDS}
    return {**default, **{f"mnist {label}": ("mnist", recipe, 0) for label, recipe in VARIANTS.items()}}


def frechet(a, b):
    """Between two sets of features (N, F)."""
    A, B = np.cov(a.T), np.cov(b.T)
    values, vectors = np.linalg.eigh(A)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    # tr (AB)^½ = Σ √ eigenvalues of A^½ B A^½, which is symmetric
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ B @ root), 0)).sum()
    return float(((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum() + np.trace(A) + np.trace(B) - 2 * cross)


class Scores(Callback):
    """The distance every second epoch and at the end."""

    def __init__(self, describe, reference):
        self.describe, self.reference, self.distances = describe, reference, {}

    def epoch_end(self, trainer, row):
        if trainer.epoch % 2 == 0 or trainer.epoch == trainer.recipe.epochs:
            z = trainer.latents(SAMPLES, RandomStream(trainer.seed, "sample"))
            features, p = self.describe(generate(trainer.average, z))
            self.distances[trainer.epoch] = round(frechet(features, self.reference), 1)
            self.score = quality.score(p)


def run(work, only):
    oracles = {}
    for label, (name, recipe, seed) in jobs().items():
        if only not in label or label in RESULTS.read():
            continue
        images = load_dataset(name).images
        if name not in oracles:
            describe, accuracy = quality.classifier(work, name)
            reference = describe(quality.data(name)[1][0] / 127.5 - 1)[0]
            oracles[name] = describe, reference
            RESULTS.add(f"{name} classifier accuracy", round(accuracy, 4))
            real = describe(images[:SAMPLES] / 127.5 - 1)
            RESULTS.add(f"{name} real", {"distance": round(frechet(real[0], reference), 1), **quality.score(real[1])})
        began, scores = time.perf_counter(), Scores(*oracles[name])
        trainer = Trainer(recipe, images, seed=seed).fit([scores])
        sheet = generate(trainer.average, trainer.preview_latents(100)).reshape(-1, 28, 28)
        plot.save_png(plot.image_grid(plot.to_uint8(sheet, (-1, 1))), work / f"{label.replace(' ', '-')}.png")
        RESULTS.add(label, {"distances": scores.distances, **scores.score})
        print(f"{label}: {time.perf_counter() - began:.0f} s", flush=True)


def timed(work):
    """The whole of `minigan train quick-mlp`, data included, as the machine is set up and with OpenBLAS's choice."""
    env = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}
    for name in DATA:
        for coretype in ("unset", "Haswell"):
            settings = {k: v for k, v in env.items() if k != "OPENBLAS_CORETYPE"}
            settings |= {} if coretype == "unset" else {"OPENBLAS_CORETYPE": coretype}
            out = work / f"timed-{name}-{coretype}-{time.time():.0f}"
            flags = ["--dataset", name, "--sample-every", "200steps", "--out", str(out)]  # 50 sheets more than usual
            command = [sys.executable, "-m", "minigan", "train", "quick-mlp", *flags]
            began = time.perf_counter()
            subprocess.run(command, check=True, env=settings)
            seconds = time.perf_counter() - began
            RESULTS.add(
                f"time {name} OPENBLAS_CORETYPE={coretype}", {"seconds": round(seconds), "cores": os.cpu_count()}
            )


def tables():
    """The stored results as Markdown: quick-mlp, its variants (those that have been run), and the times."""
    results = RESULTS.read()

    def row(title, entry):
        distance = entry.get("distance") or list(entry["distances"].values())[-1]
        shares = entry["shares"]
        return f"| {title} | {distance:.1f} | {entry['mnist_score']:.2f} | {min(shares):.1%} | {max(shares):.1%} |"

    head = ["| | Fréchet distance | score | rarest digit | commonest digit |", "|---|---|---|---|---|"]
    default = [row(f"{n}: training images", results[f"{n} real"]) for n in DATA if f"{n} real" in results]
    default += [
        row(f"{name}, seed {seed}", results[f"{name} seed {seed}"])
        for name in DATA
        for seed in SEEDS
        if f"{name} seed {seed}" in results
    ]
    chosen = [row("**quick-mlp**", results["mnist seed 0"])] if "mnist seed 0" in results else []
    chosen += [row(label, results[f"mnist {label}"]) for label in VARIANTS if f"mnist {label}" in results]
    times = [f"{k.removeprefix('time ')}: {v['seconds']} s" for k, v in results.items() if k.startswith("time ")]
    return "\n".join([*head, *default]), "\n".join([*head, *chosen]), "; ".join(times)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="only print the tables of the stored results")
    parser.add_argument("--time", action="store_true", help="only time the command")
    parser.add_argument("--only", default="", help="only the jobs whose name contains this, e.g. 'glyphs seed'")
    parser.add_argument("--work", type=Path, default=Path("runs/default"), help="where sheets and the classifiers go")
    arguments = parser.parse_args()
    if arguments.time:
        timed(arguments.work)
    elif not arguments.table:
        run(arguments.work, arguments.only)
    print("\n\n".join(tables()))
