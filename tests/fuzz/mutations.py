"""How a file is damaged: by the byte, in its header's numbers, in the JSON that it holds. A `random.Random` decides."""

from __future__ import annotations

import copy
import gzip
import hashlib
import json
import struct

import numpy as np

SIZES = (0, 1, 2, 3, 255, 256, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1)
LENGTHS = (*SIZES, 7, 8, 100_000_000, 100_000_001, 2**32, 10**12, 2**63 - 1, 2**63, 2**64 - 1)
DTYPES = ("F64", "F32", "F16", "BF16", "I64", "I32", "I8", "U8", "U64", "BOOL", "C64", "F8_E4M3", "F8_E5M2", "F4", "x")
DEEP, DIGITS = "@deep@", "@digits@"  # stand for what json.dumps cannot write: see `dumps`
VALUES = (
    *(None, True, False, 0, 1, 2, -1, 3.0, 0.5, -2.5, 1e12, 10**12, 2**63, 2**64, 10**30, 1e308, -1e308),
    *(float("nan"), float("inf"), float("-inf"), "", "x", "0", "never", "\0", "\ud800", "../../x", "é" * 300),
    *([], {}, [1], ["x"], [[]], [10**9, 10**9], {"x": 1}, {"step": 1}, DEEP, DIGITS),
)


# Bytes ---------------------------------------------------------------------------------------------------------------


def flip(rng, data, other):
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def put(rng, data, other):
    for _ in range(rng.choice((1, 1, 4))):
        data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, 0x0A, 0x22, 0x7B, rng.randrange(256)))


def truncate(rng, data, other):
    del data[rng.choice((0, 1, 4, 8, len(data) - 1, rng.randrange(len(data)))) :]


def extend(rng, data, other):
    data += rng.choice((b"\0", b"\n", b"\0" * 100, rng.randbytes(rng.randrange(1, 200)), bytes(data), bytes(other)))


def splice(rng, data, other):
    """The beginning of the one file and the end of another."""
    other = other or b"\0"
    data[rng.randrange(len(data)) :] = other[rng.randrange(len(other)) :]


def span(rng, data):
    start = rng.randrange(len(data))
    return start, start + rng.choice((1, 4, rng.randrange(1, 64), rng.randrange(1, len(data) + 1)))


def zero(rng, data, other):
    start, stop = span(rng, data)
    data[start:stop] = bytes(len(data[start:stop]))


def repeat(rng, data, other):
    start, stop = span(rng, data)
    data[start:start] = data[start:stop]


def cut(rng, data, other):
    start, stop = span(rng, data)
    del data[start:stop]


def swap(rng, data, other):
    (a, b), c = span(rng, data), rng.randrange(len(data))
    data[a:b], data[c : c + b - a] = data[c : c + b - a], data[a:b]


BYTES = (flip, flip, flip, put, put, truncate, truncate, extend, splice, zero, repeat, cut, swap)


def damage(rng, data, other=b""):
    """`data` after one to three of the above; `other` is a file to splice it with."""
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if damaged:
            rng.choice(BYTES)(rng, damaged, other)
    return bytes(damaged)


# IDX -----------------------------------------------------------------------------------------------------------------


