"""Checkpoints, pictures, and the command line with the folder that it leaves."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import minigan
from minigan import callbacks, cli, plot
from minigan.checkpoint import load_networks, save_networks
from minigan.errors import ArgumentError, CheckpointError, DataError, RunExistsError
from minigan.files import write_atomically
from minigan.nn import BatchNorm, Dense, Sequential


def network(width=3, seed=0, **options):
    return Sequential([Dense(width), BatchNorm()], (2,), rng=np.random.default_rng(seed), **options)


# Checkpoints ---------------------------------------------------------------------------------------------------------


def test_a_checkpoint_brings_back_parameters_buffers_and_header_to_the_bit(tmp_path):
    net = network()
    net.buffers[...] = np.arange(6)
    save_networks(tmp_path / "c", {"G": net}, epoch=3)
    other = network(seed=1)
    header = load_networks(tmp_path / "c", {"G": other})
    assert header == {"format": 1, "epoch": 3}
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
    save_networks(tmp_path / "c", {"G": network(seed=9)})
    networks = other()
    before = {n: net.params.copy() for n, net in networks.items()}
    versions = [net.version for net in networks.values()]
    with pytest.raises(CheckpointError, match=match):
        load_networks(tmp_path / "c", networks)
    for n, net in networks.items():
        np.testing.assert_array_equal(net.params, before[n])
    assert versions == [net.version for net in networks.values()]


def test_every_flipped_or_missing_byte_of_a_checkpoint_is_noticed(tmp_path):
    net = network()
    save_networks(tmp_path / "c", {"G": net})
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
            load_networks(tmp_path / "bad", {"G": fresh})
        except CheckpointError:
            np.testing.assert_array_equal(fresh.params, network(seed=1).params)
        else:  # the flip fell on white space or a spare word of the header: then every tensor must be right
            np.testing.assert_array_equal(fresh.params, net.params)
    with pytest.raises(CheckpointError, match="nowhere"):
        load_networks(tmp_path / "nowhere", {"G": net})


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


# The command line ----------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory, monkeypatch):
    """A cache and a working folder of the test's own, and no MNIST."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("MINIGAN_DATA", raising=False)
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))


