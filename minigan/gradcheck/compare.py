"""The comparison itself: every array's hand-written gradient beside its numeric one.

Whatever is checked has first been brought into one form, a `Subject`. A subject's output y may be any array; it becomes
a scalar function as f = Σ y·dy with a random upstream dy. (An upstream of ones would hide errors: BatchNorm's true
gradient against it is zero, so that a backward which returns zeros passes.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.errors import ArgumentError, DTypeError
from minigan.gradcheck.case import Case
from minigan.gradcheck.diagnosis import diagnose
from minigan.gradcheck.elsewhere import stale
from minigan.gradcheck.kinks import Origin
from minigan.gradcheck.linearity import nonlinearities
from minigan.gradcheck.numeric import Measured, first_steps, slope, typical
from minigan.gradcheck.purity import Snapshot, impurities, largest_of, layout_problems, malformed, same
from minigan.gradcheck.report import Report, Row
from minigan.gradcheck.steps import Doubts, kinked
from minigan.gradcheck.subject import Subject
from minigan.gradcheck.ties import changes_jointly, settle_ties

SCALE_FLOOR = 1e-4  # of the largest gradient of a check: the least that an array's errors are measured by
ELEMENTWISE = 2000
DIRECTIONS = 5
SAMPLE = 200  # single entries of a large array, if every direction meets a kink


def check(
    f: Callable[[], Any],
    arrays: dict[str, np.ndarray],
    grads: dict[str, np.ndarray],
    *,
    title: str = "gradient",
    **options: Any,
) -> Report:
    """Compare `grads` with the numeric gradient of the scalar `f()` with respect to each of `arrays`.

    `f` must read `arrays` anew on each call: they are changed in place while it is called, and restored.
    Options: as `compare`. Raises DTypeError for arrays that are not float64, ArgumentError for different names.
    """
    return compare(Subject(arrays, lambda: (f(), None), lambda _dy, _cache: grads), title=title, dy=1.0, **options)


def compare(
    subject: Subject,
    *,
    title: str,
    dy: Any = None,
    elementwise: int = ELEMENTWISE,
    directions: int = DIRECTIONS,
    h: float | None = None,
    seed: int = 0,
    pure: bool = True,
) -> Report:
    """Check a subject: its purity (if `pure`), then each array, then, where something is wrong, the likely cause.

    With `pure` False only the form of what is returned, what a first pass changes, and the numbers are looked at.

    Arrays of at most `elementwise` entries are compared entry by entry, larger ones along `directions` random unit
    directions each (an error in one entry of a million shows in them only if it is large).
    An array's scale is max(|analytic|∞, |numeric|∞), floored at 1e-4 of the largest gradient of the check: the true
    gradient of a bias before BatchNorm is zero.
    The first step follows the size of the entries (see `first_steps`), or is `h`, for every array. Where it leaves a
    doubt, other steps are tried (see `steps`), and at kinks moves of several entries (see `ties`).
    """
    check_arrays(subject.arrays, title)
    rng, draws = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(2))  # not what x may be drawn from
    free = dy is None
    y, dy, grads, problems = first_passes(subject, title, dy, rng)
    check_form(subject.arrays, grads, title)
    report = Report(title)
    if pure and not problems:
        problems = impurities(subject, dy, grads, draws)
        if not problems:
            report.problems, report.cautions = layout_problems(subject, dy, grads)
            report.problems += nonlinearities(subject, dy, draws) if free else []
    report.sound = not problems
    report.problems = problems + malformed(subject.arrays, grads) + report.problems

    def f() -> np.ndarray:
        return np.ravel(np.asarray(subject.forward()[0]) * dy)

    flat = {name: fitting(grads[name], array.shape) for name, array in subject.arrays.items()}
    origin = Origin(f, f(), subject.arrays, flat, largest_of(np.asarray(dy)))
    found = {}
    for name, array in subject.arrays.items():
        if array.size <= elementwise:
            found[name] = at_entries(origin, name, None, h)
        else:
            found[name] = along_directions(origin, name, directions, rng, h)
    rows = judged(origin, found)
    for row in rows:
        if row.how == "directions" and row.kink.any():
            found[row.name] = at_entries(origin, row.name, rng, h)
            rows = []
    report.rows = rows or judged(origin, found)
    settle_ties(origin, report.rows, rng)

    if all(row.zero.all() for row in report.rows) and not changes_jointly(origin, rng):
        report.problems.append("nothing was tested: at this point y does not change with any of the arrays")
    for row in report.rows:
        if row.wrong.any() and not row.cause and not problems:  # else the numbers are not worth explaining
            row.cause = diagnose(Case(subject, row, grads[row.name], dy, y, report.rows))
    if pure and report:
        report.problems += stale(subject, dy, grads, rng)
    return report


def first_passes(
    subject: Subject, title: str, dy: Any, rng: np.random.Generator
) -> tuple[np.ndarray, Any, dict[str, np.ndarray], list[str]]:
    """(y, dy, the gradients, what the passes changed that they should not have); dy is random unless it is given."""
    before = Snapshot(subject)
    y, cache = subject.forward()
    y = np.asarray(y)
    if y.dtype != np.float64:
        raise DTypeError(f"{title}: the output of float64 arrays is {y.dtype}; gradients are checked in float64")
    if not np.isfinite(y).all():
        raise ArgumentError(f"{title}: the output holds NaN or Inf at the point of the check; choose another point")
    problems = before.changes("forward")
    dy = rng.standard_normal(y.shape) if dy is None else dy
    kept_dy = np.copy(dy)
    with np.errstate(all="ignore"):
        grads = {name: np.array(grad) for name, grad in subject.backward(dy, cache).items()}
    problems += before.changes("backward")
    if not same(dy, kept_dy):
        problems.append("backward changes dy; work on a copy")
        np.copyto(dy, kept_dy)
    return y, dy, grads, problems


def at_entries(origin: Origin, name: str, rng: np.random.Generator | None, h: float | None) -> Measured:
    """The derivatives with respect to the entries, in C order; with an rng only to some of them, drawn at random.

    A direction moves all entries of a large array, and may so meet a kink that few are at.
    """
    array, grad = origin.arrays[name], origin.grads[name]
    chosen = np.arange(array.size) if rng is None else np.sort(rng.permutation(array.size)[:SAMPLE])
    places = [tuple(int(i) for i in np.unravel_index(k, array.shape)) for k in chosen] if array.ndim else [()]
    steps = first_steps(array, h)
    slopes = [slope(origin.f, origin.here, array, place, 1.0, float(steps[place])) for place in places]
    lines = [(place, 1.0) for place in places]
    if rng is None:
        return Measured("entries", grad, lines, slopes)
    return Measured("random entries", grad.ravel()[chosen], lines, slopes, places)


def along_directions(origin: Origin, name: str, count: int, rng: np.random.Generator, h: float | None) -> Measured:
    """The derivatives along random unit directions in the whole array."""
    array, step = origin.arrays[name], float(first_steps(np.zeros(()), h))
    step = step if h is not None else step * min(1.0, typical(array))
    vs = [v / np.linalg.norm(v) for v in (rng.standard_normal(array.shape) for _ in range(count))]
    analytic = np.array([np.sum(origin.grads[name] * v) for v in vs])
    slopes = [slope(origin.f, origin.here, array, ..., v, step) for v in vs]
    return Measured("directions", analytic, [(..., v) for v in vs], slopes)


def check_arrays(arrays: dict[str, np.ndarray], title: str) -> None:
    """Raise ArgumentError or DTypeError unless there are arrays, of float64 and not empty."""
    if not arrays:
        raise ArgumentError(f"{title}: there is nothing to check, no array of floats was given")
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype != np.float64:
            found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise DTypeError(
                f"{name}: gradients are checked in float64 (float32 differences are noise), got {found}; convert it"
            )
        if not array.size:
            raise ArgumentError(f"{title}: {name} is empty, its shape is {array.shape}")


def check_form(arrays: dict[str, np.ndarray], grads: dict[str, np.ndarray], title: str) -> None:
    """Raise ArgumentError or DTypeError unless there is a gradient, of numbers, for each array."""
    if grads.keys() != arrays.keys():
        raise ArgumentError(f"{title}: gradients of {sorted(grads)} were given for the arrays {sorted(arrays)}")
    for name, grad in grads.items():
        if grad.dtype.kind not in "fbiu":
            what = "no gradient (None)" if grad.dtype == object and grad.ndim == 0 else f"a gradient of {grad.dtype}"
            raise DTypeError(f"{title}: backward returned {what} for {name}")


def fitting(grad: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The gradient as float64, or NaN of the right shape if it has another (NumPy might broadcast it, silently)."""
    return grad.astype(np.float64) if grad.shape == shape else np.full(shape, np.nan)


