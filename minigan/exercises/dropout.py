"""Exercise: dropout. Write both methods; the constructor is minigan's.

    y = x·m / (1 - drop) in training, y = x at inference        m is 0 with probability drop, else 1

rng.uniform(x.shape) draws numbers between 0 and 1. Every call draws new ones: what must backward know?
"""

from minigan import nn


class Dropout(nn.Dropout):
    """self.drop is the probability of silencing a feature; it may be 0."""

    def forward(self, x, *, train, rng=None):
        """Return y and whatever backward will need: y, cache. Keep x's dtype (x.dtype.type(number) converts)."""
        raise NotImplementedError("y = x·m / (1 - drop) in training, x at inference")

    def input_grad(self, dy, cache):
        """Return dx."""
        raise NotImplementedError("dx: the same features are silent on the way back")
