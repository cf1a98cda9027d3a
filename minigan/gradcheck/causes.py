"""Known mistakes in a backward pass, each with the trace that it leaves in the numbers.

Letters: a the analytic gradient, n the numeric one, both with the shape of the array. A hypothesis says what a would be
if a certain mistake had been made in a right backward; it is the cause if a *is* that, entry by entry.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from minigan.gradcheck.case import CLOSE, Case
from minigan.gradcheck.numeric import gradient


def factor(case: Case) -> str:
    """a = c·n with one c for all entries: a sign, a mean, a hyper-parameter."""
    a, n = case.row.analytic[~case.row.kink], case.row.numeric[~case.row.kink]
    c = float((a * n).sum() / (n * n).sum())
    if not math.isfinite(c) or not case.like(c * case.row.numeric):
        return ""
    if abs(c + 1) < CLOSE:
        return "the sign is wrong: every entry is the negative of what it should be"
    meanings = [meaning for value, meaning in known_factors(case) if abs(abs(c) - value) <= NEAR * value]
    if meanings:
        sign = " (and the sign is wrong)" if c < 0 else ""
        return f"every entry is {c:.7g} times what it should be, {', or '.join(meanings)}{sign}"
    if case.array.size == 1:
        return ""  # a single number is always some multiple of another
    return f"a constant factor: every entry is {c:.7g} times what it should be"


#: How near a factor must come to one that has a meaning. (Dropout meets its rate to 2⁻¹⁷, and so 1 less that rate.)
NEAR = 2e-5


def known_factors(case: Case) -> list[tuple[float, str]]:
    """Factors that have a meaning: of a mean over the batch or over all entries, or made of a hyper-parameter."""
    N, size = len(case.y) if case.y.ndim else 0, max(case.y.size, case.array.size)
    means = {size: "the number of entries"}
    if case.subject.batched:
        means[N] = "the size of the batch (the first axis)"
    known = []
    for count, name in means.items():
        if count > 1:
            known.append((float(count), f"which is {name}, {count}: a mean is missing, or a sum is taken twice"))
            known.append(
                (1 / count, f"which is 1/{count}, with {count} {name}: a mean stands for a sum, or is taken twice")
            )
    for name, v in case.subject.constants.items():
        for text, inverse, value in ((f"(1 - {name})", f"1/(1 - {name})", 1 - v), (name, f"1/{name}", v)):
            if value > 0 and value != 1:
                known.append((value, f"which is {text} with {name} = {v:g}: divide by it, or leave it out"))
                known.append(
                    (1 / value, f"which is {inverse} with {name} = {v:g}: multiply by {text}, or leave it out")
                )
    return known


def upstream(case: Case) -> str:
    """a does not know dy: it is the gradient of Σ y, or the derivative itself."""
    if np.ndim(case.dy) == 0:
        return ""
    if case.like(case.numeric(np.ones_like(case.dy))):
        return "dy is missing: it is the gradient of Σ y, the local derivative without the chain rule's first factor"
    if case.row.analytic.dtype != case.grad.dtype == bool:
        return "it is a boolean mask, without dy and without the slope on the other side"
    return ""


def one_image(case: Case) -> str:
    """a is what a single image contributes, or the mean of what all do."""
    if not case.subject.batched or case.is_input or np.ndim(case.dy) == 0:
        return ""
    for i, name in ((0, "first"), (len(case.y) - 1, "last")):
        only = np.zeros_like(case.dy)
        only[i] = case.dy[i]
        if case.like(case.numeric(only)):
            return f"the sum over the batch is missing: only the {name} image is counted"
    return ""


def orientation(case: Case) -> str:
    """a is n with its axes in another order, or dy has been multiplied by W where Wᵀ belongs."""
    n = case.row.numeric
    lead = 1 if case.is_input and n.ndim > 2 else 0  # nobody exchanges the batch with one of several other axes
    for perm in itertools.permutations(range(lead, n.ndim)):
        order = (*range(lead), *perm)
        if order == tuple(range(n.ndim)):
            continue
        moved = n.transpose(order)
        unmoved = n.reshape(moved.shape).transpose(np.argsort(order))
        if case.like(moved.reshape(n.shape)) or case.like(unmoved):
            if n.ndim - lead == 2:
                return "it is transposed: right numbers, rows and columns swapped"
            return f"right numbers in the wrong order: axes {tuple(range(n.ndim))} were taken for {order}"
    if np.ndim(case.dy) >= 2:
        for name, W in case.subject.arrays.items():
            if W.ndim != 2 or W.shape[0] != W.shape[1]:
                continue
            if len(W) == case.dy.shape[-1] and case.like(case.dy @ W):
                return f"it is dy @ {name} where dy @ {name}.T belongs: the weight is not transposed"
            if len(W) == case.dy.shape[0] and case.dy.ndim == 2 and case.like(W @ case.dy):
                return f"it is {name} @ dy where {name}.T @ dy belongs: the weight is not transposed"
    for axis in range(lead, n.ndim):
        if case.like(np.flip(n, axis)):
            return f"right numbers in reverse order along axis {axis}"
    return ""


def shift(case: Case) -> str:
    """a is n, displaced along an axis: an index off by one, with the edge lost or wrapped round."""
    n = case.row.numeric
    for axis in range(n.ndim):
        for by in (1, -1, 2, -2):
            if n.shape[axis] <= abs(by) + 1:
                continue
            moved = np.roll(n, by, axis)
            edge = [slice(None)] * n.ndim
            edge[axis] = slice(0, by) if by > 0 else slice(by, None)
            cut = moved.copy()
            cut[tuple(edge)] = case.row.analytic[tuple(edge)]
            inner = case.row.wrong & ~np.isclose(moved, n)
            inner[tuple(edge)] = False
            if case.like(cut) and inner.any():
                return (
                    f"a shifted index: right numbers, {abs(by)} too far {'on' if by > 0 else 'back'} along axis {axis}"
                )
    return ""


def suspect(case: Case) -> str:
    """a is the gradient of what the subject has named as easily differentiated by mistake."""
    for sentence, f in case.subject.suspects.items():
        if case.like(gradient(f, case.array)):
            return sentence
    return ""


def mask(case: Case) -> str:
    """a is n, or a multiple of it, but for where n is zero."""
    a, n, wrong = case.row.analytic, case.row.numeric, case.row.wrong
    silent = np.abs(n) <= case.row.bar + CLOSE * case.row.scale
    if silent.all() or silent.sum() < 2 or wrong[silent].mean() <= 0.5:
        return ""
    ratio = a[~silent] / n[~silent]
    if np.ptp(ratio) > CLOSE * np.abs(ratio).max():
        return ""
    scale = "" if abs(ratio[0] - 1) < CLOSE else f", and so is a factor of {1 / ratio[0]:.5g}"
    return f"where it should be zero it is not: the mask (of dropout, a clip, a ReLU, an index) is missing{scale}"


def statistics(case: Case) -> str:
    """If y depends on x by way of the batch's mean, Σ dx over the batch is 0; of its variance, Σ dx·(x - mean)."""
    if not case.is_input or case.array.ndim < 2 or case.array.size < 4 * case.array.shape[-1]:
        return ""
    over = tuple(range(case.array.ndim - 1))
    x = case.array - case.array.mean(axis=over)

    def sums(g: np.ndarray, weight: Any) -> float:
        return float(np.abs((g * weight).sum(axis=over)).max() / np.abs(g * weight).sum(axis=over).max())

    a, n = case.row.analytic, case.row.numeric
    lost = [
        name
        for weight, name, zero in ((1.0, "mean", 1e-6), (x, "variance", 1e-2))
        if sums(n, weight) < zero and sums(a, weight) > 3 * zero
    ]
    if not lost:
        return ""
    if np.shape(case.dy) == a.shape and np.ptp(a / case.dy, axis=over).max() <= CLOSE * np.abs(a / case.dy).max():
        return (
            f"the batch's {' and '.join(lost)} are taken for constants: dx is dy times one number per feature, but y "
            "depends on x by way of them too"
        )
    return (
        f"Σ dx{'·(x - mean)' * ('mean' not in lost)} over the batch should be zero and is not: as if what goes through "
        f"the batch's {' and '.join(lost)} were missing, or summed over other axes"
    )


