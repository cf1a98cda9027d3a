"""What a user's layer or pair promises besides its numbers: each breach is reported under its own sentence, no right
code is refused."""

import re
from typing import ClassVar

import numpy as np
import pytest
from rightlayers import RIGHT, BatchStatistics, Discrimination, Plain, small

from minigan import nn
from minigan.errors import ArgumentError
from minigan.gradcheck import check_gradients, check_layer, check_network, check_pair
from minigan.nn.init import ones, zeros


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def reports(layer, in_shape, **options):
    return check_gradients(layer, in_shape=in_shape, **options)


def said(layer, in_shape, **options):
    """All problems of both modes, on one line."""
    return " | ".join(problem for report in reports(layer, in_shape, **options) for problem in report.problems)


# Passes that keep something ------------------------------------------------------------------------------------------


class Square(nn.Layer):
    """y = x²; the layer that is spoilt below."""

    def forward(self, x, *, train, rng=None):
        return x * x, x

    def input_grad(self, dy, cache):
        return 2 * dy * cache


class KeepsInput(Square):
    def forward(self, x, *, train, rng=None):
        self.x = x
        return x * x, None

    def input_grad(self, dy, cache):
        return 2 * dy * self.x


class KeepsInputInList(Square):
    def __init__(self):
        self.kept = []

    def forward(self, x, *, train, rng=None):
        self.kept[:] = [x]
        return x * x, None

    def input_grad(self, dy, cache):
        return 2 * dy * self.kept[-1]


class KeepsInputInClass(Square):
    memory: ClassVar = {}

    def forward(self, x, *, train, rng=None):
        type(self).memory["x"] = x
        return x * x, None

    def input_grad(self, dy, cache):
        return 2 * dy * self.memory["x"]


class KeepsMask(Square):
    def forward(self, x, *, train, rng=None):
        self.mask = x > 0
        return x * self.mask, None

    def input_grad(self, dy, cache):
        return dy * self.mask


class KeepsOutput(Square):
    def forward(self, x, *, train, rng=None):
        self.y = np.tanh(x)
        return self.y, None

    def input_grad(self, dy, cache):
        return dy * (1 - self.y**2)


class KeepsShape(Square):
    def out_shape(self, in_shape):
        return (int(np.prod(in_shape)),)

    def forward(self, x, *, train, rng=None):
        self.shape = x.shape
        return x.reshape(len(x), -1), None

    def input_grad(self, dy, cache):
        return dy.reshape(self.shape)


class KeepsBatchSize(Square):
    def forward(self, x, *, train, rng=None):
        self.n = len(x)
        return x - x.mean(axis=0), x if train else None

    across_batch = True

    def input_grad(self, dy, cache):
        return dy - dy.sum(axis=0) / self.n


class KeepsMode(Square):
    def forward(self, x, *, train, rng=None):
        self.train = train
        return (x * x if train else 3 * x), x

    def input_grad(self, dy, cache):
        return 2 * dy * cache if self.train else 3 * dy


class KeepsDropoutMask(nn.Layer):
    def forward(self, x, *, train, rng=None):
        self.mask = (rng.uniform(x.shape) > 0.5) * x.dtype.type(2) if train else np.ones_like(x)
        return x * self.mask, None

    def input_grad(self, dy, cache):
        return dy * self.mask


class DenseKeepsInput(nn.Dense):
    def forward(self, x, *, train, rng=None):
        self.x = x
        return super().forward(x, train=train, rng=rng)

    def param_grads(self, dy, cache, grads):
        super().param_grads(dy, self.x, grads)


class KeepsWeights(nn.Dense):
    def forward(self, x, *, train, rng=None):
        self.sign = np.sign(self.W)
        return x @ (self.W * self.sign), x

    def input_grad(self, dy, cache):
        return dy @ (self.W * self.sign).T

    def param_grads(self, dy, cache, grads):
        grads["W"][...] = self.sign * (cache.T @ dy)

    def params(self, in_shape):
        return {"W": ((in_shape[-1], 3), small)}

    def __init__(self):
        super().__init__(3, bias=False)


