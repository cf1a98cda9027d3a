"""A wrong array, and the question that each hypothesis asks: is the gradient what the mistake would have made of it?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from minigan.gradcheck.numeric import STEP, Terms, gradient, slope
from minigan.gradcheck.report import Row
from minigan.gradcheck.subject import Subject

CLOSE = 1e-6  # how near a hypothesis must come to the gradient, as a share of the largest entry
SURE = 1e-5  # as a share of the scale: entries with a wider error bar speak neither for a hypothesis nor against it
DIRECTIONS = 3  # along which a hypothesis must agree
ROUGHLY = 1e-3  # of a gradient's length, for the first of the comparisons
TELLING = 3  # different numbers that a hypothesis must explain; what fewer say is one possibility


@dataclass
class Case:
    """A wrong array and all that is known about it."""

    subject: Subject
    row: Row
    grad: np.ndarray  # as backward gave it, whatever its shape
    dy: Any
    y: np.ndarray
    rows: Sequence[Row] = ()  # of all the arrays of the check

    @property
    def array(self) -> np.ndarray:
        return self.subject.arrays[self.row.name]

    @property
    def is_input(self) -> bool:
        """Whether the first axis of the array is the batch's."""
        return self.row.name in self.subject.batched

    @cached_property
    def sure(self) -> np.ndarray:
        """For each entry whether its numeric value is known well enough to compare a hypothesis with."""
        return ~self.row.kink & (self.row.bar <= SURE * self.row.scale)

    @cached_property
    def off(self) -> np.ndarray:
        """a - n; 0 where n is not known."""
        return np.where(self.sure, self.row.analytic - self.row.numeric, 0.0)

    @cached_property
    def numbers(self) -> int:
        """How many different amounts the wrong entries are off by, as evidence: copies are one."""
        off = (self.row.analytic - self.row.numeric)[self.row.wrong & ~self.row.kink]
        return different(off, float(np.abs(off).max(initial=0.0)) or 1.0)

    def near(self, guess: np.ndarray) -> np.ndarray:
        """For each entry whether it is the guess, or not known."""
        a, bar = self.row.analytic, np.where(self.sure, self.row.bar, 0.0)
        largest = max(np.abs(guess[self.sure]).max(initial=0.0), np.abs(a[self.sure]).max(initial=0.0))
        return ~self.sure | (np.abs(a - guess) <= CLOSE * largest + 10 * bar)

    def like(self, guess: np.ndarray) -> bool:
        """Whether the gradient is the guess, entry by entry, and the guess is not all zero."""
        if np.shape(guess) != self.row.analytic.shape or 2 * self.sure.sum() < self.sure.size:
            return False
        return bool(self.near(guess).all() and np.abs(guess[self.sure]).max() > 0)

    def numeric(self, dy: Any) -> np.ndarray:
        """The numeric gradient with another upstream."""
        return gradient(self.terms(dy), self.array)

    def terms(self, dy: Any = None) -> Terms:
        """The scalar function that is differentiated, as the terms of its sum."""
        dy = self.dy if dy is None else dy
        return lambda: np.ravel(np.asarray(self.subject.forward()[0]) * dy)

    @contextmanager
    def replaced(self, name: str, value: Any) -> Iterator[None]:
        """While an array holds other values."""
        array = self.subject.arrays[name]
        kept = array.copy()
        try:
            array[...] = value
            yield
        finally:
            array[...] = kept

    @cached_property
    def directions(self) -> list[np.ndarray]:
        """Unit directions along which the gradient is clearly wrong; none if it is hardly wrong along any."""
        rng, f, found = np.random.default_rng([1910, 1911]), self.terms(), []  # an x may be drawn from a plain seed
        here = f()
        for _ in range(2 * DIRECTIONS):
            v = rng.standard_normal(self.array.shape)
            if self.row.how == "entries":
                v = np.where(self.row.kink, 0.0, v)
            v /= np.linalg.norm(v)
            true = slope(f, here, self.array, ..., v)
            if abs(self.along(v) - true.value) > 30 * self.size(v) + 20 * true.bar:
                found.append(v)
        return found[:DIRECTIONS] if len(found) >= DIRECTIONS else []

    def along(self, v: np.ndarray) -> float:
        """The gradient's component along a direction."""
        return float((self.grad * v).sum())

    def size(self, v: np.ndarray) -> float:
        """How near a hypothesis must come along a direction."""
        return CLOSE * float(np.linalg.norm(self.grad * v))

    def agrees(self, dy: Any = None, move: Callable[[np.ndarray], np.ndarray] = lambda v: v) -> bool:
        """Whether the gradient is the one of Σ y·dy at the arrays as they are now, along random directions.

        That is as good as entry by entry, for a few passes. `move` is an order of entries that the gradient is in.
        The arrays may be of no use (the mistake leads where y has no value): then it is not.
        """
        f = self.terms(dy)
        try:
            for i, v in enumerate(self.directions):
                if not i and abs(self.along(v) - self.roughly(f, move(v))) > ROUGHLY * self.size(v) / CLOSE:
                    return False
                guess = slope(f, f(), self.array, ..., move(v))
                size = self.size(v)
                if guess.bend > guess.noise + size or not guess.bar <= 10 * size:
                    return False
                if abs(self.along(v) - guess.value) > size + guess.bar:
                    return False
        except Exception:  # whatever the user's forward says to values that it was not made for
            return False
        return bool(self.directions)

    def roughly(self, f: Terms, v: np.ndarray) -> float:
        """A derivative by two passes, to tell what is not worth more of them."""
        kept = self.array.copy()
        try:
            self.array[...] = kept + STEP * v
            above = f()
            self.array[...] = kept - STEP * v
            return float((above - f()).sum()) / (2 * STEP)
        finally:
            self.array[...] = kept

    @cached_property
    def tangents(self) -> list[np.ndarray]:
        """dy/dt along the directions: what the gradient for any upstream is made of."""
        return [moved(self.outputs, self.array, ..., v) for v in self.directions]

    def outputs(self) -> np.ndarray:
        """y, anew."""
        return np.array(self.subject.forward()[0])

    def flows(self, dy: np.ndarray) -> bool:
        """Whether the gradient is the one of Σ y·dy, as `agrees`, but without a further pass."""
        if not np.isfinite(dy).all() or np.array_equal(dy, self.dy):
            return False
        guesses = [float((tangent * dy).sum()) for tangent in self.tangents]
        return bool(guesses) and all(
            abs(self.along(v) - guess) <= self.size(v) for v, guess in zip(self.directions, guesses, strict=True)
        )


def moved(f: Callable[[], np.ndarray], array: np.ndarray, where: Any, v: Any, h: float = STEP) -> np.ndarray:
    """df/dt of an array f along v, as `numeric.slope` has it of a number, without an error bar."""
    kept, found = np.copy(array[where]), []
    try:
        for t in (h, -h, h / 2, -h / 2):
            array[where] = kept + t * v
            found.append(f())
    finally:
        array[where] = kept
    return (4 * (found[2] - found[3]) / h - (found[0] - found[1]) / (2 * h)) / 3


def different(values: np.ndarray, scale: float) -> int:
    """How many different numbers other than 0 there are, to six digits of the scale."""
    rounded = np.unique(np.round(values[np.isfinite(values)] / scale, 6))
    return int((rounded != 0).sum())
