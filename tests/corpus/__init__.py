"""Layers and pairs as users write them, half of them subtly wrong: what the gradient checker is examined with."""

from corpus import (  # noqa: F401 (imported, their cases are on the lists)
    activations,
    breaches,
    features,
    images,
    norms,
    pairs_algebra,
    pairs_losses,
    pairs_points,
    promises,
    sequences,
)
from corpus.case import LAYERS, PAIRS

__all__ = ["LAYERS", "PAIRS"]
