"""SciPy's and scikit-learn's answers for `test_metrics.py`: `PYTHONPATH=. python tests/oracle/make_metric_answers.py`.

With SciPy 1.17.1 and scikit-learn 1.9.1. Nothing of minigan's metrics is used; the permutation that deals samples to
the splits of a score is an input.
"""

import json
import sys
from pathlib import Path

import numpy as np
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from scipy.special import rel_entr
from scipy.stats import entropy
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors

sys.path.insert(0, str(Path(__file__).parents[1]))  # where pytest finds it as well
from oracle import metric_inputs as inputs

from minigan.backend import RandomStream


def frechet(a, b):
    Ca, Cb = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    return float(np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(Ca + Cb - 2 * np.real(sqrtm(Ca @ Cb))))


def kernel(a, b):
    def k(x, y):
        return polynomial_kernel(x, y, degree=3, gamma=1 / x.shape[1], coef0=1)

    def within(x):
        return k(x, x)[~np.eye(len(x), dtype=bool)].mean()

    return float(within(a) + within(b) - 2 * k(a, b).mean())


def covered(centres, others, k):
    """The share of `others` within the k-th neighbour's distance of one of `centres`."""
    radii = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(centres).kneighbors()[0][:, -1]  # itself left out
    return float((cdist(others, centres) <= radii).any(axis=1).mean())


def score(p, splits):
    ordered = np.array(sorted(p.tolist()))[RandomStream(0, "split").host.permutation(len(p))]
    parts = [ordered[len(p) * i // splits : len(p) * (i + 1) // splits] for i in range(splits)]
    scores = [np.exp(rel_entr(part, part.mean(axis=0)).sum(axis=1).mean()) for part in parts]
    return [float(np.mean(scores)), float(np.std(scores))]


def closest():
    images, training = (x.reshape(len(x), -1) / 255 for x in (inputs.IMAGES, inputs.TRAINING))
    distance, index = (
        NearestNeighbors(n_neighbors=2, algorithm="brute", metric="minkowski", p=2).fit(training).kneighbors(images)
    )
    return {"index": index[:, 0].tolist(), "distance": distance.tolist()}


answers = {
    "frechet": {case: frechet(*pair) for case, pair in inputs.PAIRS.items()},
    "kernel": {case: kernel(*pair) for case, pair in inputs.PAIRS.items()},
    "precision_recall": {
        f"{case}-{k}": [covered(real, fake, k), covered(fake, real, k)]
        for case, (real, fake) in inputs.PAIRS.items()
        for k in inputs.NEIGHBOURS
    },
    "score": {f"{case}-{n}": score(p, n) for case, p in inputs.TABLES.items() for n in (1, 10) if len(p) >= 10 * n},
    "balance": {
        case: float(entropy(np.bincount(p.argmax(axis=1), minlength=p.shape[1]), np.ones(p.shape[1])))
        for case, p in inputs.TABLES.items()
    },
    "nearest": closest(),
}
inputs.FILE.write_text(json.dumps(answers, indent=1) + "\n")
