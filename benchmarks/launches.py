"""How many operations does a GPU have to be asked for in a training step, and what crosses to it and back?

    python benchmarks/launches.py             count, store results/launches.json, print the table
    python benchmarks/launches.py --table     print the table of the stored result

Counted on the stand-in for CuPy of the tests, so on any machine: each operation on arrays, but views, is a kernel to
launch on a GPU (or more than one, as CuPy pleases). Steps within a row of the log, at smoke size: larger batches take
some more, since the sums over a batch are taken in blocks of rows, and a convolution cuts a large batch into parts.
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


def count(name: str) -> dict[str, float]:
    """{what: how often a step}."""
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
    crossing = {"to the GPU": calls.pop("asarray", 0), "back": calls.pop("asnumpy", 0)}
    products = calls["matmul"]
    operations = sum(calls.values())
    return {k: v / STEPS for k, v in {"operations": operations, "products": products, **crossing}.items()}


def counted(calls, name, function):
    def call(*args, **options):
        what = getattr(args[0], "__name__", name) if name == "run" else name
        if what not in VIEWS:
            calls[what] += 1
        return function(*args, **options)

    return call


def table() -> str:
    lines = [
        "| recipe | operations a step | of them matrix products | copies to the GPU | copies back |",
        "|---" * 5 + "|",
    ]
    for name, found in RESULTS.read().items():
        lines.append(f"| {name} | {' | '.join(f'{value:g}' for value in found.values())} |")
    return "\n".join(lines)


if __name__ == "__main__":
    if "--table" not in sys.argv:
        for name in SYSTEMS:
            RESULTS.add(name, count(name))
    print(table())