class RunningLargest(Square):
    def __init__(self):
        self.largest = 0.0

    def forward(self, x, *, train, rng=None):
        self.largest = max(self.largest, np.abs(x).max())
        return x / self.largest, self.largest

    def input_grad(self, dy, cache):
        return dy / cache


class FirstMask(nn.Layer):
    """Draws once and for all."""

    mask = None

    def forward(self, x, *, train, rng=None):
        if self.mask is None:
            self.mask = (rng.uniform(x.shape[1:]) > 0.5).astype(x.dtype)
        return x * self.mask, None

    def input_grad(self, dy, cache):
        return dy * self.mask


class FirstScale(Square):
    """Initialises itself from the first batch that it sees."""

    scale = None

    def forward(self, x, *, train, rng=None):
        if self.scale is None:
            self.scale = 1 / x.std(axis=0)
        return x * self.scale, self.scale

    def input_grad(self, dy, cache):
        return dy * cache


class OwnBuffer(Square):
    def __init__(self):
        self.out = np.zeros((5, 4))

    def forward(self, x, *, train, rng=None):
        if x.shape != self.out.shape:
            return x * x, x
        return np.multiply(x, x, out=self.out), x


class OwnGradientBuffer(Square):
    def __init__(self):
        self.dx = np.zeros((5, 4))

    def input_grad(self, dy, cache):
        if dy.shape != self.dx.shape:
            return 2 * dy * cache
        return np.multiply(2 * dy, cache, out=self.dx)


class SpoilsOutput(Square):
    def forward(self, x, *, train, rng=None):
        y = np.exp(x)
        return y, (y, y.copy())

    def input_grad(self, dy, cache):
        cache[0][...] = 0
        return dy * cache[1]


STATEFUL = {
    KeepsInput: "depends on the last forward pass, .*on other values",
    KeepsInputInList: "depends on the last forward pass",
    KeepsInputInClass: "depends on the last forward pass",
    KeepsMask: "depends on the last forward pass, .*on other values",
    KeepsOutput: "depends on the last forward pass",
    KeepsShape: "backward fails once there was a forward pass on a larger batch",
    KeepsBatchSize: "depends on the last forward pass.*on a larger batch",
    KeepsMode: "depends on the last forward pass.*train=False",
    KeepsDropoutMask: "depends on the last forward pass",
    RunningLargest: "forward (gives another result once|is not deterministic)|depends on the last forward",
    FirstMask: "another result than the first pass of a new layer",
    FirstScale: "another result than the first pass of a new layer",
    OwnBuffer: "overwrites the output of the one before it",
    OwnGradientBuffer: "a second backward overwrites the gradient of x",
    SpoilsOutput: "backward changes y",
}


@pytest.mark.parametrize("layer", STATEFUL, ids=lambda layer: layer.__name__)
def test_a_layer_that_keeps_something_of_its_passes_is_reported(layer):
    assert re.search(STATEFUL[layer], said(layer(), (2, 2) if layer is KeepsShape else (4,)))


@pytest.mark.parametrize("layer", [lambda: DenseKeepsInput(3), KeepsWeights])
def test_a_layer_with_weights_that_keeps_something_is_reported(layer):
    assert "the gradient of W depends on the last forward pass" in said(layer(), (4,))


def test_the_report_says_that_the_numbers_are_right_where_they_are():
    report = check_layer(KeepsInput(), (4,))
    assert not report
    assert "the gradients are right, at this point" in " ".join(str(report).split())
    assert "the gradients are right" not in str(check_pair(lambda x: (x * x, x), lambda dy, x: dy * x, draw(3, 4)))


kept = {}


def keeps_in_global(x, w):
    kept["x"] = x
    return x * w, w


def keeps_labels(x, labels):
    kept["labels"] = labels
    return x * labels[:, None], None


def keeps_on_itself(x):
    keeps_on_itself.mask = x > 0
    return x * keeps_on_itself.mask, None


