"""What every metric asks of its samples before it computes: real numbers, of the right shape, none NaN, and enough.

Letters: N samples, F features of each.
"""

from __future__ import annotations

from typing import Any

from minigan.backend import Array, array_module
from minigan.errors import ArgumentError, DataError, DTypeError, ShapeError

LARGEST = 1e45  # the kernel distance adds up sixth powers, of all pairs of samples; a float64 ends at 1.8e308
SMALLEST = 1e-140  # in size; the square of a smaller number is 0, or has lost digits


def check_numbers(name: str, array: Array) -> None:
    """Raise DTypeError unless `array` holds real numbers, and DataError if some are NaN, infinite or too large.

    Those that are no numbers are counted, of the others the largest is told.
    """
    xp = array_module(**{name: array})
    if array.dtype.kind not in "fiu":
        raise DTypeError(f"{name} holds {array.dtype}, not real numbers; convert it with {name}.astype(numpy.float64)")
    if array.dtype.kind == "f" and (wrong := int(array.size - xp.isfinite(array).sum())):
        raise DataError(f"{name} has {wrong} values of {array.size} that are NaN or infinite; leave those samples out")
    if (size := max_abs(array)) > LARGEST:
        raise DataError(
            f"{name} has values of a size up to {size:.3g}, above {LARGEST:g}, whose powers do not fit into float64; "
            "divide all samples by one number, or leave those out"
        )


def max_abs(array: Array) -> float:
    """The largest size of a number in the array; 0 if it is empty."""
    return max(float(array.max()), -float(array.min())) if array.size else 0.0


def check_not_tiny(**arrays: Array) -> None:
    """Raise DataError, naming the arrays, if all of their numbers are so small that their squares vanish.

    Zeros alone are no mistake: features may be dead.
    """
    size = max(max_abs(array) for array in arrays.values())
    if 0 < size < SMALLEST:
        raise DataError(
            f"{' and '.join(arrays)} have values of a size up to {size:.3g} only, below {SMALLEST:g}, where squares "
            "are lost in float64; multiply all samples by one number"
        )


def check_enough(name: str, array: Array, least: int, why: str) -> None:
    """Raise ArgumentError, with both numbers and the reason, if `array` holds fewer than `least` samples."""
    if len(array) < least:
        raise ArgumentError(f"{name} has {len(array)} samples and at least {least} are needed: {why}")


def features_of(least: int, why: str, **samples: Any) -> list[Array]:
    """The named sets of samples, each (N, F), as float64 on their device.

    Raises ShapeError for another number of axes or where the sets differ in F, DTypeError and DataError as
    `check_numbers` does, and ArgumentError for fewer than `least` samples, which `why` explains.
    """
    array_module(**samples)
    for name, array in samples.items():
        if array.ndim != 2 or 0 in array.shape[1:]:
            raise ShapeError(f"{name} has shape {array.shape}; features are (N, F): one row for each sample")
    (first, a), *others = samples.items()
    for name, array in others:
        if array.shape[1] != a.shape[1]:
            raise ShapeError(
                f"{first} has {a.shape[1]} features and {name} has {array.shape[1]}; describe both with one classifier"
            )
    for name, array in samples.items():
        check_enough(name, array, least, why)
        check_numbers(name, array)
    check_not_tiny(**samples)
    return [array.astype("float64", copy=False) for array in samples.values()]
