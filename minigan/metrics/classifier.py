"""The small reader of digits in whose features samples are measured. minigan trained it itself; its weights come along.

One for MNIST and one for glyphs, each made by `python benchmarks/classifier.py DATASET` and pinned here by its hash.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np

from minigan.backend import RandomStream, to_numpy
from minigan.errors import CheckpointError, DTypeError, ShapeError, known_name
from minigan.losses import softmax
from minigan.nn import Conv2d, Dense, Dropout, Flatten, MaxPool2d, ReLU, Sequential

SHA256 = {
    "mnist": "5302a426c4d1610824179553b8c2624df69448a0cbc694e7059889ee78bb2097",
    "glyphs": "44ba020a2bd6ebdaf68307f8d9753c7ad6f68c99678646a712a73cc8e65d7e0a",
}
FEATURES = 128  # of the last hidden layer
BATCH = 500  # images described at once


def make_classifier(seed: int = 0) -> Sequential:
    """Images (N, 28, 28, 1) in [0, 1] → a logit for each digit, (N, 10). 131,000 parameters."""
    layers = [
        Conv2d(32, 3, pad=1), ReLU(), MaxPool2d(2),
        Conv2d(64, 3, pad=1), ReLU(), MaxPool2d(2),
        Conv2d(64, 3, pad=1), ReLU(), MaxPool2d(2),
        Flatten(), Dense(FEATURES), ReLU(), Dropout(drop=0.5), Dense(10),
    ]  # fmt: skip
    return Sequential(layers, (28, 28, 1), rng=RandomStream(seed, "init").host)


def to_input(images: np.ndarray) -> np.ndarray:
    """uint8 (N, 28, 28) → float32 (N, 28, 28, 1) in [0, 1]; raises ShapeError or DTypeError for anything else."""
    if images.ndim != 3 or images.shape[1:] != (28, 28):
        raise ShapeError(f"the classifier reads images (N, 28, 28), got {images.shape}")
    if images.dtype != np.uint8:
        raise DTypeError(f"the classifier reads uint8 pixels from 0 to 255, got {images.dtype}; see plot.to_uint8")
    return images[..., None] / np.float32(255)


@cache
def load_classifier(name: str = "mnist") -> Sequential:
    """The trained classifier of "mnist" or "glyphs"; raises CheckpointError if its file is not the one it should be."""
    from safetensors.numpy import load

    path = weights_file(known_name("classifier", name, SHA256))
    content = path.read_bytes() if path.exists() else b""
    if (found := hashlib.sha256(content).hexdigest()) != SHA256[name]:
        raise CheckpointError(
            f"{path} has SHA-256 {found[:12]}… and should have {SHA256[name][:12]}…: install minigan again"
        )
    classifier = make_classifier()
    classifier.load_state(load(content))
    return classifier


def weights_file(name: str) -> Path:
    return Path(__file__).with_name(f"classifier-{name}.safetensors")


def describe(images: np.ndarray, classifier: Sequential) -> tuple[np.ndarray, np.ndarray]:
    """The features of the last hidden layer, (N, 128), and each digit's probability, (N, 10), in float64.

    Shapes: images uint8 (N, 28, 28). Raises ShapeError or DTypeError for other images.
    """
    last = classifier.layers[-1]
    body, features, logits = classifier.layers[:-1], [], []
    for start in range(0, len(images), BATCH):
        x = to_input(images[start : start + BATCH])
        for layer in body:
            x, _ = layer.forward(x, train=False)
        features.append(to_numpy(x))
        logits.append(to_numpy(last.forward(x, train=False)[0]))
    return np.concatenate(features).astype(np.float64), softmax(np.concatenate(logits).astype(np.float64))
