"""The arrays: which library they belong to, moving them, multiplying them, and where random numbers come from.

This is the only module that may import CuPy, and it does so only when a CuPy array turns up or a GPU is asked for.
Layers never ask which device they are on: they take `xp = array_module(x=x)` and write NumPy.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import math
import os
import threading
from _thread import start_new_thread
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from functools import cache
from itertools import pairwise
from queue import SimpleQueue
from types import ModuleType
from typing import Any

import numpy as np

from minigan.errors import ArgumentError, DeviceError, DeviceUnavailableError, DTypeError, check_choice, whole

#: An array of the network's library. CuPy's class has NumPy's interface, so one alias serves the type checker.
Array = np.ndarray

DEVICES = ("cpu", "gpu", "auto")

_MODULES: dict[type, ModuleType] = {np.ndarray: np}
_AT_HOME = frozenset({np.ndarray, type(None), int, float, np.float32, np.float64})  # on a CPU, nearly all there is


def register_array_type(array_type: type, module: ModuleType) -> None:
    """Make `array_module` answer `module` for arrays of this type (CuPy registers itself; a test may add its own)."""
    _MODULES[array_type] = module


def _module_of(array: Any) -> ModuleType | None:
    """The library that `array` belongs to, or None for a number."""
    module = _MODULES.get(type(array))
    if module is None and type(array).__module__.split(".")[0] == "cupy":
        register_array_type(type(array), _cupy())
        module = _MODULES[type(array)]
    if module is None:
        module = next((m for t, m in _MODULES.items() if isinstance(array, t)), None)  # np.memmap and other subclasses
    return module


def array_module(*arrays: Any, **named: Any) -> ModuleType:
    """The library (`numpy` or `cupy`) that the given arrays belong to. Numbers and None are passed over.

    Raises DeviceError (a TypeError) that names both arguments when they belong to two libraries, and DTypeError when
    an argument is no array at all.
    """
    for array in (*arrays, *named.values()) if named else arrays:
        if type(array) not in _AT_HOME:
            break
    else:  # at a tenth of the cost of what follows
        return np
    found: tuple[str, ModuleType] | None = None
    everything = [*((f"argument {i}", a) for i, a in enumerate(arrays)), *named.items()]
    for name, array in everything:
        if array is None or isinstance(array, (int, float, np.generic)):
            continue
        module = _module_of(array)
        if module is None:
            raise DTypeError(f"{name} is a {type(array).__name__}, not an array; convert it with numpy.asarray({name})")
        if found is None:
            found = (name, module)
        elif module is not found[1]:
            raise DeviceError(
                f"{found[0]} is a {found[1].__name__} array and {name} is a {module.__name__} array; bring them to one "
                "device: an array with minigan.backend.to_device(array, 'cpu' or 'gpu'), a network with network.to(…)"
            )
    return found[1] if found else np


def matmul(a: Array, b: Array, out: Array | None = None) -> Array:
    """a @ b. Every matrix product of the library goes through this one door, so that a test can count them.

    Where the sums have one term, entry (i, j) is a[i]·b[j]: elementwise work, at which BLAS is ten times as slow.
    """
    xp = array_module(a, b, out)
    one_term = a.shape[-1:] == b.shape[-2:-1] == (1,)
    return xp.multiply(a, b, out=out) if one_term else xp.matmul(a, b, out=out)


# Cores and memory ----------------------------------------------------------------------------------------------------

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


if hasattr(os, "register_at_fork"):  # where there is fork: a child has none of the threads, and starts its own
    os.register_at_fork(after_in_child=_pool.cache_clear)


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
    if CORES == 1 or out.size < SHARE_FROM or array_module(out) is not np:
        work(slice(0, len(out)))
        return
    edges = [len(out) * i // CORES for i in range(CORES + 1)]
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


def shared(fill: Callable[..., Any], *arrays: Array) -> Array:
    """A new array, like the first one, made by fill(out, *arrays) on parts of the first axis, one a core.

    How elementwise work on large arrays is written: entry by entry, so that a part can do without the others.
    """
    out = array_module(*arrays).empty_like(arrays[0])
    share(lambda part: fill(out[part], *(array[part] for array in arrays)), out)
    return out


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
    """Let go of what nothing holds any more: arrays in cycles, and the blocks that CuPy keeps for the next ones."""
    gc.collect()
    if any(module is not np for module in _MODULES.values()):
        _cupy().get_default_memory_pool().free_all_blocks()


# Devices -------------------------------------------------------------------------------------------------------------


@cache
def _cupy() -> ModuleType:
    import cupy  # pyright: ignore[reportMissingImports]

    return cupy


@cache
def why_no_gpu() -> str:
    """An empty string if a GPU works, else the reason that it does not, found by running an operation on it."""
    try:
        xp = _cupy()
        a = xp.arange(4.0).reshape(2, 2)
        if float((a @ a).sum()) != 22.0:
            return "a trial product on the GPU gave a wrong result"
    except ModuleNotFoundError as error:
        if error.name == "cupy":
            return "CuPy is not installed"
        return f"CuPy cannot be imported ({error})"
    except ImportError as error:
        return f"CuPy cannot be imported ({error})"
    except Exception as error:  # a missing driver, library or kernel image: each CUDA layer has its own exception class
        return f"a trial product on the GPU failed ({type(error).__name__}: {error})"
    return ""


def describe_gpu() -> str:
    """The GPU's name, its free and its whole memory, and CUDA's version. Only where `why_no_gpu()` is empty."""
    runtime = _cupy().cuda.runtime
    name, (free, total) = runtime.getDeviceProperties(0)["name"].decode(), runtime.memGetInfo()
    version = runtime.runtimeGetVersion()
    return f"{name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free, CUDA {version // 1000}.{version % 1000 // 10}"


def resolve_device(device: str) -> tuple[str, str]:
    """Turn "cpu", "gpu" or "auto" into ("cpu" or "gpu", a line that says why "auto" chose the CPU, or "").

    Raises ArgumentError for another name, DeviceUnavailableError if "gpu" was asked for and does not work.
    """
    check_choice("device", device, DEVICES)
    reason = "" if device == "cpu" else why_no_gpu()
    if device == "gpu" and reason:
        raise DeviceUnavailableError(f"device 'gpu' cannot be used: {reason} (minigan info tells more)")
    if device == "auto":
        return ("cpu", f"Running on the CPU: {reason} (minigan info tells more)") if reason else ("gpu", "")
    return device, ""


def to_device(array: Any, device: str) -> Array:
    """The array on "cpu" (NumPy) or "gpu" (CuPy); the same object if it is there already."""
    check_choice("device", device, ("cpu", "gpu"))
    if device == "cpu":
        return to_numpy(array)
    return array if array_module(array) is not np else _cupy().asarray(array)


def device_of(array: Array) -> str:
    """Where the array lives: "cpu" or "gpu"."""
    return "cpu" if array_module(array) is np else "gpu"


def synchronize(array: Array) -> None:
    """Wait until the array's GPU has done all that it was asked to; nothing to wait for on a CPU."""
    if (module := array_module(array)) is not np:
        module.cuda.get_current_stream().synchronize()


