"""What each of the five published systems draws, how long an epoch takes, and what its text says of that.

    python benchmarks/seeds.py             train what is missing, score it, store results/seeds.json, print the tables
    python benchmarks/seeds.py --time      seconds per epoch on an idle machine, and the peak memory of training
    python benchmarks/seeds.py --pictures  make docs/images/seeds from the runs
    python benchmarks/seeds.py --table     print the tables of the stored results

It needs MNIST and, to score, PyTorch (the classifier of quality.py). The runs are ordinary ones, in runs/seeds: one
that was interrupted goes on where it stopped. Each is trained on one BLAS thread, so that two fit beside each other.
"""

from __future__ import annotations

import minigan  # noqa: F401 # isort: skip (before NumPy, so that OpenBLAS's threads are told to sleep)

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from results import Results

HERE = Path(__file__).parent
RESULTS = Results("seeds")
SAMPLES = 10_000

#: {recipe: epochs that are trained}: at most what fits into 20 minutes of two cores. Those of the systems, not of the
#: variants, are also at most what the text states.
EPOCHS = {
    "flux-mlp": 80,
    "pytorch-mlp": 20,
    "pytorch-mlp-mended": 60,
    "flux-dcgan": 8,
    "flux-dcgan-half": 6,
    "keras-upconv": 160,
    "renom-maxout": 30,
}

#: What the texts say of their speed: (seconds per epoch, in words).
CLAIMS = {
    "flux-mlp": "0.8 on a V100; about 600 on a CPU",
    "pytorch-mlp": "“might take a while” without a GPU",
    "flux-dcgan": "about 1,200 on a CPU (the code's comment)",
    "keras-upconv": "“a reasonable amount of time” on a CPU",
    "renom-maxout": "13.3 on a GPU",
}

#: D's loss, and its accuracies on real images and on fakes, that S4's text prints for epochs 1 to 30, to three digits.
RENOM_LOG = {
    "d_loss": [
        0.719, 0.378, 0.541, 0.683, 0.731, 0.740, 0.715, 0.755, 0.780, 0.762, 0.827, 0.836, 0.861, 0.856, 0.847,
        0.889, 0.904, 0.863, 0.870, 0.837, 0.792, 0.775, 0.748, 0.764, 0.758, 0.833, 0.851, 0.805, 0.830, 0.840,
    ],
}  # fmt: skip
BANDS = {"d_loss": (0.6, 1.0), "acc_real": (0.65, 0.95), "acc_fake": (0.65, 0.95)}  # after epoch 5


def train(work: Path, only: str) -> None:
    """Train, or go on with, each run; on one thread, which must be chosen before NumPy is loaded."""
    for name, epochs in EPOCHS.items():
        if only not in name:
            continue
        folder = work / name
        resume = ["--resume", str(folder)] if (folder / "config.json").exists() else [name, "--out", str(folder)]
        if last_row(folder).get("epoch", 0) < epochs:
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
            dataset = [] if resume[0] == "--resume" else ["--dataset", "mnist"]
            command = [sys.executable, "-m", "minigan", "train", *resume, *dataset, "--epochs", str(epochs)]
            subprocess.run([*command, "--preview-every", "never"], env=environment, check=True)


def last_row(folder: Path) -> dict:
    """The newest row of a run's metrics."""
    path = folder / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return json.loads(lines[-1]) if lines else {}


def score(work: Path, only: str) -> None:
    """Score 10,000 samples of each finished run, and keep its losses and accuracies per epoch."""
    import quality

    from minigan.runs import Run

    predict, _ = quality.classifier(work.parent / "quality")
    for name in EPOCHS:
        folder = work / name
        if only not in name or not (folder / "config.json").exists():
            continue
        run = Run(folder)
        found = quality.score(predict(run.sample(SAMPLES) / 127.5 - 1))
        curve = {}  # of a row per log interval, the last of each epoch
        for row in run.metrics():
            curve[row["epoch"]] = {key: round(row[key], 4) for key in ("d_loss", "g_loss", "acc_real", "acc_fake")}
        RESULTS.add(name, {"epochs": run.epoch, **found, "curve": curve if name == "renom-maxout" else None})


def time_epochs(only: str) -> None:
    """Seconds per epoch from the median of 20 steps, on both cores and on an idle machine; peak memory of a run."""
    free = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    as_set = f" {coretype}" if (coretype := os.environ.get("OPENBLAS_CORETYPE")) else ""
    for name in CLAIMS:
        if only in name:
            for suffix, environment in {"": free, as_set: dict(os.environ) if as_set else free}.items():
                command = [sys.executable, __file__, "--worker", name]
                output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
                RESULTS.add(f"{name} time{suffix}", json.loads(output))


