"""What is wrong with a student's piece? The checks of each exercise, in the order in which a student meets them."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from minigan.errors import MiniganError, known_name
from minigan.exercises import STUBS
from minigan.exercises.checks import adam, generator_step, images, layers, losses
from minigan.exercises.checks.layers import Check
from minigan.recipes.loading import load_object, where_raised

CHECKS: dict[str, tuple[Check, ...]] = {
    **layers.CHECKS,
    **losses.CHECKS,
    **adam.CHECKS,
    **generator_step.CHECKS,
    **images.CHECKS,
}


def verify(name: str, piece: Any) -> str:
    """What is wrong with a student's piece, for reading; "" if nothing is. The checks stop at the first that fails."""
    for check in CHECKS[known_name("exercise", name, CHECKS)]:
        try:
            if finding := check(piece):
                return finding
        except NotImplementedError as todo:  # the stub's says what, a bare one is where
            what = str(todo) or traceback.extract_tb(todo.__traceback__)[-1].name
            return f"still to be written: {what}{where_raised(todo)}"
        except MiniganError as error:  # of a rule that the code breaks
            return str(error)
        except (Exception, SystemExit) as error:  # whatever the student's code does
            case = "".join(f", {note}" for note in getattr(error, "__notes__", []))
            return f"it raises {type(error).__name__}: {error}{where_raised(error)}{case}"
    return ""


def verify_file(name: str, path: Path) -> str:
    """What is wrong with the student's piece in a file, for a test: whatever else is imported under its name."""
    try:
        return verify(name, load_object(f"{path}:{STUBS[known_name('exercise', name, STUBS)]}"))
    except MiniganError as error:  # the file cannot be imported, or defines no such piece
        return str(error)
