"""Sequential: layers one after the other, over one flat vector each of parameters, gradients and buffers.

Flat vectors make an optimiser one formula over one array, and saving, averaging or comparing a network one line.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minigan import backend
from minigan.backend import Array, RandomStream
from minigan.errors import ArgumentError, DTypeError, ShapeError, StaleCacheError
from minigan.nn.layer import Layer, Shape, Specs
from minigan.nn.names import CheckedCall
from minigan.nn.summary import as_html, as_text, table
from minigan.tensors import read_tensors, write_tensors


class NetworkCache(NamedTuple):
    """What a pass leaves behind for backward."""

    network: Sequential  # whose pass it was
    version: int  # of the weights that the pass went through
    out_shape: Shape  # of the whole output, batch axis included
    layers: list[Any]  # one cache per layer


class Sequential(CheckedCall):
    """The composition y = f_L(… f_2(f_1(x))).

    `layers` are told their output sizes; their input sizes follow from `in_shape` (without the batch axis) by one walk
    of `out_shape`, here, so that a mismatch is found at construction. `rng` draws the initial weights, in the order of
    the layers. `dtype` is float32, or float64 for checking gradients.

    Attributes: `params`, `grads` and `buffers` are flat vectors of which the layers hold named views; `version` counts
    the changes of the weights.
    Raises ShapeError naming the layer, its index and both shapes; ArgumentError for no layers, an impossible
    `in_shape`, or a layer that belongs to a network already.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        in_shape: Shape,
        *,
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ):
        if isinstance(in_shape, int):
            raise ArgumentError(f"in_shape must be a tuple without the batch axis, such as ({in_shape},)")
        if not isinstance(rng, np.random.Generator):
            raise DTypeError(f"rng must be a NumPy Generator, such as numpy.random.default_rng(0), got {rng!r}")
        self.layers, self.in_shape, self.dtype = list(layers), tuple(in_shape), np.dtype(dtype)
        if not self.layers:
            raise ArgumentError("a network needs at least one layer, got an empty list")
        if not self.in_shape or min(self.in_shape) < 1:
            raise ArgumentError(f"in_shape must hold positive sizes without the batch axis, got {self.in_shape}")
        if self.dtype not in (np.float32, np.float64):
            raise DTypeError(f"a network computes in float32 or float64, got dtype {self.dtype}")
        shapes = walk(self.layers, self.in_shape)
        self.out_shapes = shapes[1:]
        self.version = 0
        self._param_specs = [layer.params(shape) for layer, shape in zip(self.layers, shapes, strict=False)]
        self._buffer_specs = [layer.buffers(shape) for layer, shape in zip(self.layers, shapes, strict=False)]
        self.params = self._draw(self._param_specs, rng)
        self.grads = np.zeros_like(self.params)
        self.buffers = self._draw(self._buffer_specs, rng)
        self._bind()

    @property
    def out_shape(self) -> Shape:
        """The output's shape without the batch axis."""
        return self.out_shapes[-1]

    # The two passes --------------------------------------------------------------------------------------------------

    def forward(
        self, x: Array, *, train: bool, rng: RandomStream | None = None, keep: bool = True
    ) -> tuple[Array, NetworkCache]:
        """The output for x (N, *in_shape) and the cache for backward.

        `keep=False` drops each layer's cache at once, for a pass that nobody will go back through.
        Raises ShapeError or DTypeError if x does not fit, DeviceError if it lives on another device.
        """
        self._check_input(x)
        caches = []
        for layer in self.layers:
            x, cache = layer.forward(x, train=train, rng=rng)
            if keep:
                caches.append(cache)
        return x, NetworkCache(self, self.version, x.shape, caches)

    def backward(
        self,
        dy: Array,
        cache: NetworkCache,
        *,
        need_param_grads: bool = True,
        need_input_grad: bool = True,
        accumulate: bool = False,
    ) -> Array | None:
        """Write the parameters' gradients into `grads` (add them if `accumulate`) and return dx.

        `need_param_grads=False` is how a network is frozen, `need_input_grad=False` saves the product that nobody
        reads; neither changes any other result.
        Raises StaleCacheError if the weights have changed since the forward pass, ArgumentError if it was another
        network's, ShapeError, DTypeError or DeviceError if dy is not like y.
        """
        if cache.network is not self:
            raise ArgumentError("this cache comes from another network's forward pass")
        if cache.version != self.version:
            raise StaleCacheError(
                f"this cache comes from version {cache.version} of the weights and the network is at version "
                f"{self.version}: backward would mix old activations with new weights; run forward again"
            )
        self._check_kept(cache)
        self._check_array("dy", dy)
        if dy.shape != cache.out_shape:
            raise ShapeError(f"dy has shape {dy.shape}, but the output of this pass had {cache.out_shape}")
        for i in reversed(range(len(self.layers))):
            # dx is worth computing only if the caller wants it or parameters further down do.
            wanted = need_input_grad or (need_param_grads and any(self._param_specs[:i]))
            dx = self.layers[i].backward(
                dy,
                cache.layers[i],
                need_param_grads=need_param_grads,
                need_input_grad=wanted,
                accumulate=accumulate,
            )
            if dx is None:
                return None
            dy = dx
        return dy

    def __call__(self, x: Array) -> Array:
        """Predict: the output for x at inference, keeping nothing."""
        return self.forward(x, train=False, keep=False)[0]

    def update_buffers(self, cache: NetworkCache) -> None:
        """Fold a training pass's statistics (BatchNorm's) into the buffers, once per update of the network.

        Raises StaleCacheError if the pass kept nothing.
        """
        self._check_kept(cache)
        for layer, layer_cache, specs in zip(self.layers, cache.layers, self._buffer_specs, strict=True):
            if specs:
                layer.update_buffers(layer_cache)

    # Names, devices, files -------------------------------------------------------------------------------------------

    def named_params(self) -> dict[str, Array]:
        """{"0.Dense.W": view, …}: each parameter as a view of `params`."""
        return self._named(self._param_specs, self.params)

    def named_grads(self) -> dict[str, Array]:
        """Each parameter's gradient as a view of `grads`, under the parameter's name."""
        return self._named(self._param_specs, self.grads)

    def named_buffers(self) -> dict[str, Array]:
        """Each buffer (running statistics) as a view of `buffers`."""
        return self._named(self._buffer_specs, self.buffers)

    def state(self) -> dict[str, Array]:
        """Parameters and buffers by name: what a checkpoint holds."""
        return {**self.named_params(), **self.named_buffers()}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Copy parameters and buffers from host arrays by name, all or nothing: `check_state` first."""
        self.check_state(state)
        for name, view in self.state().items():
            view[...] = backend.to_device(state[name], backend.device_of(view))
        self.version += 1

    def check_state(self, state: dict[str, np.ndarray]) -> None:
        """Raise ArgumentError, ShapeError or DTypeError if a name, shape or dtype is not this network's."""
        mine = self.state()
        if missing := sorted(mine.keys() ^ state.keys()):
            raise ArgumentError(f"these names are in only one of the network and the state: {', '.join(missing)}")
        for name, view in mine.items():
            if state[name].shape != view.shape:
                raise ShapeError(f"{name} has shape {view.shape} in the network and {state[name].shape} in the state")
            if state[name].dtype != view.dtype:
                raise DTypeError(
                    f"{name} is {view.dtype} in the network and {state[name].dtype} in the state; "
                    "load(path, cast=True) converts"
                )

    def to(self, device: str) -> Sequential:
        """Move the network to "cpu" or "gpu", in place; returns it. Optimisers made before hold arrays of their own."""
        self.params = backend.to_device(self.params, device)
        self.grads = backend.to_device(self.grads, device)
        self.buffers = backend.to_device(self.buffers, device)
        self._bind()
        self.version += 1
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `state()` to a safetensors file, whole or not at all, with a hash of every array."""
        write_tensors(path, {name: backend.to_numpy(array) for name, array in self.state().items()})

    def load(self, path: str | os.PathLike[str], *, cast: bool = False) -> None:
        """Read what `save` wrote, on whichever device, all or nothing; `cast` converts another dtype to the network's.

        Raises CheckpointError for a damaged file; ArgumentError, ShapeError or DTypeError if it is another network's.
        """
        _, state = read_tensors(path)
        if cast:
            fits = {name: np.can_cast(array.dtype, self.dtype, "same_kind") for name, array in state.items()}
            state = {name: array.astype(self.dtype) if fits[name] else array for name, array in state.items()}
        self.load_state(state)

    def summary(self) -> str:
        """A table of layers, output shapes and parameter counts."""
        return as_text(self._rows())

    def _repr_html_(self) -> str:
        """The table for a notebook."""
        return as_html(self._rows())

    def _rows(self) -> list[tuple[str, str, str, str]]:
        counts = [sum(_sizes(specs)) for specs in self._param_specs]
        return table(self.layers, self.in_shape, self.out_shapes, counts)

    def __repr__(self) -> str:
        return f"Sequential({self.layers}, in_shape={self.in_shape})"

    # Construction ----------------------------------------------------------------------------------------------------

    def _draw(self, specs: list[Specs], rng: np.random.Generator) -> np.ndarray:
        """One flat vector of initial values, in the order of the layers."""
        parts = [init(rng, shape).ravel() for spec in specs for shape, init in spec.values()]
        return np.concatenate([np.zeros(0), *parts]).astype(self.dtype)

    def _bind(self) -> None:
        """Give every layer its named views of the flat vectors."""
        grads = self.named_grads()
        views = self.state()
        for i, layer in enumerate(self.layers):
            prefix = _prefix(i, layer)
            for name in (*self._param_specs[i], *self._buffer_specs[i]):
                setattr(layer, name, views[prefix + name])
            layer.grads = {name: grads[prefix + name] for name in self._param_specs[i]}

    def _named(self, specs: list[Specs], flat: Array) -> dict[str, Array]:
        named, start = {}, 0
        for i, (layer, spec) in enumerate(zip(self.layers, specs, strict=True)):
            for (name, (shape, _)), size in zip(spec.items(), _sizes(spec), strict=True):
                named[_prefix(i, layer) + name] = flat[start : start + size].reshape(shape)
                start += size
        return named

    def _check_kept(self, cache: NetworkCache) -> None:
        if len(cache.layers) != len(self.layers):
            raise StaleCacheError(
                f"the cache holds {len(cache.layers)} layers and the network {len(self.layers)}: it was made with "
                "keep=False"
            )

    def _check_array(self, name: str, array: Array) -> None:
        backend.array_module(**{name: array, "the network's parameters": self.params})
        if array.dtype != self.dtype:
            raise DTypeError(
                f"{name} is {array.dtype} and the network computes in {self.dtype}; convert with "
                f"{name}.astype('{self.dtype}'), and scale images to the range that the network expects"
            )

    def _check_input(self, x: Array) -> None:
        self._check_array("x", x)
        if x.shape[1:] != self.in_shape or len(x) < 1:
            raise ShapeError(f"x has shape {x.shape}, but the network takes (N, *{self.in_shape}) with N at least 1")


def walk(layers: Sequence[Layer], in_shape: Shape) -> list[Shape]:
    """The shapes between the layers, the input's first."""
    shapes = [in_shape]
    for i, layer in enumerate(layers):
        if layer.grads or (layer in layers[:i] and layer.params(shapes[-1])):
            raise ArgumentError(f"layer {i} ({layer!r}) has its place in a network already; make a new one")
        try:
            shapes.append(layer.out_shape(shapes[-1]))
        except ShapeError as error:
            raise ShapeError(f"layer {i} ({layer!r}) does not fit its input {shapes[-1]}: {error}") from None
    return shapes


def state_shapes(layers: Sequence[Layer], in_shape: Shape) -> dict[str, Shape]:
    """The names and shapes of what `Sequential(layers, in_shape).state()` would hold, without making any of it."""
    places = list(enumerate(zip(layers, walk(layers, in_shape), strict=False)))
    specs = [(i, layer, layer.params(shape)) for i, (layer, shape) in places]
    specs += [(i, layer, layer.buffers(shape)) for i, (layer, shape) in places]
    return {_prefix(i, layer) + name: shape for i, layer, spec in specs for name, (shape, _) in spec.items()}


def _prefix(index: int, layer: Layer) -> str:
    return f"{index}.{type(layer).__name__}."


def _sizes(spec: Specs) -> list[int]:
    return [math.prod(shape) for shape, _ in spec.values()]
