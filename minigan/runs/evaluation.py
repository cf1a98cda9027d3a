"""How good a run's samples are: what `minigan evaluate` does, and how it shows it in a terminal."""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minigan import __version__, plot
from minigan.backend import keep_memory
from minigan.backend.random import check_seed
from minigan.data.datasets import built_in, folder_of, load_recorded
from minigan.errors import ArgumentError, CheckpointError, whole
from minigan.metrics.classifier import FEATURES, SHA256
from minigan.metrics.neighbours import copies, pairs
from minigan.metrics.parzen import VALIDATION
from minigan.runs.lost import check_places, config_remedy
from minigan.runs.reference import LEAST, LEFT_OUT, LOOKED_UP, METRICS, MOST, Reference, measure_images
from minigan.runs.run import Run
from minigan.runs.saved import read_saved
from minigan.screen import Say, Stages, silence
from minigan.store.files import write_atomically

if TYPE_CHECKING:
    from rich.table import Table

PAIRS = 50  # samples in the picture, each beside its nearest training image: the closest
ROWS = ("samples", "training images", "noise")


def evaluate(
    run: Run | str | Path,
    count: int = 10_000,
    seed: int = 0,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    offline: bool = False,
    reference: Reference | None = None,
    say: Say | None = print,
) -> dict[str, Any]:
    """Measure `count` samples of a run's newest generator, decided by `seed`; what `minigan evaluate` does.

    Leaves RUN/evaluation.json, which is what it returns: {"recipe", "checkpoint", "epoch", "count", "seed", "dataset",
    "test_images", "classifier" ({"name", "sha256"}), "minigan" (its version), "samples", "training images", "noise"
    (these three as `measure_images` returns them), "copies_by_chance", "notes" (what to know of these numbers)}; and
    RUN/samples/nearest.png, the samples that are nearest to a training image, each with that image to its right.

    `data_dir` and `offline` are those of `load_dataset`, `reference` is one that has been loaded already. `say` hears
    what is being done (None: nobody does); in a terminal `print` stands for a bar.
    Raises ArgumentError for a count that is not from 129 to 50,000, RunMissingError and CheckpointError if the run has
    no generator, DataError if it draws NaN, and what `Reference.load` raises.
    """
    seed, between = check_seed(seed, "--seed"), f"--count must lie between {LEAST} and {MOST:,}"
    if not LEAST <= (count := whole(count, between)) <= MOST:
        why = f"the covariance of {FEATURES} features takes {LEAST} samples, and there are {MOST:,} real images beside"
        raise ArgumentError(f"{between}, got {count}: {why}")
    run = run if isinstance(run, Run) else Run(run)
    checkpoint = run.checkpoint
    if not os.access(run.folder, os.W_OK):
        raise PermissionError(13, "Permission denied", str(run.folder / "evaluation.json"))
    check_places(run.folder)
    header = read_saved(checkpoint).header
    if (header["recipe"], header["dataset"]["sha256"]) != (run.recipe.name, run.dataset["sha256"]):
        raise CheckpointError(
            f"{run.folder / 'config.json'} is not that of {checkpoint.name}; {config_remedy(run.folder)}"
        )
    if run.lost and say:
        say(f"{run.lost}.")
    keep_memory()
    with Stages(say or silence) as stage:
        images = run.sample(count, seed=seed, tell=lambda done: stage(f"Drawing {count:,} samples", done, count))
        stage(f"Reading {run.dataset['name']}")
        reference = reference or reference_of(run, data_dir=data_dir, offline=offline, say=stage.say)
        return compared(run, checkpoint, images, seed, reference, stage)


def compared(
    run: Run, checkpoint: Path, images: np.ndarray, seed: int, reference: Reference, stage: Stages
) -> dict[str, Any]:
    """The result of `evaluate`, which is also left in the run; names on the way what is measured."""
    count, done = len(images), itertools.count()

    def telling(row: str) -> Callable[[str], None]:
        of = len(ROWS) * len(METRICS)

        def tell(metric: str) -> None:
            number = next(done)
            stage(f"{row}: {metric} ({number + 1} of {of})", number, of)

        return tell

    stage("Looking for copies")
    found, by_chance = copies(images[:LOOKED_UP], reference.training), reference.copies_by_chance
    stage(f"Reading the features of {len(reference.test):,} test images")
    reference.features  # noqa: B018 (computed once, now rather than as a part of the first measurement)
    result = {
        "recipe": run.recipe.name,
        "checkpoint": checkpoint.name,
        "epoch": run.epoch,
        "count": count,
        "seed": seed,
        "dataset": reference.name,
        "test_images": len(reference.test),
        "classifier": {"name": reference.classifier, "sha256": SHA256[reference.classifier]},
        "minigan": __version__,
        "samples": measure_images(images, reference, found=found, tell=telling("samples")),
        "training images": reference.training_scores(count, tell=telling("training images")),
        "noise": reference.noise_scores(count, tell=telling("noise")),
        "copies_by_chance": by_chance,
    }
    result["notes"] = notes(result, run, reference)
    write_atomically(run.folder / "evaluation.json", (json.dumps(result, indent=2, allow_nan=False) + "\n").encode())
    sheet = plot.image_grid(pairs(images[:LOOKED_UP], reference.training, found, PAIRS))
    plot.save_png(sheet.repeat(2, axis=0).repeat(2, axis=1), run.folder / "samples" / "nearest.png")
    return result


