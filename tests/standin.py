"""Stands in for CuPy on a machine without a GPU: NumPy's arithmetic behind CuPy's refusals.

CuPy's arrays look like NumPy's, but the two are never mixed or converted unasked, a sum is an array and not a number,
and functions take fewer keywords. `cupy` below offers what minigan uses, with signatures that CuPy 13 and 14 share, so
a run on it shows that minigan asks of CuPy nothing that CuPy lacks; what minigan comes to need is added at the end, if
CuPy has it. It is stricter than CuPy, which answers np.exp(array) with cupy.exp(array): differences.py lists where. It
cannot show how CuPy rounds, or what is slow on a GPU.
"""

from types import ModuleType, SimpleNamespace

import numpy as np

from minigan.backend import arrays, loops
from minigan.backend import elementwise as formulas
from minigan.backend.cuda import CUPY

#: Its row of the table of libraries: CuPy's, but for the module and the class, and that it has no kernels.
STANDIN = CUPY._replace(array="standin.Array", load=lambda: cupy, fuse=lambda *_: None)


def install(monkeypatch, library=STANDIN):
    """Register a library, so that device "gpu" means the stand-in, until `monkeypatch` is undone.

    And let NumPy run formulas as they stand, on whole arrays: so the stand-in does, and the bits are the same.
    """
    monkeypatch.setattr(loops, "FAST", False)
    monkeypatch.setattr(formulas, "PART", 2**40)
    for table in ("LIBRARIES", "_OWNERS"):
        monkeypatch.setattr(arrays, table, dict(getattr(arrays, table)))
    arrays.register_library(library)


def host(operand):
    """The NumPy array behind one of ours, or a number as it is; another library's array is refused."""
    if isinstance(operand, Array):
        return operand._host
    if isinstance(operand, (int, float, np.generic)):
        return operand
    raise TypeError(f"Unsupported type {type(operand)}")


def run(function, *operands, out=None, **options):
    """NumPy's function of the operands, as one of our arrays."""
    if out is not None:
        options["out"] = host(out)
    with np.errstate(all="ignore"):  # a GPU warns of nothing
        result = function(*map(host, operands), **options)
    return Array(result) if out is None else out


def operators(function):
    """The methods behind a + b: `a` is ours, `b` is ours, and a += b."""
    return (
        lambda self, other: run(function, self, other),
        lambda self, other: run(function, other, self),
        lambda self, other: run(function, self, other, out=self),
    )


class Array:
    """An array "on the GPU": it holds a NumPy array, which no function outside this module gets at unasked."""

    #: NumPy's functions refuse us, and its arrays leave a + b to our methods, which refuse them.
    __array_ufunc__ = None

    def __init__(self, values):
        self._host = values = np.asarray(values)  # a number too becomes an array, without dimensions
        self.shape, self.dtype, self.ndim, self.size = values.shape, values.dtype, values.ndim, values.size

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct one.")

    def __array_function__(self, function, types, args, kwargs):
        raise TypeError(f"numpy.{function.__name__} was called with a GPU array; take the function of its own library")

    __add__, __radd__, __iadd__ = operators(np.add)
    __sub__, __rsub__, __isub__ = operators(np.subtract)
    __mul__, __rmul__, __imul__ = operators(np.multiply)
    __truediv__, __rtruediv__, __itruediv__ = operators(np.divide)
    __matmul__, __rmatmul__ = operators(np.matmul)[:2]  # CuPy has no a @= b
    __eq__, __ne__ = operators(np.equal)[0], operators(np.not_equal)[0]
    __lt__, __le__ = operators(np.less)[0], operators(np.less_equal)[0]
    __gt__, __ge__ = operators(np.greater)[0], operators(np.greater_equal)[0]

    def __neg__(self):
        return run(np.negative, self)

    def __abs__(self):
        return run(np.absolute, self)

    def __getitem__(self, key):
        key = key._host if isinstance(key, Array) else np.array(key) if isinstance(key, list) else key
        if isinstance(key, np.ndarray) and key.dtype == bool:  # which to take
            return Array(self._host[key])
        if isinstance(key, np.ndarray):  # indices; CuPy takes the host's too, and wraps those that are out of range
            return Array(self._host.take(key, axis=0, mode="wrap"))
        key = key if isinstance(key, tuple) else (key,)
        return Array(self._host[key if ... in key else (*key, ...)])  # with the dots, one entry too is a view

    def __setitem__(self, key, value):
        self._host[key] = host(value)

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        return (self[i] for i in range(len(self)))  # without dimensions: a TypeError, as len's is

    def __float__(self):
        return float(self._host)

    def __int__(self):
        return int(self._host)

    def __bool__(self):
        return bool(self._host)

    def __repr__(self):
        return repr(self._host)

    @property
    def T(self):
        return Array(self._host.T)

    @property
    def flags(self):
        return self._host.flags

    @property
    def strides(self):
        return self._host.strides

    @property
    def itemsize(self):
        return self._host.itemsize

    def reshape(self, *shape):
        return Array(self._host.reshape(*shape))

    def copy(self):
        return Array(self._host.copy())

    def swapaxes(self, axis1, axis2, /):
        return Array(self._host.swapaxes(axis1, axis2))

    def transpose(self, *axes):
        return Array(self._host.transpose(*axes))

    def astype(self, dtype, *, copy=True):
        values = self._host.astype(dtype, copy=copy)
        return self if values is self._host else Array(values)

    def sum(self, axis=None, *, out=None, keepdims=False):
        return run(np.sum, self, axis=axis, out=out, keepdims=keepdims)

    def mean(self, axis=None):
        return run(np.mean, self, axis=axis)

    def min(self):
        return run(np.min, self)

    def all(self):
        return run(np.all, self)

    def max(self, axis=None, *, keepdims=False):
        return run(np.max, self, axis=axis, keepdims=keepdims)