def keeps_length(x, w):
    kept["n"] = len(x)
    return np.tile(x.mean(axis=0) * w, (1, 1)), (w, x)


def old_dropout(x):
    kept["mask"] = np.random.rand(*x.shape) > 0.5  # noqa: NPY002
    return x * kept["mask"], None


STATEFUL_PAIRS = {
    "global": (keeps_in_global, lambda dy, w: (dy * w, dy * kept["x"]), draw(4, 3), draw(4, 3, seed=1)),
    "labels": (keeps_labels, lambda dy, _: dy * kept["labels"][:, None], draw(4, 3), np.array([1, 2, 3, 4])),
    "on the function": (keeps_on_itself, lambda dy, _: dy * keeps_on_itself.mask, draw(4, 3)),
    "length": (
        keeps_length,
        lambda dy, c: (np.repeat(dy * c[0], len(c[1]), 0) / kept["n"], (dy * c[1].mean(axis=0))[0]),
        draw(4, 3),
        draw(3, seed=1),
    ),
    "draws": (old_dropout, lambda dy, _: dy * kept["mask"], draw(4, 6)),
}


@pytest.mark.parametrize("name", STATEFUL_PAIRS)
def test_a_pair_that_keeps_something_of_its_passes_is_reported(name):
    report = check_pair(*STATEFUL_PAIRS[name])
    assert "depends on the last forward pass" in " ".join(report.problems), str(report)


def test_a_pair_whose_cache_is_that_of_its_first_call_for_ever_is_reported():
    first = {}

    def forward(x):
        return np.sin(x), first.setdefault("cache", np.cos(x))

    (problem,) = check_pair(forward, lambda dy, cache: dy * cache, draw(4, 3)).problems
    assert "the cache of the first pass is kept" in problem
    assert check_pair(lambda x: (3 * x, None), lambda dy, _: 3 * dy, draw(4, 3))  # the same ones again, and right


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


# What a layer promises -----------------------------------------------------------------------------------------------


class Ignores(nn.Dense):
    """Accumulates nothing."""

    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        if need_param_grads:
            self.param_grads(dy, cache, self.grads)
        return self.input_grad(dy, cache)


class Doubles(nn.Dense):
    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        if need_param_grads:
            kept = {name: grad.copy() for name, grad in self.grads.items()}
            self.param_grads(dy, cache, self.grads)
            for name, grad in self.grads.items():
                grad += grad if accumulate else 0 * kept[name]
        return self.input_grad(dy, cache)


class Skips(nn.Dense):
    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        if need_param_grads and not accumulate:
            self.param_grads(dy, cache, self.grads)
        return self.input_grad(dy, cache)


class AddsToOne(nn.Dense):
    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        bias = self.grads["b"].copy()
        dx = super().backward(
            dy, cache, need_param_grads=need_param_grads, need_input_grad=need_input_grad, accumulate=accumulate
        )
        if need_param_grads and accumulate:
            self.grads["b"] -= bias
        return dx


class NeverFrozen(nn.Dense):
    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        self.write_grads(lambda grads: self.param_grads(dy, cache, grads), accumulate=accumulate)
        return self.input_grad(dy, cache)


class AddsToAllButTheLastLayer(nn.Dense):
    """Accumulates, but not when no input gradient is wanted."""

    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        wanted = {"need_param_grads": need_param_grads, "need_input_grad": need_input_grad}
        return super().backward(dy, cache, **wanted, accumulate=accumulate and need_input_grad)


class AddsWhenFrozen(nn.Dense):
    """Frozen, unless it is to accumulate."""

    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        wanted = {"need_param_grads": need_param_grads or accumulate, "need_input_grad": need_input_grad}
        return super().backward(dy, cache, **wanted, accumulate=accumulate)


class KeepsFirstWeights(nn.Dense):
    """Right until the weights have moved."""

    def forward(self, x, *, train, rng=None):
        if "transposed" not in vars(self) or self.transposed.dtype != x.dtype:
            self.transposed = self.W.T.copy()
        return super().forward(x, train=train, rng=rng)

    def input_grad(self, dy, cache):
        return dy @ self.transposed


