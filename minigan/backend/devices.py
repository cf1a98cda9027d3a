"""Devices: is there a GPU that works, and moving arrays to it and back."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np

from minigan.backend import arrays
from minigan.backend.arrays import Array, Library, library_of
from minigan.errors import DeviceUnavailableError, check_choice

#: What a training step asks of a library's module by NumPy's names; a test compares it with the code.
NEEDED = (
    "add", "arange", "arccos", "asarray", "clip", "concatenate", "empty", "empty_like", "exp", "full",
    "full_like", "isfinite", "linspace", "log", "log1p", "matmul", "maximum", "moveaxis", "multiply", "ones", "sin",
    "sqrt", "tanh", "where", "zeros", "zeros_like",
)  # fmt: skip


def why_no_gpu(device: str = "gpu") -> str:
    """An empty string if the GPU works, else the reason that it does not, found by running an operation on it."""
    return _trial(arrays.LIBRARIES[device])


@cache
def _trial(library: Library) -> str:
    try:
        with warnings.catch_warnings(action="ignore"):  # what is wrong is told in one line
            xp = library.load()
        if lacking := [name for name in NEEDED if not hasattr(xp, name)]:
            version = getattr(xp, "__version__", "here")
            return f"{library.name} {version} has no {' and no '.join(lacking)}; install a newer one"
        a = xp.arange(4, dtype="float64").reshape(2, 2)
        if float((a @ a).sum()) != 22.0:
            return f"a trial product with {library.name} gave a wrong result"
    except Exception as error:  # a missing driver, library or kernel image: each layer has its own exception class
        return library.explain(error) or _one_line(library, error)
    return ""


def _one_line(library: Library, error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == library.array.split(".")[0]:
        return f"{library.name} is not installed"
    cause = error.__cause__ or error  # CuPy puts a page of advice around it
    words = " ".join(str(cause).split())
    if isinstance(error, ImportError):
        return f"{library.name} cannot be imported ({words})"
    return f"a trial product with {library.name} failed ({type(cause).__name__}: {words})"


def describe_gpu(device: str = "gpu") -> str:
    """The GPU's name and what else its library tells of it. Only where `why_no_gpu()` is empty."""
    library = arrays.LIBRARIES[device]
    return library.describe(library.load())


def resolve_device(device: str) -> tuple[str, str]:
    """Turn "auto" into "gpu" or "cpu": (the device, a line that says why "auto" chose the CPU, or "").

    Raises ArgumentError for a name that no library has, DeviceUnavailableError for a GPU that does not work.
    """
    check_choice("device", device, (*arrays.LIBRARIES, "auto"))
    chosen = "gpu" if device == "auto" else device
    reason = "" if chosen == "cpu" else why_no_gpu(chosen)
    reason += " (minigan info tells more)" if reason and chosen == "gpu" else ""
    if reason and device != "auto":
        raise DeviceUnavailableError(f"device {device!r} cannot be used: {reason}")
    return ("cpu", f"Running on the CPU: {reason}") if reason else (chosen, "")


def to_device(array: Any, device: str) -> Array:
    """The array on "cpu" (NumPy), "gpu" (CuPy) or another library's device; the same object if it is there already.

    Raises ArgumentError for a name that no library has, DeviceUnavailableError if the library cannot be imported.
    """
    check_choice("device", device, tuple(arrays.LIBRARIES))
    if device == "cpu":
        return to_numpy(array)
    library = arrays.LIBRARIES[device]
    if library_of(array) is library:
        return array
    try:
        xp = library.load()
    except ImportError as error:
        raise DeviceUnavailableError(f"device {device!r} cannot be used: {why_no_gpu(device) or error}") from error
    return xp.asarray(to_numpy(array))


def device_of(array: Array) -> str:
    """Where the array lives: "cpu", "gpu" or another library's device."""
    return library_of(array).device


def synchronize(array: Array) -> None:
    """Wait until the array's GPU has done all that it was asked to; nothing to wait for on a CPU."""
    library = library_of(array)
    library.synchronize(library.load(), array)


def to_numpy(array: Any) -> np.ndarray:
    """A NumPy array of the same values: the one edge at which pictures, files and logs take values off the GPU."""
    library = library_of(array)
    return library.asnumpy(library.load(), array)
