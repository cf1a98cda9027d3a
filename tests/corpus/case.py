"""One case of the corpus: a layer or a pair as users write them, whether it is right, and in what way it is hard.

A layer's case is its class, marked by `@right(in_shape, how)` or `@wrong(in_shape, how)`; a pair's is the function that
makes `(forward, backward, *arrays)`, marked by `@right_pair(how)` or `@wrong_pair(how)`. Right means: the derivative
of its own forward, and all that `minigan.nn.Layer` promises. Labelled without looking at what the checker says.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minigan.nn.layer import Shape


class Case(NamedTuple):
    name: str
    make: Callable  # a layer, or a pair with its arrays
    in_shape: Shape | None  # of a layer
    right: bool
    how: str


LAYERS: list[Case] = []
PAIRS: list[Case] = []


def _marker(cases: list[Case], in_shape: Shape | None, right: bool, how: str) -> Callable:
    def mark(make):
        cases.append(Case(make.__name__, make, in_shape, right, how))
        return make

    return mark


def right(in_shape: Shape, how: str) -> Callable:
    return _marker(LAYERS, in_shape, True, how)


def wrong(in_shape: Shape, how: str) -> Callable:
    return _marker(LAYERS, in_shape, False, how)


def right_pair(how: str) -> Callable:
    return _marker(PAIRS, None, True, how)


def wrong_pair(how: str) -> Callable:
    return _marker(PAIRS, None, False, how)


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    """Standard normal numbers for a pair's arrays."""
    return np.random.default_rng(seed).standard_normal(shape)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x))


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def through_softmax(dy: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
    """dx of y = softmax(x)."""
    return y * (dy - (dy * y).sum(axis=axis, keepdims=True))
