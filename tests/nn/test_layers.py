"""What each layer computes: against its naive twin, and what it refuses."""

import math
import tracemalloc
from itertools import product

import naive
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from minigan import backend, nn, store
from minigan.backend import RandomStream, loops, threads
from minigan.backend.products import batch_sum
from minigan.errors import ArgumentError, ShapeError
from minigan.gan.averaging import average
from minigan.gradcheck import check_layer
from minigan.nn import init, norm
from minigan.nn.conv import fourier, im2col, turned
from minigan.nn.conv import layers as conv
from minigan.nn.conv.windows import padding, place_windows, whole_sizes
from minigan.optim import Adam

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def same_draws():
    """Every test draws the same numbers, whichever tests came before it."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


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


@pytest.mark.parametrize(
    ("train", "flags", "taken"),
    [
        (True, {}, 1),
        (True, {"accumulate": True}, 1),
        (True, {"need_param_grads": False}, 1),
        (True, {"need_input_grad": False}, 1),
        (False, {}, 1),
        (False, {"need_param_grads": False}, 0),  # dx at inference has no use for them
    ],
)
def test_batchnorm_takes_its_sums_once_whatever_is_asked(train, flags, taken, monkeypatch):
    net, calls, real = lone(nn.BatchNorm(), (2, 2, 4)), [], norm.gradient_sums
    monkeypatch.setattr(norm, "gradient_sums", lambda *args: calls.append(1) or real(*args))
    y, cache = net.forward(RNG.standard_normal((3, 2, 2, 4)), train=train)
    net.backward(y, cache, **flags)
    assert len(calls) == taken


def far_off(shape):
    """float32 numbers about 10⁴, whose rounding is a thousandth of their spread."""
    return (1e4 + RNG.standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize("shape", [(200_000, 3), (40, 50, 50, 4), (100_001, 1)])
def test_batchnorm_in_float32_keeps_the_mean_and_variance_of_a_large_batch_that_is_far_from_zero(shape):
    x = far_off(shape)
    net = nn.Sequential([nn.BatchNorm(decay=0)], shape[1:], rng=np.random.default_rng(0))
    y, cache = net.forward(x, train=True)
    net.update_buffers(cache)
    exact = x.reshape(-1, shape[-1]).astype(float)
    np.testing.assert_allclose(net.layers[0].running_mean, exact.mean(axis=0), rtol=5e-7)  # of one sum: 1e-3
    np.testing.assert_allclose(net.layers[0].running_var, exact.var(axis=0, ddof=1), rtol=5e-5)  # of one sum: 30
    np.testing.assert_allclose(y.reshape(exact.shape).mean(axis=0, dtype=float), 0, atol=5e-3)

    _, cache = net.forward(x - np.float32(1e4), train=True)  # where only the sums of squares are large
    net.update_buffers(cache)
    np.testing.assert_allclose(net.layers[0].running_var, exact.var(axis=0, ddof=1), rtol=1e-6)  # of one sum: 2e-5


@pytest.mark.parametrize("n", [1, 2, 255, 256, 257, 511, 512, 513, 256**2, 256**2 + 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_sum_over_the_batch_leaves_no_row_out_and_takes_none_twice(n, dtype):
    x = RNG.integers(-8, 9, (n, 3)).astype(dtype)  # whose sums are exact
    total = batch_sum(x)
    assert total.dtype == dtype
    np.testing.assert_array_equal(total, x.sum(axis=0, dtype=float))
    np.testing.assert_array_equal(batch_sum(np.stack([x, x], axis=1)), 2 * total)


@pytest.mark.parametrize("layer", [nn.Dense(2), nn.Conv2d(2, 1), nn.ConvTranspose2d(2, 1), nn.UpsampleConv2d(2, 1)])
def test_the_gradient_of_a_bias_in_float32_loses_nothing_in_a_large_batch(layer):
    net = nn.Sequential([layer], (100, 100, 1), rng=np.random.default_rng(0))
    y, cache = net.forward(np.zeros((20, 100, 100, 1), np.float32), train=True)
    dy = far_off(y.shape)
    net.backward(dy, cache, need_input_grad=False)
    np.testing.assert_allclose(layer.grads["b"], dy.sum(axis=(0, 1, 2), dtype=float), rtol=5e-7)


def test_batchnorms_defaults_are_the_designs():
    assert repr(nn.BatchNorm()) == "BatchNorm(decay=0.9, eps=1e-05)"


class Drawn(RandomStream):
    """A stream that draws what it was given."""

    def __init__(self, draws):
        super().__init__(0, "dropout")
        self.draws = np.array(draws, np.uint16)

    def bits(self, shape):
        assert self.draws.shape == shape
        return self.draws


def test_dropout_silences_the_stated_share_and_keeps_the_mean():
    net = lone(nn.Dropout(drop=0.3), (1000,))
    y, _ = net.forward(np.ones((200, 1000)), train=True, rng=RandomStream(0, "dropout"))
    silent = 19661  # 0.3·2¹⁶, rounded: so many of the 2¹⁶ draws silence
    assert set(np.unique(y)) == {0.0, 1 / (1 - silent / 65536)}
    assert abs((y == 0).mean() - 0.3) < 0.005
    assert abs(y.mean() - 1) < 0.01


def test_dropout_keeps_the_mean_of_every_feature_at_what_it_was():
    net, x = lone(nn.Dropout(drop=0.3), (7,)), np.array([-5.0, -1, 0, 0.1, 1, 2, 100])
    y, _ = net.forward(np.broadcast_to(x, (100_000, 7)), train=True, rng=RandomStream(0, "dropout"))
    error = math.sqrt(0.3 / 0.7 / len(y))  # of the mean of so many draws, as a share of x
    np.testing.assert_array_less(abs(y.mean(axis=0) - x), 4 * error * abs(x) + 1e-12)


@pytest.mark.parametrize(("drop", "silent"), [(1 - 1e-9, 65535), (1e-9, 0)])
def test_dropout_of_nearly_all_and_of_nearly_nothing_divides_by_what_it_really_keeps(drop, silent):
    draws = np.arange(65536).reshape(1, -1)  # each once
    y, _ = lone(nn.Dropout(drop=drop), draws.shape[1:]).forward(np.ones(draws.shape), train=True, rng=Drawn(draws))
    assert (y == 0).sum() == silent
    np.testing.assert_array_equal(y[y > 0], 65536 / (65536 - silent))
    assert y.mean() == 1


def test_dropout_does_nothing_at_inference_and_needs_rng_in_training():
    net = lone(nn.Dropout(drop=0.3), (5,))
    x = RNG.standard_normal((2, 5))
    np.testing.assert_array_equal(net(x), x)
    for rng in (None, np.random.default_rng(0)):
        with pytest.raises(ArgumentError, match="needs rng"):
            net.forward(x, train=True, rng=rng)


def test_dropout_keeps_what_is_drawn_at_drop_exactly():
    drawn = Drawn([[0, 32767, 32768, 65535]])  # the upper half of the draws begins with 32768
    y, _ = lone(nn.Dropout(drop=0.5), (4,)).forward(np.ones((1, 4)), train=True, rng=drawn)
    np.testing.assert_array_equal(y, [[0, 0, 2, 2]])


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


# Layers for images --------------------------------------------------------------------------------------------------


def geometries(largest=6):
    """(size, kernel, stride, pads) of a convolution that fits: odd sizes, strides that do not divide, large kernels."""
    sides = st.tuples(st.integers(0, 2), st.integers(0, 2))
    axis = st.tuples(st.integers(1, largest), st.integers(1, largest), st.integers(1, 3), sides)
    fits = axis.filter(lambda a: a[1] <= a[0] + sum(a[3]))
    return st.tuples(fits, fits).map(lambda axes: tuple(zip(*axes, strict=True)))


@settings(max_examples=60)
@given(geometry=geometries(), channels=st.tuples(st.integers(1, 3), st.integers(1, 3)), bias=st.booleans())
def test_convolution_equals_its_naive_twin(geometry, channels, bias):
    (size, kernel, stride, pad), (C, K) = geometry, channels
    net = lone(nn.Conv2d(K, kernel, stride=stride, pad=pad, bias=bias, init_b=init.torch_linear), (*size, C))
    layer, x = net.layers[0], np.random.default_rng(1).standard_normal((2, *size, C))
    expected = naive.convolution(x, layer.W, layer.b if bias else None, stride, pad)
    np.testing.assert_allclose(net(x), expected, rtol=1e-10, atol=1e-12)


@settings(max_examples=60)
@given(geometry=geometries(4), channels=st.tuples(st.integers(1, 3), st.integers(1, 3)), bias=st.booleans())
def test_transposed_convolution_equals_its_naive_twin(geometry, channels, bias):
    (size, kernel, stride, pad), (C, K) = geometry, channels
    out = tuple((n - 1) * s + k - sum(p) for n, k, s, p in zip(size, kernel, stride, pad, strict=True))
    assume(min(out) >= 1)
    layer = nn.ConvTranspose2d(K, kernel, stride=stride, pad=pad, bias=bias, init_b=init.torch_linear)
    net, x = lone(layer, (*size, C)), np.random.default_rng(1).standard_normal((2, *size, C))
    expected = naive.transposed_convolution(x, layer.W, layer.b if bias else None, stride, pad, out)
    np.testing.assert_allclose(net(x), expected, rtol=1e-10, atol=1e-12)


@settings(max_examples=60)
@given(geometry=geometries(), same=st.booleans())
def test_transposed_convolution_is_the_adjoint_of_the_convolution(geometry, same):
    """⟨conv(x), y⟩ = ⟨x, convT(y)⟩, for every x that the transposed convolution can give."""
    size, kernel, stride, pad = geometry
    if not same:
        whole = [(n + sum(p) - k) // s * s + k for n, k, s, p in zip(size, kernel, stride, pad, strict=True)]
        assume(all(n > sum(p) for n, p in zip(whole, pad, strict=True)))  # else the image is all padding
    pad = "same" if same else pad
    small = lone(nn.Conv2d(2, kernel, stride=stride, pad=pad, bias=False), (*size, 3)).out_shape
    transposed = lone(nn.ConvTranspose2d(3, kernel, stride=stride, pad=pad, bias=False), small)
    net = lone(nn.Conv2d(2, kernel, stride=stride, pad=pad, bias=False), transposed.out_shape)
    assert net.out_shape == small
    net.params[...] = transposed.params
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, *transposed.out_shape)), rng.standard_normal((2, *small))
    left, right = net(x) * y, x * transposed(y)
    np.testing.assert_allclose(left.sum(), right.sum(), rtol=0, atol=1e-12 * np.abs(left).sum())


def test_same_padding_puts_the_odd_zero_below_and_to_the_right():
    """TensorFlow's rule: at stride 2 a 3×3 kernel on an even image starts at its corner, not outside of it."""
    layer = nn.Conv2d(1, 3, stride=2, pad="same", bias=False)
    net = lone(layer, (4, 4, 1))
    layer.W[...] = 0
    layer.W[0, 0] = 1  # looks at the top left of each window
    x = np.arange(16.0).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(net(x)[0, :, :, 0], [[0, 2], [8, 10]])
    assert layer.windows((4, 4)).pad == ((0, 1), (0, 1))
    assert layer.windows((5, 5)).pad == ((1, 1), (1, 1))
    assert lone(nn.Conv2d(1, 3, stride=2, pad="same"), (7, 5, 1)).out_shape == (4, 3, 1)  # ⌈7 / 2⌉, ⌈5 / 2⌉
    assert lone(nn.ConvTranspose2d(1, 3, stride=2, pad="same"), (4, 3, 1)).out_shape == (8, 6, 1)


