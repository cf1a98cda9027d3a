"""The means of a row of metrics: of as many steps as an epoch has, and of numbers of any size."""

import json

import numpy as np
import pytest

from minigan import nn
from minigan.backend import to_device
from minigan.train.metrics import Means, gradient_norms

DEVICES = ["cpu", "standin"]


@pytest.fixture
def put(request):
    """A function: a 0-d float32 array on the device, as a step's losses are."""
    device = "gpu" if request.param == "standin" and request.getfixturevalue("standin") else "cpu"
    return lambda value: to_device(np.asarray(value, np.float32), device)


each_device = pytest.mark.parametrize("put", DEVICES, indirect=True)


@pytest.mark.slow
def test_a_tenth_added_a_million_times_has_its_mean():
    means, tenth = Means(), np.float32(0.1)
    for _ in range(10**6):
        means.add({"d_loss": tenth})
    assert means.result()["d_loss"] == pytest.approx(float(tenth), rel=1e-10)  # in float32 by 0.96 % more


@each_device
def test_many_small_numbers_after_a_large_one_are_not_lost(put):
    means = Means()
    for value in (2.0**24, *[1.0] * 1000):  # 2²⁴ + 1 is 2²⁴ in float32
        means.add({"g_loss": put(value)})
    assert means.result()["g_loss"] == (2**24 + 1000) / 1001


@each_device
def test_means_that_went_through_a_file_go_on_to_the_same_bits(put):
    values = np.random.default_rng(0).standard_normal(60)
    straight, stopped = Means(), Means()
    for i, value in enumerate(values):
        straight.add({"d_loss": put(value)})
        stopped.add({"d_loss": put(value)})
        if i % 7 == 0:
            stopped = Means(json.loads(json.dumps(stopped.state())))
    assert stopped.result() == straight.result()
    assert stopped.state() == straight.state()


@pytest.mark.parametrize("size", [1e30, 1e-30])
@pytest.mark.parametrize("device", DEVICES)
def test_the_norm_of_a_gradient_is_told_where_float32_cannot_hold_its_square(size, device, request):
    if device == "standin":
        request.getfixturevalue("standin")
    net = nn.Sequential([nn.Dense(3)], (4,), rng=np.random.default_rng(0))
    net.grads[...] = size
    if device == "standin":
        net.to("gpu")
    assert gradient_norms("D", net) == {"D.0.Dense": pytest.approx(15**0.5 * size, rel=1e-6)}
