import re

import numpy as np
import pytest

from minigan.backend import to_device
from minigan.errors import ArgumentError, DeviceError, DTypeError, ShapeError, StaleCacheError
from minigan.nn import BatchNorm, Dense, Dropout, LeakyReLU, ReLU, Reshape, Sequential
from minigan.optim import SGD


def network(**options):
    layers = [Dense(4), BatchNorm(), LeakyReLU(slope=0.2), Dense(2, bias=False)]
    return Sequential(layers, (3,), rng=np.random.default_rng(0), **options)


def images(n=5, dtype=np.float32):
    return np.random.default_rng(1).standard_normal((n, 3)).astype(dtype)


def test_parameters_gradients_and_buffers_are_views_of_flat_vectors():
    net = network()
    assert {k: v.shape for k, v in net.named_params().items()} == {
        "0.Dense.W": (3, 4),
        "0.Dense.b": (4,),
        "1.BatchNorm.gamma": (4,),
        "1.BatchNorm.beta": (4,),
        "3.Dense.W": (4, 2),
    }
    assert list(net.named_buffers()) == ["1.BatchNorm.running_mean", "1.BatchNorm.running_var"]
    net.params[...] = 7
    net.grads[...] = 8
    net.buffers[...] = 9
    assert (net.layers[0].W == 7).all()
    assert (net.layers[1].grads["beta"] == 8).all()
    assert (net.layers[1].running_var == 9).all()
    assert net.params.size == 3 * 4 + 4 + 4 + 4 + 4 * 2


def test_backward_writes_into_the_flat_gradient_in_place():
    net = network()
    flat = net.grads
    y, cache = net.forward(images(), train=True)
    net.backward(np.ones_like(y), cache)
    assert net.grads is flat
    assert np.shares_memory(net.layers[0].grads["W"], flat)
    assert (net.layers[3].grads["W"] != 0).all()


def test_prediction_uses_inference_mode_and_training_differs():
    net, x = network(), images()
    np.testing.assert_array_equal(net(x), net.forward(x, train=False)[0])
    assert not np.allclose(net(x), net.forward(x, train=True)[0])


def test_keep_false_gives_the_same_output_and_cannot_be_backpropagated():
    net, x = network(), images()
    y, cache = net.forward(x, train=True, keep=False)
    np.testing.assert_array_equal(y, net.forward(x, train=True)[0])
    assert cache.layers == []
    with pytest.raises(StaleCacheError, match="keep=False"):
        net.backward(np.ones_like(y), cache)
    with pytest.raises(StaleCacheError, match="holds 0 layers and the network 4"):
        net.update_buffers(cache)


def test_the_version_counts_the_changes_of_the_weights():
    net = network()
    versions = [net.version]
    for change in (SGD(net, lr=0.1).step, lambda: net.load_state(net.state()), lambda: net.to("cpu")):
        change()
        versions.append(net.version)
    assert versions == [0, 1, 2, 3]  # were it to fall again, a stale cache could look fresh


@pytest.mark.parametrize("change", ["step", "load", "to"])
def test_a_cache_is_stale_once_the_weights_have_changed(change):
    net = network()
    y, cache = net.forward(images(), train=True)
    net.backward(np.ones_like(y), cache)  # still fresh
    if change == "step":
        SGD(net, lr=0.1).step()
    elif change == "load":
        net.load_state({k: v.copy() for k, v in net.state().items()})
    else:
        net.to("cpu")
    with pytest.raises(StaleCacheError, match="run forward again"):
        net.backward(np.ones_like(y), cache)


def test_a_cache_of_an_equal_but_other_network_is_refused():
    net, other = network(), network()
    y, cache = other.forward(images(), train=True)
    with pytest.raises(ArgumentError, match="another network"):
        net.backward(np.ones_like(y), cache)


def test_moving_a_network_takes_its_layers_along(monkeypatch):
    net = network()
    monkeypatch.setattr("minigan.backend.to_device", lambda array, device: array.copy())  # as if to another device
    net.to("gpu")
    for layer in (net.layers[0], net.layers[1], net.layers[3]):
        assert all(np.shares_memory(grad, net.grads) for grad in layer.grads.values())
    assert np.shares_memory(net.layers[0].W, net.params)
    assert np.shares_memory(net.layers[1].running_var, net.buffers)


def test_updating_buffers_leaves_caches_fresh():
    net = network()
    y, cache = net.forward(images(), train=True)
    net.update_buffers(cache)
    net.backward(np.ones_like(y), cache)


def test_gradient_of_another_shape_is_refused_rather_than_broadcast():
    net = network()
    _, cache = net.forward(images(), train=True)
    with pytest.raises(ShapeError, match=r"\(5, 1\).*\(5, 2\)"):
        net.backward(np.ones((5, 1), np.float32), cache)
    with pytest.raises(DTypeError, match="dy is float64"):
        net.backward(np.ones((5, 2)), cache)
    with pytest.raises(DTypeError, match="dy is a list"):
        net.backward([[1.0, 2.0]] * 5, cache)


