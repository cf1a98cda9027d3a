import naive
import numpy as np
import pytest

from minigan.errors import ArgumentError, DeviceError
from minigan.nn import Dense, Sequential
from minigan.optim import SGD, Adam


def network(width=3, dtype=np.float64):
    return Sequential([Dense(width)], (2,), rng=np.random.default_rng(0), dtype=dtype)


@pytest.mark.parametrize(("beta1", "beta2"), [(0.9, 0.999), (0.5, 0.9), (0.0, 0.5)])
def test_adam_equals_its_naive_twin_over_many_steps(beta1, beta2):
    net = network()
    start, rng = net.params.copy(), np.random.default_rng(1)
    grads = rng.standard_normal((50, net.params.size)) * 10.0 ** rng.integers(-6, 3, (50, 1))
    optimizer = Adam(net, lr=1e-2, beta1=beta1, beta2=beta2, eps=1e-8)
    for g in grads:
        net.grads[...] = g
        optimizer.step()
    expected = naive.adam(start, grads, lr=1e-2, beta1=beta1, beta2=beta2, eps=1e-8)
    np.testing.assert_allclose(net.params, expected, rtol=1e-10, atol=1e-13)


def test_adams_first_step_is_the_learning_rate_in_the_direction_of_descent():
    net = network()
    before = net.params.copy()
    net.grads[...] = np.array([3.0, -0.02] + [5.0] * (net.params.size - 2))
    Adam(net, lr=0.1).step()
    np.testing.assert_allclose(net.params - before, -0.1 * np.sign(net.grads), rtol=1e-5)


def test_sgd_with_momentum_by_hand():
    net = network()
    net.params[...] = 1.0
    optimizer = SGD(net, lr=0.1, momentum=0.5)
    for g, expected in [(2.0, 1 - 0.1 * 2), (1.0, 0.8 - 0.1 * (0.5 * 2 + 1)), (0.0, 0.6 - 0.1 * 1.0)]:
        net.grads[...] = g
        optimizer.step()
        np.testing.assert_allclose(net.params, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda net: SGD(net, lr=0.0), "above 0, got 0.0"),
        (lambda net: Adam(net, lr=-1e-3), "above 0, got -0.001"),
        (lambda net: Adam(net, lr=float("inf")), "finite learning rate above 0, got inf"),
        (lambda net: SGD(net, lr=0.1, momentum=1.0), "got 1.0"),
        (lambda net: Adam(net, lr=0.1, beta1=1.0), "got 1.0, 0.999"),
        (lambda net: Adam(net, lr=0.1, beta2=-0.1), "got 0.9, -0.1"),
        (lambda net: Adam(net, lr=0.1, eps=0.0), "and 0.0"),
        (lambda net: Adam(net, lr=0.1, eps=float("inf")), "eps must be a finite number, got inf"),
        (lambda net: SGD(net, lr=0.1, momentum=-0.5), "got -0.5"),
        (lambda net: Adam(net, lr=0.1, beta1=-0.5), "got -0.5, 0.999"),
        (lambda net: Adam(net, lr=0.1, beta1=1.5), "got 1.5, 0.999"),
        (lambda net: Adam(net, lr=0.1, beta2=1.0), "got 0.9, 1.0"),
        (lambda net: Adam(net, lr=0.1, beta2=1.5), "got 0.9, 1.5"),
    ],
)
def test_impossible_hyperparameters_are_refused(make, match):
    with pytest.raises(ArgumentError, match=match):
        make(network())


def test_decays_of_zero_are_allowed():
    net = network()
    start = net.params.copy()
    net.grads[...] = 2.0
    for optimizer in (SGD(net, lr=0.1, momentum=0.0), Adam(net, lr=0.1, beta1=0.0, beta2=0.0)):
        optimizer.step()
    np.testing.assert_allclose(start - net.params, 0.2 + 0.1, rtol=1e-6)


def test_an_optimiser_of_a_network_that_moved_away_says_so(standin):
    net = network()
    optimizer = Adam(net, lr=0.1)
    net.to("gpu")
    with pytest.raises(DeviceError, match="make the optimiser after"):
        optimizer.step()
