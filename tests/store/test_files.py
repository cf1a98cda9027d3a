"""Checkpoints and pictures."""

import numpy as np
import pytest

from minigan import plot, store
from minigan.backend import device_of
from minigan.errors import ArgumentError, CheckpointError, DataError, DTypeError, ShapeError
from minigan.nn import BatchNorm, Dense, Sequential
from minigan.nn.flat import state_shapes
from minigan.recipes import RECIPES
from minigan.store.checkpoint import load_checkpoint, save_checkpoint
from minigan.store.files import write_atomically


def network(width=3, seed=0, **options):
    return Sequential([Dense(width), BatchNorm()], (2,), rng=np.random.default_rng(seed), **options)


# Checkpoints ---------------------------------------------------------------------------------------------------------


def test_a_checkpoint_brings_back_parameters_buffers_and_header_to_the_bit(tmp_path):
    net = network()
    net.buffers[...] = np.arange(6)
    save_checkpoint(tmp_path / "c", {"G": net}, epoch=3)
    other = network(seed=1)
    header = load_checkpoint(tmp_path / "c", {"G": other})
    assert header == {"epoch": 3, "optimizer_steps": {}}
    np.testing.assert_array_equal(other.params, net.params)
    np.testing.assert_array_equal(other.buffers, net.buffers)


@pytest.mark.parametrize(
    ("other", "match"),
    [
        (lambda: {"G": network(4)}, r"0.Dense.W has shape \(2, 4\) in the network and \(2, 3\)"),
        (lambda: {"G": network(dtype=np.float64)}, "0.Dense.W is float64"),
        (lambda: {"D": network()}, "0.Dense.W"),
        (lambda: {"G": network(), "D": network()}, "0.Dense.W"),
    ],
)
def test_a_checkpoint_of_another_network_is_refused_and_nothing_is_touched(tmp_path, other, match):
    save_checkpoint(tmp_path / "c", {"G": network(seed=9)})
    networks = other()
    before = {n: net.params.copy() for n, net in networks.items()}
    versions = [net.version for net in networks.values()]
    with pytest.raises(CheckpointError, match=match):
        load_checkpoint(tmp_path / "c", networks)
    for n, net in networks.items():
        np.testing.assert_array_equal(net.params, before[n])
    assert versions == [net.version for net in networks.values()]


