"""The kernel distance: how well a cubic polynomial of the features tells two sets of samples apart, without bias.

Letters: N samples of `a` and M of `b`, F features, k the kernel.
"""

from __future__ import annotations

from typing import Any

from minigan.backend import Array, array_module, matmul
from minigan.metrics.checks import features_of

CHUNK = 256  # rows of the kernel's table at a time: with 10,000 columns, 20 MB


def kernel_distance(a: Any, b: Any) -> float:
    """mean k(a, a′) + mean k(b, b′) - 2·mean k(a, b) with k(x, y) = (x·y/F + 1)³, of `a` (N, F) and `b` (M, F).

    The squared maximum mean discrepancy; the means within a set leave out pairs of a sample with itself, which makes
    the estimate unbiased: for two sets from one source it is 0 on average, and as often as not a little below. A cubic
    kernel sees differences of the first three moments. Unit: that of k, so features of another scale
    give another number.

    Protocol: the paper takes the mean of 100 random subsets of 1,000 ("KID"). All N·M pairs have the same expectation
    and less variance, and depend on no draw and no order of samples. 10,000 against 10,000 in float64, in chunks.

    Raises ShapeError, DTypeError and DataError for what is not two finite arrays of equal F, and ArgumentError for
    fewer than two samples.
    Source: Bińkowski et al., "Demystifying MMD GANs", ICLR 2018, section 4; the unbiased estimate: Gretton et al.,
    "A kernel two-sample test", JMLR 2012, equation 3.
    """
    a, b = features_of(2, "the mean over pairs of two different samples takes two", a=a, b=b)
    return _within(a) + _within(b) - 2 * _total(a, b) / (len(a) * len(b))


def _within(x: Array) -> float:
    """The mean of k over all ordered pairs of two different rows."""
    n = len(x)
    itself = _cubed((x * x).sum(axis=1) / x.shape[1])
    return (_total(x, x) - float(itself.sum())) / (n * (n - 1))


def _total(x: Array, y: Array) -> float:
    """The sum of k over all pairs of a row of x and a row of y."""
    scaled = y.T / x.shape[1]
    return sum(float(_cubed(matmul(x[i : i + CHUNK], scaled)).sum()) for i in range(0, len(x), CHUNK))


def _cubed(t: Array) -> Array:
    """(t + 1)³, as products: NumPy's power takes ten times as long. May overwrite t."""
    t += 1
    square = array_module(t).multiply(t, t)
    square *= t
    return square
