"""Elementwise work: a formula is written once, and run in whichever way is fastest for the arrays that it meets.

    @Elementwise
    def leaky_relu(xp, x: Array, slope: float) -> Array:
        return xp.maximum(x, slope * x)

    y = leaky_relu(x, 0.2)

The formula is plain Python that reads alike for numbers and for arrays. On NumPy it runs as it stands, on large arrays
in parts that stay in the cache. With numba installed it becomes one loop over the entries, compiled (`loops`), on a GPU
one kernel (`Library.fuse`). What its annotations mean is said in `formula`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.backend import loops, threads
from minigan.backend.arrays import Array, array_module, library_of
from minigan.backend.formula import ARRAY, NUMBER, SUM, Formula
from minigan.backend.products import batch_sum

#: Numbers in a part of the work on NumPy: five arrays of them, as Adam has, and what it makes of these fit in a cache.
PART = 2**16


class Elementwise(Formula):
    """A formula as a function of arrays and numbers, without its `xp`; the module's text says how it is written.

    Its body may hold assignments and one `return`, of arithmetic, comparisons, `abs` and functions of xp. Called with
    `out`, an array or, for several results, a tuple of them, it writes into these, which may be arguments.
    Raises ArgumentError for an annotation that is none of the four, DeviceError for arrays of two libraries.
    """

    def __call__(self, *arguments: Any, out: Any = None) -> Any:
        outs = out if out is None or isinstance(out, tuple) else (out,)
        on_numpy = type(arguments[0]) is np.ndarray
        results = loops.by_loop(self, arguments, outs) if on_numpy else None
        if results is None:
            entries = self.in_parts(arguments, outs) if on_numpy else self.whole(arguments, outs)
            pairs = zip(entries, self.results, strict=True)
            results = tuple(batch_sum(entry) if kind == SUM else entry for entry, kind in pairs)
        return results if len(self.results) > 1 else results[0]

    def whole(self, arguments: Sequence[Any], outs: Sequence[Array] | None) -> Sequence[Array]:
        """The results, not yet summed, by the formula on whole arrays of any library."""
        xp = array_module(**dict(zip(self.names, arguments, strict=True)))
        number = (arguments if outs is None else outs)[0].dtype.type
        values = [number(a) if kind == NUMBER else a for a, kind in zip(arguments, self.kinds, strict=True)]
        formula = library_of(arguments[0]).fuse(xp, self.formula)
        made = formula(xp, *values) if self.takes_xp else formula(*values)
        results = made if len(self.results) > 1 else (made,)
        for result, out in zip(results, outs or (), strict=outs is not None):
            if result is not out:
                out[...] = result
        return results if outs is None else outs

    def in_parts(self, arguments: Sequence[Any], outs: Sequence[Array] | None) -> Sequence[Array]:
        """The same on NumPy's arrays, large ones in parts, which the cores share."""
        first = arguments[0]
        arrays = [*(a for a, kind in zip(arguments, self.kinds, strict=True) if kind == ARRAY), *(outs or ())]
        if first.size < 2 * PART or not all(a.flags.c_contiguous and a.shape == first.shape for a in arrays):
            return self.whole(arguments, outs)
        outs = outs or tuple(np.empty_like(first) for _ in self.results)
        flat = (-1, first.shape[-1]) if self.by_rows else -1
        flat_arguments = [a.reshape(flat) if k == ARRAY else a for a, k in zip(arguments, self.kinds, strict=True)]
        flat_outs = [out.reshape(flat) for out in outs]
        count = len(flat_outs[0])
        at_once = max(1, PART * count // first.size)

        def work(part: slice) -> None:
            for begin in range(part.start, part.stop, at_once):
                piece = slice(begin, min(begin + at_once, part.stop))
                pieces = [a[piece] if k == ARRAY else a for a, k in zip(flat_arguments, self.kinds, strict=True)]
                self.whole(pieces, [out[piece] for out in flat_outs])

        threads.share_out(work, count, cores=threads.CORES if first.size >= threads.SHARE_FROM else 1)
        return outs
