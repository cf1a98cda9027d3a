"""What each optimisation of a training step brought, in the order in which they were made.

    python benchmarks/ladder.py             measure, store results/ladder.json, print the table
    python benchmarks/ladder.py --table     print the table of the stored results

Every rung of the ladder is a process with the later optimisations undone, as the functions below undo them; the
processes take turns in short rounds of one run. Milliseconds of a step, medians of the rounds.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
from results import Results

import minigan  # noqa: F401 (before NumPy: it tells OpenBLAS's threads to go to sleep)
from minigan import backend, nn, train
from minigan.bench import Stepper
from minigan.nn import conv, dense, fourier, im2col, norm, turned, upconv
from minigan.recipes import RECIPES

RESULTS = Results("ladder")
SYSTEMS = ("flux-mlp", "pytorch-mlp", "renom-maxout", "flux-dcgan", "keras-upconv")
ROUNDS = 7


def no_memory():
    train.keep_memory = lambda: None


def one_core():
    backend.CORES = 1  # (and `main` lets OpenBLAS's threads spin as long as they do by themselves)


def float_draws():
    def forward(self, x, *, train, rng=None):
        if not train or self.drop == 0:
            return x, None
        scaled_mask = (rng.uniform(x.shape) >= self.drop) * x.dtype.type(1 / (1 - self.drop))
        return x * scaled_mask, scaled_mask

    nn.Dropout.forward = forward


def small_tiles():
    im2col.TILE_BYTES = 2**21


def no_waves():
    fourier.pays = lambda *_: False


def two_layers():
    RECIPES["keras-upconv"] = replace(RECIPES["keras-upconv"], merged=False)


def outer_products():
    backend.matmul = lambda a, b, out=None: np.matmul(a, b, out=out)


def not_turned():
    turned.pays = lambda *_: False


def guessed_branches():
    def input_grad(self, dy, cache):
        return dy * np.maximum(cache > 0, cache.dtype.type(self.slope))

    nn.LeakyReLU.input_grad = input_grad


def plain_sums():
    for module in (conv, dense, norm, upconv):
        module.batch_sum = lambda x: x.reshape(-1, x.shape[-1]).sum(axis=0)


#: What was done, and what undoes it; the first rung has all of them undone.
RUNGS = {
    "freed memory is kept for the next arrays (`keep_memory`)": no_memory,
    "the cores share Adam, BatchNorm, LeakyReLU, im2col, col2im (`share`); OpenBLAS's threads sleep": one_core,
    "dropout draws 16 bits, not a float": float_draws,
    "8 MiB of columns at a time, not 2": small_tiles,
    "5×5 convolutions by waves (`fourier`)": no_waves,
    "upsampling and convolution in one (`UpsampleConv2d`)": two_layers,
    "products over one number elementwise (`matmul`)": outer_products,
    "few channels: the turned kernel (`turned`)": not_turned,
    "LeakyReLU's derivative by clipping": guessed_branches,
    "sums over the batch by BLAS (`batch_sum`)": plain_sums,
}


def worker(name: str, rung: int) -> None:
    """Whenever a line arrives on standard input, time some steps and answer with the median in milliseconds."""
    for undo in list(RUNGS.values())[rung:]:
        undo()
    stepper = Stepper(RECIPES[name])
    idle, steps = (
        (1, 4) if "dcgan" in name or "upconv" in name else (5, 40)
    )  # the first find the caches full of others'
    stepper.times(3)
    for _ in sys.stdin:
        print(statistics.median(stepper.times(idle + steps)[idle:]), flush=True)


def climb(name: str) -> list[float]:
    """The milliseconds on each rung, from nothing done to everything."""
    rest = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    processes = []
    for rung in range(len(RUNGS) + 1):
        spins = {"OPENBLAS_THREAD_TIMEOUT": "26"} if rung < 2 else {}
        command = [sys.executable, __file__, "--worker", name, str(rung)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen(command, env={**rest, **spins}, **pipes))
    times: list[list[float]] = [[] for _ in processes]
    for _ in range(ROUNDS):
        for process, found in zip(processes, times, strict=True):
            process.stdin.write("go\n")
            process.stdin.flush()
            found.append(float(process.stdout.readline()))
            time.sleep(0.1)  # until the threads of this one have stopped spinning
    for process in processes:
        process.stdin.close()
        process.wait()
    return [round(statistics.median(found), 2) for found in times]


def table() -> str:
    results = RESULTS.read()
    names = [name for name in SYSTEMS if name in results]
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for i, what in enumerate(("before", *RUNGS)):
        cells = []
        for name in names:
            now, before = results[name][i], results[name][max(i - 1, 0)]
            cells.append(f"{now:.1f}" + (f" ({now / before - 1:+.0%})" if abs(now / before - 1) >= 0.015 else ""))
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2], int(sys.argv[3]))
    else:
        if "--table" not in sys.argv:
            for name in SYSTEMS:
                RESULTS.add(name, climb(name))
        print(table())
