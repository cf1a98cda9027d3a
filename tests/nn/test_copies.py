"""Copies of networks and of what holds them, in each of Python's ways: whole ones, which learn by themselves."""

import copy
import multiprocessing
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
from cases import ALL, IDS

from minigan import nn, store
from minigan.backend import RandomStream, device_of, to_device, to_numpy
from minigan.errors import ArgumentError, StaleCacheError
from minigan.gan import GANLoss, generator_step
from minigan.gradcheck import check_layer, check_network
from minigan.optim import SGD, Adam
from minigan.recipes import RECIPES
from minigan.train import Trainer


def sent(thing):
    """As a process gets it from another one."""
    return ForkingPickler.loads(ForkingPickler.dumps(thing))


deeply = pytest.mark.parametrize("copied", [copy.deepcopy, sent])
in_any_way = pytest.mark.parametrize("copied", [copy.deepcopy, sent, copy.copy])


def network(dtype=np.float32):
    layers = [nn.SpectralNorm(nn.Dense(4)), nn.BatchNorm(), nn.LeakyReLU(slope=0.2), nn.Dense(2)]
    return nn.Sequential(layers, (3,), rng=np.random.default_rng(0), dtype=dtype)


def batch(net, n=5):
    x = np.random.default_rng(1).standard_normal((n, *net.in_shape)).astype(net.dtype)
    return to_device(x, device_of(net.params))


def backward(net):
    """One training pass there and back, which leaves gradients and statistics in the network's vectors; dx."""
    y, cache = net.forward(batch(net), train=True, rng=RandomStream(0, "dropout", device=device_of(net.params)))
    dx = net.backward(y - 1, cache)
    net.update_buffers(cache)
    return to_numpy(dx)


def train(net, optimizer):
    backward(net)
    optimizer.step()
    return to_numpy(net.params).copy()


def same(a, b):
    np.testing.assert_array_equal(to_numpy(a), to_numpy(b))


def check_views(net):
    """Every array of every layer lies in a vector of the network."""
    for layer in net.layers:
        own = [value for name, value in vars(layer).items() if isinstance(value, np.ndarray)]
        assert all(np.shares_memory(value, net.params) or np.shares_memory(value, net.buffers) for value in own)
        assert all(np.shares_memory(grad, net.grads) for grad in layer.grads.values())


# Networks -------------------------------------------------------------------------------------------------------------


@in_any_way
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_copied_network_computes_with_the_vectors_that_it_shows(copied, dtype):
    net = network(dtype)
    E, y = copied(net), net(batch(net))
    same(E(batch(net)), y)
    assert E.dtype == E.params.dtype == dtype
    check_views(E)
    E.params[...] = 0
    assert not E(batch(net)).any()
    same(net(batch(net)), y)


@in_any_way
def test_a_copied_network_learns_as_the_network_would_have_and_leaves_that_alone(copied):
    net = network()
    train(net, Adam(net, lr=0.1))  # so that gradients and statistics are not those of a new one
    E, params, grads, buffers = copied(net), net.params.copy(), net.grads.copy(), net.buffers.copy()
    same(E.grads, grads)
    after = train(E, Adam(E, lr=0.1))
    assert not np.array_equal(after, params)
    for mine, was in ((net.params, params), (net.grads, grads), (net.buffers, buffers)):
        same(mine, was)
    same(train(net, Adam(net, lr=0.1)), after)
    same(net.grads, E.grads)
    same(net.buffers, E.buffers)


@deeply
@pytest.mark.parametrize(("name", "make", "in_shape"), ALL, ids=IDS)
def test_a_copy_of_every_layer_writes_its_gradients_and_statistics_into_its_networks_vectors(
    name, make, in_shape, copied
):
    net = nn.Sequential([make()], in_shape, rng=np.random.default_rng(0))
    E = copied(net)
    check_views(E)
    E.grads[...] = -7
    same(backward(E), backward(net))
    same(E.grads, net.grads)
    same(E.buffers, net.buffers)


