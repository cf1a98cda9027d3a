"""Matrix products, the one door through which they all go, and sums over the batch, which BLAS takes as well."""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

from minigan.backend.arrays import Array, array_module

SUMMED = 256  # rows in one sum of `batch_sum`


def matmul(a: Array, b: Array, out: Array | None = None) -> Array:
    """a @ b. Every matrix product of the library goes through this one door, so that a test can count them.

    Where the sums have one term, entry (i, j) is a[i]·b[j]: elementwise work, at which BLAS is ten times as slow.
    """
    xp = array_module(a, b, out)
    one_term = a.shape[-1:] == b.shape[-2:-1] == (1,)
    product = xp.multiply(a, b, out=out) if one_term else xp.matmul(a, b, out=out)
    return product if out is None else out  # CuPy 13's matmul returns another object


def rows(x: Array) -> Array:
    """(N, …, C) as (N·…, C): every axis but the last counts as batch, and a product over it is one call."""
    return x.reshape(-1, x.shape[-1])


def batch_sum(x: Array) -> Array:
    """(N, …, C) → (C,): Σ x over every axis but the last, as the product of a row of ones with the rows of x.

    BLAS adds in several sums at once, on images in half the time of x.sum(axis=…). First SUMMED rows at a time are
    added up, every (N/SUMMED)th one, which takes one product of the rows as they lie; then those sums likewise, so that
    no sum grows far beyond what is added to it, and rounding with it. (In float32 the mean of 10⁶ numbers about 10⁴ was
    wrong by 130 as one running sum, by 9 as one product; it is by 0.001.)
    A sum, not one of the products that `matmul` counts: no weight has a part in it.
    """
    x = rows(x)
    ones = _ones(array_module(x), min(len(x), SUMMED), x.dtype)
    if len(x) <= SUMMED:
        return ones @ x
    rest = len(x) % SUMMED
    total = batch_sum((ones @ x[rest:].reshape(SUMMED, -1)).reshape(-1, x.shape[1]))
    return total + ones[:rest] @ x[:rest] if rest else total


@cache
def _ones(xp: ModuleType, count: int, dtype: Any) -> Array:
    """Kept, since a GPU takes as long to be asked for them as for the sum."""
    return xp.ones(count, dtype=dtype)
