"""A backward pass is linear in dy, whatever the layer: dx = Jᵀ dy. One upstream cannot tell; several can.

In float arithmetic too, -dy and 2ᵏ·dy give exactly -dx and 2ᵏ·dx, as a power of two rounds nothing. Sums do round, and
by how much the numbers themselves tell: by as much as 0.7·dy fails to give 0.7·dx.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from minigan.gradcheck.purity import ROUNDING, attempt, largest_of, strange_points
from minigan.gradcheck.subject import Subject

Grads = dict[str, np.ndarray]

FLOOR = 1e-4  # of the largest gradient: the least size that an array's rounding is measured by
LARGE = 2.0**40  # a factor that passes any bound
MARGIN = 100  # times the rounding that was seen


def nonlinearities(subject: Subject, dy: np.ndarray, rng: np.random.Generator) -> list[str]:
    """A sentence, the first that fits, if backward is not linear in dy."""
    dy, (_, cache) = np.asarray(dy), subject.forward()

    def back(dy: np.ndarray) -> Grads:
        with strange_points():
            return {name: np.array(grad, np.float64) for name, grad in subject.backward(dy, cache).items()}

    g = back(dy)
    largest = largest_of(*g.values())
    if not largest or not all(np.isfinite(grad).all() for grad in g.values()):
        return []  # the numbers say more of such a gradient
    sizes = {name: max(largest_of(grad), FLOOR * largest) for name, grad in g.items()}
    rules = (partial(of_zero, back, dy, sizes), partial(of_multiples, back, dy, g, sizes))
    tried = map(attempt, (*rules, partial(of_sums, back, dy, g, sizes, rng)))  # backward may refuse some dy
    found = next(filter(None, tried), "")
    return [f"backward is not linear in dy: {found}"] if found else []


def of_zero(back: Callable[[np.ndarray], Grads], dy: np.ndarray, sizes: dict[str, float]) -> str:
    """backward(0) = 0."""
    zero = back(np.zeros_like(dy))
    if names := [name for name, grad in zero.items() if not np.isfinite(grad).all()]:
        return f"a dy of zeros gives NaN or infinity for {', '.join(names)}: something is divided by the size of dy"
    if names := differ(zero, {name: np.zeros_like(grad) for name, grad in zero.items()}, sizes):
        size = largest_of(*(zero[name] for name in names))
        return (
            f"a dy of zeros gives up to {size:.3g} for {', '.join(names)}, where 0 is right: there is a term of which "
            "dy is no factor"
        )
    return ""


def of_multiples(back: Callable[[np.ndarray], Grads], dy: np.ndarray, g: Grads, sizes: dict[str, float]) -> str:
    """backward(c·dy) = c·backward(dy)."""
    minus, large, small = back(-dy), back(LARGE * dy), back(dy / LARGE)
    if names := differ(minus, scaled(g, -1), sizes):
        if not differ({name: minus[name] for name in names}, g, sizes):
            return f"-dy gives the same as dy for {', '.join(names)}: the sign of dy is lost (|dy|, or dy²)"
        twice, minus_twice = back(2 * dy), back(-2 * dy)
        if not differ(sum_of_grads(twice, minus_twice, names), sum_of_grads(minus, g, names), sizes):
            return f"dy and -dy add up to more than 0 for {', '.join(names)}: there is a term of which dy is no factor"
        return (
            f"-dy does not give the negative of what dy gives for {', '.join(names)}: a mask, a maximum or a bound "
            "looks at the sign of dy"
        )
    too_small = differ(large, scaled(g, LARGE), scaled(sizes, LARGE))
    too_large = differ(small, scaled(g, 1 / LARGE), scaled(sizes, 1 / LARGE))
    if not too_small + too_large:
        return ""
    names = too_small or too_large
    seen = {
        f"2^{sign}40·dy": largest_of(*(got[name] for name in names)) / largest_of(*(g[name] for name in names))
        for sign, got in (("", large), ("-", small))
    }
    text = (
        " and ".join(f"{what} gives {ratio:.3g}" for what, ratio in seen.items())
        + f" times what dy gives for {', '.join(names)}, where {LARGE:.3g} and {1 / LARGE:.3g} are right: "
    )
    grown, shrunk = seen.values()
    if 1e-3 < grown < 1e3 and 1e-3 < shrunk < 1e3:
        return f"{text}dy is normalised, or its sign taken in its place"
    if grown < 1e-3 * LARGE and 0.1 < LARGE * shrunk < 10:
        return f"{text}dy, or what is made of it, is clipped or squashed above a bound"
    if LARGE * shrunk < 1e-3 and 0.1 < grown / LARGE < 10:
        return f"{text}small values of dy are taken for zero"
    if grown > LARGE**1.5:
        return f"{text}dy enters more than once as a factor"
    return f"{text}something is added to dy, or divided by it"


def of_sums(
    back: Callable[[np.ndarray], Grads], dy: np.ndarray, g: Grads, sizes: dict[str, float], rng: np.random.Generator
) -> str:
    """backward(a) + backward(b) = backward(a + b), also where a and b are zero at each other's entries."""
    rounded = [(c, back(c * dy)) for c in (0.7, 1.1)]
    rooms = {
        name: size + MARGIN / ROUNDING * max(largest_of(got[name] - c * g[name]) for c, got in rounded)
        for name, size in sizes.items()
    }
    for a, b in split_upstreams(dy, rng):
        ga, gb = back(a), back(b)
        total = {name: ga[name] + gb[name] for name in g}
        whole = back(a + b)
        if not (names := differ(total, whole, rooms)):
            continue
        for what, count in {"rows": rows_with, "entries": np.count_nonzero}.items():
            weighted = {n: count(a) * ga[n] + count(b) * gb[n] for n in names}
            if not differ(weighted, scaled(g, count(dy)), scaled(rooms, count(dy))):
                return f"the gradient of {', '.join(names)} is divided by the number of {what} of dy that are not zero"
        apart = max(largest_of(total[name] - whole[name]) / sizes[name] for name in names)
        return (
            f"backward(a) + backward(b) is not backward(a + b) for {', '.join(names)} (off by {apart:.1e} of the "
            "gradient): something in it looks at the whole of dy, its size, its largest entry or its zeros"
        )
    return ""


