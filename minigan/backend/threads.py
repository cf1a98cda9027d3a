"""The cores of a CPU, and how they share large elementwise work."""

from __future__ import annotations

import os
import threading
from _thread import start_new_thread
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from functools import cache
from itertools import pairwise
from queue import SimpleQueue

import numpy as np

from minigan.backend.arrays import Array, array_module

SHARE_FROM = 2**19  # numbers; with fewer an operation is over before a sleeping thread has woken up


def cores() -> int:
    """How many threads share large work: as many as OpenBLAS uses, but one if BLAS's threads would spin meanwhile."""
    return blas_threads() if "OPENBLAS_THREAD_TIMEOUT" in os.environ else 1  # minigan sets it, before NumPy comes


def blas_threads() -> int:
    """How many threads OpenBLAS uses; 1 if NumPy has another library."""
    blas = (np.show_config(mode="dicts") or {}).get("Build Dependencies", {}).get("blas", {}).get("name", "")
    if "openblas" not in blas:
        return 1
    limit = os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS") or ""
    allowed = getattr(os, "sched_getaffinity", None)  # Linux
    available = len(allowed(0)) if allowed else os.cpu_count() or 1
    return min(int(limit), available) if limit.isdecimal() and int(limit) else available


CORES = cores()


def why_one_core() -> str:
    """Why large work has one core and not all, where the user can change that; an empty string where all is well."""
    if CORES > 1 or (threads := blas_threads()) == 1:
        return ""
    return (
        f"1 of {threads} cores does the elementwise work, since NumPy was imported before minigan: import minigan "
        "first, in a notebook after a restart of the kernel"
    )


class _Part:
    """A part of shared work. Whoever comes first does it, a thread of the pool or the caller, and nobody does it twice.

    So the caller waits for work that somebody is at, never for a thread that may not come: since all of them are
    busy, perhaps with the caller's own work, or have ended with the interpreter.
    """

    def __init__(self, work: Callable[[slice], object], part: slice):
        self.lock = threading.RLock()  # held by whoever is at work; by the caller in the end, so that nobody begins
        self.errors: list[BaseException] = []
        context = copy_context()  # which holds np.errstate
        self._work: Callable[[], object] | None = lambda: context.run(work, part)

    def do(self) -> None:
        """Do the work, unless it is done or somebody is at it."""
        if self.lock.acquire(blocking=False):
            try:
                work, self._work = self._work, None
                if work is not None:
                    work()
            except BaseException as error:  # for the caller
                self.errors.append(error)
            finally:
                self.lock.release()


@cache
def _pool() -> SimpleQueue[_Part | None]:
    """Where the pool's threads, which are started here, wait for parts to do.

    Not concurrent.futures': Ctrl-C while one of its threads starts can end in a RuntimeError of a lock's.
    """
    queue: SimpleQueue[_Part | None] = SimpleQueue()
    for _ in range(CORES - 1):
        start_new_thread(_serve, (queue,))
    return queue


def _serve(queue: SimpleQueue[_Part | None]) -> None:
    """What a thread of the pool does, until it is given None."""
    while (part := queue.get()) is not None:
        part.do()


if at_fork := getattr(os, "register_at_fork", None):  # a child has none of the threads, and starts its own
    at_fork(after_in_child=_pool.cache_clear)


def _settle(parts: Sequence[_Part]) -> None:
    """Wait until nobody is at work, and let nobody begin. An interrupt meanwhile is raised when that is so."""
    try:
        for part in parts:
            part.lock.acquire()
    except BaseException:
        _settle(parts)
        raise


def share(work: Callable[[slice], object], out: Array) -> None:
    """Let the cores fill the array `out` together: `work(part)` for slices of its first axis, one a core, at once.

    `work` must write out[part], and no other part, from inputs that nobody writes: then the number of cores changes no
    bit. NumPy lets go of Python's lock during an operation, so the operations of the parts run side by side; they must
    be long ones, though (a thread takes 50 µs to wake up), so small arrays, and those of a GPU, are filled in one part.
    It may be called anywhere: by several threads, within such work, after a fork, and while the interpreter ends. After
    an error, Ctrl-C included, some parts may be undone, but nobody writes behind the caller's back.
    """
    large = out.size >= SHARE_FROM and array_module(out) is np
    share_out(work, len(out), cores=CORES if large else 1)


def share_out(work: Callable[[slice], object], count: int, *, cores: int) -> None:
    """The same for `count` things by their numbers, such as rows, on so many cores."""
    if cores == 1:
        work(slice(0, count))
        return
    edges = [count * i // cores for i in range(cores + 1)]
    parts = [_Part(work, slice(*ends)) for ends in pairwise(edges)]
    try:
        with suppress(RuntimeError):  # no thread can be started: the interpreter is ending, or there are too many
            for part in parts[1:]:
                _pool().put(part)
        for part in parts:
            part.do()
            if part.errors:
                break
        _settle(parts)
    except BaseException:
        try:
            _settle(parts)
        finally:
            _settle(parts)  # two signals at once: the second interrupts the first's call before it has begun
        raise
    for part in parts:
        if part.errors:
            raise part.errors.pop()
