"""How fast is elementwise work: as it stands on whole arrays, in parts of which size, and as a loop; on whose cores?

    python benchmarks/elementwise.py             measure, store results/elementwise.json, print the tables
    python benchmarks/elementwise.py --table     print the tables of the stored results

Microseconds, medians of 60 rounds in which the ways take turns, each after a matrix product, since in a training step
OpenBLAS's threads have just been at work, and the arrays are not in the cache. The formulas are minigan's own.
"""

from __future__ import annotations

import minigan  # noqa: F401 # isort: skip (before NumPy, so that OpenBLAS's threads are told to sleep)

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
from results import Results
from step import machine

from minigan import backend, optim
from minigan.backend import elementwise, loops, threads
from minigan.data import batches
from minigan.nn import activations, dense, dropout, norm, pool, spectral

RESULTS = Results("elementwise")
PARTS = (2**12, 2**14, 2**16, 2**18)  # numbers
RNG = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape, np.float32)


def work() -> dict[str, Callable[[], Any]]:
    """{what, on how many numbers: a call of a formula, as a step of some recipe makes it}."""
    theta, m, v, g = floats(4, 1_486_352)
    v = abs(v)
    x, y, features = floats(256, 1024), floats(256, 1024), floats(1024)
    draws = RNG.integers(0, 2**16, x.shape, np.uint16)
    images, others, channels = floats(128, 14, 14, 64), floats(128, 14, 14, 64), floats(64)
    pieces = floats(256, 240, 5)
    won, which = floats(256, 240), np.zeros((256, 240), np.float32)
    pixels, scaled = RNG.integers(0, 256, (128, 784), np.uint8), np.empty((128, 784), np.float32)
    W, column, row = floats(784, 512), floats(784, 1), floats(512)
    betas = 0.9, 0.1, 0.999, 0.001, 2e-4, 1e-8
    return {
        "Adam, 1,486,352": lambda: optim.adam_step(theta, m, v, g, *betas, out=(theta, m, v)),
        "bias, 256×1024": lambda: dense.add_bias(x, features, out=x),
        "LeakyReLU, 256×1024": lambda: activations.leaky_relu(x, 0.2),
        "its gradient, 256×1024": lambda: activations.leaky_relu_grad(x, y, 0.2),
        "Dropout, 256×1024": lambda: dropout.silenced(x, draws, 19661, 1.43),
        "BatchNorm's variance, 128×14×14×64": lambda: norm.squares(images, channels),
        "BatchNorm, 128×14×14×64": lambda: norm.normalised(images, channels, channels, channels, channels),
        "its sums for the gradient, 128×14×14×64": lambda: norm.gradient_sums(images, others),
        "its gradient, 128×14×14×64": lambda: norm.spread_out(images, others, channels, channels, channels),
        "Maxout, one piece, 256×240": lambda: pool.challenge(won, which, pieces[..., 1], 1, out=(won, which)),
        "pixels to numbers, 128×784": lambda: batches.shades(pixels, 255, 2, -1, out=scaled),
        "SpectralNorm's gradient, 784×512": lambda: spectral.unstretched(W, column, row, 0.5, 2.0, out=W),
        "tanh, 128×784": lambda: activations.tanh(scaled),
    }


def ways() -> dict[str, dict[str, Any]]:
    """{way: {what of `elementwise`, `loops` and `threads` is otherwise}}."""
    parts = {f"parts of 2^{size.bit_length() - 1}": {"FAST": False, "PART": size} for size in PARTS}
    found = {"whole": {"FAST": False, "PART": 2**40}, **parts, "one core": {"FAST": False, "CORES": 1}}
    if loops.FAST:
        found |= {"loop, one core": {"CORES": 1}, "loop": {}}
    return found


def measure(call: Callable[[], Any]) -> dict[str, float]:
    """{way: microseconds}."""
    a = floats(512, 512)
    owners = {"FAST": loops, "PART": elementwise, "CORES": threads}
    times: dict[str, list[float]] = {way: [] for way in ways()}
    for turn in range(63):
        for way, changes in ways().items():
            patches = [patch.object(owners[name], name, value) for name, value in changes.items()]
            for one in patches:
                one.start()
            backend.matmul(a, a)
            began = time.perf_counter()
            call()
            if turn > 2:  # until loops are compiled, threads there
                times[way].append(1e6 * (time.perf_counter() - began))
            for one in patches:
                one.stop()
    return {way: round(statistics.median(found), 1) for way, found in times.items()}


def table() -> str:
    found = RESULTS.read()
    columns = list(next(row for key, row in found.items() if key != "machine"))
    lines = [f"| work, on numbers | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for key, row in found.items():
        if key != "machine":
            lines.append(f"| {key} | {' | '.join(str(round(row[way])) if way in row else '–' for way in columns)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    if "--table" not in sys.argv:
        backend.keep_memory()
        RESULTS.add("machine", machine())
        for name, call in work().items():
            RESULTS.add(name, measure(call))
    print(table())
