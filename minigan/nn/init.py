"""Initial weights. An initialiser is a function `(rng, shape, *, fan_in, fan_out) -> float64 array`.

`fan_in` and `fan_out` count the connections into and out of one unit (Dense: C and K); the layer supplies them, and
`**fans` takes those that are not used. Drawn on the host and in float64 whatever the network's dtype, so that CPU and
GPU, float32 and float64 start alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from minigan.errors import number

Initialiser = Callable[..., np.ndarray]


def zeros(rng: np.random.Generator, shape: tuple[int, ...], **fans: int) -> np.ndarray:
    """All 0."""
    return np.zeros(shape)


def ones(rng: np.random.Generator, shape: tuple[int, ...], **fans: int) -> np.ndarray:
    """All 1."""
    return np.ones(shape)


def normal(std: float) -> Initialiser:
    """N(0, std²). DCGAN (Radford et al. 2015) uses std 0.02."""
    return partial(
        draw_normal, number(std, "normal needs a finite standard deviation")
    )  # which pickle can take, as it could not a function made in here


def draw_normal(std: float, rng: np.random.Generator, shape: tuple[int, ...], **fans: int) -> np.ndarray:
    return std * rng.standard_normal(shape)


def uniform(limit: float) -> Initialiser:
    """U(-limit, limit)."""
    return partial(draw_uniform, number(limit, "uniform needs a finite limit"))


def draw_uniform(limit: float, rng: np.random.Generator, shape: tuple[int, ...], **fans: int) -> np.ndarray:
    return rng.uniform(-limit, limit, shape)


def glorot_uniform(rng: np.random.Generator, shape: tuple[int, ...], *, fan_in: int, fan_out: int) -> np.ndarray:
    """U(-a, a) with a = √(6 / (fan_in + fan_out)): the default of Flux and Keras.

    It keeps the variance of activations and of gradients about equal from layer to layer.
    Source: Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
    """
    limit = math.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-limit, limit, shape)


def glorot_normal(rng: np.random.Generator, shape: tuple[int, ...], *, fan_in: int, fan_out: int) -> np.ndarray:
    """N(0, σ²) with σ = √(2 / (fan_in + fan_out)): the same variance, normally distributed. The default of ReNom."""
    return math.sqrt(2 / (fan_in + fan_out)) * rng.standard_normal(shape)


def torch_linear(rng: np.random.Generator, shape: tuple[int, ...], *, fan_in: int, **fans: int) -> np.ndarray:
    """U(-a, a) with a = 1/√fan_in: what PyTorch's Linear uses for its weights and for its bias."""
    limit = 1 / math.sqrt(fan_in)
    return rng.uniform(-limit, limit, shape)
