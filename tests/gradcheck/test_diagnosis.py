"""The likely cause that a report names is the one that was planted."""

import re

import numpy as np
import pytest

from minigan import nn
from minigan.gradcheck import check_layer, check_loss, check_pair
from minigan.losses import binary_cross_entropy


def dense(*, dx=None, dW=None, db=None, features=3):
    """A Dense layer with one of its three answers replaced: a function of (right answer, layer, dy, x)."""

    class Mistaken(nn.Dense):
        def input_grad(self, dy, cache):
            right = super().input_grad(dy, cache)
            return right if dx is None else dx(right, self, dy, cache)

        def param_grads(self, dy, cache, grads):
            super().param_grads(dy, cache, grads)
            for name, wrong in (("W", dW), ("b", db)):
                if wrong is not None:
                    grads[name][...] = wrong(grads[name].copy(), self, dy, cache)

    return Mistaken(features)


def batchnorm(dx):
    class Mistaken(nn.BatchNorm):
        tangent = nn.Layer.tangent  # BatchNorm's takes the same spread

        def spread(self, dy, cache, sums):
            return dx(self, dy, cache, *sums, len(dy))

    return Mistaken()


def elementwise(kind, forward, backward, **options):
    class Mistaken(kind):
        tangent = nn.Layer.tangent  # that of the kind is not of another forward

    if forward is not None:
        Mistaken.forward = lambda self, x, *, train, rng=None: forward(self, x)
    Mistaken.input_grad = backward
    return Mistaken(**options)


def reshaped(self, dy, cache):
    N, H, W, C = cache
    return dy.reshape(N, C, H, W).transpose(0, 2, 3, 1)


