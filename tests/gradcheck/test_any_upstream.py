"""Backward on any dy: it is linear in it, and takes it from any memory layout."""

import re

import numpy as np
import pytest
from promises import draw

from minigan import nn
from minigan.gradcheck import check_layer, check_pair

# dy ------------------------------------------------------------------------------------------------------------------


def of_scale(change):
    """A pair y = 3·x, whose backward gets a changed dy."""
    return lambda x: (3 * x, None), lambda dy, _: 3 * change(dy)


def per_row(dy):
    return dy / np.linalg.norm(dy, axis=1, keepdims=True)


def sparse(dy):
    return np.where(np.abs(dy) >= np.sort(np.abs(dy).ravel())[3], dy, 0)


NOT_LINEAR = {
    "rows": (lambda dy: dy * len(dy) / max(1, dy.any(axis=1).sum()), "divided by the number of rows of dy"),
    "entries": (lambda dy: dy * dy.size / max(1, np.count_nonzero(dy)), "divided by the number of entries of dy"),
    "clip": (lambda dy: np.clip(dy, -4, 4), "clipped or squashed above a bound"),
    "clip at 1e6": (lambda dy: np.clip(dy, -1e6, 1e6), "clipped or squashed above a bound"),
    "norm above a bound": (lambda dy: dy / max(1, np.linalg.norm(dy) / 50), "clipped or squashed above a bound"),
    "tanh": (lambda dy: 9 * np.tanh(dy / 9), "clipped or squashed above a bound"),
    "own size": (lambda dy: dy / np.abs(dy) * np.abs(dy), "a dy of zeros gives NaN"),
    "own size, kept from zero": (lambda dy: dy / (np.abs(dy) + 1e-12) * np.abs(dy), "taken for zero|added to dy"),
    "normalised": (lambda dy: 3 * dy / (np.linalg.norm(dy) + 1e-300), "normalised"),
    "normalised rows": (lambda dy: per_row(dy + 1e-300), "normalised|a dy of zeros gives"),
    "sign": (np.sign, "normalised, or its sign taken"),
    "absolute": (np.abs, "the sign of dy is lost"),
    "square": (lambda dy: dy * dy, "the sign of dy is lost"),
    "cube": (lambda dy: dy**3, "more than once as a factor"),
    "positive only": (lambda dy: np.maximum(dy, 0), "looks at the sign of dy"),
    "positive only, leaky": (lambda dy: np.where(dy > 0, dy, 0.1 * dy), "looks at the sign of dy"),
    "small lost": (lambda dy: np.where(np.abs(dy) < 1e-6, 0, dy), "small values of dy are taken for zero"),
    "constant": (lambda dy: dy + 0.1, "a term of which dy is no factor"),
    "no upstream": (np.ones_like, "a term of which dy is no factor"),
    "smallest lost": (sparse, "looks at the whole of dy"),
    "largest": (lambda dy: dy * (1 + (np.abs(dy) == np.abs(dy).max())), "looks at the whole of dy"),
    "signed size": (lambda dy: dy * np.abs(dy) / max(np.linalg.norm(dy), 1e-300), "looks at the whole of dy"),
}


@pytest.mark.parametrize("name", NOT_LINEAR)
def test_a_backward_that_is_not_linear_in_dy_is_reported(name):
    change, sentence = NOT_LINEAR[name]
    report = check_pair(*of_scale(change), draw(5, 3))
    assert not report
    (problem,) = [p for p in report.problems if p.startswith("backward is not linear in dy")]
    assert re.search(sentence, problem), problem


def test_a_layers_weights_too_must_get_gradients_that_are_linear_in_dy():
    class Mean(nn.Dense):
        def param_grads(self, dy, cache, grads):
            super().param_grads(dy, cache, grads)
            for grad in grads.values():
                grad *= len(dy) / max(1, dy.any(axis=1).sum())

    (problem,) = check_layer(Mean(3), (4,)).problems
    assert "the gradient of W, b is divided by the number of rows of dy that are not zero" in problem


