"""A trial of a network at a point: its draws, its passes, its copies, and whether layers still hold what is theirs."""

import threading

import numpy as np
import pytest

from minigan import nn
from minigan.backend import RandomStream
from minigan.gradcheck.trial import Results, SameDraws, Trial, rebound, result, shares, unbound, unlike
from minigan.nn.init import ones, zeros


class Scaled(nn.Layer):
    """y = w·x + b in training and 0 at inference, with a buffer b and noise where it is asked for."""

    noisy = False

    def params(self, in_shape):
        return {"w": (in_shape, ones)}

    def buffers(self, in_shape):
        return {"b": (in_shape, zeros)}

    def forward(self, x, *, train, rng=None):
        noise = rng.normal(x.shape, x.dtype) if self.noisy else 0
        return (self.w * x + self.b + noise if train else 0 * x), x

    def input_grad(self, dy, cache):
        return dy * self.w

    def param_grads(self, dy, cache, grads):
        grads["w"][...] = (dy * cache).sum(axis=0)


X = np.array([[1.0, 2.0], [3.0, -4.0], [0.5, 0.25]])


def trial(*layers, train=True, dtype=np.float64, **options):
    net = nn.Sequential(layers or (Scaled(),), (2,), rng=np.random.default_rng(0), dtype=dtype)
    return Trial(net, X.astype(dtype), train=train, **options)


# Draws ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", ["normal", "uniform"])
def test_draws_are_the_same_in_each_dtype_and_others_for_another_seed(draw):
    single = getattr(SameDraws(3), draw)((4, 5))
    double = getattr(SameDraws(3), draw)((4, 5), np.float64)
    assert single.dtype == np.float32
    assert double.dtype == np.float64
    assert np.array_equal(single, double.astype(np.float32))
    assert not np.array_equal(single, getattr(SameDraws(4), draw)((4, 5)))
    assert np.array_equal(single, getattr(RandomStream(3, "dropout"), draw)((4, 5)))


def test_a_generator_is_made_when_something_is_drawn_and_nothing_else_is_there():
    draws = SameDraws(3)
    assert "host" not in vars(draws)
    first = draws.normal((2,))
    assert "host" in vars(draws)
    assert not np.array_equal(first, draws.normal((2,)))  # the generator goes on
    for there in (draws, SameDraws(3)):
        with pytest.raises(AttributeError, match=r"^ghost$"):
            there.ghost  # noqa: B018


# Passes --------------------------------------------------------------------------------------------------------------


def test_the_results_of_two_passes_are_named():
    y, dx, dw = np.array(1.0), np.array(2.0), np.array(3.0)
    assert Results(y, dx, {"w": dw}).gradients == {"x": dx, "w": dw}
    assert Results(y, None, {"w": dw}).gradients == {"w": dw}
    assert result(None) is None
    assert result(X) is not X
    assert np.array_equal(result(X), X)


def test_a_trial_has_an_upstream_of_its_seed():
    assert trial().seed == 0
    assert trial().dy.shape == X.shape
    assert np.array_equal(trial().dy, trial(seed=0).dy)
    assert not np.array_equal(trial().dy, trial(seed=1).dy)
    assert not np.array_equal(trial().dy, trial().normal(X.shape, 2))
    assert abs(trial().normal((1000,), 2).mean()) < 0.1
    assert abs(trial().normal((1000,), 2).std() - 1) < 0.1
    assert trial(dtype=np.float32).normal((3,), 0).dtype == np.float32


def test_a_pass_goes_by_what_it_is_given_or_by_the_trials_own():
    for train in (True, False):
        one = trial(train=train)
        assert np.array_equal(one.forward()[0], X if train else 0 * X)
        assert np.array_equal(one.forward(2 * X)[0], 2 * X if train else 0 * X)
        assert np.array_equal(one.forward(train=True)[0], X)
        assert np.array_equal(one.forward(train=False)[0], 0 * X)
    cache = one.forward(train=True)[1]
    assert np.array_equal(one.backward(cache), one.dy)
    assert np.array_equal(one.backward(cache, 3 * X), 3 * X)
    one.net.grads[...] = 7
    assert one.backward(cache, need_input_grad=False, need_param_grads=False) is None
    assert (one.net.grads == 7).all()


def test_draws_are_those_of_a_number_and_1_unless_it_is_given():
    layer = Scaled()
    layer.noisy = True
    one = trial(layer)
    assert np.array_equal(one.forward()[0], one.forward()[0])
    assert np.array_equal(one.forward()[0], one.forward(draws=1)[0])
    assert not np.array_equal(one.forward()[0], one.forward(draws=2)[0])


def test_both_passes_give_copies():
    one = trial()
    found = one.both()
    assert np.array_equal(found.y, X)
    assert np.array_equal(found.dx, one.dy)
    assert np.array_equal(found.grads["w"], (one.dy * X).sum(axis=0))
    other = one.both(2 * X, X)
    assert np.array_equal(other.y, 2 * X)
    assert np.array_equal(other.dx, X)
    assert np.array_equal(other.grads["w"], (2 * X * X).sum(axis=0))
    assert np.array_equal(found.grads["w"], (one.dy * X).sum(axis=0))
    same_memory = trial(type("Same", (Scaled,), {"input_grad": lambda self, dy, cache: dy})())
    assert same_memory.both().dx is not same_memory.dy


