"""One numeric derivative, with an error bar that says how far it can be trusted, and a sign if there is a kink.

Letters: f the function, θ the array that is changed, v the direction, h the step, ε the spacing of float64 at 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

STEP = 1e-4  # the extrapolation removes h², so that a larger h, with less rounding, is the better one: see `slope`
CAUTION = 10  # the bar is ten times the estimated error
EPS = float(np.finfo(np.float64).eps)
ONE_SLOPE = 0.01  # of the jump of a corner's slope, what the slope of one side may differ by between the two steps
BENT = 0.1  # of a smooth function's one-sided differences, this share at most may fail to halve with the step

#: A scalar function as the terms of its sum: what did not move then cancels exactly, and is no source of rounding.
Terms = Callable[[], np.ndarray]


class Slope(NamedTuple):
    """A derivative: off by less than `bar`, unless there is a kink within a step (`bend` is then above `noise`)."""

    value: float
    bar: float
    bend: float
    noise: float
    low: float  # the slopes to either side of a kink, between which every subgradient lies; infinite if a
    high: float  # side has not one slope at both steps


def slope(f: Terms, here: np.ndarray, array: np.ndarray, where: Any, v: Any, h: float = STEP) -> Slope:
    """df/dt of f(θ + t·v) at t = 0, where θ is `array[where]`; the array is left as it was, to the bit.

    Central differences D(h) = (f(θ + h·v) - f(θ - h·v)) / 2h are off by c·h² and more. Two of them give both the value
    with h² removed, (4·D(h/2) - D(h)) / 3, and an estimate of what was wrong with the better one, |D(h/2) - D(h)| / 3
    (Richardson's extrapolation). Rounding adds ε·|f|/h, with |f| the sum of the sizes of the terms that moved, and, as
    θ + h·v is rounded too, ε·|θ|/h of the value.

    Where f is smooth, one-sided differences disagree by h·f'' and half as much at half the step. Where they do not
    nearly halve there is a kink, unless the disagreement changes sign: then it is noise. If there is none, what is left
    of it tells of rounding inside f, and widens the bar.
    `here` is f(θ), and f must read the array anew on each call.
    Source: Richardson, "The approximate arithmetical solution by finite differences", 1911.
    """
    kept = np.copy(array[where])

    def at(t: float) -> np.ndarray:
        array[where] = kept + t * v
        return f()

    try:
        with np.errstate(all="ignore"):  # next to the point f may have no value; the bar says so
            above, below, above_half, below_half = at(h), at(-h), at(h / 2), at(-h / 2)
    finally:
        array[where] = kept
    with np.errstate(all="ignore"):
        far, near = float((above - below).sum()) / (2 * h), float((above_half - below_half).sum()) / h
        moved = np.any([here != y for y in (above, below, above_half, below_half)], axis=0)
        rounding = float(np.abs(here[moved]).sum()) + float(np.abs(kept).max()) * max(abs(far), abs(near))
        noise = CAUTION * EPS * rounding / (h / 2)
        if np.array_equal(kept + h / 2 * v, kept):
            noise = np.inf  # the step is lost in the spacing of numbers as large as these
        sides = [float((above - here).sum()) / h, float((above_half - here).sum()) / (h / 2)]
        sides += [float((here - below).sum()) / h, float((here - below_half).sum()) / (h / 2)]
        bend_far, bend_near = sides[0] - sides[2], sides[1] - sides[3]
        bend = abs(bend_far - 2 * bend_near)
        value, bar = (4 * near - far) / 3, CAUTION * abs(near - far) / 3 + noise
        if bend <= BENT * (abs(bend_far) + 2 * abs(bend_near)) or bend_far * bend_near < 0:
            bar, bend = bar + CAUTION * bend / 2, 0.0
        # A corner has one slope on each side, at both steps; a smooth function that is too steep for the steps has not.
        corner = max(abs(sides[0] - sides[1]), abs(sides[2] - sides[3])) <= ONE_SLOPE * abs(bend_near)
    low, high = (min(sides), max(sides)) if corner else (-np.inf, np.inf)
    return Slope(value, bar if np.isfinite(value) else np.inf, bend, 4 * noise, low, high)


def entries(f: Terms, here: np.ndarray, array: np.ndarray, h: float = STEP) -> list[Slope]:
    """The derivative with respect to each entry, in C order."""
    return [slope(f, here, array, index, 1.0, h) for index in np.ndindex(array.shape)]


def gradient(f: Terms, array: np.ndarray) -> np.ndarray:
    """The derivatives with respect to the entries, with the array's shape."""
    return np.reshape([s.value for s in entries(f, f(), array)], array.shape)
