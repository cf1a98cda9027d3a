"""The arrays: the libraries that they may come from, a row of a table each, and which of them an array is from."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from minigan.errors import ArgumentError, DeviceError, DTypeError

#: An array of the network's library. The others' classes have NumPy's interface, so one alias serves the type checker.
Array = np.ndarray


class Library(NamedTuple):
    """What minigan asks of an array library where libraries differ; all else are NumPy's functions, by the same names.

    The functions are handed the module first, but for `load`, which imports it, and `explain`. `fuse` gives the results
    of an elementwise formula at once (`kernels.by_kernel` does), or None for what it does not take: then the library's
    functions compute it one operation after the other, as they do without a `fuse`.
    """

    name: str  # as its authors write it
    device: str  # what --device, network.to and to_device call the place of its arrays
    array: str  # package and class of its arrays, which are known by them before anything is imported
    load: Callable[[], ModuleType]
    asnumpy: Callable[[ModuleType, Any], np.ndarray] = lambda module, array: module.asnumpy(array)
    as_strided: Callable[..., Any] = lambda module, *view: module.lib.stride_tricks.as_strided(*view)
    fuse: Callable[..., Any] = lambda *_: None  # (module, Formula, its arguments, outs or None)
    synchronize: Callable[[ModuleType, Any], object] = lambda *_: None  # waits for the array's device
    free: Callable[[ModuleType], object] = lambda *_: None  # gives back what is kept for the next arrays
    describe: Callable[[ModuleType], str] = lambda module: module.__name__
    explain: Callable[[Exception], str] = lambda _: ""  # a trial's error: its cause and remedy, if the row knows


#: {device: the library whose arrays live there}
LIBRARIES: dict[str, Library] = {}
_OWNERS: dict[type, Library | None] = {}  # of the classes that have turned up
_AT_HOME = frozenset({np.ndarray, type(None), int, float, np.float32, np.float64})  # on a CPU, nearly all there is


def register_library(library: Library) -> None:
    """Compute with arrays of this library too, instead of with those of another whose device has the same name.

    Raises ArgumentError for what is no `Library`, and for a device that nobody could ask for.
    """
    if not isinstance(library, Library):
        raise ArgumentError(f"register_library takes a Library, got {library!r}")
    if not isinstance(library.device, str) or library.device in ("", "auto"):
        raise ArgumentError(f"the device of {library.name} must be a name other than 'auto', got {library.device!r}")
    if not callable(library.load):
        raise ArgumentError(f"load of {library.name} must be a function that imports it, got {library.load!r}")
    LIBRARIES[library.device] = library
    _OWNERS.clear()


register_library(Library("NumPy", "cpu", "numpy.ndarray", lambda: np, lambda numpy, array: numpy.asarray(array)))


def is_number(array: Any) -> bool:
    """Whether it goes with arrays of any library: a number, or None."""
    return array is None or isinstance(array, (int, float, np.generic))


def library_of(array: Any, name: str = "argument 0") -> Library:
    """The library that the array is from, NumPy for a number; raises DTypeError, with the name, for anything else."""
    owner = LIBRARIES["cpu"] if is_number(array) else _owner(type(array))
    if owner is None:
        raise DTypeError(f"{name} is a {type(array).__name__}, not an array; convert it with numpy.asarray({name})")
    return owner


def _owner(kind: type) -> Library | None:
    if kind not in _OWNERS:
        bases = [f"{base.__module__.split('.')[0]}.{base.__name__}" for base in kind.__mro__]  # np.memmap's, say
        _OWNERS[kind] = next((row for base in bases for row in LIBRARIES.values() if row.array == base), None)
    return _OWNERS[kind]


def libraries_in_use() -> set[Library]:
    """The libraries of the arrays that have turned up."""
    return {owner for owner in _OWNERS.values() if owner}


def array_module(*arrays: Any, **named: Any) -> ModuleType:
    """The library (the module `numpy` or `cupy`, say) that the arrays are from. Numbers and None are passed over.

    Raises DeviceError (a TypeError) that names both arguments when they belong to two libraries, and DTypeError when
    an argument is no array at all.
    """
    for array in (*arrays, *named.values()) if named else arrays:
        if type(array) not in _AT_HOME:
            break
    else:  # at a tenth of the cost of what follows
        return np
    found: tuple[str, Library] | None = None
    for name, array in [*((f"argument {i}", a) for i, a in enumerate(arrays)), *named.items()]:
        if is_number(array):
            continue
        library = library_of(array, name)
        if found is None:
            found = (name, library)
        elif library is not found[1]:
            raise DeviceError(
                f"{found[0]} is a {found[1].load().__name__} array and {name} is a {library.load().__name__} array; "
                "bring them to one device: an array with minigan.backend.to_device(array, "
                f"{found[1].device!r} or {library.device!r}), a network with network.to(…)"
            )
    return found[1].load() if found else np


def as_strided(x: Array, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """A view of x's memory of that shape, a step along axis i being strides[i] bytes; nobody checks that it is x's."""
    library = library_of(x)
    return library.as_strided(library.load(), x, shape, strides)
