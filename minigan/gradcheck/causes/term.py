"""A term too many or too few: a - n is a multiple of something that one knows, or lies along an axis in a known way."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigan.gradcheck.case import TELLING, Case, different

EXACT = 1e-4  # how near a - n must come to a term, as a share of the largest difference
SIGNS = 10  # entries of either sign that speak for a term which is nothing but a sign


def room(case: Case) -> np.ndarray:
    """For each entry, how far a - n may be from what explains it."""
    return EXACT * np.abs(case.off).max() + np.where(case.sure, case.row.bar, np.inf)


def fits(case: Case, t: np.ndarray) -> float:
    """The c for which a - n = c·t, entry by entry; 0 if there is none, or too little that speaks for it."""
    if np.shape(t) != case.off.shape or not np.isfinite(t).all():
        return 0.0
    t = np.where(case.sure, t, 0.0)
    size = float((t * t).sum())
    c = float((case.off * t).sum() / size) if size else 0.0
    kinds = different(t, float(np.abs(t).max(initial=0.0)) or 1.0)
    telling = kinds >= TELLING or (kinds == 2 and np.count_nonzero(t) >= SIGNS)
    off = np.abs(case.off).max()
    return c if telling and off > 0 and (np.abs(case.off - c * t) <= room(case)).all() else 0.0


def added(case: Case) -> str:
    """a - n is a multiple of the array itself, of dy, or of another gradient."""
    for t, say in terms(case):
        if c := fits(case, t):
            return say(round(c, 6) + 0.0)
    return ""


def symmetric(case: Case) -> str:
    """a is n made symmetric, or one triangle of it."""
    for guess, said in symmetrised(case.row.numeric):
        if case.numbers >= TELLING and case.like(guess):
            return said
    return ""


def symmetrised(n: np.ndarray) -> Iterator[tuple[np.ndarray, str]]:
    """What becomes of n if the array is thought symmetric, or triangular."""
    if n.ndim < 2 or n.shape[-1] != n.shape[-2]:
        return
    T = n.swapaxes(-1, -2)
    diagonal = n * np.eye(n.shape[-1])
    yield (n + T) / 2, "it is made symmetric: (G + Gᵀ)/2 where G is right"
    yield n + T, "it is made symmetric: G + Gᵀ where G is right"
    yield n + T - diagonal, "it is made symmetric: G + Gᵀ, with the diagonal once, where G is right"
    yield (n - T) / 2, "it is made antisymmetric: (G - Gᵀ)/2 where G is right"
    yield n - T, "it is made antisymmetric: G - Gᵀ where G is right"
    yield np.tril(n), "only the lower triangle is there: what is above the diagonal is 0"
    yield np.triu(n), "only the upper triangle is there: what is below the diagonal is 0"
    yield np.tril(n) + np.tril(n, -1).swapaxes(-1, -2), "the lower triangle of G is mirrored into the upper one"
    yield np.triu(n) + np.triu(n, 1).swapaxes(-1, -2), "the upper triangle of G is mirrored into the lower one"
    yield np.tril(n + T), "it is the lower triangle of G + Gᵀ where G is right"
    yield np.triu(n + T), "it is the upper triangle of G + Gᵀ where G is right"


def terms(case: Case) -> Iterator[tuple[np.ndarray, Any]]:
    """(a term, the sentence for c times it too much)."""
    name, v, dy = case.row.name, case.array, case.dy
    decay = f"{name} itself is in it, {{:.5g}} times: weight decay, or a penalty that forward has not"
    yield v, decay.format if not case.is_input else f"off by {{:.5g}} times {name} itself".format
    yield np.sign(v), f"the sign of {name} is in it, {{:.5g}} times: an absolute value that forward has not".format
    if np.ndim(dy) and np.shape(dy) == v.shape:
        yield dy, lambda c: DY.get(c, f"off by {c:.5g} times dy: one of its terms is scaled or missing")
        yield dy * v, f"off by {{:.5g}} times dy·{name}: one of its terms is scaled or missing".format
        if case.y.shape == v.shape:
            yield dy * case.y, "off by {:.5g} times dy·y: one of its terms is scaled or missing".format
    for other, w in case.subject.arrays.items():
        if other != name and w.shape == v.shape:
            yield w, f"off by {{:.5g}} times {other}: one of its terms is scaled or missing".format
            if np.shape(dy) == v.shape or np.ndim(dy) == 0:
                yield dy * w, f"off by {{:.5g}} times dy·{other}: one of its terms is scaled or missing".format
    if case.y.shape == v.shape:
        yield case.y, "off by {:.5g} times y: one of its terms is scaled or missing".format
    for row in case.rows:
        if row.how == case.row.how == "entries" and row.name != name and row.shape == v.shape:
            yield row.numeric, f"off by {{:.5g}} times the gradient of {row.name}".format


#: a - n = c·dy.
DY = {
    -1.0: "dy itself is missing: the way past (of x in y = x + …) is left out",
    1.0: "dy itself is too many: as if y had a further x in it",
}


def levelled(case: Case) -> str:
    """a is the sum, or the mean, of n over some axes, and broadcast again."""
    n = case.row.numeric
    axes = [k for k in range(n.ndim) if n.shape[k] > 1]
    for some in itertools.chain.from_iterable(itertools.combinations(axes, k) for k in range(1, len(axes) + 1)):
        mean, size = n.mean(axis=some, keepdims=True), np.prod([n.shape[k] for k in some])
        for name, guess in (("mean", mean), ("sum", mean * size)):
            if case.like(np.broadcast_to(guess, n.shape)):
                over = f"ax{'i' if len(some) == 1 else 'e'}s {', '.join(map(str, some))}"
                return f"it is the {name} over {over} of what it should be, the same all along: that {name} is too many"
    return ""
