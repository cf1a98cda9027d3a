"""Right but for how much: an approximation, one factor for all, a factor that is a function, a sign here and there."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from minigan.gradcheck.case import CLOSE, TELLING, Case, different
from minigan.gradcheck.causes.counts import meanings
from minigan.gradcheck.causes.place import pattern
from minigan.gradcheck.causes.term import added

APPROXIMATE = 1e-5  # a gradient nearer than this to the right one is that gradient, computed less exactly


def approximated(case: Case) -> str:
    """Every entry is nearly right: the formula is, and what it is computed with is not."""
    wrong = case.row.wrong & ~case.row.kink
    error = float(np.abs(case.off[wrong]).max() / case.row.scale) if wrong.any() else 1.0
    if error > APPROXIMATE:
        return rounded(case) if error < ROUGH else ""
    if made := rounded(case):
        return made
    c, how = ratio(case), ""
    if c:
        how = f": every entry is 1 {'+' if c > 1 else '-'} {abs(c - 1):.1g} times what it should be"
    elif term := added(case):
        return f"right to about {error:.0e} of the largest entry: {term}"
    return (
        f"it is approximated, and right to about {error:.0e} of the largest entry{how} (float32 arithmetic inside, a "
        "finite difference for a derivative, a constant cut short, an epsilon that forward has elsewhere)"
    )


ROUGH = 1e-2  # float16 and three decimals are this near


def ratio(case: Case) -> float:
    """The c for which a = c·n, more nearly than a is to n; 0 if there is none."""
    a, n = case.row.analytic[case.sure], case.row.numeric[case.sure]
    c = float((a * n).sum() / (n * n).sum())
    room = 0.05 * abs(c - 1) * np.abs(n).max() + case.row.bar[case.sure]
    return c if different(n, case.row.scale) > 1 and (np.abs(a - c * n) <= room).all() else 0.0


def rounded(case: Case) -> str:
    """Every entry is a number of fewer digits."""
    a = case.grad.astype(np.float64)
    if different(a, case.row.scale) < TELLING:
        return ""
    for kind in (np.float16, np.float32):
        if np.array_equal(a, a.astype(kind).astype(np.float64)) and not np.array_equal(a, np.round(a, 3)):
            return f"it is rounded: every entry is a number of {kind.__name__}, computed or stored as such"
    for decimals in range(1, 9):
        if np.array_equal(a, np.round(a, decimals)) and (np.abs(case.off) <= 0.51 * 10.0**-decimals).all():
            return f"it is rounded: every entry has {decimals} decimals"
    return ""


def factor(case: Case) -> str:
    """a = c·n with one c for all entries: a sign, a mean, a hyper-parameter."""
    a, n = case.row.analytic[case.sure], case.row.numeric[case.sure]
    c = float((a * n).sum() / (n * n).sum())
    if not math.isfinite(c) or abs(c - 1) < CLOSE or not case.like(c * case.row.numeric):
        return ""
    if different(n, case.row.scale) < 2:
        return one_number(c, a, n, case)
    if abs(c + 1) < CLOSE:
        return "the sign is wrong: every entry is the negative of what it should be"
    known = meanings(c, case)
    sign = " (and the sign is wrong)" if c < 0 else ""
    if not known or known[0].startswith("which may be"):
        may = ", " + ", or ".join(known) if known else ""
        return f"a constant factor: every entry is {c:.7g} times what it should be{may}{sign}"
    return f"every entry is {c:.7g} times what it should be, {', or '.join(known)}{sign}"


def one_number(c: float, a: np.ndarray, n: np.ndarray, case: Case) -> str:
    """A single number, or always the same one, is some multiple of any other: only a meaning makes a factor of it."""
    at = int(np.argmax(np.abs(n)))
    what = "it is" if case.array.size == 1 else "every entry that is not zero is"
    said = f"{what} {a[at]:.7g} where {n[at]:.7g} is right"
    if abs(c + 1) < CLOSE:
        return f"{said}: the sign is wrong"
    if known := meanings(c, case):
        sign = " (and the sign is wrong)" if c < 0 else ""
        return f"{said}, and so {c:.7g} times as much{sign}, {', or '.join(known).replace('which is', 'which may be')}"
    return ""


def functional(case: Case) -> str:
    """a = c·t·n, with t a function of the array, of y, or another array: it has been left out or taken twice."""
    n = case.row.numeric
    if case.row.how != "entries":
        return ""
    live = case.sure & (np.abs(n) > 1e-3 * case.row.scale)
    if different(n[live], case.row.scale) < TELLING:
        return ""
    r = case.row.analytic[live] / n[live]
    if different(r, float(np.abs(r).max())) < TELLING:
        return ""
    known = list(functions(case))
    tried = [(t, f"{name} is a factor too many") for name, t in known]
    for t, said in tried + [(1 / t, f"the factor {name} is missing") for name, t in known]:
        c = float(np.median(r / t[live]))
        if np.isfinite(c) and case.like(np.where(np.isfinite(t), c * t * n, 0.0)):
            rest = "a sign" if abs(c + 1) < CLOSE else f"a constant of {c:.5g}"
            return said if abs(c - 1) < CLOSE else f"{said} (and {rest})"
    return ""


def functions(case: Case) -> Iterator[tuple[str, np.ndarray]]:
    """(its formula, an array of the array's shape): what is multiplied by, or forgotten, in a derivative."""
    shape = case.array.shape
    own = ([("y", case.y)] if case.y.shape == shape else []) + [(case.row.name, case.array)]
    if np.shape(case.dy) == shape:
        yield "dy", case.dy
    for name, v in case.subject.arrays.items():
        if name != case.row.name and v.size > 1:
            try:
                yield name, np.broadcast_to(v, shape)
            except ValueError:  # it has other axes than the array
                continue
    with np.errstate(all="ignore"):
        for name, v in own:
            yield name, v
            yield f"{name}²", v * v
            yield f"|{name}|", np.abs(v)
            yield f"sign({name})", np.sign(v)
            yield f"(1 - {name})", 1 - v
            yield f"{name}·(1 - {name})", v * (1 - v)
            yield f"(1 - {name}²)", 1 - v * v
            yield f"(1 + {name}²)", 1 + v * v
            yield f"(1 + {name})", 1 + v
            yield f"√{name}", np.sqrt(v)
            yield f"e^{name}", np.exp(v)
            yield f"σ({name})", 1 / (1 + np.exp(-v))
            yield f"σ(-{name})", 1 / (1 + np.exp(v))
            s = 1 / (1 + np.exp(-v))
            yield f"σ({name})·(1 - σ({name}))", s * (1 - s)


def signs(case: Case) -> str:
    """|a| = |n| everywhere: right but for the sign of some entries."""
    n, wrong = case.row.numeric, case.row.wrong & case.sure
    if wrong.sum() < 2 or not case.like(np.where(wrong, -n, n)):
        return ""
    where = pattern(case)
    return f"the sign of {int(wrong.sum())} of {wrong.size} entries is wrong, the others are right" + (
        f"; {where}" if where else ""
    )


def clipped(case: Case) -> str:
    """a is n, clipped."""
    a, n, wrong = case.row.analytic, case.row.numeric, case.row.wrong & case.sure
    if wrong.sum() < TELLING or different(case.off, case.row.scale) < TELLING:
        return ""
    low, high = float(a[case.sure].min()), float(a[case.sure].max())
    beyond = max(float(n.max()) - high, low - float(n.min()))
    if beyond <= CLOSE * case.row.scale or not case.like(np.clip(n, low, high)):
        return ""
    room = CLOSE * case.row.scale
    bounds = [f"below {low:.6g}"] * bool(n.min() < low - room) + [f"above {high:.6g}"] * bool(n.max() > high + room)
    return f"it is clipped: what should be {' and '.join(bounds)} is cut off, and the rest is right"


def levels(case: Case) -> str:
    """a/n takes two values: some entries are counted another number of times than others."""
    a, n = case.row.analytic, case.row.numeric
    live = case.sure & (np.abs(n) > 1e-3 * case.row.scale)
    wrong = case.row.wrong & live
    if different(a[wrong], case.row.scale) < TELLING or (live & ~wrong).sum() < TELLING:
        return ""
    c = float(np.median(a[wrong] / n[wrong]))
    if abs(c) < CLOSE or not case.like(np.where(wrong, c * n, n)):
        return ""
    where = pattern(case)
    return f"{int(wrong.sum())} of {wrong.size} entries are {c:.7g} times what they should be, the others are right" + (
        f"; {where}" if where else ""
    )
