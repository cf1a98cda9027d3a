"""Elementwise formulas as loops compiled by numba, where it is installed. Nothing else imports numba.

NumPy makes an array of every operation of a formula; a loop reads each entry once, does all the arithmetic on it and
writes it once (`looptext` shows how its text comes of the formula's). All of it is in float32, as NumPy's arithmetic is
on such arrays; what there is besides (float64, few numbers, functions that NumPy computes as fast) is left to NumPy.
Sums are taken over SUMMED rows at a time, one row after the other, and these then as in `batch_sum`: neither the number
of cores nor their order changes a bit. MINIGAN_FAST=0 in the environment turns the loops off.

A loop is compiled when it is first needed on a machine, which takes half a second or more, and is kept on the disk, in
a folder beside this file or else in the user's cache (NUMBA_CACHE_DIR names another). Whoever calls layers or a Trainer
waits for that without a word; `told_of_compiling` says one.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from minigan.backend import threads
from minigan.backend.arrays import LIBRARIES, Array
from minigan.backend.formula import Formula
from minigan.backend.looptext import FUNCTIONS, loop_text
from minigan.backend.products import SUMMED, batch_sum, rows

#: Numbers in an array, below which NumPy is as fast: to call a loop takes as long as some of its operations.
LEAST = 2**11
#: Numbers from which the cores share a loop: with fewer it is over before a sleeping thread has woken up.
SHARE_FROM = 2**20
#: Whether loops are used: numba is here, and nobody has turned them off.
FAST = os.environ.get("MINIGAN_FAST") != "0" and find_spec("numba") is not None
#: Numbers that an array may hold, as NumPy's dtype.char; whole ones are exact in float32 up to 2^24.
TYPES = frozenset("fBHi?")


def by_loop(work: Formula, arguments: Sequence[Any], outs: tuple[Array, ...] | None) -> tuple[Array, ...] | None:
    """The formula's results by its loop, or None where NumPy is to make them.

    A loop takes NumPy's arrays of known numbers that line up, without gaps in memory, or else with two axes. (Written
    for speed: in a small network these lines take as long as the loop.)
    """
    first = arguments[0]
    if not FAST or work.heavy or first.size < LEAST:
        return None
    shape, arrays, into = first.shape, [arguments[i] for i in work.arrays], work.fresh
    if outs is None:
        if first.dtype.char != "f":
            return None
        outs = tuple([np.empty(shape, np.float32) for _ in into])
        arrays += outs
    else:
        into = tuple([next((i for i in work.arrays if arguments[i] is out), -1) for out in outs])
        if any(out.dtype.char != "f" for out in outs):
            return None
        arrays += [out for out, i in zip(outs, into, strict=True) if i < 0]
    gaps = False
    for a in arrays:
        if type(a) is not np.ndarray or a.shape != shape or a.dtype.char not in TYPES:
            return None
        gaps = gaps or not a.flags.c_contiguous
    rest = [float(arguments[i]) for i in work.numbers]
    if work.by_rows or gaps:
        columns, vectors = [arguments[i] for i in work.columns], [arguments[i] for i in work.vectors]
        if (
            ((gaps or columns) and len(shape) != 2)
            or not fit(vectors, shape[-1:])
            or not fit(columns, (*shape[:-1], 1))
        ):
            return None
        arrays, rest = [*(a if len(shape) == 2 else rows(a) for a in arrays), *columns], [*vectors, *rest]
    else:
        arrays = [a.ravel() for a in arrays]
    key = work.by_rows or gaps, into
    loop = work.loops.get(key) or compiled(work, *key)
    if loop is None:
        return None
    cores = threads.CORES if first.size >= SHARE_FROM else 1
    if work.sums:
        return added_up(work, loop, arrays, rest, outs, cores)
    if cores == 1:
        loop(*arrays, *rest)
    else:
        threads.share_out(lambda part: loop(*[a[part] for a in arrays], *rest), len(arrays[0]), cores=cores)
    return outs


def fit(arrays: list[Any], shape: tuple[int, ...]) -> bool:
    """Whether these are float32 arrays of that shape, without gaps."""
    return all(
        type(a) is np.ndarray and a.shape == shape and a.dtype.char == "f" and a.flags.c_contiguous for a in arrays
    )


def added_up(
    work: Formula, loop: Any, arrays: list[Array], rest: list[Any], outs: tuple[Array, ...], cores: int
) -> tuple[Array, ...]:
    """The results of a formula some of which are sums: of SUMMED rows by the loop, of these by `batch_sum`."""
    blocks = -(-len(arrays[0]) // SUMMED)
    sums = [np.empty((blocks, arrays[0].shape[1]), np.float32) for _ in work.sums]

    def add(part: slice) -> None:
        batch = slice(part.start * SUMMED, part.stop * SUMMED)
        loop(*[a[batch] for a in arrays], *[s[part] for s in sums], *rest)

    threads.share_out(add, blocks, cores=min(cores, blocks))
    made, added = iter(outs), map(batch_sum, sums)
    return tuple([next(added if i in work.sums else made) for i in range(len(work.results))])


def compiled(work: Formula, by_rows: bool, into: tuple[int, ...]) -> Callable[..., None] | None:
    """The loop over arrays of this layout, made at the first call; None if the formula cannot be made one."""
    key = by_rows, into
    if key not in work.loops:
        text = None if why_no_loops() else loop_text(work, by_rows, into)
        work.loops[key] = None if text is None else compile_loop(*text)
    return work.loops[key]


def looped(function: Callable[..., None], arrays: Sequence[Any], *numbers: int) -> bool:
    """Whether function(*arrays, *numbers) was done by a loop: for work on entries that do not line up.

    `function` goes over them one by one, in plain Python, and treats the parts of the arrays' first axis alike, so that
    the cores can share them. False, and nothing done, where NumPy has to: without numba, and unless the arrays are
    NumPy's, of float32 and without gaps.
    """
    fit = all(type(a) is np.ndarray and a.dtype.char == "f" and a.flags.c_contiguous for a in arrays)
    if not FAST or not fit or why_no_loops():
        return False
    loop, cores = loop_of(function), threads.CORES if max(a.size for a in arrays) >= SHARE_FROM else 1
    threads.share_out(lambda part: loop(*[a[part] for a in arrays], *numbers), len(arrays[0]), cores=cores)
    return True


@cache
def loop_of(function: Callable[..., None]) -> Callable[..., None]:
    """The loop of a function at a module's top level, under a name that changes with its text."""
    text = inspect.getsource(function)
    name = f"{function.__name__}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return compile_loop(name, "from __future__ import annotations\n" + text.replace(function.__name__, name))


