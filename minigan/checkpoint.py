"""Checkpoints: safetensors files, written whole or not at all, read whole or not at all.

A file holds named tensors (parameters and buffers of networks, vectors of optimisers) and a header of JSON: format
version, the SHA-256 of every tensor, the optimisers' step counts, and what the caller adds. Nothing in it is
executable. Format: https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigan.backend import Array, device_of, to_device, to_numpy
from minigan.errors import CheckpointError, MiniganError
from minigan.files import write_atomically
from minigan.nn import Sequential
from minigan.optim import Optimizer

FORMAT = 1


def save_checkpoint(
    path: str | os.PathLike[str],
    networks: Mapping[str, Sequential],
    optimizers: Mapping[str, Optimizer] | None = None,
    **header: Any,
) -> None:
    """Write networks ({"G": G, …}) under names such as "G.0.Dense.W", and optimisers ("d_optimizer.m").

    The file appears complete or not at all: it is written beside its final place, flushed to the disk and renamed.
    `header` is kept as JSON and returned by `load_checkpoint`.
    """
    from safetensors.numpy import save

    optimizers = optimizers or {}
    tensors = {f"{n}.{name}": to_numpy(a) for n, net in networks.items() for name, a in net.state().items()}
    tensors |= {f"{n}.{name}": to_numpy(a) for n, opt in optimizers.items() for name, a in opt.state().items()}
    # safetensors writes the bytes as they lie in memory, so views must be made contiguous first.
    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    hashes = {name: sha256(array) for name, array in tensors.items()}
    steps = {name: optimizer.steps for name, optimizer in optimizers.items()}
    document = json.dumps({"format": FORMAT, "sha256": hashes, "optimizer_steps": steps, **header})
    write_atomically(Path(path), save(tensors, metadata={"minigan": document}))


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
    document, tensors = _read(path)
    states = {n: {k[len(n) + 1 :]: a for k, a in tensors.items() if k.startswith(f"{n}.")} for n in networks}
    optimizers = optimizers or {}
    try:
        for n, net in networks.items():
            net.check_state(states[n])
    except MiniganError as error:
        raise CheckpointError(f"{path} does not fit this network: {error}") from None
    for n, optimizer in optimizers.items():
        stored = {name: tensors.get(f"{n}.{name}") for name in optimizer.state()}
        wrong = [name for name, vector in optimizer.state().items() if not _alike(stored[name], vector)]
        if wrong or not isinstance(document["optimizer_steps"].get(n), int):
            raise CheckpointError(f"{path} does not hold the state of {n} ({', '.join(wrong) or 'steps'})")

    for n, net in networks.items():
        net.load_state(states[n])
    for n, optimizer in optimizers.items():
        for name, vector in optimizer.state().items():
            vector[...] = to_device(tensors[f"{n}.{name}"], device_of(vector))
        optimizer.steps = document["optimizer_steps"][n]
    return document


def _alike(stored: np.ndarray | None, own: Array) -> bool:
    return stored is not None and (stored.shape, stored.dtype) == (own.shape, own.dtype)


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header (without its hashes, which are compared here) and all tensors."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            document = json.loads((file.metadata() or {}).get("minigan", "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read as a checkpoint: {error}") from None
    if (
        not isinstance(document, dict)
        or document.get("format") != FORMAT
        or not isinstance(document.get("sha256"), dict)
        or not isinstance(document.get("optimizer_steps"), dict)
    ):
        raise CheckpointError(f"{path} is not a minigan checkpoint of format {FORMAT}")
    hashes = document.pop("sha256")
    if damaged := sorted(
        n for n in tensors.keys() | hashes.keys() if n not in tensors or hashes.get(n) != sha256(tensors[n])
    ):
        raise CheckpointError(f"{path} is damaged: the hash of {', '.join(damaged)} does not match")
    return document, tensors


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()
