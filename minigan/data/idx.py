"""The IDX file format, in which MNIST is published.

A file is: two zero bytes, one byte for the element type, one byte for the number of axes, each axis's length as a
big-endian 32-bit integer, then the elements in C order. Source: LeCun, Cortes & Burges, "The MNIST database".
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from minigan.errors import DataError

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_AXES = 8


def read_idx(path: str | os.PathLike[str], *, sha256: str | None = None) -> np.ndarray:
    """The array in an IDX file, plain or gzip-compressed (told by its first bytes, not by its name).

    `sha256`, if given, is that of the uncompressed content. Memory stays near the file's own size whatever its header
    claims, since only as many bytes as there are get read, and nothing is copied.
    Raises DataError, naming the file, if it is empty, no IDX file, truncated, longer than its header says, damaged in
    its compression, or of another hash.
    """
    path = Path(path)
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            if not compressed:
                return _parse(file, path, sha256)
            with gzip.open(file) as content:
                return _parse(content, path, sha256)  # pyright: ignore[reportArgumentType]
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{path} is damaged: its gzip data cannot be read ({error}); fetch it again") from None


def _parse(content: BinaryIO, path: Path, sha256: str | None) -> np.ndarray:
    head = content.read(4)
    if not head:
        raise DataError(f"{path} is empty; fetch it again")
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in DTYPES or not 1 <= head[3] <= MAX_AXES:
        looks = "it looks like a web page" if head.lstrip()[:1] == b"<" else f"it begins with {head!r}"
        raise DataError(f"{path} is not an IDX file: {looks}; fetch it again")
    dtype, axes = np.dtype(DTYPES[head[2]]), head[3]
    sizes = content.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise DataError(f"{path} is truncated in its header; fetch it again")
    shape = struct.unpack(f">{axes}I", sizes)
    if 0 in shape:
        raise DataError(f"{path} holds nothing: its header says shape {shape}")
    claimed = math.prod(shape) * dtype.itemsize
    data = _read(content, claimed + 1)  # one more, to notice what the header does not account for
    if len(data) != claimed:
        problem = "is truncated" if len(data) < claimed else "goes on after its data"
        found = f"{len(data):,}" if len(data) < claimed else f"more than {claimed:,}"
        raise DataError(f"{path} {problem}: its header says {claimed:,} bytes of data and there are {found}")
    if sha256 is not None:
        hashed = hashlib.sha256(head + sizes)
        hashed.update(data)
        if (actual := hashed.hexdigest()) != sha256:
            raise DataError(f"{path} has the wrong content: SHA-256 {actual}, expected {sha256}; fetch it again")
    array = np.frombuffer(data, dtype).reshape(shape)
    return array if dtype.isnative else array.byteswap(inplace=True).view(dtype.newbyteorder("="))


def _read(content: BinaryIO, size: int) -> bytearray:
    """At most `size` bytes. A piece at a time, because read(size) sets aside memory for `size` before it looks."""
    data = bytearray()
    while piece := content.read(min(size - len(data), 1 << 20)):
        data += piece
    return data
