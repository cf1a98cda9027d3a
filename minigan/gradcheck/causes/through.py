"""y depends on x by way of a sum over some axes (a mean, a variance, a norm, softmax's), and backward does not know.

If y stays the same when all of x along an axis is raised by as much, Σ dx along it is 0; if it stays the same when x is
multiplied, Σ dx·x is. What goes through a mean is the same for all entries along the axis; what goes through a
variance is a multiple of x - mean.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from minigan.gradcheck.case import CLOSE, TELLING, Case
from minigan.gradcheck.causes.term import EXACT, room

ZERO = 1e-6  # a sum is zero if it is a smaller share of the sum of the sizes
NEARLY = 3e-3  # an epsilon beside the variance leaves a little more than zero


class Slices(NamedTuple):
    """What is summed over: axes of the array, or of the array with its last axis split into groups."""

    case: Case
    over: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        """In words."""
        own, all_but_last = self.case.array.shape, tuple(range(self.case.array.ndim - 1))
        if self.shape != own:
            return f"each of {self.shape[-2]} groups of the last axis"
        if self.case.is_input and self.over == (0,):
            return "the batch"
        if self.case.is_input and len(own) > 2 and self.over == all_but_last:
            return "the batch and the places"
        if self.over == (len(own) - 1,):
            return "the last axis" if len(own) > 1 else "all of it"
        return f"ax{'i' if len(self.over) == 1 else 'e'}s {', '.join(map(str, self.over))}"

    def of(self, what: str) -> str:
        """The mean over these axes."""
        return f"the batch's {what}" if self.name == "the batch" else f"the {what} over {self.name}"

    def rows(self, v: np.ndarray) -> np.ndarray:
        """(what is kept, what is summed over)."""
        size = int(np.prod([self.shape[k] for k in self.over]))
        return np.moveaxis(v.reshape(self.shape), self.over, range(-len(self.over), 0)).reshape(-1, size)

    def centred(self) -> np.ndarray:
        """x - mean, in rows."""
        x = self.rows(self.case.array)
        return x - x.mean(axis=1, keepdims=True)

    def share(self, g: np.ndarray, weight: np.ndarray | float) -> float:
        """How far Σ g·weight is from zero, as a share of Σ |g·weight|, at worst."""
        terms = self.rows(g) * weight
        size = float(np.abs(terms).sum(axis=1).max())
        return float(np.abs(terms.sum(axis=1)).max()) / size if size else 1.0


def slices(case: Case) -> Iterator[Slices]:
    """All sets of axes with at least three entries, the largest first; then groups."""
    shape = case.array.shape
    axes = [k for k in range(len(shape)) if shape[k] > 1]
    for size in range(len(axes), 0, -1):
        for over in itertools.combinations(axes, size):
            if np.prod([shape[k] for k in over]) >= 3:
                yield Slices(case, over, shape)
    for groups in range(2, shape[-1] // 2 + 1 if case.is_input and shape else 0):
        if shape[-1] % groups == 0 and case.array.size // len(case.array) // groups >= 3:
            split = (*shape[:-1], groups, shape[-1] // groups)
            yield Slices(case, (*range(1, len(shape) - 1), len(split) - 1), split)


def through(case: Case) -> str:
    """What goes through a mean, a variance, a norm or a softmax's sum is missing, or not as it should be."""
    if case.row.how != "entries" or not case.sure.all() or not case.array.ndim:
        return ""
    return standing_still(case) or missing_way(case)


def standing_still(case: Case) -> str:
    """dx is dy times one number for each slice, though y depends on x by way of the slice's statistics as well."""
    a, dy = case.row.analytic, case.dy
    if np.shape(dy) != a.shape or not np.all(dy):
        return ""
    for some in reversed(list(slices(case))):
        ratio = some.rows(a / dy)
        if np.ptp(ratio, axis=1).max() > CLOSE * np.abs(ratio).max():
            continue
        if lost := invariants(some):
            verb, they = ("are taken for constants", "them") if len(lost) > 1 else ("is taken for a constant", "it")
            return (
                f"{some.of(' and '.join(lost))} {verb}: dx is dy times one number all along, but y depends on x "
                f"by way of {they} too"
            )
    return ""


