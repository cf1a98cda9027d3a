"""Glyphs: labelled 28×28 digits drawn on this machine, for when MNIST is not to be had.

The digits of the text fonts that matplotlib ships are rendered once and then bent: each image is one of them under a
random affine map (rotation, shear, scale, shift), a random smooth elastic displacement and a random stroke width. They
are the same size and the same polarity as MNIST's (ink is 255), and need neither network nor files.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from minigan.backend import RandomStream
from minigan.backend.random import check_seed
from minigan.errors import whole
from minigan.store.files import cache_dir, write_atomically

# The text fonts; the others that matplotlib ships map digits to boxes or symbols.
FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
    *("cmr10", "cmb10", "cmss10", "cmtt10", "cmti10"),
)
SIZE = 28
DETAIL = 2  # the rendered originals have this many pixels per pixel of the final image
INK = 20  # height of a digit, as in MNIST, where it fills a box of 20 pixels
CHUNK = 2000  # images made at once: about 100 MB of intermediate arrays
VERSION = 1  # raise it when the same seed gives other images, so that old caches are left alone


def load_glyphs(
    count: int = 60_000,
    *,
    seed: int = 0,
    folder: str | os.PathLike[str] | None = None,
    say: Callable[[str], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(images uint8 (count, 28, 28), labels uint8 (count,)): `make_glyphs`, kept on disk for the next time.

    They are kept in `folder`, by default minigan's cache; where that cannot be written, nothing is kept. A kept file
    that is damaged is made again. `say` is told if many have to be drawn, which takes a while.
    """
    count, seed = whole(count, "ask for at least 1 glyph, a whole number", least=1), check_seed(seed)
    path = (Path(folder) if folder else cache_dir()) / f"glyphs-v{VERSION}-{count}-{seed}.npz"
    kept = _read_kept(path)
    if kept and kept[0].shape == (count, SIZE, SIZE) and kept[1].shape == (count,):
        return kept
    if say and count > CHUNK:
        say(f"Drawing {count:,} glyphs, which are kept for the next time.")
    images, labels = make_glyphs(count, seed=seed)
    buffer = io.BytesIO()
    np.savez(buffer, images=images, labels=labels)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, buffer.getvalue())
    except OSError:
        pass  # no home, a full or a read-only disk: they are made again next time
    return images, labels


