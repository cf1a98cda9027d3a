"""The least time that a step can take on this machine, for step.py: its matrix products, and its bytes."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from unittest.mock import patch

import numpy as np

from minigan import backend
from minigan.nn import BatchNorm, Flatten, Reshape, Sequential
from minigan.train.timing import Ledger, Stepper

ADAM = 28  # bytes a parameter: θ, g, m and v are read, θ, m and v are written


class Roofline:
    """The products of one step of `stepper`, each shape by itself, and its bytes at the speed of a large copy."""

    def __init__(self, stepper: Stepper):
        ledger, passes = Ledger(), Passes()
        with ledger.open(), passes.open():
            stepper.step()
        self.products = []
        for (a, a_transposed, b, b_transposed), count in ledger.products.items():
            x, y = filled(a, a_transposed), filled(b, b_transposed)
            self.products.append((x, y, backend.matmul(x, y), count))
        self.bytes = passes.bytes + sum(ADAM * net.params.size for net in (stepper.trainer.G, stepper.trainer.D))
        self.source = np.ones(2**26, np.float32)  # 256 MiB
        self.target = np.empty_like(self.source)

    def measure(self) -> dict[str, float]:
        """{"products_ms", "GB/s" (read and written), "bytes_ms"}."""
        seconds = 0.0
        for x, y, out, count in self.products:
            times = [timed(lambda x=x, y=y, out=out: backend.matmul(x, y, out=out)) for _ in range(min(count + 2, 12))]
            seconds += count * statistics.median(times)
        copy = min(timed(lambda: backend.share(self.copy, self.target)) for _ in range(3))
        rate = 2 * self.source.nbytes / copy
        return {"products_ms": 1e3 * seconds, "GB/s": rate / 1e9, "bytes_ms": 1e3 * self.bytes / rate}

    def copy(self, part: slice) -> None:
        np.copyto(self.target[part], self.source[part])


def filled(shape: tuple[int, ...], transposed: bool) -> np.ndarray:
    """An array of that shape, its matrices column by column in memory if `transposed`."""
    if transposed:
        return np.ones((*shape[:-2], shape[-1], shape[-2]), np.float32).swapaxes(-1, -2)
    return np.ones(shape, np.float32)


def timed(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


class Passes:
    """The least bytes that the passes of a step move beside the matrix products, which are timed with their operands.

    Between two layers with weights, forward reads what the one made and writes what the other takes; BatchNorm reads it
    once more, for the statistics. Backward reads the gradient and what forward kept, and writes a gradient.
    """

    def __init__(self) -> None:
        self.bytes = 0

    def open(self) -> ExitStack:
        """Within it every pass of a network is counted."""
        forward, backward, stack = Sequential.forward, Sequential.backward, ExitStack()

        def count_forward(net, x, **options):
            self.bytes += 2 * between(net, len(x))
            return forward(net, x, **options)

        def count_backward(net, dy, cache, **options):
            self.bytes += 3 * between(net, len(dy))
            return backward(net, dy, cache, **options)

        stack.enter_context(patch.object(Sequential, "forward", count_forward))
        stack.enter_context(patch.object(Sequential, "backward", count_backward))
        return stack


def between(net: Sequential, N: int) -> int:
    """The bytes of an array for each chain of layers without weights, and half of one more for a BatchNorm."""
    total, fresh = 0, True
    for layer, shape in zip(net.layers, net.out_shapes, strict=True):
        if hasattr(layer, "W"):
            fresh = True
        elif not isinstance(layer, (Flatten, Reshape)):
            total += 4 * N * math.prod(shape) * (fresh + isinstance(layer, BatchNorm) / 2)
            fresh = False
    return int(total)
