"""What a kink is made of: the bounds within which a gradient is right, whichever side was taken at each bend.

At a point where several kinks meet (a ReLU layer of which many units are exactly 0) one entry's slopes to either side
tell little: bends of both signs cancel in them. Next to the point the kinks lie apart, and can be told one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from minigan.gradcheck.numeric import Moves, Terms, first_steps, walk
from minigan.gradcheck.report import DECIDED, Row

NEARBY = 2e-3  # of a step: how far away the kinks are set apart at random
PASSES = 10  # lines that pass nearby, and
PLACES = 64  # points on each, between which f's slopes are taken
QUICK = 12  # of them for a first look
HIDDEN = 0.5  # of what the slope varies by: as much may have been missed, or be due to kinks within kinks
VARIES = 0.02  # of the largest slope: what slopes near a kink may vary by where they are one
LARGER = 10.0  # a step at which the same kinks must be found, and less rounding
EXCUSED = 20  # wrong entries that all proved to be at kinks: then the others that show a kink need no closer look
STILL_WRONG = 4  # entries that closer looks did not excuse: then the others of the array need none

#: A direction: of each array the entries that move, by their place in C order, and how much each moves.
Direction = dict[str, tuple[np.ndarray, np.ndarray]]


class Origin(NamedTuple):
    """The point of a check, from which steps are taken: f, its terms there, the arrays, their analytic gradients."""

    f: Terms
    here: np.ndarray
    arrays: dict[str, np.ndarray]
    grads: dict[str, np.ndarray]
    unit: float  # the size of dy

    def moves(self, v: Direction) -> list[tuple[np.ndarray, Any, Any]]:
        """A direction as `along` takes it."""
        arrays = self.arrays
        return [
            (arrays[n], np.unravel_index(i, arrays[n].shape), w) if arrays[n].ndim else (arrays[n], ..., w.item())
            for n, (i, w) in v.items()
        ]

    def step(self, v: Direction) -> float:
        """A step along v that is not too large for any entry that moves."""
        return min(float(first_steps(self.arrays[n]).ravel()[i].min()) for n, (i, _) in v.items())

    def analytic(self, v: Direction) -> float:
        """The derivative along v by the analytic gradients."""
        return sum(float((self.grads[n].ravel()[i] * w).sum()) for n, (i, w) in v.items())


class Corner(NamedTuple):
    """An entry at a kink: its row, which of the row's it is, its place in the array, its value, how much f bends."""

    row: Row
    k: int
    flat: int
    θ: float
    jump: float
    terms: frozenset[int]  # of f: those that bend; -1 if none does while only this entry moves

    @property
    def a(self) -> float:
        return float(self.row.analytic.flat[self.k])

    @property
    def open(self) -> bool:
        """Whether it is neither wrong nor right so far."""
        return not (self.row.tied.flat[self.k] or self.row.wrong.flat[self.k])


def entry(row: Row, k: int) -> Direction:
    """The direction that moves the k-th entry of a row."""
    flat = k if row.places is None else int(np.ravel_multi_index(row.places[k], row.shape))
    return {row.name: (np.array([flat]), np.ones(1))}


def corners(origin: Origin, rows: list[Row]) -> Iterator[Corner]:
    """The entries at kinks."""
    for row in rows:
        if row.how == "directions":
            continue
        for k in np.flatnonzero(row.kink & np.isfinite(row.analytic)):
            v = entry(row, int(k))
            flat, h = v[row.name][0].item(), origin.step(v)
            above, below = walk(origin.f, origin.moves(v), (h, -h))
            bends = (above + below - 2 * origin.here) / h
            least = max(1e-3 * float(np.abs(bends).max()), DECIDED * row.scale)
            terms = frozenset(np.flatnonzero(np.abs(bends) > least).tolist() or [-1])
            yield Corner(
                row, int(k), flat, float(origin.arrays[row.name].ravel()[flat]), abs(float(bends.sum())), terms
            )


