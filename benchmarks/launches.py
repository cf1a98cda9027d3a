"""How many operations does a GPU have to be asked for in a training step, and what crosses to it and back?

    python tests/hostcuda/run.py benchmarks/launches.py     count, store results/launches.json, print the table
    python benchmarks/launches.py --table                   print the table of the stored result

Counted on CuPy itself, on a driver of the tests' that counts what it and NVIDIA's libraries are asked for
(tests/hostcuda), so on any Linux machine. Beside it the operations on arrays, but views, as the tests' stand-in for
CuPy sees them. Steps within a row of the log, at smoke size: larger batches take some more, since the sums over a batch
are taken in blocks of rows, and a convolution cuts a large batch into parts.
"""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from results import Results

from minigan.recipes import RECIPES
from minigan.train.timing import Stepper

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import standin

RESULTS = Results("launches")
SYSTEMS = ("quick-mlp", "flux-mlp", "pytorch-mlp", "renom-maxout", "flux-dcgan", "keras-upconv")
VIEWS = ("as_strided", "moveaxis", "swapaxes")
STEPS = 4


class Patch(ExitStack):
    """While entered, what it sets is set: as pytest's monkeypatch does, which the docs' environment has not."""

    def setattr(self, owner: Any, name: str, value: Any) -> None:
        self.enter_context(mock.patch.object(owner, name, value))


def count(name: str) -> dict[str, Any]:
    """{what: how often a step} of CuPy, with its version, and of the stand-in."""
    import cupy
    import hostcupy

    stepper = Stepper(replace(RECIPES[name].smoke(), log_every=0), device="gpu")
    for _ in range(2):  # until nothing is asked for the first time
        stepper.step()
    before = hostcupy.counts()
    for _ in range(STEPS):
        stepper.step()
    asked = {kind: (now - before[kind]) / STEPS for kind, now in hostcupy.counts().items()}
    return {"cupy": cupy.__version__, **asked, "standin": operations_of_the_stand_in(name)}


def operations_of_the_stand_in(name: str) -> float:
    """How many a step."""
    calls: Counter[str] = Counter()
    with Patch() as patch:
        standin.install(patch)
        stepper = Stepper(replace(RECIPES[name].smoke(), log_every=0), device="gpu")
        stepper.step()
        for owner in (standin, standin.cupy):
            for function in ("run", "asarray", "asnumpy", "zeros", "full"):
                if hasattr(owner, function):
                    patch.setattr(owner, function, counted(calls, function, getattr(owner, function)))
        for _ in range(STEPS):
            stepper.step()
    return (calls.total() - calls["asarray"] - calls["asnumpy"]) / STEPS


def counted(calls, name, function):
    def call(*args, **options):
        what = getattr(args[0], "__name__", name) if name == "run" else name
        if what not in VIEWS:
            calls[what] += 1
        return function(*args, **options)

    return call


def table() -> str:
    lines = [
        "| recipe | kernels | products by cuBLAS | sums by CUB | copies and fills by the driver | together "
        "| the stand-in's count | copies to the GPU | copies back |",
        "|---" * 9 + "|",
    ]
    for name, found in RESULTS.read().items():
        on_device = [found["kernels"], found["products"], found["cub"], found["on_device"] + found["memsets"]]
        values = [*on_device, sum(on_device), found["standin"], found["to_device"], found["to_host"]]
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