def idx_header(rng, data):
    """An IDX file whose header states something else: another type, number of axes, or size of one."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2))):
        field = rng.choice(("type", "axes", "size", "size", "size"))
        if field == "type":
            data[2] = rng.choice((0x08, 0x09, 0x0B, 0x0C, 0x0D, 0x0E, 0x0A, rng.randrange(256)))
        elif field == "axes":
            data[3] = rng.choice((0, 1, 2, 3, 4, 8, 9, 255))
        else:
            struct.pack_into(
                ">I", data, 4 + 4 * rng.randrange(max(1, min(data[3], (len(data) - 4) // 4))), any_size(rng)
            )
    return bytes(data)


def any_size(rng):
    return rng.choice((*SIZES, rng.randrange(64), rng.randrange(2**32)))


def bomb(rng, data):
    """A few compressed bytes that become many, behind a header that claims less, as much, or 4,000 million images."""
    count = rng.choice((200_000, 1_000_000, 4_000_000))
    head = bytes([0, 0, 8, 3]) + struct.pack(">3I", rng.choice((1, count // 784, count, 2**32 - 1)), 28, 28)
    return gzip.compress(head + bytes(count), 1)


# JSON ----------------------------------------------------------------------------------------------------------------


def dumps(document):
    """The text of a document, with what stands for a depth or a number that no document should have put in."""
    text = json.dumps(document)
    return text.replace(f'"{DEEP}"', "[" * 20_000 + "]" * 20_000).replace(f'"{DIGITS}"', "9" * 5_000)


def places(node, above=()):
    """The path of every value in a document."""
    yield above
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from places(value, (*above, key))


def twist(rng, document, values=VALUES):
    """A copy of a document in which one to three entries are gone, of another type or size, doubled or renamed."""
    document = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        paths = list(places(document))
        # the top and its own entries are as likely as all that lies deeper
        path = rng.choice([p for p in paths if len(p) <= 1] if rng.random() < 0.5 else paths)
        if not path:
            document = copy.deepcopy(rng.choice(values)) if rng.random() < 0.1 else document
            continue
        node = document
        for key in path[:-1]:
            node = node[key]
        change(rng, node, path[-1], values)
    return document


def change(rng, node, key, values):
    how = rng.choice(("remove", "replace", "replace", "replace", "replace", "rename", "add", "type"))
    value, strange = node[key], copy.deepcopy(rng.choice(values))
    if how == "remove":
        del node[key]
    elif how == "rename" and isinstance(node, dict):
        node[rng.choice(("x", "", f"{key}s", *node))] = node.pop(key)
    elif how == "add" and isinstance(node, dict):
        node[rng.choice(("x", "last.G", "path", "seed"))] = strange
    elif how == "type" and isinstance(value, (int, float)):
        node[key] = rng.choice((float(value), bool(value), str(value), -value, value + 1, [value], value * 10**12))
    else:
        node[key] = strange


# safetensors ---------------------------------------------------------------------------------------------------------


def unpack(data):
    """(header as JSON, the bytes behind it) of a safetensors file."""
    size = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def pack(header, body):
    text = dumps(header).encode("utf-8", "surrogatepass")
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def claim(rng, data):
    """Another length of the header."""
    return struct.pack("<Q", rng.choice((*LENGTHS, rng.randrange(len(data) + 9)))) + data[8:]


def header(rng, data):
    """Another header, whose document is left alone: types, shapes and places of the tensors."""
    head, body = unpack(data)
    names = [name for name in head if name != "__metadata__"]
    if names and rng.random() < 0.5:
        entry = head[rng.choice(names)]
        count = rng.choice((0, 1, 2**31, 2**62, 10**12))
        entry[rng.choice(("dtype", "shape", "data_offsets"))] = rng.choice(
            (rng.choice(DTYPES), [count], [0, count, count], [1] * 70, [count, count + 4], [0, 0], entry["shape"][::-1])
        )
        return pack(head, body)
    return pack(twist(rng, head), body)


def seal(document, tensors):
    """A checkpoint of this document and these arrays, whose hashes are all as they should be."""
    from safetensors.numpy import save

    text = dumps(document)
    return save(tensors, metadata={"minigan": f"{hashlib.sha256(text.encode()).hexdigest()} {text}"})


def forge(rng, document, tensors):
    """A checkpoint that is whole by every hash and was never written by minigan: another document, other arrays."""
    tensors = dict(tensors)
    while rng.random() < 0.4:
        name = rng.choice(list(tensors))
        array, how = tensors[name], rng.choice(("drop", "rename", "shape", "dtype", "values", "empty", "add"))
        if how in ("drop", "rename"):
            del tensors[name]
        if how in ("rename", "add"):
            tensors[rng.choice(("last.G", "x", f"{name}s", "average.x"))] = array
        elif how == "shape":
            tensors[name] = array.reshape(rng.choice(((-1,), (1, -1), (-1, 1))))
        elif how == "dtype":
            tensors[name] = array.astype(rng.choice(("f8", "f2", "i4", "u1", "?")))
        elif how == "values":
            tensors[name] = np.full(array.shape, rng.choice((0.0, -1.0, np.nan, np.inf, 1e38))).astype(array.dtype)
        elif how == "empty":
            tensors[name] = array.ravel()[:0]
        if not tensors:
            break
    described = {
        name: {"dtype": a.dtype.str, "shape": list(a.shape), "sha256": hashlib.sha256(a.tobytes()).hexdigest()}
        for name, a in tensors.items()
    }
    document = {**document, "tensors": described}
    if rng.random() < 0.8:
        document = twist(rng, document)
    data = seal(document, tensors)
    return header(rng, data) if rng.random() < 0.1 else data