def forgive(origin: Origin, row: Row, rng: np.random.Generator) -> None:
    """Allow a wrong entry what any choice at any of the kinks that meet at the point would give.

    One entry alone may show less than that: several kinks of both signs, or, of a median of equal numbers, none.
    """
    if row.how == "directions":
        return
    left = 0
    for count, k in enumerate(rng.permutation(np.flatnonzero(row.wrong & np.isfinite(row.analytic)))):
        if left == STILL_WRONG:
            return
        if count == EXCUSED and not left:
            unsure = row.wrong & row.kink
            row.low[unsure], row.high[unsure] = -np.inf, np.inf
        if not row.wrong.flat[k]:
            continue
        left += 1
        a, v, kink = float(row.analytic.flat[k]), entry(row, int(k)), bool(row.kink.flat[k])
        try:
            if not kink and not hides_kinks(origin, v, max(abs(a), abs(float(row.numeric.flat[k]))), rng):
                continue
            low, high = bounds(origin, v, rng)
        except Exception:  # noqa: S112 (nearby the function may not be defined; then nothing excuses the entry)
            continue
        bends_more = not kink or high - low > (1 + VARIES) * float(row.high.flat[k] - row.low.flat[k])
        hidden = HIDDEN * (high - low) if bends_more else 0.0
        room = hidden + DECIDED * row.scale
        if low - room <= a <= high + room:
            left -= 1
            row.kink.flat[k], row.low.flat[k], row.high.flat[k] = True, min(low, a), max(high, a)


def hides_kinks(origin: Origin, v: Direction, size: float, rng: np.random.Generator) -> bool:
    """Whether f bends near the point and not at it: as much at a larger step, where rounding would be less.

    Where f jumps, as what is made of a gradient does, it has another slope on the other side. That is no choice of the
    backward's: the point is on one side.
    """
    low, high = bounds(origin, v, rng, places=QUICK)
    if not VARIES * size < high - low < np.inf:
        return False
    low_again, high_again = bounds(origin, v, rng, LARGER, places=QUICK)
    return 0.3 < (high_again - low_again) / (high - low) < 3 and not jumps(origin, rng)


def jumps(origin: Origin, rng: np.random.Generator) -> bool:
    """Whether f changes nearby by as much as ten times as far away: a bend changes it by a tenth."""
    changes = np.zeros(2)
    for _ in range(PASSES):
        aside = [(a, ..., NEARBY * first_steps(a) * rng.standard_normal(a.shape)) for a in origin.arrays.values()]
        found = [np.linalg.norm(y - origin.here) for y in walk(origin.f, aside, (1.0, -1.0, LARGER, -LARGER))]
        changes = np.maximum(changes, np.reshape(found, (2, 2)).max(axis=1))
    return bool(changes[1] < LARGER / 3 * changes[0])


def bounds(
    origin: Origin,
    v: Direction,
    rng: np.random.Generator,
    steps: float = 1.0,
    *,
    places: int = PLACES,
    passes: int = PASSES,
) -> tuple[float, float]:
    """Between which numbers the gradient along v must be, whichever side was taken at each kink.

    At points nearby, where each kink is at another place of the line along v, the slope changes at one after the other,
    by d: a backward pass may take each change or not, so that it is at least the first slope and all negative d, at
    most the first slope and all positive ones; of each term of f by itself, since two terms that bend at the same place
    need not take the same side.
    """
    h = steps * origin.step(v)
    ts = NEARBY / np.tan(np.pi * np.arange(1, places) / places)  # where kinks lie: ratios of random numbers
    ts = h * np.sort(np.concatenate([ts, [] if places == QUICK else [-1.0, -0.3, 0.3, 1.0]]))
    found = []
    for _ in range(passes):
        aside = [
            (a, ..., steps * NEARBY * first_steps(a) * rng.standard_normal(a.shape)) for a in origin.arrays.values()
        ]
        terms = walk_aside(origin.f, aside, origin.moves(v), ts)
        with np.errstate(all="ignore"):  # where f is infinite
            slopes = np.diff(terms, axis=0) / np.diff(ts)[:, np.newaxis]
            changes = np.diff(slopes, axis=0)
            found.append([float((slopes[0] + sign(changes, 0).sum(axis=0)).sum()) for sign in (np.minimum, np.maximum)])
    low, high = np.min(found, axis=0)[0], np.max(found, axis=0)[1]
    return (float(low), float(high)) if np.isfinite(low) and np.isfinite(high) else (-np.inf, np.inf)


def walk_aside(f: Terms, aside: Moves, moves: Moves, ts: np.ndarray) -> np.ndarray:
    """f's terms along a line that passes near the point, not through it."""
    found: list[np.ndarray] = []

    def beside() -> np.ndarray:
        found.extend(walk(f, moves, ts.tolist()))
        return ts  # which nobody reads

    walk(beside, aside, (1.0,))
    return np.array(found)
