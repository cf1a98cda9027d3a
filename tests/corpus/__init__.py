"""Layers and pairs as users write them, half of them subtly wrong: what the gradient checker is examined with."""

from corpus import activations, breaches, features, images, norms, pairs_algebra, pairs_losses, sequences  # noqa: F401
from corpus.case import LAYERS, PAIRS

__all__ = ["LAYERS", "PAIRS"]
