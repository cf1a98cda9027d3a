"""What watches a run: `Callback`, whose methods a trainer calls as it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigan.train.trainer import Trainer


Row = dict[str, Any]


class Callback:
    """Something that watches a training run: prints, draws or saves. It is handed the trainer and changes nothing."""

    def start(self, trainer: Trainer) -> None:
        """Before the first step."""

    def logged(self, trainer: Trainer, row: Row) -> None:
        """A row of metrics is complete (every `log_every` steps, and at the end of an epoch)."""

    def step_end(self, trainer: Trainer) -> None:
        """A step is over; `trainer.interval` holds the means so far."""

    def epoch_end(self, trainer: Trainer, row: Row) -> None:
        """An epoch is over; `row` holds its means."""

    def settled(self, trainer: Trainer) -> None:
        """A step and all that was due behind it are over: a moment from which training can go on later."""

    def stopped(self, trainer: Trainer) -> None:
        """Training was asked to stop, between two steps; `finish` comes next."""

    def finish(self, trainer: Trainer) -> None:
        """Training is over, or was asked to stop."""

    def close(self, trainer: Trainer) -> None:
        """The last call, after an error too, its own `start`'s included: give back what was taken.

        The callbacks are closed in reverse order, those only whose `start` was called.
        """
