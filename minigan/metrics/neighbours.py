"""Metrics of nearest neighbours: precision and recall among features, and the nearest training image of each sample.

Letters: N samples, F features, k which neighbour. |x - y|² = |x|² + |y|² - 2·x·y: the work is matrix products.
"""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np

from minigan.backend import Array, array_module, matmul, to_numpy
from minigan.errors import ArgumentError, DataError, DTypeError, ShapeError
from minigan.metrics.checks import check_enough, check_not_tiny, check_numbers, features_of

CHUNK = 256  # rows of a table of distances at a time: with 10,000 columns, 20 MB of float64
BLOCK = 10_000  # training images at a time, as float32: 31 MB
SLACK = 1e-12  # of |x|² + |y|², more than rounding changes |x - y|² by: the edge of a ball is inside, in any order
COPY = 1 / 3  # a sample three times nearer to one training image than to any other is a copy


class PrecisionRecall(NamedTuple):
    """Shares from 0 to 1."""

    precision: float  # of the fakes, those among the real: quality
    recall: float  # of the real, those among the fakes: variety


class Nearest(NamedTuple):
    """For each of N images the number of its nearest training image and the distance to it."""

    indices: np.ndarray
    distances: np.ndarray


class Copies(NamedTuple):
    """The share of N images that are copies, and for each image what `Nearest` says and the ratio that decided."""

    share: float
    indices: np.ndarray
    distances: np.ndarray
    ratios: np.ndarray


# Among features ------------------------------------------------------------------------------------------------------


def precision_recall(real: Any, fake: Any, k: int = 5) -> PrecisionRecall:
    """Improved precision and recall, of features `real` (N, F) and `fake` (M, F).

    Around each sample lies a ball that reaches to its k-th nearest neighbour of the same set (itself not counted); the
    balls together are where the set is. Precision is the share of fakes within a ball of the real ones, recall the
    share of real ones within a ball of the fakes. Two sets from one source reach about the same value in both, below 1:
    0.93 for MNIST's two sets and k = 5. A generator that draws one good digit over and over has precision 1, recall 0;
    and so, nearly, may noise: a classifier answers it by small features, all alike, among those of a few odd digits
    with large balls. So precision means something beside its recall only.

    Protocol: k = 5, 10,000 samples of each (Naeem et al., "Reliable fidelity and diversity metrics", ICML 2020; the
    source below takes k = 3 for 50,000, which here gives 0.86 to MNIST's two sets), Euclidean distance of the
    classifier's 128 features, float64, in chunks. The edge belongs to the ball, up to rounding.
    Raises ShapeError, DTypeError and DataError for what is not two finite arrays of equal F, and ArgumentError for a k
    that is no positive whole number or for fewer than k + 1 samples.
    Source: Kynkäänniemi et al., "Improved precision and recall metric for assessing generative models", NeurIPS 2019.
    """
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise ArgumentError(f"k is {k!r}; it must be a whole number of at least 1")
    real, fake = features_of(k + 1, f"a sample's neighbour number {k} is one of {k} others", real=real, fake=fake)
    xp = array_module(real)
    centre = real.mean(axis=0)  # smaller numbers round less
    real, fake = real - centre, fake - centre
    real_radii, fake_radii = _radii(real, k), _radii(fake, k)
    real_norms, fake_norms = ((1 - SLACK) * _norms(x) for x in (real, fake))
    precise, recalled = 0, xp.zeros(len(real), dtype=bool)
    for i in range(0, len(fake), CHUNK):
        part = slice(i, i + CHUNK)
        squared = _squared(fake[part], fake_norms[part], real, real_norms)
        precise += int((squared <= real_radii).any(axis=1).sum())
        recalled |= (squared <= fake_radii[part, None]).any(axis=0)
    return PrecisionRecall(precise / len(fake), float(recalled.mean()))


def _radii(x: Array, k: int) -> Array:
    """The squared distance of each row to its k-th nearest neighbour among the others, (N,)."""
    xp, norms = array_module(x), _norms(x)
    radii = xp.empty(len(x))
    for i in range(0, len(x), CHUNK):
        squared = _squared(x[i : i + CHUNK], norms[i : i + CHUNK], x, norms)
        radii[i : i + CHUNK] = xp.partition(squared, k, axis=1)[:, k]  # number 0 is the row itself, or its like
    return radii


def _norms(x: Array) -> Array:
    return (x * x).sum(axis=1)


def _squared(x: Array, x_norms: Array, y: Array, y_norms: Array) -> Array:
    """|x - y|² of each row of x with each of y; rounding may leave a little less than 0."""
    squared = matmul(-2 * x, y.T)
    squared += x_norms[:, None]
    squared += y_norms
    return squared