def split_upstreams(dy: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs (a, b) of upstreams: of dy one entry and all others, its entries shared out, its rows; two dense ones."""
    if dy.size > 1:
        yield shared_out(dy, np.arange(dy.size).reshape(dy.shape) == np.argmax(np.abs(dy)))
        yield shared_out(dy, rng.permutation(dy.size).reshape(dy.shape) < dy.size // 2)
    if dy.ndim and len(dy) > 1:
        rows = rng.permutation(len(dy)) < len(dy) // 2
        yield shared_out(dy, np.broadcast_to(rows.reshape(-1, *[1] * (dy.ndim - 1)), dy.shape))
    yield dy, rng.standard_normal(dy.shape)


def shared_out(dy: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.where(mask, dy, 0.0), np.where(mask, 0.0, dy)


def rows_with(dy: np.ndarray) -> int:
    """How many rows of dy have an entry that is not zero."""
    return int(dy.reshape(len(dy), -1).any(axis=1).sum()) if dy.ndim else 1


def sum_of_grads(one: Grads, other: Grads, names: list[str]) -> Grads:
    return {name: one[name] + other[name] for name in names}


def scaled(named: dict[str, Any], c: float) -> dict[str, Any]:
    return {name: c * value for name, value in named.items()}


def differ(got: Grads, expected: Grads, sizes: dict[str, float]) -> list[str]:
    """The names of the arrays that are not what is expected, but for the rounding of numbers of that size."""
    return [
        name
        for name, grad in got.items()
        if not (np.abs(grad - expected[name]) <= ROUNDING * np.abs(expected[name]) + ROUNDING * sizes[name]).all()
    ]
