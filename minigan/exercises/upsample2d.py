"""Exercise: an image made larger by repeating its pixels. Write both methods; the constructor is minigan's.

    y[n, p, q, c] = x[n, ⌊p / a⌋, ⌊q / b⌋, c]        x (N, H, W, C), y (N, a·H, b·W, C)

Each pixel becomes a block of a×b. It has no weights, so there is one question only: what does a pixel hear back?
"""

import numpy as np  # noqa: F401 (for you)

from minigan import nn
from minigan.nn.conv.windows import pair  # noqa: F401 (for you: a, b = pair(self.scale))


class Upsample2d(nn.Upsample2d):
    """self.scale is one number, or a pair (a, b)."""

    def forward(self, x, *, train, rng=None):
        """Return y and whatever backward will need: y, cache."""
        raise NotImplementedError("y: every pixel repeated, downwards and to the right")

    def input_grad(self, dy, cache):
        """Return dx."""
        raise NotImplementedError("dx: a pixel has been copied to a·b places, and each of them answers")