# Among pixels --------------------------------------------------------------------------------------------------------


def nearest(images: Any, training: Any) -> Nearest:
    """The nearest of the `training` images (M, …) to each of `images` (N, …): its number and its distance.

    Protocol: Euclidean distance over all pixels, these from 0 to 1: uint8 is divided by 255, floats must lie in [0, 1].
    A float32 product finds the candidates in each block of 10,000 training images: all that may be the nearest, for all
    that rounding can have done. Their distances are then taken entry by entry in float64, so that the one named is the
    nearest, of equal ones the first, and a copy is at exactly 0. 1,000 samples against 60,000 take 94 GFLOP, about a
    second or two of a core; thousands of training images that are nearly, but not quite, equal take longer, each being
    a candidate.

    Raises ShapeError where the images differ in shape, DTypeError and DataError for pixels that are no numbers or out
    of range, and ArgumentError if there are none.
    Source: the check of Goodfellow et al., "Generative adversarial nets", NeurIPS 2014, figure 2, last column.
    """
    images, training = _images(1, "there is none to be nearest to", images, training)
    index, distance = _closest(images, training, 1)
    return Nearest(index[:, 0], distance[:, 0])


def copies(images: Any, training: Any, ratio: float = COPY) -> Copies:
    """The share of `images` (N, …) that copy one of the `training` images (M, …), M ≥ 2.

    A copy has a distance to its nearest training image below `ratio` = 1/3 of that to the second nearest, or of 0. The
    second is the yardstick of its neighbourhood: a test image's nearest is at 1.8 for a "1" and at 5.2 for an "8", and
    a blurred digit is near to many, so that a bound on the distance itself would report generators that draw many
    ones, or blur. The test images, which nobody copied, tell the share that comes of chance: none of the first 1,000.

    Protocol: pixels, range and distance as in `nearest`; 1,000 samples, and the first 1,000 test images beside them.
    A copy shifted by a pixel or two is not found: that is a limit of distances between pixels.
    Raises what `nearest` raises, and ArgumentError for a ratio outside (0, 1] or fewer than two training images.
    Source: Yoon et al., "Diffusion probabilistic models generalize when they fail to memorize", 2023.
    """
    if not 0 < ratio <= 1:
        raise ArgumentError(f"ratio is {ratio!r}; it must lie in (0, 1]")
    images, training = _images(2, "the second nearest is the yardstick", images, training)
    index, distance = _closest(images, training, 2)
    first, second = distance[:, 0], distance[:, 1]
    ratios = np.divide(first, second, out=np.zeros_like(first), where=second > 0)  # second = 0: two copies to copy
    return Copies(float((ratios < ratio).mean()), index[:, 0], first, ratios)


def pairs(images: Any, training: Any, found: Nearest | Copies, count: int = 10) -> np.ndarray:
    """A picture's worth of the closest pairs: image, nearest training image, image, …, (2·count, …), closest first.

    The order is that of `found`'s ratios if it has them, else of its distances. `minigan.plot.image_grid(…, columns=2)`
    draws the pairs. Raises ShapeError if `found` is of another number of images; fewer than `count` give all.
    """
    if len(found.indices) != len(images):
        raise ShapeError(f"found is of {len(found.indices)} images and there are {len(images)}; hand in the same ones")
    closeness = found.ratios if isinstance(found, Copies) else found.distances
    chosen = np.argsort(closeness, kind="stable")[:count]
    both = to_numpy(images)[chosen], to_numpy(training)[found.indices[chosen]]
    return np.stack(both, axis=1).reshape(-1, *images.shape[1:])


class _Best(NamedTuple):
    """Training images for the images of a chunk, several for each: who is near to whom, on the host."""

    image: np.ndarray  # (P,) the image's number in its chunk
    training: np.ndarray  # (P,) the training image's number
    distance: np.ndarray  # (P,) between the two, squared


