"""Ties: where several entries meet at a kink, none of them alone has a derivative, and all of them together may have.

The maximum of a and b bends where they are equal, in a as in b. Moved together they have a derivative, dy, and what a
backward gives to a and to b must add up to it, however it is shared: all to the first, half to each. If each gets the
whole, each is still between its one-sided slopes, and only the sum is wrong. A ReLU at 0 bends whatever moves, and
nothing can be said of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from minigan.gradcheck.numeric import Moves, Slope, Terms, along, first_steps, walk
from minigan.gradcheck.report import DECIDED, TOLERANCE, Row
from minigan.gradcheck.steps import believed, kinked

GROUPS = 400  # of tied entries, tried at most
PAIRS = 100  # of entries of a group, tried at most
OPEN = 20  # kinks that are looked at closely before one is called wrong, at most
NEARBY = 0.01  # of a step: how far away a tie is broken at random, to see what it is made of
VARIES = 0.02  # of the largest slope: what slopes near a tie may vary by where they are one


class Point(NamedTuple):
    """Where a check takes place: f, its terms there, the arrays, and their analytic gradients."""

    f: Terms
    here: np.ndarray
    arrays: dict[str, np.ndarray]
    grads: dict[str, np.ndarray]


class Corner(NamedTuple):
    """An entry at a kink: its row, where it is there, where it is in its array, its value, and by how much f bends."""

    row: Row
    k: int
    flat: int
    θ: float
    jump: float
    terms: frozenset[int]  # of f: those that bend

    @property
    def a(self) -> float:
        return float(self.row.analytic.flat[self.k])


#: A direction: how much of each entry moves, for each array.
Direction = dict[str, tuple[np.ndarray, np.ndarray]]


def settle_ties(point: Point, rows: list[Row], rng: np.random.Generator) -> None:
    """Mark the entries at kinks that are right at a tie, or wrong; and take back what is wrong only by convention."""
    Ties(point, rows, rng).settle()


def changes_jointly(point: Point, rng: np.random.Generator) -> bool:
    """Whether f changes at all if everything moves a step: of a product, no zero factor alone changes anything."""
    moves = [(a, ..., first_steps(a) * rng.standard_normal(a.shape)) for a in point.arrays.values()]
    try:
        return any(bool((y != point.here).any()) for y in walk(point.f, moves, (1.0, -1.0)))
    except Exception:  # a step further f may not be defined
        return False


class Ties:
    """What is known of the kinks of a check."""

    def __init__(self, point: Point, rows: list[Row], rng: np.random.Generator):
        self.point, self.rows, self.rng = point, rows, rng
        self.scale = max((row.scale for row in rows if row.kink.any()), default=1.0)
        self.h = min((float(first_steps(point.arrays[r.name]).min()) for r in rows if r.kink.any()), default=1.0)

    def settle(self) -> None:
        """Every kink, first by itself, then with those that it may be tied with."""
        if not any((row.kink & np.isfinite(row.analytic)).any() for row in self.rows):
            return
        corners = list(self.corners())
        for corner in [c for c in corners if c.row.wrong.flat[c.k]][:OPEN]:
            self.widen(corner)
        groups = [g for g in grouped(corners) if len(g) > 1 or g[0].row.how == "random entries"]
        for group in [groups[i] for i in self.rng.permutation(len(groups))[:GROUPS]]:
            self.try_group(group)

    def corners(self) -> Iterator[Corner]:
        """The entries at kinks."""
        here = self.point.here
        for row in self.rows:
            array = self.point.arrays[row.name]
            if row.how == "directions":
                continue
            for k in np.flatnonzero(row.kink & np.isfinite(row.analytic)):
                index = np.unravel_index(k, row.shape) if row.places is None else row.places[k]
                flat = int(np.ravel_multi_index(index, row.shape)) if row.shape else 0
                moves = self.moves({row.name: (np.array([flat]), np.ones(1))})
                above, below = walk(self.point.f, moves, (self.h, -self.h))
                bends = (above + below - 2 * here) / self.h
                size = float(np.abs(bends).max())
                terms = frozenset(np.flatnonzero(np.abs(bends) > 1e-3 * size).tolist())
                θ = float(array[tuple(index)])
                yield Corner(row, int(k), flat, θ, abs(float(bends.sum())), terms)

    def widen(self, corner: Corner) -> None:
        """Allow at a kink what any choice at any of the kinks that it is made of would give."""
        row, k = corner.row, corner.k
        low, high = self.bounds({row.name: (np.array([corner.flat]), np.ones(1))})
        row.low.flat[k], row.high.flat[k] = min(row.low.flat[k], low), max(row.high.flat[k], high)

    # Groups of entries -----------------------------------------------------------------------------------------------

    def try_group(self, group: list[Corner]) -> None:
        """Entries that bend the same terms: find ways to move them together along which f has a derivative."""
        for chosen in self.alike(group):
            if not all(c.row.tied.flat[c.k] for c in chosen):
                self.try_direction(chosen, self.together(chosen, signed=False))
            if not all(c.row.tied.flat[c.k] for c in chosen) and any(c.θ < 0 for c in chosen):
                self.try_direction(chosen, self.together(chosen, signed=True))
        left = [c for c in group if not (c.row.tied.flat[c.k] or c.row.wrong.flat[c.k])]
        for other in left[1 : PAIRS + 1]:
            pair = [left[0], other]
            for sign in (1.0, -1.0):
                ratio = sign * left[0].jump / other.jump if other.jump else 0.0
                if ratio and not other.row.tied.flat[other.k]:
                    self.try_direction(pair, direction([(left[0], 1.0), (other, ratio)]))
        left = [c for c in left if not (c.row.tied.flat[c.k] or c.row.wrong.flat[c.k])]
        if len(left) > 1:  # the most telling of all directions: all of what the entries get adds up
            self.try_direction(left, direction([(c, float(np.sign(c.a)) or 1.0) for c in left]))

    def alike(self, group: list[Corner]) -> Iterator[list[Corner]]:
        """The group, then those of its entries whose size is the same, size by size."""
        sizes: dict[float, list[Corner]] = {}
        for corner in group:
            sizes.setdefault(abs(corner.θ), []).append(corner)
        yield group
        if len(sizes) > 1:
            yield from [some for some in sizes.values() if len(some) > 1 or some[0].row.how != "entries"][:PAIRS]

    def together(self, group: list[Corner], *, signed: bool) -> Direction:
        """Equal entries move equally, or with their signs; others by another amount, so that no errors cancel.

        Of an array of which only some entries were checked, all that are equal to them move.
        """
        sizes = dict.fromkeys(abs(c.θ) for c in group)
        weight = {size: self.rng.uniform(0.5, 1.5) if len(sizes) > 1 else 1.0 for size in sizes}
        pairs = [(c, weight[abs(c.θ)] * (np.sign(c.θ) if signed else 1.0)) for c in group]
        found = direction([(c, w) for c, w in pairs if c.row.how == "entries"])
        for row in {id(c.row): c.row for c in group if c.row.how != "entries"}.values():
            flat = self.point.arrays[row.name].ravel()
            w = np.zeros(flat.size)
            for size in {abs(c.θ) for c in group if c.row is row}:
                w[np.abs(flat) == size] = weight[size]
            w = w * np.sign(flat) if signed else w
            found[row.name] = np.flatnonzero(w), w[w != 0]
        return {name: move for name, move in found.items() if move[0].size}

    def try_direction(self, group: list[Corner], v: Direction) -> None:
        """Hold the gradient along v against f's: where f has a derivative, against that, and else against its bounds."""
        if not v:
            return
        a = sum(float((self.point.grads[n].ravel()[i] * w).sum()) for n, (i, w) in v.items())
        size = sum(float(np.abs(w).sum()) for _, w in v.values())
        scale = self.scale * max(1.0, size**0.5)
        moves = self.moves(v)

        def at(h: float) -> Slope:
            return along(self.point.f, self.point.here, moves, h)

        try:
            s = at(self.h)
            if kinked(s.bend, s.noise, scale) or abs(a - s.value) > TOLERANCE * scale + s.bar or s.bar > DECIDED * scale:
                s = believed(at, s, a, scale)
            smooth = not kinked(s.bend, s.noise, scale) and s.bar <= DECIDED * scale
            if smooth and abs(a - s.value) <= TOLERANCE * scale + s.bar:
                largest = max(c.jump for c in group)
                if largest > 0 and np.subtract(*self.bounds(v, quick=True)[::-1]) <= VARIES * largest:
                    for c in group:
                        c.row.tied.flat[c.k] = True
                return
            low, high = (s.value, s.value) if smooth else (s.low, s.high)
            if low - DECIDED * scale <= a <= high + DECIDED * scale:
                return
            low, high = self.bounds(v)
        except Exception:  # a move of several entries may leave where f is defined
            return
        room = DECIDED * scale + 0.1 * (high - low)
        if (missed := max(low - a, a - high)) > room:
            for c in group:
                c.row.miss.flat[c.k], c.row.tied.flat[c.k] = missed, False
            self.explain(group, a, low, high)

    def explain(self, group: list[Corner], a: float, low: float, high: float) -> None:
        """Say of each array what is wrong with its ties, unless more is wrong with it."""
        should = f"{(low + high) / 2:+.6g}" if high - low <= VARIES * abs(a) else f"{low:+.4g} to {high:+.4g}"
        names = ", ".join(dict.fromkeys(c.row.name for c in group))
        for row in {id(c.row): c.row for c in group}.values():
            at_ties = row.miss > 0
            if row.cause or (row.wrong & ~at_ties).any():
                continue
            row.cause = (
                f"a tie is counted more than once, or not at all: {len(group)} entries of {names} are at a kink together, "
                f"and moved together f changes by {should} a unit, where their gradients add up to {a:+.6g}; give a tie's "
                "gradient to one of the entries, or share it between them"
            )

    # What f does along a direction -------------------------------------------------------------------------------------

    def moves(self, v: Direction) -> list:
        """A direction as `along` takes it."""
        arrays = self.point.arrays
        return [
            (arrays[n], np.unravel_index(i, arrays[n].shape), w) if arrays[n].ndim else (arrays[n], ..., w[0])
            for n, (i, w) in v.items()
        ]

    def bounds(self, v: Direction, *, quick: bool = False) -> tuple[float, float]:
        """Between which numbers the gradient along v must be, whichever side was chosen at each kink.

        f has kinks of its own making at the point, any number of them. At points nearby, where each is at another place
        of the line along v, its slope changes at one after the other, by d: a backward pass may take each change or
        not, so that it is at least the first slope and all negative d, at most the first slope and all positive ones.
        """
        low, high = np.inf, -np.inf
        near = np.array([0.5, 1.5, 3.0]) * NEARBY if quick else np.geomspace(1e-3, 1.0, 18)
        ts = np.concatenate([-near[::-1], near]) * self.h
        for _ in range(1 if quick else 2):
            aside = [
                (a, ..., NEARBY * first_steps(a) * self.rng.standard_normal(a.shape)) for a in self.point.arrays.values()
            ]
            ys = self.walk_aside(aside, self.moves(v), ts)
            slopes = np.diff(ys, axis=0).sum(axis=1) / np.diff(ts)
            changes = np.diff(slopes)
            low = min(low, slopes[0] + changes[changes < 0].sum())
            high = max(high, slopes[0] + changes[changes > 0].sum())
        return (float(low), float(high)) if np.isfinite(low) and np.isfinite(high) else (-np.inf, np.inf)

    def walk_aside(self, aside: Moves, moves: Moves, ts: np.ndarray) -> np.ndarray:
        """f's terms along a line that passes near the point, not through it."""
        found: list[np.ndarray] = []

        def beside() -> np.ndarray:
            found.extend(walk(self.point.f, moves, ts.tolist()))
            return found[-1]

        walk(beside, aside, (1.0,))
        return np.array(found)


def direction(pairs: list[tuple[Corner, float]]) -> Direction:
    """Corners, each with how much it moves, as a direction."""
    found: dict[str, list[tuple[int, float]]] = {}
    for corner, weight in pairs:
        if weight:
            found.setdefault(corner.row.name, []).append((corner.flat, weight))
    return {n: (np.array([i for i, _ in moved]), np.array([w for _, w in moved])) for n, moved in found.items()}


def grouped(corners: list[Corner]) -> list[list[Corner]]:
    """The corners, those together that bend a term of f in common, directly or by way of others."""
    parents = list(range(len(corners)))

    def root(i: int) -> int:
        while parents[i] != i:
            parents[i] = i = parents[parents[i]]
        return i

    owner: dict[int, int] = {}
    for i, corner in enumerate(corners):
        for term in corner.terms:
            parents[root(i)] = root(owner.setdefault(term, i))
    groups: dict[int, list[Corner]] = {}
    for i, corner in enumerate(corners):
        groups.setdefault(root(i), []).append(corner)
    return list(groups.values())
