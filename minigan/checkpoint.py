"""Saving and loading networks: safetensors files, written whole or not at all, read whole or not at all.

A file holds named tensors and a header of JSON: format version, the SHA-256 of every tensor, and what the caller adds.
Nothing in it is executable. Format: https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from minigan.backend import to_numpy
from minigan.errors import CheckpointError, MiniganError
from minigan.files import write_atomically
from minigan.nn import Sequential

FORMAT = 1


def save_networks(path: str | os.PathLike[str], networks: dict[str, Sequential], **header: Any) -> None:
    """Write the parameters and buffers of the networks ({"G": G, …}) under names such as "G.0.Dense.W".

    The file appears complete or not at all: it is written beside its final place, flushed to the disk and renamed.
    `header` is kept as JSON and returned by `load_networks`.
    """
    from safetensors.numpy import save

    tensors = {f"{n}.{name}": to_numpy(a) for n, net in networks.items() for name, a in net.state().items()}
    # safetensors writes the bytes as they lie in memory, so views must be made contiguous first.
    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    hashes = {name: sha256(array) for name, array in tensors.items()}
    document = json.dumps({"format": FORMAT, "sha256": hashes, **header})
    write_atomically(Path(path), save(tensors, metadata={"minigan": document}))


def load_networks(path: str | os.PathLike[str], networks: dict[str, Sequential]) -> dict[str, Any]:
    """Copy the tensors of `path` into the networks, and return the header.

    Raises CheckpointError, before any network is touched, if the file is missing or damaged, or if a name, shape or
    dtype differs from the networks'.
    """
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
    ):
        raise CheckpointError(f"{path} is not a minigan checkpoint of format {FORMAT}")
    hashes = document.pop("sha256")
    if damaged := sorted(
        n for n in tensors.keys() | hashes.keys() if n not in tensors or hashes.get(n) != sha256(tensors[n])
    ):
        raise CheckpointError(f"{path} is damaged: the hash of {', '.join(damaged)} does not match")

    states = {n: {k[len(n) + 1 :]: a for k, a in tensors.items() if k.startswith(f"{n}.")} for n in networks}
    try:
        for n, net in networks.items():
            net.check_state(states[n])
    except MiniganError as error:
        raise CheckpointError(f"{path} does not fit this network: {error}") from None
    for n, net in networks.items():
        net.load_state(states[n])
    return document


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()
