import math

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minigan.errors import ArgumentError, ShapeError
from minigan.gradcheck import check_loss
from minigan.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    hinge,
    softmax,
    softmax_cross_entropy,
)
from minigan.nn import sigmoid

RNG = np.random.default_rng(0)
probabilities = arrays(np.float64, st.tuples(st.integers(1, 6), st.just(1)), elements=st.floats(0, 1))


@pytest.fixture(autouse=True)
def same_draws():
    """Every test draws the same numbers, whichever tests came before it."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


@pytest.mark.parametrize("loss", [binary_cross_entropy, binary_cross_entropy_with_logits])
def test_a_target_for_each_of_many_predictions_is_compared_with_its_own(loss):
    p = RNG.random((2**17 + 2**16 + 3, 1), np.float32)  # more than are computed at a time
    t = (RNG.random(p.shape) < 0.5).astype(np.float32)
    gradient = np.where(t, loss(p, 1.0)[1], loss(p, 0.0)[1])
    np.testing.assert_allclose(loss(p, t)[1], gradient, rtol=1e-6)


@settings(max_examples=50)
@given(p=probabilities, t=st.floats(0, 1))
def test_bce_equals_its_naive_twin_even_at_0_and_1(p, t):
    value, grad = binary_cross_entropy(p, t)
    np.testing.assert_allclose(float(value), naive.binary_cross_entropy(p, t), rtol=1e-12, atol=1e-12)
    assert np.isfinite(grad).all()


LOGITS = 3 * RNG.standard_normal((5, 4))
LABELS = np.array([0, 3, 1, 1, 2])


@pytest.mark.parametrize("t", [LABELS, LABELS.astype(np.uint8), np.eye(4)[LABELS], softmax(RNG.normal(size=(5, 4)))])
def test_softmax_cross_entropy_equals_its_naive_twin_and_has_its_gradient(t):
    value, _ = softmax_cross_entropy(LOGITS, t)
    np.testing.assert_allclose(value, naive.softmax_cross_entropy(LOGITS, t), rtol=1e-12)
    report = check_loss(lambda x: softmax_cross_entropy(x, t), LOGITS)
    assert report, str(report)


def test_labels_are_the_same_as_one_hot_rows():
    for a, b in zip(
        softmax_cross_entropy(LOGITS, LABELS), softmax_cross_entropy(LOGITS, np.eye(4)[LABELS]), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_softmax_is_taken_along_the_last_axis_whatever_lies_before_it():
    x = RNG.normal(size=(2, 3, 4))
    p = np.array([[np.exp(row) / np.exp(row).sum() for row in rows] for rows in x])
    np.testing.assert_allclose(softmax(x), p, rtol=1e-12)
    np.testing.assert_allclose(softmax(x[0, 0]), p[0, 0], rtol=1e-12)


def test_softmax_of_two_classes_is_the_sigmoid_of_their_difference():
    x, t = RNG.standard_normal((6, 1)), np.array([1, 0, 0, 1, 1, 0])
    logits = np.hstack([np.zeros((6, 1)), x])
    value, gradient = softmax_cross_entropy(logits, t)
    expected, expected_gradient = binary_cross_entropy_with_logits(x, t[:, None].astype(float))
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(gradient[:, 1:], expected_gradient, rtol=1e-12)


def test_softmax_cross_entropy_neither_overflows_nor_loses_its_dtype():
    value, gradient = softmax_cross_entropy(np.array([[1e4, -1e4], [88.0, 89.0]], np.float32), np.array([1, 1]))
    assert value == pytest.approx((2e4 + math.log1p(math.exp(-1))) / 2)
    assert value.dtype == gradient.dtype == np.float32
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("x", "t", "error", "match"),
    [
        (np.zeros((3, 4)), np.array([0, 1]), ShapeError, r"labels \(N,\) or rows \(N, K\), got \(3, 4\) and \(2,\)"),
        (np.zeros(4), np.array(0), ShapeError, "logits"),
        (np.zeros((2, 4)), np.array([0, 4]), ArgumentError, "between 0 and 3, for logits of 4 classes, got 0 to 4"),
        (np.zeros((2, 4)), np.array([-1, 3]), ArgumentError, "got -1 to 3"),
        (np.zeros((2, 4)), np.array([0.0, 1.0]), ArgumentError, "whole numbers, got float64"),
        (np.zeros((1, 2)), np.array([[0.5, 0.6]]), ArgumentError, "add up to 1"),
        (np.zeros((1, 2)), np.array([[1.5, -0.5]]), ArgumentError, r"in \[0, 1\]"),
    ],
)
def test_targets_that_are_no_labels_are_refused(x, t, error, match):
    with pytest.raises(error, match=match):
        softmax_cross_entropy(x, t)


@pytest.mark.parametrize("t", [0.0, 1.0, 0.9, RNG.uniform(size=(3, 2))], ids=["fake", "real", "smoothed", "array"])
@pytest.mark.parametrize("loss", [binary_cross_entropy, binary_cross_entropy_with_logits])
def test_gradient(loss, t):
    x = RNG.uniform(0.05, 0.95, (3, 2)) if loss is binary_cross_entropy else 3 * RNG.standard_normal((3, 2))
    report = check_loss(lambda p: loss(p, t), x)
    assert report, str(report)


def test_bce_keeps_the_digits_of_a_small_probability():
    value, _ = binary_cross_entropy(np.array([[1e-9]], np.float32), 0.0)
    np.testing.assert_allclose(value, 1e-9, rtol=1e-5)  # log(1 - p) would give 0


def test_bce_clamps_each_logarithm_at_minus_100_as_pytorch_does():
    p = np.array([[0.0], [1.0]], np.float32)
    value, grad = binary_cross_entropy(p, np.array([[1.0], [0.0]], np.float32))
    assert float(value) == 100.0
    np.testing.assert_allclose(grad, [[-0.5e12], [0.5e12]], rtol=1e-6)
    assert float(binary_cross_entropy(p, np.array([[0.0], [1.0]], np.float32))[0]) == 0.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("x", [0.0, 50.0, -50.0, 88.7, -88.7, 1e4, -1e4])
@pytest.mark.parametrize("t", [0.0, 1.0, 0.25])
def test_bce_with_logits_is_finite_and_right_at_extreme_logits(x, t, dtype):
    value, grad = binary_cross_entropy_with_logits(np.array([[x]], dtype), t)
    exact = max(x, 0) - t * x + math.log1p(math.exp(-abs(x)))
    p = 1 / (1 + math.exp(-x)) if x >= -700 else 0.0
    rtol = 1e-6 if dtype == np.float32 else 1e-14
    tiny = np.finfo(dtype).tiny  # below it, numbers lose digits
    np.testing.assert_allclose(float(value), exact, rtol=rtol, atol=tiny)
    np.testing.assert_allclose(float(grad[0, 0]), p - t, rtol=rtol, atol=tiny)
    assert value.dtype == grad.dtype == dtype


def test_the_two_losses_agree_where_both_are_well_conditioned():
    x, t = RNG.uniform(-8, 8, (20, 1)), RNG.uniform(size=(20, 1))
    p = sigmoid(x)
    value, grad_x = binary_cross_entropy_with_logits(x, t)
    value_p, grad_p = binary_cross_entropy(p, t)
    np.testing.assert_allclose(value, value_p, rtol=1e-10)
    np.testing.assert_allclose(grad_x, grad_p * p * (1 - p), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("loss", [binary_cross_entropy, binary_cross_entropy_with_logits])
@pytest.mark.parametrize("t", [-0.1, 1.1, math.nan, np.array([[0.5], [1.5]]), np.array([[0.5], [-1.0]])])
def test_targets_outside_0_to_1_are_refused(loss, t):
    with pytest.raises(ArgumentError, match=r"must lie in \[0, 1\]"):
        loss(np.full((2, 1), 0.5), t)


def test_a_numpy_scalar_is_a_target_like_any_number():
    p = np.full((2, 1), 0.3, np.float32)
    assert binary_cross_entropy(p, np.float32(1))[0] == binary_cross_entropy(p, 1.0)[0]


@pytest.mark.parametrize("loss", [binary_cross_entropy, binary_cross_entropy_with_logits])
def test_targets_of_another_shape_are_refused_rather_than_broadcast(loss):
    for shape in ((2,), (1,), (1, 1), (2, 2)):
        with pytest.raises(ShapeError, match=r"has shape \(.*\(2, 1\)"):
            loss(np.full((2, 1), 0.5), np.ones(shape))


@pytest.mark.parametrize("side", [1, -1])
def test_hinge_equals_its_naive_twin_and_has_its_gradient(side):
    x = RNG.normal(size=(5, 3)) * 2
    value, grad = hinge(x, side)
    np.testing.assert_allclose(float(value), sum(max(0.0, 1 - side * v) for v in x.ravel()) / 15, rtol=1e-13)
    assert check_loss(lambda x: hinge(x, side), x)
    assert 0 < np.count_nonzero(grad) < 15  # some are sure, some are not


def test_hinge_leaves_alone_what_is_on_its_side_and_keeps_the_dtype():
    value, grad = hinge(np.array([[1.0], [5.0]], np.float32), 1)
    assert value == 0
    assert not grad.any()
    assert grad.dtype == hinge(np.zeros((2, 1), np.float32), -1)[1].dtype == np.float32