def read_only(grads):
    grads = grads.copy()
    grads.flags.writeable = False
    return grads


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda grads: grads[1:], ShapeError, r"grads has shape \(\d+,\) and the network's gradient there"),
        (lambda grads: grads[:, None], ShapeError, "empty_like or zeros_like"),
        (lambda grads: grads.astype("d"), DTypeError, "grads is float64 and the network computes in float32"),
        (lambda grads: np.stack([grads, grads], axis=1)[:, 0], ArgumentError, "without gaps"),
        (lambda grads: grads.tolist(), DTypeError, "grads is a list"),
        (lambda grads: 3.0, DTypeError, "grads is 3.0, not an array"),
        (read_only, ArgumentError, "grads is read-only"),
    ],
    ids=["short", "another shape", "float64", "strided", "list", "number", "read-only"],
)
@pytest.mark.parametrize("flags", [{}, {"accumulate": True}, {"need_param_grads": False}], ids=str)
def test_gradients_are_not_written_into_a_vector_unlike_the_networks(make, error, match, flags):
    net = network()
    y, cache = net.forward(images(), train=True)
    with pytest.raises(error, match=match):
        net.backward(y, cache, grads=make(net.grads), **flags)
    assert not net.grads.any()


def test_gradients_are_not_written_on_another_device(standin):
    net = network()
    y, cache = net.forward(images(), train=True)
    with pytest.raises(DeviceError, match="grads"):
        net.backward(y, cache, grads=to_device(net.grads, "gpu"))


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda grads: {"W": grads["W"]}, ArgumentError, r"only one of grads and the parameters of Dense\(.*\): b"),
        (lambda grads: {**grads, "c": grads["b"]}, ArgumentError, "c"),
        (lambda grads: {**grads, "W": grads["W"].T}, ShapeError, r"grads\['W'\] has shape"),
        (lambda grads: {**grads, "b": grads["b"].astype("d")}, DTypeError, r"grads\['b'\] is float64"),
        (lambda grads: {**grads, "W": np.asfortranarray(grads["W"])}, ArgumentError, "without gaps"),
        (lambda grads: {**grads, "W": None}, DTypeError, r"grads\['W'\] is None, not an array"),
        (lambda grads: {**grads, "W": read_only(grads["W"])}, ArgumentError, r"grads\['W'\] is read-only"),
        (lambda grads: [grads["W"], grads["b"]], ArgumentError, "dict of arrays by name, got a list"),
        (lambda grads: {1: grads["W"], **grads, "c": grads["b"]}, ArgumentError, "1, c"),
    ],
    ids=["missing", "too many", "another shape", "float64", "columns", "None", "read-only", "list", "no text"],
)
def test_a_layer_does_not_write_its_gradients_into_arrays_unlike_its_own(make, error, match):
    net = network()
    layer, x = net.layers[0], images()
    y, cache = layer.forward(x, train=True)
    with pytest.raises(error, match=match):
        layer.backward(y, cache, grads=make(layer.grads))
    assert not net.grads.any()


def test_a_layer_without_parameters_takes_no_arrays_for_their_gradients():
    x = images()
    assert ReLU().backward(x, ReLU().forward(x, train=True)[1], grads={}) is not None
    with pytest.raises(ArgumentError, match="W"):
        ReLU().backward(x, x, grads={"W": x})


def test_gradients_of_two_halves_in_vectors_of_their_own_add_up_to_that_of_the_whole():
    """What shards of a batch do, and what makes a network's own gradient the sum of parts that were kept apart."""
    net = Sequential([Dense(4), LeakyReLU(slope=0.2), Dense(2)], (3,), rng=np.random.default_rng(0), dtype=np.float64)
    x = np.random.default_rng(1).standard_normal((6, 3))
    y, cache = net.forward(x, train=True)
    net.backward(y, cache)
    parts = np.zeros((2, net.grads.size))
    for part, half in zip(parts, (x[:2], x[2:]), strict=True):
        y, cache = net.forward(half, train=True)
        net.backward(y, cache, grads=part, need_input_grad=False)
    np.testing.assert_allclose(parts.sum(axis=0), net.grads, rtol=1e-12)
    np.testing.assert_array_equal(net.named_grads(parts[1])["2.Dense.b"], y.sum(axis=0))


def test_without_wanted_input_gradient_the_layers_below_the_first_parameters_are_not_asked():
    class Untouchable(Reshape):
        def input_grad(self, dy, cache):
            raise AssertionError("nobody reads this gradient")

    net = Sequential([Untouchable(4), Dense(2)], (2, 2), rng=np.random.default_rng(0))
    y, cache = net.forward(np.ones((3, 2, 2), np.float32), train=True)
    assert net.backward(np.ones_like(y), cache, need_input_grad=False) is None
    assert net.backward(np.ones_like(y), cache, need_input_grad=False, need_param_grads=False) is None


def test_shapes_that_do_not_fit_name_the_layer_its_index_and_both_shapes():
    with pytest.raises(
        ShapeError, match=r"layer 2 \(Reshape\(shape=\(2, 2\)\)\) does not fit its input \(5,\).*5 values"
    ):
        Sequential([Dense(4), Dense(5), Reshape(2, 2)], (3,), rng=np.random.default_rng(0))


