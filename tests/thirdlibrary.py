"""A library that minigan has never heard of, neither NumPy nor CuPy: its row (`LIBRARY`) is all that it takes.

NumPy's arithmetic, but its arrays are of a class of their own, among which no NumPy array is taken. It has neither
`asnumpy` nor `lib.stride_tricks`, and takes dtype by its name alone, as dpnp does.
"""

from types import ModuleType

import numpy as np

from minigan.backend.arrays import Library
from minigan.backend.devices import NEEDED

POSITIONAL = {"empty": 1, "zeros": 1, "ones": 1, "full": 2}


def bare(array):
    """The NumPy array of the same memory, or a number; an array that is NumPy's own is refused."""
    if type(array) is np.ndarray and array.ndim:
        raise TypeError("a NumPy array among another library's")
    return array.view(np.ndarray) if isinstance(array, Array) else array


def own(result):
    return np.asarray(result).view(Array)


class Array(np.ndarray):
    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        if out:
            options["out"] = tuple(map(bare, out))
        with np.errstate(all="ignore"):
            result = getattr(ufunc, method)(*map(bare, inputs), **options)
        return out[0] if out else own(result)

    def __array_function__(self, function, types, args, kwargs):
        raise TypeError(f"numpy.{function.__name__} was called with another library's array")

    def __setitem__(self, key, value):
        super().__setitem__(key, bare(value))


def offer(name):
    """The library's function of that name: NumPy's. Where it writes into `out`, it returns another view of that."""

    def call(*operands, **options):
        if len(operands) > POSITIONAL.get(name, 3):
            raise TypeError(f"thirdlib.{name} takes dtype by its name alone")
        operands = ([*map(bare, operands[0])],) if name == "concatenate" else map(bare, operands)
        with np.errstate(all="ignore"):
            return own(getattr(np, name)(*operands, **{key: bare(value) for key, value in options.items()}))

    return call


thirdlib = ModuleType("thirdlib")
for name in NEEDED:
    setattr(thirdlib, name, offer(name))
thirdlib.asarray = lambda a: np.array(a).view(Array)
thirdlib.freed = 0


def free(module):
    module.freed += 1


LIBRARY = Library(
    name="Third",
    device="third",
    array="thirdlibrary.Array",
    load=lambda: thirdlib,
    asnumpy=lambda module, array: np.array(array.view(np.ndarray)),
    as_strided=lambda module, x, shape, strides: own(np.lib.stride_tricks.as_strided(bare(x), shape, strides)),
    free=free,
)