@deeply
@pytest.mark.parametrize("name", RECIPES)
def test_the_networks_of_every_recipe_can_be_copied(name, copied):
    for net in RECIPES[name].smoke().networks(np.random.default_rng(0)):
        E = copied(net)
        check_views(E)
        same(backward(E), backward(net))
        same(E.grads, net.grads)


@deeply
def test_layers_of_which_a_network_has_one_twice_or_that_look_at_another_stay_so_in_a_copy(copied):
    E = copied(nn.Sequential([nn.Dense(3), relu := nn.ReLU(), nn.Dense(3), relu], (3,), rng=np.random.default_rng(0)))
    assert E.layers[1] is E.layers[3]

    net = nn.Sequential([nn.Dense(3), Tied()], (3,), rng=np.random.default_rng(0))
    net.layers[1].other = net.layers[0]
    E = copied(net)
    E.params[...] = 0
    assert not E(batch(E)).any()
    assert E.layers[1].other is E.layers[0]


class Tied(nn.Layer):
    """Multiplies with another layer's weights."""

    other = None

    def forward(self, x, *, train, rng=None):
        return x @ self.other.W + 0, x


class Inner(nn.Layer):
    """A network as a layer of another one, which has no part in its vectors; and weights that a lambda draws."""

    def __init__(self):
        self.net = nn.Sequential([nn.Dense(3)], (3,), rng=np.random.default_rng(5))

    def params(self, in_shape):
        return {"a": (in_shape, lambda rng, shape: rng.standard_normal(shape))}

    def forward(self, x, *, train, rng=None):
        return self.net(x) * self.a, x


@deeply
def test_a_network_within_a_layer_is_copied_whole_and_initialisers_that_nobody_can_send_are_not_in_the_way(copied):
    net = nn.Sequential([Inner()], (3,), rng=np.random.default_rng(0))
    E, y = copied(net), net(batch(net))
    E.layers[0].net.params[...] *= 2
    np.testing.assert_allclose(E(batch(E)), 2 * y, rtol=1e-6)
    E.params[...] = 0
    assert not E(batch(E)).any()
    same(net(batch(net)), y)


@deeply
def test_a_list_of_networks_and_the_same_network_twice_are_copied_as_they_stand(copied):
    G, D = network(), network()
    G2, D2, again = copied([G, D, G])
    assert again is G2
    D2.params[...] = 0
    assert G2(batch(G)).any()
    for order in ((G, G.layers[0]), (G.layers[0], G)):
        made = copied(order)
        E, layer = sorted(made, key=lambda thing: isinstance(thing, nn.Layer))
        assert E.layers[0] is layer
        check_views(E)


@deeply
def test_a_copy_has_the_networks_version_and_then_one_of_its_own(copied):
    net = network()
    train(net, SGD(net, lr=0.1))
    E = copied(net)
    assert E.version == net.version == 1
    y, cache = E.forward(batch(E), train=True)
    train(net, SGD(net, lr=0.1))
    E.backward(y, cache)  # still fresh
    train(E, SGD(E, lr=0.1))
    with pytest.raises(StaleCacheError, match="run forward again"):
        E.backward(y, cache)


@deeply
def test_a_cache_goes_with_the_network_that_it_was_copied_with(copied):
    net = network()
    y, cache = net.forward(batch(net), train=True)
    E, own = copied((net, cache))
    same(E.backward(y, own), net.backward(y, cache))
    same(E.grads, net.grads)
    E.update_buffers(own)
    for foreign, other in ((cache, E), (copied(cache), E), (copied(cache), net), (own, net)):
        with pytest.raises(ArgumentError, match="another network"):
            other.backward(y, foreign)


@in_any_way
def test_a_copy_can_be_saved_loaded_checked_and_shown(copied, tmp_path):
    net = network()
    train(net, SGD(net, lr=0.1))
    E = copied(network())
    store.save(net, tmp_path / "net.safetensors")
    store.load(E, tmp_path / "net.safetensors")
    same(E(batch(net)), net(batch(net)))
    assert E.summary() == net.summary()
    assert repr(E) == repr(net)
    assert check_network(copied(network(np.float64)))


