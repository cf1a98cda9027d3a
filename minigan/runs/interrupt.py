"""Ctrl-C, and the signal by which a machine shuts down: the first asks training to stop, the second ends it."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

#: Ctrl-C; what ends a program in good time; and Windows' own for that, Ctrl-Break, since it sends no SIGTERM.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name))


class Interrupted(KeyboardInterrupt):
    """Training was stopped by a signal, which is `number`; the command then exits with 128 + that."""

    def __init__(self, number: int):
        super().__init__(f"signal {number}")
        self.number = number


class Stop:
    """While entered, SIGNALS are noted instead of obeyed: call it to know whether one has come.

    A second one raises Interrupted wherever the program stands. What is being written then is whole or not there at all
    (`write_atomically`), so nothing is lost but the time since the last checkpoint. Signals reach the main thread
    only; in another thread this does nothing.
    """

    def __init__(self) -> None:
        self.number = 0  # of the first signal
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        return self.number != 0

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number:
            raise Interrupted(number)
        self.number = number