def picture(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    """A smoke run, made once, with the file that it was made in."""
    run = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        cli.main(["train", "flux-mlp", "--smoke", "--epochs", "2", "--dataset", "glyphs", "--out", str(run)])
    return run


def test_training_leaves_the_run_folder_that_is_documented(finished_run):
    files = sorted(str(p.relative_to(finished_run)) for p in finished_run.rglob("*") if p.is_file())
    assert files == [
        "checkpoints/epoch-0002.safetensors",
        "config.json",
        "metrics.jsonl",
        "samples/epoch-0000.png",
        "samples/epoch-0001.png",
        "samples/epoch-0002.png",
        "samples/real.png",
        "timing.jsonl",
    ]
    config = json.loads((finished_run / "config.json").read_text())
    assert (config["recipe"], config["seed"], config["fields"]["epochs"]) == ("flux-mlp", 0, 2)
    assert config["dataset"] == {"name": "glyphs", "seed": 0, "images": 200}
    rows = [json.loads(line) for line in (finished_run / "metrics.jsonl").read_text().splitlines()]
    assert [(row["step"], row["epoch"]) for row in rows] == [(7, 1), (14, 2)]
    assert "seconds" not in rows[0]
    assert len((finished_run / "timing.jsonl").read_text().splitlines()) == 2
    sheet = picture(finished_run / "samples" / "real.png")
    assert sheet.shape == (302, 302)
    assert sheet.max() == 255
    assert np.median(sheet) == 0, "the background of the real digits is not black"


def test_the_same_command_leaves_the_same_bits(finished_run, tmp_path):
    cli.main(["train", "flux-mlp", "--smoke", "--epochs", "2", "--dataset", "glyphs", "--out", str(tmp_path / "again")])
    for name in ("metrics.jsonl", "checkpoints/epoch-0002.safetensors", "samples/epoch-0002.png"):
        assert (finished_run / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_sampling_writes_an_array_or_a_sheet(finished_run, capsys):
    cli.main(["sample", str(finished_run), "--count", "7", "--out", "x.npy"])
    images = np.load("x.npy")
    assert (images.shape, images.dtype) == ((7, 28, 28), np.uint8)
    cli.main(["sample", str(finished_run), "--count", "7", "--out", "same.npy"])
    np.testing.assert_array_equal(images, np.load("same.npy"))
    cli.main(["sample", str(finished_run), "--count", "7", "--out", "other.npy", "--seed", "1"])
    assert not np.array_equal(images, np.load("other.npy"))
    older = finished_run / "checkpoints" / "epoch-0001.safetensors"
    older.write_bytes(b"the newest is what counts")
    cli.main(["sample", str(finished_run), "--out", "x.png"])
    older.unlink()
    assert picture("x.png").shape == (302, 302)
    assert "Wrote 100 images to x.png" in capsys.readouterr().out


def test_without_out_runs_are_numbered(capsys):
    for _ in range(2):
        cli.main(["train", "pytorch-mlp", "--smoke", "--dataset", "glyphs"])
    assert sorted(p.name for p in Path("runs").iterdir()) == ["pytorch-mlp-001", "pytorch-mlp-002"]


def test_without_mnist_auto_trains_on_glyphs_and_says_so(capsys):
    cli.main(["train", "pytorch-mlp", "--smoke", "--device", "cpu"])
    out = capsys.readouterr().out
    assert "Training on glyphs" in out
    assert "MINIGAN_DATA" in out


MISTAKES = [
    (["trian"], "unknown command 'trian'; did you mean train?"),
    (["fly"], "unknown command 'fly'; known: train, sample"),
    (["train"], "which recipe? minigan train flux-mlp | pytorch-mlp"),
    (["train", "flux-mpl"], "unknown recipe 'flux-mpl'; did you mean flux-mlp?"),
    (["train", "flux-mlp", "--epohcs", "3"], "unknown flag '--epohcs'; did you mean --epochs?"),
    (["train", "flux-mlp", "--epochs", "many"], "--epochs"),
    (["train", "flux-mlp", "--epochs", "0"], "epochs must be at least 1, got 0"),
    (["train", "flux-mlp", "--g-loss", "wasserstein"], "invalid choice 'wasserstein'"),
    (["train", "flux-mlp", "--seed", "-1"], "seed"),
    (["train", "flux-mlp", "--dataset", "mnist", "--data-dir", "nowhere"], "train-images-idx3-ubyte"),
    (["train", "flux-mlp", "--dataset", "mnist"], "--data-dir DIR or set MINIGAN_DATA"),
    (["train", "flux-mlp", "--smoke", "--lr-d", "0"], "learning rate above 0, got 0.0"),
    (["train", "flux-mlp", "--smoke", "--out", "/proc/nothing"], "nothing"),
    (["sample"], "which run?"),
    (["sample", "nowhere"], "nowhere is not a run: there is no config.json in it"),
    (["sample", "RUN", "--count", "0"], "--count must lie between 1 and 1,000,000, got 0"),
    (["train", "flux-mlp", "--data-dir", "nowhere"], "nowhere"),
    (
        ["train", "flux-mlp", "--smoke", "--dataset", "glyphs", "--batch-size", "10000000000"],
        "from 1 to the 200 images",
    ),
    (["train", "flux-mlp", "--smoke", "--dataset", "glyphs", "--update", "simultaneous"], "--d-batching separate"),
    (["train", "flux-mlp", "--data_dir", "x", "--epochs", "many"], "--epochs"),
    (["sample", "RUN", "--count", "100000000"], "--count must lie between 1 and 1,000,000"),
    (["sample", "RUN", "--out", "x.jpg"], "must end in .png (a sheet) or .npy (an array), got x.jpg"),
    (["sample", "RUN", "--cuont", "3"], "did you mean --count?"),
]


@pytest.mark.parametrize(("args", "message"), MISTAKES, ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_a_users_mistake_is_one_line_and_exit_code_2(args, message, finished_run, capsys):
    args = [str(finished_run) if a == "RUN" else a for a in args]
    with pytest.raises(SystemExit) as stop:
        cli.main(args)
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.startswith("minigan: ")
    assert err.count("\n") == 1


def test_a_gpu_that_is_not_there_fails_with_the_reason_when_asked_for(monkeypatch, capsys):
    monkeypatch.setattr("minigan.backend.why_no_gpu", lambda: "no driver")
    with pytest.raises(SystemExit):
        cli.main(["train", "flux-mlp", "--smoke", "--device", "gpu"])
    assert capsys.readouterr().err == "minigan: device 'gpu' cannot be used: no driver\n"
    assert not Path("runs").exists()


def test_a_folder_that_holds_a_run_is_left_alone(finished_run, capsys):
    before = {p: p.read_bytes() for p in finished_run.rglob("*") if p.is_file()}
    with pytest.raises(SystemExit):
        cli.main(["train", "flux-mlp", "--smoke", "--dataset", "glyphs", "--out", str(finished_run)])
    assert "already holds a run" in capsys.readouterr().err
    assert before == {p: p.read_bytes() for p in finished_run.rglob("*") if p.is_file()}


@pytest.mark.parametrize("left", ["config.json", "metrics.jsonl", "checkpoints/epoch-0001.safetensors"])
def test_a_folder_with_anything_left_of_a_run_counts_as_one(tmp_path, left, capsys):
    (tmp_path / left).parent.mkdir(exist_ok=True)
    (tmp_path / left).write_text("precious")
    with pytest.raises(SystemExit):
        cli.main(["train", "pytorch-mlp", "--smoke", "--dataset", "glyphs", "--out", str(tmp_path)])
    assert (tmp_path / left).read_text() == "precious"
    assert "already holds a run" in capsys.readouterr().err


def test_two_runs_never_share_a_folder():
    Path("runs/x-1000").mkdir(parents=True)
    first, second = callbacks.claim_run(None, "x"), callbacks.claim_run(None, "x")
    assert (first.name, second.name) == ("x-1001", "x-1002")
    with pytest.raises(RunExistsError):
        callbacks.claim_run(first, "x")


@pytest.mark.parametrize("damage", ["config", "recipe", "fields", "checkpoint", "no checkpoint"])
def test_a_damaged_run_cannot_be_sampled_and_says_why(finished_run, tmp_path, damage, capsys):
    import shutil

    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    checkpoint = run / "checkpoints" / "epoch-0002.safetensors"
    config = (run / "config.json").read_text()
    if damage == "config":
        (run / "config.json").write_text(config[:50])
    elif damage == "recipe":
        (run / "config.json").write_text(config.replace('"flux-mlp"', '"fluks-mlp"'))
    elif damage == "fields":
        (run / "config.json").write_text(json.dumps({**json.loads(config), "fields": None}))
    elif damage == "checkpoint":
        checkpoint.write_bytes(checkpoint.read_bytes()[:-10])
    else:
        checkpoint.unlink()
    with pytest.raises(SystemExit) as stop:
        cli.main(["sample", str(run)])
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert ("checkpoint" if "checkpoint" in damage else "config.json") in err


def test_ctrl_c_exits_130_with_a_line(monkeypatch, capsys):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.Trainer, "fit", interrupted)
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "pytorch-mlp", "--smoke", "--dataset", "glyphs"])
    assert stop.value.code == 130
    assert "Interrupted" in capsys.readouterr().err


def test_help_and_version_are_for_reading(capsys):
    cli.main([])
    assert "minigan train RECIPE" in capsys.readouterr().out
    cli.main(["--version"])
    assert capsys.readouterr().out == f"minigan {minigan.__version__}\n"
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "flux-mlp", "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert "--lr-d" in out
    assert "Adam's learning rate" in out


def test_importing_minigan_loads_no_plotting_no_gpu_and_no_network():
    code = "import sys, minigan.train, minigan.gradcheck; print([m for m in sys.modules if m in sys.argv[1:]])"
    heavy = ["matplotlib", "cupy", "PIL", "tyro", "safetensors", "urllib.request", "socket"]
    loaded = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
