"""What samples are held against: the images of a data set, and how real images and noise fare by the same measures.

A distance says little until one knows what no network can beat, and what none should fall below. N samples, M training
images.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from minigan.backend import RandomStream
from minigan.data.datasets import dataset_remedy
from minigan.data.glyphs import load_glyphs
from minigan.data.idx_folder import read_folder
from minigan.data.mnist import SETS, load_images
from minigan.errors import ArgumentError, DataError, DataMissingError, DownloadError, known_name
from minigan.metrics.classifier import FEATURES, describe, load_classifier
from minigan.metrics.frechet import frechet_distance
from minigan.metrics.kernel import kernel_distance
from minigan.metrics.neighbours import Copies, copies, precision_recall
from minigan.metrics.parzen import VALIDATION, parzen
from minigan.metrics.score import digit_balance, mnist_score

TRAINING = 60_000  # images of a published set, and a sixth as many to test on
LEAST = FEATURES + 1  # samples: of fewer the covariance is singular, whatever they are
MOST = 50_000  # … more would leave the real images fewer, since the published validation images come next
LEFT_OUT = 50_000  # where those begin
LOOKED_UP = 1_000  # samples whose nearest training image is looked for
Tell = Callable[[str], None]  # told what is measured now
DIGITS = ("mnist", "glyphs")  # sets of digits, each with a classifier of its own


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
        title = name
        if name == "glyphs":
            training, test = load_glyphs(count, say=say)[0], load_glyphs(count // 6, seed=1, say=say)[0]
        elif name in SETS:
            place = {"name": name, "data_dir": data_dir, "offline": offline, "say": say}
            try:
                training, test = (load_images(split, **place) for split in ("train", "test"))
            except (DownloadError, DataMissingError) as error:
                raise type(error)(f"{error}; {dataset_remedy(name)}") from None
        elif Path(name).is_dir():
            title, _, training, test = read_folder(Path(name), test_images=True, say=say)
            if not len(test):
                raise DataError(
                    f"{name} has no test images to measure against; put them beside the training images, in an IDX "
                    "file with test or t10k in its name"
                )
        else:
            raise AssertionError(known_name("dataset", name, [*SETS, "glyphs"], also=", or a folder of IDX files"))
        digits = name in DIGITS
        return cls(title, training[:count], test[: count // 6], name if digits else "mnist", digits)

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

    def training_scores(self, count: int = 10_000, *, tell: Tell | None = None) -> dict[str, Any]:
        """`measure_images` of the first `count` training images (fewer if validation images would be among them)."""
        free = LEFT_OUT if len(self.training) >= LEFT_OUT + VALIDATION else len(self.training) - len(self.validation)
        return self._once("training images", self.training[: min(count, free)], tell)

    def noise_scores(self, count: int = 10_000, *, tell: Tell | None = None) -> dict[str, Any]:
        """`measure_images` of `count` images whose pixels are uniform, 0 to 255."""
        host = RandomStream(0, "sample", 1).host  # samples are drawn at step 0
        return self._once("noise", host.integers(0, 256, (count, *self.test.shape[1:]), np.uint8), tell)

    def _once(self, kind: str, images: np.ndarray, tell: Tell | None) -> dict[str, Any]:
        key = kind, len(images)
        return self._scores.get(key) or self._scores.setdefault(key, measure_images(images, self, tell=tell))


class MeasuredImages:
    """What is measured: images, and against what; `p`, the digits' probabilities, and `features` are computed once."""

    def __init__(self, images: np.ndarray, reference: Reference, found: Copies | None):
        self.images, self.reference, self.found = images, reference, found

    @cached_property
    def described(self) -> tuple[np.ndarray, np.ndarray]:
        return describe(self.images, load_classifier(self.reference.classifier))

    @property
    def features(self) -> np.ndarray:
        return self.described[0]

    def likelihood(self) -> dict[str, Any]:
        pixels = (images / 255 for images in (self.images, self.reference.validation, self.reference.test))
        return {"parzen": parzen(*pixels)._asdict()}

    def frechet(self) -> dict[str, Any]:
        return {"frechet": frechet_distance(self.features, self.reference.features)}

    def digits(self) -> dict[str, Any]:
        if not self.reference.digits:
            return {"mnist_score": None, "balance": None}
        p = self.described[1]
        balance = digit_balance(p)
        shares = {"kl": balance.kl, "shares": balance.shares.tolist()}
        return {"mnist_score": mnist_score(p)._asdict(), "balance": shares}

    def precision_recall(self) -> dict[str, Any]:
        return precision_recall(self.reference.features, self.features)._asdict()

    def kernel(self) -> dict[str, Any]:
        return {"kernel": kernel_distance(self.features, self.reference.features)}

    def copies(self) -> dict[str, Any]:
        found = self.found or copies(self.images[:LOOKED_UP], self.reference.training)
        return {"copies": {"share": found.share, "of": len(found.indices)}}


#: {what is measured: what measures it}, in the order in which that is done
METRICS: dict[str, Callable[[MeasuredImages], dict[str, Any]]] = {
    "features, Fréchet distance": MeasuredImages.frechet,
    "Parzen log-likelihood": MeasuredImages.likelihood,
    "digits": MeasuredImages.digits,
    "precision and recall": MeasuredImages.precision_recall,
    "kernel distance": MeasuredImages.kernel,
    "copies": MeasuredImages.copies,
}


def measure_images(
    images: np.ndarray, reference: Reference, *, found: Copies | None = None, tell: Tell | None = None
) -> dict[str, Any]:
    """Every metric of `images`, uint8 (N, 28, 28), against the reference: plain JSON, each number with its protocol
    where it is computed (minigan/metrics).

    Returns {"count" (N), "frechet", "parzen" ({"mean", "error", "sigma"}, nats), "mnist_score" ({"mean", "std"}),
    "balance" ({"kl" (nats), "shares" (of the ten digits)}), "precision", "recall", "kernel", "copies" ({"share",
    "of" (how many were looked up)})}; the score and the balance are None where the images are no digits. `found` is
    what `copies` says of the first 1,000 images, if that is known; `tell` is told the name of each metric before it.
    Raises ShapeError or DTypeError for other images, ArgumentError for fewer than 129.
    """
    if (N := len(images)) < LEAST:
        raise ArgumentError(f"{N} samples are too few: the covariance of {FEATURES} features takes at least {LEAST}")
    subject, result = MeasuredImages(images, reference, found), {"count": N}
    for name, entries in METRICS.items():
        if tell:
            tell(name)
        result |= entries(subject)
    return result
