"""Checkpoints: networks and optimisers in one file, from which training goes on, or a generator draws.

The file's format, and why nothing in it can have changed unnoticed, is in `minigan.store.tensors`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from minigan.backend import Array, device_of, to_device, to_numpy
from minigan.errors import CheckpointError, MiniganError
from minigan.nn import Sequential
from minigan.optim import Optimizer
from minigan.store.tensors import read_tensors, write_tensors


def save_checkpoint(
    path: str | os.PathLike[str],
    networks: Mapping[str, Sequential],
    optimizers: Mapping[str, Optimizer] | None = None,
    arrays: Mapping[str, Array] | None = None,
    **header: Any,
) -> None:
    """Write networks ({"G": G, …}) under names such as "G.0.Dense.W", optimisers ("d_optimizer.m"), and `arrays`.

    The file appears complete or not at all: it is written beside its final place, flushed to the disk and renamed.
    `header` is kept as JSON and returned by `load_checkpoint`.
    """
    optimizers = optimizers or {}
    owners = {**networks, **optimizers}
    tensors = {f"{n}.{name}": a for n, owner in owners.items() for name, a in owner.state().items()}
    tensors |= arrays or {}
    steps = {name: optimizer.steps for name, optimizer in optimizers.items()}
    write_tensors(path, {n: to_numpy(a) for n, a in tensors.items()}, optimizer_steps=steps, **header)


def load_checkpoint(
    path: str | os.PathLike[str],
    networks: Mapping[str, Sequential],
    optimizers: Mapping[str, Optimizer] | None = None,
) -> dict[str, Any]:
    """Copy the tensors of `path` into the networks and optimisers given, and return the header.

    What else the file holds is left there (to draw samples, G is enough).
    Raises CheckpointError, before anything is touched, if the file is missing or damaged, or if a name, shape or dtype
    differs from the networks'.
    """
    header, tensors = read_tensors(path)
    restore(path, header, tensors, networks, optimizers)
    return header


def restore(
    path: str | os.PathLike[str],
    header: Mapping[str, Any],
    tensors: Mapping[str, np.ndarray],
    networks: Mapping[str, Sequential],
    optimizers: Mapping[str, Optimizer] | None = None,
) -> None:
    """The second half of `load_checkpoint`: what has been read of `path` into its owners, all or nothing."""
    states = {n: part(tensors, n) for n in networks}
    optimizers = optimizers or {}
    try:
        for n, net in networks.items():
            net.check_state(states[n])
    except MiniganError as error:
        raise CheckpointError(f"{path} does not fit this network: {error}") from None
    steps: Any = header.get("optimizer_steps")
    for n, optimizer in optimizers.items():
        check_alike(path, tensors, {f"{n}.{name}": vector for name, vector in optimizer.state().items()})
        if not isinstance(steps, dict) or not is_count(steps.get(n)):
            raise CheckpointError(f"{path} does not hold the state of {n} (steps)")

    for n, net in networks.items():
        net.load_state(states[n])
    for n, optimizer in optimizers.items():
        for name, vector in optimizer.state().items():
            vector[...] = to_device(tensors[f"{n}.{name}"], device_of(vector))
        optimizer.steps = steps[n]


def part(tensors: Mapping[str, np.ndarray], owner: str) -> dict[str, np.ndarray]:
    """The tensors of one owner, under its own names: "0.Dense.W" of "G.0.Dense.W"."""
    return {name[len(owner) + 1 :]: array for name, array in tensors.items() if name.startswith(f"{owner}.")}


def check_alike(path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray], own: Mapping[str, Array]) -> None:
    """Raise CheckpointError unless what has been read of `path` holds arrays of these names, shapes and dtypes."""
    for name, array in own.items():
        stored = tensors.get(name)
        if stored is None or (stored.shape, stored.dtype) != (array.shape, array.dtype):
            held = "is not there" if stored is None else f"is {stored.dtype} {stored.shape}"
            raise CheckpointError(f"{path}: {name} {held} and should be {array.dtype} {array.shape}")


def is_count(value: Any) -> bool:
    """Whether a value out of a file is a number of things, which any arithmetic can stand; True and 1.0 are none."""
    return type(value) is int and 0 <= value < 2**64