class Tiles(nn.Dense):
    """Takes ten examples at a time, and forgets what is left over."""

    def param_grads(self, dy, cache, grads):
        super().param_grads(dy, cache, grads)
        if len(dy) > 10:
            grads["W"][...] = cache[: len(dy) // 10 * 10].T @ dy[: len(dy) // 10 * 10]


class FrozenCutsOff(nn.Dense):
    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        dx = super().backward(dy, cache, need_param_grads=need_param_grads, accumulate=accumulate)
        return dx if need_param_grads else 0 * dx


class NeedsInputGrad(nn.Dense):
    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        dy = dy if need_input_grad else 0 * dy
        return super().backward(dy, cache, need_param_grads=need_param_grads, accumulate=accumulate)


class RaisesWithoutInputGrad(nn.Dense):
    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False):
        dx = super().backward(
            dy, cache, need_param_grads=need_param_grads, need_input_grad=need_input_grad, accumulate=accumulate
        )
        return 1.0 * dx


class WritesSomeRows(nn.Layer):
    """An embedding that leaves the gradient of rows that were not looked up as it was."""

    index = np.array([0, 2])

    def params(self, in_shape):
        return {"E": ((4, 4), small)}

    def forward(self, x, *, train, rng=None):
        return x + self.E[self.index].sum(axis=0), x.shape

    def input_grad(self, dy, cache):
        return dy

    def param_grads(self, dy, cache, grads):
        grads["E"][self.index] = dy.sum(axis=0)


class Replaces(nn.Dense):
    def param_grads(self, dy, cache, grads):
        grads["W"] = cache.T @ dy
        grads["b"][...] = dy.sum(axis=0)


class RightAtFive(nn.Dense):
    def param_grads(self, dy, cache, grads):
        super().param_grads(dy, cache, grads)
        grads["b"][...] *= len(dy) / 5


class WrongAtOne(nn.Dense):
    def input_grad(self, dy, cache):
        return super().input_grad(dy, cache) * (1 if len(dy) > 1 else 2)


class SqueezesOne(Square):
    def forward(self, x, *, train, rng=None):
        return np.squeeze(x * x), x


class FailsAtTen(Square):
    def forward(self, x, *, train, rng=None):
        return x * np.ones((5, 1)) * x, x

    def input_grad(self, dy, cache):
        return 2 * dy * cache


class HalfPrecision(Square):
    def forward(self, x, *, train, rng=None):
        x = x.astype("f2").astype(x.dtype) if x.dtype == np.float32 else x
        return x * x, x


class WrongInSingle(Square):
    def input_grad(self, dy, cache):
        return 2 * dy * cache * (1.001 if cache.dtype == np.float32 else 1)


class DoubleOut(Square):
    def forward(self, x, *, train, rng=None):
        return x * x * np.linspace(0.5, 1, x.shape[-1]), x

    def input_grad(self, dy, cache):
        return 2 * dy * cache * np.linspace(0.5, 1, cache.shape[-1])


class DoubleGradient(Square):
    def input_grad(self, dy, cache):
        return 2 * dy * cache.astype(np.float64)


class SpoilsSingle(Square):
    def forward(self, x, *, train, rng=None):
        y = x.astype(np.float32, copy=False) if x.dtype == np.float32 else x.copy()
        y *= y
        return y, x


class RefusesSingle(Square):
    def forward(self, x, *, train, rng=None):
        if x.dtype != np.float64:
            raise TypeError("float64 only")
        return x * x, x


class OtherShape(Square):
    def out_shape(self, in_shape):
        return (*in_shape[:-1], in_shape[-1] + 1)


