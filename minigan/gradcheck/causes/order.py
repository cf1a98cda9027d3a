"""Right numbers in the wrong places: transposed, reversed, shifted, halves exchanged, blocks in another order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from minigan.gradcheck.case import CLOSE, TELLING, Case, different


def transposed(case: Case) -> str:
    """a is n with its axes in another order."""
    n = case.row.numeric
    lead = 1 if case.is_input and n.ndim > 2 else 0  # nobody exchanges the batch with one of several other axes
    for perm in itertools.permutations(range(lead, n.ndim)):
        order = (*range(lead), *perm)
        if order == tuple(range(n.ndim)) or n.ndim > 6:
            continue
        moved = n.transpose(order)
        unmoved = n.reshape(moved.shape).transpose(np.argsort(order))
        if case.like(moved.reshape(n.shape)) or case.like(unmoved):
            if n.ndim - lead == 2:
                if n.shape[-1] == n.shape[-2]:
                    return "it is transposed: right numbers, rows and columns swapped"
                return "right numbers in the wrong order: a reshape where a transposition belongs"
            return f"right numbers in the wrong order: axes {tuple(range(n.ndim))} were taken for {order}"
    return ""


def permuted(case: Case) -> str:
    """Along an axis, a holds the slices of n in another order."""
    for axis in range(case.row.numeric.ndim):
        source = sources(case, axis)
        if source is None:
            continue
        size = len(source)
        moved = np.flatnonzero((source != np.arange(size)) & (source >= 0))
        if (source >= 0).all() and len(set(source.tolist())) == size:
            return order_of(source, moved, axis)
        if len(set(source.tolist())) == 1 and size > 2:
            return f"all along axis {axis} stands what belongs to index {source[0]} alone"
        if len(moved) > 1:
            few = ", ".join(f"{i} stands what belongs to {source[i]}" for i in moved[:3])
            return f"a wrong index along axis {axis}: at {few}" + (", …" if len(moved) > 3 else "")
    return ""


def sources(case: Case, axis: int) -> np.ndarray | None:
    """For each index along an axis, of which index of n the slice is that a has there; None if of none."""
    a, n, sure = (np.moveaxis(v, axis, 0) for v in (case.row.analytic, case.row.numeric, case.sure))
    size = len(a)
    if size < 2 or size * a.size > 1e7:
        return None
    a, n, sure = (v.reshape(size, -1) for v in (a, n, sure))
    room = CLOSE * max(np.abs(n[sure]).max(initial=0.0), np.abs(a[sure]).max(initial=0.0))
    same = (~sure[:, None] | ~sure[None] | (np.abs(a[:, None] - n[None]) <= room)).all(axis=2)
    if not same.any(axis=1).all() or not sure.any(axis=1).all():
        return None
    source = np.where(np.diag(same), np.arange(size), same.argmax(axis=1))
    clear = np.flatnonzero((same.sum(axis=1) == 1) & ~np.diag(same))  # slices of zeros may come from anywhere
    by = set(((clear - source[clear]) % size).tolist())
    if len(by) == 1:
        rolled = (np.arange(size) - by.pop()) % size
        source = np.where(same[np.arange(size), rolled], rolled, source)
    elif len(clear) < (~np.diag(same)).sum():
        source = np.where((same.sum(axis=1) == 1) | np.diag(same), source, -1)
    moved = source != np.arange(size)
    telling = different(n[source[moved & (source >= 0)]], case.row.scale) if moved.sum() > 1 else 0
    return source if telling >= min(TELLING, size) else None


def order_of(source: np.ndarray, moved: np.ndarray, axis: int) -> str:
    """The name of a permutation along an axis."""
    size, here = len(source), np.arange(len(source))
    along = f"along axis {axis}"
    if size == 2:
        return f"the two {'entries' if axis == 0 else 'halves'} {along} are exchanged"
    if np.array_equal(source, here[::-1]):
        return f"right numbers in reverse order {along}"
    if len(moved) == 2:
        return f"{moved[0]} and {moved[1]} {along} are exchanged, and only they"
    by = int((here - source)[0]) % size
    if np.array_equal(source, (here - by) % size):
        if 2 * by == size:
            return f"the two halves {along} are exchanged (of a concatenation, of gates, of a real and imaginary part)"
        by = by if by <= size // 2 else by - size
        return f"a shifted index: right numbers, {abs(by)} too far {'on' if by > 0 else 'back'} {along}"
    for g in range(2, size):
        if size % g:
            continue
        if np.array_equal(source, here.reshape(g, -1).T.ravel()):
            return (
                f"{along}, what belongs to ({size // g}, {g}) is taken for ({g}, {size // g}): groups and their members"
            )
    for g in range(2, size):
        blocks = source.reshape(g, -1) if size % g == 0 else np.zeros((0, 0), int)
        if len(blocks) and (np.diff(blocks, axis=1) == 1).all() and (blocks[:, 0] % (size // g) == 0).all():
            order = ", ".join(str(b) for b in blocks[:, 0] // (size // g))
            return f"the {g} blocks {along} are in the order {order} (gates, groups, heads)"
    few = ", ".join(map(str, source[:8])) + (", …" if size > 8 else "")
    return f"right numbers in another order {along}: {few}"


def turned(case: Case) -> str:
    """a is n, reversed along several axes at once."""
    n = case.row.numeric
    axes = [k for k in range(n.ndim) if n.shape[k] > 1]
    for some in itertools.chain.from_iterable(itertools.combinations(axes, k) for k in range(2, min(4, len(axes)) + 1)):
        if case.numbers >= TELLING and case.like(np.flip(n, some)):
            return (
                f"it is turned by 180°: reversed along axes {', '.join(map(str, some))} (a convolution turns its "
                "kernel, a correlation does not)"
            )
    return ""


def shifted(case: Case) -> str:
    """a is n, displaced along one axis or two: an index or a padding off by one, without the edge."""
    n = case.row.numeric
    for steps in displacements(n.shape):
        moved, edge = n, np.zeros(n.shape, bool)
        for axis, by in steps:
            moved = np.roll(moved, by, axis)
            for_edge = np.arange(n.shape[axis])
            lost = for_edge < by if by > 0 else for_edge >= n.shape[axis] + by
            edge |= lost.reshape([-1 if k == axis else 1 for k in range(n.ndim)])
        inner = case.row.wrong & ~edge & ~case.row.kink & (np.abs(moved - n) > 2 * CLOSE * case.row.scale)
        if different(moved[inner], case.row.scale) >= TELLING and case.like(np.where(edge, case.row.analytic, moved)):
            by = " and ".join(f"{abs(s)} too far {'on' if s > 0 else 'back'} along axis {k}" for k, s in steps)
            return f"a shifted index: right numbers, {by}" + (", as by another padding" if len(steps) > 1 else "")
    return ""


def displacements(shape: tuple[int, ...]) -> Iterator[tuple[tuple[int, int], ...]]:
    """Along one axis by one to three, or along two by as much."""
    single = [(k, by) for k in range(len(shape)) for by in (1, -1, 2, -2, 3, -3) if shape[k] > abs(by) + 1]
    yield from ((s,) for s in single)
    yield from ((s, t) for s, t in itertools.combinations(single, 2) if s[0] < t[0] and abs(s[1]) == abs(t[1]))


def mixed(case: Case) -> str:
    """The same numbers, all of them, in places that no simple order explains."""
    if not case.sure.all() or case.numbers < 2 * TELLING:
        return ""
    a, n = np.sort(case.row.analytic, axis=None), np.sort(case.row.numeric, axis=None)
    if (np.abs(a - n) > CLOSE * case.row.scale + 10 * case.row.bar.max()).any():
        return ""
    return "right numbers in the wrong places: each is there, and in another place (a reshape, an order of axes)"
