"""Random numbers: draws that are a function of a seed, a stream and a step."""

from __future__ import annotations

import hashlib
import math
from functools import cache
from typing import Any

import numpy as np

from minigan.backend.arrays import Array
from minigan.backend.devices import to_device
from minigan.errors import ArgumentError, whole

STREAMS = ("init", "shuffle", "latent", "dropout", "preview", "sample", "data", "split", "penalty")


@cache
def key_of(stream: str) -> int:
    """64 bits of the stream's name: adding or reordering streams changes no other stream's numbers."""
    return int.from_bytes(hashlib.sha256(stream.encode()).digest()[:8], "little")


def check_seed(seed: object, name: str = "seed") -> int:
    """The seed as an int; raises ArgumentError, with its name, for what is no whole number of 64 bits."""
    return whole(seed, f"{name} must be a whole number between 0 and 2**64 - 1", most=2**64 - 1)


class RandomStream:
    """Random draws that are a function of (seed, stream, step), made on the device of the arrays that use them.

    Philox is a counter-based generator: the key is (seed, stream) and the counter starts at the step, so there is no
    state to save, and draws of one stream cannot disturb another's. The draws are made on the host, so that CPU and
    GPU runs see the same numbers. Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """

    def __init__(self, seed: int, stream: str, step: int = 0, *, device: str = "cpu"):
        if stream not in STREAMS:
            raise ArgumentError(f"unknown random stream {stream!r}; known: {', '.join(STREAMS)}")
        seed, step = check_seed(seed), check_seed(step, "step")
        bits = np.random.Philox(key=np.array([seed, key_of(stream)], np.uint64), counter=[0, 0, step, 0])
        self.host = np.random.Generator(bits)
        self.device = device

    def normal(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        """Standard normal draws, N(0, 1)."""
        return to_device(self.host.standard_normal(shape, dtype), self.device)

    def uniform(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        """Uniform draws from [0, 1)."""
        return to_device(self.host.random(shape, dtype), self.device)

    def bits(self, shape: tuple[int, ...]) -> Array:
        """Draws from 0…65535, each as likely: uint16, at a third of the cost of `uniform`."""
        count = math.prod(shape)
        words = self.host.bit_generator.random_raw(-(-count // 4))  # 64 bits each
        return to_device(words.view(np.uint16)[:count].reshape(shape), self.device)
