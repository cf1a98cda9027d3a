"""What each layer computes: against its naive twin, and what it refuses."""

import math

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan import nn
from minigan.backend import RandomStream
from minigan.errors import ArgumentError, ShapeError
from minigan.nn import init

RNG = np.random.default_rng(0)


def lone(layer, in_shape, **options):
    return nn.Sequential([layer], in_shape, rng=np.random.default_rng(5), dtype=np.float64, **options)


shapes = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)


@settings(max_examples=25)
@given(shape=shapes, batch=st.integers(1, 4), features=st.integers(1, 5), bias=st.booleans())
def test_dense_equals_its_naive_twin(shape, batch, features, bias):
    net = lone(nn.Dense(features, bias=bias, init_b=init.torch_linear), shape)
    x = np.random.default_rng(1).standard_normal((batch, *shape))
    layer = net.layers[0]
    expected = naive.dense(x, layer.W, layer.b if bias else None)
    np.testing.assert_allclose(net(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (nn.ReLU(), lambda v: max(v, 0.0)),
        (nn.LeakyReLU(slope=0.2), lambda v: v if v > 0 else 0.2 * v),
        (nn.Tanh(), math.tanh),
        (nn.Sigmoid(), naive.sigmoid),
    ],
)
def test_activation_equals_its_naive_twin(layer, function):
    x = RNG.standard_normal((4, 50)) * 3
    np.testing.assert_allclose(lone(layer, (50,))(x), naive.elementwise(function, x), rtol=1e-13)


def test_sigmoid_neither_overflows_nor_loses_small_values():
    y = nn.sigmoid(np.array([-1e4, -800.0, -50.0, 0.0, 50.0, 1e4]))
    np.testing.assert_allclose(y, [0, 0, math.exp(-50), 0.5, 1, 1], rtol=1e-12)


