"""Pictures: from a network's outputs to pixels, sheets and PNG files."""

from __future__ import annotations

import math
import os

import numpy as np

from minigan.errors import ArgumentError, DataError


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


def save_png(image: np.ndarray, path: str | os.PathLike[str]) -> None:
    """Write a uint8 image (H, W) as a grey PNG."""
    from PIL import Image

    Image.fromarray(image).save(path, format="PNG")