@in_any_way
def test_a_network_on_the_gpu_is_copied_there_and_its_copy_moves_alone(copied, standin):
    net = network().to("gpu")
    E = copied(net)
    assert device_of(E.params) == device_of(E.layers[0].W) == device_of(E.layers[0].u) == "gpu"
    after = train(E, Adam(E, lr=0.1))
    E.params[...] = 0
    assert not to_numpy(E(batch(E))).any()
    E.to("cpu")
    check_views(E)
    same(train(net, Adam(net, lr=0.1)), after)


# Averages and targets -------------------------------------------------------------------------------------------------


def in_place(target, G):
    target.params[...] = 0.75 * target.params + 0.25 * G.params


def by_name(target, G):
    target.params = 0.75 * target.params + 0.25 * G.params


def by_steps(target, G):
    target.params *= 0.75
    target.params += 0.25 * G.params


def by_arrays(target, G):
    for name, array in target.named_params().items():
        array[...] = 0.75 * array + 0.25 * G.named_params()[name]


@pytest.mark.parametrize("move", [in_place, by_name, by_steps, by_arrays])
def test_a_target_network_follows_however_its_formula_is_written(move):
    G = network()
    target, vector = copy.deepcopy(G), None
    G.params[...] = 0
    before, vector, version = target.params.copy(), target.params, target.version
    move(target, G)
    np.testing.assert_allclose(target.params, 0.75 * before, rtol=1e-6)
    assert target.params is vector
    check_views(target)
    assert target.version == version  # as with every change that the network is not told of
    assert not G.params.any()


@pytest.mark.parametrize("name", ["params", "grads", "buffers"])
def test_a_vector_that_is_assigned_is_written_into_the_networks_own(name):
    net = network()
    values = np.arange(getattr(net, name).size, dtype=np.float32)
    setattr(net, name, values)
    same(getattr(net, name), values)
    check_views(net)
    with pytest.raises(ValueError, match="broadcast"):
        setattr(net, name, values[:-1])


# Optimisers -----------------------------------------------------------------------------------------------------------

OPTIMISERS = {
    "SGD": lambda net: SGD(net, lr=0.1, momentum=0.9),
    "Adam": lambda net: Adam(net, lr=0.1),
}
each_optimiser = pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)


@deeply
@each_optimiser
def test_an_optimiser_copied_with_its_network_goes_on_with_the_copy(copied, make):
    net = network()
    optimizer = make(net)
    train(net, optimizer)
    for E, own in (copied((net, optimizer)), copied((optimizer, net))[::-1]):
        assert own.network is E
        before = net.params.copy()
        after = train(E, own)
        same(net.params, before)
        assert own.steps == 2
    same(train(net, optimizer), after)


@deeply
@each_optimiser
def test_an_optimiser_copied_alone_brings_a_network_of_its_own(copied, make):
    net = network()
    optimizer = make(net)
    train(net, optimizer)
    own = copied(optimizer)
    before = net.params.copy()
    after = train(own.network, own)
    same(net.params, before)
    assert not np.array_equal(after, before)
    with pytest.raises(ArgumentError, match="holds another network"):
        generator_step(net, network(), own, GANLoss(output="logit"), batch(net))


@each_optimiser
def test_a_shallow_copy_of_an_optimiser_moves_the_same_network_and_has_moments_of_its_own(make):
    net = network()
    optimizer = make(net)
    train(net, optimizer)
    other = copy.copy(optimizer)
    assert other.network is net
    before = {name: array.copy() for name, array in optimizer.state().items()}
    train(net, other)
    assert (other.steps, optimizer.steps, net.version) == (2, 1, 2)
    for name, array in optimizer.state().items():
        same(array, before[name])
        assert not np.array_equal(other.state()[name], array)


@deeply
def test_an_optimiser_on_the_gpu_is_copied_there(copied, standin):
    net = network().to("gpu")
    optimizer = Adam(net, lr=0.1)
    train(net, optimizer)
    E, own = copied((net, optimizer))
    same(train(E, own), train(net, optimizer))


