"""Elementwise work by NumPy and by loops: the same training, but for rounding."""

from dataclasses import replace

import numpy as np
import pytest
import twoways

from minigan.backend import loops
from minigan.nn import Tanh
from minigan.recipes import RECIPES, flux_dcgan
from minigan.train import Trainer

pytestmark = pytest.mark.skipif(not loops.FAST, reason="numba is not here, or MINIGAN_FAST=0")
SYSTEMS = ("flux-mlp", "pytorch-mlp", "best", "quick-mlp", "renom-maxout", "flux-dcgan", "keras-upconv")
IMAGES = np.random.default_rng(0).integers(0, 256, (200, 28, 28), dtype=np.uint8)


def trainer_of(name, **changes):
    return Trainer(replace(RECIPES[name].smoke(), log_every=0, **changes), IMAGES)


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_from_the_same_state_both_ways_give_losses_gradients_and_moments_equal_to_rounding(name):
    for what, apart in twoways.deviations(trainer_of(name), 100, least=1).items():
        assert np.quantile(apart, 0.9) < 1e-5, what  # the rest is for activations at a kink


def test_where_no_layer_has_a_kink_they_do_so_at_every_state(monkeypatch):
    monkeypatch.setattr(flux_dcgan, "ReLU", Tanh)
    monkeypatch.setattr(flux_dcgan, "LeakyReLU", lambda slope: Tanh())
    for what, apart in twoways.deviations(trainer_of("flux-dcgan"), 100, least=1).items():
        assert max(apart) < 1e-5, what


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("fast", [False, True], ids=["numpy", "loops"])
def test_each_way_gives_its_own_bits_again(name, fast):
    found = []
    for _ in range(2):
        with twoways.way(fast, 1):
            trainer = trainer_of(name, epochs=1).fit()
        found.append([array.tobytes() for array in twoways.arrays(trainer).values()])
    assert found[0] == found[1]