class Norm(nn.Layer):
    """Right: mean and variance of the batch in training, running ones at inference. Spoilt below."""

    def params(self, in_shape):
        return {"gamma": (in_shape[-1:], ones)}

    def buffers(self, in_shape):
        return {"running_mean": (in_shape[-1:], zeros), "running_var": (in_shape[-1:], ones)}

    def statistics(self, x, train):
        return (x.mean(axis=0), x.var(axis=0)) if train else (self.running_mean, self.running_var)

    def forward(self, x, *, train, rng=None):
        mean, var = self.statistics(x, train)
        std = np.sqrt(var + x.dtype.type(1e-3))
        h = (x - mean) / std
        return self.gamma * h, (h, std, mean, var, train)

    def input_grad(self, dy, cache):
        h, std, _, _, train = cache
        d = dy * self.gamma
        return (d - d.mean(axis=0) - h * (d * h).mean(axis=0)) / std if train else d / std

    def param_grads(self, dy, cache, grads):
        grads["gamma"][...] = (dy * cache[0]).sum(axis=0)

    def update_buffers(self, cache):
        self.running_mean[...] = 0.9 * self.running_mean + 0.1 * cache[2]
        self.running_var[...] = 0.9 * self.running_var + 0.1 * cache[3]


class WrongSign(Norm):
    def update_buffers(self, cache):
        self.running_mean[...] = 0.9 * self.running_mean - 0.1 * cache[2]
        self.running_var[...] = 0.9 * self.running_var + 0.1 * cache[3]


class WrongSignOfVariance(Norm):
    def update_buffers(self, cache):
        self.running_mean[...] = 0.999 * self.running_mean + 0.001 * cache[2]
        self.running_var[...] = 0.999 * self.running_var - 0.001 * cache[3]


class RunsAway(Norm):
    def update_buffers(self, cache):
        self.running_mean += 0.1 * (self.running_mean - cache[2])
        self.running_var += 0.1 * (cache[3] - self.running_var)


class Alternates(Norm):
    def update_buffers(self, cache):
        self.running_mean[...] = 0.1 * cache[2] - 0.9 * self.running_mean
        self.running_var += 0.1 * (cache[3] - self.running_var)


class MovesWeights(Norm):
    def update_buffers(self, cache):
        super().update_buffers(cache)
        self.gamma *= 0.99


class MovesGradients(Norm):
    def update_buffers(self, cache):
        super().update_buffers(cache)
        self.grads["gamma"][...] = 0


class Rebinds(Norm):
    def update_buffers(self, cache):
        self.running_mean = 0.9 * self.running_mean + 0.1 * cache[2]
        self.running_var[...] = 0.9 * self.running_var + 0.1 * cache[3]


class RebindsInForward(Norm):
    def forward(self, x, *, train, rng=None):
        if train:
            self.running_mean = 0.9 * self.running_mean + 0.1 * x.mean(axis=0)
        return super().forward(x, train=train, rng=rng)

    def update_buffers(self, cache):
        pass


class NeverUpdates(Norm):
    update_buffers = nn.Layer.update_buffers


class UpdatesACopy(Norm):
    def update_buffers(self, cache):
        for buffer, batch in ((self.running_mean.copy(), cache[2]), (self.running_var.copy(), cache[3])):
            buffer += 0.1 * (batch - buffer)


class UpdatesOne(Norm):
    def update_buffers(self, cache):
        self.running_mean[...] = 0.9 * self.running_mean + 0.1 * cache[2]


class ReadsBatch(Norm):
    def statistics(self, x, train):
        return x.mean(axis=0), x.var(axis=0)

    def input_grad(self, dy, cache):
        return super().input_grad(dy, (*cache[:-1], True))


class ReadsSize(Square):
    def forward(self, x, *, train, rng=None):
        return x * x / len(x), x / len(x)


class UpdateFails(Norm):
    def update_buffers(self, cache):
        mean, var = cache
        self.running_mean[...], self.running_var[...] = mean, var


class KeepsStatistics(Norm):
    """Writes into its buffers what the last pass saw, whichever it is asked about."""

    def forward(self, x, *, train, rng=None):
        y, cache = super().forward(x, train=train, rng=rng)
        if train:
            self.last = cache
        return y, cache

    def update_buffers(self, cache):
        super().update_buffers(self.last)


