"""The arrays: which library they belong to."""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from minigan.errors import DeviceError, DTypeError

#: An array of the network's library. CuPy's class has NumPy's interface, so one alias serves the type checker.
Array = np.ndarray
_MODULES: dict[type, ModuleType] = {np.ndarray: np}
_AT_HOME = frozenset({np.ndarray, type(None), int, float, np.float32, np.float64})  # on a CPU, nearly all there is


def register_array_type(array_type: type, module: ModuleType) -> None:
    """Make `array_module` answer `module` for arrays of this type (CuPy registers itself; a test may add its own)."""
    _MODULES[array_type] = module


def _module_of(array: Any) -> ModuleType | None:
    """The library that `array` belongs to, or None for a number."""
    module = _MODULES.get(type(array))
    if module is None and type(array).__module__.split(".")[0] == "cupy":
        register_array_type(type(array), cupy_itself())
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


@cache
def cupy_itself() -> ModuleType:
    import cupy  # pyright: ignore[reportMissingImports]

    return cupy
