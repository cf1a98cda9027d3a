"""The cache of some examples of a batch, by which a penalty at half of it shares the products of the whole."""

import numpy as np
import pytest
from cases import ALL

from minigan import nn
from minigan.backend import RandomStream
from minigan.nn.second import divisible


def network(make, in_shape):
    return nn.Sequential([make()], in_shape, rng=np.random.default_rng(0), dtype=np.float64)


DIVISIBLE = [case for case in ALL if divisible(network(*case[1:]))]


def test_layers_that_bend_or_mix_the_batch_are_not_divisible():
    kinds = {name.partition("-")[0] for name, _, _ in ALL} - {name.partition("-")[0] for name, _, _ in DIVISIBLE}
    assert kinds == {"Tanh", "Sigmoid", "BatchNorm", "SpectralNorm", "MaxPool2d", "Upsample2d"}


@pytest.mark.parametrize("examples", [slice(2), slice(2, None)], ids=["first", "last"])
@pytest.mark.parametrize(("name", "make", "in_shape"), DIVISIBLE, ids=[name for name, _, _ in DIVISIBLE])
def test_the_cache_of_some_examples_answers_for_them_as_the_whole_batchs_does(name, make, in_shape, examples):
    net, draws = network(make, in_shape), np.random.default_rng(1)
    layer = net.layers[0]
    y, cache = layer.forward(draws.normal(size=(5, *in_shape)), train=True, rng=RandomStream(0, "dropout"))
    dx, dy = draws.normal(size=(5, *in_shape)), draws.normal(size=y.shape)
    own = layer.cache_of(cache, examples)
    found, whole = layer.tangent(dx[examples], own), layer.tangent(dx, cache)[examples]
    np.testing.assert_allclose(found, whole, rtol=1e-12, atol=1e-14)
    found, whole = layer.input_grad(dy[examples], own), layer.input_grad(dy, cache)[examples]
    np.testing.assert_allclose(found, whole, rtol=1e-12, atol=1e-14)
