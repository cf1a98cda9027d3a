"""Exercise: the largest value in each window of an image. Write both methods; constructor and sizes are minigan's.

    y[n, p, q, c] = max over i, j of x[n, p·SH + i - above, q·SW + j - left, c]        x (N, H, W, C), y (N, OH, OW, C)

Outside the image x is -∞, which never wins. Of equal values the first wins, row by row from the top left. One way: loop
over the window's places (i, j) alone; what a place sees in all the windows is a slice of x with steps, (N, OH, OW, C).
"""

import numpy as np  # noqa: F401 (for you)

from minigan import nn


class MaxPool2d(nn.MaxPool2d):
    """self.windows((H, W)) tells where the windows lie on such an image:
    kernel (KH, KW), stride (SH, SW), pad ((above, below), (left, right)) and counts (OH, OW), in this order.
    """

    def forward(self, x, *, train, rng=None):
        """Return y and whatever backward will need: y, cache. Keep x's dtype."""
        raise NotImplementedError("y: the largest of each window; and remember which it was")

    def input_grad(self, dy, cache):
        """Return dx, with the shape of x."""
        raise NotImplementedError("dx: only the winner of a window hears of it; it may have won several")
