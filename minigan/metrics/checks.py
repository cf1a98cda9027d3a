"""What every metric asks of its samples before it computes: real numbers, of the right shape, none NaN, and enough.

Letters: N samples, F features of each.
"""

from __future__ import annotations

from typing import Any

from minigan.backend import Array, array_module
from minigan.errors import ArgumentError, DataError, DTypeError, ShapeError


def check_numbers(name: str, array: Array) -> None:
    """Raise DTypeError unless `array` holds real numbers, and DataError, counting them, if some are NaN or infinite."""
    xp = array_module(**{name: array})
    if array.dtype.kind not in "fiu":
        raise DTypeError(f"{name} holds {array.dtype}, not real numbers; convert it with {name}.astype(numpy.float64)")
    if array.dtype.kind == "f" and (wrong := int(array.size - xp.isfinite(array).sum())):
        raise DataError(f"{name} has {wrong} values of {array.size} that are NaN or infinite; leave those samples out")


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
    return [array.astype("float64", copy=False) for array in samples.values()]
