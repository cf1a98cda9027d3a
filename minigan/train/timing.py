"""How long a training step takes, and what it spends its time on: for `minigan bench`, and for the benchmarks.

The clock is around whole steps; for the parts it is then put around every matrix product, copy of columns, layer,
update and draw, in steps of their own, which take a little longer for it.
"""

from __future__ import annotations

import statistics
import sys
import time
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np

from minigan import backend, gan, nn, optim
from minigan.data.batches import Batches
from minigan.errors import whole
from minigan.gan import steps
from minigan.nn.conv import im2col
from minigan.recipes import Recipe
from minigan.train import metrics, trainer
from minigan.train.trainer import Trainer

PRODUCTS, COLUMNS, LAYERS = "matrix products", "im2col, col2im", "elementwise work, sums"
OPTIMISER, RANDOM, DATA, REST = "optimiser", "random numbers", "data", "Python, the rest"
PARTS = (PRODUCTS, COLUMNS, LAYERS, OPTIMISER, RANDOM, DATA, REST)


class Stepper:
    """A recipe at work on random images, as many as it trains on; `step()` is what `minigan train` does a step."""

    def __init__(self, recipe: Recipe, *, seed: int = 0, device: str = "cpu"):
        images = np.random.default_rng(seed).integers(0, 256, (recipe.images, 28, 28), np.uint8)
        self.trainer = Trainer(recipe, images, seed=seed, device=device)
        self.means = metrics.Means()

    def step(self) -> None:
        trainer = self.trainer
        self.means.add(metrics.step_metrics(*trainer.train_step(trainer.batches.batch(trainer.step))))

    def times(self, count: int) -> list[float]:
        """The milliseconds of each of `count` steps; on a GPU each has come to its end."""
        times = []
        for _ in range(count):
            began = time.perf_counter()
            self.step()
            backend.synchronize(self.trainer.G.params)
            times.append(1e3 * (time.perf_counter() - began))
        return times