class Hoards(Norm):
    """Adds each batch's mean, and forgets nothing."""

    def update_buffers(self, cache):
        self.running_mean += 0.1 * cache[2]
        self.running_var[...] = 0.9 * self.running_var + 0.1 * cache[3]


class Totals(nn.Layer):
    """Right: sums and counts what it has seen, and divides by the mean of it, at inference alone."""

    def buffers(self, in_shape):
        return {"total": (in_shape[-1:], zeros), "n": ((1,), zeros)}

    def forward(self, x, *, train, rng=None):
        scale = np.ones_like(x[0]) if train else 1 + self.total / np.maximum(self.n, 1)
        return x / scale, (scale, x)

    def input_grad(self, dy, cache):
        return dy / cache[0]

    def update_buffers(self, cache):
        self.total += np.abs(cache[1]).sum(axis=0)
        self.n += len(cache[1])


class LooksBack(nn.Layer):
    """Each example sees those before it, at inference too."""

    def forward(self, x, *, train, rng=None):
        return np.cumsum(x, axis=0), None

    def input_grad(self, dy, cache):
        return np.cumsum(dy[::-1], axis=0)[::-1]


class EmptiesCache(Square):
    def forward(self, x, *, train, rng=None):
        return x * x, [x]

    def input_grad(self, dy, cache):
        return 2 * dy * cache.pop()


BREACHES = {
    "accumulates with dx only": (
        lambda: AddsToAllButTheLastLayer(3),
        r"accumulate=True, need_input_grad=False\) leaves another gradient of W, b",
    ),
    "frozen but accumulating": (
        lambda: AddsWhenFrozen(3),
        r"accumulate=True, need_param_grads=False\) leaves another gradient of W, b",
    ),
    "first weights": (lambda: KeepsFirstWeights(3), "with other weights than those of its first pass .* x is wrong"),
    "tiles of ten": (lambda: Tiles(3), "on a batch of 23 the gradient of W is wrong"),
    "last statistics": (KeepsStatistics, "update_buffers writes what the last forward pass left"),
    "hoards": (Hoards, "adds the batch's statistic to running_mean each time and forgets nothing"),
    "looks back": (LooksBack, "at inference the output of an example depends on its neighbours"),
    "empties its cache": (EmptiesCache, r"a second backward on the same cache fails \(IndexError"),
    "accumulate ignored": (lambda: Ignores(3), "accumulate=True does not add the gradient of W .*it is ignored"),
    "accumulate twice": (lambda: Doubles(3), "gradient of W .*and the gradient then added to itself"),
    "accumulate writes nothing": (lambda: Skips(3), "gradient of b .*nothing is written"),
    "accumulate for one of two": (lambda: AddsToOne(3), "does not add the gradient of b .*it is ignored"),
    "never frozen": (lambda: NeverFrozen(3), r"need_param_grads=False\) writes the gradient of W, b"),
    "frozen cuts off": (lambda: FrozenCutsOff(3), r"need_param_grads=False\) returns another dx"),
    "no input gradient": (lambda: NeedsInputGrad(3), r"need_input_grad=False\) writes another gradient of W, b"),
    "raises without": (lambda: RaisesWithoutInputGrad(3), r"need_input_grad=False\) fails \(TypeError"),
    "writes some rows": (WritesSomeRows, "leaves entries of the gradient of E as it finds them"),
    "replaces": (lambda: Replaces(3), r'grads\["W"\] = … replaces the entry'),
    "right at five": (
        lambda: RightAtFive(3),
        "on a batch of 1 the gradient of b is wrong.*on a batch of 2 .*on a batch of 10 .*on a batch of 23",
    ),
    "wrong at one": (lambda: WrongAtOne(3), "on a batch of 1 the gradient of x is wrong"),
    "squeezes": (SqueezesOne, r"on a batch of 1 y has shape \(4,\) where"),
    "fails at ten": (FailsAtTen, r"on a batch of 1 y has shape \(5, 4\) where.*on a batch of 10 forward fails"),
    "half precision": (HalfPrecision, "float32 gives another y"),
    "wrong in float32": (WrongInSingle, "float32 gives another gradient of x than float64"),
    "float64 out": (DoubleOut, r"float64 out of a float32 network: y is float64 where x is float32"),
    "float64 gradient": (DoubleGradient, "float64 out of a float32 network: dx is float64"),
    "spoils float32": (SpoilsSingle, "a pass in float32 changes x"),
    "refuses float32": (RefusesSingle, "in float32 a pass fails .*float64 only"),
    "another shape": (OtherShape, r"y has shape \(5, 4\) where out_shape says \(5, 5\)"),
    "sign of the mean": (WrongSign, "gives running_mean the wrong sign"),
    "sign of the variance": (WrongSignOfVariance, "gives running_var the wrong sign"),
    "runs away": (RunsAway, "moves running_mean away from the batch's statistic, .*1.1 times"),
    "alternates": (Alternates, "turns the sign of what running_mean held"),
    "moves weights": (MovesWeights, "update_buffers changes the parameters"),
    "moves gradients": (MovesGradients, "update_buffers changes the gradients"),
    "rebinds": (Rebinds, r"self\.running_mean = … puts another array"),
    "rebinds in forward": (RebindsInForward, r"self\.running_mean = … puts another array"),
    "never updates": (NeverUpdates, "never writes running_mean, running_var"),
    "updates a copy": (UpdatesACopy, "never writes running_mean, running_var"),
    "updates one of two": (UpdatesOne, "never writes running_var"),
    "reads the batch": (ReadsBatch, "at inference the output of an example depends on its neighbours"),
    "reads the batch's size": (ReadsSize, "at inference the output of an example depends on the size of the batch"),
    "update fails": (UpdateFails, r"update_buffers fails after a training pass \(ValueError"),
}