def asarray(a, /):
    return a if isinstance(a, Array) else Array(np.array(a))  # a copy: the GPU's memory is another


def asnumpy(a, /):
    return host(a).copy()


def concatenate(arrays, /, axis=0):
    return Array(np.concatenate([host(a) for a in arrays], axis=axis))


def full_like(a, value, /):
    return run(np.full_like, a, value)


def where(condition, x, y, /):
    return run(np.where, condition.astype(bool), x, y)  # CuPy too has no condition that is a number


def nonzero(a, /):
    return tuple(map(Array, np.nonzero(host(a))))


def empty_like(a, /):
    return run(np.full_like, a, np.nan)  # anything may be in it; NaN shows up if it is read


def empty(shape, *, dtype=float):
    return Array(np.full(shape, np.nan, dtype))


def zeros(shape, *, dtype=float):
    return Array(np.zeros(shape, dtype))


def ones(shape, *, dtype=float):
    return Array(np.ones(shape, dtype))


def full(shape, fill_value, *, dtype=None):
    if isinstance(fill_value, np.ndarray):
        raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
    return Array(np.full(shape, host(fill_value), dtype))


def as_strided(x, shape=None, strides=None):
    return run(np.lib.stride_tricks.as_strided, x, shape=shape, strides=strides)


def offer(name, *keywords):
    """Put NumPy's function of that name into the module, with no other keywords than those."""

    def call(*operands, **options):
        if unknown := options.keys() - keywords:
            raise TypeError(f"cupy.{name} does not take {', '.join(unknown)}")
        return run(getattr(np, name), *operands, **options)

    call.keywords = keywords
    setattr(cupy, name, call)


#: The module. What is not put into it is an AttributeError, as what CuPy lacks is.
cupy = ModuleType("cupy")
cupy.ndarray = Array
for function in (asarray, asnumpy, concatenate, empty_like, empty, full_like, nonzero, where, zeros, ones, full):
    setattr(cupy, function.__name__, function)
cupy.lib = SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=as_strided))
for elementwise in (
    "add",
    "arccos",
    "divide",
    "exp",
    "isfinite",
    "log",
    "log1p",
    "maximum",
    "multiply",
    "sin",
    "sqrt",
    "subtract",
    "tanh",
):
    offer(elementwise, "out", "dtype")  # NumPy's would take `where` too
offer("matmul", "out", "dtype")
offer("linspace", "dtype")
offer("clip", "out")
offer("partition", "axis")
for plain in ("moveaxis", "zeros_like"):
    offer(plain)
offer("arange", "dtype")
cupy.cuda = SimpleNamespace(
    runtime=SimpleNamespace(
        getDeviceProperties=lambda device: {"name": b"NumPy in disguise"},
        memGetInfo=lambda: (6 * 2**30, 8 * 2**30),
        runtimeGetVersion=lambda: 12040,
    )
)
