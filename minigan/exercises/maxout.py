"""Exercise: maxout, an activation that learns its shape. Write both methods; the constructor is minigan's.

    y[…, k] = max over j of x[…, k·pieces + j],  j = 0 … pieces - 1        x (N, …, C), y (N, …, C / pieces)

The features are taken in groups of neighbours, and the largest of each group goes on. Of equal ones the first wins.
"""

import numpy as np  # noqa: F401 (for you)

from minigan import nn


class Maxout(nn.Maxout):
    """self.pieces is the size of a group."""

    def forward(self, x, *, train, rng=None):
        """Return y and whatever backward will need: y, cache."""
        raise NotImplementedError("y: the largest of each group; and remember which it was")

    def input_grad(self, dy, cache):
        """Return dx, with the shape of x."""
        raise NotImplementedError("dx: dy for the winner of each group, 0 for the others")
