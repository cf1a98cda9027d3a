"""The checks of the two losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan import losses
from minigan.exercises.checks.layers import Check
from minigan.gradcheck import check_loss
from minigan.gradcheck.form import two

PAIR = "it must return (value, gradient)"


def right_binary(piece: Any) -> str:
    """A check of binary cross-entropy: value, ends, gradient."""
    rng = np.random.default_rng(0)
    p, t = rng.uniform(0.05, 0.95, (6, 1)), rng.uniform(size=(6, 1))
    for shape, dtype in (((6, 1), np.float64), ((3, 2), np.float32)):
        q = p.reshape(shape).astype(dtype)
        value, gradient = two(piece(q, 1.0), PAIR)
        if np.ndim(value) or np.shape(gradient) != shape or gradient.dtype != dtype:
            return (
                f"of p {shape} of {np.dtype(dtype)} the value has shape {np.shape(value)} (it is one number) and the "
                f"gradient {np.shape(gradient)} of {gradient.dtype}; the gradient has p's shape and dtype"
            )
        right = losses.binary_cross_entropy(q, 1.0)[1]
        if shape == (3, 2) and np.allclose(gradient, 2 * right):
            return "n is the number of all entries of p, not of its rows"
    expected = losses.binary_cross_entropy(p, t)[0]
    if not np.allclose(value := piece(p, t)[0], expected):
        known = {6.0: "a mean is taken for a sum", -1.0: "the sign is wrong", 1 / np.log(2): "log is to the base e"}
        hint = next((text for ratio, text in known.items() if np.isclose(value, ratio * expected)), "see the formula")
        return f"the value is {value:.6g} where it should be {expected:.6g}: {hint}"
    report = check_loss(lambda q: piece(q, t), p, title="binary_cross_entropy")
    if not report:
        return str(report)
    ends = np.array([[0.0], [1.0], [1.0]], np.float32)
    for target in (1.0, 0.0):
        got, expected = piece(ends, target), losses.binary_cross_entropy(ends, target)
        if not np.allclose(got[0], expected[0]):
            value, right = float(got[0]), float(expected[0])
            return f"at p = {ends.ravel()} and t = {target} it is {value:.4g}; it should be {right:.4g}"
        if not np.allclose(got[1], expected[1]):
            return f"at p = {ends.ravel()} and t = {target} the gradient should be {expected[1].ravel()}"
    return ""


def right_softmax(piece: Any) -> str:
    """A check of softmax cross-entropy: form, value, gradient, for labels and for rows; then large logits."""
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((5, 3)), np.array([2, 0, 1, 1, 2])
    for t, what in ((labels, "labels"), (rng.dirichlet(np.ones(3), 5), "rows")):
        kept, t32 = t.copy(), t if t.ndim == 1 else t.astype(np.float32)
        value, gradient = two(piece(x.astype(np.float32), t32), PAIR)
        if np.ndim(value) or np.shape(gradient) != x.shape or gradient.dtype != np.float32:
            return (
                f"of x {x.shape} of float32 and t {t.shape} the value has shape {np.shape(value)} (it is one number) "
                f"and the gradient {np.shape(gradient)} of {gradient.dtype}; the gradient has x's shape and dtype"
            )
        value, expected = piece(x, t)[0], losses.softmax_cross_entropy(x, t)[0]
        if not np.allclose(value, expected):
            hint = likely_mistake(float(value / expected), x)
            return f"with {what} in t the value is {value:.6g} where it should be {expected:.6g}: {hint}"
        if np.allclose(piece(x, t)[1], len(x) * losses.softmax_cross_entropy(x, t)[1]):
            return (
                f"with {what} in t the gradient is {len(x)} times what it should be: the loss is a mean over {len(x)}"
            )
        report = check_loss(lambda x, t=t: piece(x, t), x, title=f"softmax_cross_entropy, {what} in t")
        if not report:
            return str(report)
        if not np.array_equal(t, kept):
            return "t has been changed; work on a copy"
    for x in (np.array([[1000.0, 0.0, -1000.0]], np.float32), np.array([[0.0, -1000.0, 1000.0]], np.float32)):
        with np.errstate(all="ignore"):
            got, right = piece(x, np.array([1])), losses.softmax_cross_entropy(x, np.array([1]))
        if not np.allclose(got[0], right[0]) or not np.allclose(got[1], right[1]):
            return (
                f"at x = {x[0]} and t = 1 the loss is {got[0]:.6g} and its gradient {np.ravel(got[1])}, where they "
                f"should be {right[0]:.6g} and {right[1][0]}: e^1000 is infinite, e^-1000 is 0; subtract the largest "
                "of each row from it first, and let log e^x be x"
            )
    return ""


def likely_mistake(ratio: float, x: np.ndarray) -> str:
    """What is wrong with a loss that is so many times what it should be."""
    N, K = x.shape
    known = {
        float(N): "a sum is taken for a mean",
        1 / K: "n is the number of examples, not of all entries of x",
        -1.0: "the sign is wrong",
        1 / np.log(2): "log is to the base e",
    }
    return next((text for factor, text in known.items() if np.isclose(ratio, factor)), "see the formula")


CHECKS: dict[str, tuple[Check, ...]] = {"bce": (right_binary,), "softmax": (right_softmax,)}
