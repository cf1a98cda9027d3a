"""How should elementwise work be done? NumPy on whole arrays, in blocks that fit the cache, shared; and numexpr.

    python benchmarks/elementwise.py             measure, store results/elementwise.json, print the table
    python benchmarks/elementwise.py --table     print the table of the stored results

Milliseconds, medians of 40 rounds in which the ways take turns, each after a matrix product, since in a training step
OpenBLAS's threads have just been at work. `pip install numexpr` for its column.
"""

from __future__ import annotations

from minigan.backend import threads

import minigan  # noqa: F401 # isort: skip (before NumPy, so that OpenBLAS's threads are told to sleep)

import statistics
import sys
import time
from importlib.util import find_spec

import numpy as np
from results import Results

from minigan import backend

RESULTS = Results("elementwise")
BLOCK = 2**15  # numbers: 128 KiB an array
F = np.float32


def adam(theta, g, m, v, scratch):
    m *= F(0.9)
    m += np.multiply(g, F(0.1), out=scratch)
    v *= F(0.999)
    np.multiply(g, g, out=scratch)
    scratch *= F(0.001)
    v += scratch
    root = np.sqrt(v, out=scratch)
    root += F(1e-8)
    theta -= np.divide(m, root, out=scratch)


def leaky(y, x):
    np.multiply(x, F(0.2), out=y)
    np.maximum(x, y, out=y)


def leaky_backward(dx, dy, y):
    dx[...] = y > 0
    np.clip(dx, F(0.2), F(1), out=dx)
    dx *= dy


EXPRESSIONS = {  # for numexpr, whose literals would be float64
    "adam": ("m * b1 + g * c1", "v * b2 + g * g * c2", "theta - m / (sqrt(v) + eps)"),
    "leaky": ("where(x > zero, x, slope * x)",),
    "leaky_backward": ("where(y > zero, dy, slope * dy)",),
}
CONSTANTS = {"b1": 0.9, "c1": 0.1, "b2": 0.999, "c2": 0.001, "eps": 1e-8, "slope": 0.2, "zero": 0.0}
#: (name, function, the names of its arrays, size): flux-mlp's parameters, and the activations of two recipes.
WORK = (
    ("adam", adam, ("theta", "g", "m", "v", "scratch"), 1_486_352),
    ("leaky", leaky, ("y", "x"), 256 * 1024),
    ("leaky", leaky, ("y", "x"), 32 * 32 * 32 * 64),
    ("leaky_backward", leaky_backward, ("dx", "dy", "y"), 256 * 1024),
    ("leaky_backward", leaky_backward, ("dx", "dy", "y"), 32 * 32 * 32 * 64),
)


def ways(name, function, names, arrays):
    """{way: a function without arguments}."""

    def blocks():
        for start in range(0, len(arrays[0]), BLOCK):
            function(*(a[start : start + BLOCK] for a in arrays))

    found = {
        "whole": lambda: function(*arrays),
        "blocks": blocks,
        "shared": lambda: backend.share(lambda part: function(*(a[part] for a in arrays)), arrays[0]),
    }
    if find_spec("numexpr"):
        import numexpr

        numexpr.set_num_threads(threads.CORES)
        known = {**dict(zip(names, arrays, strict=True)), **{k: F(v) for k, v in CONSTANTS.items()}}
        targets = {"adam": ("m", "v", "theta"), "leaky": ("y",), "leaky_backward": ("dx",)}[name]
        steps = list(zip(EXPRESSIONS[name], targets, strict=True))

        def with_numexpr():
            for expression, target in steps:
                numexpr.evaluate(expression, local_dict=known, out=known[target])

        found["numexpr"] = with_numexpr
    return found


def measure(name, function, names, size):
    rng = np.random.default_rng(0)
    arrays = [rng.random(size, np.float32) for _ in names]
    a = rng.random((512, 512), np.float32)
    times = {way: [] for way in ways(name, function, names, arrays)}
    for _ in range(40):
        for way, run in ways(name, function, names, arrays).items():
            backend.matmul(a, a)
            began = time.perf_counter()
            run()
            times[way].append(1e3 * (time.perf_counter() - began))
    return {way: round(statistics.median(found), 3) for way, found in times.items()}


def table():
    columns = ("whole", "blocks", "shared", "numexpr")
    lines = [f"| work | {' | '.join(columns)} |", "|---" * 5 + "|"]
    for key, found in RESULTS.read().items():
        lines.append(f"| {key} | {' | '.join(str(found.get(way, '–')) for way in columns)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    if "--table" not in sys.argv:
        backend.keep_memory()
        for name, function, names, size in WORK:
            RESULTS.add(f"{name}, {size:,} numbers", measure(name, function, names, size))
    print(table())
