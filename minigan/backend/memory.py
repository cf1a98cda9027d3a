"""Memory: kept for the next array, or given back."""

from __future__ import annotations

import ctypes
import gc
import os

from minigan.backend.arrays import libraries_in_use


def keep_memory() -> None:
    """Let the C library keep the memory of freed arrays for the next ones, where it can be told so (glibc).

    It would give large blocks back to the system at once, and for a new one the system hands out page after page, each
    filled with zeros first, which can take longer than the arithmetic on it.
    """
    if os.name == "posix" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of <malloc.h>
        libc.mallopt(trim_threshold, 2**31 - 1)
        libc.mallopt(mmap_threshold, 2**30)


def release_memory() -> None:
    """Let go of what nothing holds any more: arrays in cycles, and blocks that a library keeps for the next ones."""
    gc.collect()
    for library in libraries_in_use():
        library.free(library.load())