def invariants(some: Slices, zero: float = NEARLY) -> list[str]:
    """Which of mean, variance and norm the true gradient is orthogonal to and a is not."""
    a, n = some.case.row.analytic, some.case.row.numeric
    mean, lost = some.share(n, 1.0) < ZERO, []
    if mean and some.share(a, 1.0) > 3 * ZERO:
        lost.append("mean")
    for name, weight in ("variance", some.centred()), ("norm", some.rows(some.case.array)):
        if mean == (name == "variance") and some.share(n, weight) < zero and some.share(a, weight) > 3 * NEARLY:
            lost.append(name)
    return lost


def missing_way(case: Case) -> str:
    """a - n lies, along some axes, in the span of what goes through a mean or a variance there."""
    x, y, n, sums = case.array, case.y, case.row.numeric, zero_sums(case)
    for some in slices(case):
        ones, centred = np.ones_like(some.rows(x)), some.centred()
        mean = some.share(n, 1.0) < ZERO
        variance = mean and some.share(n, centred) < NEARLY
        norm = not mean and some.share(n, some.rows(x)) < NEARLY
        known = [([ones], "mean or sum", sums["mean"], mean)]
        known.append(([centred], "variance", sums["variance"], variance))
        known.append(([some.rows(x)], "norm (Σ x², or a mean of squares)", sums["norm"], norm))
        if y.shape == x.shape:
            known += [([some.rows(v)], "sum in softmax", sums["mean"], mean) for v in (y, np.exp(y))]
        known.append(([ones, centred], "mean and variance", f"{sums['mean']} and {sums['variance']}", variance))
        for basis, what, zero, holds in known:
            if holds and spans(some, basis):
                return (
                    f"what goes through {some.of(what)} is missing, or wrong: it differs from the right "
                    f"gradient by just that ({zero} over {some.name} should be zero)"
                )
    for some in slices(case):
        if some.shape == x.shape and spans(some, [np.ones_like(some.rows(x))]):
            return offset(some)
    return ""


def zero_sums(case: Case) -> dict[str, str]:
    """{what y depends on it by way of: the sum that is zero then}."""
    x = case.row.name.rsplit(".")[-1]
    return {"mean": f"Σ d{x}", "variance": f"Σ d{x}·({x} - mean)", "norm": f"Σ d{x}·{x}"}


def offset(some: Slices) -> str:
    """Off by the same all along some axes."""
    if some.name == "the batch":
        return "it is off by the same amount in every image: a mean over the batch is missing or too many"
    if len(some.over) == some.case.array.ndim:
        amount = some.case.off.ravel()[0]
        return f"it is off by the same amount everywhere, by {amount:.6g}: a constant, or a mean, is added or missing"
    return f"it is off by the same amount all along {some.name}: a sum or mean over it is missing or too many"


def spans(some: Slices, basis: list[np.ndarray]) -> bool:
    """Whether a - n is, slice by slice, a combination of the basis: and not only as few numbers always are."""
    off, left = some.rows(some.case.off), some.rows(room(some.case))
    if off.shape[1] < len(basis) + 2 and (len(off) < 2 or off.shape[1] < len(basis) + 1):
        return False
    if np.abs(off).max() <= 10 * some.case.row.bar.max():
        return False
    vectors = np.stack(basis, axis=-1)
    fitted = np.einsum("rlk,rk->rl", vectors, np.einsum("rkl,rl->rk", np.linalg.pinv(vectors), off))
    if not (np.abs(off - fitted) <= left).all():
        return False
    return bool((np.abs(fitted) > EXACT * np.abs(off).max()).sum() > len(basis) + 1)


def unbalanced(case: Case) -> str:
    """A clause: the true gradient sums to zero over some axes, and a does not."""
    if case.row.how != "entries" or not case.sure.all() or not case.array.ndim:
        return ""
    for some in reversed(list(slices(case))):
        zero = NEARLY if len(some.rows(case.array)) >= TELLING else ZERO  # one sum may be that small by chance
        if some.shape == case.array.shape and (lost := invariants(some, zero)):
            sums = " and ".join(zero_sums(case)[name] for name in lost)
            way = " and a ".join({"mean": "sum or mean"}.get(name, name) for name in lost)
            return f"{sums} over {some.name} should be zero and is not (y depends on it by way of a {way} there)"
    return ""
