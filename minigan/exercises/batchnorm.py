"""Exercise: batch normalisation. Write the three methods; the constructor and all arrays are minigan's.

    x_hat = (x - mean) / √(var + eps),    y = γ·x_hat + β        x, y (N, …, C); all else (C,)

In training mean and var (divided by n) are those of the batch, over all axes but the last; at inference they are
self.running_mean and self.running_var, which stand still. In training they move with every x: that is the exercise.
"""

from minigan import nn
from minigan.nn.norm import BatchNormCache


class BatchNorm(nn.BatchNorm):
    """self.gamma, self.beta and self.eps are there."""

    backward = nn.Layer.backward  # asks the two questions below one after the other

    def forward(self, x, *, train, rng=None):
        """Return y, BatchNormCache(x_hat, 1 / √(var + eps), (mean, var) in training or None at inference)."""
        raise NotImplementedError("y and a BatchNormCache")

    def input_grad(self, dy, cache: BatchNormCache):
        """Return dx; cache.batch is None at inference."""
        raise NotImplementedError("dx: x reaches y directly, through the mean, and through the variance")

    def param_grads(self, dy, cache: BatchNormCache, grads):
        """Write (do not add) into grads["gamma"][...] and grads["beta"][...]."""
        raise NotImplementedError("dgamma and dbeta: sums over every axis but the last")