def compile_loop(name: str, text: str) -> Callable[..., None]:
    """The text compiled, at its first call; kept on the disk for the next process, where a folder can be written."""
    numba = import_numba()
    functions = {n: f if isinstance(f, np.ufunc) else numba.njit(f) for n, f in FUNCTIONS.items()}
    space: dict[str, Any] = {"__name__": __name__, "float32": np.float32, "SUMMED": SUMMED, **functions}
    exec(compile(text, __file__, "exec"), space)  # noqa: S102 (our own text; the file is where numba keeps it beside)
    options = {"nogil": True, "error_model": "numpy"}  # as NumPy divides by 0, without a check that slows the loop down
    try:
        loop = numba.njit(cache=True, **options)(space[name])
    except RuntimeError:  # there is no folder to write to
        return numba.njit(**options)(space[name])
    loop._cache._guard_against_spurious_io_errors = partial(forgiven, loop._cache)
    return loop


@contextmanager
def forgiven(kept: Any) -> Iterator[None]:
    """While entered, an error is taken for one of the disk's, which is full, or of a file there, which is damaged.

    The loop is then compiled for this process alone, or the file begun anew. (This is what numba enters whenever it
    reads or writes; by itself it forgives no more than a file that is not there.)
    """
    try:
        yield
    except OSError:
        pass
    except Exception:
        with suppress(OSError):
            kept.flush()


def why_no_loops() -> str:
    """Why elementwise work on a CPU is left to NumPy, in words; an empty string where loops do it."""
    if not FAST:
        return "MINIGAN_FAST=0" if os.environ.get("MINIGAN_FAST") == "0" else "numba is not installed"
    return why_no_numba()


@cache
def why_no_numba() -> str:
    """What numba says if it cannot be imported: of a NumPy that is too new for it, say."""
    try:
        import_numba()
    except Exception as error:  # of whatever kind: a library of its own may be missing, or broken
        return f"numba cannot be imported: {error}"
    return ""


def done_by(device: str) -> str:
    """What does the elementwise work there: a library's name, or on a CPU with loops numba's, with its version."""
    if device != "cpu" or why_no_loops():
        return LIBRARIES[device].name
    return f"numba {import_numba().__version__}"


@contextmanager
def told_of_compiling(say: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """While entered, `say` hears that loops are compiled, before the first, and in the end how many, in which time.

    What it is given sums up at once, if there is something to say. All is silent where the loops are on the disk
    already. This imports numba, which takes a third of a second.
    """
    if why_no_loops():
        yield lambda: None
        return
    from numba.core.event import Listener, install_listener  # pyright: ignore[reportMissingImports]

    class Told(Listener):
        def __init__(self) -> None:
            self.count, self.seconds, self.kept = 0, 0.0, True

        def on_start(self, event: Any) -> None:
            loop = event.data["dispatcher"]
            if loop.py_func.__module__ == __name__:  # and none of FUNCTIONS, which are compiled within
                if not self.count:
                    say("Compiling loops for the elementwise work on this machine")
                self.count, self.began = self.count + 1, time.perf_counter()
                self.kept = self.kept and loop.stats.cache_path is not None

        def on_end(self, event: Any) -> None:
            if event.data["dispatcher"].py_func.__module__ == __name__:
                self.seconds += time.perf_counter() - self.began

        def sum_up(self) -> None:
            if self.count:
                again = "once" if self.kept else "at every start, as no folder can be written (see NUMBA_CACHE_DIR)"
                say(f"{self.count} loop{'s' * (self.count > 1)} compiled, {again}: {self.seconds:.1f} s")
            self.__init__()

    with install_listener("numba:compile", told := Told()):
        yield told.sum_up
    told.sum_up()


@cache
def import_numba() -> Any:
    """numba, whose lock no child shall find taken: a fork waits until no thread compiles."""
    import numba  # pyright: ignore[reportMissingImports]
    from numba.core.compiler_lock import global_compiler_lock as lock  # pyright: ignore[reportMissingImports]

    if at_fork := getattr(os, "register_at_fork", None):
        at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return numba