def worker(name: str) -> None:
    """Train some steps on MNIST's own number of images, and print what they took."""
    from minigan.recipes import RECIPES
    from minigan.train import Trainer

    recipe = RECIPES[name]
    images = np.random.default_rng(0).integers(0, 256, (recipe.images, 28, 28), dtype=np.uint8)
    trainer, times = Trainer(recipe, images), []
    for i in range(23):
        began = time.perf_counter()
        trainer.train_step(trainer.batches.batch(i))
        times.append(time.perf_counter() - began)
    step = statistics.median(times[3:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            {
                "step_ms": round(1e3 * step, 1),
                "epoch_s": round(step * trainer.epoch_steps, 1),
                "steps": trainer.epoch_steps,
                "peak_mb": round(peak),
            }
        )
    )


def pictures(work: Path) -> None:
    """docs/images/seeds: the last sheet of each run, and of flux-dcgan ten digits of every epoch in a strip."""
    from PIL import Image

    from minigan import plot
    from minigan.runs import Run

    out = HERE.parent / "docs" / "images" / "seeds"
    out.mkdir(parents=True, exist_ok=True)
    for name in EPOCHS:
        sheets = sorted((work / name / "samples").glob("epoch-*.png"))
        if sheets:
            plot.save_png(np.asarray(Image.open(sheets[Run(work / name).epoch])), out / f"{name}.png")
    for name in ("flux-dcgan", "flux-dcgan-half"):
        sheets = sorted((work / name / "samples").glob("epoch-*.png"))
        if sheets:
            rows = [np.asarray(Image.open(sheet))[:30] for sheet in sheets[1:]]
            plot.save_png(np.vstack(rows), out / f"{name}-epochs.png")


def tables() -> tuple[str, str, str]:
    """The stored results as Markdown: what is drawn, how fast, and renom-maxout beside its text's log."""
    results = RESULTS.read()
    drawn = [
        "| recipe | epochs | MNIST score | rarest digit | commonest digit | mean confidence |",
        "|---|---|---|---|---|---|",
    ]
    for name in EPOCHS:
        if name in results:
            r = results[name]
            shares = f"{min(r['shares']):.1%} | {max(r['shares']):.1%}"
            drawn.append(f"| `{name}` | {r['epochs']} | {r['mnist_score']:.2f} | {shares} | {r['confidence']:.2f} |")
    speed = [
        "| recipe | steps per epoch | s per epoch here | peak memory | its text, s per epoch |",
        "|---|---|---|---|---|",
    ]
    for name, claim in CLAIMS.items():
        if f"{name} time" in results:
            r = results[f"{name} time"]
            speed.append(f"| `{name}` | {r['steps']} | {r['epoch_s']:.1f} | {r['peak_mb']} MB | {claim} |")
    return "\n".join(drawn), "\n".join(speed), renom(results)


def renom(results: dict) -> str:
    """Every fifth epoch of renom-maxout beside the text's, and how far it leaves the bands."""
    if "renom-maxout" not in results:
        return ""
    curve = results["renom-maxout"]["curve"]
    lines = ["| epoch | D's loss, text | here | right on real | on fakes |", "|---|---|---|---|---|"]
    for epoch in (1, 2, 3, 5, 10, 15, 20, 25, 30):
        row = curve[str(epoch)]
        text = RENOM_LOG["d_loss"][epoch - 1]
        lines.append(f"| {epoch} | {text:.2f} | {row['d_loss']:.2f} | {row['acc_real']:.0%} | {row['acc_fake']:.0%} |")
    verdict = []
    for key, (low, high) in BANDS.items():
        values = [row[key] for epoch, row in curve.items() if int(epoch) > 5]
        inside = sum(low <= v <= high for v in values)
        verdict.append(
            f"{key} {min(values):.3f} to {max(values):.3f} (in {low} to {high} in {inside} of {len(values)})"
        )
    return "\n".join(lines) + "\n\nAfter epoch 5: " + "; ".join(verdict) + "."


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="only print the tables of the stored results")
    parser.add_argument("--pictures", action="store_true", help="only make docs/images/seeds")
    parser.add_argument("--time", action="store_true", help="only measure seconds per epoch and memory")
    parser.add_argument("--only", default="", help="only the recipes whose name contains this")
    parser.add_argument("--work", type=Path, default=Path("runs/seeds"), help="where the runs are")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker)
    elif arguments.pictures:
        pictures(arguments.work)
    elif arguments.time:
        time_epochs(arguments.only)
    else:
        if not arguments.table:
            train(arguments.work, arguments.only)
            score(arguments.work, arguments.only)
        print("\n\n".join(tables()))