def test_the_output_has_the_shape_that_was_foretold():
    net = Sequential([Dense(4), Reshape(2, 2), Dense(3)], (3,), rng=np.random.default_rng(0))
    assert net.out_shapes == [(4,), (2, 2), (2, 3)]
    assert net(np.ones((5, 3), np.float32)).shape == (5, *net.out_shape)


def test_a_prediction_keeps_nothing(monkeypatch):
    kept, genuine = [], Sequential.forward

    def forward(self, x, **options):
        y, cache = genuine(self, x, **options)
        kept.append(len(cache.layers))
        return y, cache

    monkeypatch.setattr(Sequential, "forward", forward)
    network()(images())
    assert kept == [0]


@pytest.mark.parametrize(
    ("layers", "in_shape", "match"),
    [
        ([], (3,), "at least one layer"),
        ([Dense(1)], (), "positive sizes"),
        ([Dense(1)], (0,), "positive sizes"),
        ([Dense(1)], (3, -1), "positive sizes"),
        ([Dense(1)], 784, r"such as \(784,\)"),
    ],
)
def test_impossible_networks_are_refused(layers, in_shape, match):
    with pytest.raises(ArgumentError, match=match):
        Sequential(layers, in_shape, rng=np.random.default_rng(0))


def test_a_layer_with_parameters_cannot_be_used_twice():
    dense, rng = Dense(3), np.random.default_rng(0)
    with pytest.raises(ArgumentError, match="place in a network already"):
        Sequential([dense, dense], (3,), rng=rng)
    Sequential([dense], (3,), rng=rng)
    with pytest.raises(ArgumentError, match="place in a network already"):
        Sequential([dense], (3,), rng=rng)
    relu = ReLU()
    Sequential([relu, relu], (3,), rng=rng)  # nothing to share: fine


def test_input_of_the_wrong_shape_or_dtype_is_refused_with_the_remedy():
    net = network()
    with pytest.raises(ShapeError, match=r"\(5, 4\).*\(N, \*\(3,\)\)"):
        net.forward(np.zeros((5, 4), np.float32), train=True)
    with pytest.raises(ShapeError, match="at least 1"):
        net.forward(np.zeros((0, 3), np.float32), train=True)
    with pytest.raises(DTypeError, match="x is uint8 and the network computes in float32"):
        net.forward(np.zeros((5, 3), np.uint8), train=True)
    with pytest.raises(DTypeError, match="float64"):
        net.forward(np.zeros((5, 3)), train=True)
    with pytest.raises(DTypeError, match="x is a list, not an array"):
        net.forward([[1.0, 2.0, 3.0]], train=True)
    with pytest.raises(DTypeError, match="must be a NumPy Generator"):
        Sequential([Dense(1)], (3,), rng=0)
    with pytest.raises(DTypeError, match="float32 or float64"):
        network(dtype=np.float16)


def test_loading_is_all_or_nothing():
    net = network()
    good = {k: v + 1 for k, v in net.state().items()}
    before = net.params.copy()
    bad = [
        ({k: v for k, v in good.items() if k != "3.Dense.W"}, ArgumentError, "3.Dense.W"),
        ({**good, "9.Dense.W": np.zeros(1)}, ArgumentError, "9.Dense.W"),
        ({**good, "3.Dense.W": np.zeros((2, 4), np.float32)}, ShapeError, r"3.Dense.W has shape \(4, 2\)"),
        ({**good, "3.Dense.W": good["3.Dense.W"].astype(np.float64)}, DTypeError, "3.Dense.W is float32"),
    ]
    for state, error, match in bad:
        with pytest.raises(error, match=match):
            net.load_state(state)
        np.testing.assert_array_equal(net.params, before)
    net.load_state(good)
    np.testing.assert_array_equal(net.params, before + 1)


def test_same_seed_same_weights_and_float64_starts_alike():
    np.testing.assert_array_equal(network().params, network().params)
    np.testing.assert_array_equal(network().params, network(dtype=np.float64).params.astype(np.float32))


def test_summary_shows_every_layer_its_output_and_the_total():
    text = network().summary()
    assert "LeakyReLU(slope=0.2)" in text
    assert "(2,)" in text
    assert text.splitlines()[-1].split() == ["total", "32"]


def test_dropout_layers_share_one_stream_but_not_their_masks():
    from minigan.backend import RandomStream

    net = Sequential([Dropout(drop=0.5), Dropout(drop=0.5)], (400,), rng=np.random.default_rng(0))
    y, cache = net.forward(np.ones((1, 400), np.float32), train=True, rng=RandomStream(0, "dropout"))
    first, second = cache.layers
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(y, first * second)


@pytest.mark.parametrize(("given", "such"), [(3, "(3,)"), (784.0, "(784,)"), ("784x", "(784,)")])
def test_a_shape_that_is_no_tuple_is_told_as_the_tuple_that_it_should_be(given, such):
    with pytest.raises(ArgumentError, match=re.escape(f"such as {such}, got {given!r}")):
        Sequential([Dense(2)], given, rng=np.random.default_rng(0))
