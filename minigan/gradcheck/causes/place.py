"""Where the wrong entries lie: at kinks, at one place, in one slice or block, at an edge, on one side of a threshold.

What is said here is what can be seen, and so it is never wrong; a reason is added where it shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from minigan.gradcheck.case import CLOSE, Case

CHANCE = 1e-3  # a pattern is told if entries chosen at random would show it more rarely than that
MANY = 0.9  # of all the entries; a pattern of more is none


def at_kinks(case: Case) -> str:
    """Only entries at kinks are wrong, where any value between the slopes to either side would be right."""
    row = case.row
    wrong = row.wrong & row.kink
    if not wrong.any() or (row.wrong & ~row.kink).any():
        return ""
    at = tuple(int(i) for i in np.argwhere(wrong)[np.argmax(row.difference[wrong])])
    many = f"the {int(wrong.sum())} wrong entries lie" if wrong.sum() > 1 else "the wrong entry lies"
    return (
        f"right but at kinks: {many} where y has a corner, and outside of the slopes to either side (at "
        f"{place(case, at)}: {row.analytic[at]:.6g}, where anything from {row.low[at]:.6g} to {row.high[at]:.6g} would "
        "do): dy is given twice, or by a rule of its own, to what is equal, 0 or clipped"
    )


def alone(case: Case) -> str:
    """One entry is wrong, or two have each other's value."""
    wrong, a, n = case.row.wrong, case.row.analytic, case.row.numeric
    if wrong.size < 2 or not 0 < wrong.sum() < min(3, wrong.size):
        return ""
    at = [tuple(int(i) for i in index) for index in np.argwhere(wrong)]
    if len(at) == 1:
        i = at[0]
        return f"one entry alone is wrong, at {place(case, i)}: {a[i]:.7g} where {n[i]:.7g} is right{seen(case)}"
    i, k = at
    if case.like(swapped(n, i, k)) and abs(a[i] - a[k]) > CLOSE * case.row.scale and wrong.size > 2:
        return f"two entries alone are wrong: {place(case, i)} and {place(case, k)} have each other's value"
    return ""


def swapped(n: np.ndarray, i: tuple[int, ...], k: tuple[int, ...]) -> np.ndarray:
    n = n.copy()
    n[i], n[k] = n[k], n[i]
    return n


def place(case: Case, at: tuple[int, ...]) -> list[int]:
    """An entry's index in the array."""
    return list(at if case.row.places is None else case.row.places[at[0]])


def in_one_slice(case: Case) -> str:
    """All wrong entries have the same index along an axis."""
    wrong, a = case.row.wrong, case.row.analytic
    if case.row.places is not None:
        return ""
    for axis in range(wrong.ndim):
        at = np.unique(np.nonzero(wrong)[axis])
        if len(at) == 1 and wrong.shape[axis] > 1:
            edge = {0: ", the first", wrong.shape[axis] - 1: ", the last"}.get(int(at[0]), "")
            lost = edge == ", the last" and not a[wrong].any()
            early = ", and are zero there: a loop or a slice ends one too early" if lost else seen(case)
            return f"all wrong entries lie at index {at[0]} of axis {axis}{edge}{early}"
    return ""


def seen(case: Case) -> str:
    """What the wrong entries have in common as numbers."""
    wrong = case.row.wrong & ~case.row.kink
    a, n = case.row.analytic[wrong], case.row.numeric[wrong]
    room = CLOSE * case.row.scale + 10 * case.row.bar[wrong]
    if not a.any():
        return ", and are zero there" if len(a) > 1 else ""
    if (np.abs(n) <= room).all():
        return ", where they should be zero" if len(a) > 1 else ""
    c = float((a * n).sum() / (n * n).sum())
    if len(a) > 1 and np.ptp(n) > room.max() and (np.abs(a - c * n) <= room).all():
        return ", and have the wrong sign" if abs(c + 1) < CLOSE else f", and are {c:.6g} times what they should be"
    return ""


def pattern(case: Case) -> str:
    """What sets the wrong entries apart from the right ones, as a clause; "" if nothing does."""
    wrong = case.row.wrong
    if case.row.places is not None or wrong.sum() < 2 or wrong.sum() > MANY * wrong.size:
        return ""
    known = case.row.wrong | case.row.right  # what could not be decided fits any pattern
    for said, there in patterns(case):
        if not np.array_equal(there[known], wrong[known]):
            continue
        few = min(int((wrong & known).sum()), int((~wrong & known).sum()))
        if few >= 2 and wrong.size >= 4:
            return f"all of them lie {said}"
    return hull(case)