def reference_of(run: Run, *, data_dir: str | os.PathLike[str] | None, offline: bool, say: Say) -> Reference:
    """The reference for the data set that the run learned from, looked for where the run found it."""
    if (name := built_in(run.dataset)) is None:  # nobody else vouches for what is in a folder
        load_recorded(run.dataset, data_dir=data_dir, say=lambda _: None)  # what there is to say is said below
        return Reference.load(folder_of(run.dataset, data_dir), say=say)
    recorded = run.settings["data_dir"]
    if data_dir is None and recorded and Path(recorded).is_dir():
        data_dir = recorded
    return Reference.load(name, data_dir=data_dir, offline=offline, say=say)


def notes(result: dict[str, Any], run: Run, reference: Reference) -> list[str]:
    """What somebody who compares these numbers with others has to know, a sentence each."""
    found, real = [], result["training images"]["count"]
    if not reference.digits:
        found.append(f"The features are those of the classifier of {reference.classifier}, for want of one of its own.")
    if len(reference.training) < LEFT_OUT + VALIDATION:
        found.append(f"Parzen's σ is chosen on the last {len(reference.validation):,} training images.")
    if real < result["count"]:
        found.append(f"There are only {real:,} training images to measure: their distances are larger for it.")
    if run.dataset.get("test_images"):
        found.append("The run has learned from the test images too, which flatters it.")
    return found


# In a terminal, and on a page -----------------------------------------------------------------------------------------


def results_table(result: dict[str, Any]) -> Table:
    """The numbers of `evaluate`, a line each. 80 columns hold it."""
    from rich.table import Table

    head, *lines = results_rows(result)
    found = Table(*head, box=None, padding=(0, 2, 0, 0))
    for column in found.columns[1:]:
        column.justify = "right"
    for line in lines:
        found.add_row(*line)
    return found


def results_rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    """A head, and a row for each number of `evaluate`, with an arrow that points to better ones."""
    lines: dict[str, Callable[[dict[str, Any]], str]] = {
        "↑ log-likelihood (nats)": lambda s: "{mean:.1f} ± {error:.1f}".format(**s["parzen"]),
        "↓ Fréchet distance": lambda s: significant(s["frechet"]),
        "↑ MNIST score (1 to 10)": lambda s: "{mean:.2f} ± {std:.2f}".format(**s["mnist_score"]),
        "↓ digit balance (KL, nats)": lambda s: f"{s['balance']['kl']:.4f}",
        "  rarest, commonest digit": lambda s: extremes(s["balance"]["shares"]),
        "↑ precision": lambda s: f"{s['precision']:.3f}",
        "↑ recall": lambda s: f"{s['recall']:.3f}",
        "↓ kernel distance": lambda s: significant(s["kernel"]),
        "↓ copies": lambda s: f"{s['copies']['share']:.1%}",
    }
    digits = result["samples"]["mnist_score"] is not None
    found: list[tuple[str, ...]] = [("", *ROWS)]
    for name, text in lines.items():
        known = digits or not ("MNIST" in name or "digit" in name)
        found.append((name, *(text(result[row]) if known else "–" for row in ROWS)))
    return found


def legend(result: dict[str, Any]) -> str:
    """What the table's numbers are of, and how to read them."""
    return "\n".join(
        [
            "↑ higher is better, ↓ lower is. 10% of each digit are even shares. The kernel distance may fall below 0.",
            f"{result['count']:,} samples of {result['recipe']} after epoch {result['epoch']} (seed {result['seed']}), "
            f"against {result['test_images']:,} test images of {result['dataset']}.",
            f"Copies: of the first {result['samples']['copies']['of']:,}; by chance, "
            f"{result['copies_by_chance']:.1%} of the test images.",
            "Read precision with recall: noise can lie near a few odd test images, but no test image lies near noise.",
            *result["notes"],
            "How each number is computed, and what it misses: the page “Measure what a GAN has learned” of the "
            "documentation.",
        ]
    )


def significant(x: float) -> str:
    """Three digits of it, without an exponent."""
    if x == 0 or not math.isfinite(x):
        return str(x)
    return f"{x:.{max(0, 2 - math.floor(math.log10(abs(x))))}f}"


def extremes(shares: list[float]) -> str:
    return f"{min(shares):.1%}, {max(shares):.1%}"
