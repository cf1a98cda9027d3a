"""A wrong array, and the question that each hypothesis asks: is the gradient what the mistake would have made of it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minigan.gradcheck.numeric import gradient
from minigan.gradcheck.report import Row

if TYPE_CHECKING:
    from minigan.gradcheck.compare import Subject

CLOSE = 1e-6  # how near a hypothesis must come to the gradient, as a share of the largest entry


class Case(NamedTuple):
    """A wrong array and all that is known about it."""

    subject: Subject
    row: Row
    grad: np.ndarray  # as backward gave it, whatever its shape
    dy: Any
    y: np.ndarray

    @property
    def array(self) -> np.ndarray:
        return self.subject.arrays[self.row.name]

    @property
    def is_input(self) -> bool:
        """Whether the first axis of the array is the batch's."""
        return self.row.name in self.subject.batched

    def like(self, guess: np.ndarray) -> bool:
        """Whether the gradient is the guess, wherever it could be decided, and the guess is not all zero."""
        a, bar = self.row.analytic, np.where(np.isfinite(self.row.bar), self.row.bar, 0)
        if np.shape(guess) != a.shape or self.row.kink.all():
            return False
        sure = ~self.row.kink
        room = CLOSE * max(np.abs(guess[sure]).max(), np.abs(a[sure]).max()) + 10 * bar[sure]
        return bool((np.abs(guess[sure]) > room).any() and (np.abs(a[sure] - guess[sure]) <= room).all())

    def numeric(self, dy: Any) -> np.ndarray:
        """The numeric gradient with another upstream."""
        return gradient(lambda: np.ravel(self.subject.forward()[0] * dy), self.array)
