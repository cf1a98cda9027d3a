"""An entry of the array goes to several places in y, and its gradient is the sum of what comes back from them all."""

from __future__ import annotations

import numpy as np

from minigan.gradcheck.case import CLOSE, TELLING, Case, different, moved
from minigan.gradcheck.causes.upstream import itself

SEVERAL = (
    "of what comes back to an entry from several places of y (repeated indices, windows that overlap, later steps)"
)
SMALL = 400  # entries, of each of which four passes are taken
FIRST = 3  # wrong entries, before more of them are looked at
LOOK_AT = 40  # wrong entries at most, spread over all


def written(case: Case) -> str:
    """Only the last, or the first, of several contributions is there: `=` where `+=` belongs, or no `np.add.at`."""
    wrong = case.row.wrong & case.sure
    if itself(case):
        return ""  # which says more
    if case.row.how != "entries" or np.ndim(case.dy) == 0 or wrong.sum() < 2:
        return ""
    at = np.argwhere(wrong)
    at = at[:: max(1, len(at) // LOOK_AT)][:LOOK_AT]
    if different(case.row.analytic[wrong], case.row.scale) < min(TELLING, case.array.size):
        return ""
    return explained(case, at) if explained(case, at[:FIRST]) else ""


def explained(case: Case, at: np.ndarray) -> str:
    """What becomes of the contributions to all of these entries."""
    a = np.array([case.row.analytic[tuple(i)] for i in at])
    each = np.array([contributions(case, tuple(i)) for i in at])  # (entries, *y.shape)
    for summed in (None, *(range(1, each.ndim) if each.ndim > 2 else ())):
        parts = (each if summed is None else each.sum(axis=summed)).reshape(len(a), -1)
        present = np.abs(parts) > CLOSE * np.abs(parts).max()
        count = present.sum(axis=1)
        if count.min() < 2 or not rest_is_single(case, summed):
            continue
        for name, guess in candidates(parts, present, count):
            if (np.abs(a - guess) <= CLOSE * max(case.row.scale, np.abs(guess).max())).all():
                return name
    return ""


def diagonal(case: Case) -> str:
    """Each entry of a knows of its own y only, where it has a part in others: the Jacobian's diagonal times dy."""
    if (
        case.row.how != "entries"
        or case.y.shape != case.array.shape
        or case.array.size > SMALL
        or case.numbers < TELLING
    ):
        return ""
    own = np.array([contributions(case, i)[i] for i in np.ndindex(case.array.shape)]).reshape(case.array.shape)
    if not case.like(own):
        return ""
    return (
        "it is dy times the diagonal of the Jacobian: what an entry does to its own y is there, and not what it does "
        "to the others of y"
    )


def candidates(parts: np.ndarray, present: np.ndarray, count: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """What is left of several contributions by each mistake."""
    rows = np.arange(len(parts))
    first, last = present.argmax(axis=1), parts.shape[1] - 1 - present[:, ::-1].argmax(axis=1)
    said = (
        f"{SEVERAL} only the {{}} is there: it is written where it should be added (np.add.at for repeated indices: += "
        "with an index adds only once), or the way of the others is cut off"
    )
    return [
        (said.format("last"), parts[rows, last]),
        (said.format("first"), parts[rows, first]),
        (f"{SEVERAL} the mean is there, where the sum belongs", parts.sum(axis=1) / count),
    ]


def contributions(case: Case, at: tuple[int, ...]) -> np.ndarray:
    """What each entry of y adds to the gradient of one entry: dy·∂y/∂θ."""
    return moved(case.outputs, case.array, at, 1.0) * case.dy


def rest_is_single(case: Case, summed: int | None) -> bool:
    """Whether the right entries have one contribution each, or none: a few of them are looked at."""
    for i in np.argwhere(~case.row.wrong & case.sure)[:4]:
        part = contributions(case, tuple(i))
        part = part if summed is None else part.sum(axis=summed - 1)
        if (np.abs(part) > CLOSE * np.abs(part).max()).sum() > 1 and np.abs(part).max() > 0:
            return False
    return True
