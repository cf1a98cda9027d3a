"""The pictures of a run on a page: files of RUN/samples as data: URIs; a few sheets of one, or pairs of two runs."""

from __future__ import annotations

import base64
import html
import io
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minigan.runs.found import Found

SHEETS, PAIRS = 11, 8  # sheets of a run (and the real images make twelve), or of each of two
#: Bytes and pixels a side of a picture, at most: minigan's are smaller, and the page is to stay below 5 MB.
MOST_BYTES, MOST_PIXELS = 150_000, 2_000


def image(path: Path, about: str) -> str:
    """The picture as an <img>, `about` for those who do not see it; of a file that is none, or too large, a line."""
    if (size := picture_size(data := path.read_bytes() if path.is_file() else b"")) is None:
        reason = "is not there" if not data else "is damaged, or too large to be shown"
        return f'<p class="none">{html.escape(path.name)} {reason}.</p>'
    width, height = size
    source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return f'<img src="{source}" width="{width}" height="{height}" alt="{html.escape(about)}">'


def picture_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) of a whole PNG file; None for other bytes, and for more of them than a page can take."""
    from PIL import Image

    if data[:8] != b"\x89PNG\r\n\x1a\n" or not 24 <= len(data) <= MOST_BYTES:
        return None
    if not all(0 < side <= MOST_PIXELS for side in struct.unpack(">II", data[16:24])):
        return None
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as found:
            found.load()
            return found.size
    except (OSError, SyntaxError, ValueError, struct.error):  # Pillow's, of a file that is damaged
        return None


def figure(picture: str, caption: str, colour: int = 0) -> str:
    """A picture with its caption, in one of the page's colours."""
    name = f' class="name c{colour}"' if colour else ""
    return f"<figure>{picture}<figcaption><span{name}>{html.escape(caption)}</span></figcaption></figure>"


def evenly(count: int, most: int) -> list[int]:
    """At most so many of 0 … count-1, evenly chosen, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)).tolist()


def moment(found: Found, step: int) -> str:
    """When a sheet was drawn, in words."""
    epoch, rest = divmod(step, found.epoch_steps or 1)
    return f"step {step:,}" if rest or not found.epoch_steps else f"after epoch {epoch}" if epoch else "before training"


def sheets_of_one(found: Found) -> str:
    """The real images, and the sheets of a run through time."""
    chosen = [found.sheets[i] for i in evenly(len(found.sheets), SHEETS)]
    told = [(path, moment(found, step)) for step, path in chosen]
    real = figure(image(found.folder / "samples" / "real.png", "training images"), "real: what it learns from")
    drawn = [figure(image(path, f"samples {when}"), when) for path, when in told]
    return f'<div class="sheets">{"".join([real, *drawn])}</div>'


def sheets_of_two(one: Found, two: Found) -> str:
    """The real images of both runs, and sheets at like epochs side by side."""
    times = sorted({step / (run.epoch_steps or 1) for run in (one, two) for step, _ in run.sheets})
    found = [side_by_side([(run, run.folder / "samples" / "real.png", "real") for run in (one, two)])]
    for i in evenly(len(times), PAIRS):
        parts = []
        for run in (one, two):
            step, path = nearest_sheet(run, times[i])
            parts.append((run, path, moment(run, step) if path else "no sheet so late"))
        found.append(side_by_side(parts))
    return f'<div class="pairs">{"".join(found)}</div>'


def nearest_sheet(run: Found, epoch: float) -> tuple[int, Path | None]:
    """(step, path) of the run's sheet that is nearest to the epoch; no path if the run was over an epoch before."""
    steps = run.epoch_steps or 1
    step, path = min(run.sheets, key=lambda sheet: abs(sheet[0] / steps - epoch), default=(0, None))
    return (step, path) if path and epoch < step / steps + max(1.0, spacing(run)) else (step, None)


def spacing(run: Found) -> float:
    """Epochs between the last two sheets of a run."""
    steps = [step / (run.epoch_steps or 1) for step, _ in run.sheets[-2:]]
    return steps[-1] - steps[0] if steps else 0.0


def side_by_side(parts: Sequence[tuple[Found, Path | None, str]]) -> str:
    """Pictures of several runs beside each other, each in its run's colour; a line where there is none."""
    figures = []
    for colour, (run, path, when) in enumerate(parts, 1):
        shown = image(path, f"{run.folder.name}, {when}") if path else '<p class="none">–</p>'
        figures.append(figure(shown, when, colour))
    return f'<div class="pair">{"".join(figures)}</div>'