def patterns(case: Case) -> Iterator[tuple[str, np.ndarray]]:
    """(where, for each entry whether it is there), for sets that are made of indices or of signs."""
    shape = case.row.wrong.shape
    index = np.indices(shape)
    axes = [k for k in range(len(shape)) if shape[k] > 2]
    for some in [axes[1:-1], axes[:-1], axes[1:], axes[-2:], axes]:
        if len(some) > 1:
            edge = np.any([(index[k] == 0) | (index[k] == shape[k] - 1) for k in some], axis=0)
            yield f"at the edge, along axes {', '.join(map(str, some))}", edge
    if len(shape) >= 2:
        i, k = index[-2], index[-1]
        if shape[-1] == shape[-2]:
            yield "on the diagonal", i == k
            yield "off the diagonal", i != k
        yield "above the diagonal", i < k
        yield "below the diagonal", i > k
        yield "on the diagonal or above it", i <= k
        yield "on the diagonal or below it", i >= k
        for parity in (0, 1):
            yield "on every other field, as of a chessboard", (i + k) % 2 == parity
    for name, v in values(case):
        for said, there in ((f"where {name} < 0", v < 0), (f"where {name} > 0", v > 0)):
            yield said, there
        for said, z in ((name, v), (f"|{name}|", np.abs(v))):
            yield from thresholds(case, said, z)
    for name, v in values(case):
        yield from between(case, name, v)


def values(case: Case) -> Iterator[tuple[str, np.ndarray]]:
    """What has an entry for each entry of the array."""
    shape = case.array.shape
    yield case.row.name, case.array
    if case.y.shape == shape:
        yield "y", case.y
    if np.shape(case.dy) == shape:
        yield "dy", case.dy
    for name, v in case.subject.arrays.items():
        if v.shape == shape and name != case.row.name:
            yield name, v


def thresholds(case: Case, name: str, z: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Where z is above, or below, a value that parts the wrong entries from the right ones."""
    wrong, right = case.row.wrong, case.row.right
    if min(wrong.sum(), right.sum()) < 4:
        return
    for said, low, high in (("above", right, wrong), ("below", wrong, right)):
        if z[low].max() < z[high].min():
            t = (z[low].max() + z[high].min()) / 2
            yield f"where {name} is {said} {t:.3g} or so", (z > t) if said == "above" else (z < t)


def between(case: Case, name: str, z: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Where z is between two values that part the wrong entries from the right ones."""
    wrong, right = case.row.wrong, case.row.right
    below, above = z[right & (z < z[wrong].min())], z[right & (z > z[wrong].max())]
    if wrong.sum() >= 4 and min(below.size, above.size) >= 2:
        low, high = (below.max() + z[wrong].min()) / 2, (above.min() + z[wrong].max()) / 2
        yield f"where {name} is between {low:.3g} and {high:.3g} or so", (z > low) & (z < high)


def hull(case: Case) -> str:
    """The slices of each axis in which the wrong entries lie, if entries by chance would not all lie there."""
    wrong = case.row.wrong
    count, said, share = int(wrong.sum()), [], 1.0
    for axis, size in enumerate(wrong.shape):
        at = np.unique(np.nonzero(wrong)[axis])
        if len(at) < size and (here := listed(at)):
            share *= len(at) / size
            said.append(f"{here} of axis {axis}")
    full = math.isclose(share * wrong.size, count)  # a whole block, and nothing besides
    if not said or min(share**count, 1 / math.comb(wrong.size, count) if full else 1.0) > CHANCE:
        return ""
    return f"all of them lie at index {' and '.join(said)}"


def listed(at: np.ndarray) -> str:
    """Indices in few characters: "2", "0 to 3", "1 to 7, every 2nd", "0, 3, 4"; "" if that takes more."""
    steps = set(np.diff(at).tolist())
    if len(at) > 2 and len(steps) == 1:
        step = steps.pop()
        nth = {2: "2nd", 3: "3rd"}.get(step, f"{step}th")
        return f"{at[0]} to {at[-1]}" + (f", every {nth}" if step > 1 else "")
    return ", ".join(map(str, at)) if len(at) <= 3 else ""
