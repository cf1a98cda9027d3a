"""What must be true of a forward and a backward pass before its numbers are worth comparing.

A function that is random has no derivative; one that changes its arguments gives another answer the second time; and
one that reads memory in the wrong order is right only by luck.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigan.gradcheck.numeric import EPS
from minigan.gradcheck.subject import Subject

ROUNDING = 1e-9  # a product of other memory order may round differently, by no more than this


class Snapshot:
    """The arrays of a subject, and what else its forward reads, as they were."""

    def __init__(self, subject: Subject):
        state = [(f"what it reads besides ({array.dtype} {array.shape})", array) for array in subject.state]
        self.kept = [(name, array, array.copy()) for name, array in [*subject.arrays.items(), *state]]

    def changes(self, who: str) -> list[str]:
        """A sentence for each array that `who` has changed since; each is put back."""
        changed = [name for name, array, kept in self.kept if not same(array, kept)]
        self.restore()
        return [f"{who} changes {name}; work on a copy" for name in changed]

    def restore(self) -> None:
        """Put every array back."""
        for _, array, kept in self.kept:
            np.copyto(array, kept)


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
    """A sentence for each rule that is broken, after which numbers mean little; `grads` are backward's for dy."""
    before = Snapshot(subject)
    problems = repeated(subject, dy, grads) or in_between(subject, dy, rng) or overwritten(subject, dy)
    return problems or before.changes("a second pass")


def repeated(subject: Subject, dy: Any, grads: dict[str, np.ndarray]) -> list[str]:
    """What is otherwise the second time."""
    problems = []
    y, cache = subject.forward()
    y, again = np.copy(y), subject.forward()[0]
    if not same(again, y):
        alike = np.shape(again) == y.shape
        apart = f"differ by up to {largest_of(np.asarray(again) - y) or np.nan:.1e}" if alike else "give other shapes"
        problems.append(
            f"forward is not deterministic: two calls on the same arguments {apart}; take random numbers from the rng "
            "that forward is given, or freeze the generator"
        )
        if not alike:
            return problems
    once = copied_arrays(subject.backward(dy, cache))
    try:
        twice = subject.backward(dy, cache)
    except Exception as error:
        problems.append(
            f"a second backward on the same cache fails ({type(error).__name__}: {error}); leave the cache whole"
        )
        return problems
    for name, grad in grads.items():
        if adds(grad, once[name], np.asarray(twice[name])):
            problems.append(f"backward adds to the gradient of {name} that an earlier call left; it should write it")
        elif not same(twice[name], once[name]):
            problems.append(f"a second backward on the same cache gives another gradient of {name}")
    return problems


def in_between(subject: Subject, dy: Any, rng: np.random.Generator) -> list[str]:
    """What another forward pass tells, made between a pass and its backward: of other values, another batch, …

    The other passes are handed arrays of their own, far from the point: an input that is moved in place and put back
    takes with it, both ways, whatever an object has kept of it (`self.x = x`), and a small move flips no mask. What is
    read in place, a layer's weights, is moved in place, during the first of them.
    """
    before, y_moved = Snapshot(subject), np.zeros(0)
    grads = copied_arrays(subject.backward(dy, subject.forward()[1]))
    in_place = [array for name, array in subject.arrays.items() if not subject.others or name not in subject.inputs]
    for what, other in subject.others or (("on other values", subject.forward),):
        y, cache = subject.forward()
        kept = np.copy(y)
        with strange_points():
            for array in in_place:
                array[...] = other_values(array, rng)
            try:
                moved = attempt(other)
            finally:
                before.restore()
        in_place = []
        if not same(y, kept):
            return [f"a forward pass {what} overwrites the output of the one before it; return a new array each time"]
        if problems := left_behind(subject, dy, cache, grads, what):
            return problems
        if not same(subject.forward()[0], kept):
            return [
                f"forward gives another result once there was a pass {what}; an object must keep nothing of its passes"
            ]
        y_moved = np.asarray(moved[0]) if moved and not y_moved.size else y_moved
    if in_single_precision(y_moved[np.isfinite(y_moved)]):
        return ["forward computes in float32, whatever its arguments are: its differences would be noise"]
    return []


def left_behind(subject: Subject, dy: Any, cache: Any, grads: dict[str, np.ndarray], what: str) -> list[str]:
    """Whether backward takes what it needs from the last forward pass, rather than from the cache of its own."""
    remedy = "keep in the cache what backward needs, not in the object"
    with np.errstate(all="ignore"):
        try:
            got = copied_arrays(subject.backward(dy, cache))
        except Exception as error:
            return [
                f"backward fails once there was a forward pass {what} ({type(error).__name__}: {error}): it depends on "
                f"the last forward pass; {remedy}"
            ]
    return [
        f"the gradient of {name} depends on the last forward pass, not on the cache of its own (it is another once "
        f"there was a pass {what}); {remedy}"
        for name in grads
        if not same(got[name], grads[name])
    ]


def overwritten(subject: Subject, dy: Any) -> list[str]:
    """Whether a backward pass writes into what was returned before: y, or the gradients of an earlier one."""
    y, cache = subject.forward()
    y_kept = np.copy(y)
    with strange_points():
        found = subject.backward(dy, cache)
        first = {name: found[name] for name in subject.inputs}
        kept = copied_arrays(first)
        subject.backward(np.multiply(dy, -3.0), cache)
    problems = [
        f"a second backward overwrites the gradient of {name} that the first returned; return a new array each time"
        for name in first
        if not same(first[name], kept[name])
    ]
    return problems + ([] if same(y, y_kept) else ["backward changes y, which forward has returned; work on a copy"])