def _read_kept(path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return kept["images"], kept["labels"]
    except Exception:  # a damaged archive makes zipfile, zlib and NumPy raise half a dozen kinds
        return None


def make_glyphs(count: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(images uint8 (count, 28, 28), labels uint8 (count,)): any number of digits from a seed.

    The first images do not depend on `count`: asking for more gives the same ones and more.
    Raises ArgumentError for a count below 1.
    """
    count = whole(count, "ask for at least 1 glyph, a whole number", least=1)
    originals = render_digits()
    images, labels = np.empty((count, SIZE, SIZE), np.uint8), np.empty(count, np.uint8)
    for chunk, start in enumerate(range(0, count, CHUNK)):
        rng = RandomStream(seed, "data", chunk).host
        digits = rng.integers(0, 10, CHUNK)
        fonts = rng.integers(0, len(originals), CHUNK)
        part = slice(start, min(start + CHUNK, count))
        images[part] = bend(originals[fonts, digits], rng)[: part.stop - start]
        labels[part] = digits[: part.stop - start]
    return images, labels


def render_digits() -> np.ndarray:
    """float32 (fonts, 10, S, S) in [0, 1] with S = 56: every digit of every font, its ink 40 pixels high, centred."""
    import matplotlib
    from matplotlib.ft2font import FT2Font

    S = SIZE * DETAIL
    canvas = np.zeros((len(FONTS), 10, S, S), np.float32)
    for f, name in enumerate(FONTS):
        font = FT2Font(os.path.join(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf"))
        font.set_size(100, 72)
        font.set_text("0", 0.0)
        font.set_size(100 * INK * DETAIL / (font.get_width_height()[1] / 64), 72)  # so that the 0 has the right height
        for digit in range(10):
            font.set_text(str(digit), 0.0)
            font.draw_glyphs_to_bitmap(antialiased=True)
            ink = np.asarray(font.get_image(), np.float32)[:S, :S] / 255
            top, left = (S - ink.shape[0]) // 2, (S - ink.shape[1]) // 2
            canvas[f, digit, top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return _blur(canvas)


def bend(originals: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uint8 (N, 28, 28): each original (N, S, S) seen through its own random map, sampled bilinearly.

    For every pixel of the result the map says where in the original to look: coordinates are measured from the centre
    in units of final pixels, bent by A (2×2), shifted by t, and displaced by a smooth random field.
    """
    N, S = originals.shape[:2]
    angle, shear = rng.uniform(-0.2, 0.2, N), rng.uniform(-0.3, 0.3, N)
    grow_x, grow_y = rng.uniform(0.8, 1.15, N), rng.uniform(0.85, 1.1, N)
    cos, sin = np.cos(angle), np.sin(angle)
    A = np.array([[cos / grow_y, -sin / grow_y], [(sin + shear * cos) / grow_x, (cos - shear * sin) / grow_x]])
    t = rng.uniform(-1.5, 1.5, (2, N))

    axis = np.arange(SIZE) - (SIZE - 1) / 2
    row, col = axis[:, None], axis[None, :]
    field = smooth_field(2 * N, rng).reshape(2, N, SIZE, SIZE)
    rows = _each(A[0, 0]) * row + _each(A[0, 1]) * col + _each(t[0]) + field[0]
    cols = _each(A[1, 0]) * row + _each(A[1, 1]) * col + _each(t[1]) + field[1]

    ink = _sample(originals, rows * DETAIL + (S - 1) / 2, cols * DETAIL + (S - 1) / 2)
    threshold = _each(rng.uniform(0.2, 0.45, N))  # where the blurred edge counts as ink decides the stroke's width
    return (255 * np.clip((ink - threshold) * 2.5 + 0.3, 0, 1) * (ink > 0.02)).astype(np.uint8)


def smooth_field(count: int, rng: np.random.Generator, *, knots: int = 5, size: float = 0.8) -> np.ndarray:
    """float32 (count, 28, 28): random displacements of about `size` pixels, drawn at 5×5 knots, smooth between."""
    position = np.linspace(0, knots - 1, SIZE)
    weights = np.maximum(0, 1 - abs(position[:, None] - np.arange(knots)) / 1.5) ** 2  # (28, knots), a smooth bump each
    weights /= weights.sum(axis=1, keepdims=True)
    at_knots = size * rng.standard_normal((count, knots, knots), np.float32)
    return weights.astype(np.float32) @ at_knots @ weights.T.astype(np.float32)


def _sample(images: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Bilinear interpolation of each image (N, S, S) at its own points (N, 28, 28); outside the image it is 0."""
    N, S = images.shape[:2]
    padded = np.zeros((N, S + 3, S + 3), np.float32)
    padded[:, 1 : S + 1, 1 : S + 1] = images
    rows, cols = np.clip(rows + 1, 0, S + 1).astype(np.float32), np.clip(cols + 1, 0, S + 1).astype(np.float32)
    r, c = rows.astype(np.int32), cols.astype(np.int32)
    dr, dc = rows - r, cols - c
    at = r * (S + 3) + c + (np.arange(N, dtype=np.int32) * (S + 3) ** 2)[:, None, None]
    flat = padded.ravel()
    above = flat[at] * (1 - dc) + flat[at + 1] * dc
    below = flat[at + S + 3] * (1 - dc) + flat[at + S + 4] * dc
    return above * (1 - dr) + below * dr


def _blur(images: np.ndarray) -> np.ndarray:
    """A small binomial blur (1, 2, 1)/4 twice along both image axes, so that sampling every other pixel is smooth."""
    for axis in (-1, -2, -1, -2):
        images = (np.roll(images, 1, axis) + 2 * images + np.roll(images, -1, axis)) / 4
    return images


def _each(values: np.ndarray) -> np.ndarray:
    """(N,) as float32 (N, 1, 1): one value per image."""
    return values.astype(np.float32)[:, None, None]