# Trainers and random streams ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (100, 28, 28), dtype=np.uint8)


@deeply
@pytest.mark.parametrize("name", ["best", "flux-mlp"])
def test_a_copied_trainer_trains_on_as_the_trainer_does(name, copied, images):
    trainer = Trainer(replace(RECIPES[name].smoke(), average=0.9, log_every=2), images, seed=3)
    trainer.advance()
    other = copied(trainer)
    for each in other.networks.values():
        check_views(each)
    assert other.g_optimizer.network is other.G
    assert other.d_optimizer.network is other.D
    before = trainer.G.params.copy()
    for _ in range(3):
        other.advance()
    same(trainer.G.params, before)
    for _ in range(3):
        trainer.advance()
    for key, net in trainer.networks.items():
        same(other.networks[key].params, net.params)
        same(other.networks[key].buffers, net.buffers)
    assert other.history == trainer.history


def test_without_an_average_a_copied_trainer_still_draws_with_the_g_that_it_trains(images):
    trainer = copy.deepcopy(Trainer(RECIPES["flux-mlp"].smoke(), images))
    assert trainer.average is trainer.G


@deeply
def test_a_copied_stream_of_random_numbers_goes_on_where_it_stood(copied):
    stream = RandomStream(1, "dropout", 2)
    stream.normal((3,))
    other = copied(stream)
    for draw in ("normal", "uniform", "bits"):
        same(getattr(other, draw)((5,)), getattr(stream, draw)((5,)))


# A layer alone --------------------------------------------------------------------------------------------------------


@deeply
@pytest.mark.parametrize("i", [0, 1, 3])
def test_a_layer_copied_out_of_its_network_has_arrays_of_its_own_and_no_more_than_its_own(i, copied):
    net = network()
    backward(net)
    layer, x = net.layers[i], np.ones((5, 3 if i == 0 else 4), np.float32)
    own, y = copied(layer), layer.forward(x, train=False)[0]
    arrays = {name: value for name, value in vars(own).items() if isinstance(value, np.ndarray)} | own.grads
    assert arrays.keys() >= layer.grads.keys()
    for array in arrays.values():
        assert array.base is None or array.base.size == array.size
    for name in own.grads:
        same(own.grads[name], layer.grads[name])
    net.params[...] = net.buffers[...] = net.grads[...] = 3
    same(own.forward(x, train=False)[0], y)
    assert len(ForkingPickler.dumps(layer)) < len(ForkingPickler.dumps(net)) / 2
    with pytest.raises(ArgumentError, match="has its place in a network"):
        nn.Sequential([own], x.shape[1:], rng=np.random.default_rng(0))  # which would draw its weights anew


def test_a_shallow_copy_of_a_layer_looks_at_the_same_weights():
    net = network()
    other = copy.copy(net.layers[3])
    net.params[...] = 2
    assert (other.W == 2).all()


@deeply
def test_a_layer_of_a_copied_network_and_a_copied_layer_can_be_checked(copied):
    E = copied(network())
    assert check_layer(E.layers[0], (3,))
    assert check_layer(copied(E.layers[3]), (4,))


@deeply
def test_a_layer_without_a_network_is_copied_without_weights(copied):
    net = nn.Sequential(
        [copied(nn.SpectralNorm(nn.Dense(2, init_W=nn.init.normal(0.1))))], (3,), rng=np.random.default_rng(0)
    )
    check_views(net)
    assert 0 < np.abs(net.layers[0].W).max() < 1


# Another process ------------------------------------------------------------------------------------------------------


def train_there(net, optimizer):
    train(net, optimizer)
    return net, optimizer


@pytest.mark.slow
def test_a_network_goes_to_another_process_learns_there_and_comes_back():
    net = network()
    optimizer = Adam(net, lr=0.1)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        E, own = pool.apply(train_there, (net, optimizer))
    check_views(E)
    same(train(net, optimizer), E.params)
    same(train(E, own), train(net, optimizer))
