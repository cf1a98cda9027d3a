"""Elementwise work: a formula is written once, and run in whichever way is fastest for the arrays that it meets.

    @Elementwise
    def leaky_relu(xp, x: Array, slope: float) -> Array:
        return xp.maximum(x, slope * x)

    y = leaky_relu(x, 0.2)

The formula is plain Python that reads alike for numbers and for arrays. On NumPy it runs as it stands, on large arrays
in parts that stay in the cache. With numba installed it becomes one loop over the entries, compiled (`loops`), on a GPU
by CuPy one kernel (`kernels`). What its annotations mean is said in `formula`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.backend import loops, threads
from minigan.backend.arrays import Array, array_module, library_of
from minigan.backend.formula import ARRAY, COLUMN, SUM, Formula
from minigan.backend.products import batch_sum

#: Numbers in a part of the work on NumPy, so that what one operation leaves is in a cache when the next one reads it.
PART = 2**18  # of 2^12 to 2^18, and whole arrays, the best (benchmarks/elementwise.py)


class Elementwise(Formula):
    """A formula as a function of arrays and numbers, without its `xp`; the module's text says how it is written.

    Its body may hold assignments and one `return`, of arithmetic, comparisons (1 or 0), `abs` and functions of xp.
    Called with `out`, an array or, for several results, a tuple of them, it writes into these, which may be arguments.
    A line such as `m *= beta` writes into the argument m wherever the formula runs as it stands: name m in `out`.
    Raises ArgumentError for an annotation that is none of `formula`'s, DeviceError for arrays of two libraries.
    """

    def __call__(self, *arguments: Any, out: Any = None) -> Any:
        outs = out if out is None or isinstance(out, tuple) else (out,)
        if type(arguments[0]) is np.ndarray:
            results = loops.by_loop(self, arguments, outs) or self.in_parts(arguments, outs)
        else:
            library = library_of(arguments[0], self.names[0])
            results = library.fuse(library.load(), self, arguments, outs)
        results = results or self.whole(arguments, outs)
        return results if len(self.results) > 1 else results[0]

    def whole(self, arguments: Sequence[Any], outs: Sequence[Array] | None) -> tuple[Array, ...]:
        """The results by the formula on whole arrays, of any library."""
        xp = array_module(**dict(zip(self.names, arguments, strict=True)))
        dtype = (outs or arguments)[0].dtype
        values = [dtype.type(a) if isinstance(a, (int, float)) else a for a in arguments]
        made = self.formula(xp, *values) if self.takes_xp else self.formula(*values)
        made = made if len(self.results) > 1 else (made,)
        results, free = [], iter(outs or ())
        for result, kind in zip(made, self.results, strict=True):
            if result.dtype != dtype:  # True·0.5 is a float64
                result = result.astype(dtype)
            if kind == SUM:
                result = batch_sum(result)
            elif outs is not None and (out := next(free)) is not result:
                out[...] = result
                result = out
            results.append(result)
        return tuple(results)

    def in_parts(self, arguments: Sequence[Any], outs: Sequence[Array] | None) -> tuple[Array, ...] | None:
        """The same on large arrays of NumPy's that lie without gaps, in parts, which the cores share; else None.

        The parts are the same on any number of cores, and so are the sums of them.
        """
        first = arguments[0]
        arrays = [*(arguments[i] for i in self.arrays), *(outs or ())]
        if first.size < 2 * PART or not all(a.flags.c_contiguous and a.shape == first.shape for a in arrays):
            return None
        if any(np.ndim(arguments[i]) for i in self.numbers):
            return None
        if outs is None:
            outs = [np.empty_like(first) for kind in self.results if kind == ARRAY]
        flat = (-1, first.shape[-1]) if self.by_rows else -1
        lined_up = [a.reshape(flat) if k == ARRAY else a for a, k in zip(arguments, self.kinds, strict=True)]
        filled = [out.reshape(flat) for out in outs]
        count = len(lined_up[0])
        edges = [*range(0, count, max(1, PART * count // first.size)), count]
        parts = list(map(slice, edges, edges[1:]))
        sums = {i: np.empty((len(parts), first.shape[-1]), first.dtype) for i in self.sums}

        def work(turns: slice) -> None:
            for turn in range(turns.start, turns.stop):
                own = [a[parts[turn]] if k in (ARRAY, COLUMN) else a for a, k in zip(lined_up, self.kinds, strict=True)]
                results = self.whole(own, [out[parts[turn]] for out in filled])
                for i, total in sums.items():
                    total[turn] = results[i]

        threads.share_out(work, len(parts), cores=threads.CORES if first.size >= threads.SHARE_FROM else 1)
        made = iter(outs)
        return tuple(batch_sum(sums[i]) if i in sums else next(made) for i in range(len(self.results)))
