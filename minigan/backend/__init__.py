"""The arrays: which library they belong to, moving them, multiplying them, and where random numbers come from.

What is not NumPy is a row of a table (`Library`), and another library needs no more than one: `register_library`.
CuPy and dpnp are imported here alone (`cuda`, `sycl`), and only when such an array turns up or a GPU is asked for.
Layers never ask which device they are on: they take `xp = array_module(x=x)` and write NumPy.
"""

from minigan.backend import cuda, sycl  # noqa: F401 (their rows)
from minigan.backend.arrays import Array, Library, array_module, as_strided, is_number, register_library
from minigan.backend.devices import (
    describe_gpu,
    device_of,
    resolve_device,
    synchronize,
    to_device,
    to_numpy,
    why_no_gpu,
)
from minigan.backend.elementwise import Elementwise
from minigan.backend.formula import Column, Sum, Vector
from minigan.backend.loops import looped
from minigan.backend.memory import keep_memory, release_memory
from minigan.backend.products import matmul
from minigan.backend.random import STREAMS, RandomStream, key_of
from minigan.backend.threads import blas_threads, share, why_one_core

__all__ = [
    "STREAMS",
    "Array",
    "Column",
    "Elementwise",
    "Library",
    "RandomStream",
    "Sum",
    "Vector",
    "array_module",
    "as_strided",
    "blas_threads",
    "describe_gpu",
    "device_of",
    "is_number",
    "keep_memory",
    "key_of",
    "looped",
    "matmul",
    "register_library",
    "release_memory",
    "resolve_device",
    "share",
    "synchronize",
    "to_device",
    "to_numpy",
    "why_no_gpu",
    "why_one_core",
]
