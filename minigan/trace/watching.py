"""Watching a step: the methods of a copy's layers are wrapped while it is made, and note what goes in and out.

Nothing of this is in the layers' code, and nothing is left on them afterwards.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import numpy as np

from minigan.backend import Array, to_numpy
from minigan.nn.layer import Grads, Layer
from minigan.nn.network import NetworkCache, Sequential
from minigan.trace.record import Arrays, LayerTrace, PassTrace

#: What the caches are called that have no names of their own.
WORDS = {"Dropout": ("mask",), "Maxout": ("which",), "MaxPool2d": ("which",)}


@dataclass
class Forward:
    """A way forward that was watched, and the ways back through it."""

    network: str
    phase: str | None
    layers: list[LayerTrace] = field(default_factory=list)
    caches: list[Any] = field(default_factory=list)
    back: list[PassTrace] = field(default_factory=list)


class Watcher:
    """Notes every pass of the networks, which are copies of which no two layers are one object.

    `phase` is the player whose step is being made; None where both are made at once: then a way back through D belongs
    to D's step if it asks for D's gradients.
    """

    def __init__(self, networks: Mapping[str, Sequential]):
        self.networks = networks
        self.phase: str | None = None
        self.forwards: list[Forward] = []
        self.at: dict[str, Forward] = {}  # the forward pass through which each network is being gone back
        self.fresh: set[str] = set()  # networks of which a new way back begins
        self.second: set[str] = set()  # … and those that are at a penalty's second pass
        self.handed: dict[str, Array] = {}  # what the last layer of a penalty's way back has handed on
        self.now: LayerTrace | None = None  # the layer whose backward is running
        self.noting, self.turns = 0.0, 0  # seconds spent on notes; ways back
        self.seen: dict[int, tuple[Any, np.ndarray]] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Within it every layer is watched; behind it none is."""
        with ExitStack() as stack:

            def wrap(owner: Any, name: str, watched: Callable[..., Any]) -> None:
                stack.enter_context(patch.object(owner, name, watched))

            for name, network in self.networks.items():
                wrap(network, "check_cache", self.watched_check(name, network.check_cache))
                for i, layer in enumerate(network.layers):
                    wrap(layer, "forward", self.watched_forward(name, i, layer.forward))
                    wrap(layer, "backward", self.watched_backward(name, i, layer.backward))
                    wrap(layer, "input_grad", self.watched_input_grad(name, i, layer.input_grad))
                    wrap(layer, "write_grads", self.watched_write(name, i, layer.write_grads))
                    wrap(layer, "tangent", self.watched_tangent(name, layer.tangent))
            yield

    def passes(self, player: str) -> list[PassTrace]:
        """The passes of a player's step; what was made for it and never gone back through is among them."""
        found: list[PassTrace] = []
        for made in self.forwards:
            back = [p for p in made.back if p.player == player]
            if not back and (made.phase or "D") == player:
                back = [PassTrace(made.network, made.layers, None, player)]
            found += back
        return found

    # Forward ---------------------------------------------------------------------------------------------------------

    def watched_forward(self, name: str, i: int, forward: Callable[..., Any]) -> Callable[..., Any]:
        def call(x: Array, *args: Any, train: bool, rng: Any = None, **options: Any) -> tuple[Array, Any]:
            stream, taken, began = copy.deepcopy(rng), self.take(x), time.perf_counter()
            y, cache = forward(x, *args, train=train, rng=rng, **options)
            ms = 1e3 * (time.perf_counter() - began)
            if i == 0:
                self.forwards.append(Forward(name, self.phase))
            made = next(made for made in reversed(self.forwards) if made.network == name)
            layer = self.networks[name].layers[i]
            traced = self.layer_trace(layer, i, taken, self.take(y), self.kept(layer, cache, x, y), stream, ms, train)
            made.layers.append(traced)
            made.caches.append(cache)
            return y, cache

        return call

    def layer_trace(
        self, layer: Layer, i: int, x: np.ndarray, y: np.ndarray, kept: Arrays, rng: Any, ms: float, train: bool
    ) -> LayerTrace:
        kind = type(layer).__name__
        values = {name: self.take(getattr(layer, name)) for name in layer.grads}
        buffers = {name: self.take(getattr(layer, name)) for name in layer.buffers(x.shape[1:])}
        return LayerTrace(i, f"{i}.{kind}", layer, x, y, kept, values, buffers, rng, ms, train=train)

    def kept(self, layer: Layer, cache: Any, x: Array, y: Array) -> Arrays:
        """The arrays of a cache by name, but x itself, of which the record knows anyway."""
        words = next((WORDS[c.__name__] for c in type(layer).__mro__ if c.__name__ in WORDS), ("cache",))
        parts = {"y": y} if cache is y and y is not x else named_parts(cache, words)
        return {name: np.atleast_1d(self.take(part)) for name, part in parts.items() if part is not x}

    def take(self, array: Array) -> np.ndarray:
        """A copy of the array as it is now; the same one as before if it is the same array and has not changed."""
        host = to_numpy(array)
        known = self.seen.get(id(array))
        if known is not None and known[0] is array and known[1].tobytes() == host.tobytes():
            return known[1]
        taken = host.copy()
        self.seen[id(array)] = (array, taken)  # with the array itself, so that no other gets its id
        return taken

    # Back ------------------------------------------------------------------------------------------------------------

    def watched_check(self, name: str, check: Callable[[NetworkCache], None]) -> Callable[[NetworkCache], None]:
        """Every way through a pass's cache begins with this question: whether it is one of the network's."""

        def call(cache: NetworkCache) -> None:
            check(cache)
            self.at[name] = self.forward_of(name, cache)
            self.fresh.add(name)
            self.handed.pop(name, None)
            self.second.discard(name)

        return call

    def forward_of(self, name: str, cache: NetworkCache) -> Forward:
        """The forward pass that left this cache. Of one whose output nobody read, the last layer's is made up for."""
        own = [made for made in self.forwards if made.network == name]
        fits = [m for m in own if all(a is b for a, b in zip(m.caches, cache.layers, strict=False))]
        found = next((made for made in fits if not made.back), fits[-1] if fits else None)
        if found is None:
            found = Forward(name, self.phase)
            self.forwards.append(found)
        network = self.networks[name]
        for i in range(len(found.layers), len(network.layers)):
            layer, x = network.layers[i], cache.layers[i]  # a `bilinear` layer, whose cache is x
            y, _ = type(layer).forward(layer, x, train=True)
            found.layers.append(self.layer_trace(layer, i, self.take(x), self.take(y), {}, None, 0.0, True))
            found.caches.append(x)
        return found

    def way_back(self, name: str, begins: str, *, param_grads: bool = True) -> PassTrace | None:
        """The pass that is being gone back through, a new one if this is its first layer; None if nothing is noted."""
        if name in self.second or name not in self.at:
            return None
        made = self.at[name]
        if name in self.fresh:
            self.fresh.discard(name)
            player = self.phase or ("D" if name == "D" and param_grads else "G")
            layers = [replace(traced, grads={}) for traced in made.layers]
            self.turns += 1
            made.back.append(PassTrace(name, layers, begins, player, self.turns))
        return made.back[-1]

    def watched_backward(self, name: str, i: int, backward: Callable[..., Any]) -> Callable[..., Any]:
        def call(dy: Array, cache: Any, *args: Any, **flags: Any) -> Array | None:
            wanted = flags.get("need_param_grads", True)
            made = self.way_back(name, "loss", param_grads=wanted) if self.now is None else None
            if made is None:
                return backward(dy, cache, *args, **flags)
            traced = made.layers[i]
            traced.dy = self.take(dy)
            written = flags.get("grads") or traced.layer.grads
            before = {param: to_numpy(grad).copy() for param, grad in written.items()}
            self.now, self.noting, began = traced, 0.0, time.perf_counter()
            try:
                dx = backward(dy, cache, *args, **flags)
            finally:
                self.now = None
            traced.backward_ms = 1e3 * (time.perf_counter() - began - self.noting)
            traced.dx = None if dx is None else self.take(dx)
            if wanted and written and not traced.grads:  # a backward of its own, that does not ask `write_grads`
                after = {param: to_numpy(grad).copy() for param, grad in written.items()}
                adds = flags.get("accumulate", False)
                traced.grads = {p: grad - before[p] if adds else grad for p, grad in after.items()}
            return dx

        return call

    def watched_input_grad(self, name: str, i: int, input_grad: Callable[..., Any]) -> Callable[..., Any]:
        """Asked by itself, and not by `backward`, it is a penalty's way back, which begins from ones."""

        def call(dy: Array, cache: Any) -> Array:
            made = self.way_back(name, "ones") if self.now is None else None
            began = time.perf_counter()
            dx = input_grad(dy, cache)
            if made is None:
                return dx
            traced, all_dy, all_dx = made.layers[i], dy, dx
            traced.backward_ms = 1e3 * (time.perf_counter() - began)
            if len(dy) < len(traced.x) and name in self.handed:  # asked of some examples: noted is the answer of all
                all_dy = self.handed[name]
                all_dx = input_grad(all_dy, self.at[name].caches[i])
            traced.dy, traced.dx = self.take(all_dy), self.take(all_dx)
            self.handed[name] = dx
            return dx

        return call

    def watched_write(self, name: str, i: int, write_grads: Callable[..., None]) -> Callable[..., None]:
        """What is written is this pass's own, whether it is then added to others' or not."""

        def call(write: Callable[[Grads], None], **options: Any) -> None:
            if self.now is None:
                self.second.add(name)
                self.fresh.discard(name)
                ones = [made for made in self.at[name].back if made.begins == "ones"] if name in self.at else []
                traced = ones[-1].layers[i] if ones else None
            else:
                traced = self.now

            def noted(grads: Grads) -> None:
                write(grads)
                began = time.perf_counter()
                kept = {} if traced is None else traced.grads
                for param, grad in grads.items():
                    own = to_numpy(grad).copy()
                    kept[param] = kept[param] + own if param in kept else own
                self.noting += time.perf_counter() - began

            write_grads(noted, **options)

        return call

    def watched_tangent(self, name: str, tangent: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Array:
            self.second.add(name)
            self.fresh.discard(name)
            return tangent(*args)

        return call


def named_parts(cache: Any, words: tuple[str, ...] = ("cache",)) -> dict[str, Any]:
    """The arrays of a cache by name: of a NamedTuple's fields, of a dict's keys, of the places in a tuple."""
    if hasattr(cache, "shape") and hasattr(cache, "dtype"):
        return {words[0]: cache} if np.dtype(cache.dtype).kind in "fiub" else {}
    if isinstance(cache, dict):
        parts = {str(key): part for key, part in cache.items()}
    elif isinstance(cache, (tuple, list)):
        names = getattr(cache, "_fields", None) or [*words, *map(str, range(len(words), len(cache)))]
        parts = dict(zip(names, cache, strict=False))
    else:
        return {}
    found: dict[str, Any] = {}
    for name, part in parts.items():
        inner = named_parts(part, (name,))
        found |= {key if key == name else f"{name}.{key}": array for key, array in inner.items()}
    return found
