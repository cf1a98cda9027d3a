"""Ties: where several entries meet at a kink, none of them alone has a derivative, and all of them together may have.

The maximum of a and b bends where they are equal, in a as in b. Moved together they have a derivative, dy, and what a
backward gives to a and to b must add up to it, however it is shared: all to the first, half to each. If each gets the
whole, each is still between its one-sided slopes, and only the sum is wrong. A ReLU at 0 bends whatever moves, and
nothing can be said of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from minigan.gradcheck.kinks import HIDDEN, QUICK, VARIES, Corner, Direction, Origin, bounds, corners, forgive
from minigan.gradcheck.numeric import Slope, along, first_steps, typical, walk
from minigan.gradcheck.report import DECIDED, TOLERANCE, Row
from minigan.gradcheck.steps import believed, kinked

GROUPS = 100  # of tied entries, tried at most: if all of them are right, so are the others
SIZES = 100  # of the entries of a group, tried at most
PAIRS = 100  # of entries of a group, tried at most
FEW = 3  # lines past a tie that must find one slope, before it counts as proven


def settle_ties(origin: Origin, rows: list[Row], rng: np.random.Generator) -> None:
    """Mark the entries at kinks that are right at a tie, or wrong; and take back what is wrong only by convention."""
    for row in rows:
        forgive(origin, row, rng)
    groups = [g for g in grouped(list(corners(origin, rows))) if len(g) > 1 or g[0].row.how == "random entries"]
    order = [groups[i] for i in rng.permutation(len(groups))]
    for group in order[:GROUPS]:
        try_group(origin, group, rng)
    if not any(c.open or c.row.miss.flat[c.k] for group in order[:GROUPS] for c in group):
        for c in itertools.chain.from_iterable(order[GROUPS:]):
            c.row.tied.flat[c.k] = True


def changes_jointly(origin: Origin, rng: np.random.Generator) -> bool:
    """Whether f changes if everything moves: no zero factor of a product does so alone, and jumps are far apart."""
    for sizes in (first_steps, typical):
        moves = [(a, ..., sizes(a) * rng.standard_normal(a.shape)) for a in origin.arrays.values()]
        if any(bool((y != origin.here).any()) for y in walk(origin.f, moves, (1.0, -1.0, 3.0, -3.0))):
            return True
    return False


def grouped(found: list[Corner]) -> list[list[Corner]]:
    """The corners, those together that bend a term of f in common, directly or by way of others."""
    parents = list(range(len(found)))

    def root(i: int) -> int:
        while parents[i] != i:
            parents[i] = i = parents[parents[i]]
        return i

    owner: dict[int, int] = {}
    for i, corner in enumerate(found):
        for term in corner.terms:
            parents[root(i)] = root(owner.setdefault(term, i))
    groups: dict[int, list[Corner]] = {}
    for i, corner in enumerate(found):
        groups.setdefault(root(i), []).append(corner)
    return list(groups.values())


def try_group(origin: Origin, group: list[Corner], rng: np.random.Generator) -> None:
    """Find ways to move entries that bend the same terms, together, along which f has a derivative."""
    for some in alike(group):
        for signed in (False, True):
            if any(c.open for c in some) and (not signed or any(c.θ < 0 for c in some)):
                try_direction(origin, some, together(origin, some, rng, signed=signed), rng)
    left = [c for c in group if c.open]
    for other in left[1 : PAIRS + 1]:  # where two straight lines meet, a pair can be moved so that they still do
        for sign in (1.0, -1.0):
            if other.open and other.jump:
                ratio = sign * left[0].jump / other.jump
                try_direction(origin, [left[0], other], as_direction([(left[0], 1.0), (other, ratio)]), rng)
    left = [c for c in left if c.open]
    if len(left) > 1:  # the most telling of all directions: all of what the entries get adds up
        try_direction(origin, left, as_direction([(c, float(np.sign(c.a)) or 1.0) for c in left]), rng)


def alike(group: list[Corner]) -> Iterator[list[Corner]]:
    """The group, then those of its entries whose size is the same, size by size."""
    sizes: dict[float, list[Corner]] = {}
    for corner in group:
        sizes.setdefault(abs(corner.θ), []).append(corner)
    yield group
    if len(sizes) > 1:
        yield from [some for some in sizes.values() if len(some) > 1 or some[0].row.how != "entries"][:SIZES]


def together(origin: Origin, group: list[Corner], rng: np.random.Generator, *, signed: bool) -> Direction:
    """Equal entries move equally, or with their signs; others by another amount, so that no errors cancel.

    Of an array of which only some entries were checked, all that are equal to them move.
    """
    sizes = dict.fromkeys(abs(c.θ) for c in group)
    weight = {size: rng.uniform(0.5, 1.5) if len(sizes) > 1 else 1.0 for size in sizes}
    pairs = [(c, weight[abs(c.θ)] * (float(np.sign(c.θ)) if signed else 1.0)) for c in group]
    found = as_direction([(c, w) for c, w in pairs if c.row.how == "entries"])
    for name in dict.fromkeys(c.row.name for c in group if c.row.how != "entries"):
        flat = origin.arrays[name].ravel()
        w = np.zeros(flat.size)
        for size in {abs(c.θ) for c in group if c.row.name == name}:
            w[np.abs(flat) == size] = weight[size]
        w = w * np.sign(flat) if signed else w
        if w.any():
            found[name] = np.flatnonzero(w), w[w != 0]
    return found


def as_direction(pairs: list[tuple[Corner, float]]) -> Direction:
    """Corners, each with how much it moves, as a direction."""
    found: dict[str, list[tuple[int, float]]] = {}
    for corner, weight in pairs:
        if weight:
            found.setdefault(corner.row.name, []).append((corner.flat, weight))
    return {n: (np.array([i for i, _ in moved]), np.array([w for _, w in moved])) for n, moved in found.items()}


def try_direction(origin: Origin, group: list[Corner], v: Direction, rng: np.random.Generator) -> None:
    """Hold the gradient along v against f's derivative, or, where there is none, against its bounds."""
    if not v:
        return
    a, moves = origin.analytic(v), origin.moves(v)
    scale = max(c.row.scale for c in group) * max(1.0, sum(float(np.abs(w).sum()) for _, w in v.values()) ** 0.5)

    def at(h: float) -> Slope:
        return along(origin.f, origin.here, moves, h)

    def right(s: Slope) -> bool:
        decided = s.bar <= DECIDED * scale and not kinked(s.bend, s.noise, scale)
        return bool(decided and abs(a - s.value) <= TOLERANCE * scale + s.bar)

    try:
        s = at(origin.step(v))
        s = s if right(s) else believed(at, s, a, scale)
        if right(s):
            low, high = bounds(origin, v, rng, places=QUICK, passes=FEW)
            if high - low <= VARIES * max(max(c.jump, abs(c.a)) for c in group):  # else kinks cancel by chance
                for c in group:
                    c.row.tied.flat[c.k] = True
            return
        if kinked(s.bend, s.noise, scale) and s.low - DECIDED * scale <= a <= s.high + DECIDED * scale:
            return
        low, high = bounds(origin, v, rng)
    except Exception:  # a move of several entries may leave where f is defined
        return
    if (missed := max(low - a, a - high)) > DECIDED * scale + HIDDEN * (high - low):
        for c in group:
            c.row.miss.flat[c.k], c.row.tied.flat[c.k] = missed, False
        explain(group, sum(len(places) for places, _ in v.values()), a, low, high)


def explain(group: list[Corner], count: int, a: float, low: float, high: float) -> None:
    """Say of each array what is wrong with its ties, unless more is wrong with it."""
    middle = (low + high) / 2 if abs(low + high) > 1e-9 * abs(a) else 0.0
    should = f"{middle:+.6g}" if high - low <= VARIES * abs(a) else f"between {low:+.4g} and {high:+.4g}"
    names = ", ".join(dict.fromkeys(c.row.name for c in group))
    for row in {id(c.row): c.row for c in group}.values():
        if not row.cause and not (row.wrong & (row.miss == 0)).any():
            row.cause = (
                f"a tie is counted more than once, or not at all: {count} entries of {names} are at a kink "
                f"together, and their gradients add up to {a:+.6g}, where moving them together changes f by {should} "
                "a unit; give a tie's gradient to one of the entries, or share it between them"
            )
