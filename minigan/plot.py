"""Pictures: from a network's outputs to pixels, sheets, PNG and GIF files, curves, and colours in a terminal."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minigan.errors import ArgumentError, DataError
from minigan.store.files import write_atomically

if TYPE_CHECKING:
    from rich.text import Text

#: The curves of a run: {what they show: {a column of metrics: whose curve it is}}.
PANELS = {
    "loss": {"d_loss": "D", "g_loss": "G"},
    "D's probability of real": {"d_real": "on real images", "d_fake": "on fakes"},
    "share that D gets right": {"acc_real": "of real images", "acc_fake": "of fakes"},
}


def to_uint8(images: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """Map [low, high] to 0…255, rounding; values outside are clipped. Shape unchanged.

    Raises DataError for NaN or Inf, which would otherwise become an arbitrary grey.
    """
    if not np.isfinite(images).all():
        raise DataError("the images hold NaN or Inf; the network that drew them has diverged")
    low, high = value_range
    return np.rint(np.clip((images - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def image_grid(images: np.ndarray, *, columns: int = 10, pad: int = 2) -> np.ndarray:
    """uint8 images (N, H, W) side by side, `columns` to a row, `pad` black pixels around each: one uint8 image."""
    if images.ndim != 3 or images.dtype != np.uint8 or len(images) == 0 or columns < 1:
        raise ArgumentError(f"image_grid needs uint8 images (N, H, W), got {images.dtype} {images.shape}")
    N, H, W = images.shape
    columns = min(columns, N)
    rows = math.ceil(N / columns)
    sheet = np.zeros((rows * (H + pad) + pad, columns * (W + pad) + pad), np.uint8)
    for i, image in enumerate(images):
        top, left = pad + i // columns * (H + pad), pad + i % columns * (W + pad)
        sheet[top : top + H, left : left + W] = image
    return sheet


def png(image: np.ndarray) -> bytes:
    """The bytes of a PNG file of a uint8 image (H, W)."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def save_png(image: np.ndarray, path: str | os.PathLike[str]) -> None:
    """Write a uint8 image (H, W) as a grey PNG."""
    write_atomically(Path(path), png(image))


def save_gif(sheets: Sequence[str | os.PathLike[str]], path: str | os.PathLike[str], *, frames: int = 60) -> None:
    """An endless animation of grey PNG files, evenly thinned to `frames`: 6 seconds or more, the last frame for 2."""
    from PIL import Image

    keep = np.unique(np.linspace(0, len(sheets) - 1, min(frames, len(sheets))).round().astype(int))
    images = []
    for i in keep:
        try:
            with Image.open(sheets[i]) as sheet:
                images.append(
                    sheet.convert("L").quantize(16)
                )  # 16 greys are enough to the eye, at a third of the bytes
        except (SyntaxError, ValueError) as error:  # Pillow's, of a file that is damaged
            raise OSError(f"{sheets[i]} is no picture: {error}") from None
    each = max(100, 6000 // len(images))
    buffer = io.BytesIO()
    durations = [each] * (len(images) - 1) + [2000]
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
    write_atomically(Path(path), buffer.getvalue())


def save_curves(history: Sequence[dict[str, Any]], path: str | os.PathLike[str]) -> None:
    """Losses, D's mean probabilities and D's accuracies against the step, from rows of metrics: a PNG of 900×900.

    A row between the end of an epoch and the next interval may be the mean of a step or two, and would stand out as if
    something had happened: rows of less than half the usual number of steps are left out.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 6), dpi=150)
    FigureCanvasAgg(figure)
    margins = {"left": 0.12, "right": 0.98, "top": 0.98, "bottom": 0.09, "hspace": 0.08}
    axes = figure.subplots(len(PANELS), sharex=True, gridspec_kw=margins)
    history = usual_rows(history)
    steps = [row["step"] for row in history]
    marker = "." if len(history) < 40 else ""
    for ax, (title, lines) in zip(axes, PANELS.items(), strict=True):
        for name, label in lines.items():
            values = [math.nan if row.get(name) is None else row[name] for row in history]
            ax.plot(steps, values, label=label, marker=marker, linewidth=1)
        ax.set_ylabel(title)
        ax.grid(alpha=0.3)
        ax.legend(loc="best", fontsize="small")
    for ax in axes[1:]:
        ax.set_ylim(-0.03, 1.03)
        ax.axhline(0.5, color="grey", linewidth=0.8, linestyle=":")  # where neither player is ahead
    axes[-1].set_xlabel("step (updates of D)")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    write_atomically(Path(path), buffer.getvalue())


def usual_rows(history: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that are means of at least half as many steps as the middle one of them all."""
    counts = np.diff([0, *(row["step"] for row in history)])
    least = np.median(counts) / 2 if history else 0
    return [row for row, count in zip(history, counts, strict=True) if count >= least]


def half_blocks(pixels: np.ndarray) -> Text:
    """A uint8 image (H, W) in the inferno colours as W characters in H/2 rows: the upper half block ▀, in the colour
    of the pixel above, on the colour of the pixel below."""
    from matplotlib import colormaps
    from rich.text import Text

    # 32 shades: more cannot be told apart at this size, and few pairs of them keep rich's cache of styles warm.
    shades = (colormaps["inferno"](np.linspace(0, 1, 32))[:, :3] * 255).astype(int)
    names = [f"rgb({r},{g},{b})" for r, g, b in shades]
    if len(pixels) % 2:
        pixels = np.vstack([pixels, np.zeros_like(pixels[:1])])
    text = Text(no_wrap=True, end="")
    for above, below in zip(pixels[::2] // 8, pixels[1::2] // 8, strict=True):
        for a, b in zip(above, below, strict=True):
            text.append("▀", f"{names[a]} on {names[b]}")
        text.append("\n")
    return text


def shrink(pixels: np.ndarray) -> np.ndarray:
    """Images (N, H, W) at half the size: every 2×2 pixels become their mean."""
    N, H, W = pixels.shape
    return pixels.reshape(N, H // 2, 2, W // 2, 2).mean(axis=(2, 4)).astype(np.uint8)