@settings(max_examples=60)
@given(geometry=geometries(), ties=st.booleans())
def test_max_pooling_and_its_gradient_equal_their_naive_twin_also_where_entries_tie(geometry, ties):
    size, kernel, stride, pad = geometry
    assume(all(max(sides) < k for sides, k in zip(pad, kernel, strict=True)))
    net, rng = lone(nn.MaxPool2d(kernel, stride=stride, pad=pad), (*size, 2)), np.random.default_rng(0)
    x = rng.integers(-2, 3, (2, *size, 2)).astype(float) if ties else rng.standard_normal((2, *size, 2)) - 5
    y, cache = net.forward(x, train=True)
    expected_y, expected_dx = naive.max_pool(x, kernel, stride, pad)
    np.testing.assert_array_equal(y, expected_y)
    np.testing.assert_array_equal(net.backward(np.ones(y.shape), cache), expected_dx)


def test_maxout_is_max_pooling_over_the_features():
    """ReNom's tutorial has maxout as a pooling over an image of one channel, whose columns are the pieces."""
    maxout = lone(nn.Maxout(5), (60,))
    pooling = nn.Sequential(
        [nn.Reshape(12, 5, 1), nn.MaxPool2d((1, 5), stride=1), nn.Flatten()],
        (60,), rng=np.random.default_rng(0), dtype=np.float64,
    )  # fmt: skip
    x, dy = RNG.standard_normal((4, 60)), RNG.standard_normal((4, 12))
    results = []
    for net in (maxout, pooling):
        y, cache = net.forward(x, train=True)
        results.append((y, net.backward(dy, cache)))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_of_equal_pieces_the_first_gets_the_gradient():
    net = lone(nn.Maxout(3), (6,))
    _, cache = net.forward(np.array([[1.0, 1.0, 0.0, 2.0, 3.0, 3.0]]), train=True)
    np.testing.assert_array_equal(net.backward(np.array([[5.0, 7.0]]), cache), [[5, 0, 0, 0, 7, 0]])


