"""Exercise: binary cross-entropy, the loss of a discriminator that answers with a probability.

    L = -(1/n) Σ [t·log p + (1 - t)·log(1 - p)]        p any shape, n entries; t a number, or an array of p's shape

At p = 0 or 1 a logarithm is infinite: take none for less than -100, and in the gradient divide by no less than 1e-12.
"""

import numpy as np  # noqa: F401 (for you)


def binary_cross_entropy(p, t):
    """Return the loss and its gradient with respect to p, which has p's shape and dtype: value, gradient."""
    raise NotImplementedError("value and gradient")
