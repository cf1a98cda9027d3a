"""One door for everything that has a gradient: `check_gradients(target, …)`, and `assert_gradients` for tests."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from importlib.abc import SourceLoader
from pathlib import Path
from typing import Any

import numpy as np

import minigan
from minigan.errors import ArgumentError, nearest
from minigan.gradcheck.games import check_recipe
from minigan.gradcheck.report import Report
from minigan.gradcheck.targets import check_layer, check_loss, check_network, check_pair
from minigan.nn import Layer, Sequential
from minigan.recipes import Recipe


def check_gradients(
    target: Any,
    *arrays: Any,
    in_shape: tuple[int, ...] | None = None,
    batch: int | None = None,
    seed: int = 0,
    **options: Any,
) -> list[Report]:
    """Check whatever `target` is; the reports, of which each is true if it passed.

    - a `Layer`, on inputs of `in_shape` (without the batch axis), or a `Sequential`: in training and at inference;
    - a pair `(forward, backward)` at `arrays`, or `(forward, backward, *arrays)`: see `check_pair`;
    - a loss, a function `x -> (value, gradient)`, at one array;
    - a `Recipe`: both steps of the game, at the size of the recipe;
    - a class, or a function without arguments, that makes one of these.

    A pair or a loss without arrays is checked at a random (batch, *in_shape) between 0.05 and 0.95, where probabilities
    lie. `batch` is 5, or for a recipe 4, unless given. `seed` decides every draw. Other options: as `compare`.
    Raises ArgumentError for anything else, or if `in_shape` or arrays are missing.
    """
    if isinstance(target, type) or (is_function(target) and not arrays and not required(target)):
        target = target()
    __tracebackhide__ = True
    if seed < 0 or (batch is not None and batch < 1):
        raise ArgumentError(f"seed must not be negative and batch at least 1, got seed {seed} and batch {batch}")
    options["seed"] = seed
    if isinstance(target, Recipe):
        return check_recipe(target, batch=batch or 4, **options)
    batch = batch or 5
    if isinstance(target, Layer):
        if in_shape is None:
            raise ArgumentError(f"{target!r} needs in_shape, its input's shape without the batch: (4,) (--in-shape 4)")
        return [check_layer(target, in_shape, train=train, batch=batch, **options) for train in (True, False)]
    if isinstance(target, Sequential):
        return [check_network(target, train=train, batch=batch, **options) for train in (True, False)]
    pair = isinstance(target, (tuple, list)) and len(target) >= 2 and all(map(is_function, target[:2]))
    if not pair and not is_function(target):
        raise ArgumentError(
            f"a {type(target).__name__} cannot be checked; give a layer (one that inherits from minigan.nn.Layer), a "
            "network, a recipe, a loss x -> (value, gradient) or a pair (forward, backward)"
        )
    arrays = (*target[2:], *arrays) if pair else arrays
    if not arrays:
        if in_shape is None:
            raise ArgumentError("a function is checked at an array: give it, or in_shape, such as (4,) (--in-shape 4)")
        arrays = (np.random.default_rng([seed, 1]).uniform(0.05, 0.95, (batch, *in_shape)),)
    if pair:
        return [check_pair(*target[:2], *arrays, **options)]
    if len(arrays) > 1:
        raise ArgumentError("a loss is checked at one array; close over the others: lambda x: loss(x, labels)")
    loss: Any = target
    return [check_loss(loss, next(iter(arrays)), **options)]


def assert_gradients(target: Any, *arrays: Any, **options: Any) -> list[Report]:
    """Raise AssertionError with the report unless every gradient of `target` is right. As `check_gradients`."""
    __tracebackhide__ = True  # pytest then points at the line of the test
    reports = check_gradients(target, *arrays, **options)
    if failed := [str(report) for report in reports if not report]:
        raise AssertionError("\n\n".join(failed))
    return reports


def is_function(target: Any) -> bool:
    return callable(target) and not isinstance(target, (Layer, Sequential))


def required(function: Callable[..., Any]) -> list[str]:
    """The names of the arguments that a call must give."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.default is p.empty and p.kind in kinds]


def load(what: str) -> Any:
    """What "module:NAME" or "file.py:NAME" names. Raises ArgumentError, in one line, if it cannot be had."""
    source, _, name = what.rpartition(":")
    if not source or not name or name.endswith(".py"):  # the last of C:\\own.py, without a name
        raise ArgumentError(f"{what!r} names nothing to check; write a recipe, module:NAME or file.py:NAME")
    try:
        module = load_file(Path(source)) if source.endswith(".py") else import_from_here(source)
    except FileNotFoundError:
        raise ArgumentError(f"there is no file {source}") from None
    except (Exception, SystemExit) as error:  # whatever the user's file does when it is imported
        part = "relative import" in str(error) and not is_in_run(Path(source))
        hint = place(error) + (in_package(Path(source)) if part else "")
        raise ArgumentError(f"{source} cannot be imported: {type(error).__name__}: {error}{hint}") from None
    return getattr(module, nearest(f"name in {source}", name, [n for n in vars(module) if not n.startswith("_")]))


def place(error: BaseException) -> str:
    """The innermost line of an error's traceback that is the user's, as " (file.py, line 3)", or "" if none is."""
    library = tuple(str(Path(module.__file__ or "").parent) for module in (minigan, np, importlib))
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith((*library, "<"))]
    frames = [f for f in frames if Path(f.filename).name not in ("minigan", "__main__.py")]  # the command itself
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


def load_file(path: Path) -> Any:
    """The module in a file, run anew, as `python FILE` would run it: it finds what lies beside it, now and later.

    But not beside the copy of a recipe in a run's folder: nobody has looked at what else lies there.
    """
    path = path.resolve(strict=True)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or not isinstance(spec.loader, SourceLoader):
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    if not is_in_run(path):
        look_first_in(str(path.parent))
    taken = sys.modules.get(path.stem)
    if taken is None or getattr(taken, "__file__", None) == str(path):  # no other module is robbed of its name
        sys.modules[path.stem] = module  # dataclasses, and whatever lies beside it, look a module up by its name
    try:
        # The text itself: in __pycache__ may lie what was made of another one.
        exec(spec.loader.source_to_code(path.read_bytes(), str(path)), vars(module))  # noqa: S102
    except BaseException:
        if sys.modules.get(path.stem) is module:
            del sys.modules[path.stem]
        raise
    return module


def is_in_run(path: Path) -> bool:
    """Whether a file lies in the folder of a run, which may come from anywhere."""
    return (path.parent / "config.json").exists() and (path.parent / "checkpoints").is_dir()


def import_from_here(name: str) -> Any:
    """Import a module as `python` itself would: the current folder counts."""
    look_first_in("")
    return importlib.import_module(name)


def in_package(path: Path) -> str:
    """How to name a file that belongs to a package and imports from it."""
    names, folder = [path.stem], path.resolve().parent
    while (folder / "__init__.py").exists():
        names, folder = [folder.name, *names], folder.parent
    return f"; it is part of a package, so name it as a module, from {folder}: {'.'.join(names)}:NAME"


def look_first_in(folder: str) -> None:
    """Let imports look there before anywhere else, from now on: code imports in its functions, too."""
    if folder not in sys.path:
        sys.path.insert(0, folder)
