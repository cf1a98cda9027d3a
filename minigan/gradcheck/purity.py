"""What must be true of a forward and a backward pass before its numbers are worth comparing.

A function that is random has no derivative; one that changes its arguments gives another answer the second time; and
one that reads memory in the wrong order is right only by luck.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from minigan.gradcheck.check import Subject

CLOSE = 1e-9  # a product of other memory order may round differently, by no more than this


def impurities(subject: Subject, dy: Any, grads: dict[str, np.ndarray]) -> list[str]:
    """A sentence for each rule that is broken; `grads` are what backward gave for dy."""
    kept = {name: array.copy() for name, array in subject.arrays.items()}
    kept_dy = np.copy(dy)
    y, cache = subject.forward()
    first = np.copy(y)
    problems = [
        f"forward changes its argument {name}; work on a copy"
        for name, array in subject.arrays.items()
        if not same(array, kept[name])
    ]
    again, _ = subject.forward()
    if not same(again, first):
        apart = float(np.nanmax(np.abs(np.asarray(again) - first)))
        problems.append(
            f"forward is not deterministic: two calls on the same arguments differ by up to {apart:.1e}; take random "
            "numbers from the rng that forward is given, or freeze the generator"
        )
    once = {name: np.copy(grad) for name, grad in subject.backward(dy, cache).items()}
    twice = subject.backward(dy, cache)
    for name, grad in grads.items():
        if grad.shape != subject.arrays[name].shape:
            problems.append(
                f"the gradient of {name} has shape {grad.shape} and {name} has {subject.arrays[name].shape}; NumPy "
                "may broadcast the one to the other without a word"
            )
        elif grad.dtype != np.float64:
            problems.append(f"the gradient of {name} is {grad.dtype} where everything else is float64")
        if adds(grad, once[name], twice[name]):
            problems.append(f"backward adds to the gradient of {name} that an earlier call left; it should write it")
        elif not same(twice[name], once[name]):
            problems.append(f"a second backward on the same cache gives another gradient of {name}")
    if not same(dy, kept_dy):
        problems.append("backward changes dy; work on a copy")
        np.copyto(dy, kept_dy)
    for name, array in subject.arrays.items():
        if not same(array, kept[name]) and not any(f"argument {name};" in problem for problem in problems):
            problems.append(f"backward changes {name}")
        np.copyto(array, kept[name])
    return problems or layout_problems(subject, dy, first, once)


def layout_problems(subject: Subject, dy: Any, y: np.ndarray, grads: dict[str, np.ndarray]) -> list[str]:
    """Whether other memory layouts of the inputs, and of dy, change a result."""
    problems, largest = [], max(float(np.abs(grad[np.isfinite(grad)]).max(initial=0.0)) for grad in grads.values())
    for name in subject.inputs:
        for layout, array in layouts(subject.arrays[name]):
            try:
                got, _ = subject.forward(**{name: array})
            except ValueError as error:
                problems.append(f"forward fails on a {layout} {name} ({error})")
                continue
            if not near(got, y, float(np.abs(y).max(initial=0.0))):
                problems.append(f"forward gives another result for a {layout} {name}")
    for layout, array in layouts(np.asarray(dy)):
        cache = subject.forward()[1]
        try:
            got = {name: np.copy(grad) for name, grad in subject.backward(array, cache).items()}
        except ValueError as error:
            problems.append(f"backward fails on a {layout} dy ({error})")
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
    return a.shape == b.shape and np.allclose(a, b, rtol=CLOSE, atol=CLOSE * size, equal_nan=True)