def test_how_far_a_maximum_is_from_its_kink_is_how_far_the_largest_is_ahead_of_the_next():
    (ahead,) = nn.Maxout(3).kink_offsets(np.array([[1.0, 4.0, 2.5, -1.0, -3.0, -1.0]]))
    np.testing.assert_array_equal(ahead, [[1.5, 0]])
    image = np.array([[-5.0, -7.0], [-1.0, -2.0]]).reshape(1, 2, 2, 1)
    (ahead,) = nn.MaxPool2d(2).kink_offsets(image)
    np.testing.assert_array_equal(ahead, [[[[1]]]])
    for layer in (nn.Maxout(1), nn.MaxPool2d(1)):
        assert layer.kink_offsets(image) == []


def test_pooling_keeps_the_channels_of_an_image_whose_sides_and_channels_all_differ():
    assert nn.MaxPool2d(2).out_shape((4, 6, 5)) == (2, 3, 5)
    dx = nn.Maxout(2).input_grad(np.ones((2, 3, 4, 5)), np.zeros((2, 3, 4, 5), "int32"))
    assert dx.shape == (2, 3, 4, 10)


def test_the_distance_from_a_kink_is_told_for_any_kink_and_for_two_candidates():
    class Clip(nn.Layer):
        kinks = (-1.0, 2.0)

    np.testing.assert_array_equal(Clip().kink_offsets(np.array([[0.5, 2.0]])), [[[1.5, 3.0]], [[-1.5, 0.0]]])
    (ahead,) = nn.Maxout(2).kink_offsets(np.array([[3.0, 1.0, 2.0, 5.0]]))
    np.testing.assert_array_equal(ahead, [[2.0, 3.0]])
    assert nn.Maxout(1).kink_offsets(np.ones((1, 2))) == []


def test_maxout_of_an_image_keeps_its_sides_and_says_which_channels_can_be_shared_out():
    assert nn.Maxout(2).out_shape((2, 3, 6)) == (2, 3, 3)
    with pytest.raises(ShapeError, match="7 features cannot be shared out to groups of 3; 6 can"):
        nn.Maxout(3).out_shape((3, 7))
    with pytest.raises(ShapeError, match="2 features cannot be shared out to groups of 3; 3 can"):
        nn.Maxout(3).out_shape((3, 2))
    with pytest.raises(ShapeError, match="0 features cannot be shared out to groups of 3; 3 can"):
        nn.Maxout(3).out_shape(())


def test_a_nan_is_not_hidden_by_a_maximum():
    x = np.array([[1.0, np.nan, 2.0]])
    assert np.isnan(lone(nn.Maxout(3), (3,))(x)).all()


