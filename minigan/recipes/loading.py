"""Somebody's own code by its name, module:NAME or file.py:NAME, and the line of it that raised an error."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import traceback
from importlib.abc import SourceLoader
from pathlib import Path
from typing import Any

import numpy as np

import minigan
from minigan.errors import ArgumentError, known_name

#: What shows that a folder is a run's, or a part of one, also where much of it is lost.
MARKS = ("metrics.jsonl", "epoch-*.safetensors", "checkpoints/*.safetensors")


def load_object(what: str, run: str = "") -> Any:
    """What "module:NAME" or "file.py:NAME" names. Raises ArgumentError, in one line, if it cannot be had.

    `run` is the run, or the checkpoint, that it is asked for: what else lies there is not imported.
    """
    source, _, name = what.rpartition(":")
    if not source or not name or name.endswith(".py"):  # the last of C:\\own.py, without a name
        raise ArgumentError(f"{what!r} names nothing to check; write a recipe, module:NAME or file.py:NAME")
    try:
        module = load_file(Path(source), run) if source.endswith(".py") else import_from_here(source, run)
    except FileNotFoundError:
        raise ArgumentError(f"there is no file {source}") from None
    except BrokenPipeError:  # the file prints, and nobody reads on
        raise
    except (Exception, SystemExit) as error:  # whatever the user's file does when it is imported
        told = f"{source} cannot be imported: {type(error).__name__}: {error}{where_raised(error)}"
        raise ArgumentError(told + import_remedy(error, source, run)) from None
    return getattr(module, known_name(f"name in {source}", name, [n for n in vars(module) if not n.startswith("_")]))


def import_remedy(error: BaseException, source: str, run: str) -> str:
    """What to do about a file's import that has failed, or "" if nothing is known."""
    if not isinstance(error, ImportError) or not source.endswith(".py"):
        return ""
    if not may_be_in_run(Path(source), run):
        return in_package(Path(source)) if "relative import" in str(error) else ""
    if not isinstance(error, ModuleNotFoundError):
        return ""
    return "; nothing is imported that lies in a run's folder, or beside a recipe.py: rename the file, or move it"


def where_raised(error: BaseException) -> str:
    """The innermost line of an error's traceback that is the user's, as " (file.py, line 3)", or "" if none is."""
    library = tuple(str(Path(module.__file__ or "").parent) for module in (minigan, np, importlib))
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith((*library, "<"))]
    frames = [f for f in frames if Path(f.filename).name not in ("minigan", "__main__.py")]  # the command itself
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


def load_file(path: Path, run: str = "") -> Any:
    """The module in a file, run anew, as `python FILE` would run it: it finds what lies beside it, now and later.

    But not where that may be a run's folder (`may_be_in_run`): nobody has looked at what else lies there.
    """
    alone = may_be_in_run(path, run)
    path = path.resolve(strict=True)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or not isinstance(spec.loader, SourceLoader):
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    if not alone:
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


def may_be_in_run(path: Path, run: str = "") -> bool:
    """Whether a file may lie in the folder of a run, which may come from anywhere, and of which much may be lost.

    It may if it has a name under which runs keep a recipe's text, or if a folder that it is in, at any depth, has a
    run's files or is the run (or holds the checkpoint) named `run`. A link counts where it stands and where it leads.
    """
    named = Path(run).resolve() if run else None
    if named and named.suffix == ".safetensors":
        named = named.parents[1] if named.parent.name == "checkpoints" else named.parent
    for file in (path.absolute(), path.resolve()):
        if re.fullmatch(r"recipe(-until-epoch-.*)?\.py", file.name, re.IGNORECASE):
            return True
        if any(is_like_run(folder) or folder.resolve() == named for folder in file.parents):
            return True
    return False


def is_like_run(folder: Path) -> bool:
    """Whether a folder has files of a run's."""
    if (folder / "config.json").exists() and any((folder / part).exists() for part in ("checkpoints", "recipe.py")):
        return True
    return any(any(folder.glob(mark)) for mark in MARKS)


def import_from_here(name: str, run: str = "") -> Any:
    """Import a module as `python` itself would: the current folder counts, unless it may be a run's.

    Raises ImportError for a module in a run's folder, with which that folder's other code would be imported.
    """
    file = Path(f"{name.replace('.', '/')}.py")
    if (file.exists() or file.with_suffix("").is_dir()) and may_be_in_run(file, run):
        raise ImportError(f"it lies in a run's folder, or may; name its file: {file.as_posix()}:NAME")
    if not may_be_in_run(Path("any"), run):
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