def to_numpy(array: Any) -> np.ndarray:
    """A NumPy array of the same values: the one edge at which pictures, files and logs take values off the GPU."""
    module = array_module(array)
    return np.asarray(array) if module is np else module.asnumpy(array)


# Random numbers ------------------------------------------------------------------------------------------------------

STREAMS = ("init", "shuffle", "latent", "dropout", "preview", "sample", "data", "split")


@cache
def key_of(stream: str) -> int:
    """64 bits of the stream's name: adding or reordering streams changes no other stream's numbers."""
    return int.from_bytes(hashlib.sha256(stream.encode()).digest()[:8], "little")


def check_seed(seed: object, name: str = "seed") -> int:
    """The seed as an int; raises ArgumentError, with its name, for what is no whole number of 64 bits."""
    return whole(seed, f"{name} must be a whole number between 0 and 2**64 - 1", most=2**64 - 1)


class RandomStream:
    """Random draws that are a function of (seed, stream, step), made on the device of the arrays that use them.

    Philox is a counter-based generator: the key is (seed, stream) and the counter starts at the step, so there is no
    state to save, and draws of one stream cannot disturb another's. The draws are made on the host, so that CPU and
    GPU runs see the same numbers. Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """

    def __init__(self, seed: int, stream: str, step: int = 0, *, device: str = "cpu"):
        if stream not in STREAMS:
            raise ArgumentError(f"unknown random stream {stream!r}; known: {', '.join(STREAMS)}")
        seed, step = check_seed(seed), check_seed(step, "step")
        bits = np.random.Philox(key=np.array([seed, key_of(stream)], np.uint64), counter=[0, 0, step, 0])
        self.host = np.random.Generator(bits)
        self.device = device

    def normal(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        """Standard normal draws, N(0, 1)."""
        return to_device(self.host.standard_normal(shape, dtype), self.device)

    def uniform(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        """Uniform draws from [0, 1)."""
        return to_device(self.host.random(shape, dtype), self.device)

    def bits(self, shape: tuple[int, ...]) -> Array:
        """Draws from 0…65535, each as likely: uint16, at a third of the cost of `uniform`."""
        count = math.prod(shape)
        words = self.host.bit_generator.random_raw(-(-count // 4))  # 64 bits each
        return to_device(words.view(np.uint16)[:count].reshape(shape), self.device)
