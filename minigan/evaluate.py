"""How good a run's samples are: `minigan evaluate`, and what benchmarks score many sets of samples with.

Every number stands beside those of real images and of noise, measured in the same way: a distance says little until one
knows what no network can beat, and what none should fall below. N samples, M training images.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from minigan import __version__, plot
from minigan.backend import RandomStream, keep_memory
from minigan.data.datasets import load_dataset, load_recorded, remedy
from minigan.data.glyphs import load_glyphs
from minigan.data.mnist import SETS, load_mnist
from minigan.errors import ArgumentError, DataError, DataMissingError, DownloadError, nearest
from minigan.files import write_atomically
from minigan.metrics.classifier import FEATURES, SHA256, describe, load_classifier
from minigan.metrics.frechet import frechet_distance
from minigan.metrics.kernel import kernel_distance
from minigan.metrics.neighbours import Copies, copies, pairs, precision_recall
from minigan.metrics.parzen import VALIDATION, parzen
from minigan.metrics.score import digit_balance, mnist_score
from minigan.runs import Run

if TYPE_CHECKING:
    from rich.table import Table

TRAINING = 60_000  # images of a published set, and a sixth as many to test on
LEAST = FEATURES + 1  # samples: of fewer the covariance is singular, whatever they are
MOST = 50_000  # … more would leave the real images fewer, since the published validation images come next
LEFT_OUT = 50_000  # where those begin
LOOKED_UP = 1_000  # samples whose nearest training image is looked for
PAIRS = 50  # of them in the picture, the closest
DIGITS = ("mnist", "glyphs")  # sets of digits, each with a classifier of its own
ROWS = ("samples", "training images", "noise")


@dataclass
class Reference:
    """What samples are held against: a data set's images, the features of its test images, and the scores of real
    images and of noise, each computed once. Make it with `load`.

    `name` is the data set's, `training` and `test` are uint8 (M, 28, 28), `classifier` is whose features are compared,
    and `digits` whether what it says of an image's digit is worth counting.
    Raises DataError if there are too few images to measure against.
    """

    name: str
    training: np.ndarray
    test: np.ndarray
    classifier: str
    digits: bool
    _scores: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for kind, images, least in (("training", self.training, 2 * LEAST), ("test", self.test, LEAST)):
            if len(images) < least:
                raise DataError(f"{self.name} has {len(images)} {kind} images, and at least {least} are needed")

    @classmethod
    def load(
        cls,
        name: str = "mnist",
        *,
        count: int = TRAINING,
        data_dir: str | os.PathLike[str] | None = None,
        offline: bool = False,
        say: Callable[[str], None] = print,
    ) -> Self:
        """The first `count` training images of "mnist", "fashion-mnist", "glyphs" or a folder of IDX files, and the
        first count/6 of its test images (of glyphs: of another seed's).

        Raises DataMissingError or DownloadError if the set cannot be had, DataError if it is damaged, has no test
        images or too few of either, and ArgumentError for an unknown name.
        """
        if name == "glyphs":
            training, test = load_glyphs(count)[0], load_glyphs(count // 6, seed=1)[0]
        elif name in SETS:
            place = {"name": name, "data_dir": data_dir, "offline": offline, "say": say}
            try:
                training, test = (load_mnist(split, **place)[0] for split in ("train", "test"))
            except (DownloadError, DataMissingError) as error:
                raise type(error)(f"{error}; {remedy(name)}") from None
        elif Path(name).is_dir():
            training = load_dataset(name, count=MOST * MOST).images
            test = load_dataset(name, count=MOST * MOST, test_images=True).images[len(training) :]
            if not len(test):
                raise DataError(
                    f"{name} has no test images to measure against; put them beside the training images, in an IDX "
                    "file with test or t10k in its name"
                )
        else:
            raise AssertionError(nearest("dataset", name, [*SETS, "glyphs"], also=", or a folder of IDX files"))
        digits = name in DIGITS
        return cls(Path(name).name, training[:count], test[: count // 6], name if digits else "mnist", digits)

    @cached_property
    def validation(self) -> np.ndarray:
        """Chooses Parzen's σ: training images 50,000-50,999 as published; of a smaller set its last 1,000, or half."""
        held_out = self.training[LEFT_OUT : LEFT_OUT + VALIDATION]
        return held_out if len(held_out) == VALIDATION else self.training[-min(VALIDATION, len(self.training) // 2) :]

    @cached_property
    def features(self) -> np.ndarray:
        """Of the test images, (test, 128)."""
        return describe(self.test, load_classifier(self.classifier))[0]

    @cached_property
    def copies_by_chance(self) -> float:
        """The share of test images, which nobody copied, that pass for copies."""
        return copies(self.test[:LOOKED_UP], self.training).share

    def training_scores(self, count: int = 10_000) -> dict[str, Any]:
        """`measure` of the first `count` training images (fewer if the validation images would be among them)."""
        free = LEFT_OUT if len(self.training) >= LEFT_OUT + VALIDATION else len(self.training) - len(self.validation)
        return self._once("training images", self.training[: min(count, free)])

    def noise_scores(self, count: int = 10_000) -> dict[str, Any]:
        """`measure` of `count` images whose pixels are uniform, 0 to 255."""
        host = RandomStream(0, "sample", 1).host  # samples are drawn at step 0
        return self._once("noise", host.integers(0, 256, (count, *self.test.shape[1:]), np.uint8))

    def _once(self, kind: str, images: np.ndarray) -> dict[str, Any]:
        key = kind, len(images)
        return self._scores.get(key) or self._scores.setdefault(key, measure(images, self))


def measure(images: np.ndarray, reference: Reference, *, found: Copies | None = None) -> dict[str, Any]:
    """Every metric of `images`, uint8 (N, 28, 28), against the reference: plain JSON, each number with its protocol
    where it is computed (minigan/metrics).

    Returns {"count" (N), "parzen" ({"mean", "error", "sigma"}, nats), "frechet", "mnist_score" ({"mean", "std"}),
    "balance" ({"kl" (nats), "shares" (of the ten digits)}), "precision", "recall", "kernel", "copies" ({"share",
    "of" (how many were looked up)})}; the score and the balance are None where the images are no digits. `found` is
    what `copies` says of the first 1,000 images, if that is known.
    Raises ShapeError or DTypeError for other images, ArgumentError for fewer than 129.
    """
    if (N := len(images)) < LEAST:
        raise ArgumentError(f"{N} samples are too few: the covariance of {FEATURES} features takes at least {LEAST}")
    features, p = describe(images, load_classifier(reference.classifier))
    digits, balance = reference.digits, digit_balance(p)
    found = copies(images[:LOOKED_UP], reference.training) if found is None else found
    likelihood = parzen(images / 255, reference.validation / 255, reference.test / 255)
    return {
        "count": N,
        "parzen": likelihood._asdict(),
        "frechet": frechet_distance(features, reference.features),
        "mnist_score": mnist_score(p)._asdict() if digits else None,
        "balance": {"kl": balance.kl, "shares": balance.shares.tolist()} if digits else None,
        **precision_recall(reference.features, features)._asdict(),
        "kernel": kernel_distance(features, reference.features),
        "copies": {"share": found.share, "of": len(found.indices)},
    }


def evaluate(
    run: Run | str | Path,
    count: int = 10_000,
    seed: int = 0,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    offline: bool = False,
    reference: Reference | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Measure `count` samples of a run's newest generator, decided by `seed`; what `minigan evaluate` does.

    Leaves RUN/evaluation.json, which is what it returns: {"recipe", "checkpoint", "epoch", "count", "seed", "dataset",
    "test_images", "classifier" ({"name", "sha256"}), "minigan" (its version), "samples", "training images", "noise"
    (these three as `measure` returns them), "copies_by_chance", "notes" (what to know of these numbers)}; and
    RUN/samples/nearest.png, the samples that are nearest to a training image, each with that image to its right.

    `data_dir` and `offline` are those of `load_dataset`, `reference` is one that has been loaded already.
    Raises ArgumentError for a count that is not from 129 to 50,000, RunMissingError and CheckpointError if the run has
    no generator, DataError if it draws NaN, and what `Reference.load` raises.
    """
    if not LEAST <= count <= MOST:
        why = f"the covariance of {FEATURES} features takes {LEAST} samples, and there are {MOST:,} real images beside"
        raise ArgumentError(f"--count must lie between {LEAST} and {MOST:,}, got {count}: {why}")
    if seed < 0:
        raise ArgumentError(f"--seed must not be negative, got {seed}")
    run = run if isinstance(run, Run) else Run(run)
    checkpoint = run.checkpoint
    if not os.access(run.folder, os.W_OK):
        raise PermissionError(13, "Permission denied", str(run.folder / "evaluation.json"))
    keep_memory()
    images = run.sample(count, seed=seed)
    reference = reference or reference_of(run, data_dir=data_dir, offline=offline, say=say)
    found = copies(images[:LOOKED_UP], reference.training)
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
        "samples": measure(images, reference, found=found),
        "training images": reference.training_scores(count),
        "noise": reference.noise_scores(count),
        "copies_by_chance": reference.copies_by_chance,
    }
    result["notes"] = notes(result, run, reference)
    write_atomically(run.folder / "evaluation.json", (json.dumps(result, indent=2, allow_nan=False) + "\n").encode())
    (run.folder / "samples").mkdir(exist_ok=True)
    sheet = plot.image_grid(pairs(images[:LOOKED_UP], reference.training, found, PAIRS))
    plot.save_png(sheet.repeat(2, axis=0).repeat(2, axis=1), run.folder / "samples" / "nearest.png")
    return result


def reference_of(
    run: Run, *, data_dir: str | os.PathLike[str] | None, offline: bool, say: Callable[[str], None]
) -> Reference:
    """The reference for the data set that the run learned from, looked for where the run found it."""
    if "path" in run.dataset:  # nobody else vouches for what is in a folder
        load_recorded(run.dataset, data_dir=data_dir)
        return Reference.load(str(data_dir or Path(run.dataset["path"]).parent))
    recorded = run.config["data_dir"]
    if data_dir is None and recorded and Path(recorded).is_dir():
        data_dir = recorded
    return Reference.load(run.dataset["name"], data_dir=data_dir, offline=offline, say=say)


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


# In a terminal -------------------------------------------------------------------------------------------------------


def table(result: dict[str, Any]) -> Table:
    """The numbers of `evaluate`, a line each, with an arrow that points to better ones. 80 columns hold it."""
    from rich.table import Table

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
    found = Table("", *ROWS, box=None, padding=(0, 2, 0, 0))
    for column in found.columns[1:]:
        column.justify = "right"
    for name, text in lines.items():
        known = digits or not ("MNIST" in name or "digit" in name)
        found.add_row(name, *(text(result[row]) if known else "–" for row in ROWS))
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
            "How each number is computed, and what it misses: docs/measuring.md",
        ]
    )


def significant(x: float) -> str:
    """Three digits of it, without an exponent."""
    if x == 0 or not math.isfinite(x):
        return str(x)
    return f"{x:.{max(0, 2 - math.floor(math.log10(abs(x))))}f}"


def extremes(shares: list[float]) -> str:
    return f"{min(shares):.1%}, {max(shares):.1%}"
