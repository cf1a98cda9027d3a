"""Modes of toys: how many of the clusters of a plane does a generator find, and how well does it hit them?

Two mixtures of normal distributions in equal shares, whose true modes are known, stand in for data whose modes nobody
can count. K is the number of modes, N of samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minigan.backend import Array, to_numpy
from minigan.errors import ArgumentError, DataError, ShapeError
from minigan.metrics.checks import check_numbers

SAMPLES = 2_500  # what the papers score
NEAR = 3  # standard deviations from the nearest mean: a sample of high quality
PERFECT = 1 - math.exp(-(NEAR**2) / 2)  # share of them among samples of the mixture itself: 98.89 %


@dataclass(frozen=True)
class Mixture:
    """K normal distributions N(mean_k, std²·I) in the plane, each as likely as the others; `means` is (K, 2)."""

    means: np.ndarray
    std: float

    def sample(self, count: int, rng: np.random.Generator, *, dtype: Any = np.float32) -> np.ndarray:
        """(count, 2) independent points of the mixture.

        Raises ArgumentError for a count below 1.
        """
        if count < 1:
            raise ArgumentError(f"a mixture gives at least 1 point, was asked for {count}")
        centres = self.means[rng.integers(len(self.means), size=count)]
        return (centres + self.std * rng.standard_normal((count, 2))).astype(dtype)


def ring(modes: int = 8, *, radius: float = 1.0, std: float = 0.01) -> Mixture:
    """`modes` normal distributions at equal angles on a circle about the origin, the first at (radius, 0).

    Raises ArgumentError for fewer than 1 mode or a std that is not above 0.
    """
    if modes < 1 or not std > 0:
        raise ArgumentError(f"a ring needs at least 1 mode and a std above 0, got {modes} and {std}")
    angles = 2 * np.pi * np.arange(modes) / modes
    return Mixture(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1), std)


def grid(side: int = 5, *, spacing: float = 2.0, std: float = 0.05) -> Mixture:
    """side² normal distributions on a square lattice about the origin.

    Raises ArgumentError for a side below 1 or a std that is not above 0.
    """
    if side < 1 or not std > 0:
        raise ArgumentError(f"a grid needs a side of at least 1 and a std above 0, got {side} and {std}")
    places = spacing * (np.arange(side) - (side - 1) / 2)
    return Mixture(np.stack(np.meshgrid(places, places, indexing="ij"), axis=-1).reshape(-1, 2), std)


class ModeScore(NamedTuple):
    """How the modes of a mixture are hit; see `score_modes`."""

    modes: int  # how many are hit
    high_quality: float  # share of samples near a mean
    reverse_kl: float  # nats
    counts: np.ndarray  # (K,) samples of high quality at each mode


def score_modes(samples: Array, mixture: Mixture, *, data: Array | None = None) -> ModeScore:
    """Score samples (N, 2) against the mixture that they imitate. The papers' protocol takes 2,500 samples.

    A sample belongs to the nearest mean, and is of high quality if that is within 3 standard deviations (Euclidean).
    A mode is hit if at least one sample of high quality belongs to it.
    Reverse KL, Σ_k q_k log(q_k / p_k) in nats: q_k is the share of all samples that belong to mode k, p_k the same of
    `data` (M, 2), or 1/K without it. It is 0 if every mode gets its share and log K if one uniform mode gets all.
    Perfect samples: every mode hit, a share of 1 - e^(-9/2) = 98.89 % of high quality, a reverse KL of about
    (K - 1) / 2N, by chance alone. Samples of a constant get a number like any others.

    Raises ShapeError unless samples are (N, 2); DataError if any is not finite, or if samples belong to a mode that has
    no point of `data`.
    Source: Srivastava et al., "VEEGAN", 2017; Lin et al., "PacGAN: the power of two samples in generative adversarial
    networks", 2018, section 4.1.
    """
    nearest, distance = assign(samples, mixture)
    near = distance < NEAR * mixture.std
    K = len(mixture.means)
    counts = np.bincount(nearest[near], minlength=K)
    q = np.bincount(nearest, minlength=K) / len(nearest)
    if data is None:
        p = np.full(K, 1 / K)
    else:
        of_data = assign(data, mixture)[0]
        p = np.bincount(of_data, minlength=K) / len(of_data)
    hit = q > 0
    if not p[hit].all():
        raise DataError(
            f"none of the {len(nearest if data is None else data)} points of data belongs to mode "
            f"{np.flatnonzero(hit & (p == 0))[0]}, where the samples are: the reverse KL would be infinite; give more "
            "data, or leave data out for equal shares"
        )
    reverse_kl = float((q[hit] * np.log(q[hit] / p[hit])).sum())
    return ModeScore(int((counts > 0).sum()), float(near.mean()), max(reverse_kl, 0.0), counts)


def assign(samples: Array, mixture: Mixture) -> tuple[np.ndarray, np.ndarray]:
    """(the number of the nearest mean, the distance to it) for each sample (N, 2)."""
    x = to_numpy(samples).astype(np.float64)
    if x.ndim != 2 or x.shape[1] != 2 or not len(x):
        raise ShapeError(f"modes are counted of points (N, 2) with N at least 1, got shape {x.shape}")
    if bad := int((~np.isfinite(x)).any(axis=1).sum()):
        raise DataError(f"{bad} of {len(x)} samples are NaN or infinite: training has diverged; lower its rates")
    check_numbers("samples", x)
    distances = np.sqrt(((x[:, None] - mixture.means) ** 2).sum(axis=-1))
    nearest = distances.argmin(axis=1)
    return nearest, distances[np.arange(len(x)), nearest]