class Ledger:
    """What happened in a number of steps: seconds by part, and the matrix products by shape."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.products: Counter[tuple[Any, ...]] = Counter()  # by the operands' shapes and whether they are transposed
        self._inner = [0.0]  # seconds spent in parts within the part that is running, and so on outwards

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time booked to `part`, except what goes to parts within it."""

        def call(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            self._inner.append(0.0)
            try:
                return function(*args, **kwargs)
            finally:
                seconds = time.perf_counter() - began
                self.seconds[part] += seconds - self._inner.pop()
                self._inner[-1] += seconds

        return call

    def counted(self, matmul: Callable[..., Any]) -> Callable[..., Any]:
        """The door to matrix products, with each one's shapes entered."""

        def call(a: Any, b: Any, out: Any = None) -> Any:
            self.products[(a.shape, column_major(a), b.shape, column_major(b))] += 1
            return matmul(a, b, out)

        return call

    @contextmanager
    def open(self) -> Iterator[None]:
        """Within it everything is booked."""
        with ExitStack() as stack:

            def book(part: str, owner: Any, *names: str) -> None:
                for name in names:
                    if name in vars(owner):
                        stack.enter_context(patch.object(owner, name, self.timed(part, vars(owner)[name])))

            stack.enter_context(patch.object(backend, "matmul", self.counted(backend.matmul)))
            book(PRODUCTS, backend, "matmul")
            book(COLUMNS, im2col, "im2col", "col2im")
            book(OPTIMISER, optim.Optimizer, "step")
            book(OPTIMISER, trainer, "average")
            book(RANDOM, backend.RandomStream, "__init__", "normal", "uniform", "bits")
            book(DATA, Batches, "batch")
            book(LAYERS, gan.GANLoss, "for_discriminator", "for_generator", "probability")
            book(LAYERS, steps, "mean_over_both")
            book(LAYERS, trainer, "step_metrics")
            book(LAYERS, metrics.Means, "add")
            for layer in {cls for name in nn.__all__ if isinstance(cls := getattr(nn, name), type)}:
                if issubclass(layer, nn.Layer) and layer is not nn.Layer:
                    book(LAYERS, layer, "forward", "input_grad", "param_grads", "backward", "update_buffers")
            began, booked = time.perf_counter(), self._inner[0]
            try:
                yield
            finally:
                self.seconds[REST] += time.perf_counter() - began - (self._inner[0] - booked)

    @property
    def not_products(self) -> float:
        """The share of the time that no matrix product takes."""
        return 1 - self.seconds[PRODUCTS] / sum(self.seconds.values())

    @property
    def flops(self) -> int:
        """Additions and multiplications of the matrix products."""
        return sum(count * flops(a, b) for (a, _, b, _), count in self.products.items())


def column_major(a: Any) -> bool:
    """Whether the matrix lies in memory column by column."""
    return a.strides[-1] > a.strides[-2]


def flops(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    """Of the product of arrays of these shapes: 2·M·K·N for each pair of matrices."""
    matrices = np.broadcast_shapes(a[:-2], b[:-2])
    return 2 * int(np.prod(matrices, dtype=np.int64)) * a[-2] * a[-1] * b[-1]


def booked(stepper: Stepper, count: int) -> Ledger:
    """What happens in `count` steps."""
    ledger = Ledger()
    with ledger.open():
        for _ in range(count):
            stepper.step()
            backend.synchronize(stepper.trainer.G.params)
    return ledger


def bench(recipe: Recipe, *, steps: int = 30, seed: int = 0, device: str = "cpu") -> dict[str, Any]:
    """Measure `steps` steps of a recipe, after a few that are not counted, and as many (at most 10) for the parts.

    Returns {"recipe", "device", "steps", "step_ms" (the median), "step_ms_range" (least and greatest), "epoch_s" (an
    epoch at the median), "parts_ms" (mean, by part), "gflop" (of a step's matrix products, 1e9 operations), "gflops"
    (1e9 operations a second, over the whole step), "products_gflops" (… during the products), "products" (how many a
    step), "step_mb" (memory that a step takes and gives back, at its greatest), "fresh_pages" (memory pages that the
    system handed out, a step), "peak_mb" (the process's greatest resident size so far; the last two are None where the
    system does not tell)}. MB are 2^20 bytes.
    Raises ArgumentError for fewer than 1 step.
    """
    steps = whole(steps, "steps must be a whole number, at least 1", least=1)
    stepper = Stepper(recipe, seed=seed, device=device)
    stepper.times(3)
    pages = usage("ru_minflt")
    times = stepper.times(steps)
    fresh = None if pages is None else (usage("ru_minflt") - pages) / steps
    ledger = booked(stepper, count := min(steps, 10))
    median, gflop = statistics.median(times), ledger.flops / count / 1e9
    seconds = ledger.seconds[PRODUCTS] / count
    kilobytes = usage("ru_maxrss")
    return {
        "recipe": recipe.name,
        "device": device,
        "steps": steps,
        "step_ms": round(median, 3),
        "step_ms_range": [round(min(times), 3), round(max(times), 3)],
        "epoch_s": round(median * stepper.trainer.epoch_steps / 1e3, 2),
        "parts_ms": {part: round(1e3 * ledger.seconds[part] / count, 3) for part in PARTS},
        "gflop": round(gflop, 3),
        "gflops": round(gflop / median * 1e3, 1),
        "products_gflops": round(gflop / seconds, 1),
        "products": round(sum(ledger.products.values()) / count),
        "step_mb": round(step_memory(stepper) / 2**20, 1),
        "fresh_pages": None if fresh is None else round(fresh),
        "peak_mb": None if kilobytes is None else round(kilobytes / (2**20 if sys.platform == "darwin" else 2**10)),
    }


def step_memory(stepper: Stepper) -> int:
    """The bytes of new arrays that are alive at one time within a step, at most; on a GPU, those of the host's."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        stepper.step()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def usage(field: str) -> Any:
    """A number of `getrusage`, or None on a system without it (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    return getattr(resource.getrusage(resource.RUSAGE_SELF), field)  # pyright: ignore[reportAttributeAccessIssue]