def axis_factor(case: Case) -> str:
    """a/n is the same along all axes but one: a vector has been left out, or taken twice."""
    a, n = case.row.analytic, case.row.numeric
    for axis in range(n.ndim):
        others = tuple(k for k in range(n.ndim) if k != axis)
        if n.size == n.shape[axis] or len(np.unique(np.nonzero(case.row.wrong)[axis])) < 2:
            continue  # nothing to compare with, or wrong in one place only, which is better said otherwise
        c = (a * n).sum(axis=others, keepdims=True) / (n * n).sum(axis=others, keepdims=True)
        if not np.isfinite(c).all() or not case.like(c * n):
            continue
        for name, v in case.subject.arrays.items():
            if v.size == c.size and v.ndim == 1:
                for text, vector in ((f"{name} is a factor too many", v), (f"the factor {name} is missing", 1 / v)):
                    ratio = c.ravel() / vector
                    if np.allclose(ratio, ratio[0], rtol=1e-5):
                        return f"{text}" + ("" if abs(ratio[0] - 1) < 1e-5 else f" (and a constant of {ratio[0]:.5g})")
        what = "image" if case.is_input and axis == 0 else "feature" if axis == n.ndim - 1 else f"index of axis {axis}"
        few = ", ".join(f"{v:.4g}" for v in c.ravel()[:4]) + (", …" if c.size > 4 else "")
        return f"each {what} has a factor of its own ({few}) that should be 1"
    return ""