@pytest.mark.parametrize("name", BREACHES)
def test_a_promise_that_is_broken_is_named(name):
    make, sentence = BREACHES[name]
    assert re.search(sentence, said(make(), (4,))), said(make(), (4,))


# What must not be refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if i % 2 else ()) for i, name in enumerate(RIGHT)]
)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_right_layer_of_a_kind_that_minigan_does_not_have_passes(name, seed):
    make, in_shape = RIGHT[name]
    for report in reports(make(), in_shape, seed=seed):
        assert report, str(report)
        assert not report.cautions, str(report)


def test_a_sum_and_a_count_that_only_inference_reads_are_no_statistic_that_should_decay():
    for seed in range(3):
        assert said(Totals(), (4,), seed=seed) == ""


def test_a_layer_that_is_steep_at_a_point_breaks_no_promise():
    for f, derivative in ((lambda x: 1 / x, lambda x: -1 / (x * x)), (lambda x: np.log(np.abs(x)), lambda x: 1 / x)):
        for seed in range(2):
            for report in reports(Plain(f, derivative), (6,), seed=seed):
                assert report.problems == [], str(report)


def test_a_layer_that_refuses_one_example_in_training_alone_passes_and_no_warning_escapes():
    class Refuses(BatchStatistics):
        def forward(self, x, *, train, rng=None):
            if train and len(x) == 1:
                raise ValueError("one example has no spread")
            return super().forward(x, train=train, rng=rng)

    for make in (Refuses, lambda: BatchStatistics(ddof=1)):  # the second divides by n - 1, and NumPy warns
        assert all(reports(make(), (4,)))
    with pytest.warns(RuntimeWarning):
        np.zeros((1, 2)).var(axis=0, ddof=1)


def test_whoever_asks_for_the_numbers_alone_gets_them():
    assert not check_layer(Ignores(3), (4,))
    assert check_layer(Ignores(3), (4,), pure=False)


def test_a_layer_means_its_examples_to_be_seen_together_if_it_says_so():
    class Silent(Discrimination):
        across_batch = False

    assert "across_batch = True" in said(Silent(), (3,))


