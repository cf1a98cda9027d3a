"""What a person sees while a run trains: a table of epochs, and below it, alive, the digits.

In a terminal they are drawn in colours, in a notebook as a picture. In a pipe, a file or a dumb terminal, and for a
`say` of one's own: the table alone, one plain line an epoch.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import numpy as np

from minigan import plot
from minigan.screen import Now, Say, Screen, screen_of
from minigan.train import Callback, Row, Trainer, generate
from minigan.watch.logs import DRAWN
from minigan.watch.notebook import Notebook
from minigan.watch.pictures import to_pixels
from minigan.watch.rhythm import Every

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.live import Live

HEADER = "  epoch   d_loss   g_loss   D(x)  D(G(z))  right on real  on fakes    time"
REFRESH = 0.25  # seconds between two looks at the running means
GAP = 1  # columns between two digits of the preview


class Sheet(Protocol):
    """What is alive below the table, or with it."""

    def digits(self) -> tuple[int, int]:
        """Rows and columns of the preview; 0, 0 where none can be seen."""
        ...

    def draw(self, images: np.ndarray, columns: int) -> None:
        """Show these digits, uint8 (rows·columns, 28, 28), from now on."""
        ...

    def show(self, now: Now) -> None: ...

    def say(self, text: str) -> None:
        """A line that stays."""
        ...

    def close(self) -> None: ...


class Watch(Callback):
    """One line per epoch to `say`; on a screen that can, also the running means, a bar, and the fixed latents."""

    def __init__(self, preview: Every, say: Say = print):
        self.preview, self.sheet = preview, None
        self.screen = screen_of(say)
        self.lines: Say = self.screen or say

    def start(self, trainer: Trainer) -> None:
        self.began = self.shown = time.perf_counter()
        self.first_step = trainer.step
        self.sheet: Sheet | None = alive_on(self.screen)
        self.say(HEADER)
        if self.sheet:
            self.look(trainer)

    def step_end(self, trainer: Trainer) -> None:
        if self.sheet is None:
            return
        if self.preview.step_due(trainer.step):
            self.look(trainer)
        elif time.perf_counter() - self.shown > REFRESH:
            self.refresh(trainer)

    def epoch_end(self, trainer: Trainer, row: Row) -> None:
        self.say(self.line(trainer, row, time.perf_counter() - self.began))
        if self.sheet:
            self.look(trainer) if self.preview.epoch_due(trainer.epoch) else self.refresh(trainer)

    def finish(self, trainer: Trainer) -> None:
        if self.sheet:
            self.look(trainer)

    def say(self, text: str) -> None:
        """Print text above what is alive."""
        for line in text.split("\n"):
            (self.sheet.say if self.sheet else self.lines)(line)

    def close(self, trainer: Trainer) -> None:
        if self.sheet:
            self.sheet.close()
            self.sheet = None

    def look(self, trainer: Trainer) -> None:
        """Draw the digits anew, as many of the fixed latents as fit."""
        assert self.sheet is not None
        rows, columns = self.sheet.digits()
        if rows and self.preview.count:
            images = generate(trainer.average, trainer.preview_latents(rows * columns))
            self.sheet.draw(to_pixels(trainer, images), columns)
        self.refresh(trainer)

    def refresh(self, trainer: Trainer) -> None:
        """Show the running means and the bar."""
        assert self.sheet is not None
        self.shown = time.perf_counter()
        total = trainer.recipe.epochs * trainer.epoch_steps
        elapsed, done, row = self.shown - self.began, trainer.step - self.first_step, ""
        if trainer.step > trainer.epoch * trainer.epoch_steps:  # within an epoch
            means = trainer.interval.result() if trainer.interval.counts else trainer.history[-1]
            if means.keys() >= set(DRAWN):  # a row that was written before there was one of them is not shown
                row = self.line(trainer, {**means, "epoch": trainer.epoch + 1}, elapsed)
        left = f"{clock(elapsed / done * (total - trainer.step))} left" if done else ""
        self.sheet.show(Now(row, trainer.step, total, left))

    def line(self, trainer: Trainer, row: Row, seconds: float) -> str:
        """A row of metrics under HEADER."""
        epoch = f"{row['epoch']}/{trainer.recipe.epochs}"
        return (
            f"{epoch:>7}{loss(row['d_loss'])}{loss(row['g_loss'])}{row['d_real']:7.2f}{row['d_fake']:9.2f}"
            f"{row['acc_real']:15.0%}{row['acc_fake']:10.0%}{clock(seconds):>8}"
        )


def alive_on(screen: Screen | None) -> Sheet | None:
    """What can be alive there."""
    if screen is None:
        return None
    return Notebook() if screen.notebook else Terminal(screen) if screen.alive else None


class Terminal:
    """Below the table: the running means, a bar, and two rows of digits in colour, or one in a low window."""

    def __init__(self, screen: Screen):
        from rich.live import Live

        self.screen, self.console, self.picture = screen, screen.console, None
        # What somebody's callback prints goes above, too.
        self.live: Live = Live(console=self.console, auto_refresh=False)
        self.live.start()

    def digits(self) -> tuple[int, int]:
        # The preview is made of colours: without them there is nothing to see.
        colours = self.console.color_system in ("256", "truecolor") and not self.console.no_color
        if not colours or not self.console.encoding.lower().startswith("utf"):
            return 0, 0
        columns = max(1, min(10, (self.console.width - 1 + GAP) // (14 + GAP)))
        return (2 if self.console.height >= 22 else 1), columns

    def draw(self, images: np.ndarray, columns: int) -> None:
        from rich.segment import Segments

        rows = len(images) // columns
        sheet = np.zeros((rows, 16, columns, 14 + GAP), np.uint8)
        sheet[:, :14, :, :14] = plot.shrink(images).reshape(rows, columns, 14, 14).transpose(0, 2, 1, 3)
        blocks = plot.half_blocks(sheet.reshape(rows * 16, -1)[:-2, :-GAP])
        self.picture = Segments(list(self.console.render(blocks)))  # laid out once, shown many times

    def show(self, now: Now) -> None:
        self.live.update(self.render(now), refresh=True)

    def render(self, now: Now) -> Group:
        """The running means, the bar, and the preview."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            "", ProgressBar(total=now.steps, completed=now.step, width=50), f"{now.step / now.steps:4.0%}", now.left
        )
        parts: list[RenderableType] = [bar, *([Text(), self.picture] if self.picture else [])]
        if now.row:
            parts.insert(0, Text(now.row, no_wrap=True, style="dim"))
        return Group(*parts)

    def say(self, text: str) -> None:
        self.screen(text)

    def close(self) -> None:
        self.live.stop()


def loss(value: float | None) -> str:
    """Nine columns: 0.693, or 1.3e+30 of one that runs away, which the hinge loss can do and stay finite."""
    if value is None:
        return f"{'-':>9}"
    return f"{value:9.3f}" if abs(value) < 1000 else f"{value:9.1e}"


def clock(seconds: float) -> str:
    """0:07, 12:34 or 1:02:03."""
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{s:02d}" if hours else f"{minutes}:{s:02d}"
