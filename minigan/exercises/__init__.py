"""Exercises: a student writes a piece of minigan anew, the gradient checker is the tutor, and the piece then trains.

The stubs are the other files of this folder, but for `verify.py`, which checks them. `STUBS` names them, `write_stub`
hands one out, and `plugged_in` makes minigan train with a finished one.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minigan import gan, recipes, train
from minigan.errors import RunExistsError, nearest
from minigan.recipes import DEFAULT

#: {exercise: the name that its file defines}
STUBS = {
    "dense": "Dense",
    "batchnorm": "BatchNorm",
    "dropout": "Dropout",
    "bce": "binary_cross_entropy",
    "adam": "Adam",
    "generator-step": "generator_step",
}

#: Where minigan's training looks each piece up.
USERS: dict[str, Any] = {
    **dict.fromkeys(("Dense", "BatchNorm", "Dropout", "LeakyReLU", "ReLU", "Tanh", "Sigmoid"), recipes),
    **dict.fromkeys(("binary_cross_entropy", "binary_cross_entropy_with_logits"), gan),
    **dict.fromkeys(("Adam", "generator_step", "discriminator_step"), train),
}

TEST = '''"""Is every number of {file} right? Run: pytest {test}"""

from minigan.exercises.verify import verify

from {module} import {piece}


def test_{module}():
    wrong = verify("{name}", {piece})
    assert not wrong, wrong
'''


def write_stub(name: str, folder: Path) -> Path:
    """Write an exercise's stub and its test into `folder`; returns the stub's path, or raises RunExistsError."""
    piece = STUBS[nearest("exercise", name, STUBS)]
    stub = stub_path(name, folder)
    if stub.exists():
        raise RunExistsError(f"{stub} exists; it holds somebody's work")
    folder.mkdir(parents=True, exist_ok=True)
    stub.write_text((Path(__file__).parent / stub.name).read_text(encoding="utf-8"), encoding="utf-8")
    test = folder / f"test_{stub.name}"
    text = TEST.format(file=stub.name, test=test.name, module=stub.stem, piece=piece, name=name)
    test.write_text(text, encoding="utf-8")
    return stub


def stub_path(name: str, folder: Path) -> Path:
    """Where an exercise is kept."""
    return folder / f"{name.replace('-', '_')}.py"


@contextmanager
def plugged_in(**pieces: Any) -> Iterator[None]:
    """Within this context, training uses the given pieces in place of minigan's own of the same name."""
    kept = {name: getattr(USERS[nearest("piece", name, USERS)], name) for name in pieces}
    try:
        for name, piece in pieces.items():
            setattr(USERS[name], name, piece)
        yield
    finally:
        for name, piece in kept.items():
            setattr(USERS[name], name, piece)


def work_on(name: str, folder: Path, *, epochs: int, dataset: str = "auto", say: Callable[[str], None] = print) -> bool:
    """Hand out the stub, or say what is wrong with it (and return False), or train with it: `minigan exercise`."""
    from minigan.exercises.verify import verify
    from minigan.gradcheck.anything import load
    from minigan.runs import start

    piece, stub = STUBS[nearest("exercise", name, STUBS)], stub_path(name, folder)
    if not stub.exists():
        write_stub(name, folder)
        say(f"Wrote {stub} and {stub.with_name('test_' + stub.name)}.")
        say(f"Complete {stub}, then run this again: minigan exercise {name}{where(folder)}")
        return True
    if wrong := verify(name, mine := load(f"{stub}:{piece}")):
        say(f"{stub}: not yet.\n\n{wrong}")
        return False
    say(f"{stub}: right.")
    if epochs:
        say(f"Now {DEFAULT} trains with your {piece} in place of minigan's.")
        with plugged_in(**{piece: mine}):
            start(DEFAULT, epochs=epochs, dataset=dataset, say=say)
        say(f"Your {piece} has learned to draw. (A run that is resumed goes on with minigan's own.)")
    return True


def where(folder: Path) -> str:
    """The flag that names the folder, unless it is the default."""
    return "" if folder == Path("exercises") else f" --out {shlex.quote(str(folder))}"
