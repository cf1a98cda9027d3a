"""The gradient of a gradient, against differences of the gradient; and what a layer must say to have one."""

import numpy as np
import pytest
from cases import ALL, IDS

from minigan.errors import ArgumentError, DTypeError, SecondOrderError, ShapeError, StaleCacheError
from minigan.gradcheck.numeric import gradient
from minigan.gradcheck.trial import SameDraws
from minigan.nn import (
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    Maxout,
    MaxPool2d,
    Reshape,
    Sequential,
    Sigmoid,
    SpectralNorm,
    Tanh,
    Upsample2d,
    UpsampleConv2d,
)
from minigan.nn.second import second_order, signals, unread_pass
from minigan.optim import SGD

each_mode = pytest.mark.parametrize("train", [True, False], ids=["train", "inference"])
leaky = LeakyReLU(slope=0.2)

#: {name: (make the layers, in_shape)}, of layers to each of which two batches are the same as one.
ALONE = {
    "leaky": (lambda: [Dense(5), leaky, Dense(4), leaky, Dense(1)], (6,)),
    "curved": (lambda: [Dense(5), Tanh(), Dense(4), leaky, Dense(3), Sigmoid(), Dense(1)], (6,)),
    "maxout, drawn": (lambda: [Dense(6), Dropout(drop=0.3), Maxout(2), Dense(4), Tanh(), Dense(1), Sigmoid()], (6,)),
    "convolutions": (
        lambda: [Conv2d(3, 3, stride=2, pad=1), Tanh(), Conv2d(2, 2), leaky, Flatten(), Dense(1)],
        (6, 6, 2),
    ),
    "larger and smaller": (
        lambda: [
            Reshape(2, 2, 2), UpsampleConv2d(1, 3), Tanh(), ConvTranspose2d(1, 2), Upsample2d(2), MaxPool2d(2),
            Flatten(), Dense(1),
        ],
        (8,),
    ),
    "spectral": (lambda: [SpectralNorm(Dense(5)), Tanh(), SpectralNorm(Dense(3)), leaky, SpectralNorm(Dense(1))], (6,)),
}  # fmt: skip
#: And of some that mix a batch.
MIXED = {
    "norms": (lambda: [Dense(5), BatchNorm(), Tanh(), Dense(4), BatchNorm(), leaky, Dense(1)], (6,)),
    "norms of images": (
        lambda: [Conv2d(3, 3), BatchNorm(), Tanh(), Flatten(), Dense(4), Sigmoid(), BatchNorm(), Dense(2)],
        (5, 4, 2),
    ),
}


class Point:
    """A network, an input and a direction u; the number ⟨u, dx⟩, and with `scale` the loss whose dy is scale·dy."""

    def __init__(self, layers, in_shape, *, train, scaled=False):
        rng = np.random.default_rng(5)
        self.net, self.train = Sequential(layers, in_shape, rng=rng, dtype=np.float64), train
        self.x, self.u = rng.standard_normal((2, 4, *in_shape))
        self.dy = rng.standard_normal(self.forward()[0].shape)
        self.scale = rng.standard_normal(4) if scaled else None

    def forward(self):
        return self.net.forward(self.x, train=self.train, rng=SameDraws())

    def number(self):
        y, cache = self.forward()
        number = np.vdot(self.u, signals(self.net, self.dy, cache)[0])
        if self.scale is not None:
            number += self.scale @ (self.dy * y).reshape(4, -1).sum(axis=1)
        return np.array([number])

    def second_order(self, **options):
        """The gradients that it writes, by name."""
        _, cache = self.forward()
        found = signals(self.net, self.dy, cache)
        second_order(self.net, self.u, found, cache, scale=self.scale, **options)
        return {name: grad.copy() for name, grad in self.net.named_grads().items()}

    def assert_second_order(self):
        self.net.grads[...] = 7.0
        found = self.second_order()
        largest = max(abs(grad).max() for grad in found.values())
        for name, array in self.net.named_params().items():
            numeric = gradient(self.number, array)
            np.testing.assert_allclose(found[name], numeric, rtol=1e-6, atol=1e-7 * largest, err_msg=name)
        self.net.grads[...] = 7.0
        for name, grad in self.second_order(accumulate=True).items():
            np.testing.assert_allclose(grad, 7 + found[name], rtol=1e-12, atol=1e-12 * largest, err_msg=name)


@pytest.mark.parametrize("scaled", [False, True], ids=["alone", "with the loss"])
@each_mode
@pytest.mark.parametrize("name", ALONE)
def test_the_gradient_of_the_gradient_is_its_difference(name, train, scaled):
    make, in_shape = ALONE[name]
    Point(make(), in_shape, train=train, scaled=scaled).assert_second_order()


@each_mode
@pytest.mark.parametrize("name", MIXED)
def test_the_gradient_of_the_gradient_of_a_batch_that_is_mixed_is_its_difference(name, train):
    make, in_shape = MIXED[name]
    Point(make(), in_shape, train=train).assert_second_order()


@each_mode
@pytest.mark.parametrize(("name", "make", "in_shape"), ALL, ids=IDS)
def test_every_layer_hands_on_the_second_order_of_those_around_it(name, make, in_shape, train):
    # Below it a layer whose weights hear of its curvature, above it one that bends, and whose bending goes through it.
    layers = [Dense(in_shape[-1]), make(), Tanh(), Dense(1)]
    Point(layers, in_shape, train=train).assert_second_order()


