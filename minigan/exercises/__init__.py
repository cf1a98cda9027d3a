"""Exercises: a student writes a piece of minigan anew, the gradient checker is the tutor, and the piece then trains.

The stubs are the files of this folder that are named after an exercise. `verify.py` checks them, and `classifier.py`
trains with those that no GAN here needs. `STUBS` names them, `write_stub` hands one out, and `plugged_in` makes minigan
train with a finished one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from minigan import nn
from minigan.errors import RunExistsError, known_name
from minigan.exercises import classifier
from minigan.gan import loss, steps
from minigan.recipes import flux_dcgan, keras_upconv, mlp, recipe, renom_maxout
from minigan.store.files import quoted
from minigan.train import trainer

#: {exercise: the name that its file defines}
STUBS = {
    "dense": "Dense",
    "batchnorm": "BatchNorm",
    "dropout": "Dropout",
    "conv2d": "Conv2d",
    "conv-transpose2d": "ConvTranspose2d",
    "upsample2d": "Upsample2d",
    "maxpool2d": "MaxPool2d",
    "maxout": "Maxout",
    "bce": "binary_cross_entropy",
    "softmax": "softmax_cross_entropy",
    "adam": "Adam",
    "generator-step": "generator_step",
}


class Training(NamedTuple):
    """What trains with a finished piece: a recipe, with other numbers, so that four epochs take about two minutes."""

    recipe: str = mlp.QUICK_MLP.name  # it is made of the pieces: the default has neither dropout nor cross-entropy
    changes: dict[str, Any] = {}  # noqa: RUF012


DCGAN = Training(
    "flux-dcgan-half",
    {"g_hidden": (128, 64, 32), "d_hidden": (32, 64), "batch_size": 64, "lr_g": 5e-4, "lr_d": 5e-4, "epoch_steps": 250},
)
#: {exercise: what trains with it}. The others train quick-mlp, and those in READ the classifier.
DRAWN = {
    "conv2d": DCGAN,
    "conv-transpose2d": DCGAN,
    "upsample2d": Training(
        "keras-upconv",
        {
            "g_hidden": (64, 32, 16),
            "d_hidden": (16, 32, 64),
            "lr_g": 5e-4,
            "lr_d": 5e-4,
            "epoch_steps": 250,
            "merged": False,
        },
    ),
    "maxout": Training("renom-maxout", {"lr_g": 3e-4, "lr_d": 1e-4, "epoch_steps": 300}),
}
READ = ("maxpool2d", "softmax")

#: The modules of which training is made.
MODULES = (recipe, mlp, flux_dcgan, keras_upconv, renom_maxout, loss, steps, trainer, classifier)
PIECES = (
    *nn.__all__,
    *("binary_cross_entropy", "binary_cross_entropy_with_logits", "softmax_cross_entropy"),
    *("Adam", "discriminator_step", "generator_step", "simultaneous_step", "penalise"),
)


def importers(name: str) -> list[ModuleType]:
    """Those of MODULES that import the name from elsewhere."""
    return [m for m in MODULES if name in vars(m) and vars(m)[name].__module__ != m.__name__]


#: {piece: where minigan's training looks it up}
USERS = {name: modules for name in PIECES if (modules := importers(name))}

TEST = '''"""Is every number of {file} right? Run:

    pytest {test}
"""

from pathlib import Path

from minigan.exercises.verify import verify_file


def test_{module}():
    wrong = verify_file("{name}", Path(__file__).with_name("{file}"))
    assert not wrong, wrong
'''


def write_stub(name: str, folder: Path) -> Path:
    """Write an exercise's stub and its test into `folder`; returns the stub's path, or raises RunExistsError."""
    known_name("exercise", name, STUBS)
    stub = stub_path(name, folder)
    if stub.exists():
        raise RunExistsError(f"{stub} exists; it holds somebody's work")
    folder.mkdir(parents=True, exist_ok=True)
    stub.write_bytes((Path(__file__).parent / stub.name).read_bytes())
    test = folder / f"test_{stub.name}"
    text = TEST.format(file=stub.name, test=quoted(test), module=stub.stem, name=name)
    test.write_text(text, encoding="utf-8", newline="\n")
    return stub


def stub_path(name: str, folder: Path) -> Path:
    """Where an exercise is kept."""
    return folder / f"{name.replace('-', '_')}.py"


@contextmanager
def plugged_in(**pieces: Any) -> Iterator[None]:
    """Within this context, training uses the given pieces in place of minigan's own of the same name."""
    kept = [(m, name, getattr(m, name)) for name in pieces for m in USERS[known_name("piece", name, USERS)]]
    try:
        for module, name, _ in kept:
            setattr(module, name, pieces[name])
        yield
    finally:
        for module, name, own in kept:
            setattr(module, name, own)


def work_on(name: str, folder: Path, *, epochs: int, dataset: str = "auto", say: Callable[[str], None] = print) -> bool:
    """Hand out the stub, or say what is wrong with it (and return False), or train with it: `minigan exercise`."""
    from minigan.exercises.verify import verify
    from minigan.recipes.loading import load_object

    piece, stub = STUBS[known_name("exercise", name, STUBS)], stub_path(name, folder)
    if not stub.exists():
        write_stub(name, folder)
        say(f"Wrote {stub} and {stub.with_name('test_' + stub.name)}.")
        say(f"Complete {stub}, then run this again: minigan exercise {name}{out_flag(folder)}")
        return True
    if wrong := verify(name, mine := load_object(f"{stub}:{piece}")):
        say(f"{stub}: not yet.\n\n{wrong}")
        return False
    say(f"{stub}: right.")
    if epochs:
        with plugged_in(**{piece: mine}):
            train_with(name, epochs=epochs, dataset=dataset, say=say)
    return True


def train_with(name: str, *, epochs: int, dataset: str, say: Callable[[str], None]) -> None:
    """Train what shows that an exercise's piece, which is plugged in, does its work."""
    from minigan.runs import start

    piece = STUBS[name]
    if name in READ:
        say(f"Now a classifier trains with your {piece} in place of minigan's, on glyphs.")
        classifier.train_classifier(epochs=epochs, say=say)
        say(f"Your {piece} has learned to read.")
        return
    recipe, changes = DRAWN.get(name, Training())
    say(f"Now {recipe} trains with your {piece} in place of minigan's.")
    if changes:
        say(f"(To be quick, with {', '.join(f'{field} {value}' for field, value in changes.items())}.)")
    start(recipe, epochs=epochs, dataset=dataset, say=say, **changes)
    say(f"Your {piece} has learned to draw. (A run that is resumed goes on with minigan's own.)")


def out_flag(folder: Path) -> str:
    """The flag that names the folder, unless it is the default."""
    return "" if folder == Path("exercises") else f" --out {quoted(folder)}"
