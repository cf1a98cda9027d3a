"""Exercise: a dense layer. Write the three methods; the constructor and the weights are minigan's.

    y = x W + b        x (N, …, C), W (C, K), b (K,), y (N, …, K)

How does the loss change with x, with W, with b, if dy (N, …, K) says how it changes with y? Each answer has the shape
of the thing itself. `minigan exercise dense` checks what you have and says what is wrong with it.
"""

from minigan import nn


class Dense(nn.Dense):
    """self.W is the weights; self.b the biases, but only if self.bias (a layer may be made without)."""

    def forward(self, x, *, train, rng=None):
        """Return y and whatever backward will need: y, cache."""
        raise NotImplementedError("y = x W + b")

    def input_grad(self, dy, cache):
        """Return dx."""
        raise NotImplementedError("dx, with the shape of x")

    def param_grads(self, dy, cache, grads):
        """Write (do not add) into grads["W"][...] = … and, if self.bias, into grads["b"][...] = …"""
        raise NotImplementedError("dW and db; every axis of x but the last counts as batch")
