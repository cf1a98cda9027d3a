"""What a constant factor may mean: the sizes of axes, the layer's constants, and the constants of formulas."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from minigan.gradcheck.case import Case

#: How near a factor must come to one that has a meaning; to a layer's constant: Dropout meets its rate to 2⁻¹⁷ only.
NEAR, NEAR_CONSTANT = 2e-6, 2e-5

TAKEN = "a mean stands for a sum, or is taken twice"
MISSING = "a mean is missing, or a sum is taken twice"


def meanings(c: float, case: Case) -> list[str]:
    """What |c| may be, the most natural first, three at most; of one kind only: a size before the root of a size."""
    c = abs(c)
    for kind in (common_numbers(c, case), derived(c, case)):
        if found := list(dict.fromkeys(kind)):
            return found[:3]
    return []


def common_numbers(c: float, case: Case) -> Iterator[str]:
    """The upstream of a scalar, sizes, constants of the layer, and numbers that formulas are full of."""

    def is_(value: float, near: float = NEAR) -> bool:
        return value > 0 and abs(c - value) <= near * value

    dy = abs(float(case.dy)) if np.ndim(case.dy) == 0 else 1.0
    if abs(dy - 1) > NEAR:
        if is_(1 / dy):
            yield "which is 1/dy: dy is missing"
        if is_(dy):
            yield "which is dy: dy is multiplied by twice"
    for k, names in counts(case).items():
        if is_(k):
            yield f"which is {names}, {k}: {MISSING}"
        if is_(1 / k):
            yield f"which is 1/{k}, with {k} {names}: {TAKEN}"
    for name, v in case.subject.constants.items():
        for text, inverse, value in ((f"(1 - {name})", f"1/(1 - {name})", 1 - v), (name, f"1/{name}", v)):
            if value > 0 and value != 1:
                if is_(value, NEAR_CONSTANT):
                    yield f"which is {text} with {name} = {v:g}: divide by it, or leave it out"
                if is_(1 / value, NEAR_CONSTANT):
                    yield f"which is {inverse} with {name} = {v:g}: multiply by {text}, or leave it out"
    for name, array in case.subject.arrays.items():
        if array.size == 1 and name != case.row.name:
            v = abs(float(array.ravel()[0]))
            if is_(v):
                yield f"which is {name}: it is a factor too many"
            if is_(1 / v if v else 0):
                yield f"which is 1/{name}: the factor {name} is missing"
    if case.y.size == 1:
        y = abs(float(case.y.ravel()[0]))
        if is_(y):
            yield "which is y: it is a factor too many, or the division by it is missing"
        if is_(1 / y if y else 0):
            yield "which is 1/y: the factor y is missing, or the division by it is too many"
    width = case.array.shape[-1] if case.array.ndim else 0
    if width > 1 and math.isqrt(width) ** 2 == width:
        for value, text in ((math.sqrt(width), f"√{width}"), (1 / math.sqrt(width), f"1/√{width}")):
            if is_(value):
                yield f"which may be {text}, with {width} the size of the last axis: as attention is scaled"
    for value, text in CONSTANTS:
        if is_(value):
            yield text


#: Numbers that formulas are full of.
CONSTANTS = (
    (2.0, "which may be a 2 of the formula: the 1/2 of x²/2 is forgotten, or the same is added twice"),
    (0.5, "which may be a 1/2 of the formula: the 2 of (x²)' = 2x is forgotten"),
    (3.0, "which may be a 3 of the formula"),
    (1 / 3, "which may be a 1/3 of the formula: the 3 of (x³)' = 3x² is forgotten"),
    (math.log(2), "which is log 2: a logarithm to the base 2 is taken for the natural one, or 2ˣ for eˣ"),
    (1 / math.log(2), "which is 1/log 2: a logarithm to the base 2 is taken for the natural one, or 2ˣ for eˣ"),
    (math.log(10), "which is log 10: a logarithm to the base 10 is taken for the natural one"),
    (1 / math.log(10), "which is 1/log 10: a logarithm to the base 10 is taken for the natural one"),
    (math.pi, "which is π"),
    (1 / math.pi, "which is 1/π"),
    (2 * math.pi, "which is 2π"),
    (1 / (2 * math.pi), "which is 1/2π"),
    (math.pi / 180, "which is π/180: degrees are taken for radians"),
    (180 / math.pi, "which is 180/π: degrees are taken for radians"),
    (math.sqrt(2), "which is √2"),
    (1 / math.sqrt(2), "which is 1/√2"),
    (math.sqrt(math.pi), "which is √π"),
    (2 / math.sqrt(math.pi), "which is 2/√π: the derivative of erf"),
    (math.sqrt(math.pi) / 2, "which is √π/2: the derivative of erf"),
    (math.sqrt(2 * math.pi), "which is √(2π)"),
    (1 / math.sqrt(2 * math.pi), "which is 1/√(2π)"),
    (math.sqrt(2 / math.pi), "which is √(2/π)"),
    (math.sqrt(math.pi / 2), "which is √(π/2)"),
    (255.0, "which is 255, the largest value of a byte"),
    (1 / 255, "which is 1/255, with 255 the largest value of a byte"),
    (127.5, "which is 127.5, half of the largest value of a byte"),
    (1 / 127.5, "which is 1/127.5, with 127.5 half of the largest value of a byte"),
)


def derived(c: float, case: Case) -> Iterator[str]:
    """Numbers made of a size k, or of a constant of the layer."""
    for k, name in counts(case).items():
        for value, text in (
            (math.sqrt(k), f"which is √{k}, with {k} {name}: as attention is scaled"),
            (1 / math.sqrt(k), f"which is 1/√{k}, with {k} {name}: as attention is scaled"),
            (k / 2, f"which is {k}/2, with {k} {name}: a mean of squares lacks both its mean and its 2"),
            (2 / k, f"which is 2/{k}, with {k} {name}: a mean of squares has its mean or its 2 twice"),
            (2 * k, f"which is 2·{k}, with {k} {name}: {MISSING}, and so a 2"),
            (1 / (2 * k), f"which is 1/(2·{k}), with {k} {name}: {TAKEN}, and a 1/2 is too many"),
            (k / (k - 1), f"which is {k}/{k - 1}, with {k} {name}: one variance is biased, the other is not"),
            ((k - 1) / k, f"which is {k - 1}/{k}, with {k} {name}: one variance is biased, the other is not"),
            (float(k * k), f"which is {k}², with {k} {name}: {MISSING}, two times over"),
            (1 / (k * k), f"which is 1/{k}², with {k} {name}: {TAKEN}, two times over"),
        ):
            if value != 1 and abs(c - value) <= NEAR * value:
                yield text
    for name, v in case.subject.constants.items():
        for value, text in (
            (v * v, f"which is {name}² with {name} = {v:g}: it is multiplied by twice"),
            ((1 - v) ** 2, f"which is (1 - {name})² with {name} = {v:g}: it is multiplied by twice"),
        ):
            if value not in (0, 1) and abs(c - value) <= NEAR_CONSTANT * value:
                yield text
            if value not in (0, 1) and abs(c - 1 / value) <= NEAR_CONSTANT / value:
                yield text.replace("which is ", "which is 1/").replace("multiplied", "divided")


def counts(case: Case) -> dict[int, str]:
    """{a product of sizes of axes: what it counts}, the natural ones first; other arrays' only if need be."""
    found: dict[int, list[str]] = {k: [what] for k, what in window_sizes(case)}
    own, y = case.array.shape, case.y.shape
    for k, what in sizes("y", y, case):
        found.setdefault(k, []).append(what)
    if own != y[len(y) - len(own) :]:  # a bias's axes are y's last
        for k, what in sizes(case.row.name, own, case):
            found.setdefault(k, []).append(what)
    near = set(found)
    for name, array in case.subject.arrays.items():
        for k, what in sizes(name, array.shape, case) if name != case.row.name and array.shape != y else ():
            if k not in near:
                found.setdefault(k, []).append(what)
    return {k: " or ".join(dict.fromkeys(names[:2])) for k, names in found.items()}


