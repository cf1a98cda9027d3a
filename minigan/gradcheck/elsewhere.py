"""Whether gradients are right at other points than that of the check, along a random direction."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from minigan.gradcheck.numeric import STEP, Moves, Terms, along
from minigan.gradcheck.purity import attempt, copied_arrays, largest_of, same, strange_points
from minigan.gradcheck.subject import Subject

OFF = 1e-5  # of a slope along a direction: what a gradient is wrong by, if it is
FLOOR = 0.01  # of the largest gradient at the point of the check: the least size that a slope is judged by


def off_along(f: Terms, moves: Moves, grads: Sequence[np.ndarray], floor: float) -> bool | None:
    """Whether gradients are wrong along the direction of the moves; None if it cannot be told, as at a kink.

    `floor` is a slope that is small beside usual ones, and may be rounding.
    """
    length = sum(float((v * v).sum()) for _, _, v in moves) ** 0.5
    moves = [(array, where, v / length) for array, where, v in moves]
    analytic = sum(float((grad * v).sum()) for grad, (_, _, v) in zip(grads, moves, strict=True))
    found = along(f, f(), moves, STEP)
    size = OFF * max(abs(analytic), abs(found.value), floor)
    if found.bend > found.noise + size or not np.isfinite(found.bar):
        return None
    return not abs(analytic - found.value) <= size + found.bar


def stale(subject: Subject, dy: Any, grads: dict[str, np.ndarray], rng: np.random.Generator) -> list[str]:
    """Whether gradients stay what they were at the point of the check, and are wrong so at others."""
    with strange_points():
        verdicts = [attempt(partial(wrong_again, subject, dy, copied_arrays(p), grads, rng)) for p in subject.elsewhere]
    told = [verdict for verdict in verdicts if verdict is not None]
    if len(told) < 2 or not all(told):
        return []
    return [
        "the gradients are right at the first point, and the same ones again at others, where they are wrong: the "
        "cache of the first pass is kept, or its answer"
    ]


def wrong_again(
    subject: Subject, dy: Any, arrays: dict[str, np.ndarray], grads: dict[str, np.ndarray], rng: np.random.Generator
) -> bool | None:
    """Whether gradients that are those of the first point are wrong where the arrays are now."""
    got = copied_arrays(subject.backward(dy, subject.forward(**arrays)[1]))
    if not (names := [name for name in got if same(got[name], grads[name])]):
        return False
    moves = [(arrays[name], ..., rng.standard_normal(arrays[name].shape)) for name in names]
    kept = [grads[name] for name in names]
    return off_along(lambda: np.ravel(subject.forward(**arrays)[0] * dy), moves, kept, FLOOR * largest_of(*kept))