def test_names_are_short_where_there_is_one_layer():
    assert list(trial().grads()) == ["w"]
    assert list(trial(Scaled(), Scaled()).grads()) == ["0.Scaled.w", "1.Scaled.w"]
    assert trial(nn.Tanh()).grads() == {}


def test_a_trial_is_across_the_batch_if_one_of_its_layers_is():
    meant = type("Meant", (Scaled,), {"across_batch": True})
    assert not trial(Scaled(), Scaled()).across_batch
    assert trial(Scaled(), meant()).across_batch


# Copies --------------------------------------------------------------------------------------------------------------


def test_a_trial_in_another_dtype_has_the_same_numbers_and_a_network_of_its_own():
    one = trial(seed=5)
    one.net.params[...], one.net.buffers[...] = (3, 4), (5, 6)
    for dtype in (np.float32, np.float64):
        other = one.like(dtype)
        assert other.net.dtype == other.x.dtype == other.dy.dtype == other.net.params.dtype == dtype
        assert np.array_equal(other.net.params, [3, 4])
        assert np.array_equal(other.net.buffers, [5, 6])
        assert np.array_equal(other.x, X.astype(dtype))
        assert np.array_equal(other.dy, one.dy.astype(dtype))
        assert (other.train, other.seed, other.device) == (True, 5, "cpu")
        assert type(other.net.layers[0]) is Scaled
        assert other.net.layers[0] is not one.net.layers[0]
        other.net.params[...] = other.x[...] = 9
        assert one.net.params.tolist() == [3, 4]
        assert np.array_equal(one.x, X)


def test_a_trial_may_have_other_layers_that_take_its_numbers():
    one, new = trial(), Scaled()
    one.net.params[...] = 3
    new.mark = "new"
    other = one.like(np.float64, layers=[new])
    assert other.net.layers[0].mark == "new"
    assert other.net.params.tolist() == [3, 3]


def test_a_copy_of_a_layer_belongs_to_no_network_and_shares_nothing_that_can_be_copied():
    layer = trial().net.layers[0]
    layer.kept = [np.zeros(2)]
    copied = unbound(layer)
    assert copied.grads == {}
    assert layer.grads
    assert copied.kept[0] is not layer.kept[0]
    layer.lock = threading.Lock()  # which no copy can be made of
    copied = unbound(layer)
    assert copied is not layer
    assert copied.lock is layer.lock
    assert copied.grads == {}
    assert layer.grads


# What is compared and what is shared ---------------------------------------------------------------------------------


def test_arrays_that_are_not_as_expected_are_named():
    expected = {"a": np.array([1000.0, 0.0]), "b": np.array([1.0, np.nan]), "c": np.array([2.0])}
    assert unlike(expected, expected) == unlike(expected, expected, exactly=True) == ""
    rounded = {**expected, "a": np.array([1000.0, 0.9e-6])}
    assert unlike(rounded, expected) == unlike(rounded, expected, exactly=False) == ""
    assert unlike(rounded, expected, exactly=True) == "a"
    off = {"a": np.array([1000.0, 1.1e-6]), "b": np.array([1.0, 2.0]), "c": np.array([2.0])}
    assert unlike(off, expected) == unlike(off, expected, exactly=True) == "a, b"
    assert unlike({"c": None}, expected) == unlike({"c": np.array([[2.0]])}, expected) == "c"
    assert unlike({}, expected) == ""


def test_an_array_is_a_view_if_it_has_its_shape_and_memory():
    array = np.zeros((2, 3))
    assert shares(array, array)
    assert shares(array[:], array)
    assert shares(array.ravel()[:3], array[0])
    assert not shares(array.ravel(), array)
    assert not shares(array.copy(), array)
    assert not shares(array[0], array[1])
    for other in (None, [0.0], array.tolist(), 0.0):
        assert not shares(other, array)


OWN = (
    "self.{0} = … puts another array in the place of the network's, which keeps its old values, and is what is saved "
    "and averaged: write self.{0}[...] = …, in update_buffers if it is a statistic"
)
ENTRY = 'grads["{0}"] = … replaces the entry, and the network\'s gradient is never written: write grads["{0}"][...] = …'


def test_a_layer_that_holds_another_array_than_the_networks_is_told():
    for layers in ((Scaled(),), (nn.Tanh(), Scaled()), (Scaled(), nn.Dense(2))):
        one = trial(*layers)
        assert rebound(one) == []
        (layer,) = [layer for layer in layers if isinstance(layer, Scaled)]
        view = layer.w
        layer.w = layer.w.copy()
        assert rebound(one) == [OWN.format("w")]
        layer.w = view
        layer.b = layer.b + 1
        assert rebound(one) == [OWN.format("b")]
        layer.b = layer.w
        assert rebound(one) == [OWN.format("b")]
        layer.grads["w"] = layer.grads["w"].copy()
        assert sorted(rebound(one)) == sorted([OWN.format("b"), ENTRY.format("w")])
        del layer.grads["w"]
        assert ENTRY.format("w") in rebound(one)
        one.device = "gpu"
        assert rebound(one) == []  # there, no one can tell
