"""Runs for the tests of runs: small ones on glyphs, their contents, and somebody who presses Ctrl-C."""

import signal

from minigan import runs
from minigan.recipes import RECIPES
from minigan.runs.saved import checkpoints
from minigan.train import Callback, Trainer

SMOKE = RECIPES["quick-mlp"].smoke()  # averaged, so that every kind of state is in its checkpoints
APART = ("timing.jsonl", "machine.json")  # of the machine and its clock


def start(out, *, recipe=SMOKE, epochs=3, log_every=2, **options):
    options = {"dataset": "glyphs", "device": "cpu", "say": lambda line: None, **options}
    return runs.start(recipe, out=out, epochs=epochs, log_every=log_every, **options)


def resume(out, **options):
    return runs.resume(out, **{"say": lambda line: None, **options})


def contents(run):
    """Every file of a run that is decided by its seed, and its bytes; of the checkpoints the last.

    The pause of a resumed run shows in timing.jsonl, the process's threads in machine.json, and what it was to have
    been before in its older checkpoints.
    """
    files = {path for path in run.folder.rglob("*") if path.is_file() and path.name not in APART}
    files -= set(checkpoints(run.folder)[:-1])
    return {str(path.relative_to(run.folder)): path.read_bytes() for path in files}


class Press(Callback):
    """Presses Ctrl-C so many times in the middle of a step, or sends another signal."""

    def __init__(self, step, times=1, number=signal.SIGINT):
        self.step, self.times, self.number = step, times, number

    def step_end(self, trainer):
        if trainer.step == self.step:
            for _ in range(self.times):
                signal.raise_signal(self.number)


def press(patch, *args):
    """Let somebody do so in the next runs."""
    real = Trainer.fit
    patch.setattr(Trainer, "fit", lambda self, watchers, **options: real(self, [*watchers, Press(*args)], **options))
