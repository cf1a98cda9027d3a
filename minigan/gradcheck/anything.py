"""One door for everything that has a gradient: `check_gradients(target, …)`, and `assert_gradients` for tests."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.errors import ArgumentError
from minigan.gradcheck.report import Report
from minigan.gradcheck.targets import check_layer, check_loss, check_network, check_pair
from minigan.nn import Layer, Sequential


def check_gradients(
    target: Any,
    *arrays: Any,
    in_shape: tuple[int, ...] | None = None,
    batch: int | None = None,
    seed: int = 0,
    **options: Any,
) -> list[Report]:
    """Check whatever `target` is; the reports, of which each is true if it passed.

    - a `Layer`, on inputs of `in_shape` (without the batch axis), or a `Sequential`: in training and at inference;
    - a pair `(forward, backward)` at `arrays`, or `(forward, backward, *arrays)`: see `check_pair`;
    - a loss, a function `x -> (value, gradient)`, at one array;
    - a `Recipe`: both steps of the game, at the size of the recipe;
    - a class, or a function without arguments, that makes one of these.

    A pair or a loss without arrays is checked at a random (batch, *in_shape) between 0.05 and 0.95, where probabilities
    lie. `batch` is 5, or for a recipe 4, unless given. `seed` decides every draw. Other options: as `compare`.
    Raises ArgumentError for anything else, or if `in_shape` or arrays are missing.
    """
    if isinstance(target, type) or (is_function(target) and not arrays and not required(target)):
        target = target()
    __tracebackhide__ = True
    if seed < 0 or (batch is not None and batch < 1):
        raise ArgumentError(f"seed must not be negative and batch at least 1, got seed {seed} and batch {batch}")
    options["seed"] = seed
    pair = isinstance(target, (tuple, list)) and len(target) >= 2 and all(map(is_function, target[:2]))
    if not (pair or isinstance(target, (Layer, Sequential)) or is_function(target)):
        return check_as_recipe(target, batch=batch or 4, **options)
    batch = batch or 5
    if isinstance(target, Layer):
        if in_shape is None:
            raise ArgumentError(f"{target!r} needs in_shape, its input's shape without the batch: (4,) (--in-shape 4)")
        return [check_layer(target, in_shape, train=train, batch=batch, **options) for train in (True, False)]
    if isinstance(target, Sequential):
        return [check_network(target, train=train, batch=batch, **options) for train in (True, False)]
    arrays = (*target[2:], *arrays) if pair else arrays
    if not arrays:
        if in_shape is None:
            raise ArgumentError("a function is checked at an array: give it, or in_shape, such as (4,) (--in-shape 4)")
        arrays = (np.random.default_rng([seed, 1]).uniform(0.05, 0.95, (batch, *in_shape)),)
    if pair:
        return [check_pair(*target[:2], *arrays, **options)]
    if len(arrays) > 1:
        raise ArgumentError("a loss is checked at one array; close over the others: lambda x: loss(x, labels)")
    loss: Any = target
    return [check_loss(loss, next(iter(arrays)), **options)]


def assert_gradients(target: Any, *arrays: Any, **options: Any) -> list[Report]:
    """Raise AssertionError with the report unless every gradient of `target` is right. As `check_gradients`."""
    __tracebackhide__ = True  # pytest then points at the line of the test
    reports = check_gradients(target, *arrays, **options)
    if failed := [str(report) for report in reports if not report]:
        raise AssertionError("\n\n".join(failed))
    return reports


def check_as_recipe(target: Any, **options: Any) -> list[Report]:
    """Both steps of a recipe; ArgumentError for what is none. The game is imported here: functions need none."""
    from minigan.gradcheck.games import check_recipe
    from minigan.recipes import Recipe

    __tracebackhide__ = True
    if isinstance(target, Recipe):
        return check_recipe(target, **options)
    raise ArgumentError(
        f"a {type(target).__name__} cannot be checked; give a layer (one that inherits from minigan.nn.Layer), a "
        "network, a recipe, a loss x -> (value, gradient) or a pair (forward, backward)"
    )


def is_function(target: Any) -> bool:
    return callable(target) and not isinstance(target, (Layer, Sequential))


def required(function: Callable[..., Any]) -> list[str]:
    """The names of the arguments that a call must give."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.default is p.empty and p.kind in kinds]
