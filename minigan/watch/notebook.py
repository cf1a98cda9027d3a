"""What a notebook shows of a run that trains: one output, written anew in place, at last the table and the digits.

A notebook's front end gets a whole new page each time, so it gets one every few tenths of a second at most.
"""

from __future__ import annotations

import base64
import html
import time
from typing import Any

import numpy as np

from minigan import plot
from minigan.screen import Now

ROWS, COLUMNS = 2, 10  # digits of the preview
PAUSE = 0.3  # seconds between two pages, at least


class Notebook:
    """The table of epochs, the running means, a bar and the digits, in one output of the cell that trains."""

    def __init__(self) -> None:
        from IPython.display import display  # pyright: ignore[reportMissingImports] (a notebook has it)

        self.lines: list[str] = []
        self.now: Now | None = None
        self.image, self.sent = b"", time.perf_counter()
        self.handle: Any = display(self.page(), raw=True, display_id=True)

    def digits(self) -> tuple[int, int]:
        return ROWS, COLUMNS

    def draw(self, images: np.ndarray, columns: int) -> None:
        self.image = plot.png(plot.image_grid(images, columns=columns).repeat(2, axis=0).repeat(2, axis=1))

    def show(self, now: Now) -> None:
        self.now = now
        if time.perf_counter() - self.sent > PAUSE:
            self.send()

    def say(self, text: str) -> None:
        self.lines.append(text)

    def close(self) -> None:
        """Leave the table and the last digits."""
        self.now = None
        self.send()

    def send(self) -> None:
        self.handle.update(self.page(), raw=True)
        self.sent = time.perf_counter()

    def page(self) -> dict[str, str]:
        """What stands there, by MIME type."""
        parts = [f'<pre style="font-family: monospace">{html.escape(chr(10).join(self.lines))}']
        if self.now:
            parts += [f'\n<span style="opacity: 0.6">{html.escape(self.now.row)}</span>']
            parts += [f'</pre><progress value="{self.now.step}" max="{self.now.steps}" style="width: 30em"></progress>']
            parts += [f" {self.now.step / self.now.steps:.0%} {self.now.left}<br>"]
        else:
            parts += ["</pre>"]
        if self.image:
            parts += [f'<img src="data:image/png;base64,{base64.b64encode(self.image).decode()}">']
        return {"text/html": "".join(parts), "text/plain": "\n".join(self.lines)}
