"""A trial: a network at a point, on any device and of any dtype, on which the rules of a layer's contract are tried."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np

from minigan import backend
from minigan.backend import Array, RandomStream, to_device, to_numpy
from minigan.gradcheck.purity import largest_of, near, same
from minigan.nn import Layer, Sequential


class SameDraws(RandomStream):
    """The draws of dropout: the same in each dtype, and a generator only if something is drawn.

    A random function has no derivative, so every pass of a check draws anew the same. It calls forward thousands of
    times, mostly of layers that draw nothing.
    """

    def __init__(self, seed: int = 0, *, device: str = "cpu"):
        self.seed, self.device = seed, device

    def __getattr__(self, name: str) -> Any:
        """Python asks here for what is not there yet."""
        if name != "host":
            raise AttributeError(name)
        self.host = RandomStream(self.seed, "dropout").host
        return self.host

    def normal(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        return super().normal(shape).astype(dtype)

    def uniform(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        return super().uniform(shape).astype(dtype)


class Results(NamedTuple):
    """What two passes gave, on the host."""

    y: np.ndarray
    dx: np.ndarray | None
    grads: dict[str, np.ndarray]

    @property
    def gradients(self) -> dict[str, np.ndarray]:
        return {**({} if self.dx is None else {"x": self.dx}), **self.grads}


class Trial:
    """A network, an input and an upstream, in training or at inference."""

    def __init__(self, net: Sequential, x: Array, *, train: bool, seed: int = 0):
        self.net, self.x, self.train, self.seed = net, x, train, seed
        self.device = backend.device_of(net.params)
        self.dy = self.normal(self.forward()[0].shape, 1)

    def normal(self, shape: tuple[int, ...], draw: int) -> Array:
        """Standard normal numbers of the network's dtype, on its device, others for each `draw`."""
        numbers = np.random.default_rng([self.seed, 7, draw]).standard_normal(shape)
        return to_device(numbers.astype(self.net.dtype), self.device)

    def forward(self, x: Array | None = None, *, train: bool | None = None, draws: int = 1) -> tuple[Array, Any]:
        train = self.train if train is None else train
        rng = SameDraws(draws, device=self.device)
        return self.net.forward(self.x if x is None else x, train=train, rng=rng)

    def backward(self, cache: Any, dy: Array | None = None, **flags: Any) -> Array | None:
        return self.net.backward(self.dy if dy is None else dy, cache, **flags)

    def both(self, x: Array | None = None, dy: Array | None = None) -> Results:
        y, cache = self.forward(x)
        dx = self.backward(cache, dy)
        return Results(to_numpy(y).copy(), None if dx is None else to_numpy(dx).copy(), self.grads())

    def grads(self) -> dict[str, np.ndarray]:
        """Copies of the parameters' gradients, by name."""
        return {self.short(name): to_numpy(grad).copy() for name, grad in self.net.named_grads().items()}

    def short(self, name: str) -> str:
        return name.rsplit(".")[-1] if len(self.net.layers) == 1 else name

    def like(self, dtype: Any, device: str = "cpu", layers: list[Layer] | None = None) -> Trial:
        """The same in another dtype, with a network of its own, of copies of its layers or of the given ones."""
        copies = [unbound(layer) for layer in layers or self.net.layers]
        net = Sequential(copies, self.net.in_shape, rng=np.random.default_rng(0), dtype=dtype)
        for mine, other in ((net.params, self.net.params), (net.buffers, self.net.buffers)):
            mine[...] = to_numpy(other)
        trial = copy.copy(self)
        trial.net, trial.device = net.to(device), device
        trial.x, trial.dy = (to_device(to_numpy(a).astype(dtype), device) for a in (self.x, self.dy))
        return trial

    @property
    def across_batch(self) -> bool:
        """Whether a layer means its outputs to depend on the other examples of the batch."""
        return any(layer.across_batch for layer in self.net.layers)


def unbound(layer: Layer) -> Layer:
    """A copy of the layer that belongs to no network, wherever the original is in use."""
    try:
        layer = copy.deepcopy(layer)  # with what it keeps in lists and dicts
    except Exception:
        layer = copy.copy(layer)
    layer.grads = {}
    return layer


def result(dx: Array | None) -> np.ndarray | None:
    return None if dx is None else to_numpy(dx).copy()


def unlike(got: dict[str, Any], expected: dict[str, Any], *, exactly: bool = False) -> str:
    """The names of the arrays that are not what is expected, but for rounding."""
    wrong = [
        name
        for name, array in got.items()
        if not (same(array, expected[name]) if exactly else near(array, expected[name], largest_of(expected[name])))
    ]
    return ", ".join(wrong)


def rebound(trial: Trial) -> list[str]:
    """The layers still hold the network's views: `self.W = …` or `grads["W"] = …` puts another array in their place."""
    if trial.device != "cpu":
        return []
    problems, grads = [], trial.net.named_grads()
    for name, view in trial.net.state().items():
        i, own = int(name.split(".")[0]), name.rsplit(".")[-1]
        layer = trial.net.layers[i]
        if not shares(getattr(layer, own), view):
            problems.append(
                f"self.{own} = … puts another array in the place of the network's, which keeps its old values, and is "
                f"what is saved and averaged: write self.{own}[...] = …, in update_buffers if it is a statistic"
            )
        if name in grads and not shares(layer.grads.get(own), grads[name]):
            problems.append(
                f'grads["{own}"] = … replaces the entry, and the network\'s gradient is never written: write '
                f'grads["{own}"][...] = …'
            )
    return problems


def shares(array: Any, view: np.ndarray) -> bool:
    return isinstance(array, np.ndarray) and array.shape == view.shape and np.shares_memory(array, view)
