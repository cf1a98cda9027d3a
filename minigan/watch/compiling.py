"""Says when a run has to wait until its loops are compiled: in its first step on a machine, and hardly ever again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from minigan.backend.loops import told_of_compiling
from minigan.train import Callback, Trainer


class Compiling(Callback):
    """Tells `say` before the first loop is compiled, and when the step is over how many were, in which time.

    It comes before whatever draws or measures, which needs loops, too. On a GPU there are none.
    """

    def __init__(self, say: Callable[[str], None]):
        self.say, self.listening = say, ExitStack()

    def start(self, trainer: Trainer) -> None:
        self.sum_up = lambda: None
        if trainer.device == "cpu":
            self.sum_up = self.listening.enter_context(told_of_compiling(self.say))

    def step_end(self, trainer: Trainer) -> None:
        self.sum_up()

    def close(self, trainer: Trainer) -> None:
        self.listening.close()
