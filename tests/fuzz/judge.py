"""What must hold of every read of damaged bytes, whatever is read: kinds of outcome, time and memory."""

from __future__ import annotations

import contextlib
import re
import resource
import signal
import tracemalloc
import warnings
from pathlib import Path

import numpy as np

from minigan.errors import MiniganError

RIGHT, ERROR, VALID = "right data", "typed error", "valid data"
MB = 1 << 20


class Violation(Exception):
    """What must never happen did."""


class Hang(BaseException):
    """A case took too long. No `except Exception` stops it."""


class Enough(Exception):
    """A run went on training for longer than a case may: what it was asked for is legitimate."""


class Meter:
    """Calls what is under test and measures it.

    Attributes: the most memory that any call took, in bytes (`most`) and as a part of its limit (`peak`).
    """

    def __init__(self):
        self.peak, self.most = 0.0, 0

    def attempt(self, honest, constant, call, *args, **options):
        """(what the call returns, None) or (None, its typed error); other errors go through.

        Raises Violation if it took more memory than twice the `honest` bytes and a `constant`, or if the error is not
        one line.
        """
        tracemalloc.reset_peak()
        before, value, error = tracemalloc.get_traced_memory()[0], None, None
        try:
            value = call(*args, **options)
        except (MiniganError, OSError) as found:
            error = found.with_traceback(None)
        used, limit = tracemalloc.get_traced_memory()[1] - before, 2 * honest + constant
        self.peak, self.most = max(self.peak, used / limit), max(self.most, used)
        if used > limit:
            raise Violation(f"{used:,} bytes of memory for {honest:,} honest ones (limit {limit:,})")
        if error is not None and (not str(error) or "\n" in str(error)):
            raise Violation(f"the error is not one line: {error!r}")
        return value, error


@contextlib.contextmanager
def watched(*, memory=None):
    """While entered memory is traced, warnings are errors, and the process can have `memory` bytes more than now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start()
    if memory:
        now = int(re.search(r"VmSize:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024
        resource.setrlimit(resource.RLIMIT_AS, (now + memory, hard))
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error")
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        if not tracing:
            tracemalloc.stop()


@contextlib.contextmanager
def within(seconds):
    """Raise Hang if what is inside takes longer."""

    def late(number, frame):
        raise Hang(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def same(a, b):
    """Whether two arrays, or two dicts of them, are the same to the bit."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    return (a.dtype, a.shape) == (b.dtype, b.shape) and a.tobytes() == b.tobytes()


def demand(condition, what):
    if not condition:
        raise Violation(what)
