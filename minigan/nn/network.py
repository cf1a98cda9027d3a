"""Sequential: layers one after the other, over one flat vector each of parameters, gradients and buffers.

Flat vectors make an optimiser one formula over one array, and saving, averaging or comparing a network one line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np

from minigan import backend
from minigan.backend import Array, RandomStream
from minigan.errors import ArgumentError, DTypeError, ShapeError, StaleCacheError, whole
from minigan.nn.flat import Vector, cut, initial_values, named, places, walk_shapes
from minigan.nn.layer import Layer, Shape, check_grads_like
from minigan.nn.names import CheckedCall
from minigan.nn.summary import as_html, as_text, summary_rows


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
    the changes of the weights that `load_state`, `to` and an optimiser's step make. What is assigned to a vector is
    written into it, so an average is averaged.params = 0.99 * averaged.params + 0.01 * net.params. A copy, from
    copy.deepcopy, copy.copy or another process, is a network of its own with the same weights, gradients and version.
    Raises ShapeError naming the layer, its index and both shapes; ArgumentError for no layers, an impossible
    `in_shape`, a layer that belongs to a network already, or one that says of itself what cannot be.
    """

    params, grads, buffers = Vector(), Vector(), Vector()

    def __init__(
        self,
        layers: Sequence[Layer],
        in_shape: Shape,
        *,
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ):
        if not isinstance(in_shape, (tuple, list)):
            such = f"({in_shape},)" if str(in_shape).isdecimal() else "(784,)"
            raise ArgumentError(f"in_shape must be a tuple without the batch axis, such as {such}, got {in_shape!r}")
        if not isinstance(rng, np.random.Generator):
            raise DTypeError(f"rng must be a NumPy Generator, such as numpy.random.default_rng(0), got {rng!r}")
        needs = "in_shape must hold positive sizes without the batch axis"
        self.in_shape = tuple(whole(size, needs, least=1) for size in in_shape)
        self.layers, self.dtype = list(layers), np.dtype(dtype)
        if not self.layers:
            raise ArgumentError("a network needs at least one layer, got an empty list")
        if not self.in_shape:
            raise ArgumentError(f"{needs}, got ()")
        if self.dtype not in (np.float32, np.float64):
            raise DTypeError(f"a network computes in float32 or float64, got dtype {self.dtype}")
        shapes = walk_shapes(self.layers, self.in_shape)
        self.out_shapes = shapes[1:]
        self.version = 0
        params = [layer.params(shape) for layer, shape in zip(self.layers, shapes, strict=False)]
        buffers = [layer.buffers(shape) for layer, shape in zip(self.layers, shapes, strict=False)]
        self._param_places, self._buffer_places = places(params), places(buffers)
        vectors = initial_values(params, rng, self.dtype), initial_values(buffers, rng, self.dtype)
        self._hold(params=vectors[0], grads=np.zeros_like(vectors[0]), buffers=vectors[1])

    @property
    def out_shape(self) -> Shape:
        """The output's shape without the batch axis."""
        return self.out_shapes[-1]

    @property
    def each_alone(self) -> bool:
        """Whether every layer takes each example of a batch alone, also in training (`Layer.each_alone`)."""
        return all(layer.each_alone for layer in self.layers)

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
        grads: Array | None = None,
    ) -> Array | None:
        """Write the parameters' gradients into the network's `grads` (add them if `accumulate`) and return dx.

        `need_param_grads=False` is how a network is frozen, `need_input_grad=False` saves the product that nobody
        reads; neither changes any other result. With another flat vector for `grads`, such as np.zeros_like(net.grads),
        they are written, or added, there, and the network's stay as they are; `named_grads(grads)` names its parts.
        Raises StaleCacheError if the weights have changed since the forward pass, ArgumentError if it was another
        network's, ShapeError, DTypeError or DeviceError if dy is not like y, or `grads` not like the network's.
        """
        self.check_cache(cache)
        self._check_array("dy", dy)
        if dy.shape != cache.out_shape:
            raise ShapeError(f"dy has shape {dy.shape}, but the output of this pass had {cache.out_shape}")
        into: list[dict[str, Any]] = [{}] * len(self.layers)
        if grads is not None:
            check_grads_like("grads", grads, self.grads)
            into = [{"grads": own} for own in cut(grads, self._param_places)]
        for i in reversed(range(len(self.layers))):
            # dx is worth computing only if the caller wants it or parameters further down do.
            wanted = need_input_grad or (need_param_grads and any(self._param_places[:i]))
            dx = self.layers[i].backward(
                dy,
                cache.layers[i],
                need_param_grads=need_param_grads,
                need_input_grad=wanted,
                accumulate=accumulate,
                **into[i],
            )
            if dx is None:
                return None
            dy = dx
        return dy

    def tangent(self, dx: Array, cache: NetworkCache) -> Array:
        """dy = J dx: how the output moves when the input moves along dx, at the x and in the mode of the pass.

        Shapes: dx (N, *in_shape), dy (N, *out_shape).
        Raises as `backward`, and SecondOrderError for a layer that has no tangent.
        """
        self.check_cache(cache)
        self._check_input(dx)
        for layer, layer_cache in zip(self.layers, cache.layers, strict=True):
            dx = layer.tangent(dx, layer_cache)
        return dx

    def __call__(self, x: Array) -> Array:
        """Predict: the output for x at inference, keeping nothing."""
        return self.forward(x, train=False, keep=False)[0]

    def update_buffers(self, cache: NetworkCache) -> None:
        """Fold a training pass's statistics (BatchNorm's) into the buffers, once per update of the network.

        Raises StaleCacheError if the pass kept nothing.
        """
        self._check_kept(cache)
        for layer, layer_cache, own in zip(self.layers, cache.layers, self._buffer_places, strict=True):
            if own:
                layer.update_buffers(layer_cache)

    # Names, devices, files -------------------------------------------------------------------------------------------

    def named_params(self) -> dict[str, Array]:
        """{"0.Dense.W": view, …}: each parameter as a view of `params`."""
        return named(self.layers, cut(self.params, self._param_places))

    def named_grads(self, grads: Array | None = None) -> dict[str, Array]:
        """Each parameter's gradient as a view of the network's `grads`, or the vector given, under its name."""
        return named(self.layers, cut(self.grads if grads is None else grads, self._param_places))

    def named_buffers(self) -> dict[str, Array]:
        """Each buffer (running statistics) as a view of `buffers`."""
        return named(self.layers, cut(self.buffers, self._buffer_places))

    def state(self) -> dict[str, Array]:
        """Parameters and buffers by name: what a checkpoint holds."""
        return {**self.named_params(), **self.named_buffers()}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Copy parameters and buffers from host arrays by name, all or nothing: `check_state` first."""
        self.check_state(state)
        self.version += 1  # first, as in an optimiser's step
        for name, view in self.state().items():
            view[...] = backend.to_device(state[name], backend.device_of(view))

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
                    "minigan.store.load(network, path, cast=True) converts"
                )

    def to(self, device: str) -> Sequential:
        """Move the network to "cpu", "gpu" or "dpnp", in place; returns it. Optimisers made before have own arrays."""
        vectors = {"params": self.params, "grads": self.grads, "buffers": self.buffers}
        vectors = {name: backend.to_device(vector, device) for name, vector in vectors.items()}
        self.version += 1  # first, as in an optimiser's step
        self._hold(**vectors)
        return self

    def summary(self) -> str:
        """A table of layers, output shapes and parameter counts."""
        return as_text(self._rows())

    def _repr_html_(self) -> str:
        """The table for a notebook."""
        return as_html(self._rows())

    def _rows(self) -> list[tuple[str, str, str, str]]:
        counts = [sum(map(math.prod, own.values())) for own in self._param_places]
        return summary_rows(self.layers, self.in_shape, self.out_shapes, counts)

    def __repr__(self) -> str:
        return f"Sequential({self.layers}, in_shape={self.in_shape})"

    # The vectors and their views -------------------------------------------------------------------------------------

    def _hold(self, **vectors: Array) -> None:
        """Take these vectors for the network's, and give every layer its named views of them."""
        vars(self).update(vectors)
        params, grads = (cut(flat, self._param_places) for flat in (self.params, self.grads))
        buffers = cut(self.buffers, self._buffer_places)
        for layer, own, own_grads, kept in zip(self.layers, params, grads, buffers, strict=True):
            for name, view in {**own, **kept}.items():
                setattr(layer, name, view)
            layer.grads = own_grads

    def __setstate__(self, state: dict[str, Any]) -> None:
        """What copy.deepcopy and pickle end with: they gave each layer arrays of its own, where it needs views."""
        vars(self).update(state)
        self._hold()

    def __copy__(self) -> Sequential:
        """As deep as copy.deepcopy: with the layers, their views of one network's vectors would be shared."""
        return deepcopy(self)

    def check_cache(self, cache: NetworkCache) -> None:
        """Raise ArgumentError or StaleCacheError unless it is of a pass of this network, with the weights of now."""
        if cache.network is not self:
            raise ArgumentError("this cache comes from another network's forward pass")
        if cache.version != self.version:
            raise StaleCacheError(
                f"this cache comes from version {cache.version} of the weights and the network is at version "
                f"{self.version}: backward would mix old activations with new weights; run forward again"
            )
        self._check_kept(cache)

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
