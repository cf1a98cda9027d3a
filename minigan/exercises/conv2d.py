"""Exercise: a convolution. Write the three methods; the constructor, the weights and all sizes are minigan's.

    y[n, p, q, k] = b[k] + Σ over i, j, c of W[i, j, c, k] · x[n, p·SH + i - above, q·SW + j - left, c]

x (N, H, W, C), outside which it is 0; W (KH, KW, C, K), b (K,), y (N, OH, OW, K). One way: surround x with zeros, then
loop over the kernel's places (i, j) alone. What a place sees in all the windows is a slice of x with steps, (N, OH, OW,
C), and what is to be done with it is a Dense layer's work, with the weights W[i, j].
"""

import numpy as np  # noqa: F401 (for you)

from minigan import nn


class Conv2d(nn.Conv2d):
    """self.W is there, and self.b if self.bias. self.windows((H, W)) tells where the kernel stands on such an image:
    kernel (KH, KW), stride (SH, SW), pad ((above, below), (left, right)) and counts (OH, OW), in this order.
    """

    def forward(self, x, *, train, rng=None):
        """Return y and whatever backward will need: y, cache. Keep x's dtype."""
        raise NotImplementedError("y: at each window the sum of what it sees, weighted by the kernel, plus b")

    def input_grad(self, dy, cache):
        """Return dx, with the shape of x: without the zeros around it."""
        raise NotImplementedError("dx: what a pixel gets from one window is added to what it gets from the others")

    def param_grads(self, dy, cache, grads):
        """Write (do not add) into grads["W"][i, j] = … and, if self.bias, into grads["b"][...] = …"""
        raise NotImplementedError("dW and db: the same weights are at work at every place of every image")
