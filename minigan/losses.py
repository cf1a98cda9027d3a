"""Scalar losses. Each returns (value, gradient): a mean, and its derivative for every entry of the predictions.

The value is a 0-d array that stays on the device; it becomes a Python float only when it is logged.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from minigan.backend import Array, Elementwise, array_module, to_numpy
from minigan.errors import ArgumentError, ShapeError, number
from minigan.nn.activations import sigmoid

Target = float | Array


def binary_cross_entropy(p: Array, t: Target) -> tuple[Array, Array]:
    """-(1/n) Σ [t·log p + (1 - t)·log(1 - p)] of probabilities p against targets t.

    Both logarithms are clamped at -100, so that p = 0 or 1 gives a finite loss; the gradient is
    (p - t) / max(p(1 - p), 1e-12) / n. Both are PyTorch's convention (`torch.nn.BCELoss`).

    Shapes: p any; t a number, or an array of p's shape; the gradient has p's shape. Unit: nats.
    Raises ArgumentError for a target outside [0, 1], ShapeError for a target of another shape.
    """
    array_module(p=p, t=t)  # refuses what is no array, or of two libraries, by these names
    with np.errstate(divide="ignore"):  # log 0 = -inf is what the clamp is for
        losses, gradient = cross_entropy(p, target(t, p), p.size)
    return losses.mean(), gradient


@Elementwise
def cross_entropy(xp, p: Array, t: float, n: float) -> tuple[Array, Array]:
    log_p = xp.maximum(xp.log(p), -100)
    log_not_p = xp.maximum(xp.log1p(-p), -100)
    return -(t * log_p + (1 - t) * log_not_p), (p - t) / xp.maximum(p * (1 - p), 1e-12) / n


def binary_cross_entropy_with_logits(x: Array, t: Target) -> tuple[Array, Array]:
    """The same loss of p = σ(x), from the logits x: (1/n) Σ [max(x, 0) - t·x + log(1 + e^(-|x|))].

    Written so, no exponential overflows and no logarithm sees 0: finite and right for every float x. The gradient is
    (σ(x) - t) / n, which does not vanish where the discriminator is sure and wrong.

    Shapes, units and errors: as `binary_cross_entropy`.
    """
    array_module(x=x, t=t)  # as above
    losses, gradient = logits_cross_entropy(x, sigmoid(x), target(t, x), x.size)
    return losses.mean(), gradient


@Elementwise
def logits_cross_entropy(xp, x: Array, p: Array, t: float, n: float) -> tuple[Array, Array]:
    return xp.maximum(x, 0) - t * x + xp.log1p(xp.exp(-abs(x))), (p - t) / n


def hinge(x: Array, side: Literal[1, -1]) -> tuple[Array, Array]:
    """(1/n) Σ max(0, 1 - side·x): no loss for an x that is on its side (1: above, -1: below) of zero by 1 or more.

    The gradient is -side/n where side·x < 1, else 0.
    Shapes: x any, the gradient x's.
    Source: Cortes & Vapnik, "Support-vector networks", 1995.
    """
    losses, gradient = shortfalls(x, side, -side / x.size)
    return losses.mean(), gradient


@Elementwise
def shortfalls(xp, x: Array, side: float, slope: float) -> tuple[Array, Array]:
    short = 1 - side * x
    return xp.maximum(short, 0), (short > 0) * slope


def signed_mean(x: Array, sign: Literal[1, -1]) -> tuple[Array, Array]:
    """(1/n) Σ sign·x, and its gradient, sign/n for every x.

    Shapes: x any, the gradient x's.
    """
    return sign * x.mean(), array_module(x).full_like(x, sign / x.size)


def softmax(x: Array) -> Array:
    """p_k = e^(x_k) / Σ_j e^(x_j) along the last axis; the largest x_k is subtracted first: nothing overflows."""
    e = array_module(x).exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_cross_entropy(x: Array, t: Array) -> tuple[Array, Array]:
    """-(1/N) Σ_n log p_n[t_n] with p = softmax(x): how far a classifier is from the labels. Mean over the N examples.

    t holds labels, whole numbers from 0 to K - 1, or a row of K probabilities for each example (a label is the row
    that is 1 there, "one-hot"): then -(1/N) Σ_n Σ_k t_nk·log p_nk. The gradient is (p - t) / N, with t as rows. The
    logarithm is taken of the exponentials' sum, x_k - max - log Σ e^(x_j - max), so every finite x gives a finite loss.

    Shapes: x (N, K) logits; t (N,) or (N, K); the gradient (N, K). Unit: nats.
    Raises ShapeError if the shapes do not fit, ArgumentError for a label that is not among the K, or rows that are no
    probabilities.
    Source: Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.
    """
    xp = array_module(x=x, t=t)
    if x.ndim != 2 or t.shape not in (x.shape, x.shape[:1]):
        raise ShapeError(
            f"softmax_cross_entropy takes logits (N, K) and labels (N,) or rows (N, K), got {x.shape} and {t.shape}"
        )
    N, K = x.shape
    if t.ndim == 1:
        if t.dtype.kind not in "iu":
            raise ArgumentError(f"labels must be whole numbers, got {t.dtype}")
        low, high = int(t.min()), int(t.max())
        if low < 0 or high >= K:
            raise ArgumentError(
                f"labels must lie between 0 and {K - 1}, for logits of {K} classes, got {low} to {high}"
            )
        t = t[:, None] == xp.arange(K)
    else:
        t = target(t, x)
        if float(abs(t.sum(axis=-1) - 1).max()) > 1e-3:
            raise ArgumentError("each row of targets must hold probabilities that add up to 1")
    shifted = x - x.max(axis=-1, keepdims=True)
    log_p = shifted - xp.log(xp.exp(shifted).sum(axis=-1, keepdims=True))
    return -(t * log_p).sum() / N, (softmax(x) - t) / N


def target(t: Any, like: Array) -> Any:
    """t as a number, or as an array of the predictions' shape and dtype (0 and 1 may be whole numbers, or truths).

    Raises ArgumentError unless it holds probabilities, ShapeError for another shape.
    """
    shape = getattr(t, "shape", ())
    if shape not in ((), like.shape):
        raise ShapeError(f"the target has shape {shape} and the predictions {like.shape}; give a number or that shape")
    if shape == ():
        low = high = t = number(t, "a target must lie in [0, 1]")
    else:
        t = t.astype(like.dtype, copy=False)
        low, high = to_numpy(t.min()), to_numpy(t.max())
    if not (0 <= low and high <= 1):
        raise ArgumentError(f"a target must lie in [0, 1], got values from {low} to {high}")
    return t
