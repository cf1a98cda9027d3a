"""y = f(x) entry by entry: a wrong derivative, at the wrong point, on one side of a threshold, or without a mask."""

from __future__ import annotations

import numpy as np

from minigan.gradcheck.case import CLOSE, TELLING, Case, different
from minigan.gradcheck.causes.place import MANY, pattern


def mask(case: Case) -> str:
    """a is n, or a multiple of it, but for where n is zero."""
    a, n, wrong = case.row.analytic, case.row.numeric, case.row.wrong & ~case.row.kink
    silent = case.sure & (np.abs(n) <= case.row.bar + CLOSE * case.row.scale)
    heard = case.sure & ~silent
    if heard.sum() < TELLING or silent.sum() < 2 or wrong[silent].mean() <= 0.5:
        return ""
    ratio = a[heard] / n[heard]
    if not ratio.all() or np.ptp(ratio) > CLOSE * np.abs(ratio).max() or different(n[heard], case.row.scale) < TELLING:
        return ""
    scale = "" if abs(ratio[0] - 1) < CLOSE else f", and so is a factor of {1 / ratio[0]:.5g}"
    return f"where it should be zero it is not: the mask (of dropout, a clip, a ReLU, an index) is missing{scale}"


def derivative(case: Case) -> str:
    """An elementwise function: each entry has its own dy, as it should, but times the wrong derivative."""
    a, n, dy = case.row.analytic, case.row.numeric, case.dy
    if np.shape(dy) != a.shape or case.array.size < TELLING or not own_dy(case):
        return ""
    if cause := side(case):
        return cause
    if cause := inverse_point(case):
        return cause
    wrong, live = case.row.wrong & ~case.row.kink, case.sure & ((np.abs(n) > CLOSE * case.row.scale) | (a != 0))
    if wrong.sum() < max(TELLING, MANY * live.sum()):
        return ""  # then where it is wrong says more
    return (
        "each entry is dy times a wrong derivative: taken at the wrong point (x for y, y for x), or another function's"
    )


def own_dy(case: Case) -> bool:
    """Whether each entry of a, and of n, is proportional to the dy of its own place."""
    weight = np.random.default_rng(1).uniform(0.5, 1.5, case.row.shape)
    again = case.subject.backward(case.dy * weight, case.subject.forward()[1])[case.row.name]
    if not np.allclose(again, case.row.analytic * weight, rtol=1e-9, atol=1e-12 * case.row.scale):
        return False
    n, sure = case.row.numeric * weight, case.sure
    return np.allclose(case.numeric(case.dy * weight)[sure], n[sure], rtol=1e-4, atol=1e-6 * case.row.scale)


def side(case: Case) -> str:
    """The derivative is wrong for x of one sign only."""
    wrong, x = case.row.wrong & ~case.row.kink, case.array
    known = ~case.row.kink & (case.row.wrong | case.row.right)
    for name, there in (("x < 0", x < 0), ("x > 0", x > 0)):
        if (there & known).sum() > 1 and (~there & known).any() and np.array_equal(wrong[known], there[known]):
            is_, should = (g[wrong][0] / case.dy[wrong][0] + 0.0 for g in (case.row.analytic, case.row.numeric))
            return f"the derivative is wrong where {name}, and only there: {is_:.4g}, for one, where it is {should:.4g}"
    if 2 * wrong.sum() < known.sum() and (found := pattern(case)) and "where" in found:
        return f"the derivative is wrong in {int(wrong.sum())} of {wrong.size} entries; {found}"
    return ""


def inverse_point(case: Case) -> str:
    """Whether a/dy is, for a formula in y, the derivative at the x for which y would be x."""
    x, h = case.array, 1e-5

    def f(point: np.ndarray) -> np.ndarray:
        with case.replaced(case.row.name, point):
            return np.array(case.subject.forward()[0])

    low, high = np.full_like(x, -20.0), np.full_like(x, 20.0)  # where would the output be x? bisect a rising function
    for _ in range(60):
        middle = (low + high) / 2
        below = f(middle) < x
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    there = (f(low + h) - f(low - h)) / (2 * h)
    reached = (np.abs(f(low) - x) < 1e-9) & ~case.row.kink
    a = case.row.analytic / case.dy
    telling = different(a[reached & case.row.wrong], 1.0) >= TELLING  # a linear function has one derivative everywhere
    if telling and np.allclose(a[reached], there[reached], rtol=1e-3, atol=1e-5):
        return "the derivative is taken at the wrong point: a formula in the output y was given the input x"
    return ""
