"""The right formula at another point: with an array that is turned, left out, or taken for another."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigan.gradcheck.case import Case
from minigan.gradcheck.numeric import gradient

TURNS = "a convolution turns its kernel, a correlation does not"
POINTS = 200  # are tried at most, of two passes each
MANY = 6  # arrays, from which on only the array itself and its neighbours are tried


def suspect(case: Case) -> str:
    """a is the gradient of what the subject has named as easily differentiated by mistake."""
    for sentence, f in case.subject.suspects.items():
        if case.row.how == "entries" and case.like(gradient(f, case.array)):
            return sentence
    return ""


def exchanged(case: Case) -> str:
    """a is the true gradient of another array of the same shape."""
    for row in case.rows:
        if row.name == case.row.name or row.shape != case.row.shape:
            continue
        if row.how == case.row.how == "entries" and case.numbers > 1 and case.like(row.numeric):
            mutual = np.allclose(row.analytic, case.row.numeric, rtol=1e-6, atol=1e-6 * case.row.scale)
            return (
                f"it is the gradient of {row.name}{': the two are exchanged' if mutual else ''}"
                f"{'' if mutual else f', which has the same shape as {case.row.name}'}"
            )
    return ""


def elsewhere(case: Case) -> str:
    """a is the gradient at a point where one of the arrays holds other values."""
    if not case.directions:  # found here, at the true point
        return ""
    for said, name, value in itertools.islice(points(case), POINTS):
        array = case.subject.arrays[name]
        if np.shape(value) != array.shape or not np.isfinite(value).all() or np.array_equal(value, array):
            continue
        with case.replaced(name, value):
            fits = case.agrees()
        if fits:
            return said
    return ""


def points(case: Case) -> Iterator[tuple[str, str, Any]]:
    """(the sentence, an array's name, other values of it)."""
    arrays = case.subject.arrays
    names = list(arrays) if len(arrays) <= MANY else adjacent(case)
    for name in names:
        v = arrays[name]
        if v.ndim >= 2 and v.shape[-1] == v.shape[-2]:
            yield f"{name} is not transposed where {name}.T belongs, or the other way round", name, v.swapaxes(-1, -2)
        if v.ndim == 4 and v.shape[0] == v.shape[1] and name not in case.subject.batched:
            yield f"{name} is taken with its first two axes swapped", name, v.swapaxes(0, 1)
    for name in names:
        v = arrays[name]
        if name == case.row.name and case.y.shape == v.shape:
            yield "the derivative is taken at the wrong point: at the output y, where the input x belongs", name, case.y
        for other in names:
            if other != name and arrays[other].shape == v.shape:
                yield f"{other} stands where {name} belongs", name, arrays[other]
        yield f"{name} is left out of the derivative: as if it were 0", name, np.zeros_like(v)
        yield f"{name} is left out of the derivative: as if it were 1", name, np.ones_like(v)
        yield f"the sign of {name} is wrong in the derivative", name, -v
        yield f"{name}² stands where {name} belongs", name, v * v
        yield f"|{name}| stands where {name} belongs", name, np.abs(v)
        with np.errstate(all="ignore"):
            yield (
                f"1/{name} stands where {name} belongs",
                name,
                1 / v,
            )
    for name in names:
        yield from shortened(name, arrays[name])
    for name in names:
        yield from other_orders(name, arrays[name], kernel=name not in case.subject.batched)


def shortened(name: str, v: np.ndarray) -> Iterator[tuple[str, str, Any]]:
    """An array without its first index along an axis, or without its last."""
    for axis in range(v.ndim):
        for i, which in ((-1, "last"), (0, "first")):
            if v.shape[axis] > 1:
                cut = np.moveaxis(v.copy(), axis, 0)
                cut[i] = 0
                said = f"the {which} index of {name}'s axis {axis} is left out: a loop or a slice is one too short"
                yield said, name, np.moveaxis(cut, 0, axis)


def adjacent(case: Case) -> list[str]:
    """The array itself and the two before and after it."""
    names = list(case.subject.arrays)
    at = names.index(case.row.name)
    return names[max(0, at - 2) : at + 3]


def other_orders(name: str, v: np.ndarray, *, kernel: bool) -> Iterator[tuple[str, str, Any]]:
    """An array in another order along its axes."""
    axes = [k for k in range(v.ndim) if v.shape[k] > 1]
    if kernel:
        for some in itertools.combinations(axes[:4], 2):
            along = ", ".join(map(str, some))
            said = f"{name} is turned by 180° along axes {along}: {TURNS}"
            yield said, name, np.flip(v, some)
    for k in axes:
        if v.shape[k] == 2:
            yield f"the two halves of {name} along axis {k} are exchanged", name, np.flip(v, k)
            continue
        yield f"{name} is taken in reverse order along axis {k}", name, np.flip(v, k)
        for by in (1, -1):
            said = f"{name} is taken from an index {'too low' if by > 0 else 'too high'} by one, along axis {k}"
            yield said, name, np.roll(v, by, k)
            cut = np.roll(v, by, k)
            cut[tuple((0 if by > 0 else v.shape[k] - 1) if j == k else slice(None) for j in range(v.ndim))] = 0
            yield said, name, cut
        if v.shape[k] % 2 == 0:
            yield f"the two halves of {name} along axis {k} are exchanged", name, np.roll(v, v.shape[k] // 2, k)
