"""Which entries of an array can be worked out by hand in a document: all of a small one, of a large one a few.

Of a large one a grid of few coordinates on each axis, the same for all arrays of one shape, so that what they are made
of stays little; and the largest and the smallest entry.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from minigan.trace.operands import Entries, operands
from minigan.trace.record import LayerTrace
from minigan.trace.shelf import Shelf, indices

FEW, LEAST = 256, 4  # entries of a grid, at most, and the fewest that are worth it
Ids = dict[str, str]  # {x, y, dy, dx, or a parameter's or a cache's name: the array's id}
Marks = str | np.ndarray | None  # "all", flat indices, or none


@lru_cache(maxsize=1024)
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


class Marker:
    """Marks entries, and has a shelf keep what they are made of, within `most` entries of arrays that are not whole."""

    def __init__(self, shelf: Shelf):
        self.shelf, self.most = shelf, 0
        self.known: dict[tuple[int, str, int], Entries | None] = {}

    def mark(self, places: Sequence[tuple[LayerTrace, Ids]], what: str, extreme: np.ndarray) -> Marks:
        """The entries of `what` that can be worked out in each of these passes.

        `extreme` is an array of the same shape whose largest and smallest entry are to be among them.
        """
        one = [self.made_of(traced, what, extreme, 1) for traced, _ in places]
        if not self.most or not extreme.size or any(found is None for found in one):
            return None
        made_of = [ids[name] for (_, ids), found in zip(places, one, strict=True) for name in found or {}]
        if extreme.size <= self.shelf.small and self.shelf.whole.issuperset(made_of):
            return "all"
        few = FEW
        while few >= LEAST:
            needed = [(ids, self.made_of(traced, what, extreme, few) or {}) for traced, ids in places]
            cost = sum(len(at) for ids, found in needed for n, at in found.items() if ids[n] not in self.shelf.whole)
            if cost <= self.most:
                for ids, found in needed:
                    for name, entries in found.items():
                        self.shelf.need(ids[name], entries)
                return marked(extreme, few)
            few //= 2
        return None

    def made_of(self, traced: LayerTrace, what: str, extreme: np.ndarray, few: int) -> Entries | None:
        """What so many entries are made of, which is asked for again and again."""
        key = id(traced), what, few
        if key not in self.known:
            self.known[key] = operands(traced, what, marked(extreme, few) if few > 1 else np.zeros(1, np.int64))
        return self.known[key]


def marked(extreme: np.ndarray, few: int) -> np.ndarray:
    """The flat indices of a coarse grid, and of the largest and the smallest entry."""
    return np.unique([*coarse(extreme.shape, few), *extremes_of(extreme)]).astype(np.int64)


def as_json(marks: Marks) -> str | None:
    return indices(marks) if isinstance(marks, np.ndarray) else marks
