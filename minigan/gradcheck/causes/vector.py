"""A factor for each index of an axis: a vector, a norm or a standard deviation has been left out, or taken twice."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from minigan.gradcheck.case import CLOSE, TELLING, Case, different

ABOUT = 1e-3  # how near a factor must come to a norm or a deviation, beside which there may be an epsilon


def axis_factor(case: Case) -> str:
    """a/n is the same along all axes but some."""
    a, n, ndim = case.row.analytic, case.row.numeric, case.row.numeric.ndim
    if case.row.how != "entries":
        return ""
    axes = [k for k in range(ndim) if n.shape[k] > 1]
    for kept in itertools.chain.from_iterable(itertools.combinations(axes, k) for k in range(1, len(axes))):
        others = tuple(k for k in range(ndim) if k not in kept)
        live = np.where(case.sure, np.abs(n) > 10 * CLOSE * case.row.scale, False)
        if live.sum(axis=others).min() < 2 or different(n, case.row.scale) < TELLING:
            continue  # a single entry is always some multiple of another
        n_ = np.where(case.sure, n, 0.0)
        c = (a * n_).sum(axis=others, keepdims=True) / (n_ * n_).sum(axis=others, keepdims=True)
        if not np.isfinite(c).all() or different(c, 1.0) < 2 or not case.like(c * n):
            continue
        return known_factors(case, c, kept, others) or unknown_factors(case, c, kept)
    return ""


def unknown_factors(case: Case, c: np.ndarray, kept: tuple[int, ...]) -> str:
    """The factors, if nothing is known of them."""
    ndim, few = case.row.numeric.ndim, ", ".join(f"{v:.4g}" for v in c.ravel()[:4]) + (", …" if c.size > 4 else "")
    what = f"index of axes {', '.join(map(str, kept))}"
    if len(kept) == 1:
        what = "feature" if kept[0] == ndim - 1 else f"index of axis {kept[0]}"
        what = "image" if case.is_input and kept[0] == 0 else what
    return f"each {what} has a factor of its own ({few}) that should be 1"


def known_factors(case: Case, c: np.ndarray, kept: tuple[int, ...], others: tuple[int, ...]) -> str:
    """Which vector the factors are, but for a constant."""
    for name, v in case.subject.arrays.items():
        if v.size != c.size or v.ndim != 1:
            continue
        for text, vector in ((f"{name} is a factor too many", v), (f"the factor {name} is missing", 1 / v)):
            ratio = c.ravel() / vector
            if np.allclose(ratio, ratio[0], rtol=1e-5) and different(vector, float(np.abs(vector).max())) > 1:
                return f"{text}" + ("" if abs(ratio[0] - 1) < 1e-5 else f" (and a constant of {ratio[0]:.5g})")
    if c.size < TELLING:
        return ""
    over = f"ax{'i' if len(others) == 1 else 'e'}s {', '.join(map(str, others))}"
    for name, v in measures(case, others):
        for text, vector in ((f"is {name}", v), (f"is 1/({name})", 1 / v)):
            if np.isfinite(vector).all() and np.allclose(c.ravel() / vector.ravel(), 1, rtol=ABOUT):
                todo = "the division by it is missing" if vector is v else "it is divided by once too often"
                return f"{unknown_factors(case, c, kept)}: it {text} over {over}, and {todo}"
    return ""


def measures(case: Case, others: tuple[int, ...]) -> Iterator[tuple[str, np.ndarray]]:
    """What one divides by."""
    for name, v in ((case.row.name, case.array), *((("y", case.y),) if case.y.shape == case.array.shape else ())):
        variance = v.var(axis=others, keepdims=True)
        squares = (v * v).sum(axis=others, keepdims=True)
        size = v.size / squares.size
        yield f"the standard deviation of {name}", np.sqrt(variance)
        yield f"the variance of {name}", variance
        yield f"the norm of {name}", np.sqrt(squares)
        yield f"the square of the norm of {name}", squares
        yield f"the root mean square of {name}", np.sqrt(squares / size)
        yield f"the mean square of {name}", squares / size
        yield f"the sum of {name}", v.sum(axis=others, keepdims=True)
        yield f"the sum of |{name}|", np.abs(v).sum(axis=others, keepdims=True)
        yield f"the sum of e^{name}", np.exp(v).sum(axis=others, keepdims=True)
