"""Central differences beside a layer's answers: of ⟨dy, layer(x)⟩, in float64, at some entries of x and of its weights.

How many is decided by what one costs, so that a document of large layers does not take longer than one of small ones.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.gradcheck.numeric import first_steps, slope
from minigan.gradcheck.trial import unbound
from minigan.nn.network import Sequential
from minigan.trace.record import LayerTrace

MOST = 12  # entries of an array
ROOM = 6e8  # operations of all the passes for one array
Found = tuple[np.ndarray, np.ndarray]  # flat indices, and the derivative at each


def differences(traced: LayerTrace, what: str, entries: np.ndarray, cost: float) -> Found | None:
    """The derivatives of ⟨dy, layer(x)⟩ at some of these entries of "dx" or of a parameter: the largest and others.

    `cost` is that of a pass forward. None where the layer cannot compute in float64. Left out is an entry within a step
    of a kink, where there is no derivative.
    """
    answer = traced.dx if what == "dx" else traced.grads.get(what)
    if answer is None or traced.dy is None:
        return None
    try:
        net = lone_network(traced)
    except Exception:  # a layer of somebody's own
        return None
    alike = type(traced.layer).each_alone and traced.rng is None and what == "dx"
    N = len(traced.x)
    count = int(np.clip(ROOM / max(1.0, 4 * cost / (N if alike else 1)), 2, MOST))
    at, slopes, here = few_of(entries, answer, count), [], None
    for i in at:
        n = int(np.unravel_index(i, traced.x.shape)[0]) if alike else 0
        part = slice(n, n + 1) if alike else slice(None)  # no other example's output moves
        x, dy = traced.x[part].astype(np.float64), traced.dy[part].astype(np.float64)
        array = x if what == "dx" else net.named_params()[f"0.{type(traced.layer).__name__}.{what}"]
        index = np.unravel_index(i - (n * x.size if alike else 0), array.shape)

        def terms(x: np.ndarray = x, dy: np.ndarray = dy) -> np.ndarray:
            return (dy * net.forward(x, train=traced.train, rng=copy.deepcopy(traced.rng), keep=False)[0]).ravel()

        if here is None or alike:
            here = terms()
        slopes.append(entry_slope(terms, here, array, index))
    return kept_apart(at, slopes)


def loss_differences(value: Callable[[np.ndarray], Any], out: np.ndarray) -> Found:
    """Those of a part of the loss, given as a function of D's outputs, with respect to each of them."""
    x = out.astype(np.float64)

    def terms() -> np.ndarray:
        return np.ravel(value(x))

    at, here = np.arange(x.size), terms()
    return kept_apart(at, [entry_slope(terms, here, x, index) for index in np.ndindex(x.shape)])


def lone_network(traced: LayerTrace) -> Sequential:
    """A network of the layer alone, in float64, with the weights that the pass found."""
    rng = np.random.default_rng(0)
    net = Sequential([unbound(traced.layer)], traced.x.shape[1:], rng=rng, dtype=np.float64)
    kind, found = type(traced.layer).__name__, {**traced.values, **traced.buffers}
    net.load_state({f"0.{kind}.{name}": array.astype(np.float64) for name, array in found.items()})
    return net


def entry_slope(
    terms: Callable[[], np.ndarray], here: np.ndarray, array: np.ndarray, index: tuple[int, ...]
) -> float | None:
    """One entry's, or None where there is a kink, or no number."""
    try:
        found = slope(terms, here, array, index, 1.0, float(first_steps(array)[index]))
    except Exception:  # whatever a layer of somebody's own does with float64
        return None
    return found.value if np.isfinite(found.value) and found.bend <= found.noise else None


def few_of(entries: np.ndarray, answer: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the entries, ascending: by half those of the largest answers, the others at random."""
    if len(entries) <= count:
        return entries
    sizes = np.nan_to_num(np.abs(answer.ravel()[entries]))
    order = np.argsort(-sizes, kind="stable")
    rest = np.random.default_rng(len(entries)).permutation(order[count // 2 :])[: count - count // 2]
    return np.sort(entries[np.concatenate([order[: count // 2], rest])])


def kept_apart(at: np.ndarray, slopes: list[float | None]) -> Found:
    there = np.array([s is not None for s in slopes], bool)
    return at[there], np.array([s for s in slopes if s is not None], np.float64)
