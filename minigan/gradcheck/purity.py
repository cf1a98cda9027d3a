"""What must be true of a forward and a backward pass before its numbers are worth comparing.

A function that is random has no derivative; one that changes its arguments gives another answer the second time; and
one that reads memory in the wrong order is right only by luck.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from minigan.gradcheck.compare import Subject

ROUNDING = 1e-9  # a product of other memory order may round differently, by no more than this


class Snapshot:
    """The arrays of a subject, and what else its forward reads, as they were."""

    def __init__(self, subject: Subject):
        state = {f"what it reads besides ({array.dtype} {array.shape})": array for array in subject.state}
        self.arrays = {**subject.arrays, **state}
        self.kept = {name: array.copy() for name, array in self.arrays.items()}

    def changes(self, who: str) -> list[str]:
        """A sentence for each array that `who` has changed since; each is put back."""
        changed = [name for name, array in self.arrays.items() if not same(array, self.kept[name])]
        self.restore()
        return [f"{who} changes {name}; work on a copy" for name in changed]

    def restore(self) -> None:
        """Put every array back."""
        for name, array in self.arrays.items():
            np.copyto(array, self.kept[name])


def malformed(arrays: dict[str, np.ndarray], grads: dict[str, np.ndarray]) -> list[str]:
    """A sentence for each gradient that has not the shape of its array, or is not of float64."""
    problems = []
    for name, grad in grads.items():
        if grad.shape != arrays[name].shape:
            problems.append(
                f"the gradient of {name} has shape {grad.shape} and {name} has {arrays[name].shape}; NumPy may "
                "broadcast the one to the other without a word"
            )
        elif grad.dtype != np.float64:
            problems.append(f"the gradient of {name} is {grad.dtype} where everything else is float64")
    return problems


def impurities(subject: Subject, dy: Any, grads: dict[str, np.ndarray], rng: np.random.Generator) -> list[str]:
    """A sentence for each rule that is broken; `grads` are what backward gave for dy."""
    problems = []
    before = Snapshot(subject)
    y, cache = subject.forward()
    y, again = np.copy(y), subject.forward()[0]
    if not same(again, y):
        apart = float(np.nanmax(np.abs(np.asarray(again) - y)))
        problems.append(
            f"forward is not deterministic: two calls on the same arguments differ by up to {apart:.1e}; take random "
            "numbers from the rng that forward is given, or freeze the generator"
        )
    once = {name: np.copy(grad) for name, grad in subject.backward(dy, cache).items()}
    twice = subject.backward(dy, cache)
    for name, grad in grads.items():
        if adds(grad, once[name], np.asarray(twice[name])):
            problems.append(f"backward adds to the gradient of {name} that an earlier call left; it should write it")
        elif not same(twice[name], once[name]):
            problems.append(f"a second backward on the same cache gives another gradient of {name}")
    if not problems:
        problems += elsewhere(subject, dy, once, rng)
    return problems or before.changes("a second pass") or layout_problems(subject, dy, y, once)


def elsewhere(subject: Subject, dy: Any, grads: dict[str, np.ndarray], rng: np.random.Generator) -> list[str]:
    """What a second forward pass tells, at another point and before the backward of the first."""
    before = Snapshot(subject)
    _, cache = subject.forward()
    with np.errstate(all="ignore"):
        for array in subject.arrays.values():
            array *= 1 + 1e-3 * rng.uniform(0.5, 1.0, array.shape)
        try:
            moved = np.asarray(subject.forward()[0])
        except Exception:  # another point may not be allowed; then there is nothing to compare
            return []
        finally:
            before.restore()
        got = {name: np.copy(grad) for name, grad in subject.backward(dy, cache).items()}
    problems = [
        f"the gradient of {name} depends on the last forward pass, not on the cache of its own; keep in the cache what "
        "backward needs, not in the object"
        for name in grads
        if not same(got[name], grads[name])
    ]
    if in_single_precision(moved[np.isfinite(moved)]):
        problems.append("forward computes in float32, whatever its arguments are: its differences would be noise")
    return problems


def in_single_precision(y: np.ndarray) -> bool:
    """Whether float32 holds all of y, which is neither whole numbers nor the few levels of a step function."""
    varied = bool((y % 1).any()) and 2 * len(np.unique(y)) > y.size
    return varied and same(y, y.astype(np.float32).astype(np.float64))


def layout_problems(subject: Subject, dy: Any, y: np.ndarray, grads: dict[str, np.ndarray]) -> list[str]:
    """Whether other memory layouts of the inputs, and of dy, change a result."""
    problems, largest = [], max(float(np.abs(grad[np.isfinite(grad)]).max(initial=0.0)) for grad in grads.values())
    for name in subject.inputs:
        for layout, array in layouts(subject.arrays[name]):
            try:
                got, _ = subject.forward(**{name: array})
            except Exception as error:  # whatever the code does that takes memory for granted
                problems.append(f"forward fails on a {layout} {name} ({type(error).__name__}: {error})")
                continue
            if not near(got, y, float(np.abs(y).max(initial=0.0))):
                problems.append(f"forward gives another result for a {layout} {name}")
    for layout, array in layouts(np.asarray(dy)):
        cache = subject.forward()[1]
        try:
            got = {name: np.copy(grad) for name, grad in subject.backward(array, cache).items()}
        except Exception as error:
            problems.append(f"backward fails on a {layout} dy ({type(error).__name__}: {error})")
            continue
        if not all(near(got[name], grads[name], largest) for name in grads):
            problems.append(f"backward gives another result for a {layout} dy")
    return problems


def adds(first: np.ndarray, once: np.ndarray, twice: np.ndarray) -> bool:
    """Whether each call has added the same to what the call before it left."""
    if not first.shape == once.shape == twice.shape or not {first.dtype.kind, once.dtype.kind} <= {"f"}:
        return False
    return not same(once, first) and near(twice - once, once - first, float(np.abs(once - first).max()))


def layouts(array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The same values laid out otherwise in memory."""
    if array.ndim:
        yield "non-contiguous", np.repeat(array, 2, axis=0)[::2]
        yield "Fortran-ordered", np.asfortranarray(array)
        read_only = array.copy()
        read_only.flags.writeable = False
        yield "read-only", read_only


def same(a: Any, b: Any) -> bool:
    """Equal to the bit, where NaN equals NaN."""
    return np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True)


def near(a: Any, b: Any, size: float) -> bool:
    """Equal but for the rounding of numbers of the given size."""
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and np.allclose(a, b, rtol=ROUNDING, atol=ROUNDING * size, equal_nan=True)