def saturated(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    y = e / e.sum(axis=-1, keepdims=True)
    return y, y


LINEAR = {
    "saturated softmax": (
        saturated,
        lambda dy, y: y * (dy - (dy * y).sum(axis=-1, keepdims=True)),
        12 * draw(5, 4),
    ),
    "a constant subtracted and added": (
        lambda x: (x * 2.0, None),
        lambda dy, _: (dy @ np.ones((3, 3)) - dy.sum(axis=1, keepdims=True)) + 2 * dy,
        draw(5, 3),
    ),
    "normalisation far from zero": (
        lambda x: ((x - x.mean(0)) / x.std(0), ((x - x.mean(0)) / x.std(0), x.std(0))),
        lambda dy, c: (dy - dy.mean(0) - c[0] * (dy * c[0]).mean(0)) / c[1],
        draw(5, 3) + 100,
    ),
    "solve": (
        lambda x: (np.linalg.solve(np.eye(3) * 4 + 1, x.T).T, None),
        lambda dy, _: np.linalg.solve((np.eye(3) * 4 + 1).T, dy.T).T,
        draw(5, 3),
    ),
    "Fourier": (lambda x: (np.fft.fft(x, axis=1).real, None), lambda dy, _: np.fft.fft(dy, axis=1).real, draw(4, 5)),
    "zero at a kink": (lambda x: (np.maximum(x, 0), x), lambda dy, x: dy * (x > 0), np.maximum(draw(8, 9), -2)),
    "sum": (lambda x: (x.sum(), x.shape), lambda dy, shape: np.full(shape, dy), draw(4, 3)),
    "in place on a copy": (lambda x: (x * 2, None), lambda dy, _: np.multiply(dy.copy(), 2, out=dy.copy()), draw(3, 2)),
    "cumulative": (
        lambda x: (np.cumsum(x, axis=1), None),
        lambda dy, _: np.cumsum(dy[:, ::-1], axis=1)[:, ::-1],
        draw(3, 7),
    ),
}


@pytest.mark.parametrize("name", LINEAR)
def test_right_code_is_not_called_nonlinear(name):
    for seed in range(5):
        report = check_pair(*LINEAR[name], seed=seed)
        assert not report.problems, str(report)


# Memory layouts ------------------------------------------------------------------------------------------------------


def by_strides(x):
    memory = x if x.base is None else x.base
    return memory.ravel()[: x.size].reshape(x.shape).copy(), None


def scatter(dy, shape):
    dx = np.empty_like(dy)  # laid out as dy is
    dx.reshape(-1)[...] = 2 * dy.ravel()  # of a dy in another order this is a copy, and dx is never written
    return dx


LAYOUT = {
    "reads memory": (by_strides, lambda dy, _: dy, "forward gives another result for a (non-contiguous|reversed)"),
    "loses a write": (lambda x: (2 * x, None), scatter, "backward gives another result for a Fortran-ordered dy"),
    "takes strides to be positive": (
        lambda x: (2 * x, None),
        lambda dy, _: (
            2 * np.lib.stride_tricks.as_strided(dy, dy.shape, [abs(s) for s in dy.strides])
            if dy.strides[0] > 0
            else 2 * dy[::-1]
        ),
        "backward gives another result for a reversed",
    ),
    "takes a stride of 0 for a size of 1": (
        lambda x: (2 * x, None),
        lambda dy, _: 2 * dy * (1 if all(dy.strides) else len(dy)),
        "for a dy of which np.broadcast_to repeats one image",
    ),
    "the same of x": (
        lambda x: (2 * x * (1 if all(x.strides) else len(x)), None),
        lambda dy, _: 2 * dy,
        "for a x of which np.broadcast_to repeats one image",
    ),
}


@pytest.mark.parametrize("name", LAYOUT)
def test_a_layout_that_changes_a_result_is_a_problem(name):
    forward, backward, sentence = LAYOUT[name]
    report = check_pair(forward, backward, draw(4, 3))
    assert re.search(sentence, " ".join(report.problems)), str(report)
    assert "the gradients are right, at this point" in " ".join(str(report).split())


def test_a_dy_on_which_backward_raises_for_its_layout_alone_is_a_caution():
    def backward(dy, _):
        if not dy.flags.c_contiguous:
            raise ValueError("at least one stride is negative")
        return 2 * dy

    report = check_pair(lambda x: (2 * x, None), backward, draw(4, 3))
    assert report
    assert "passed" in report.headline
    assert "caution: backward fails on a reversed (negative strides) dy (ValueError" in " ".join(str(report).split())


def test_examples_that_are_all_alike_are_no_layout_mistake():
    """Where x - mean is nothing but rounding, another order of the sum is another result, and no mistake."""
    forward, backward, x = LINEAR["normalisation far from zero"]
    assert check_pair(forward, backward, x + 0.1).problems == []