def judged(origin: Origin, found: dict[str, Measured]) -> list[Row]:
    """A row for each array, the doubts of which other steps have settled as far as they can."""
    rows, doubts = judge(origin, found), Doubts()
    while doubts.settle(origin, rows, found):
        rows = judge(origin, found)  # the scale may have been that of an entry that was measured wrongly
    return rows


def judge(origin: Origin, found: dict[str, Measured]) -> list[Row]:
    """A row for each array, with the scale by which its entries are judged.

    A numeric value that its bar is wider than is no size: across a jump it is what the step makes of it, and any other
    entry's error would be small beside it.
    """
    known = {name: [s.value for s in m.slopes if s.bar < abs(s.value)] for name, m in found.items()}
    sizes = {name: largest_of(m.analytic, np.array(known[name])) for name, m in found.items()}
    top = max(sizes.values())
    rows = []
    for name, m in found.items():
        columns = (np.array(column).reshape(m.analytic.shape) for column in zip(*m.slopes, strict=True))
        value, bar, bend, noise, low, high, _, _ = columns
        scale = max(sizes[name], SCALE_FLOOR * top, np.finfo(float).tiny)
        kink, shape, size = kinked(bend, noise, scale), origin.arrays[name].shape, max(top, origin.unit)
        rows.append(Row(name, shape, m.how, m.analytic, value, bar, kink, low, high, scale, m.places, size=size))
    return rows
