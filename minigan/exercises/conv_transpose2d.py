"""Exercise: a transposed convolution, which draws. Write the three methods; constructor, weights, sizes are minigan's.

    y[n, p·SH + i - above, q·SW + j - left, k] += W[i, j, k, c] · x[n, p, q, c]

over all p, q, i, j, c; then b[k] is added. x (N, H, W, C), W (KH, KW, K, C), b (K,), y (N, OH, OW, K). Each input value
stamps the kernel on y; stamps that overlap add up, and what falls outside y is lost. It is the way back of a
convolution: what was dx there is y here, and what was dy is x.
"""

import numpy as np  # noqa: F401 (for you)

from minigan import nn


class ConvTranspose2d(nn.ConvTranspose2d):
    """self.W is there, and self.b if self.bias. self.out_size((H, W)) is (OH, OW), and self.windows((OH, OW)) tells
    where the stamps fall on such an image: kernel (KH, KW), stride (SH, SW), pad ((above, below), (left, right)) and
    counts, which is (H, W) again, in this order.
    """

    def forward(self, x, *, train, rng=None):
        """Return y and whatever backward will need: y, cache. Keep x's dtype."""
        raise NotImplementedError("y: the stamps on an image with its margins, which are then cut off; plus b")

    def input_grad(self, dy, cache):
        """Return dx, with the shape of x."""
        raise NotImplementedError("dx: each input value collects from all that it has stamped; dy outside y is 0")

    def param_grads(self, dy, cache, grads):
        """Write (do not add) into grads["W"][i, j] = … and, if self.bias, into grads["b"][...] = …"""
        raise NotImplementedError("dW and db: the same kernel is stamped by every place of every image")
