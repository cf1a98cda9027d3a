"""Batches: images as a network takes them, reshuffled on every pass.

The images are held once, as uint8 where they come so; each batch is gathered, scaled to the network's range and given
its shape on the way out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count

import numpy as np

from minigan.backend import Array, Elementwise, RandomStream, array_module, to_device
from minigan.backend.random import check_seed
from minigan.errors import ArgumentError, DataError, DTypeError, ShapeError, whole


class Batches:
    """Batches of `images` (N, …), each (batch_size, *shape) and of dtype `dtype`, in `value_range`.

    uint8 images are scaled from 0…255 to `value_range`; float images must fill it already. The order of pass k is a
    permutation drawn from (seed, k), so that any pass can be had again. The last batch of a pass holds what is left
    over, unless `drop_last`. `pad` puts that many rows and columns of background (the range's low end) around each
    image (N, H, W). `device="gpu"` keeps the whole set there.

    Raises DTypeError for other integers, DataError for NaN, Inf or values out of range, ShapeError if an image does not
    have as many values as `shape`, ArgumentError for an impossible batch size or an empty set.
    """

    def __init__(
        self,
        images: np.ndarray,
        batch_size: int,
        *,
        shape: tuple[int, ...],
        value_range: tuple[float, float] = (-1.0, 1.0),
        seed: int = 0,
        drop_last: bool = False,
        pad: int = 0,
        dtype: type = np.float32,
        device: str = "cpu",
    ):
        check_images(images, value_range)
        needs = f"batch_size must be a whole number from 1 to the {len(images)} images"
        batch_size = whole(batch_size, needs, least=1, most=len(images))
        if pad:
            background = 0 if images.dtype == np.uint8 else value_range[0]
            images = np.pad(images, ((0, 0), (pad, pad), (pad, pad)), constant_values=background)
        if math.prod(images.shape[1:]) != math.prod(shape):
            raise ShapeError(f"an image of shape {images.shape[1:]} cannot become a network's input of shape {shape}")
        self.images = to_device(images, device)
        self.batch_size, self.shape, self.value_range = batch_size, tuple(shape), value_range
        self.seed, self.drop_last, self.dtype = check_seed(seed), drop_last, dtype
        self._pass, self._order = -1, np.zeros(0, np.int64)  # the last pass asked for, and its order

    def __len__(self) -> int:
        """The number of batches in a pass."""
        return count_batches(len(self.images), self.batch_size, drop_last=self.drop_last)

    def batch(self, number: int) -> Array:
        """Batch `number` of pass after pass without end."""
        passes, i = divmod(number, len(self))
        if passes != self._pass:
            self._order = RandomStream(self.seed, "shuffle", passes).host.permutation(len(self.images))
            self._pass = passes
        return self.take(self._order[i * self.batch_size : (i + 1) * self.batch_size])

    def epoch(self, number: int) -> Iterator[Array]:
        """Pass `number` over the set, in its own order."""
        return (self.batch(number * len(self) + i) for i in range(len(self)))

    def forever(self) -> Iterator[Array]:
        """Pass after pass without end."""
        return (self.batch(number) for number in count())

    def take(self, indices: np.ndarray) -> Array:
        """The images at `indices` (host integers), as a batch."""
        if len(indices) and not (0 <= indices.min() and indices.max() < len(self.images)):  # CuPy would wrap around
            raise ArgumentError(f"an index is outside 0…{len(self.images) - 1}")
        xp = array_module(self.images)
        chosen = self.images[xp.asarray(indices)].reshape(len(indices), *self.shape)
        if chosen.dtype != np.uint8:
            return chosen.astype(self.dtype, copy=False)
        low, high = self.value_range
        return shades(chosen, 255, high - low, low, out=xp.empty(chosen.shape, dtype=self.dtype))


@Elementwise
def shades(pixels: Array, full: float, span: float, low: float) -> Array:
    return pixels / full * span + low  # full/full is exactly 1, so both ends of the range are exact


def count_batches(images: int, batch_size: int, *, drop_last: bool) -> int:
    """The number of batches in a pass over so many images."""
    full, rest = divmod(images, batch_size)
    return full + (rest > 0 and not drop_last)


def check_images(images: np.ndarray, value_range: tuple[float, float]) -> None:
    """Raise unless `images` is a non-empty set of uint8 images, or of finite floats that fill `value_range`."""
    if not isinstance(images, np.ndarray):
        raise DTypeError(f"images must be a NumPy array, got a {type(images).__name__}")
    if images.ndim < 2 or len(images) == 0:
        raise ArgumentError(f"images must be (N, …) with N at least 1, got shape {images.shape}")
    if images.dtype == np.uint8:
        if images.max() <= 1:
            raise DataError("the images are uint8 but hold nothing above 1, of 255; are they scaled already?")
        return
    if images.dtype.kind != "f":
        raise DTypeError(
            f"images are {images.dtype}; give uint8 (0…255), or floats scaled to {value_range}: images.astype('uint8')"
        )
    if not np.isfinite(images).all():
        bad = int(len(images) - np.isfinite(images.reshape(len(images), -1)).all(axis=1).sum())
        raise DataError(f"{bad} of {len(images)} images hold NaN or Inf; remove or repair them")
    low, high = float(images.min()), float(images.max())
    if low < value_range[0] or high > value_range[1] or low >= (value_range[0] + value_range[1]) / 2:
        raise DataError(
            f"the images' values go from {low:g} to {high:g}, which is not {value_range}; scale them to it "
            "(uint8 images are scaled for you)"
        )
