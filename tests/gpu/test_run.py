"""Whole training steps on the GPU against the CPU. Needs NumPy, CuPy and pytest only."""

import numpy as np
import pytest

from minigan import backend
from minigan.backend import to_device, to_numpy
from minigan.errors import DeviceError
from minigan.recipes import RECIPES
from minigan.train import Trainer

pytestmark = pytest.mark.gpu


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (200, 28, 28), dtype=np.uint8)


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_on_the_gpu_follows_the_cpus(name, images):
    cpu, gpu = (Trainer(RECIPES[name].smoke(), images, device=device) for device in ("cpu", "gpu"))
    np.testing.assert_array_equal(cpu.G.params, to_numpy(gpu.G.params))  # weights are drawn on the host
    cpu.fit()
    gpu.fit()
    # Where a unit is on for a whole batch, the Wasserstein loss gives its bias a gradient of 0 but for rounding, which
    # Adam's division makes a whole step of: a few entries may be apart by that.
    few = 1e-3 if RECIPES[name].loss_kind == "wasserstein" else 0.0
    for ours, theirs in ((cpu.G, gpu.G), (cpu.D, gpu.D)):
        apart = abs(to_numpy(theirs.params) - ours.params)
        assert (apart > 2e-4 + 1e-7 * abs(ours.params)).mean() <= few
        assert apart.max() <= 2e-4 + (few > 0) * RECIPES[name].lr_d * cpu.step
    assert gpu.epochs[0]["d_loss"] == pytest.approx(cpu.epochs[0]["d_loss"], rel=1e-3)


def test_the_same_run_twice_on_the_gpu_gives_the_same_bits(images):
    runs = [Trainer(RECIPES["flux-mlp"].smoke(), images, device="gpu").fit() for _ in range(2)]
    np.testing.assert_array_equal(to_numpy(runs[0].G.params), to_numpy(runs[1].G.params))


def test_a_cpu_array_into_a_gpu_network_is_refused_with_both_names(images):
    trainer = Trainer(RECIPES["flux-mlp"].smoke(), images, device="gpu")
    with pytest.raises(DeviceError, match="x is a numpy array and the network's parameters is a cupy array"):
        trainer.G(np.zeros((2, 8), np.float32))


def test_arrays_move_there_and_back():
    x = np.arange(6.0).reshape(2, 3)
    there = to_device(x, "gpu")
    assert backend.device_of(there) == "gpu"
    assert to_device(there, "gpu") is there
    np.testing.assert_array_equal(to_numpy(there), x)
