"""Named arrays in a file: safetensors, written whole or not at all, read whole or not at all.

The file's header holds a JSON document, in which every array has its dtype, its shape and the SHA-256 of its bytes; and
before it the SHA-256 of the document. So no bit of what is read can have changed since it was written, and nothing in
the file can be executed. Format: https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigan.errors import CheckpointError
from minigan.store.files import write_atomically

FORMAT = 2


def write_tensors(path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray], **document: Any) -> None:
    """Write host arrays by name, and a JSON document beside them; the file appears complete or not at all."""
    from safetensors.numpy import save

    # safetensors writes the bytes as they lie in memory, so views must be made contiguous first.
    arrays = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in tensors.items()}
    described = {name: array_facts(array) for name, array in arrays.items()}
    text = json.dumps({"format": FORMAT, **document, "tensors": described})
    # one entry: safetensors writes several in any order, and the same run leaves the same bytes
    write_atomically(Path(path), save(arrays, metadata={"minigan": f"{hashed(text.encode())} {text}"}))


def read_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(the document, the arrays by name) of a file that `write_tensors` made.

    Raises CheckpointError, naming the file, if it is missing or another kind of file, or if any of it has changed.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            document, described = parse_metadata(path, file.metadata() or {})
            if names := sorted(described.keys() ^ set(file.keys())):
                raise CheckpointError(f"{path} is damaged: it should hold, or should not hold, {', '.join(names)}")
            tensors = {name: file.get_tensor(name) for name in described}
    except CheckpointError:
        raise
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint {path}") from None
    except (OSError, SafetensorError, TypeError, AttributeError, ValueError) as error:
        # the last three for a type (bfloat16) or a shape (of 70 axes) that NumPy does not have
        raise CheckpointError(f"{path} cannot be read as a checkpoint: {error}") from None
    if damaged := sorted(name for name, array in tensors.items() if array_facts(array) != described[name]):
        raise CheckpointError(f"{path} is damaged: the hash of {', '.join(damaged)} does not match")
    return document, tensors


def parse_metadata(path: str | os.PathLike[str], metadata: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The document in a file's metadata, known to be as it was written, and what it says of the tensors."""
    sha256, _, text = metadata.get("minigan", "").partition(" ")
    if len(sha256) != 64:
        raise CheckpointError(f"{path} is not a checkpoint of minigan's, of format {FORMAT}")
    if hashed(text.encode()) != sha256:
        raise CheckpointError(f"{path} is damaged: the hash of its header does not match")
    try:  # its hash is right, and still it may be somebody else's
        document = json.loads(text)
        if document.pop("format") == FORMAT:
            return document, dict(document.pop("tensors"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise CheckpointError(f"{path} is not of format {FORMAT}, which this version of minigan reads")


def array_facts(array: np.ndarray) -> dict[str, Any]:
    """What a file says of an array, and what must be true of it when it is read."""
    return {"dtype": array.dtype.str, "shape": list(array.shape), "sha256": hashed(array)}


def hashed(data: bytes | np.ndarray) -> str:
    """The SHA-256 of some bytes, or of those of a contiguous array, without a copy."""
    return hashlib.sha256(data if isinstance(data, bytes) else data.reshape(-1).view(np.uint8).data).hexdigest()
