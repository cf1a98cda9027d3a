"""The metrics of arrays on the GPU against the CPU's. Needs NumPy, CuPy and pytest only."""

import numpy as np
import pytest

from minigan.backend import to_device
from minigan.metrics.frechet import frechet_distance
from minigan.metrics.kernel import kernel_distance
from minigan.metrics.modes import ring, score_modes
from minigan.metrics.neighbours import copies, nearest, precision_recall
from minigan.metrics.parzen import parzen_log_likelihood
from minigan.metrics.score import digit_balance, mnist_score

pytestmark = pytest.mark.gpu


def features(rng, count):
    return rng.standard_normal((count, 8))


def images(rng, count):
    return rng.integers(0, 256, (count, 6, 6), dtype=np.uint8)


def probabilities(rng):
    raw = rng.random((200, 10))
    return raw / raw.sum(axis=1, keepdims=True)


#: The metric and what it is asked of. Through CuPy they come to products, to QR and the singular values (Fréchet), to
#: partitions, places of what is true, and rows taken by their numbers (neighbours).
ASKED = {
    "frechet": (frechet_distance, lambda rng: (features(rng, 60), features(rng, 50) + 0.3)),
    "kernel": (kernel_distance, lambda rng: (features(rng, 60), features(rng, 50) + 0.3)),
    "precision and recall": (precision_recall, lambda rng: (features(rng, 300), features(rng, 50))),
    "nearest": (nearest, lambda rng: (images(rng, 20), images(rng, 40))),
    "copies": (copies, lambda rng: (images(rng, 20), images(rng, 40))),
    "parzen": (
        lambda samples, test: parzen_log_likelihood(samples, test, sigma=0.2),
        lambda rng: (rng.random((30, 36)), rng.random((20, 36))),
    ),
    "modes": (lambda samples: score_modes(samples, ring()), lambda rng: (ring().means.repeat(25, axis=0),)),
    "score": (mnist_score, lambda rng: (probabilities(rng),)),
    "balance": (digit_balance, lambda rng: (probabilities(rng),)),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_metric_on_the_gpu_is_the_cpus(name):
    metric, samples = ASKED[name]
    here = samples(np.random.default_rng(0))
    there = (to_device(array, "gpu") for array in here)
    ours, theirs = ([found] if isinstance(found, float) else found for found in (metric(*here), metric(*there)))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-12)
