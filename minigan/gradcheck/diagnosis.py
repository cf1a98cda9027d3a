"""Why is this gradient wrong? The first known mistake that explains the numbers, or what the wrong entries share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from minigan.gradcheck.case import TELLING, Case
from minigan.gradcheck.causes import ALONG_DIRECTIONS, CERTAIN, FACTS, HYPOTHESES, TRAITS
from minigan.gradcheck.causes.place import pattern, seen
from minigan.gradcheck.causes.through import unbalanced


def diagnose(case: Case) -> str:
    """The first cause that explains the numbers, as a sentence; where none does, which entries are wrong."""
    if np.shape(case.grad) != case.row.shape:
        return wrong_shape(case)
    if not np.isfinite(case.row.analytic).all():
        return "it holds NaN or infinity (x/0, log 0, ∞ - ∞ or an overflow in the backward)"
    if not case.row.analytic.any():
        return "it is zero everywhere: it is never written, or what flows back is cut off or cancels"
    if case.row.how == "directions":
        unknown = "not known along directions; to learn which entries are wrong, raise elementwise"
        return first(ALONG_DIRECTIONS, case) or unknown
    if cause := first(FACTS, case):
        return cause
    certain = case.numbers >= TELLING
    for hypothesis in HYPOTHESES:
        if cause := first([hypothesis], case):
            return cause if certain or hypothesis in CERTAIN else f"{possibly(case)}{cause}"
    return first(TRAITS, case) or where(case)


def first(explanations: Sequence[Callable[[Case], str]], case: Case) -> str:
    """The first sentence that is not empty."""
    with np.errstate(all="ignore"):
        for explain in explanations:
            try:
                cause = explain(case)
            except Exception:  # noqa: S112 (a hypothesis may try points that the user's code does not allow)
                continue
            if cause:
                return cause
    return ""


def possibly(case: Case) -> str:
    """What goes before a hypothesis for which few numbers speak: two of them show this or that order by chance."""
    return f"as far as {'two numbers' if case.numbers == 2 else 'one number'} can tell: "


def wrong_shape(case: Case) -> str:
    """The gradient has another shape than the array."""
    grad, shape, n = case.grad, case.row.shape, case.row.numeric

    def close(a: np.ndarray) -> bool:
        return a.shape == shape and np.allclose(a, n, rtol=1e-6, atol=1e-6 * case.row.scale)

    seen = f"it has shape {grad.shape} where {case.row.name} has {shape}"
    if grad.size == n.size and close(grad.reshape(shape)):
        return f"{seen}: the numbers are right; leave out keepdims, or reshape it"
    if close(grad.T):
        return f"{seen}: it is right but transposed"
    for axes in [tuple(range(k)) for k in range(1, grad.ndim + 1)]:
        if close(grad.sum(axis=axes)):
            return f"{seen}: the sum over the batch is missing (axis {', '.join(map(str, axes))})"
    fits = grad.ndim == len(shape) and all(g in (1, s) for g, s in zip(grad.shape, shape, strict=True))
    if case.row.how == "entries" and fits:
        axes = tuple(k for k in range(len(shape)) if grad.shape[k] != shape[k])
        for name, reduced in (("sum", n.sum(axis=axes, keepdims=True)), ("mean", n.mean(axis=axes, keepdims=True))):
            if np.allclose(grad, reduced, rtol=1e-6, atol=1e-6 * case.row.scale):
                return (
                    f"{seen}: it is the {name} over axis {axes[0]}, which should not be taken; added to an array of "
                    f"shape {shape} it would be broadcast without an error"
                )
        return f"{seen}, and would be broadcast to it without an error: every entry along axis {axes[0]} gets the same"
    return f"{seen}: a sum over the batch that is missing or too many, or another reshape than the forward's"


def where(case: Case) -> str:
    """No known cause: what the wrong entries have in common."""
    wrong, a, n = case.row.wrong & ~case.row.kink, case.row.analytic, case.row.numeric
    if wrong.size == 1:
        return f"not known: it is {a[wrong].item():.7g} where {n[wrong].item():.7g} is right"
    cosine = float((a * n).sum() / math.sqrt((a * a).sum() * (n * n).sum() or 1.0))
    found, lost = pattern(case), unbalanced(case)
    return (
        f"not known; {int(wrong.sum())} of {wrong.size} entries are wrong{seen(case)}"
        f"{f' ({found})' if found else ''}, and the angle to the true gradient has the cosine {cosine:.3f} "
        f"{likely(cosine)}{f'; {lost}' if lost else ''}"
    )


def likely(cosine: float) -> str:
    """What the angle between the two gradients tells."""
    if cosine > 0.98:
        return "(near 1: a small term is missing or too many)"
    if cosine < -0.98:
        return "(near -1: a sign is wrong, and a small term besides)"
    return "(far from 1: another formula)"
