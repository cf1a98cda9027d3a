"""The arrays of a document, each once: whole while there is room, else the entries that somebody needs, and a map.

A map is a view of a large array: the mean of each of at most 64×64 blocks of it, taken as a matrix.
"""

from __future__ import annotations

import base64
import hashlib
import math
from typing import Any

import numpy as np

SMALL = 4096  # entries of an array that is always whole
SIDE = 64  # blocks of a map, at most, along a side
BINS = 24  # of a histogram
#: Which arrays give way first, the last ones.
FLOWING, VALUES, GRADS, SUMS = range(4)


class Shelf:
    """Arrays by id ("a0"), each content once; `rank` says how early one gives way where there is no room for all."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.ranks: dict[str, int] = {}
        self.ids: dict[tuple[tuple[int, ...], bytes], str] = {}
        self.whole: set[str] = set()
        self.coarseness = 1
        self.needed: dict[str, np.ndarray] = {}  # of an array that is not whole: which entries are kept

    @property
    def small(self) -> int:
        """The entries of an array that is always whole, at most."""
        return SMALL // self.coarseness**2

    @property
    def side(self) -> int:
        """The blocks of a map along a side, at most."""
        return max(1, SIDE // self.coarseness)

    def put(self, array: np.ndarray, rank: int = FLOWING) -> str:
        """The id of the array, or of one of the same bytes."""
        array = np.ascontiguousarray(array, "<f4").reshape(array.shape or (1,))
        key = array.shape, hashlib.sha256(array.tobytes()).digest()
        if key not in self.ids:
            self.ids[key] = f"a{len(self.ids)}"
            self.arrays[self.ids[key]] = array
        found = self.ids[key]
        self.ranks[found] = min(rank, self.ranks.get(found, rank))
        return found

    def choose(self, room: int) -> None:
        """Which arrays are to be whole: the small ones, and of the others as many as `room` bytes hold."""
        self.needed.clear()
        self.whole = {i for i, array in self.arrays.items() if array.size <= self.small}
        room -= sum(self.arrays[i].nbytes for i in self.whole)
        for i in sorted(self.arrays, key=lambda i: (self.ranks[i], self.arrays[i].size)):
            if i not in self.whole and self.arrays[i].nbytes <= room:
                self.whole.add(i)
                room -= self.arrays[i].nbytes

    def need(self, i: str, entries: np.ndarray) -> None:
        """Keep these entries, by flat index, of an array that is not whole."""
        if i not in self.whole:
            self.needed.setdefault(i, np.zeros(self.arrays[i].size, bool))[entries] = True

    def finish(self) -> int:
        """The bytes that all takes, once it is known what is needed; an array that is needed by half is whole."""
        counts = {i: int(np.count_nonzero(kept)) for i, kept in self.needed.items()}
        for i in [i for i, count in counts.items() if 2 * count >= self.arrays[i].size]:
            self.whole.add(i)
            del self.needed[i], counts[i]
        parts = 8 * sum(counts.values())
        maps = sum(4 * math.prod(map_shape(a, self.side)) for i, a in self.arrays.items() if i not in self.whole)
        return parts + maps + sum(self.arrays[i].nbytes for i in self.whole)

    def document(self) -> dict[str, Any]:
        """All arrays as JSON."""
        return {i: self.described(i) for i in self.arrays}

    def described(self, i: str) -> dict[str, Any]:
        array, whole = self.arrays[i], i in self.whole
        entries = np.flatnonzero(self.needed[i]) if i in self.needed else None
        part = None if entries is None else {"at": indices(entries), "data": coded(array.ravel()[entries], "<f4")}
        blocks = None if whole else map_of(array, self.side)
        return {
            "shape": [*array.shape],
            "dtype": "float32",
            "data": coded(array, "<f4") if whole else None,
            "part": part,
            "map": None if blocks is None else {"shape": [*blocks.shape], "data": coded(blocks, "<f4")},
            "stats": stats(array),
        }


def coded(array: np.ndarray, dtype: str) -> str:
    """The bytes of an array in C order, in base64."""
    return base64.b64encode(np.ascontiguousarray(array, dtype).tobytes()).decode("ascii")


def indices(entries: np.ndarray) -> str:
    """Flat indices, in base64."""
    return coded(entries, "<u4")


def map_of(array: np.ndarray, side: int = SIDE) -> np.ndarray:
    """The means of the blocks: entry (r, c) of the array as a matrix R×C lies in block (⌊r·h/R⌋, ⌊c·w/C⌋)."""
    matrix = array.reshape(-1, array.shape[-1]).astype(np.float64)
    for axis, blocks in enumerate(map_shape(array, side)):
        size = matrix.shape[axis]
        starts = -(-np.arange(blocks) * size // blocks)  # rounded up
        counts = np.diff(starts, append=size)
        matrix = np.add.reduceat(matrix, starts, axis=axis) / (counts[:, None] if axis == 0 else counts)
    return matrix.astype("<f4")


def map_shape(array: np.ndarray, side: int) -> tuple[int, int]:
    """(h, w) of its map."""
    columns = array.shape[-1]
    return min(array.size // columns, side), min(columns, side)


def stats(array: np.ndarray) -> dict[str, Any] | None:
    """What an array's finite entries are like; None if it has none."""
    numbers = array[np.isfinite(array)].astype(np.float64)
    if not numbers.size:
        return None
    low, high = float(numbers.min()), float(numbers.max())
    counts, _ = np.histogram(numbers, BINS, (low, high) if high > low else (low - 0.5, high + 0.5))
    return {
        "min": eight_digits(low),
        "max": eight_digits(high),
        "mean": eight_digits(numbers.mean()),
        "std": eight_digits(numbers.std()),
        "zeros": eight_digits((numbers == 0).mean()),
        "bad": int(array.size - numbers.size),
        "hist": {"lo": eight_digits(low), "hi": eight_digits(high), "counts": counts.tolist()},
    }


def eight_digits(x: Any) -> float:
    """To eight digits, which a float32 has."""
    return float(f"{float(x):.8g}")
