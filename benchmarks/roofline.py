"""The least time that a step can take on this machine, for step.py: its matrix products, and its bytes."""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import numpy as np

from minigan import backend
from minigan.nn import BatchNorm, Flatten, Reshape, Sequential
from minigan.train.timing import Ledger, Stepper, flops

ADAM = 28  # bytes a parameter: θ, g, m and v are read, θ, m and v are written


class Products:
    """The matrix products of a step, each shape by itself, by a library's `matmul(a, b, out=None)`.

    `counted` is Ledger.products; `array` makes the library's array of NumPy's, transposed in memory where that one is.
    """

    def __init__(self, counted: Counter, matmul: Callable[..., Any], array: Callable[[np.ndarray], Any] = np.asarray):
        self.matmul, self.operands = matmul, []
        for (a, a_transposed, b, b_transposed), count in counted.items():
            x, y = array(filled(a, a_transposed)), array(filled(b, b_transposed))
            self.operands.append((x, y, matmul(x, y), count))
        self.flops = sum(count * flops(a, b) for (a, _, b, _), count in counted.items())

    def seconds(self) -> float:
        """For all of them: the median of a shape, times how often a step has it."""
        total = 0.0
        for x, y, out, count in self.operands:
            times = [timed(lambda x=x, y=y, out=out: self.matmul(x, y, out=out)) for _ in range(min(count + 2, 12))]
            total += count * statistics.median(times)
        return total


class Roofline:
    """The products of one step of `stepper`, each shape by itself, and its bytes at the speed of a large copy."""

    def __init__(self, stepper: Stepper):
        ledger, passes = Ledger(), Passes()
        with ledger.open(), passes.open():
            stepper.step()
        self.products = Products(ledger.products, backend.matmul)
        self.bytes = passes.bytes + sum(ADAM * net.params.size for net in (stepper.trainer.G, stepper.trainer.D))
        self.source = np.ones(2**26, np.float32)  # 256 MiB
        self.target = np.empty_like(self.source)

    def measure(self) -> dict[str, float]:
        """{"products_ms", "GFLOP/s" (of these), "GB/s" (read and written), "bytes_ms"}."""
        seconds = self.products.seconds()
        copy = min(timed(lambda: backend.share(self.copy, self.target)) for _ in range(3))
        rate = 2 * self.source.nbytes / copy
        products = {"products_ms": 1e3 * seconds, "GFLOP/s": self.products.flops / seconds / 1e9}
        return {**products, "GB/s": rate / 1e9, "bytes_ms": 1e3 * self.bytes / rate}

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