def test_upsampling_repeats_every_pixel_and_its_gradient_is_the_sum_of_each_block():
    net = lone(nn.Upsample2d((2, 3)), (2, 2, 1))
    x = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    y, cache = net.forward(x, train=True)
    np.testing.assert_array_equal(y[0, :, :, 0], np.kron(x[0, :, :, 0], np.ones((2, 3))))
    dy = np.arange(24.0).reshape(1, 4, 6, 1)
    blocks = [[dy[0, 2 * i : 2 * i + 2, 3 * j : 3 * j + 3].sum() for j in range(2)] for i in range(2)]
    np.testing.assert_array_equal(net.backward(dy, cache)[0, :, :, 0], blocks)


# The three ways of a convolution -------------------------------------------------------------------------------------


@st.composite
def convolutions(draw):
    """(size, windows, channels C, K) of a convolution of stride 1, as all three ways take it."""
    size, kernel, _, pad = draw(geometries(5))
    windows = place_windows(size, kernel, 1, draw(st.sampled_from([pad, "same"])))
    return size, windows, draw(st.integers(1, 2)), draw(st.integers(1, 2))


def three_products(way, size, windows, C, K, dtype=np.float64):
    """What a way makes of random arrays: correlate, spread and correlate_all, into arrays of NaN."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, *size, C)), rng.standard_normal((2, *windows.counts, K))
    x, y, W = (a.astype(dtype) for a in (x, y, rng.standard_normal((*windows.kernel, C, K))))
    found = tuple(np.full_like(a, np.nan) for a in (y, x, W))
    way.correlate(x, W, windows, found[0])
    way.spread(y, W, windows, found[1])
    way.correlate_all(x, y, windows, found[2])
    return found


class Loops:
    """A way by the naive twins."""

    def correlate(self, x, W, windows, y):
        y[...] = naive.convolution(x, W, None, windows.stride, windows.pad)

    def spread(self, y, W, windows, x):
        x[...] = naive.transposed_convolution(y, W, None, windows.stride, windows.pad, x.shape[1:3])

    def correlate_all(self, x, y, windows, W):
        """At stride 1 a correlation too: y is the kernel, and the images are the channels."""
        found = naive.convolution(x.transpose(3, 1, 2, 0), y.transpose(1, 2, 0, 3), None, (1, 1), windows.pad)
        W[...] = found.transpose(1, 2, 0, 3)


@settings(max_examples=40)
@given(geometry=convolutions())
@example(geometry=((5, 3), place_windows((5, 3), (5, 3), 1, 0), 2, 1))  # as large as the image
@example(geometry=((5, 3), place_windows((5, 3), (5, 3), 1, "same"), 2, 1))
@example(geometry=((3, 4), place_windows((3, 4), (3, 2), 1, ((2, 0), (0, 1))), 1, 2))
def test_all_ways_of_a_convolution_give_the_sums_of_its_naive_twin(geometry):
    (_, windows, _, _), expected = geometry, three_products(Loops(), *geometry)
    from_y = all(max(sides) < k for sides, k in zip(windows.pad, windows.kernel, strict=True))
    for way in (im2col, fourier, turned) if from_y else (im2col, fourier):
        for a, b in zip(expected, three_products(way, *geometry), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12, err_msg=way.__name__)


def test_waves_in_float32_are_as_exact_as_the_sums_that_they_replace():
    windows = place_windows((7, 7), 5, 1, 2)
    exact = three_products(im2col, (7, 7), windows, 64, 64)
    for a, b in zip(exact, three_products(fourier, (7, 7), windows, 64, 64, np.float32), strict=True):
        assert abs(a - b).max() < 1e-6 * abs(a).max()


def test_the_torus_has_room_for_the_zeros_on_one_side_of_the_image_and_no_more():
    for size, kernel, pad, sides in (
        ((7, 7), 5, 2, (9, 9)),  # 3·9·9/2 = 121 products of each pair of channels, as fourier.py says
        ((6, 4), (3, 4), 0, (7, 5)),
        ((6, 4), 5, ((3, 0), (0, 3)), (9, 7)),
        ((6, 4), 5, ((0, 3), (3, 0)), (9, 7)),
    ):
        windows = place_windows(size, kernel, 1, pad)
        assert fourier.period(size, windows) == sides
        assert len(fourier.transform(size, windows, np.dtype("float64")).F) == 3 * sides[0] * sides[1] // 2


def test_the_windows_on_y_are_as_many_as_x_has_pixels():
    for size, kernel, pad in (((5, 6), 3, 1), ((4, 7), (3, 4), ((2, 0), (1, 3))), ((4, 4), (2, 3), "same")):
        windows = place_windows(size, kernel, 1, pad)
        seen_from_y = turned.from_y(size, windows)
        assert place_windows(windows.counts, windows.kernel, 1, seen_from_y.pad) == seen_from_y
        assert turned.from_y(windows.counts, seen_from_y) == windows


def planned(layer, in_shape, N):
    """The way that is chosen for a layer of a recipe, and in how many parts the batch is taken."""
    size, K = layer.out_shape(in_shape)[:2], layer.channels
    x, y = np.empty((N, *in_shape), np.float32), np.empty((N, *size, K), np.float32)
    x, y = (y, x) if isinstance(layer, nn.ConvTranspose2d) else (x, y)
    way, tiles = conv.plan(x, y, layer.windows(x.shape[1:3]))
    assert [i for tile in tiles for i in range(N)[tile]] == list(range(N)), "not each image once"
    assert all(tile.stop > tile.start for tile in tiles)
    return way, len(tiles)


def test_the_way_is_the_one_of_the_fewest_multiplications_or_the_smallest_columns():
    large = nn.ConvTranspose2d(128, 5, pad=2)
    assert planned(large, (7, 7, 256), 128)[0] is fourier  # flux-dcgan's first
    assert planned(large, (7, 7, 256), 1)[0] is not fourier  # for one image the kernel's waves cost too much
    assert planned(nn.Conv2d(256, 7, pad=3), (14, 14, 256), 128)[0] is fourier
    assert planned(nn.Conv2d(256, 7, stride=2, pad=3), (14, 14, 256), 128)[0] is im2col  # the waves know no stride
    assert planned(nn.Conv2d(64, 3, pad="same"), (16, 16, 64), 128)[0] is im2col  # a 3×3 kernel has too few places
    assert planned(nn.Conv2d(1, 3, pad="same"), (32, 32, 64), 32)[0] is turned  # keras-upconv's last
    assert planned(nn.Conv2d(64, 3, pad="same"), (32, 32, 1), 32)[0] is im2col  # … and its D's first
    assert planned(nn.Conv2d(1, 3, stride=2, pad="same"), (32, 32, 64), 32)[0] is im2col
    assert planned(nn.Conv2d(1, 3, pad=3), (32, 32, 64), 32)[0] is im2col  # y's columns would need a pad below 0


@pytest.mark.parametrize(
    ("size", "kernel", "pad"),
    [((6, 9), (5, 4), 2), ((5, 4), (3, 5), 2), ((8, 5), (7, 5), "same"), ((9, 6), 5, ((2, 1), (0, 3)))],
)
def test_the_waves_are_taken_where_they_need_less_than_half_of_the_multiplications(size, kernel, pad, monkeypatch):
    count = []

    def counted(a, b, out=None):
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        out = np.empty((*batch, a.shape[-2], b.shape[-1])) if out is None else out
        count.append(out.size * a.shape[-1])
        return out

    monkeypatch.setattr(backend, "matmul", counted)
    windows, chosen = place_windows(size, kernel, 1, pad), set()
    for N in (2, 16):
        for C, K in product(range(20, 150, 16), repeat=2):
            x, y = np.empty((N, *size, C)), np.empty((N, *windows.counts, K))
            fourier.correlate(x, np.empty((*windows.kernel, C, K)), windows, y)
            direct = y.size * math.prod(windows.kernel) * C
            assert fourier.pays(size, windows, C, K, N) == (2 * sum(count) < direct)
            chosen.add(2 * sum(count) < direct)
            count.clear()
    assert chosen == {True, False}


@pytest.mark.parametrize(("itemsize", "C", "K"), [(4, 3, 2), (8, 1, 5)])
def test_a_tile_holds_as_many_images_as_have_columns_or_waves_of_its_size(itemsize, C, K, monkeypatch):
    size = (7, 9)
    windows = place_windows(size, (3, 2), 1, ((1, 0), (0, 1)))
    rows = len(fourier.transform(size, windows, np.dtype("float64")).F)
    numbers = {
        im2col: math.prod(windows.counts) * 3 * 2 * C,
        turned: math.prod(size) * 3 * 2 * K,
        fourier: rows * (C + K),
    }
    for way, one in numbers.items():
        for tile, images in ((5, 5), (5.99, 5), (0.5, 1)):
            module = im2col if way is turned else way
            monkeypatch.setattr(module, "TILE_BYTES", int(tile * one * itemsize))
            assert way.images_at_once(size, windows, C, K, itemsize) == images, way.__name__


@pytest.mark.parametrize(
    ("make", "in_shape"),
    [
        (lambda: nn.Conv2d(2, 3, pad="same"), (4, 5, 2)),
        (lambda: nn.Conv2d(2, (2, 4), pad=((2, 0), (1, 3))), (3, 4, 3)),
        (lambda: nn.Conv2d(3, (4, 3), bias=False), (4, 3, 1)),
        (lambda: nn.ConvTranspose2d(2, 3, pad=1), (3, 4, 2)),
        (lambda: nn.ConvTranspose2d(1, (3, 2), pad=((1, 0), (0, 1))), (3, 2, 2)),
        (lambda: nn.UpsampleConv2d(2, 3), (3, 2, 2)),
    ],
)
def test_gradients_by_waves_are_those_of_the_outputs_by_waves(make, in_shape, monkeypatch):
    taken, correlate = [], fourier.correlate
    monkeypatch.setattr(fourier, "pays", lambda size, windows, *_: windows.stride == (1, 1))
    monkeypatch.setattr(fourier, "correlate", lambda *arrays: taken.append(1) or correlate(*arrays))
    report = check_layer(make(), in_shape)
    assert report, str(report)
    assert taken, "the waves were not asked"


@pytest.mark.skipif(not loops.FAST, reason="numba is not here, or MINIGAN_FAST=0")
@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pad"),
    [
        ((7, 5), 3, 1, 1),
        ((7, 5), 4, 2, 1),
        ((6, 6), 2, 3, 0),
        ((5, 4), (3, 2), (1, 2), ((2, 0), (0, 1))),
        ((2, 2), 5, 1, 4),
    ],
)
def test_windows_added_up_by_a_loop_give_the_bits_of_numpy(size, kernel, stride, pad, cores, monkeypatch):
    windows = place_windows(size, whole_sizes("", "kernel", kernel), stride, padding("", pad))
    columns = im2col.im2col(RNG.standard_normal((5, *size, 3), np.float32), windows)
    by_loop, by_numpy = np.full((2, 5, *size, 3), np.nan, np.float32)
    monkeypatch.setattr(threads, "CORES", cores)
    monkeypatch.setattr(loops, "SHARE_FROM", 1)
    im2col.col2im(columns, by_loop, windows)
    monkeypatch.setattr(loops, "FAST", False)
    im2col.col2im(columns, by_numpy, windows)
    np.testing.assert_array_equal(by_loop, by_numpy)
    assert loops.loop_of(im2col.add_windows).signatures  # it was compiled, and used


@pytest.mark.parametrize("way", [im2col, turned, fourier], ids=lambda way: way.__name__)
def test_tiling_over_the_batch_changes_no_result(way, monkeypatch):
    monkeypatch.setattr(fourier, "pays", lambda size, windows, *_: way is fourier and windows.stride == (1, 1))
    ways = []

    def run():
        found = []
        for make in (
            lambda: nn.Conv2d(1 if way is turned else 3, 3, pad=1),
            lambda: nn.ConvTranspose2d(3, 4, stride=2, pad=1),
            lambda: nn.UpsampleConv2d(3, 3),
        ):
            net = lone(make(), (6, 5, 2))
            x = np.random.default_rng(0).standard_normal((7, 6, 5, 2))
            y, cache = net.forward(x, train=True)
            found += [y, net.backward(np.cos(y), cache), net.grads.copy()]
        ways.append(planned(nn.Conv2d(1 if way is turned else 3, 3, pad=1), (6, 5, 2), 7))
        return found

    whole = run()
    for module in (im2col, fourier):
        monkeypatch.setattr(module, "TILE_BYTES", 1)  # one image at a time
    for a, b in zip(whole, run(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
    assert ways == [(way, 1), (way, 7)]


# Upsampling and a convolution in one ---------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    scale=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    bias=st.booleans(),
)
def test_upsampling_merged_with_a_convolution_gives_what_the_two_layers_give(size, kernel, scale, channels, bias):
    (C, K), rng = channels, np.random.default_rng(0)
    merged = lone(nn.UpsampleConv2d(K, kernel, scale=scale, bias=bias, init_b=init.torch_linear), (*size, C))
    two = [nn.Upsample2d(scale), nn.Conv2d(K, kernel, pad="same", bias=bias)]
    apart = nn.Sequential(two, (*size, C), rng=rng, dtype=np.float64)
    apart.params[...] = merged.params
    x, dy = rng.standard_normal((2, *size, C)), rng.standard_normal((2, *apart.out_shape))
    found = []
    for net in (merged, apart):
        y, cache = net.forward(x, train=True)
        found.append((y, net.backward(dy, cache), net.grads))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_upsampling_merged_with_a_convolution_takes_half_of_its_multiplications(monkeypatch):
    count, plain = [], backend.matmul

    def counted(a, b, out=None):
        count.append(a.size * b.shape[-1])
        return plain(a, b, out)

    monkeypatch.setattr(backend, "matmul", counted)
    taken = []
    for layers in ([nn.UpsampleConv2d(32, 3)], [nn.Upsample2d(2), nn.Conv2d(32, 3, pad="same")]):
        net = nn.Sequential(layers, (16, 16, 32), rng=np.random.default_rng(0))
        y, cache = net.forward(np.ones((8, 16, 16, 32), np.float32), train=True)
        net.backward(y, cache)
        taken.append(sum(count))
        count.clear()
    assert taken[0] < 0.52 * taken[1]


@pytest.mark.parametrize(
    ("make", "in_shape", "way"),
    [
        (lambda: nn.Conv2d(16, 5, stride=2, pad=2), (16, 16, 16), im2col),
        (lambda: nn.ConvTranspose2d(8, 5, pad=2), (16, 16, 16), im2col),
        (lambda: nn.Conv2d(8, 5, pad=2), (16, 16, 16), turned),
        (lambda: nn.Conv2d(64, 5, pad=2), (7, 7, 64), fourier),
        (lambda: nn.ConvTranspose2d(64, 5, pad=2), (7, 7, 64), fourier),
    ],
)
def test_the_columns_or_waves_of_a_large_batch_never_take_more_than_64_mb(make, in_shape, way):
    """Whole, they would be 102 to 205 MB here; what is allocated beyond x and y is a tile or two."""
    N = 2000 if way is fourier else 1000
    assert planned(make(), in_shape, N)[0] is way
    net = nn.Sequential([make()], in_shape, rng=np.random.default_rng(0))
    x = np.zeros((N, *in_shape), np.float32)
    tracemalloc.start()
    y, cache = net.forward(x, train=True)
    forward = tracemalloc.get_traced_memory()[1] - y.nbytes
    tracemalloc.reset_peak()
    held = tracemalloc.get_traced_memory()[0]
    dx = net.backward(y, cache)
    backward = tracemalloc.get_traced_memory()[1] - held - dx.nbytes
    tracemalloc.stop()
    assert max(forward, backward) < 64e6


@pytest.mark.parametrize(
    ("make", "in_shape", "match"),
    [
        (lambda: nn.Conv2d(4, 5), (3, 4, 1), r"layer 0 \(Conv2d.* kernel of 5×5 does not fit .* 3×4, .*at most 3×4"),
        (lambda: nn.Conv2d(4, 5, pad=((1, 0), 0)), (3, 9, 1), "3×9, 4×9 with its padding"),
        (lambda: nn.Conv2d(4, 3), (784,), r"takes images \(H, W, C\), got .* 1 axes; put Reshape\(height"),
        (lambda: nn.Conv2d(4, 3), (28, 20), r"put Reshape\(28, 20, 1\) before it"),
        (
            lambda: nn.ConvTranspose2d(4, 2, pad=1),
            (1, 1, 3),
            r"stamps fill 2×2, and pad=1 cuts off 2×2.*pad less than 2",
        ),
        (lambda: nn.ConvTranspose2d(4, (2, 3), pad=(1, 0)), (1, 2, 3), r"cuts off 2×4 or more of it; leave at least"),
        (lambda: nn.ConvTranspose2d(4, (3, 2), pad=(0, 1)), (2, 1, 3), r"cuts off 4×2 or more of it; leave at least"),
        (lambda: nn.ConvTranspose2d(4, 3), (7,), "ConvTranspose2d takes images"),
        (lambda: nn.MaxPool2d(3), (2, 2, 1), "kernel of 3×3 does not fit an image of 2×2"),
        (lambda: nn.Upsample2d(2), (5,), "Upsample2d takes images"),
        (lambda: nn.UpsampleConv2d(2, 3), (5,), "UpsampleConv2d takes images"),
        (lambda: nn.Maxout(5), (12,), "12 features cannot be shared out to groups of 5; 10 can"),
    ],
)
def test_a_layer_that_does_not_fit_its_image_says_so_at_construction_with_what_would(make, in_shape, match):
    with pytest.raises(ShapeError, match=match):
        lone(make(), in_shape)


def test_convolutions_tell_their_initialisers_the_fans():
    seen = []

    def spy(rng, shape, *, fan_in, fan_out):
        seen.append((shape, fan_in, fan_out))
        return np.zeros(shape)

    lone(nn.Conv2d(5, (2, 3), init_W=spy, init_b=spy), (4, 4, 7))
    lone(nn.ConvTranspose2d(5, (2, 3), init_W=spy, init_b=spy), (4, 4, 7))
    lone(nn.UpsampleConv2d(5, (2, 3), init_W=spy, init_b=spy), (4, 4, 7))
    shapes = (2, 3, 7, 5), (2, 3, 5, 7), (2, 3, 7, 5)
    assert seen == [(shape, 42, 30) for W in shapes for shape in (W, (5,))]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: nn.Conv2d(0, 3), "Conv2d needs a whole number of output channels, at least 1, got 0"),
        (lambda: nn.ConvTranspose2d(2.0, 3), "output channels, at least 1, got 2.0"),
        (lambda: nn.Conv2d(4, 0), "Conv2d needs a kernel of whole numbers, at least 1"),
        (lambda: nn.Conv2d(4, (3, 3, 3)), r"one or \(h, w\), got \(3, 3, 3\)"),
        (lambda: nn.Conv2d(4, 3, stride=0), "needs a stride"),
        (lambda: nn.Conv2d(4, 3, pad=-1), "pad of whole numbers that are not negative"),
        (lambda: nn.Conv2d(4, 3, pad="valid"), "or 'same', got 'valid'"),
        (lambda: nn.ConvTranspose2d(4, 3, pad=(1, 2, 3)), "got \\(1, 2, 3\\)"),
        (lambda: nn.MaxPool2d(2, pad=2), "a pad smaller than its kernel, got pad 2 and kernel 2"),
        (lambda: nn.MaxPool2d(2.5), "MaxPool2d needs a kernel"),
        (lambda: nn.MaxPool2d(2, stride=0), "MaxPool2d needs a stride"),
        (lambda: nn.Upsample2d(0), "Upsample2d needs a scale"),
        (lambda: nn.UpsampleConv2d(4, 3, scale=(2, 0)), "UpsampleConv2d needs a scale"),
        (lambda: nn.UpsampleConv2d(0, 3), "UpsampleConv2d needs a whole number of output channels"),
        (lambda: nn.Maxout(0), "whole number of pieces, at least 1, got 0"),
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
        (init.glorot_normal, -0.4, 0.4, math.sqrt(2 / 500)),
        (init.torch_linear, -0.1, 0.1, 0.1 / math.sqrt(3)),
    ],
)
def test_initialiser_has_its_range_and_spread(initialiser, low, high, std):
    W = initialiser(np.random.default_rng(0), (100, 400), fan_in=100, fan_out=400)
    assert W.min() >= low
    assert W.max() <= high
    assert abs(W.std() - std) <= 0.02 * std


def test_batchnorm_tells_its_initialiser_that_a_unit_has_one_input():
    seen = []
    lone(nn.BatchNorm(init_gamma=lambda rng, shape, **fans: seen.append((shape, fans)) or np.ones(shape)), (2, 3, 4))
    assert seen == [((4,), {"fan_in": 1, "fan_out": 4})]


def test_dense_tells_its_initialisers_the_fan_in_of_its_weights():
    seen = {}

    def spy(rng, shape, *, fan_in, fan_out):
        seen[shape] = fan_in, fan_out
        return np.zeros(shape)

    lone(nn.Dense(7, init_W=spy, init_b=spy), (3,))
    assert seen == {(3, 7): (3, 7), (7,): (3, 7)}


def steps(net, x, count):
    """What training does to buffers: a pass and its update, `count` times."""
    for _ in range(count):
        net.update_buffers(net.forward(x, train=True)[1])


@pytest.mark.parametrize(("layer", "in_shape"), [(nn.Dense(6), (4,)), (nn.Conv2d(5, (2, 3)), (4, 5, 3))])
def test_spectral_norm_brings_the_largest_singular_value_to_1(layer, in_shape):
    net = lone(nn.SpectralNorm(layer), in_shape)
    x = RNG.standard_normal((3, *in_shape))
    W = net.layers[0].W
    net.params *= 7
    steps(net, x, 300)
    largest = np.linalg.svd(W.reshape(-1, W.shape[-1]), compute_uv=False)[0]
    plain = lone(layer, in_shape)
    plain.params[...] = net.params
    plain.layers[0].W /= largest
    np.testing.assert_allclose(net(x), plain(x), rtol=1e-10)


def test_spectral_norm_makes_one_power_iteration_a_step_and_none_at_inference():
    net = lone(nn.SpectralNorm(nn.Dense(3)), (4,))
    layer, x = net.layers[0], RNG.standard_normal((2, 4))
    W, u = layer.W.copy(), layer.u.copy()
    np.testing.assert_allclose(np.linalg.norm(u), 1)
    net(x)
    net.forward(x, train=True)
    np.testing.assert_array_equal(layer.u, u)
    steps(net, x, 1)
    v = naive.dense(u[None], W.T, None)[0]
    v /= math.sqrt(sum(a * a for a in v))
    next_u = naive.dense(v[None], W, None)[0]
    np.testing.assert_allclose(layer.u, next_u / math.sqrt(sum(a * a for a in next_u)), rtol=1e-13)


def test_spectral_norm_follows_from_the_length_of_W_in_neither_direction():
    net = lone(nn.SpectralNorm(nn.Dense(3)), (4,))
    x, dy = RNG.standard_normal((2, 4)), RNG.standard_normal((2, 3))
    y, cache = net.forward(x, train=True)
    net.backward(dy, cache)
    layer = net.layers[0]
    assert abs((layer.grads["W"] * layer.W).sum()) < 1e-13  # a longer W is no better or worse
    layer.W[...] *= 50
    np.testing.assert_allclose(net(x), y, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_spectral_norm_of_weights_of_zero_gives_zeros_and_learns_its_way_out(dtype):
    rng = np.random.default_rng(5)
    net = nn.Sequential([nn.SpectralNorm(nn.Dense(3, init_W=init.zeros))], (4,), rng=rng, dtype=dtype)
    optimizer, x = Adam(net, lr=1e-2), rng.standard_normal((2, 4)).astype(dtype)
    u = net.layers[0].u.copy()
    steps(net, x, 2)
    assert not net(x).any()
    np.testing.assert_array_equal(net.layers[0].u, u)  # W u says of no direction that it is a better one
    for _ in range(100):
        y, cache = net.forward(x, train=True)
        net.backward(y - dtype(1), cache)
        assert np.isfinite(net.grads).all()
        net.update_buffers(cache)
        optimizer.step()
    np.testing.assert_allclose(np.linalg.norm(net.layers[0].u), 1, rtol=1e-5)
    assert abs(net(x) - 1).max() < 0.5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("inner", "in_shape"), [(nn.Dense, (4,)), (lambda K: nn.Conv2d(K, 3), (4, 5, 2))])
def test_an_average_of_spectral_norms_divides_by_the_norm_that_its_u_points_at(inner, in_shape, dtype, tmp_path):
    nets = [
        nn.Sequential([nn.SpectralNorm(inner(3))], in_shape, rng=np.random.default_rng(seed), dtype=dtype)
        for seed in (0, 1, 2)
    ]
    averaged, other, loaded = nets
    other.buffers[...] = -averaged.buffers[[1, 2, 0]]
    average(averaged, other, 0.5, steps=1000)
    layer = averaged.layers[0]
    assert np.linalg.norm(layer.u) < 0.95  # two unit vectors that do not point the same way
    W, u = layer.W.reshape(-1, 3), layer.u / np.linalg.norm(layer.u)
    plain = nn.Sequential([inner(3)], in_shape, rng=np.random.default_rng(0), dtype=dtype)
    plain.params[...] = averaged.params
    plain.layers[0].W /= np.linalg.norm(W @ u)
    x = RNG.standard_normal((2, *in_shape)).astype(dtype)
    np.testing.assert_allclose(averaged(x), plain(x), rtol=1e-5, atol=1e-6)
    store.save(averaged, tmp_path / "average.safetensors")
    store.load(loaded, tmp_path / "average.safetensors")
    np.testing.assert_array_equal(loaded(x), averaged(x))
    averaged.buffers *= 5  # whatever the length
    np.testing.assert_allclose(averaged(x), plain(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_spectral_norm_whose_u_is_the_average_of_opposite_vectors_gives_numbers_and_finds_its_way_back(dtype):
    rng = np.random.default_rng(0)
    net = nn.Sequential([nn.SpectralNorm(nn.Dense(3))], (4,), rng=rng, dtype=dtype)
    net.buffers[...] = 0
    x, W = rng.standard_normal((2, 4)).astype(dtype), net.layers[0].W
    np.testing.assert_allclose(net(x), x @ W / np.linalg.norm(W @ np.full(3, 3**-0.5)), rtol=1e-5)
    steps(net, x, 200)
    np.testing.assert_allclose(net(x), x @ W / np.linalg.svd(W, compute_uv=False)[0], rtol=1e-4)


def test_spectral_norm_of_a_layer_without_weights_to_divide_is_refused():
    with pytest.raises(ArgumentError, match=r"SpectralNorm needs a Dense or a Conv2d, .* got BatchNorm"):
        nn.SpectralNorm(nn.BatchNorm())


def test_pairs_of_pairs_are_taken_for_a_pad_and_for_nothing_else():
    assert padding("L", [[1, 0], (2, 0)]) == ((1, 0), (2, 0))
    assert whole_sizes("L", "kernel", [3, 5]) == (3, 5)
    for refused in (
        lambda: whole_sizes("L", "kernel", ((3, 3), (3, 3))),
        lambda: padding("L", (((1, 0), 0), (1, 0))),
    ):
        with pytest.raises(ArgumentError, match=r"L needs a (kernel|pad) of whole numbers"):
            refused()
