"""The form of what is returned, before anybody looks at the numbers: how many things, arrays, shapes, dtypes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from minigan import backend
from minigan.backend import to_numpy
from minigan.errors import ArgumentError
from minigan.gradcheck.purity import same
from minigan.gradcheck.trial import SameDraws, Trial
from minigan.nn import Layer, Sequential

FLAGS = ("need_param_grads", "need_input_grad", "accumulate")


def two(returned: Any, rule: str) -> tuple[Any, Any]:
    """The two things that a function was to return; raises ArgumentError if it did not."""
    if not isinstance(returned, (tuple, list)) or len(returned) != 2:
        what = f"{len(returned)} things" if isinstance(returned, tuple) else kind(returned)
        raise ArgumentError(f"{rule}, and it returned {what}")
    return returned[0], returned[1]


def kind(returned: Any) -> str:
    """What somebody's function returned, in words."""
    return "nothing (None)" if returned is None else type(returned).__name__


def check_forms(net: Sequential, x: np.ndarray, *, train: bool) -> None:
    """Raise ArgumentError, naming layer and rule, unless each layer's passes take and return what a layer's must."""
    for layer, y, cache in reversed(check_forward(net, x, train=train)):
        inherited = type(layer).backward is Layer.backward
        check_taken(layer.backward, FLAGS, f"{type(layer).__name__}.backward")
        with np.errstate(all="ignore"):
            dx = layer.backward(np.random.default_rng([7, 1]).standard_normal(y.shape).astype(y.dtype), cache)
        if not isinstance(dx, np.ndarray):
            who = f"{type(layer).__name__}.{'input_grad' if inherited else 'backward'}"
            raise ArgumentError(f"{who} must return dx, and it returned {kind(dx)}")


def check_forward(net: Sequential, x: np.ndarray, *, train: bool) -> list[tuple[Layer, np.ndarray, Any]]:
    """(layer, its y, its cache) of each; raises as `check_forms` does, of the pass forward."""
    passed = []
    for layer in net.layers:
        who = f"{type(layer).__name__}.forward"
        check_taken(layer.forward, ("train", "rng"), who)
        y, cache = two(layer.forward(x, train=train, rng=SameDraws(0)), f"{who} must return (y, cache)")
        if not isinstance(y, np.ndarray):
            raise ArgumentError(f"{who} must return an array for y, and it returned {kind(y)}")
        if not y.ndim or len(y) != len(x):
            raise ArgumentError(f"{who} must keep the batch for its first axis: x has shape {x.shape} and y {y.shape}")
        passed.append((layer, y, cache))
        x = y
    return passed


def check_taken(function: Callable[..., Any], names: tuple[str, ...], who: str) -> None:
    """Raise ArgumentError unless the function takes arguments of these names."""
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    if missing := [name for name in names if name not in parameters]:
        raise ArgumentError(f"{who} must take {' and '.join(missing)} by name; it takes {', '.join(parameters)}")


def form(trial: Trial) -> list[str]:
    """Shapes as out_shape says, the dtype and the device that were given, and what was given unchanged."""
    kept = {"x": to_numpy(trial.x).copy(), "dy": to_numpy(trial.dy).copy()}
    y, cache = trial.forward()
    dx, problems = trial.backward(cache), []
    for name, array in (("x", trial.x), ("dy", trial.dy)):
        if not same(to_numpy(array), kept[name]):
            problems.append(f"a pass in {trial.net.dtype} changes {name}; work on a copy")
    for name, array, shape in (("y", y, (len(trial.x), *trial.net.out_shape)), ("dx", dx, trial.x.shape)):
        if array is None:
            problems.append("backward returns nothing where dx is wanted")
            continue
        if array.shape != shape:
            rule = "out_shape says" if name == "y" else "x has"
            problems.append(f"{name} has shape {array.shape} where {rule} {shape}")
        if array.dtype != trial.net.dtype:
            problems.append(
                f"{array.dtype} out of a {trial.net.dtype} network: {culprit(trial) if name == 'y' else name} is "
                f"{array.dtype} where x is {trial.x.dtype}; let constants take the dtype of x or dy, as in "
                "x.dtype.type(0.5)"
            )
        if backend.device_of(array) != trial.device:
            problems.append(f"{name} lives on the {backend.device_of(array)} and x on the {trial.device}")
    return problems


def culprit(trial: Trial) -> str:
    """The output of the first layer that changes the dtype, in words."""
    if len(trial.net.layers) == 1:
        return "y"
    x, rng = trial.x, SameDraws(1, device=trial.device)
    for layer in trial.net.layers:
        x, _ = layer.forward(x, train=trial.train, rng=rng)
        if x.dtype != trial.net.dtype:
            return f"y of {layer!r}"
    return "y"
