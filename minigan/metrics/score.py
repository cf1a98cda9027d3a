"""What a classifier says of the samples: the MNIST score (sure of each, and of all classes), and the digits' balance.

Letters: N samples, K classes, p (N, K) the probabilities p(y|x), one row for each sample x.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from minigan.backend import RandomStream, array_module, to_numpy
from minigan.errors import ArgumentError, DataError, DTypeError, ShapeError
from minigan.metrics.checks import check_enough, check_numbers

ROW_SUM = 1e-3  # by how much the K probabilities of a float32 softmax may miss 1, with room


class Score(NamedTuple):
    """Mean and standard deviation (divided by the number of splits) of the splits' scores: 1 to K, without a unit."""

    mean: float
    std: float


class Balance(NamedTuple):
    """How evenly the classes are met: `kl` in nats, 0 to log K, and each class's share of the samples, (K,)."""

    kl: float
    shares: np.ndarray


def mnist_score(p: Any, splits: int = 10) -> Score:
    """exp of the mean over samples of KL(p(y|x) ‖ p(y)), of probabilities `p` (N, K): mean and std over `splits`.

    It is K where the classifier is sure of each sample and meets all classes equally often, and 1 where its answer
    does not depend on the sample: on noise, and on one digit over and over. p(y) is the mean of p(y|x) in the split.

    Protocol: ten splits of equal size, the mean and the standard deviation of their scores, as in the Inception score;
    10,000 samples. There the splits are consecutive runs of samples as they were drawn; here the score must not hang
    on that order. So the rows are sorted (by first column, then second, …) and dealt to the splits by one fixed
    permutation: the splits are then as good as random ones (taking each tenth of the sorted rows would give ten
    splits too much alike, and too small a spread), yet a function of the set of rows alone, to the last bit. Where
    p itself is rounded otherwise, as by a classifier in other batches, rows that are nearly equal may change places,
    and move the mean by some 1e-5 of it.
    Few samples bias it downward (10,000 training images: 9.85 in ten splits, 9.90 in one): compare equal N and splits.
    `splits=1` is the score of all samples together, with a spread of 0.

    Raises ShapeError, DTypeError, DataError for what is no table of probabilities, and ArgumentError for fewer than
    splits · K samples: a split of n samples scores n at most, and must be able to score K.
    Source: Salimans et al., "Improved techniques for training GANs", NeurIPS 2016, with MNIST's classifier for theirs.
    """
    if isinstance(splits, bool) or not isinstance(splits, (int, np.integer)) or splits < 1:
        raise ArgumentError(f"splits is {splits!r}; it must be a whole number of at least 1")
    p = _probabilities(p)
    N, K = p.shape
    check_enough("p", p, splits * K, f"each of {splits} splits takes {K}, or it cannot score {K}")
    in_order = p[np.lexsort(p.T[::-1])]
    dealt = in_order[RandomStream(0, "split").host.permutation(N)]
    scores = [_score(dealt[N * i // splits : N * (i + 1) // splits]) for i in range(splits)]
    return Score(float(np.mean(scores)), float(np.std(scores)))


def _score(p: np.ndarray) -> float:
    """exp of the mean over rows of Σ p·log(p / mean p), where 0·log 0 is 0."""
    marginal = p.mean(axis=0)
    ratios = np.log(np.where(p > 0, p, 1.0)) - np.log(np.where(marginal > 0, marginal, 1.0))
    return math.exp(max(0.0, float((p * ratios).sum(axis=1).mean())))  # rounding may leave -1e-17 of a KL of 0


def digit_balance(answers: Any, classes: int = 10) -> Balance:
    """KL(class histogram ‖ uniform) = Σ s·log(s·K) in nats, and the shares s of the K classes.

    `answers` are labels, whole numbers (N,) from 0 to classes - 1, or probabilities (N, K), of which each sample's
    largest counts. Protocol: the classifier's labels of 10,000 samples. 0 is perfect balance; the test images have
    0.0017 (their digits are not equally many); one digit only has log K = 2.30.

    A histogram of N drawn from a perfectly balanced source has a KL of (K - 1) / 2N on average: 0.00045 of 10,000.
    Raises ShapeError, DTypeError, DataError for what is neither, and ArgumentError for no sample or an unknown label.
    Source: the marginal of the Inception score's two terms, on its own.
    """
    array_module(answers=answers)
    if answers.ndim == 2:
        p = _probabilities(answers)
        classes, labels = p.shape[1], p.argmax(axis=1)
    elif answers.ndim == 1:
        labels = _labels(answers, classes)
    else:
        raise ShapeError(f"answers has shape {answers.shape}; it must be labels (N,) or probabilities (N, {classes})")
    check_enough("answers", labels, 1, "no sample has no balance")
    shares = np.bincount(labels, minlength=classes) / len(labels)
    met = shares[shares > 0]
    return Balance(max(0.0, float((met * np.log(met * classes)).sum())), shares)


def _labels(answers: Any, classes: int) -> np.ndarray:
    if answers.dtype.kind not in "iu":
        raise DTypeError(f"answers holds {answers.dtype}; labels are whole numbers from 0 to {classes - 1}")
    labels = to_numpy(answers)
    if wrong := labels[(labels < 0) | (labels >= classes)].tolist():
        raise ArgumentError(f"answers has the label {wrong[0]}; the {classes} classes are 0 to {classes - 1}")
    return labels.astype(np.intp)


def _probabilities(p: Any) -> np.ndarray:
    """p as NumPy float64, (N, K): the table is small, and NumPy sorts rows."""
    array_module(p=p)
    if p.ndim != 2 or p.shape[1] < 2:
        raise ShapeError(
            f"p has shape {p.shape}; probabilities are (N, K): one row of 2 classes or more for each sample"
        )
    check_numbers("p", p)
    p = to_numpy(p).astype(np.float64)
    if p.size and (p.min() < 0 or np.abs(p.sum(axis=1) - 1).max() > ROW_SUM):
        sums = p.sum(axis=1)
        raise DataError(
            f"p is no table of probabilities: entries from {p.min():.3g}, rows that sum to {sums.min():.3g} to "
            f"{sums.max():.3g} and not 1; take the softmax of the classifier's logits"
        )
    return p
