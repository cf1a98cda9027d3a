"""Every error that minigan raises on purpose.

They share the base `MiniganError`, so that the command line can turn a user's mistake into one line, and each is also
the built-in exception that Python programmers expect in its place (a bad shape is a `ValueError`, and so on).
"""

import difflib
import math
import os
from collections.abc import Iterable
from numbers import Integral, Real
from pathlib import Path


class MiniganError(Exception):
    """Base of all errors that name something the caller can put right."""


class ShapeError(MiniganError, ValueError):
    """Shapes that do not fit together."""


class DTypeError(MiniganError, TypeError):
    """An array of the wrong element type."""


class CallError(MiniganError, TypeError):
    """A call with an argument that is not taken; the message says which is."""


class UnboundLayerError(MiniganError, AttributeError):
    """The weights of a layer that is in no network: it has none."""


class DeviceError(MiniganError, TypeError):
    """Arrays of two libraries (NumPy's and CuPy's, say) in one call."""


class DeviceUnavailableError(MiniganError, RuntimeError):
    """A GPU was asked for and none works; the message says why."""


class ArgumentError(MiniganError, ValueError):
    """A hyper-parameter or an option out of its range."""


class PackageMissingError(MiniganError, ImportError):
    """An optional package that is not installed; the message says how to have it."""


class SecondOrderError(MiniganError, NotImplementedError):
    """A penalty on the gradient of a network with a layer that has no second order; the message says what to write."""


class StaleCacheError(MiniganError, RuntimeError):
    """A backward pass through weights that have changed since its forward pass."""


class OutOfMemoryError(MiniganError, MemoryError):
    """A step that does not fit into the memory; the message says which batch would."""


class DataError(MiniganError, ValueError):
    """A data set that is damaged, or that does not suit the network."""


class DataMissingError(MiniganError, FileNotFoundError):
    """A data set that is not on this machine."""


class DownloadError(MiniganError, ConnectionError):
    """A file that no mirror could deliver; the message says what each of them did."""


class DivergenceError(MiniganError, ArithmeticError):
    """A training run whose losses are no longer numbers."""


class RecipeMissingError(MiniganError, LookupError):
    """A run of a recipe of one's own, which is not defined here; the message says what to import.

    `what` says whose run it is. `source` is the file.py:NAME that it came from, and `kept` the same of the copy in the
    run's folder; None for what there is not.
    """

    def __init__(self, what: str, source: str | None, kept: str | None):
        self.what, self.source, self.kept = what, source, kept
        where = f" ({source})" if source else ""
        super().__init__(f"{what}; import the module that defines it first, or run its cell{where}")


class CheckpointError(MiniganError, ValueError):
    """A weights file that is damaged or belongs to another network."""


class RunExistsError(MiniganError, FileExistsError):
    """An output folder that already holds a run."""


class RunBusyError(MiniganError, RuntimeError):
    """A run's folder in which another process is training."""


class RunMissingError(MiniganError, FileNotFoundError):
    """A folder that was named as a run and holds none."""


class RunFolderError(MiniganError, OSError):
    """A part of a run's folder in which nothing can be written; the message says what to do about it."""


def known_name(what: str, name: str, names: Iterable[str], *, also: str = "") -> str:
    """`name` if it is one of `names`; else raise ArgumentError with the nearest, or with all of them and `also`."""
    names = list(names)
    if name in names:
        return name
    raise ArgumentError(f"unknown {what} {name!r}; {hint(name, names, also=also)}")


def hint(name: str, names: Iterable[str], *, also: str = "") -> str:
    """The nearest of `names`, in capitals or not, or where none is near all of them and `also`."""
    names = list(names)
    near = difflib.get_close_matches(name.lower(), [n.lower() for n in names], n=1)
    meant = [n for n in names if n.lower() in near]
    return f"did you mean {meant[0]}?" if meant else f"known: {', '.join(names)}{also}"


def check_choice(what: str, value: object, allowed: tuple[str, ...]) -> None:
    """Raise ArgumentError, naming the value and what is allowed, unless `value` is one of `allowed`."""
    if not isinstance(value, str) or value not in allowed:
        raise ArgumentError(f"{what} is {value!r}; it must be {' or '.join(allowed)}")


# What a caller gives for a number: NumPy's and arrays of no axes become Python's own, which a file can hold and which
# no array changes its dtype for; True and False are no numbers. `needs` begins the message.


def whole(value: object, needs: str, *, least: int | None = 0, most: int | None = None) -> int:
    """The value as an int from `least` to `most` (None: any); raises ArgumentError, "`needs`, got …", otherwise."""
    value = plain(value)
    if isinstance(value, Integral) and not isinstance(value, bool):
        found = int(value)
        if (least is None or least <= found) and (most is None or found <= most):
            return found
    raise ArgumentError(f"{needs}, got {value!r}")


def number(value: object, needs: str) -> float:
    """The value as a finite float; raises ArgumentError, "`needs`, got …", for anything else."""
    value = plain(value)
    try:
        found = math.nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)
    except OverflowError:  # a whole number beyond all floats
        found = math.inf
    if not math.isfinite(found):
        raise ArgumentError(f"{needs}, got {value!r}")
    return found


def truth(value: object, what: str) -> bool:
    """The value as a bool, which it must be; raises ArgumentError naming `what`."""
    if not isinstance(value := plain(value), bool):
        raise ArgumentError(f"{what} must be True or False, got {value!r}")
    return value


def as_path(value: object, needs: str) -> Path:
    """The value as a path; raises ArgumentError, "`needs`, got …", for what cannot be one."""
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if isinstance(text, str) and text and "\0" not in text:
        return Path(text)
    raise ArgumentError(f"{needs}, got {value!r}")


def plain(value: object) -> object:
    """A scalar of NumPy's, or an array of no axes, as Python's own number; anything else as it is."""
    if getattr(value, "shape", None) == () and callable(item := getattr(value, "item", None)):
        return item()
    return value