def test_every_flipped_or_missing_byte_of_a_checkpoint_is_noticed(tmp_path):
    net = network()
    save_checkpoint(tmp_path / "c", {"G": net})
    good = (tmp_path / "c").read_bytes()
    rng = np.random.default_rng(0)
    damaged = [good[:-1], good[: len(good) // 2], b"", b"<html>"]
    for position in [*rng.integers(0, len(good), 40), len(good) - 1]:
        flipped = bytearray(good)
        flipped[position] ^= 1 << int(rng.integers(0, 8))
        damaged.append(bytes(flipped))
    for content in damaged:
        (tmp_path / "bad").write_bytes(content)
        fresh = network(seed=1)
        try:
            load_checkpoint(tmp_path / "bad", {"G": fresh})
        except CheckpointError:
            np.testing.assert_array_equal(fresh.params, network(seed=1).params)
        else:  # the flip fell on white space or a spare word of the header: then every tensor must be right
            np.testing.assert_array_equal(fresh.params, net.params)
    with pytest.raises(CheckpointError, match="nowhere"):
        load_checkpoint(tmp_path / "nowhere", {"G": net})


# Networks ------------------------------------------------------------------------------------------------------------


def test_a_network_saves_and_loads_its_weights_by_name_to_the_bit(tmp_path):
    net, other = network(), network(seed=1)
    net.buffers[...] = np.arange(6)
    store.save(net, tmp_path / "n")
    version = other.version
    store.load(other, tmp_path / "n")
    np.testing.assert_array_equal(other.params, net.params)
    np.testing.assert_array_equal(other.buffers, net.buffers)
    assert other.version > version, "a cache from before would be taken for fresh"


def test_a_network_goes_from_cpu_to_gpu_and_back_by_a_file(tmp_path, standin):
    net, gpu, back = network(), network(seed=1).to("gpu"), network(seed=2)
    store.save(net, tmp_path / "n")
    store.load(gpu, tmp_path / "n")
    store.save(gpu, tmp_path / "g")
    store.load(back, tmp_path / "g")
    assert device_of(gpu.params) == "gpu"
    np.testing.assert_array_equal(back.params, net.params)
    assert (tmp_path / "g").read_bytes() == (tmp_path / "n").read_bytes()


@pytest.mark.parametrize(("source", "target"), [(np.float32, np.float64), (np.float64, np.float32)])
def test_another_dtype_is_refused_with_the_remedy_and_converted_if_one_asks(tmp_path, source, target):
    net, other = network(dtype=source), network(seed=1, dtype=target)
    store.save(net, tmp_path / "n")
    before = other.params.copy()
    with pytest.raises(DTypeError, match=r"0.Dense.W is float.. in the network and float.. in the state; .*cast=True"):
        store.load(other, tmp_path / "n")
    np.testing.assert_array_equal(other.params, before)
    store.load(other, tmp_path / "n", cast=True)
    np.testing.assert_array_equal(other.params, net.params.astype(target))


def test_the_weights_of_another_network_are_refused_by_name(tmp_path):
    store.save(network(4), tmp_path / "n")
    with pytest.raises(ShapeError, match=r"0.Dense.W has shape \(2, 3\) in the network and \(2, 4\) in the state"):
        store.load(network(), tmp_path / "n")
    with pytest.raises(ArgumentError, match=r"only one of the network and the state: 0.BatchNorm.beta, .*0.Dense.W"):
        store.load(Sequential([BatchNorm()], (2,), rng=np.random.default_rng(0)), tmp_path / "n")


@pytest.mark.parametrize("name", RECIPES)
def test_the_shapes_of_a_networks_state_are_known_before_it_is_made(name):
    recipe = RECIPES[name].smoke()
    for layers, in_shape in recipe.architecture().values():
        shapes = state_shapes(layers, in_shape)
        net = Sequential(layers, in_shape, rng=np.random.default_rng(0))
        assert shapes == {key: array.shape for key, array in net.state().items()}


# Files that end whole ------------------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_finished_leaves_the_old_one_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "c"
    write_atomically(path, b"old")

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_written_file_has_the_permissions_of_any_other(tmp_path):
    write_atomically(tmp_path / "c", b"x")
    (tmp_path / "other").write_bytes(b"x")
    assert (tmp_path / "c").stat().st_mode == (tmp_path / "other").stat().st_mode


# Pictures ------------------------------------------------------------------------------------------------------------


def test_pixels_span_the_whole_range_and_nothing_is_clipped_to_black():
    x = np.array([-1.0, -0.5, 0.0, 0.5, 1.0, 1.5])
    assert plot.to_uint8(x, (-1.0, 1.0)).tolist() == [0, 64, 128, 191, 255, 255]
    assert plot.to_uint8(np.array([0.0, 1.0]), (0.0, 1.0)).tolist() == [0, 255]
    with pytest.raises(DataError, match="diverged"):
        plot.to_uint8(np.array([np.nan]), (-1.0, 1.0))


def test_a_grid_puts_images_row_by_row_with_padding():
    images = np.arange(1, 4, dtype=np.uint8)[:, None, None].repeat(2, 1).repeat(2, 2)
    sheet = plot.image_grid(images, columns=2, pad=1)
    assert sheet.tolist() == [
        [0, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 0, 2, 2, 0],
        [0, 1, 1, 0, 2, 2, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 3, 3, 0, 0, 0, 0],
        [0, 3, 3, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ]
    with pytest.raises(ArgumentError, match="uint8 images"):
        plot.image_grid(images.astype(float))
