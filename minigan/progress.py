"""What a person sees in the terminal while a run trains: a table of epochs, and below it, alive, the digits.

In a file, a pipe, a notebook or a dumb terminal: the table alone, one plain line an epoch.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from minigan import plot
from minigan.callbacks import Every, to_pixels
from minigan.train import Callback, Row, Trainer, generate

if TYPE_CHECKING:
    from rich.console import Console, Group, RenderableType
    from rich.live import Live

HEADER = "  epoch   d_loss   g_loss   D(x)  D(G(z))  right on real  on fakes    time"
REFRESH = 0.25  # seconds between two looks at the running means
GAP = 1  # columns between two digits of the preview


class Watch(Callback):
    """One line per epoch; in a terminal also the running means, a bar, and a preview of the fixed latents."""

    def __init__(self, preview: Every, console: Console | None = None):
        from rich.console import Console

        self.preview, self.console = preview, console or Console(highlight=False)
        self.live: Live | None = None
        self.alive = self.console.is_terminal and not self.console.is_dumb_terminal and not self.console.is_jupyter
        # The preview is made of colours: without them there is nothing to see.
        colours = self.console.color_system in ("256", "truecolor") and not self.console.no_color
        self.in_colour = self.alive and colours and self.console.encoding.lower().startswith("utf")

    def start(self, trainer: Trainer) -> None:
        self.began = self.shown = time.perf_counter()
        self.first_step, self.picture = trainer.step, None
        self.console.print(HEADER, highlight=False)
        if self.alive:
            from rich.live import Live

            self.live = Live(console=self.console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
            self.live.start()
            self.look(trainer)

    def step_end(self, trainer: Trainer) -> None:
        if self.live is None:
            return
        if self.preview.step_due(trainer.step):
            self.look(trainer)
        elif time.perf_counter() - self.shown > REFRESH:
            self.refresh(trainer)

    def epoch_end(self, trainer: Trainer, row: Row) -> None:
        self.console.print(self.line(trainer, row, time.perf_counter() - self.began), highlight=False, soft_wrap=True)
        if self.live is not None:
            self.look(trainer) if self.preview.epoch_due(trainer.epoch) else self.refresh(trainer)

    def finish(self, trainer: Trainer) -> None:
        if self.live is not None:
            self.look(trainer)

    def say(self, text: str) -> None:
        """Print text above what is alive in the terminal."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self, trainer: Trainer) -> None:
        if self.live is not None:
            self.live.stop()
            self.live = None

    def look(self, trainer: Trainer) -> None:
        """Draw the digits anew, as many of the fixed latents as fit: two rows, or one in a low window."""
        from rich.segment import Segments

        if self.in_colour and self.preview.count:
            columns = max(1, min(10, (self.console.width - 1 + GAP) // (14 + GAP)))
            rows = 2 if self.console.height >= 22 else 1
            images = plot.shrink(to_pixels(trainer, generate(trainer.average, trainer.preview_latents(rows * columns))))
            sheet = np.zeros((rows, 16, columns, 14 + GAP), np.uint8)
            sheet[:, :14, :, :14] = images.reshape(rows, columns, 14, 14).transpose(0, 2, 1, 3)
            blocks = plot.half_blocks(sheet.reshape(rows * 16, -1)[:-2, :-GAP])
            self.picture = Segments(list(self.console.render(blocks)))  # laid out once, shown many times
        self.refresh(trainer)

    def refresh(self, trainer: Trainer) -> None:
        assert self.live is not None
        self.shown = time.perf_counter()
        self.live.update(self.render(trainer), refresh=True)

    def render(self, trainer: Trainer) -> Group:
        """The running means, the bar, and the preview."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        total = trainer.recipe.epochs * trainer.epoch_steps
        elapsed, done = time.perf_counter() - self.began, trainer.step - self.first_step
        left = f"{clock(elapsed / done * (total - trainer.step))} left" if done else ""
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            "", ProgressBar(total=total, completed=trainer.step, width=50), f"{trainer.step / total:4.0%}", left
        )
        parts: list[RenderableType] = [bar, *([Text(), self.picture] if self.picture else [])]
        if trainer.step > trainer.epoch * trainer.epoch_steps:  # within an epoch
            means = trainer.interval.result() if trainer.interval.counts else trainer.history[-1]
            running = self.line(trainer, {**means, "epoch": trainer.epoch + 1}, elapsed)
            parts.insert(0, Text(running, no_wrap=True, style="dim"))
        return Group(*parts)

    def line(self, trainer: Trainer, row: Row, seconds: float) -> str:
        """A row of metrics under HEADER."""
        epoch = f"{row['epoch']}/{trainer.recipe.epochs}"
        return (
            f"{epoch:>7}{loss(row['d_loss'])}{loss(row['g_loss'])}{row['d_real']:7.2f}{row['d_fake']:9.2f}"
            f"{row['acc_real']:15.0%}{row['acc_fake']:10.0%}{clock(seconds):>8}"
        )


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
