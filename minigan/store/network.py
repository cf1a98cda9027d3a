"""A network's weights and buffers in a file: `save` and `load`."""

from __future__ import annotations

import os

import numpy as np

from minigan.backend import to_numpy
from minigan.nn.network import Sequential
from minigan.store.tensors import read_tensors, write_tensors


def save(network: Sequential, path: str | os.PathLike[str]) -> None:
    """Write `network.state()` to a safetensors file, whole or not at all, with a hash of every array."""
    write_tensors(path, {name: to_numpy(array) for name, array in network.state().items()})


def load(network: Sequential, path: str | os.PathLike[str], *, cast: bool = False) -> None:
    """Read what `save` wrote, on whichever device, all or nothing; `cast` converts another dtype to the network's.

    Raises CheckpointError for a damaged file; ArgumentError, ShapeError or DTypeError if it is another network's.
    """
    _, state = read_tensors(path)
    if cast:
        fits = {name: np.can_cast(array.dtype, network.dtype, "same_kind") for name, array in state.items()}
        state = {name: array.astype(network.dtype) if fits[name] else array for name, array in state.items()}
    network.load_state(state)
