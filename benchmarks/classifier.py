"""Train the reader of digits in whose features `minigan evaluate` measures, and write its weights into the package.

    python benchmarks/classifier.py mnist     (or glyphs; 5 minutes each on two cores)

Adam on all 60,000 training images, a batch of 100 at a time, at a rate that falls linearly from 1e-3 to 0. It prints
the accuracy on the 10,000 test images and the hash to pin in minigan/metrics/classifier.py.
"""

from __future__ import annotations

import minigan  # noqa: F401 # isort: skip (before NumPy: see minigan/__init__.py)

import argparse
import hashlib
import time

import numpy as np
from results import Results
from safetensors.numpy import save

from minigan.backend import RandomStream, keep_memory
from minigan.data.glyphs import load_glyphs, make_glyphs
from minigan.data.mnist import load_mnist
from minigan.losses import softmax_cross_entropy
from minigan.metrics.classifier import SHA256, describe, make_classifier, to_input, weights_file
from minigan.nn import Sequential
from minigan.optim import Adam
from minigan.store.files import write_atomically

BATCH, EPOCHS, RATE = 100, 10, 1e-3


def train(images: np.ndarray, labels: np.ndarray) -> Sequential:
    classifier = make_classifier()
    optimizer, steps = Adam(classifier, lr=RATE), EPOCHS * len(images) // BATCH
    for epoch in range(EPOCHS):
        began, total = time.perf_counter(), 0.0
        order = RandomStream(0, "shuffle", epoch).host.permutation(len(images))
        for batch in order.reshape(-1, BATCH):
            optimizer.lr = RATE * (1 - optimizer.steps / steps)
            rng = RandomStream(0, "dropout", optimizer.steps)
            logits, cache = classifier.forward(to_input(images[batch]), train=True, rng=rng)
            loss, dy = softmax_cross_entropy(logits, labels[batch].astype(np.int64))
            classifier.backward(dy, cache, need_input_grad=False)
            optimizer.step()
            total += float(loss)
        print(
            f"epoch {epoch + 1}: loss {total * BATCH / len(images):.4f}, {time.perf_counter() - began:.0f} s",
            flush=True,
        )
    return classifier


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=SHA256)
    name = parser.parse_args().dataset
    keep_memory()
    if name == "mnist":
        learned, unseen = load_mnist("train"), load_mnist("test")
    else:
        learned, unseen = load_glyphs(), make_glyphs(10_000, seed=1)
    classifier = train(*learned)
    content = save({key: np.ascontiguousarray(value) for key, value in classifier.state().items()})
    write_atomically(weights_file(name), content)
    accuracy = float((describe(unseen[0], classifier)[1].argmax(axis=1) == unseen[1]).mean())
    Results("classifier").add(name, {"accuracy": accuracy, "sha256": hashlib.sha256(content).hexdigest()})