@pytest.mark.parametrize("batch", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(7, marks=pytest.mark.slow)])
def test_the_promises_are_kept_from_any_batch(batch):
    for name in ("layer norm", "GELU", "attention", "weight norm", "Gaussian dropout", "power iteration"):
        make, in_shape = RIGHT[name]
        for report in reports(make(), in_shape, batch=batch):
            assert report, str(report)


def test_a_network_keeps_its_promises_and_a_layer_within_it_that_breaks_one_is_reported():
    rng = np.random.default_rng(0)

    def network(layer):
        return nn.Sequential([nn.Dense(4), layer, nn.Tanh(), nn.Dense(2)], (3,), rng=rng)

    assert check_network(network(Norm()))
    assert check_network(network(Discrimination()), train=False)
    for layer, train, sentence in (
        (Ignores(3), True, "accumulate=True does not add the gradient of 1.Ignores.W"),
        (NeverFrozen(3), True, "writes the gradient of 1.NeverFrozen.W"),
        (RightAtFive(3), True, "on a batch of 23 the gradient of 1.RightAtFive.b is wrong"),
        (DoubleOut(), True, "y of DoubleOut() is float64"),
        (KeepsInput(), False, "depends on the last forward pass"),
        (ReadsBatch(), False, "at inference the output of an example depends on its neighbours"),
        (MovesWeights(), True, "update_buffers changes the parameters"),
        (Rebinds(), True, "self.running_mean = … puts another array"),
        (Replaces(3), True, 'grads["W"] = … replaces the entry'),
    ):
        problems = check_network(network(layer), train=train).problems
        assert any(sentence in problem for problem in problems), problems


# The form ------------------------------------------------------------------------------------------------------------


class NothingBack(Square):
    def forward(self, x, *, train, rng=None):
        pass


class OnlyOutput(Square):
    def forward(self, x, *, train, rng=None):
        return x * x


class ThreeThings(Square):
    def forward(self, x, *, train, rng=None):
        return x, x, x


class NumberOut(Square):
    def forward(self, x, *, train, rng=None):
        return float((x * x).sum()), x


class SummedOut(Square):
    def forward(self, x, *, train, rng=None):
        return (x * x).sum(axis=0), x


class NoMode(Square):
    def forward(self, x):
        return x * x, x


class NoGradient(Square):
    def input_grad(self, dy, cache):
        2 * dy * cache


class TupleOfGradients(Square):
    def input_grad(self, dy, cache):
        return 2 * dy * cache, None


class NoFlags(Square):
    def backward(self, dy, cache):
        return 2 * dy * cache


class BackwardGivesNothing(Square):
    def backward(self, dy, cache, **flags):
        pass


FORMS = {
    NothingBack: r"NothingBack.forward must return \(y, cache\), and it returned nothing \(None\)",
    OnlyOutput: r"OnlyOutput.forward must return \(y, cache\), and it returned ndarray",
    ThreeThings: "ThreeThings.forward must return .*, and it returned 3 things",
    NumberOut: "NumberOut.forward must return an array for y, and it returned float",
    SummedOut: r"SummedOut.forward must keep the batch for its first axis: x has shape \(5, 4\) and y \(4,\)",
    NoMode: "NoMode.forward must take train and rng by name; it takes x",
    NoGradient: r"NoGradient.input_grad must return dx, and it returned nothing \(None\)",
    TupleOfGradients: "TupleOfGradients.input_grad must return dx, and it returned tuple",
    NoFlags: "NoFlags.backward must take need_param_grads and need_input_grad and accumulate by name",
    BackwardGivesNothing: "BackwardGivesNothing.backward must return dx",
}


@pytest.mark.parametrize("layer", FORMS, ids=lambda layer: layer.__name__)
def test_a_pass_of_another_form_is_refused_in_one_sentence(layer):
    with pytest.raises(ArgumentError, match=FORMS[layer]):
        check_layer(layer(), (4,))
