"""Scalar losses. Each returns (value, gradient): the mean over all entries, and its derivative for every entry.

The value is a 0-d array that stays on the device; it becomes a Python float only when it is logged.
"""

from __future__ import annotations

import numpy as np

from minigan.backend import Array, array_module, to_numpy
from minigan.errors import ArgumentError, ShapeError
from minigan.nn.activations import sigmoid

Target = float | Array


def binary_cross_entropy(p: Array, t: Target) -> tuple[Array, Array]:
    """-(1/n) Σ [t·log p + (1 - t)·log(1 - p)] of probabilities p against targets t.

    Both logarithms are clamped at -100, so that p = 0 or 1 gives a finite loss; the gradient is
    (p - t) / max(p(1 - p), 1e-12) / n. Both are PyTorch's convention (`torch.nn.BCELoss`).

    Shapes: p any; t a number, or an array of p's shape; the gradient has p's shape. Unit: nats.
    Raises ArgumentError for a target outside [0, 1], ShapeError for a target of another shape.
    """
    xp = array_module(p=p, t=t)
    check_target(t, p)
    with np.errstate(divide="ignore"):  # log 0 = -inf is what the clamp is for
        log_p = xp.maximum(xp.log(p), -100)
        log_not_p = xp.maximum(xp.log1p(-p), -100)
    value = -(t * log_p + (1 - t) * log_not_p).mean()
    return value, (p - t) / xp.maximum(p * (1 - p), 1e-12) / p.size


def binary_cross_entropy_with_logits(x: Array, t: Target) -> tuple[Array, Array]:
    """The same loss of p = σ(x), from the logits x: (1/n) Σ [max(x, 0) - t·x + log(1 + e^(-|x|))].

    Written so, no exponential overflows and no logarithm sees 0: finite and right for every float x. The gradient is
    (σ(x) - t) / n, which does not vanish where the discriminator is sure and wrong.

    Shapes, units and errors: as `binary_cross_entropy`.
    """
    xp = array_module(x=x, t=t)
    check_target(t, x)
    value = (xp.maximum(x, 0) - t * x + xp.log1p(xp.exp(-abs(x)))).mean()
    return value, (sigmoid(x) - t) / x.size


def check_target(t: Target, like: Array) -> None:
    """Raise unless t is a probability, or an array of probabilities of the predictions' shape."""
    shape = getattr(t, "shape", ())
    if shape not in ((), like.shape):
        raise ShapeError(f"the target has shape {shape} and the predictions {like.shape}; give a number or that shape")
    low, high = (t, t) if isinstance(t, (int, float)) else (to_numpy(t.min()), to_numpy(t.max()))
    if not (0 <= low and high <= 1):
        raise ArgumentError(f"a target must lie in [0, 1], got values from {low} to {high}")
