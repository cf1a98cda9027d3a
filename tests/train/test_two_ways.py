"""Elementwise work by NumPy and by loops: the same training, but for rounding."""

from dataclasses import replace

import numpy as np
import pytest
import twoways

from minigan.backend import loops
from minigan.recipes import RECIPES
from minigan.train import Trainer

pytestmark = pytest.mark.skipif(not loops.FAST, reason="numba is not here, or MINIGAN_FAST=0")
SYSTEMS = ("flux-mlp", "pytorch-mlp", "best", "quick-mlp", "renom-maxout", "flux-dcgan", "keras-upconv")
IMAGES = np.random.default_rng(0).integers(0, 256, (200, 28, 28), dtype=np.uint8)


def trainer_of(name, **changes):
    return Trainer(replace(RECIPES[name].smoke(), log_every=0, **changes), IMAGES)


@pytest.mark.parametrize("name", [name for name in SYSTEMS if name != "flux-dcgan"])
def test_from_the_same_state_both_ways_give_losses_gradients_and_moments_equal_to_rounding(name):
    found = twoways.deviations(trainer_of(name), 100, least=1)
    assert max(found.values()) < 1e-5, found


@pytest.mark.parametrize("steps", [5, 40, 90])
def test_where_float32_itself_leaves_few_digits_loops_lose_no_more_of_them_than_numpy(steps):
    trainer = trainer_of("flux-dcgan")
    for _ in range(steps):
        trainer.train_step(trainer.batches.batch(trainer.step))
    by_numpy, by_loops = twoways.errors(trainer, least=1)
    assert by_loops < 2 * by_numpy + 1e-6, (by_numpy, by_loops)


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("fast", [False, True], ids=["numpy", "loops"])
def test_each_way_gives_its_own_bits_again(name, fast):
    found = []
    for _ in range(2):
        with twoways.way(fast, 1):
            trainer = trainer_of(name, epochs=1).fit()
        found.append([array.tobytes() for array in twoways.arrays(trainer).values()])
    assert found[0] == found[1]
