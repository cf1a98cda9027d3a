"""A small reader of digits, which trains the pieces that no GAN here is made of: MaxPool2d, softmax cross-entropy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigan.backend import RandomStream
from minigan.data.glyphs import load_glyphs
from minigan.losses import softmax_cross_entropy
from minigan.nn import Conv2d, Dense, Flatten, MaxPool2d, ReLU, Sequential
from minigan.optim import Adam

BATCH = 50


def make_small_classifier(seed: int = 0) -> Sequential:
    """Images (N, 28, 28, 1) → a logit for each digit, (N, 10): what LeNet was, a quarter of the size."""
    layers = [
        Conv2d(8, 5, pad=2), ReLU(), MaxPool2d(2),
        Conv2d(16, 5), ReLU(), MaxPool2d(2),
        Flatten(), Dense(10),
    ]  # fmt: skip
    return Sequential(layers, (28, 28, 1), rng=RandomStream(seed, "init").host)


def train_classifier(
    *, epochs: int, learn: int = 4000, held_out: int = 1000, seed: int = 0, say: Callable[[str], None] = print
) -> float:
    """Learn to read `learn` glyphs; the share that it then reads right of `held_out` others, said after each pass."""
    images, labels = load_glyphs(learn + held_out, seed=seed)
    x, t = (images[..., None] / np.float32(255)).astype(np.float32), labels.astype(np.int64)
    network = make_small_classifier(seed)
    optimizer, right = Adam(network, lr=2e-3), 0.0
    for epoch in range(epochs):
        order, total = RandomStream(seed, "shuffle", epoch).host.permutation(learn), 0.0
        for start in range(0, learn, BATCH):
            batch = order[start : start + BATCH]
            y, cache = network.forward(x[batch], train=True)
            value, dy = softmax_cross_entropy(y, t[batch])
            network.backward(dy, cache, need_input_grad=False)
            optimizer.step()
            total += float(value) * len(batch)
        right = float((network(x[learn:]).argmax(axis=1) == t[learn:]).mean())
        said = f"loss {total / learn:.3f}; of {held_out:,} digits that it has not seen it reads {right:.1%}"
        say(f"  pass {epoch + 1}/{epochs}: {said}")
    return right