def derivative(case: Case) -> str:
    """An elementwise function: each entry has its own dy, as it should, but times the wrong derivative."""
    a, n, dy = case.row.analytic, case.row.numeric, case.dy
    if np.shape(dy) != a.shape or not case.is_input:
        return ""
    weight = np.random.default_rng(1).uniform(0.5, 1.5, a.shape)
    again = case.subject.backward(dy * weight, case.subject.forward()[1])[case.row.name]
    if not (
        np.allclose(again, a * weight, rtol=1e-9)
        and np.allclose(case.numeric(dy * weight), n * weight, rtol=1e-4, atol=1e-6 * case.row.scale)
    ):
        return ""
    if cause := other_point(case):
        return cause
    wrong, x = case.row.wrong, case.array
    for name, side in (("x < 0", x < 0), ("x > 0", x > 0)):
        if side.any() and not side.all() and np.array_equal(wrong, side & ~case.row.kink):
            is_, should = (g[wrong][0] / dy[wrong][0] + 0.0 for g in (a, n))  # -0.0 + 0.0 is 0.0
            return f"the derivative is wrong where {name}, and only there: {is_:.4g}, for one, where it is {should:.4g}"
    return (
        "each entry is dy times a wrong derivative: taken at the wrong point (x for y, y for x), or another function's"
    )


def other_point(case: Case) -> str:
    """Whether a/dy is the derivative at y instead of x, or, for a formula in y, at the x for which y would be x."""
    x, h = case.array, 1e-5

    def f(point: np.ndarray) -> np.ndarray:
        return case.subject.forward(**{case.row.name: point})[0]

    def derivative_at(point: np.ndarray) -> np.ndarray:
        return (f(point + h) - f(point - h)) / (2 * h)

    a = case.row.analytic / case.dy
    if np.allclose(a, derivative_at(case.y), rtol=1e-4, atol=1e-6):
        return "the derivative is taken at the wrong point: at the output y, where the input x belongs"
    low, high = np.full_like(x, -20.0), np.full_like(x, 20.0)  # where would the output be x? bisect a rising function
    for _ in range(60):
        middle = (low + high) / 2
        below = f(middle) < x
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    reached = np.abs(f(low) - x) < 1e-9
    telling = (reached & case.row.wrong).sum() >= 3  # a linear function has the same derivative at every point
    if telling and np.allclose(a[reached], derivative_at(low)[reached], rtol=1e-3, atol=1e-5):
        return "the derivative is taken at the wrong point: a formula in the output y was given the input x"
    return ""


def across_features(case: Case) -> str:
    """If y depends on x by way of a sum or mean over the features, Σ dx over them is 0: softmax, layer norm."""
    a, n = case.row.analytic, case.row.numeric
    if n.ndim < 1 or n.shape[-1] < 3:
        return ""
    sums = [float(np.abs(g.sum(axis=-1)).max() / np.abs(g).sum(axis=-1).max()) for g in (a, n)]
    if sums[1] > 1e-6 or sums[0] < 1e-3:
        return ""
    return (
        "Σ dx over the last axis should be zero and is not: as if what goes through a sum or mean over it (of a "
        "softmax, of layer norm) were missing"
    )


#: In the order in which they are tried: the special before the general.
CAUSES = (
    *(factor, upstream, one_image, orientation, shift, suspect, mask),
    *(statistics, across_features, axis_factor, derivative),
)