@settings(max_examples=25)
@given(shape=shapes, batch=st.integers(2, 5))
def test_batchnorm_equals_its_naive_twin_in_both_modes(shape, batch):
    net = lone(nn.BatchNorm(decay=0.8, eps=1e-3), shape)
    layer = net.layers[0]
    rng = np.random.default_rng(2)
    net.params[...] = rng.standard_normal(net.params.shape)
    x = 3 + 2 * rng.standard_normal((batch, *shape))
    y, cache = net.forward(x, train=True)
    expected, (mean, _, unbiased) = naive.batchnorm(x, layer.gamma, layer.beta, 1e-3)
    np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-9)

    before = layer.running_mean.copy(), layer.running_var.copy()
    np.testing.assert_array_equal(before[0], 0, err_msg="the forward pass itself moved the running statistics")
    net.update_buffers(cache)
    np.testing.assert_allclose(layer.running_mean, 0.8 * before[0] + 0.2 * mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(layer.running_var, 0.8 * before[1] + 0.2 * unbiased, rtol=1e-12)

    expected, _ = naive.batchnorm(x, layer.gamma, layer.beta, 1e-3, layer.running_mean, layer.running_var)
    np.testing.assert_allclose(net(x), expected, rtol=1e-9, atol=1e-9)


def test_batchnorm_at_inference_takes_a_batch_of_one_and_ignores_batch_mates():
    net = lone(nn.BatchNorm(), (4,))
    x = RNG.standard_normal((3, 4))
    np.testing.assert_array_equal(net(x[:1])[0], net(x)[0])


def test_batchnorm_in_training_refuses_a_single_value_per_feature():
    with pytest.raises(ShapeError, match="at least 2 values per feature"):
        lone(nn.BatchNorm(), (4,)).forward(np.zeros((1, 4)), train=True)
    with pytest.raises(ShapeError, match="at least 2 values per feature"):
        lone(nn.BatchNorm(), (1, 4)).forward(np.zeros((1, 1, 4)), train=True)
    lone(nn.BatchNorm(), (2, 2, 4)).forward(np.zeros((1, 2, 2, 4)), train=True)  # four values each: fine


def test_batchnorm_refuses_to_learn_statistics_from_an_inference_pass():
    net = lone(nn.BatchNorm(), (4,))
    _, cache = net.forward(np.ones((3, 4)), train=False)
    with pytest.raises(ArgumentError, match="training pass"):
        net.update_buffers(cache)


@pytest.mark.parametrize("decay", [0, 1])
def test_batchnorm_may_forget_all_or_nothing(decay):
    net = lone(nn.BatchNorm(decay=decay), (2,))
    _, cache = net.forward(np.array([[1.0, 2.0], [3.0, 6.0]]), train=True)
    net.update_buffers(cache)
    np.testing.assert_array_equal(net.layers[0].running_mean, [0, 0] if decay else [2, 4])


def test_batchnorms_defaults_are_the_designs():
    assert repr(nn.BatchNorm()) == "BatchNorm(decay=0.9, eps=1e-05)"


def test_dropout_silences_the_stated_share_and_keeps_the_mean():
    net = lone(nn.Dropout(drop=0.3), (1000,))
    y, _ = net.forward(np.ones((200, 1000)), train=True, rng=RandomStream(0, "dropout"))
    assert set(np.unique(y)) == {0.0, 1 / 0.7}
    assert abs((y == 0).mean() - 0.3) < 0.005
    assert abs(y.mean() - 1) < 0.01


def test_dropout_does_nothing_at_inference_and_needs_rng_in_training():
    net = lone(nn.Dropout(drop=0.3), (5,))
    x = RNG.standard_normal((2, 5))
    np.testing.assert_array_equal(net(x), x)
    for rng in (None, np.random.default_rng(0)):
        with pytest.raises(ArgumentError, match="needs rng"):
            net.forward(x, train=True, rng=rng)


def test_dropout_keeps_what_is_drawn_at_drop_exactly():
    class Drawn(RandomStream):
        def uniform(self, shape, dtype=np.float32):
            return np.array([[0.25, 0.5, 0.75]], np.float32)  # [0.5, 1) is half of [0, 1), (0.5, 1) is less

    y, _ = lone(nn.Dropout(drop=0.5), (3,)).forward(np.ones((1, 3)), train=True, rng=Drawn(0, "dropout"))
    np.testing.assert_array_equal(y, [[0, 2, 2]])


def test_dropout_of_nothing_trains_without_rng():
    x = RNG.standard_normal((2, 5))
    y, _ = lone(nn.Dropout(drop=0), (5,)).forward(x, train=True)
    assert y is x


@pytest.mark.parametrize("layer", [nn.ReLU(), nn.LeakyReLU(slope=0.2)], ids=repr)
def test_an_activation_bends_where_it_says_and_takes_the_lower_slope_there(layer):
    (kink,) = layer.kinks
    h = 1e-3
    x = np.array([[kink - h, kink, kink + h]])
    net = lone(layer, (3,))
    y, cache = net.forward(x, train=True)
    left, right = np.diff(y[0]) / h
    assert right - left >= 0.8
    dx = net.backward(np.ones((1, 3)), cache)
    np.testing.assert_allclose(dx[0], [left, left, right], atol=1e-12)


def test_a_size_of_one_can_be_reshaped_to():
    assert lone(nn.Reshape(1, 6, 1), (2, 3))(np.ones((4, 2, 3))).shape == (4, 1, 6, 1)


def test_flatten_keeps_the_channels_of_a_pixel_together():
    x = np.arange(24.0).reshape(2, 2, 2, 3)
    np.testing.assert_array_equal(lone(nn.Flatten(), (2, 2, 3))(x)[0], np.arange(12))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: nn.Dense(0), "whole number of output features, at least 1, got 0"),
        (lambda: nn.Dense(2.5), "got 2.5"),
        (lambda: nn.LeakyReLU(slope=0.0), "got 0.0; for slope 0 use ReLU"),
        (lambda: nn.LeakyReLU(slope=-0.2), "0 < slope < 1"),
        (lambda: nn.LeakyReLU(slope=1.0), "got 1.0"),
        (lambda: nn.LeakyReLU(slope=1.5), "got 1.5"),
        (lambda: nn.Dropout(drop=1.0), "got 1.0"),
        (lambda: nn.Dropout(drop=-0.1), "got -0.1"),
        (lambda: nn.BatchNorm(decay=1.1), "got decay 1.1"),
        (lambda: nn.BatchNorm(decay=-0.5), "got decay -0.5"),
        (lambda: nn.BatchNorm(eps=0), "eps 0"),
        (lambda: nn.Reshape(0, 3), "positive sizes"),
    ],
)
def test_impossible_hyperparameters_are_refused(make, match):
    with pytest.raises((ArgumentError, ShapeError), match=match):
        make()


@pytest.mark.parametrize(
    ("initialiser", "low", "high", "std"),
    [
        (init.zeros, 0, 0, 0),
        (init.ones, 1, 1, 0),
        (init.normal(0.02), -0.2, 0.2, 0.02),
        (init.uniform(0.05), -0.05, 0.05, 0.05 / math.sqrt(3)),
        (init.glorot_uniform, -math.sqrt(6 / 500), math.sqrt(6 / 500), math.sqrt(2 / 500)),
        (init.torch_linear, -0.1, 0.1, 0.1 / math.sqrt(3)),
    ],
)
def test_initialiser_has_its_range_and_spread(initialiser, low, high, std):
    W = initialiser(np.random.default_rng(0), (100, 400), fan_in=100, fan_out=400)
    assert W.min() >= low
    assert W.max() <= high
    assert abs(W.std() - std) <= 0.02 * std


def test_dense_tells_its_initialisers_the_fan_in_of_its_weights():
    seen = {}

    def spy(rng, shape, *, fan_in, fan_out):
        seen[shape] = fan_in, fan_out
        return np.zeros(shape)

    lone(nn.Dense(7, init_W=spy, init_b=spy), (3,))
    assert seen == {(3, 7): (3, 7), (7,): (3, 7)}
