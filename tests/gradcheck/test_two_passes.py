"""What the two passes of a layer or pair are to be: of the form, and nothing is kept between them."""

import re
from typing import ClassVar

import numpy as np
import pytest
from promises import KeepsInput, Square, draw, said
from rightlayers import small

from minigan import nn
from minigan.errors import ArgumentError
from minigan.gradcheck import check_layer, check_pair

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


# Passes that keep something ------------------------------------------------------------------------------------------


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
