"""The comparison itself: every array's hand-written gradient beside its numeric one.

Whatever is checked has first been brought into one form, a `Subject`. A subject's output y may be any array; it becomes
a scalar function as f = Σ y·dy with a random upstream dy. (An upstream of ones would hide errors: BatchNorm's true
gradient against it is zero, so that a backward which returns zeros passes.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minigan.errors import ArgumentError, DTypeError
from minigan.gradcheck.causes import Case
from minigan.gradcheck.diagnosis import diagnose
from minigan.gradcheck.numeric import STEP, Slope, Terms, slope
from minigan.gradcheck.purity import impurities
from minigan.gradcheck.report import TOLERANCE, Report, Row

SCALE_FLOOR = 1e-4  # of the largest gradient of a check: the least that an array's errors are measured by
ELEMENTWISE = 2000
DIRECTIONS = 5


class Subject(NamedTuple):
    """What is checked: `y, cache = forward()` and `grads = backward(dy, cache)`, where grads has the names of `arrays`.

    forward reads the `arrays` anew on each call. Those named in `inputs` may be handed to it in another memory layout,
    by name. `batch` says that the first axis of y and of x is that of the batch.
    """

    arrays: dict[str, np.ndarray]
    forward: Callable[..., tuple[Any, Any]]
    backward: Callable[[Any, Any], dict[str, Any]]
    inputs: tuple[str, ...] = ()
    batch: bool = False
    constants: dict[str, float] = {}  # noqa: RUF012 (numbers that a wrong factor may be made of, for the diagnosis)
    suspects: dict[str, Terms] = {}  # noqa: RUF012 ({the diagnosis: what would then have been differentiated})


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
    h: float = STEP,
    seed: int = 0,
    pure: bool = True,
) -> Report:
    """Check a subject: its purity (if `pure`), then each array, then, where something is wrong, the likely cause.

    Arrays of at most `elementwise` entries are compared entry by entry, larger ones along `directions` random unit
    directions each (an error in one entry of a million shows in them only if it is large).
    An array's scale is max(|analytic|∞, |numeric|∞), floored at 1e-4 of the largest gradient of the check: the true
    gradient of a bias before BatchNorm is zero.
    """
    arrays = subject.arrays
    if not arrays:
        raise ArgumentError(f"{title}: there is nothing to check, no array of numbers was given")
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype != np.float64:
            found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise DTypeError(
                f"{name}: gradients are checked in float64 (float32 differences are noise), got {found}; convert it"
            )
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])  # not the draws that x may come from
    y, cache = subject.forward()
    y = np.asarray(y)
    if y.dtype != np.float64:
        raise DTypeError(f"{title}: the output of float64 arrays is {y.dtype}; gradients are checked in float64")
    if not np.isfinite(y).all():
        raise ArgumentError(f"{title}: the output holds NaN or Inf at the point of the check; choose another point")
    dy = rng.standard_normal(y.shape) if dy is None else dy
    with np.errstate(invalid="ignore"):
        grads = subject.backward(dy, cache)
    if grads.keys() != arrays.keys():
        raise ArgumentError(f"{title}: gradients of {sorted(grads)} were given for the arrays {sorted(arrays)}")
    grads = {name: np.array(grad) for name, grad in grads.items()}
    report = Report(title, problems=impurities(subject, dy, grads) if pure else [])

    def f() -> np.ndarray:
        return np.ravel(subject.forward()[0] * dy)

    here, found = f(), {}
    for name, array in arrays.items():
        if array.size <= elementwise:
            found[name] = "entries", fitting(grads[name], array.shape), entries(f, here, array, h)
        else:
            vs = [v / np.linalg.norm(v) for v in (rng.standard_normal(array.shape) for _ in range(directions))]
            analytic = np.array([np.sum(fitting(grads[name], array.shape) * v) for v in vs])
            found[name] = "directions", analytic, [slope(f, here, array, ..., v, h) for v in vs]
    report.rows = judge(arrays, found)
    for row in report.rows:
        if row.wrong.any():
            row.cause = diagnose(Case(subject, row, grads[row.name], dy, y))
    return report


def entries(f: Terms, here: np.ndarray, array: np.ndarray, h: float = STEP) -> list[Slope]:
    """The numeric derivative with respect to each entry, in C order."""
    return [slope(f, here, array, index, 1.0, h) for index in np.ndindex(array.shape)]


def fitting(grad: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The gradient as float64, or NaN of the right shape if it has another (NumPy might broadcast it, silently)."""
    return grad.astype(np.float64) if grad.shape == shape else np.full(shape, np.nan)


def judge(arrays: dict[str, np.ndarray], found: dict[str, tuple[str, np.ndarray, list[Slope]]]) -> list[Row]:
    """A row for each array, with the scale by which its entries are judged."""
    rows = []
    sizes = {
        name: max(np.abs(a[np.isfinite(a)]).max(initial=0.0) for a in (analytic, np.array([s.value for s in slopes])))
        for name, (_, analytic, slopes) in found.items()
    }
    for name, (how, analytic, slopes) in found.items():
        value, bar, bend, noise = (np.array(column).reshape(analytic.shape) for column in zip(*slopes, strict=True))
        scale = max(sizes[name], SCALE_FLOOR * max(sizes.values()), np.finfo(float).tiny)
        kink = bend > noise + TOLERANCE * scale
        rows.append(Row(name, arrays[name].shape, how, analytic, value, bar, kink, scale))
    return rows
