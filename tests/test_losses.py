import math

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minigan.errors import ArgumentError, ShapeError
from minigan.gradcheck import check_loss
from minigan.losses import binary_cross_entropy, binary_cross_entropy_with_logits
from minigan.nn import sigmoid

RNG = np.random.default_rng(0)
probabilities = arrays(np.float64, st.tuples(st.integers(1, 6), st.just(1)), elements=st.floats(0, 1))


@settings(max_examples=50)
@given(p=probabilities, t=st.floats(0, 1))
def test_bce_equals_its_naive_twin_even_at_0_and_1(p, t):
    value, grad = binary_cross_entropy(p, t)
    np.testing.assert_allclose(float(value), naive.binary_cross_entropy(p, t), rtol=1e-12, atol=1e-12)
    assert np.isfinite(grad).all()


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
