"""Which entries of an array can be worked out by hand in a document: all of a small one, of a large one a few.

Of a large one a grid of few coordinates on each axis, the same for all arrays of one shape, so that what they are made
of stays little; and the largest and the smallest entry.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from minigan.trace.operands import operands
from minigan.trace.record import LayerTrace
from minigan.trace.shelf import SMALL, Shelf, indices

FEW = 256  # entries of a grid
Ids = dict[str, str]  # {x, y, dy, dx, or a parameter's or a cache's name: the array's id}
Marks = str | np.ndarray | None  # "all", flat indices, or none


def coarse(shape: tuple[int, ...], count: int) -> np.ndarray:
    """About `count` flat indices at few coordinates of each axis, decided by the shape, ascending.

    At fewer channels of an image than places: each takes a kernel of its own.
    """
    counts, dear = [1] * len(shape), [1] * (len(shape) - 1) + [4 if len(shape) > 2 else 1]
    while math.prod(counts) < 0.75 * count and any(c < size for c, size in zip(counts, shape, strict=True)):
        axes = [i for i, size in enumerate(shape) if counts[i] < size]
        axis = min(axes, key=lambda i: counts[i] * dear[i])
        counts[axis] = min(2 * counts[axis], shape[axis])
    rng = np.random.default_rng([len(shape), *shape])
    chosen = [np.sort(rng.permutation(size)[:c]) for size, c in zip(shape, counts, strict=True)]
    return np.ravel_multi_index(np.meshgrid(*chosen, indexing="ij"), shape).ravel()


def extremes_of(array: np.ndarray) -> list[int]:
    """Where the largest and the smallest finite entries are."""
    finite = np.isfinite(array).ravel()
    if not finite.any():
        return []
    flat = array.ravel()
    return [int(np.where(finite, flat, -np.inf).argmax()), int(np.where(finite, flat, np.inf).argmin())]


def mark(
    shelf: Shelf, places: Iterable[tuple[LayerTrace, Ids]], what: str, extreme: np.ndarray, few: int = FEW
) -> Marks:
    """The entries of `what` that can be worked out in each of these passes; all that they are made of is kept.

    `extreme` is an array of the same shape whose largest and smallest entry are to be among them.
    """
    places = [*places]
    asked = [operands(traced, what, np.zeros(1, np.int64)) for traced, _ in places]
    if not places or not few or not extreme.size or any(found is None for found in asked):
        return None
    there = all(ids[name] in shelf.whole for (_, ids), found in zip(places, asked, strict=True) for name in found or {})
    if there and extreme.size <= SMALL:
        return "all"
    at = np.unique([*coarse(extreme.shape, few), *extremes_of(extreme)]).astype(np.int64)
    for traced, ids in places:
        for name, entries in (operands(traced, what, at) or {}).items():
            shelf.need(ids[name], entries)
    return at


def as_json(marks: Marks) -> str | None:
    return indices(marks) if isinstance(marks, np.ndarray) else marks
