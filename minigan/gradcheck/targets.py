"""What can be checked: a pair of functions, a loss, a layer, a network."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from minigan.backend import RandomStream
from minigan.errors import ArgumentError
from minigan.gradcheck.compare import compare
from minigan.gradcheck.contract import breaches
from minigan.gradcheck.form import check_forms, two
from minigan.gradcheck.purity import copied_arrays, other_values
from minigan.gradcheck.report import Report
from minigan.gradcheck.subject import Subject
from minigan.gradcheck.tangents import check_tangents
from minigan.gradcheck.trial import SameDraws, Trial, unbound
from minigan.nn import Layer, Sequential

KINK_MARGIN = 1e-3  # ten steps: aimed at, not promised; what comes nearer is found as a kink if a step crosses it
TRIES = 50  # draws of a point; then the one that is furthest from the kinks is taken


def check_pair(forward: Callable[..., Any], backward: Callable[..., Any], *arrays: Any, **options: Any) -> Report:
    """Check any two functions: `y, cache = forward(*arrays)` and `grads = backward(dy, cache)`, one gradient per array.

    What is no float array (an axis, a rate, labels) is handed through; backward leaves it out or returns None for it.
    NumPy's global random state is the same for each call of forward; one that asks for `rng` gets the same RandomStream
    (minigan's: `rng.uniform(shape)`) each time. Options: as `compare`.
    Raises ArgumentError if forward does not return (y, cache), or backward another number of gradients.
    """
    title = options.pop("title", f"{name_of(forward)} and {name_of(backward)}")
    parameters = inspect.signature(forward).parameters
    names = [n for n, p in parameters.items() if n != "rng" and p.kind is not p.VAR_KEYWORD]
    rest = next((n for n, p in parameters.items() if p.kind is p.VAR_POSITIONAL), None)
    names = names[: names.index(rest) if rest else None][: len(arrays)]  # what follows *rest is given by name
    names += [f"{rest or 'argument'}[{i}]" for i in range(len(arrays) - len(names))]
    values = dict(zip(names, (np.array(a) if isinstance(a, (np.ndarray, list)) else a for a in arrays), strict=True))
    variables = {n: v for n, v in values.items() if isinstance(v, np.ndarray) and v.dtype.kind == "f"}
    others = tuple(v for n, v in values.items() if isinstance(v, np.ndarray) and n not in variables)

    def run(draws: int = 0, /, **inputs: np.ndarray) -> tuple[Any, Any]:
        arguments = {**values, **inputs}
        np.random.seed(draws)  # noqa: NPY002 (the functions of others may use it; it is put back at the end)
        if "rng" in parameters and all(name in parameters for name in arguments):
            returned = forward(**arguments, rng=SameDraws(draws))  # by name: rng may stand anywhere among them
        else:
            returned = forward(*arguments.values(), **({"rng": SameDraws(draws)} if "rng" in parameters else {}))
        return two(returned, f"{name_of(forward)} must return (y, cache)")

    def grads(dy: Any, cache: Any) -> dict[str, Any]:
        found = backward(dy, cache)
        found = list(found) if isinstance(found, (tuple, list)) else [found]
        if len(found) == len(values):
            found = [g for g, n in zip(found, values, strict=True) if n in variables]
        if len(found) != len(variables):
            raise ArgumentError(f"{name_of(backward)} returned {len(found)} gradients for {', '.join(variables)}")
        return dict(zip(variables, map(np.asarray, found), strict=True))

    x = next(iter(variables.values()), np.zeros(()))
    state = np.random.get_state()  # noqa: NPY002 (once: at each forward it took most of the time of a check)
    try:
        batched = (
            tuple(variables)[:1] if x.ndim and np.shape(run(**copied_arrays(variables))[0])[:1] == x.shape[:1] else ()
        )
        passes = tuple((what, partial(run, 1, **points)) for what, points in other_points(values))
        subject = Subject(
            *(variables, run, grads, tuple(variables), batched, others, numbers(values)),
            others=passes,
            elsewhere=reordered_examples(values),
        )
        return compare(subject, title=title, **options)
    finally:
        np.random.set_state(state)  # noqa: NPY002


def other_points(values: dict[str, Any]) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Points at which functions might be called in between, and what each is: they need not be allowed there.

    Which arrays have the batch for their first axis nobody says: all that are as long as the first, or it alone.
    """
    arrays = {n: v for n, v in values.items() if isinstance(v, np.ndarray)}
    rng = np.random.default_rng(0)
    yield "on other values", {n: other_values(v, rng) for n, v in arrays.items()}
    floats = {n: v for n, v in arrays.items() if v.dtype.kind == "f"}
    yield "on larger values", {n: (-3 if (v < 0).any() else 3) * v for n, v in floats.items()}
    name, x = next(iter(arrays.items()), ("", np.zeros(())))
    if x.ndim and len(x) > 1:
        together = {n: v[:-1].copy() for n, v in arrays.items() if v.ndim and len(v) == len(x)}
        yield "on a smaller batch", together
        yield "on a smaller batch", {name: together[name]}


def reordered_examples(values: dict[str, Any]) -> tuple[dict[str, np.ndarray], ...]:
    """The examples in other orders: of all arrays that are as long as the first, and labels with them.

    Any other values might not be allowed, or a gradient not be meant for them (as of rows that must add up to 1).
    """
    arrays = {n: v for n, v in values.items() if isinstance(v, np.ndarray)}
    x = next(iter(arrays.values()), np.zeros(()))
    if not x.ndim or len(x) < 2:
        return ()
    orders = np.arange(len(x))[::-1], np.roll(np.arange(len(x)), 1), np.roll(np.arange(len(x))[::-1], 1)
    return tuple({n: v[order] if v.ndim and len(v) == len(x) else v for n, v in arrays.items()} for order in orders)


def name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", None) or type(function).__name__


def check_loss(loss: Callable[[np.ndarray], tuple[Any, np.ndarray]], x: np.ndarray, **options: Any) -> Report:
    """Check a loss `x -> (value, gradient)` at x. Raises ArgumentError if it returns anything else."""
    name = next(iter(inspect.signature(loss).parameters), "x")
    arrays = {name: np.array(x)}

    def run(**inputs: np.ndarray) -> tuple[Any, Any]:
        return two(loss({**arrays, **inputs}[name]), f"{name_of(loss)} must return (value, gradient)")

    def grads(dy: Any, gradient: Any) -> dict[str, Any]:
        return {name: dy * np.asarray(gradient)}

    title = options.pop("title", name_of(loss))
    passes = tuple((what, partial(run, **points)) for what, points in other_points(arrays))
    return compare(Subject(arrays, run, grads, (name,), others=passes), dy=1.0, title=title, **options)


def check_layer(layer: Layer, in_shape: tuple[int, ...], *, train: bool = True, **options: Any) -> Report:
    """Check one layer's gradient with respect to its input and every parameter. Options: as `check_network`."""
    net = Sequential([unbound(layer)], in_shape, rng=np.random.default_rng(0), dtype=np.float64)
    title = options.pop("title", f"{layer!r} on {in_shape}, train={train}")
    return check_network(net, train=train, title=title, **options)


def check_network(
    net: Sequential, *, train: bool = True, batch: int = 5, seed: int = 0, title: str = "", **options: Any
) -> Report:
    """Check a network's gradient with respect to its input and every parameter, on a float64 copy of it.

    Input, parameters, buffers and upstream are random. A point at which an activation is nearer than 1e-3 to a kink is
    drawn again, as far as that succeeds; kinks that are left are found and reported. Random layers see the same draws
    on every call. What layers promise besides is looked at as well, unless `pure` is False: see `contract`. Where all
    layers have a `tangent`, it is held against backward: see `check_tangents`.
    Options: as `compare`. Raises ArgumentError if a layer's pass takes or returns something else than it must.
    """
    title = title or f"{net!r}, train={train}"
    layers = net.layers
    net = Sequential([unbound(layer) for layer in layers], net.in_shape, rng=np.random.default_rng(0), dtype=np.float64)
    check_forms(net, random_input(net, batch, [seed, 0]), train=train)
    best, furthest = 0, -math.inf
    for attempt in range(TRIES):
        x = random_input(net, batch, [seed, attempt])
        if (distance := distance_to_kinks(net, x, train=train)) > furthest:
            best, furthest = attempt, distance
        if distance > KINK_MARGIN:
            break
    x = random_input(net, batch, [seed, best])

    def run(x: np.ndarray = x, *, train: bool = train, draws: int = 0) -> tuple[Any, Any]:
        return net.forward(x, train=train, rng=SameDraws(draws))

    def named(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name.rsplit(".")[-1] if len(net.layers) == 1 else name: array for name, array in arrays.items()}

    views = named(net.named_grads())

    def grads(dy: Any, cache: Any) -> dict[str, Any]:
        return {"x": net.backward(dy, cache), **views}

    constants = {k: v for layer in net.layers for k, v in numbers(vars(layer)).items()}
    arrays = {"x": x, **named(net.named_params())}
    more = np.random.default_rng([seed, TRIES]).standard_normal((2 * batch, *net.in_shape))
    others = (
        ("on other values and draws", partial(run, 3 * more[:batch], draws=1)),
        ("on a larger batch", partial(run, more)),
        (f"with train={not train}", partial(run, x.copy(), train=not train)),
    )
    subject = Subject(
        arrays, run, grads, ("x",), batched=("x",), state=(net.buffers,), constants=constants, others=others
    )
    report = compare(subject, title=title, seed=seed, **options)
    if report.problems:
        return report
    wrong = [row.name for row in report.rows if row.wrong.any()]
    trial = Trial(net, x, train=train, seed=seed)
    forward_mode = check_tangents(trial, wrong=wrong, **options)
    if options.get("pure", True):
        report.problems = breaches(trial, layers, right=not wrong)
    report.rows += forward_mode.rows
    report.problems += forward_mode.problems
    report.cautions += forward_mode.cautions
    return report


def random_input(net: Sequential, batch: int, seed: Sequence[int]) -> np.ndarray:
    """A random input for the network, which gets random parameters and buffers.

    Parameters are of size 0.2 to 1, of either sign, less where a sum has many terms; a running variance is positive.
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, *net.in_shape))
    for array in net.named_params().values():
        terms = math.prod(array.shape[:-1])
        array[...] = (
            rng.uniform(0.2, 1.0, array.shape) * rng.choice([-1, 1], array.shape) / max(1.0, (terms / 8) ** 0.5)
        )
    net.buffers[...] = rng.uniform(0.5, 2.0, net.buffers.shape)
    return x


def distance_to_kinks(net: Sequential, x: np.ndarray, *, train: bool) -> float:
    """How near any layer's input comes to a point where that layer has no derivative."""
    return least_distance(kinks_met(net, x, train=train, rng=SameDraws())[0])


def kinks_met(
    net: Sequential, x: np.ndarray, *, train: bool, rng: RandomStream
) -> tuple[list[tuple[Sequential, int, np.ndarray]], np.ndarray]:
    """[(the network, a layer's index, how far its input is from a kink), …] of one pass, and its output."""
    met = []
    for i, layer in enumerate(net.layers):
        met += [(net, i, offset) for offset in layer.kink_offsets(x)]
        x, _ = layer.forward(x, train=train, rng=rng)
    return met, x


def least_distance(met: Sequence[tuple[Sequential, int, np.ndarray]]) -> float:
    """The least distance from a kink.

    What lies exactly on one was put there by the layer below (Dropout, ReLU), and a small step leaves it there.
    """
    return min((float(np.abs(off[off != 0]).min(initial=np.inf)) for _, _, off in met), default=np.inf)


def numbers(named: dict[str, Any]) -> dict[str, float]:
    """Those of the values that are plain numbers."""
    return {k: float(v) for k, v in named.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