def test_the_signals_are_the_gradients_at_each_layers_output_and_write_nothing():
    make, in_shape = MIXED["norms of images"]
    point = Point(make(), in_shape, train=True)
    y, cache = point.forward()
    point.net.grads[...] = 7.0
    found = signals(point.net, point.dy, cache)
    assert (point.net.grads == 7).all()
    assert [dx.shape for dx in found] == [(4, *shape) for shape in (in_shape, *point.net.out_shapes)]
    assert found[-1] is point.dy
    np.testing.assert_array_equal(found[0], point.net.backward(point.dy, cache))
    assert y.shape == found[-1].shape


@pytest.mark.parametrize(
    "last", [Dense(1), Conv2d(2, 2), SpectralNorm(Dense(1)), Tanh()], ids=lambda layer: repr(layer)[:6]
)
def test_a_pass_that_nobody_reads_leaves_the_cache_of_any_other(last):
    layers = [Conv2d(3, 3), Dropout(drop=0.4), BatchNorm(), last]
    net = Sequential(layers, (5, 4, 2), rng=np.random.default_rng(0), dtype=np.float64)
    x = np.random.default_rng(1).standard_normal((3, 5, 4, 2))
    y, cache = net.forward(x, train=True, rng=SameDraws())
    unread = unread_pass(net, x, rng=SameDraws())
    assert unread[:3] == cache[:3]
    dy = np.random.default_rng(2).standard_normal(y.shape)
    np.testing.assert_array_equal(net.backward(dy, unread), net.backward(dy, cache))


# What a layer must say ------------------------------------------------------------------------------------------------


class Twice(Layer):
    """y = 2x, and no word of how it moves."""

    def forward(self, x, *, train, rng=None):
        return 2 * x, None

    def input_grad(self, dy, cache):
        return 2 * dy


class TwiceMoved(Twice):
    """With a tangent alone."""

    tangent = Twice.input_grad


class TwiceStraight(TwiceMoved):
    straight = True


class Scale(Layer):
    """y = W·x for each feature: linear in both, and its cache is x."""

    bilinear = True

    def params(self, in_shape):
        return {"W": (in_shape, lambda rng, shape, **_: rng.uniform(1, 2, shape))}

    def forward(self, x, *, train, rng=None):
        return self.W * x, x

    def input_grad(self, dy, cache):
        return self.W * dy

    def tangent(self, dx, cache):
        return self.W * dx

    def param_grads(self, dy, cache, grads):
        grads["W"][...] = (dy * cache).sum(axis=0)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Twice(), r"^Twice has no tangent, which .*: write tangent\(self, dx, cache\), .* tangent = input_grad$"),
        (
            TwiceMoved(),
            r"^TwiceMoved has no tangent_grads, which .*: write tangent_grads\(self, dx, dy, cache, grads\), "
            r".* or say straight = True in the class",
        ),
    ],
    ids=["no tangent", "no tangent_grads"],
)
def test_a_layer_without_second_order_is_named_with_what_to_write_before_anything_is_written(layer, said):
    point = Point([Dense(3), Tanh(), layer, Dense(1)], (2,), train=True)
    point.net.grads[...] = 7.0
    with pytest.raises(SecondOrderError, match=said):
        point.second_order()
    assert (point.net.grads == 7).all()
    with pytest.raises(SecondOrderError, match=said):
        layer.tangent_grads(point.u, point.u, None, {}) if isinstance(layer, TwiceMoved) else layer.tangent(
            point.u, None
        )


@pytest.mark.parametrize("scaled", [False, True], ids=["alone", "with the loss"])
@pytest.mark.parametrize("layer", [TwiceStraight, Scale])
def test_a_layer_of_ones_own_that_says_straight_or_bilinear_needs_no_more(layer, scaled):
    Point([Dense(3), Tanh(), layer(), Dense(1)], (2,), train=True, scaled=scaled).assert_second_order()


def test_a_network_without_tangent_names_the_layer():
    net = Sequential([Dense(3), Twice()], (2,), rng=np.random.default_rng(0))
    x = np.ones((4, 2), np.float32)
    with pytest.raises(SecondOrderError, match=r"^Twice has no tangent"):
        net.tangent(x, net.forward(x, train=True)[1])


def test_a_tangent_of_other_shape_or_dtype_and_caches_of_other_passes_are_refused():
    net, other = (Sequential([Dense(3), Tanh()], (2,), rng=np.random.default_rng(0)) for _ in range(2))
    x = np.ones((4, 2), np.float32)
    y, cache = net.forward(x, train=True)
    with pytest.raises(ShapeError, match=r"x has shape \(4, 3\)"):
        net.tangent(np.ones((4, 3), np.float32), cache)
    with pytest.raises(DTypeError, match="x is float64"):
        net.tangent(np.ones((4, 2)), cache)
    without = net.forward(x, train=True, keep=False)[1]
    with pytest.raises(StaleCacheError, match="keep=False"):
        net.tangent(x, without)
    found = signals(net, y, cache)
    net.backward(y, cache)
    SGD(net, lr=0.1).step()
    for use in (
        lambda net, cache: net.tangent(x, cache),
        lambda net, cache: signals(net, y, cache),
        lambda net, cache: second_order(net, x, found, cache),
    ):
        with pytest.raises(StaleCacheError, match="run forward again"):
            use(net, cache)
        with pytest.raises(ArgumentError, match="another network"):
            use(other, cache)
