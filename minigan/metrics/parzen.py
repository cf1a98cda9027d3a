"""Parzen log-likelihood: how probable are real images under a density drawn around the generator's samples?

The measure of the first GAN paper. Its numbers compare with other published ones only under the same protocol, which
`parzen` follows. N is the number of samples, M of real images, P of pixels of each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minigan.backend import Array, array_module, matmul, to_numpy
from minigan.errors import ArgumentError, DataError, ShapeError
from minigan.metrics.checks import check_enough, check_numbers

SIGMAS = tuple(np.logspace(-1, 0, 10))
VALIDATION = 1_000  # of the training images 50,000-59,999, the first ones
BLOCK = 2**22  # distances held at once: 32 MB


class ParzenResult(NamedTuple):
    """Mean log-likelihood per image, its standard error over the images, both in nats, and the width it is for."""

    mean: float
    error: float
    sigma: float


def parzen(
    samples: Array, validation: Array, test: Array, *, sigmas: Sequence[float] | np.ndarray = SIGMAS
) -> ParzenResult:
    """The log-likelihood of `test` under a Parzen window of `samples`, its width chosen on `validation`.

    The protocol on MNIST: 10,000 samples of G; pixels in [0, 1], neither binarised nor with noise added; the width σ
    is the one of logspace(-1, 0, 10) that gives the first 1,000 of the training images 50,000-59,999 the highest mean;
    all 10,000 test images. For images of 784 pixels 225 ± 2 is the published GAN, and real training images in place of
    samples score 241.2 ± 2.1; higher than real is possible and says that the measure has its limits.
    Raises what `parzen_log_likelihood` raises.
    Source: Goodfellow et al., "Generative adversarial nets", 2014, section 5, after Breuleux, Bengio & Vincent, 2011;
    of its limits, Theis et al., "A note on the evaluation of generative models", ICLR 2016.
    """
    return parzen_log_likelihood(samples, test, sigma=choose_sigma(samples, validation, sigmas))


def parzen_log_likelihood(samples: Array, test: Array, *, sigma: float) -> ParzenResult:
    """Mean over the test images μ of log p(μ), with p(μ) = (1/N) Σ_i N(μ; x_i, σ²·I) over the samples x_i.

    log p(μ) = logmeanexp_i(-½‖(x_i - μ)/σ‖²) - P·log(σ√(2π)), natural logarithm. The error is the standard deviation
    over the test images (divided by M) over √M. Computed in float64; constant samples give a number like any others.
    Shapes: samples (N, …), test (M, …) of as many pixels each; N at least 1, M at least 2.
    Raises ShapeError for images of different sizes, ArgumentError for too few images or a σ that is not above 0,
    DataError for values outside [0, 1] or NaN.
    """
    values = log_likelihoods(samples, test, [sigma])[0]
    return ParzenResult(float(values.mean()), float(values.std() / math.sqrt(len(values))), float(sigma))


def choose_sigma(samples: Array, validation: Array, sigmas: Sequence[float] | np.ndarray = SIGMAS) -> float:
    """The σ under which the validation images have the highest mean log-likelihood; the first of equal ones.

    The distances are computed once for all. Shapes and errors: as `parzen_log_likelihood`.
    """
    means = log_likelihoods(samples, validation, sigmas).mean(axis=1)
    return float(sigmas[int(means.argmax())])


def log_likelihoods(samples: Array, images: Array, sigmas: Sequence[float] | np.ndarray) -> np.ndarray:
    """(number of sigmas, M): log p of every image under each width, on the host."""
    if not len(sigmas) or not all(0 < sigma < math.inf for sigma in sigmas):
        raise ArgumentError(f"a Parzen window needs finite widths sigma above 0, got {list(map(float, sigmas))}")
    xp = array_module(samples=samples, images=images)
    check_unit_range("samples", samples, 1, "the density is a mean over them")
    check_unit_range("test images", images, 2, "the error is estimated from how they differ")
    x, N, P = samples.reshape(len(samples), -1).astype("float64"), len(samples), math.prod(samples.shape[1:])
    if P != math.prod(images.shape[1:]):
        raise ShapeError(f"samples have {P} pixels and test images {math.prod(images.shape[1:])}; crop or pad the one")
    centre = x.mean(axis=0)  # distances do not change, and the sums of squares that cancel are smaller
    x -= centre
    norms = (x * x).sum(axis=1)
    found, rows = np.empty((len(sigmas), len(images))), max(1, BLOCK // N)
    for start in range(0, len(images), rows):
        part = slice(start, start + rows)
        t = images[part].reshape(-1, P).astype("float64") - centre
        d = matmul(t, x.T)  # ‖t - x‖² = ‖t‖² - 2 t·x + ‖x‖²
        d *= -2
        d += norms
        d += (t * t).sum(axis=1, keepdims=True)
        xp.maximum(d, 0, out=d)
        nearest = d.min(axis=1, keepdims=True)
        d -= nearest  # the largest term of each sum becomes e⁰: nothing underflows to log 0
        terms = xp.empty_like(d)
        for row, sigma in zip(found, sigmas, strict=True):
            xp.multiply(d, -0.5 / sigma**2, out=terms)
            means = xp.exp(terms, out=terms).mean(axis=1)
            row[part] = to_numpy(xp.log(means) - 0.5 / sigma**2 * nearest[:, 0]) - P * math.log(
                sigma * math.sqrt(2 * math.pi)
            )
    return found


def check_unit_range(name: str, array: Any, least: int, why: str) -> None:
    """Raise an error unless `array` is (N, …) with N at least `least`, its values in [0, 1]."""
    if array.ndim < 2 or 0 in array.shape[1:]:
        raise ShapeError(f"{name} have shape {array.shape}; images are (N, …), one to each entry of the first axis")
    check_enough(name, array, least, why)
    check_numbers(name, array)
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 1:
        raise DataError(
            f"{name} have values from {low:g} to {high:g}; the protocol takes pixels in [0, 1]: bytes / 255, and "
            "(x + 1) / 2 of the output of a tanh"
        )
