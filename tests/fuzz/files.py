"""Targets that are one file: IDX files, and checkpoints as seen by each of the functions that read them."""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import struct

import numpy as np
from safetensors.numpy import load

from fuzz import mutations
from fuzz.judge import ERROR, MB, RIGHT, VALID, demand, same
from minigan import store
from minigan.data.idx import DTYPES, read_idx
from minigan.nn import BatchNorm, Dense, LeakyReLU, Sequential
from minigan.optim import SGD, Adam
from minigan.store.checkpoint import load_checkpoint, save_checkpoint
from minigan.store.tensors import array_facts, read_tensors

# IDX -----------------------------------------------------------------------------------------------------------------

IDX_CONSTANT = 5 * MB // 2  # a piece of 1 MB as it is read, and what gzip holds of it


class Idx:
    """`read_idx`, plain and compressed, with and without the hash that the content must have."""

    name = "idx"

    def __init__(self, folder):
        rng = np.random.default_rng(0)
        shapes = {0x08: (4, 6, 5), 0x09: (7,), 0x0B: (3, 5), 0x0C: (2, 3, 2, 2), 0x0D: (9, 2), 0x0E: (3, 1, 3)}
        arrays = [rng.integers(0, 100, shape).astype(DTYPES[code]) for code, shape in shapes.items()]
        plain = [idx(array, code) for array, code in zip(arrays, shapes, strict=True)]
        self.small = [
            *plain,
            *(gzip.compress(data, level, mtime=0) for data, level in zip(plain, (1, 9, 0) * 2, strict=True)),
        ]
        big = (
            np.resize(np.arange(251, dtype=np.uint8), (9000, 28, 28)),
            np.resize(np.arange(9.0), (400_000,)).astype(">f8"),
        )
        self.big = [idx(big[0], 0x08), idx(big[1], 0x0E), gzip.compress(idx(big[0], 0x08), 1, mtime=0)]
        self.path = folder / "x.idx"

    def case(self, rng, meter):
        original = rng.choice(self.big if rng.random() < 0.004 else self.small)
        plain = gzip.decompress(original) if is_gzip(original) else original
        how = rng.choice(("bytes", "bytes", "header", "header", "inside", "both"))
        if how == "bytes":
            data = mutations.damage(rng, original, rng.choice(self.small))
        elif how == "header":
            data = mutations.idx_header(rng, plain)
        elif how == "inside":  # a sound gzip file of damaged content
            data = gzip.compress(mutations.idx_header(rng, mutations.damage(rng, plain) + b"\0" * 8), 1)
        else:
            data = mutations.damage(rng, mutations.idx_header(rng, plain), rng.choice(self.small))
        if rng.random() < 0.01:
            data = mutations.bomb(rng, data)
        self.path.write_bytes(data)
        known = hashlib.sha256(plain).hexdigest() if rng.random() < 0.4 else None
        content = content_of(data)
        array, error = meter.attempt(max(len(data), len(content)), IDX_CONSTANT, read_idx, self.path, sha256=known)
        if error:
            return ERROR
        code, axes = content[2:4]
        shape = struct.unpack_from(f">{axes}I", content, 4)
        truth = np.dtype(DTYPES[code])
        demand(array.dtype == truth.newbyteorder("=") and array.dtype.isnative, f"{array.dtype} for {truth}")
        demand(array.shape == shape, f"shape {array.shape}, and the header says {shape}")
        demand(array.astype(truth).tobytes() == content[4 + 4 * axes :], "other elements than the file holds")
        demand(known is None or content == plain, "another content than the one of the known hash")
        return RIGHT if content == plain else VALID


def idx(array, code):
    """An IDX file of a big-endian array."""
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def is_gzip(data):
    return data[:2] == b"\x1f\x8b"


def content_of(data):
    """What can be decompressed of a file, up to one byte more than its header claims; a plain file as it is."""
    if not is_gzip(data):
        return data
    content, limit = bytearray(), 4
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            while piece := file.read(min(limit - len(content), 1 << 14)):  # of a damaged piece nothing is seen
                content += piece
                if len(content) == 4:
                    limit += 4 * content[3]
                if len(content) == 4 + 4 * content[3] and content[2] in DTYPES:
                    shape = struct.unpack_from(f">{content[3]}I", content, 4)
                    limit += math.prod(shape) * np.dtype(DTYPES[content[2]]).itemsize + 1
    except Exception:
        pass
    return bytes(content)


# Checkpoints of any networks -----------------------------------------------------------------------------------------

CONSTANT = MB // 2  # JSON, as Python objects, of headers of some kB


