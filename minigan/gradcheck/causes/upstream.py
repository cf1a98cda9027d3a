"""The right formula for another upstream: without dy, with dy of another place, or with only a part of dy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minigan.gradcheck.case import TELLING, Case
from minigan.gradcheck.causes.place import MANY


def upstream(case: Case) -> str:
    """a is the gradient of Σ y·dy' with a dy' that is easily taken for dy."""
    if np.ndim(case.dy) == 0:
        return ""
    for said, dy in upstreams(case):
        if case.flows(dy):
            return said
    if case.grad.dtype == bool:
        return "it is a boolean mask, without dy and without the slope on the other side"
    return ""


def partial(case: Case) -> str:
    """a is what comes back from a part of y."""
    if np.ndim(case.dy):
        for said, dy in parts(case):
            if case.flows(dy):
                return said
    return ""


def upstreams(case: Case) -> Iterator[tuple[str, np.ndarray]]:
    """(what has been done, the dy' of it), the natural ones first."""
    dy, y = case.dy, case.y
    yield (
        "dy is missing: it is the gradient of Σ y, the local derivative without the chain rule's first factor",
        np.ones_like(dy),
    )
    yield from reordered(case)
    for axis in range(dy.ndim):
        if dy.shape[axis] > 1:
            mean = np.broadcast_to(dy.mean(axis=axis, keepdims=True), dy.shape)
            yield f"dy's mean over axis {axis} stands for dy, as if all along that axis had the same upstream", mean
            sum_ = np.broadcast_to(dy.sum(axis=axis, keepdims=True), dy.shape)
            yield f"dy's sum over axis {axis} stands for dy, as if all along that axis had the same upstream", sum_
            yield f"dy has lost its mean over axis {axis}: it is the gradient for dy - mean(dy)", dy - mean
    yield "dy's mean stands for dy, as if all of y had the same upstream", np.full_like(dy, dy.mean())
    yield "dy's sum stands for dy, as if all of y had the same upstream", np.full_like(dy, dy.sum())
    yield "dy is multiplied by twice: it is the gradient for dy²", dy * dy
    yield "|dy| stands for dy", np.abs(dy)
    yield "the sign of dy stands for dy", np.sign(dy)
    yield "negative dy are cut off: it is the gradient for max(dy, 0)", np.maximum(dy, 0)
    with np.errstate(all="ignore"):
        yield "it is the gradient of log y, not of y (softmax and its logarithm are easily mixed up)", dy / y
        yield "it is the gradient of e^y, not of y (softmax and its logarithm are easily mixed up)", dy * np.exp(y)
        yield "a factor of y is too many: it is the gradient for dy·y", dy * y
        yield "dy - y stands for dy, as if the derivative of a loss were in it", dy - y
        yield "y - dy stands for dy, as if the derivative of a loss were in it", y - dy


def parts(case: Case) -> Iterator[tuple[str, np.ndarray]]:
    """Only the first or the last index of an axis of dy is counted, or all but that."""
    dy = case.dy
    for axis in range(dy.ndim):
        last = dy.shape[axis] - 1
        if last < 1 or (axis == 0 and case.is_input):
            continue
        images = axis == 0 and bool(case.subject.batched)
        what = "image" if images else f"index of y's axis {axis}"
        over = "the batch" if images else f"axis {axis} of y"
        for i, name in ((0, "first"), (last, "last")):
            if seen_at(case, axis, i):
                continue
            only = np.zeros_like(dy)
            at = tuple(i if k == axis else slice(None) for k in range(dy.ndim))
            only[at] = dy[at]
            yield f"the sum over {over} is missing: only the {name} {what} is counted", only
            yield f"the {name} {what} is left out of the sum over {over}: a loop or a slice is one too short", dy - only


def seen_at(case: Case, axis: int, i: int) -> bool:
    """Whether the array has the axis too, and which entries are wrong, or zero, says the same."""
    if case.row.how != "entries" or case.array.shape[axis : axis + 1] != case.dy.shape[axis : axis + 1]:
        return False
    rest = [k for k in range(case.array.shape[axis]) if k != i]
    return not all(np.take(v, rest, axis).any() for v in (case.row.wrong, case.row.analytic))


def reordered(case: Case) -> Iterator[tuple[str, np.ndarray]]:
    """dy in another order; or what it is multiplied by, which comes to the same."""
    dy = case.dy
    if dy.ndim > 1 and dy.shape[-1] == dy.shape[-2]:
        yield "dy is not transposed where dy.T belongs, or the other way round", np.swapaxes(dy, -1, -2)
    for axis in range(dy.ndim):
        size = dy.shape[axis]
        images = axis == 0 and bool(case.subject.batched)
        start = "dy is not that of the same image: it is" if images else "dy is"
        over = "over the batch (or x is)" if images else f"along axis {axis}"
        if size == 2:
            yield f"{start} exchanged {over}", np.flip(dy, axis)
        if size < 3:
            continue
        yield f"{start} in reverse order {over}", np.flip(dy, axis)
        for by in (1, -1):
            said = f"{start} taken from an index {'too low' if by > 0 else 'too high'} by one {over}"
            edge = tuple((0 if by > 0 else size - 1) if k == axis else slice(None) for k in range(dy.ndim))
            rolled = np.roll(dy, by, axis)
            yield said, rolled
            cut = rolled.copy()
            cut[edge] = 0
            yield said, cut
        if size % 2 == 0 and size > 2:
            yield f"{start} rolled by half {over}", np.roll(dy, size // 2, axis)
        for g in range(2, size):
            if size % g == 0:
                regrouped = np.moveaxis(dy, axis, -1)
                regrouped = regrouped.reshape(*regrouped.shape[:-1], g, -1).swapaxes(-1, -2).reshape(regrouped.shape)
                said = f"dy's axis {axis} is split as ({g}, {size // g}) where the forward has ({size // g}, {g})"
                yield said, np.moveaxis(regrouped, -1, axis)


def itself(case: Case) -> str:
    """a is dy, or its sum, and knows nothing of the derivative."""
    if np.ndim(case.dy) == 0:
        return ""
    same = case.array.shape == case.dy.shape
    guess = summed(case.dy, 1.0, case.array.shape)
    for sign, z in (("", 1.0), ("-", -1.0)):
        if guess is not None and case.like(z * guess):
            if same:
                return f"it is {sign}dy itself, as if y were {sign}{case.row.name}: the derivative is missing"
            return f"it is {sign}Σ dy, as of a bias"
    return ""


def product(case: Case) -> str:
    """a is a product with dy that is no derivative of anything here."""
    wrong, live = case.row.wrong & case.sure, case.sure & (case.row.analytic != 0)
    if np.ndim(case.dy) == 0 or wrong.sum() < MANY * live.sum():
        return ""
    for name, v in {"y": case.y, **case.subject.arrays}.items():
        guess = summed(case.dy, v, case.array.shape) if v.shape == case.dy.shape else None
        if guess is not None and case.like(guess):
            return f"it is {'Σ ' * (case.array.shape != case.dy.shape)}dy·{name}, and should be another product"
    return ""


def summed(dy: np.ndarray, z: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """dy·z, summed over what the array has not, if it is broadcast."""
    v = dy * z
    if v.shape == shape:
        return v
    lead = v.ndim - len(shape)
    if lead < 0:
        return None
    v = v.sum(axis=tuple(range(lead)))
    over = tuple(k for k, size in enumerate(shape) if size == 1 and v.shape[k] != 1)
    v = v.sum(axis=over, keepdims=True)
    return v if v.shape == shape else None


def flows_backward(case: Case) -> str:
    """a is what comes out if dy goes in from the end and the result is turned: the loop runs the wrong way."""
    dy = case.dy
    for axis in range(np.ndim(dy)):
        if axis >= case.array.ndim or case.array.shape[axis] != dy.shape[axis] or dy.shape[axis] < 3:
            continue
        if case.numbers >= TELLING and case.agrees(np.flip(dy, axis), lambda v, axis=axis: np.flip(v, axis)):
            return f"along axis {axis} it goes in the wrong direction: a sum or a loop runs the forward's way"
    return ""