def sizes(name: str, shape: tuple[int, ...], case: Case) -> Iterator[tuple[int, str]]:
    """(how many, of what), for the sets of axes over which one takes a mean; each set once, and no axis of size 1."""
    seen, whole = set(), tuple(range(len(shape)))
    for axes in (whole, *((k,) for k in whole), whole[1:-1], whole[:-1], whole[1:], whole[2:], whole[:2]):
        real = tuple(k for k in axes if shape[k] > 1)
        if not real or real in seen:
            continue
        seen.add(real)
        batch = bool(case.subject.batched) and real == (0,) and name in ("y", *case.subject.batched)
        if batch and name != "y":
            continue  # which is y's as well
        if batch:
            yield shape[0], "the size of the batch (the first axis)"
        elif len(real) == sum(size > 1 for size in shape):
            yield math.prod(shape), "the number of entries" + f" of {name}" * (name != "y" and case.y.size > 1)
        elif len(real) == 1:
            last = real[0] == len(shape) - 1
            yield shape[real[0]], f"the size of {'the last axis' if last else f'axis {real[0]}'} of {name}"
        else:
            number = math.prod(shape[k] for k in real)
            yield number, f"the size of axes {', '.join(map(str, real))} of {name} together"


def window_sizes(case: Case) -> Iterator[tuple[int, str]]:
    """How many entries of an image there are to one of y: a pooling's window, an enlargement's block."""
    x, y = case.array.size, case.y.size
    if case.is_input and case.array.ndim == case.y.ndim and x != y:
        if x % y == 0:
            yield x // y, f"the number of entries of {case.row.name} to one of y"
        if y % x == 0:
            yield y // x, f"the number of entries of y to one of {case.row.name}"
