"""Devices: is there a GPU that works, and moving arrays to it and back."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from minigan.backend import arrays
from minigan.backend.arrays import Array, array_module
from minigan.errors import DeviceUnavailableError, check_choice

DEVICES = ("cpu", "gpu", "auto")


@cache
def why_no_gpu() -> str:
    """An empty string if a GPU works, else the reason that it does not, found by running an operation on it."""
    try:
        xp = arrays.cupy_itself()
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
    runtime = arrays.cupy_itself().cuda.runtime
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
    return array if array_module(array) is not np else arrays.cupy_itself().asarray(array)


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
