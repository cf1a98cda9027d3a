"""Where minigan talks: to `say`, line by line, and in a terminal also below the last line: what it is doing just now.

`say=print`, the default wherever there is a `say`, stands for the screen: a terminal, a notebook, a pipe or a file. Any
other function is handed every line, and nothing else is shown; None is silence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Self

from minigan.errors import ArgumentError

if TYPE_CHECKING:
    from rich.console import Console

Say = Callable[[str], None]


def silence(line: str) -> None:
    """The `say` of those who want to hear nothing."""


def heard(say: Say | None) -> Say:
    """`say`, or silence for None; raises ArgumentError for what cannot be called."""
    if say is not None and not callable(say):
        raise ArgumentError(f"say must be a function that takes a line, such as print, or None, got {say!r}")
    return say or silence


class Screen:
    """A terminal, a notebook, a pipe or a file; called with a text it prints it at once. Standard output unless given.

    Attributes: `console`, rich's; `alive`, whether lines can be written anew; `notebook`, whether it is one.
    """

    def __init__(self, console: Console | None = None):
        from rich.console import Console

        self.console = console or Console(highlight=False)
        self.notebook = self.console.is_jupyter
        self.alive = self.console.is_terminal and not self.console.is_dumb_terminal and not self.notebook

    def __call__(self, text: str) -> None:
        if self.notebook:  # rich would make a picture of each line
            print(text, flush=True)
        else:
            self.console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)


def screen_of(say: Say) -> Screen | None:
    """The screen that `say` stands for; None if it is somebody's own function."""
    return say if isinstance(say, Screen) else Screen() if say is print else None


class Now(NamedTuple):
    """Where a run stands within an epoch: its row of means so far ("" before there is one), steps, and time left."""

    row: str
    step: int
    steps: int
    left: str


class Stages:
    """What is being done now: in a terminal one line with a bar, which is gone at the end; elsewhere a line a stage.

    Enter it, then call it with the name of each stage, and with how far it is, if that is known.
    """

    def __init__(self, say: Say):
        self.screen = screen_of(say)
        self.say, self.name, self.bar = self.screen or say, "", None

    def __enter__(self) -> Self:
        if self.screen and self.screen.alive:
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            console = self.screen.console
            columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
            redirect = not console.stderr  # what is printed meanwhile belongs above the bar, if it is the same terminal
            self.bar = Progress(*columns, console=console, transient=True, redirect_stdout=redirect)
            self.task = self.bar.add_task("", total=None)
            self.bar.start()
        return self

    def __call__(self, name: str, done: int = 0, of: int | None = None) -> None:
        if self.bar:
            self.bar.update(self.task, description=name, completed=done, total=of)
        elif name != self.name:
            self.say(name)
        self.name = name

    def __exit__(self, *error: object) -> None:
        if self.bar:
            self.bar.stop()
