"""How many operations does a GPU have to be asked for in a training step, and what crosses to it and back?

    python tests/hostcuda/run.py benchmarks/launches.py     count, store results/launches.json, print the table
    python benchmarks/launches.py --table                   print the table of the stored result

Counted on CuPy itself, on a driver of the tests' that counts what it and NVIDIA's libraries are asked for
(tests/hostcuda), so on any Linux machine. Beside it the same with each operation of a formula a kernel of its own, not
the formula. Steps within a row of the log, at smoke size: larger batches take some more, since the sums over a batch
are taken in blocks of rows, and a convolution cuts a large batch into parts.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from results import Results

from minigan.backend import cuda, register_library
from minigan.recipes import RECIPES
from minigan.train.timing import Stepper

RESULTS = Results("launches")
SYSTEMS = ("quick-mlp", "flux-mlp", "pytorch-mlp", "renom-maxout", "flux-dcgan", "keras-upconv")
ON_DEVICE = ("kernels", "products", "cub", "on_device", "memsets")
STEPS = 4


def count(name: str) -> dict[str, Any]:
    """{what: how often a step}, with CuPy's version."""
    asked = of_a_step(name)
    try:
        register_library(cuda.CUPY._replace(fuse=lambda *_: None))
        by_operations = of_a_step(name)
    finally:
        register_library(cuda.CUPY)
    return {"cupy": cuda.import_cupy().__version__, **asked, "by_operations": together(by_operations)}


def of_a_step(name: str) -> dict[str, float]:
    import hostcupy

    stepper = Stepper(replace(RECIPES[name].smoke(), log_every=0), device="gpu")
    for _ in range(2):  # until nothing is asked for the first time
        stepper.step()
    before = hostcupy.counts()
    for _ in range(STEPS):
        stepper.step()
    return {kind: (now - before[kind]) / STEPS for kind, now in hostcupy.counts().items()}


def together(asked: dict[str, float]) -> float:
    return sum(asked[kind] for kind in ON_DEVICE)


def table() -> str:
    lines = [
        "| recipe | kernels | products by cuBLAS | sums by CUB | copies and fills by the driver | together "
        "| each operation by itself | copies to the GPU | copies back |",
        "|---" * 9 + "|",
    ]
    for name, found in RESULTS.read().items():
        on_device = [found["kernels"], found["products"], found["cub"], found["on_device"] + found["memsets"]]
        values = [*on_device, together(found), found["by_operations"], found["to_device"], found["to_host"]]
        lines.append(f"| {name} | {' | '.join(f'{value:g}' for value in values)} |")
    return "\n".join(lines)


def version() -> str:
    """CuPy's, of the stored result."""
    return next(iter(RESULTS.read().values()))["cupy"]


if __name__ == "__main__":
    if "--table" not in sys.argv:
        for name in SYSTEMS:
            RESULTS.add(name, count(name))
    print(table())
