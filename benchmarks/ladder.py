"""What each optimisation of a training step brought, in the order in which they were made.

    python benchmarks/ladder.py [RECIPE …]  measure, store results/ladder.json, print the table
    python benchmarks/ladder.py --table     print the table of the stored results

The first row is the code of the commit BEFORE, from a checkout of its own, and so is the one of the commit THEN, after
which elementwise work became formulas. Every other rung of the ladder is today's code with the later optimisations
undone, as the functions below undo them. All are processes that take turns in short rounds of one run; milliseconds of
a step, the least of the rounds' medians, since the machine may be slow in some.
"""

from __future__ import annotations

import minigan  # noqa: F401 # isort: skip (before NumPy, so that OpenBLAS's threads are told to sleep)

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib import import_module

import numpy as np
import turns

from minigan import backend, nn, train
from minigan.recipes import RECIPES

BEFORE, THEN = "b7f5e94", "1a7eb26"
SYSTEMS = ("flux-mlp", "pytorch-mlp", "renom-maxout", "flux-dcgan", "keras-upconv", "best", "quick-mlp")
LATER = ("best", "quick-mlp")  # than BEFORE
ROUNDS = 7


def results():
    """Imported late, as all that the code of BEFORE has not."""
    from results import Results

    return Results("ladder")


def no_memory():
    from minigan.train import trainer

    trainer.keep_memory = lambda: None


def one_core():
    from minigan.backend import threads

    threads.CORES = 1  # (and `main` lets OpenBLAS's threads spin as long as they do by themselves)


def float_draws():
    def forward(self, x, *, train, rng=None):
        if not train or self.drop == 0:
            return x, None
        scaled_mask = (rng.uniform(x.shape) >= self.drop) * x.dtype.type(1 / (1 - self.drop))
        return x * scaled_mask, scaled_mask

    nn.Dropout.forward = forward


def small_tiles():
    from minigan.nn.conv import im2col

    im2col.TILE_BYTES = 2**21


def no_waves():
    from minigan.nn.conv import fourier

    fourier.pays = lambda *_: False


def two_layers():
    RECIPES["keras-upconv"] = replace(RECIPES["keras-upconv"], merged=False)


def outer_products():
    backend.matmul = lambda a, b, out=None: np.matmul(a, b, out=out)


def not_turned():
    from minigan.nn.conv import turned

    turned.pays = lambda *_: False


def plain_sums():
    from minigan.nn import dense, norm
    from minigan.nn.conv import layers as conv
    from minigan.nn.conv import upconv

    for module in (conv, dense, norm, upconv):
        module.batch_sum = lambda x: x.reshape(-1, x.shape[-1]).sum(axis=0)


def whole_arrays():
    from minigan.backend import elementwise

    elementwise.PART = 2**40


def two_passes():
    from minigan.gan import Feeding

    Feeding.as_one = lambda self, *_: self.batching == "concat"


def no_loops():
    from minigan.backend import loops

    loops.FAST = False


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
    "sums over the batch by BLAS (`batch_sum`)": plain_sums,
    "elementwise work in parts that stay in the cache (`Elementwise`)": whole_arrays,
    "one pass of $D$ over real and fake where nothing in it mixes them (`each_alone`)": two_passes,
    "elementwise work in compiled loops (numba)": no_loops,
}
NEW = 3  # of the rungs, that came after THEN


def worker(name: str, rung: str) -> None:
    """Whenever a line arrives on standard input, time some steps and answer with the median in milliseconds.

    `rung` is a commit, whose code this is, or how many of the optimisations are not undone.
    """
    if rung not in (BEFORE, THEN):
        for undo in list(RUNGS.values())[int(rung) :]:
            undo()
    recipe = RECIPES[name]
    images = np.random.default_rng(0).integers(0, 256, (recipe.images, 28, 28), np.uint8)
    metrics = import_module({BEFORE: "minigan.train", THEN: "minigan.means"}.get(rung, "minigan.train.metrics"))
    step_metrics = train.measure if rung in (BEFORE, THEN) else metrics.step_metrics  # as that code calls it
    trainer, means = train.Trainer(recipe, images), metrics.Means()

    def step():
        means.add(step_metrics(*trainer.train_step(trainer.batches.batch(trainer.step))))

    turns.answer(name, step, idle=3, steps=12)  # there are many rungs


def rungs(name: str = "") -> dict[str, str]:
    """{what a row of the table says: the worker's rung}, of a recipe without what has none of it."""
    undone = {what: str(i + 1) for i, what in enumerate(RUNGS)}
    old, new = list(undone.items())[:-NEW], list(undone.items())[-NEW:]
    first = {} if name in LATER else {f"before (commit {BEFORE})": BEFORE}
    first["today's code with all below undone"] = "0"
    return {**first, **dict(old), f"commit {THEN}, for comparison": THEN, **dict(new)}


def climb(name: str, folder: str) -> dict[str, float]:
    """{what a row says: milliseconds}, from the code in the folder BEFORE of that folder to today's."""
    rest = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    workers = []
    for rung in rungs(name).values():
        changes = {"OPENBLAS_THREAD_TIMEOUT": "26"} if rung in (BEFORE, "0", "1") else {}
        changes |= {"PYTHONPATH": f"{folder}/{rung}"} if rung in (BEFORE, THEN) else {}
        workers.append(([sys.executable, __file__, "--worker", name, rung], {**rest, **changes}))
    times = turns.take_turns(workers, ROUNDS)
    return {what: round(min(found), 2) for what, found in zip(rungs(name), times, strict=True)}


def table() -> str:
    found = results().read()
    names = [name for name in SYSTEMS if found.get(name, {}).keys() == rungs(name).keys()]
    if not names:
        return "(not measured yet)"
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for above, what in zip([next(iter(rungs())), *rungs()], rungs(), strict=False):
        cells = []
        for name in names:
            now, before = found[name].get(what), found[name].get(above)
            if now is None:
                cells.append("–")
                continue
            changed = before is not None and abs(now / before - 1) >= 0.015
            cells.append(f"{now:.1f}" + (f" ({now / before - 1:+.0%})" if changed else ""))
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(*sys.argv[2:])
    else:
        if "--table" not in sys.argv:
            with tempfile.TemporaryDirectory() as folder:
                for commit in (BEFORE, THEN):
                    unpack = f"mkdir {folder}/{commit} && git archive {commit} minigan | tar -x -C {folder}/{commit}"
                    subprocess.run(unpack, shell=True, check=True)
                for name in sys.argv[1:] or SYSTEMS:
                    results().add(name, climb(name, folder))
        print(table())