def attempt(call: Callable[[], Any]) -> Any:
    """What a call at a strange point gives; None if that point is not allowed."""
    try:
        return call()
    except Exception:
        return None


def copied_arrays(named: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.copy(array) for name, array in named.items()}


def other_values(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Far from the array, and where it is at home: its entries in another order, floats of them made smaller too."""
    moved = rng.permutation(array.ravel()).reshape(array.shape)
    return moved * rng.uniform(0.5, 0.9, array.shape) if array.dtype.kind == "f" else moved


@contextmanager
def strange_points() -> Iterator[None]:
    """Where user code runs at points that nobody has chosen, and so may warn of overflow or 0/0."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def in_single_precision(y: np.ndarray) -> bool:
    """Whether float32 holds all of y, and most of it needs the bits of float32: steps of 1/4 fit it by chance."""
    mantissas = np.frexp(y)[0] * 2.0**16
    return bool(2 * np.count_nonzero(mantissas % 1) > y.size) and same(y, y.astype(np.float32).astype(np.float64))


def layout_problems(subject: Subject, dy: Any, grads: dict[str, np.ndarray]) -> tuple[list[str], list[str]]:
    """Whether other memory layouts of the inputs, and of dy, change a result; and cautions, where the code raises.

    Where it raises nobody gets a wrong number: that is a caution, unless the array could not be written.
    """
    problems: list[str] = []
    cautions: list[str] = []
    y, cache = subject.forward()
    y = np.copy(y)

    def try_layouts(who: str, name: str, array: np.ndarray, call: Any, expected: dict[str, np.ndarray]) -> None:
        largest = max(largest_of(a) for a in expected.values())
        for layout, laid_out in layouts(array):
            try:
                got = call(laid_out)
            except Exception as error:  # whatever the code does that takes memory for granted
                seen = f"{who} fails on a {layout} {name} ({type(error).__name__}: {error})"
                if layout == "read-only" and "read-only" in str(error):  # as NumPy says it
                    problems.append(f"{seen}; it writes into its argument: work on a copy")
                else:
                    cautions.append(f"{seen}; {name} = np.ascontiguousarray({name}) at its start makes it fit for any")
                continue
            if not all(near(got[key], expected[key], largest) for key in expected):
                problems.append(f"{who} gives another result for a {layout} {name}")

    for name in subject.inputs:
        try_layouts(
            "forward",
            name,
            subject.arrays[name],
            lambda laid_out, name=name: {"y": np.copy(subject.forward(**{name: laid_out})[0])},
            {"y": y},
        )
    try_layouts("backward", "dy", np.asarray(dy), lambda dy: copied_arrays(subject.backward(dy, cache)), grads)
    if not problems:
        problems += broadcast_problems(subject, dy, cache, largest_of(*grads.values()))
    return problems, cautions


def broadcast_problems(subject: Subject, dy: Any, cache: Any, largest: float) -> list[str]:
    """Whether an input or dy of which all images share the memory (`np.broadcast_to`) gives what a copy of it does.

    Forward may be ill-conditioned where all images are alike, as BatchNorm is: what moves as much with the last bit of
    the input decides nothing.
    """
    problems = []
    with strange_points():
        for name in subject.inputs:
            array = subject.arrays[name]
            if array.ndim == 0:
                continue
            alike = np.broadcast_to(array[:1], array.shape)
            nudged = alike * (1 + 4 * EPS * np.sign(np.sin(1.0 + np.arange(array.size)))).reshape(array.shape)
            points = (np.copy(alike), nudged, alike)
            found = [attempt(lambda a=a, name=name: np.copy(subject.forward(**{name: a})[0])) for a in points]
            if any(y is None for y in found):
                continue
            y, y_nudged, got = found
            size = largest_of(y)
            if near(y_nudged, y, size) and not near(got, y, size):
                problems.append(f"forward gives another result for a {name} of which np.broadcast_to repeats one image")
        if np.ndim(dy):
            alike = np.broadcast_to(np.asarray(dy)[:1], np.shape(dy))
            expected, got = (
                attempt(lambda a=a: copied_arrays(subject.backward(a, cache))) for a in (np.copy(alike), alike)
            )
            if not expected or not got:
                return problems
            if not all(near(got[name], expected[name], largest) for name in expected):
                problems.append("backward gives another result for a dy of which np.broadcast_to repeats one image")
    return problems


def largest_of(*arrays: np.ndarray) -> float:
    """The largest size of any finite entry."""
    return max(float(np.abs(array[np.isfinite(array)]).max(initial=0.0)) for array in arrays)


def adds(first: np.ndarray, once: np.ndarray, twice: np.ndarray) -> bool:
    """Whether each call has added the same to what the call before it left."""
    if not first.shape == once.shape == twice.shape or not {first.dtype.kind, once.dtype.kind} <= {"f"}:
        return False
    return not same(once, first) and near(twice - once, once - first, float(np.abs(once - first).max()))


def layouts(array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The same values laid out otherwise in memory."""
    if array.ndim:
        yield "non-contiguous", np.repeat(array, 2, axis=0)[::2]
        yield "reversed (negative strides)", np.flip(np.flip(array).copy())
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