CASES = {
    "sign": (dense(dx=lambda g, *_: -g), (4,), "sign is wrong"),
    "factor": (dense(dW=lambda g, *_: 1.0005 * g), (4,), r"every entry is 1\.0005 times"),
    "mean for sum": (dense(db=lambda g, *_: g / 5), (4,), r"0\.2 times.*1/5, with 5 the size of the batch"),
    "sum for mean": (
        dense(db=lambda g, *_: g * 5),
        (4,),
        r"5 times.*the size of the batch.*, 5: a mean is missing",
    ),
    "zero": (dense(dW=lambda g, *_: 0 * g), (4,), "zero everywhere"),
    "not a number": (dense(dW=lambda g, *_: g * np.nan), (4,), "NaN"),
    "one entry": (dense(dW=lambda g, *_: g + 0.1 * (np.indices(g.shape).sum(0) == 0)), (4,), r"one entry.*\[0, 0\]"),
    "last row lost": (
        dense(dW=lambda g, *_: g * (np.arange(len(g)) < len(g) - 1)[:, None]),
        (4,),
        "ends one too early",
    ),
    "transposed gradient": (dense(dW=lambda g, *_: g.T, features=4), (4,), "rows and columns swapped"),
    "transposed weight": (
        dense(dx=lambda g, d, dy, x: dy @ d.W, features=4),
        (4,),
        r"W is not transposed where W\.T belongs",
    ),
    "reversed": (dense(dW=lambda g, *_: g[:, ::-1]), (4,), "reverse order along axis 1"),
    "shifted": (dense(dx=lambda g, *_: np.roll(g, 1, axis=1)), (6,), "shifted index.*1 too far on along axis 1"),
    "shifted back": (dense(dW=lambda g, *_: np.roll(g, -2, axis=0)), (6,), "2 too far back along axis 0"),
    "first image": (dense(db=lambda g, d, dy, x: dy[0]), (4,), "only the first image"),
    "last image": (dense(dW=lambda g, d, dy, x: np.outer(x[-1], dy[-1])), (4,), "only the last image"),
    "no upstream": (dense(dx=lambda g, d, dy, x: np.ones_like(dy) @ d.W.T), (4,), "dy is missing"),
    "missing sum": (
        dense(dx=lambda g, *_: g.sum(axis=1, keepdims=True)),
        (4,),
        r"it is the sum over axis 1.*broadcast",
    ),
    "broadcast": (dense(dx=lambda g, *_: g[:, :1]), (4,), "broadcast to it without an error"),
    "statistics": (
        batchnorm(lambda n, dy, c, *_: dy * n.gamma * c.inv_std),
        (4,),
        "the batch's mean and variance are taken for constants",
    ),
    "variance": (
        batchnorm(lambda n, dy, c, g, b, N: n.gamma * c.inv_std * (dy - b / N)),
        (4,),
        r"what goes through the batch's variance is missing.*\(Σ dx·\(x - mean\)",
    ),
    "gamma": (
        batchnorm(lambda n, dy, c, g, b, N: c.inv_std * (dy - b / N - c.x_hat * (g / N))),
        (4,),
        "factor gamma is missing",
    ),
    "gamma twice": (
        batchnorm(lambda n, dy, c, g, b, N: n.gamma**2 * c.inv_std * (dy - b / N - c.x_hat * (g / N))),
        (4,),
        "gamma is a factor too many",
    ),
    "a factor for each feature": (
        batchnorm(lambda n, dy, c, g, b, N: n.gamma * (dy - b / N - c.x_hat * (g / N))),
        (4,),
        "each feature has a factor of its own",
    ),
    "tanh' at x": (
        elementwise(nn.Tanh, lambda self, x: (np.tanh(x), x), nn.Tanh.input_grad),
        (6,),
        "a formula in the output y was given the input x",
    ),
    "sin' at y": (
        elementwise(nn.Tanh, lambda s, x: (np.sin(x), np.cos(np.sin(x))), lambda s, dy, c: dy * c),
        (6,),
        "at the output y, where the input x belongs",
    ),
    "another derivative": (
        elementwise(nn.Tanh, None, lambda self, dy, c: dy * np.exp(c)),
        (6,),
        "each entry is dy times a wrong derivative",
    ),
    "lost slope": (
        elementwise(nn.LeakyReLU, None, lambda self, dy, c: dy * (c > 0), slope=0.2),
        (6,),
        r"wrong where x < 0, and only there: 0, for one, where it is 0\.2",
    ),
    "boolean": (elementwise(nn.ReLU, None, lambda self, dy, c: c > 0), (6,), "dy is missing|boolean mask"),
    "unscaled mask": (
        elementwise(nn.Dropout, None, lambda self, dy, c: dy * (c > 0), drop=0.3),
        (6,),
        r"0\.69999\d+ times.*\(1 - drop\) with drop = 0\.3",
    ),
    "forgotten mask": (
        elementwise(nn.Dropout, None, lambda self, dy, c: dy / (1 - self.drop), drop=0.5),
        (6,),
        "where it should be zero it is not: the mask .* is missing$",
    ),
    "forgotten ReLU": (
        elementwise(nn.ReLU, None, lambda self, dy, c: dy),
        (6,),
        "where it should be zero it is not: the mask",
    ),
    "forgotten mask and scale": (
        elementwise(nn.Dropout, None, lambda self, dy, c: dy, drop=0.3),
        (6,),
        r"the mask .* is missing, and so is a factor of 1\.4286",
    ),
    "axes": (elementwise(nn.Flatten, None, reshaped), (2, 3, 3), "right numbers in the wrong order: axes"),
    "off by the same in every image": (
        dense(dx=lambda g, *_: g + np.arange(4.0)),
        (4,),
        "off by the same amount in every image",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_planted_mistake_is_named(name):
    layer, in_shape, said = CASES[name]
    report = check_layer(layer, in_shape)
    assert not report
    causes = [row.cause for row in report.rows if row.wrong.any()]
    assert len(causes) == 1
    assert re.search(said, causes[0]), causes[0]
    assert causes[0] in " ".join(str(report).split())


def test_a_mean_that_a_loss_takes_twice_is_named():
    p = np.random.default_rng(0).uniform(0.1, 0.9, (6, 1))
    report = check_loss(lambda p: (binary_cross_entropy(p, 1.0)[0], binary_cross_entropy(p, 1.0)[1] / 6), p)
    assert "1/6, with 6 the number of entries: a mean stands for a sum, or is taken twice" in report["p"].cause


def test_a_gradient_with_the_batch_still_in_it_misses_a_sum():
    def scale(x, g):
        return x * g, (x, g)

    x, g = np.random.default_rng(0).standard_normal((5, 3)), np.random.default_rng(1).standard_normal(3)
    report = check_pair(scale, lambda dy, c: (dy * c[1], dy * c[0]), x, g)
    assert "the sum over the batch is missing (axis 0)" in report["g"].cause


def test_right_numbers_in_another_shape_are_called_that():
    def shift(x, b):
        return x + b, 0

    x, b = np.random.default_rng(0).standard_normal((5, 3)), np.zeros(3)
    report = check_pair(shift, lambda dy, c: (dy, dy.sum(axis=0, keepdims=True)), x, b)
    assert "the numbers are right; leave out keepdims, or reshape it" in report["b"].cause


def test_a_weight_on_the_left_is_told_to_be_not_transposed():
    W, X = np.random.default_rng(0).standard_normal((2, 3, 3))
    report = check_pair(lambda W, X: (W @ X, (W, X)), lambda dy, c: (dy @ c[1].T, c[0] @ dy), W, X)
    assert "W is not transposed where W.T belongs" in report["X"].cause


def test_a_factor_that_may_mean_two_things_names_both():
    layer = elementwise(nn.Dropout, None, lambda self, dy, c: dy * (c > 0), drop=0.5)
    cause = check_layer(layer, (6,)).rows[0].cause
    assert "(1 - drop)" in cause
    assert "or which is drop" in cause


def test_a_derivative_that_is_wrong_everywhere_is_not_blamed_on_a_side():
    x = np.random.default_rng(0).uniform(0.1, 0.9, (4, 3))
    report = check_pair(lambda x: (x**3, x), lambda dy, x: 2 * dy * x, x)
    assert "x > 0" not in report["x"].cause


def test_a_single_image_is_no_batch_to_take_a_mean_over():
    noise = np.random.default_rng(5).standard_normal((1, 4))
    report = check_layer(dense(dx=lambda g, *_: g + 0.1 * noise), (4,), batch=1)
    assert "mean over the batch" not in report["x"].cause


def test_the_same_cause_of_several_arrays_is_told_once():
    report = check_layer(dense(dW=lambda g, *_: -g, db=lambda g, *_: -g), (4,))
    assert report.remarks() == ["W, b: the sign is wrong: every entry is the negative of what it should be"]


def test_a_softmax_that_forgets_its_sum_is_told_so():
    def softmax(x):
        e = np.exp(x)
        return e / e.sum(axis=-1, keepdims=True), e / e.sum(axis=-1, keepdims=True)

    x = np.random.default_rng(0).standard_normal((5, 4))
    assert check_pair(softmax, lambda dy, y: y * (dy - (dy * y).sum(axis=-1, keepdims=True)), x)
    report = check_pair(softmax, lambda dy, y: dy * y * (1 - y), x)
    assert "it is dy times the diagonal of the Jacobian" in report["x"].cause
    report = check_pair(softmax, lambda dy, y: y * (dy - (dy * y).sum(axis=0)), x)  # over the batch
    assert report["x"].cause.startswith("not known")
    assert "Σ dx over the last axis should be zero and is not" in report["x"].cause


def test_an_unknown_mistake_is_admitted_with_its_size():
    noise = np.random.default_rng(5).standard_normal((4, 3))
    report = check_layer(dense(dW=lambda g, *_: g + 0.1 * noise), (4,))
    assert "not known; 12 of 12 entries are wrong" in report["W"].cause


def test_a_wrong_array_too_large_for_its_entries_says_how_to_learn_more():
    noise = np.random.default_rng(5).standard_normal((4, 3))
    report = check_layer(dense(dW=lambda g, *_: g + 0.1 * noise), (4,), elementwise=0)
    assert "raise elementwise" in report["W"].cause
