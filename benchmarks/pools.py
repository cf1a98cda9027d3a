"""Whose threads, and how long may OpenBLAS's spin? Steps by OPENBLAS_THREAD_TIMEOUT, and Adam by numba's own threads.

    python benchmarks/pools.py             measure, store results/pools.json, print the tables
    python benchmarks/pools.py --table     print the tables of the stored results

Processes take turns in short rounds of one run. The first table: milliseconds of a step, medians of the rounds; after a
product OpenBLAS's threads spin for 2^t cycles. The second: microseconds of Adam on 1,486,352 numbers, each time after a
matrix product, as one loop on one core, shared by `backend.share_out`, and by numba's parallel loops on each of its
layers of threads. (Of these, workqueue ends the process when two threads call it at once, and omp a forked child.)
"""

from __future__ import annotations

import minigan  # noqa: F401 # isort: skip (before NumPy, so that OpenBLAS's threads are told to sleep)

import os
import statistics
import sys
import time

import numpy as np
import turns
from results import Results
from step import machine

from minigan import backend, optim
from minigan.backend import loops, looptext, threads
from minigan.recipes import RECIPES
from minigan.train.timing import Stepper

RESULTS = Results("pools")
SYSTEMS = ("pytorch-mlp", "flux-mlp", "best")
TIMEOUTS = ("14", "18", "22", "26")
LAYERS = ("one core", "share", "workqueue", "omp", "tbb")
ROUNDS = 9


def step(name: str) -> None:
    stepper = Stepper(RECIPES[name])
    turns.answer(name, stepper.step)


def adam(layer: str) -> None:
    """Whenever a line arrives, the median of 30 updates in microseconds; None if numba has no such layer here."""
    theta, m, v, g = np.random.default_rng(0).standard_normal((4, 1_486_352), np.float32)
    v, a = abs(v), np.ones((512, 512), np.float32)
    numbers = 0.9, 0.1, 0.999, 0.001, 2e-4, 1e-8
    if layer in ("one core", "share"):
        threads.CORES = 1 if layer == "one core" else threads.CORES

        def update() -> None:
            optim.adam_step(theta, m, v, g, *numbers, out=(theta, m, v))
    else:
        numba = loops.import_numba()
        numba.config.THREADING_LAYER = layer
        name, text = looptext.loop_text(optim.adam_step, False, (0, 1, 2))
        space = {"float32": np.float32, "sqrt": np.sqrt, "numba": numba}
        exec(text.replace("range(", "numba.prange("), space)
        loop = numba.njit(parallel=True, error_model="numpy")(space[name])

        def update() -> None:
            loop(theta, m, v, g, *numbers)

    try:
        update()
    except ValueError:  # "No threading layer could be loaded"
        update = None
    for _ in sys.stdin:
        times = []
        for _ in range(30 if update else 0):
            backend.matmul(a, a)
            began = time.perf_counter()
            update()
            times.append(1e6 * (time.perf_counter() - began))
        print(statistics.median(times) if times else "null", flush=True)


def workers(kind: str, options: tuple[str, ...], name: str = "") -> dict[str, list[float]]:
    """{option: the answers of its worker}."""
    rest = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    found = []
    for option in options:
        timeout = {"OPENBLAS_THREAD_TIMEOUT": option} if kind == "step" else {}
        argument = name if kind == "step" else option
        found.append(([sys.executable, __file__, f"--{kind}", argument], {**rest, **timeout}))
    return dict(zip(options, turns.take_turns(found, ROUNDS, pause=0.3), strict=True))


def table() -> str:
    if "adam" not in (found := RESULTS.read()):
        return "(not measured yet)"
    lines = [f"| | {' | '.join(f'2^{t}' for t in TIMEOUTS)} |", "|---" * (len(TIMEOUTS) + 1) + "|"]
    lines += [f"| `{n}` | {' | '.join(f'{found[n][t]:.2f}' for t in TIMEOUTS)} |" for n in SYSTEMS if n in found]
    lines += ["", f"| | {' | '.join(LAYERS)} |", "|---" * (len(LAYERS) + 1) + "|"]
    row = (f"{found['adam'][way]:.0f}" if found["adam"].get(way) else "not here" for way in LAYERS)
    return "\n".join([*lines, f"| Adam, µs | {' | '.join(row)} |"])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        step(sys.argv[2])
    elif sys.argv[1:2] == ["--adam"]:
        adam(sys.argv[2])
    else:
        if "--table" not in sys.argv:
            RESULTS.add("machine", machine())
            for name in SYSTEMS:
                RESULTS.add(name, {t: statistics.median(ms) for t, ms in workers("step", TIMEOUTS, name).items()})
            of_layers = workers("adam", LAYERS)
            RESULTS.add("adam", {way: statistics.median(us) if us[0] else None for way, us in of_layers.items()})
        print(table())
