"""One numeric derivative, with an error bar that says how far it can be trusted, and a sign if there is a kink.

Letters: f the function, θ the array that is changed, v the direction, h the step, ε the spacing of float64 at 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

STEP = 1e-4  # the extrapolation removes h², so that a larger h, with less rounding, is the better one: see `slope`
SMALLEST = 1e-12  # of the sizes that a step follows
CAUTION = 10  # the bar is ten times the estimated error
EPS = float(np.finfo(np.float64).eps)
ONE_SLOPE = 0.01  # of the jump of a corner's slope, what the slope of one side may differ by between the two steps
BENT = 0.1  # of a smooth function's one-sided differences, this share at most may fail to halve with the step

#: A scalar function as the terms of its sum: what did not move then cancels exactly, and is no source of rounding.
Terms = Callable[[], np.ndarray]
#: What a line moves: (array, where, v) for each array, of which `array[where]` becomes θ + t·v.
Moves = Sequence[tuple[np.ndarray, Any, Any]]


class Slope(NamedTuple):
    """A derivative: off by less than `bar`, unless there is a kink within a step (`bend` is then above `noise`)."""

    value: float
    bar: float
    bend: float
    noise: float
    low: float  # the slopes to either side of a kink, between which every subgradient lies; infinite if a
    high: float  # side has not one slope at both steps
    lost: float  # what the terms of f that did not move may hide, since each is rounded: beside the bar
    h: float  # the step


class Measured(NamedTuple):
    """What was found of one array, before it is judged."""

    how: str
    analytic: np.ndarray
    lines: list[tuple[Any, Any]]  # (where, v) of each slope
    slopes: list[Slope]
    places: list[tuple[int, ...]] | None = None


def slope(f: Terms, here: np.ndarray, array: np.ndarray, where: Any, v: Any, h: float = STEP) -> Slope:
    """df/dt of f(θ + t·v) at t = 0, where θ is `array[where]`; the array is left as it was, to the bit.

    Central differences D(h) = (f(θ + h·v) - f(θ - h·v)) / 2h are off by c·h² and more. Two of them give both the value
    with h² removed, (4·D(h/2) - D(h)) / 3, and an estimate of what was wrong with the better one, |D(h/2) - D(h)| / 3
    (Richardson's extrapolation). Rounding adds ε·|f|/h, with |f| the sum of the sizes of the terms that moved, and, as
    θ + h·v is rounded too, ε·|θ|/h of the value.

    Where f is smooth, one-sided differences disagree by h·f'' and half as much at half the step. Where they do not
    nearly halve, or become less still, as of x⁴ at 0, there is a kink, unless they change sign: then it is noise. What
    is left of it, of a kink or of rounding inside f, widens the bar.
    `here` is f(θ), and f must read the array anew on each call.
    Source: Richardson, "The approximate arithmetical solution by finite differences", 1911.
    """
    return along(f, here, [(array, where, v)], h)


def along(f: Terms, here: np.ndarray, moves: Moves, h: float) -> Slope:
    """The same where several arrays move together."""
    above, below, above_half, below_half = walk(f, moves, (h, -h, h / 2, -h / 2))
    kept = [np.copy(array[where]) for array, where, _ in moves]
    with np.errstate(all="ignore"):
        far, near = float((above - below).sum()) / (2 * h), float((above_half - below_half).sum()) / h
        moved = np.any([here != y for y in (above, below, above_half, below_half)], axis=0)
        size = max(float(np.abs(θ * (np.asarray(v) != 0)).max()) for θ, (_, _, v) in zip(kept, moves, strict=True))
        rounding = float(np.abs(here[moved]).sum()) + size * max(abs(far), abs(near))
        noise = CAUTION * EPS * rounding / (h / 2)
        lost = CAUTION * EPS * float(np.abs(here[~moved]).max(initial=0.0)) / (h / 2)
        if all(np.array_equal(θ + h / 2 * v, θ) for θ, (_, _, v) in zip(kept, moves, strict=True)):
            noise = np.inf  # the step is lost in the spacing of numbers as large as these
        right_far, right = float((above - here).sum()) / h, float((above_half - here).sum()) / (h / 2)
        left_far, left = float((here - below).sum()) / h, float((here - below_half).sum()) / (h / 2)
        bend_far, bend_near = right_far - left_far, right - left
        bend = abs(bend_far - 2 * bend_near)
        value, bar = (4 * near - far) / 3, CAUTION * abs(near - far) / 3 + noise
        bends = abs(bend_far) + 2 * abs(bend_near)
        smooth = bend <= BENT * bends or 2 * abs(bend_near) < abs(bend_far) or bend_far * bend_near < 0
        if smooth or bend > 4 * noise:
            bar += CAUTION * bend / 2
        if smooth:
            bend = 0.0
        # A corner has one slope on each side, at both steps; a smooth function that is too steep for the steps has not.
        curved = max(abs(right_far - right), abs(left_far - left))
        corner = np.isfinite(value) and curved <= ONE_SLOPE * abs(bend_near)
        sides = 2 * right - right_far, 2 * left - left_far  # of each side, too, what is proportional to h is removed
        room = curved + noise
    low, high = (min(sides) - room, max(sides) + room) if corner else (-np.inf, np.inf)
    return Slope(value, bar if np.isfinite(value) else np.inf, bend, 4 * noise, low, high, lost, h)


def walk(f: Terms, moves: Moves, ts: Sequence[float]) -> list[np.ndarray]:
    """f at θ + t·v for each t; the arrays are left as they were, to the bit, whatever f raises.

    Where f raises what is raised of numbers that are not allowed, it has no value: NaN.
    """
    kept = [np.copy(array[where]) for array, where, _ in moves]
    found = []
    try:
        with np.errstate(all="ignore"):  # next to the point f may have no value; the bar says so
            for t in ts:
                for θ, (array, where, v) in zip(kept, moves, strict=True):
                    array[where] = θ + t * v
                try:
                    found.append(f())
                except (ValueError, ArithmeticError, AssertionError):
                    found.append(np.array([np.nan]))
    finally:
        for θ, (array, where, _) in zip(kept, moves, strict=True):
            array[where] = θ
    return found


def typical(array: np.ndarray) -> float:
    """The size that an array's entries have: the median of |θ| over those that are not zero; 1 if all are."""
    sizes = np.abs(array[array != 0])
    return max(float(np.median(sizes)), SMALLEST) if sizes.size else 1.0


def first_steps(array: np.ndarray, h: float | None = None) -> np.ndarray:
    """The step for each entry: h, or else 1e-4 of its size or of the typical one, the larger, and never above 1e-4.

    Data of size 1e-3 may be normalised, or divided by: an absolute step of 1e-4 would be a tenth of it. Above 1 it is
    the other way round: large numbers are often small differences beside a large offset.
    """
    if h is not None:
        return np.full(array.shape, h)
    return STEP * np.minimum(1.0, np.maximum(typical(array), np.abs(array)))


def entries(f: Terms, here: np.ndarray, array: np.ndarray, h: float | None = None) -> list[Slope]:
    """The derivative with respect to each entry, in C order; `h` as in `first_steps`."""
    steps = first_steps(array, h)
    return [slope(f, here, array, index, 1.0, float(steps[index])) for index in np.ndindex(array.shape)]


def gradient(f: Terms, array: np.ndarray) -> np.ndarray:
    """The derivatives with respect to the entries, with the array's shape."""
    return np.reshape([s.value for s in entries(f, f(), array)], array.shape)
