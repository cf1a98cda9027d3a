"""The averaged generator: how fast it forgets, on numbers worked out by hand."""

import numpy as np
import pytest

from minigan.gan.averaging import average
from minigan.nn import BatchNorm, Dense, Sequential


def network(value):
    net = Sequential([Dense(2), BatchNorm()], (3,), rng=np.random.default_rng(0), dtype=np.float64)
    net.params[...], net.buffers[...] = value, 10 * value
    return net


@pytest.mark.parametrize(("steps", "decay", "d"), [(1, 0.999, 2 / 11), (8, 0.999, 9 / 18), (8, 0.25, 0.25)])
def test_the_average_moves_by_what_the_decay_leaves_and_early_on_by_more(steps, decay, d):
    averaged, G = network(3.0), network(5.0)
    before = averaged.version
    average(averaged, G, decay, steps)
    np.testing.assert_allclose(averaged.params, 3 * d + 5 * (1 - d), rtol=1e-15)
    np.testing.assert_allclose(averaged.buffers, 30 * d + 50 * (1 - d), rtol=1e-15)
    assert averaged.version == before + 1
    assert (G.params == 5).all()
    assert (G.buffers == 50).all()
