"""What `make_metric_answers.py` and `test_metrics.py` share: all numbers that go in, by formula. NumPy only."""

import json
import math
import zlib
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("metric_answers.json")


def values(name, shape):
    """Numbers in [-1, 1) that look random, by whole numbers: every machine gets the same bits."""
    k = np.arange(math.prod(shape), dtype=np.int64) + zlib.crc32(name.encode()) % 10007
    return (2 * (k**3 % 10007) / 10007 - 1).reshape(shape)


def features(name, n, F, scales=1.0):
    """(n, F), not negative as after a ReLU, and correlated."""
    return np.maximum(values(name, (n, F)) @ values("mix", (F, F)) + 0.3, 0) * scales


#: {case: two sets of features}
PAIRS = {
    "alike": (features("a", 300, 12), features("b", 300, 12)),
    "unlike": (features("a", 300, 12), 1.5 * features("c", 250, 12) + 0.2),
    "of-many-scales": (features("a", 300, 6, np.logspace(-2, 2, 6)), features("b", 200, 6, np.logspace(-2, 2, 6))),
    "of-one-feature": (values("a", (40, 1)), 2 * values("b", (30, 1)) + 1),
}
NEIGHBOURS = (1, 3, 5)


def probabilities(name, n, K, sharpness):
    logits = sharpness * values(name, (n, K))
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


#: {case: p (N, K)}; the last has zeros, and a class that is never met
TABLES = {
    "sure": probabilities("sure", 500, 10, 12.0),
    "unsure": probabilities("unsure", 303, 10, 1.0),
    "certain": np.eye(10)[np.arange(270) % 9],
}

IMAGES = np.uint8(127.5 * (values("images", (40, 6, 5)) + 1))
TRAINING = np.uint8(127.5 * (values("training", (90, 6, 5)) + 1))
IMAGES[3], IMAGES[4] = TRAINING[50], TRAINING[7] // 2 + TRAINING[8] // 2  # a copy, and half of two


def load():
    return json.loads(FILE.read_text())