class Checkpoint:
    """A file of two small networks with their optimisers, and what all readers of such files have in common."""

    def __init__(self, folder):
        self.path = folder / f"{self.name}.safetensors"
        self.owners = networks(1)
        self.originals = []
        for seed in (1, 2):
            self.write(folder / "original", *networks(seed))
            self.originals.append((folder / "original").read_bytes())
        self.header, self.tensors = read_tensors_of(folder / "original", self.originals[0])

    def write(self, path, nets, optimizers):
        save_checkpoint(path, nets, optimizers, epoch=3, facts={"name": "x", "list": [1, 2.5, None, "y"]})

    def damaged(self, rng):
        """Write a damaged file; returns (its size, whether it is whole by its hashes)."""
        data, forged = damaged_checkpoint(rng, self.originals[0], self.originals[1], self.header, self.tensors)
        self.path.write_bytes(data)
        return len(data), forged


def damaged_checkpoint(rng, original, other, header, tensors):
    """(the bytes, whether their hashes are right all the same)."""
    how = rng.random()
    if how < 0.35:
        return mutations.forge(rng, {"format": 2, **header}, tensors), True
    if how < 0.45:
        return mutations.claim(rng, original), False
    if how < 0.65:
        return mutations.header(rng, original), False
    return mutations.damage(rng, original, other), False


def read_tensors_of(path, data):
    path.write_bytes(data)
    return read_tensors(path)


def networks(seed):
    """({"G", "D"}, their optimisers), which have taken a step."""
    rng = np.random.default_rng(seed)
    G = Sequential([Dense(3), BatchNorm(), LeakyReLU(slope=0.2)], (2,), rng=rng)
    D = Sequential([Dense(2)], (3,), rng=rng)
    optimizers = {"g": Adam(G, lr=0.1), "d": SGD(D, lr=0.1, momentum=0.5)}
    for net, optimizer in zip((G, D), optimizers.values(), strict=True):
        net.grads[...] = rng.standard_normal(net.grads.size)
        optimizer.step()
    return {"G": G, "D": D}, optimizers


def state(nets, optimizers):
    """All that loading could change, copied."""
    arrays = {f"{n}.{name}": a.copy() for n, o in {**nets, **optimizers}.items() for name, a in o.state().items()}
    return arrays, {n: net.version for n, net in nets.items()}, {n: o.steps for n, o in optimizers.items()}


class Tensors(Checkpoint):
    """`read_tensors`."""

    name = "tensors"

    def case(self, rng, meter):
        size, forged = self.damaged(rng)
        found, error = meter.attempt(size, CONSTANT, read_tensors, self.path)
        if error:
            return ERROR
        header, tensors = found
        if header == self.header and same(tensors, self.tensors):
            return RIGHT
        demand(forged, "another document or other arrays than were written")
        demand(type(header) is dict and same(tensors, load(self.path.read_bytes())), "not what the file holds")
        assert all(array_facts(array) for array in tensors.values())
        return VALID


class Load(Checkpoint):
    """`load_checkpoint` into networks and optimisers, which stay as they were after an error."""

    name = "checkpoint"

    def case(self, rng, meter):
        size, forged = self.damaged(rng)
        nets, optimizers = networks(5)
        if rng.random() < 0.3:
            nets, optimizers = {"G": nets["G"]}, {}
        before = state(nets, optimizers)
        header, error = meter.attempt(size, CONSTANT, load_checkpoint, self.path, nets, optimizers)
        after = state(nets, optimizers)
        if error:
            demand(same(before[0], after[0]) and before[1:] == after[1:], f"a partial load, then {error!r}")
            return ERROR
        held = load(self.path.read_bytes()) if forged else self.tensors
        demand(same(after[0], {name: held[name] for name in after[0]}), "not what the file holds")
        for optimizer in optimizers.values():
            optimizer.step()  # what has been taken for a number of steps can be counted on from
        if forged:
            return VALID
        demand(header == self.header, "another header than was written")
        return RIGHT


class Network(Checkpoint):
    """`store.load`."""

    name = "network"

    def write(self, path, nets, optimizers):
        store.save(nets["G"], path)

    def case(self, rng, meter):
        size, forged = self.damaged(rng)
        net, cast = networks(5)[0]["G"], rng.random() < 0.5
        before = state({"G": net}, {})
        _, error = meter.attempt(size, CONSTANT, store.load, net, self.path, cast=cast)
        after = state({"G": net}, {})
        if error:
            demand(same(before[0], after[0]) and before[1:] == after[1:], f"a partial load, then {error!r}")
            return ERROR
        held = load(self.path.read_bytes()) if forged else self.tensors
        held = {f"G.{name}": array.astype(net.dtype) if cast else array for name, array in held.items()}
        demand(same(after[0], held), "not what the file holds")
        return VALID if forged else RIGHT