def _closest(images: Array, training: Array, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The numbers and distances of the `count` nearest training images of each image, (N, count), nearest first."""
    chunks = [slice(i, i + CHUNK) for i in range(0, len(images), CHUNK)]
    best = [_Best(np.empty(0, int), np.empty(0, int), np.empty(0)) for _ in chunks]
    for start in range(0, len(training), BLOCK):
        numbers = start + _firsts(training[start : start + BLOCK], count)
        block = training[numbers]
        centre = block.reshape(len(block), -1).mean(axis=0) / _white(block)  # smaller numbers round less
        near = _around(block, centre)
        for c, chunk in enumerate(chunks):
            x = images[chunk]
            i, j = _candidates(_around(x, centre), near, min(count, len(block)))
            found = _Best(to_numpy(i), numbers[to_numpy(j)], to_numpy(_apart(x, i, block, j)))
            best[c] = _nearest_of(_Best(*map(np.concatenate, zip(best[c], found, strict=True))), count)
    index = np.concatenate([found.training for found in best]).reshape(-1, count)
    return index, np.sqrt(np.concatenate([found.distance for found in best])).reshape(-1, count)


def _firsts(images: Array, count: int) -> np.ndarray:
    """Where the first `count` of each sort of equal images are; of ten thousand blank ones no more need comparing."""
    seen, kept = Counter(), []
    for i, image in enumerate(to_numpy(images)):
        key = sha256(image.tobytes()).digest()
        seen[key] += 1
        if seen[key] <= count:
            kept.append(i)
    return np.array(kept)


def _candidates(x: Array, y: Array, count: int) -> tuple[Array, Array]:
    """Pairs (row of x, row of y) in which are the `count` nearest rows of y of each row of x, whatever float32 rounds.

    An inner product of D numbers is wrong by less than D·u·|x||y| with u = 2⁻²⁴, in whatever order it is added up; so
    |y|² - 2·x·y is, and |x - y|² by rounding x and y to float32, by less than `margin` together. Source: Higham,
    "Accuracy and stability of numerical algorithms", 2002, section 3.1.
    """
    xp, norms, float32 = array_module(x), _norms(y), np.finfo(np.float32)
    score = matmul(-2 * x, y.T)
    score += norms  # |x|² is the same for all of a row
    reach = xp.sqrt(_norms(x)) + xp.sqrt(norms.max())
    margin = float(float32.eps) * (x.shape[1] + 8) * reach * reach
    limit = xp.partition(score, count - 1, axis=1)[:, count - 1] + 2 * margin + float(float32.tiny)
    i, j = xp.nonzero(score <= limit[:, None])
    return i, j


def _apart(x: Array, i: Array, y: Array, j: Array) -> Array:
    """The squared distance of x[i] and y[j] for each pair, entry by entry in float64."""
    distance = array_module(x).empty(len(i))
    for start in range(0, len(i), CHUNK):
        part = slice(start, start + CHUNK)
        distance[part] = _norms(_unit(x[i[part]]) - _unit(y[j[part]]))
    return distance


def _nearest_of(pairs: _Best, count: int) -> _Best:
    """The `count` nearest of each image, nearest first and of equals the one with the lower number."""
    order = np.lexsort((pairs.training, pairs.distance, pairs.image))
    image = pairs.image[order]
    place = np.arange(len(image)) - np.searchsorted(image, image)  # 0 for the nearest of its image, 1, …
    return _Best(*(values[order[place < count]] for values in pairs))


def _unit(images: Array) -> Array:
    """The pixels as rows (N, D) from 0 to 1, float64."""
    return images.reshape(len(images), -1).astype("float64") / _white(images)


def _white(images: Array) -> int:
    """The value of a white pixel."""
    return 255 if images.dtype == np.uint8 else 1


def _around(images: Array, centre: Array) -> Array:
    """The pixels as rows less the centre, float32: a chunk at a time, since float64 takes twice the memory."""
    rows = array_module(images).empty((len(images), len(centre)), dtype="float32")
    for i in range(0, len(images), CHUNK):
        rows[i : i + CHUNK] = _unit(images[i : i + CHUNK]) - centre
    return rows


def _images(least: int, why: str, images: Any, training: Any) -> tuple[Array, Array]:
    """Both, once they are known to be images of one shape and range, `training` of at least `least`."""
    array_module(images=images, training=training)
    if images.ndim < 2 or images.shape[1:] != training.shape[1:]:
        raise ShapeError(
            f"images are {images.shape} and training images {training.shape}; both are (N, …) of one shape"
        )
    check_enough("images", images, 1, "there is nothing to compare")
    check_enough("training", training, least, why)
    for name, array in (("images", images), ("training", training)):
        check_numbers(name, array)
        if array.dtype == np.uint8:
            continue
        if array.dtype.kind != "f":
            raise DTypeError(f"{name} holds {array.dtype}; pixels are uint8 from 0 to 255 or floats from 0 to 1")
        low, high = float(array.min()), float(array.max())
        if low < 0 or high > 1:
            raise DataError(f"{name} has pixels from {low:.3g} to {high:.3g}; floats must lie in [0, 1]: map the range")
    check_not_tiny(images=images, training=training)
    return images, training
