"""The command line, as a user meets it."""

import contextlib
import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from runfolder import press

import minigan
from minigan.cli import arguments
from minigan.cli.main import main
from minigan.recipes import RECIPES

pytestmark = pytest.mark.usefixtures("elsewhere")


def picture(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    """A smoke run, made once."""
    run = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.delenv("MINIGAN_DATA", raising=False)
        main(["train", "flux-mlp", "--smoke", "--epochs", "2", "--dataset", "glyphs", "--out", str(run)])
    return run


def test_sampling_writes_an_array_or_a_sheet(finished_run, capsys):
    main(["sample", str(finished_run), "--count", "7", "--out", "x.npy"])
    images = np.load("x.npy")
    assert (images.shape, images.dtype) == ((7, 28, 28), np.uint8)
    main(["sample", str(finished_run), "--count", "7", "--out", "same.npy"])
    np.testing.assert_array_equal(images, np.load("same.npy"))
    main(["sample", str(finished_run), "--count", "7", "--out", "other.npy", "--seed", "1"])
    assert not np.array_equal(images, np.load("other.npy"))
    older = finished_run / "checkpoints" / "epoch-0000.safetensors"
    older.write_bytes(b"the newest is what counts")
    main(["sample", str(finished_run), "--out", "x.png"])
    older.unlink()
    assert picture("x.png").shape == (302, 302)
    assert "Wrote 100 images to x.png" in capsys.readouterr().out


def test_without_out_runs_are_numbered(capsys):
    for _ in range(2):
        main(["train", "pytorch-mlp", "--smoke", "--dataset", "glyphs"])
    assert sorted(p.name for p in Path("runs").iterdir()) == ["pytorch-mlp-001", "pytorch-mlp-002"]


def test_without_mnist_auto_trains_on_glyphs_and_says_so(capsys):
    main(["train", "pytorch-mlp", "--smoke", "--device", "cpu"])
    out = capsys.readouterr().out
    assert "Training on glyphs instead" in out
    assert "MINIGAN_DATA" in out


MISTAKES = [
    (["trian"], "unknown command 'trian'; did you mean train?"),
    (
        ["fly"],
        "unknown command 'fly'; known: train, sample, evaluate, inspect, report, export, gradcheck, exercise, bench, "
        "recipes, info",
    ),
    (["train", "flux-mpl"], "unknown recipe 'flux-mpl'; did you mean flux-mlp?"),
    (["train", "flux-mlp", "--epohcs", "3"], "unknown flag '--epohcs'; did you mean --epochs?"),
    (["train", "flux-mlp", "--epochs", "many"], "--epochs"),
    (["train", "flux-mlp", "--epochs", "0"], "epochs must be a whole number, at least 1, got 0"),
    (["train", "flux-mlp", "--g-loss", "wasserstein"], "--g-loss must be non_saturating or minimax, got 'wasserstein'"),
    (["train", "flux-mlp", "--seed", "-1"], "seed"),
    (["train", "flux-mlp", "--dataset", "mnist", "--data-dir", "nowhere"], "there is no folder nowhere"),
    (["train", "flux-mlp", "--dataset", "mnist", "--offline"], "give --data-dir DIR (or MINIGAN_DATA=DIR)"),
    (["train", "flux-mlp", "--dataset", "minst"], "unknown dataset 'minst'; did you mean mnist?"),
    (["train", "flux-mlp", "--sample-every", "often"], "--sample-every must be like 5 (epochs), 500steps or never"),
    (["train", "flux-mlp", "--preview-every", "-3"], "preview"),
    (["train", "--resume"], "--resume needs the folder of a run"),
    (["train", "--resume", "nowhere"], "nowhere is not a run: there is no config.json in it"),
    (["train", "--resume", "RUN"], "has been trained for 2 epochs; for more: minigan train --resume"),
    (
        ["train", "--resume", "RUN", "--lr-g", "1"],
        "lr_g was 0.0002 and is 1.0; put that back (--lr-g 0.0002), or accept it by name",
    ),
    (["train", "--resume", "RUN", "--epochs", "3", "--accept", "lr-h"], "unknown field 'lr_h'; did you mean lr_g?"),
    (
        ["train", "--resume", "RUN", "--latent-dim", "5", "--accept", "latent-dim"],
        "latent_dim cannot change within a run",
    ),
    (["train", "--keep", "0"], "--keep must be a whole number, at least 1, got 0"),
    (["train", "--resume", "RUN", "--epochs", "1"], "has been trained for 2 epochs"),
    (["train", "--average", "1.5", "--smoke"], "average must be a decay in [0, 1)"),
    (["export"], "which run? minigan export RUN"),
    (["export", "RUN", "--out", "G.pt"], "--out must end in .onnx, or in .safetensors for PyTorch, got G.pt"),
    (["export", "nowhere"], "nowhere is not a run"),
    (["sample", "nowhere.safetensors"], "there is no checkpoint nowhere.safetensors"),
    (["train", "--resume="], "--resume needs the folder of a run"),
    (["train", "--smoke", "--out", ""], "--out is empty; is it a variable of the shell that has no value?"),
    (["train", "--smoke", "--dataset="], "--dataset is empty; is it a variable of the shell that has no value?"),
    (["train", "\u2013-epochs", "3"], "'\u2013-epochs' begins with a dash that is no hyphen"),
    (["sample", "RUN", "\u2014count", "3"], "'\u2014count' begins with a dash that is no hyphen"),
    (["train", "--verbose"], "unknown flag '--verbose'; see minigan train best --help"),
    (["train", "flux-mlp", "--resume", "RUN"], "a run keeps its recipe: leave flux-mlp out of minigan train --resume"),
    (["train", "--resume", "RUN", "--penalty", "r1"], "trained otherwise: penalty was 'none' and is 'r1'"),
    (["train", "--smoke", "--dataset", "glyphs", "--images", "65"], "--drop-last"),
    (["recipes", "all"], "minigan recipes takes no arguments, got all"),
    (["info", "--verbose"], "minigan info takes no arguments, got --verbose"),
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
    # The word comes first, and there is one.
    (["train", "--epochs", "3", "quick-mlp"], "quick-mlp comes first: minigan train quick-mlp --epochs 3"),
    (["train", "--g-hidden", "8", "8", "best"], "best comes first: minigan train best --g-hidden 8 8"),
    (["train", "--smoke", "quick-mlp", "--seed=1"], "quick-mlp comes first: minigan train quick-mlp --smoke --seed=1"),
    (["train", "--epochs", "3", "quick-mpl"], "unknown recipe 'quick-mpl'; did you mean quick-mlp?"),
    (["sample", "--count", "5", "my run"], "my run comes first: minigan sample 'my run' --count 5"),
    (["evaluate", "--json", "x"], "x comes first: minigan evaluate x --json"),
    (["export", "--out", "G.onnx", "x"], "x comes first: minigan export x --out G.onnx"),
    (["gradcheck", "--batch", "3", "a.py:f"], "a.py:f comes first: minigan gradcheck a.py:f --batch 3"),
    (["bench", "--steps", "5", "best"], "best comes first: minigan bench best --steps 5"),
    (["exercise", "--epochs", "0", "dense"], "dense comes first: minigan exercise dense --epochs 0"),
    (["train", "quick-mlp", "flux-mlp"], "minigan train takes one recipe, got quick-mlp and flux-mlp"),
    (["sample", "RUN", "--count", "5", "more"], "minigan sample takes one run, got"),
    (["train", ""], "the first word is empty"),
    (["train", "Quick-MLP"], "unknown recipe 'Quick-MLP'; did you mean quick-mlp?"),
    # Values that are of another kind.
    (["train", "--epochs", "three"], "--epochs must be a whole number, such as --epochs 90, got 'three'"),
    (["train", "--epochs", "3.5"], "--epochs must be a whole number, such as --epochs 90, got '3.5'"),
    (["train", "--epochs="], "--epochs is empty; is it a variable of the shell that has no value?"),
    (["train", "--epochs"], "--epochs needs a whole number, such as --epochs 90"),
    (["train", "--beta1", "x"], "--beta1 must be a number, such as --beta1 0.0, got 'x'"),
    (["train", "--labels", "0.9"], "--labels needs 2 numbers, such as --labels 1.0 0.0, got 0.9"),
    (["train", "--labels", "1,0,0"], "--labels needs 2 numbers, such as --labels 1.0 0.0, got 1 0 0"),
    (["train", "--g-hidden", "128,x"], "--g-hidden must be whole numbers, such as --g-hidden 256 512, got 'x'"),
    (["train", "--g-hidden"], "--g-hidden needs whole numbers, such as --g-hidden 256 512"),
    (["train", "--device", "cuda"], "--device must be auto, cpu, gpu or dpnp, got 'cuda'"),
    (["train", "--offline", "yes"], "--offline takes no value, got yes; it is --offline or --no-offline"),
    (["train", "--no-alarms=1"], "--no-alarms takes no value, got 1; it is --no-alarms or --alarms"),
    (["train", "--keep", "-1"], "--keep must be a whole number, at least 1, got -1"),
    (["train", "--sample-every", "0.5"], "--sample-every must be like 5 (epochs), 500steps or never, got '0.5'"),
    (["train", "--dataset", "cifar10"], "unknown dataset 'cifar10'; known: auto, mnist, fashion-mnist, glyphs, or a"),
    (["sample", "RUN", "--out"], "--out needs a path, such as --out samples.png"),
    (["train", "--resume", "RUN", "--epochs", "x"], "--epochs must be a whole number, such as --epochs 2, got 'x'"),
    # Flags that are called otherwise.
    (["train", "--lr", "0.001"], "unknown flag '--lr'; did you mean --lr-g or --lr-d?"),
    (["train", "--learning-rate", "0.001"], "unknown flag '--learning-rate'; did you mean --lr-g or --lr-d?"),
    (["train", "--lr-G", "0.001"], "unknown flag '--lr-G'; did you mean --lr-g?"),
    (["train", "--batch", "3"], "unknown flag '--batch'; did you mean --batch-size?"),
    (["train", "--seeds", "3"], "unknown flag '--seeds'; did you mean --seed?"),
    (["train", "--gpu"], "unknown flag '--gpu'; did you mean --device?"),
    (["train", "--no-alarm"], "unknown flag '--no-alarm'; did you mean --no-alarms?"),
    (["train", "--no-shared-fake"], "unknown flag '--no-shared-fake'; did you mean --no-shared-fakes?"),
    (["train", "-e", "3"], "unknown flag '-e'; see minigan train best --help"),
    (["train", "--version"], "unknown flag '--version'; it is minigan --version"),
    (["train", "--resum", "RUN"], "unknown flag '--resum'; it is minigan train --resume RUN"),
    (["train", "--accept", "lr-g"], "unknown flag '--accept'; it is minigan train --resume RUN --accept FIELD"),
    (["train", "--resume", "RUN", "--seed", "3"], "a run keeps its seed: leave --seed out of minigan train --resume"),
    (["train", "RUN", "--resume"], "--resume needs the folder of a run behind it, such as --resume /"),
    # Commands that are called otherwise.
    (["--train"], "unknown command '--train'; did you mean train?"),
    (["plot"], "unknown command 'plot'; the curves of a run are in RUN/samples/curves.png"),
    (["resume", "RUN"], "unknown command 'resume'; it is minigan train --resume RUN"),
    (["version"], "unknown command 'version'; it is minigan --version"),
    (["help", "trian"], "unknown command 'trian'; did you mean train?"),
    # What would never happen.
    (
        ["train", "--epochs", "3", "--score-every", "5"],
        "--score-every 5 is beyond the last epoch, 3: nothing would ever",
    ),
    (["train", "--epochs", "3", "--keep-every", "5"], "--keep-every 5 is beyond the last epoch, 3: nothing would ever"),
    (
        ["train", "--resume", "RUN", "--epochs", "3", "--score-every", "5"],
        "--score-every 5 is beyond the last epoch, 3: nothing would ever be measured",
    ),
]


@pytest.mark.parametrize(("args", "message"), MISTAKES, ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_a_users_mistake_is_one_line_and_exit_code_2(args, message, finished_run, capsys):
    args = [str(finished_run) if a == "RUN" else a for a in args]
    with pytest.raises(SystemExit) as stop:
        main(args)
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.startswith("minigan: ")
    assert err.count("\n") == 1


def test_a_gpu_that_is_not_there_fails_with_the_reason_when_asked_for(monkeypatch, capsys):
    monkeypatch.setattr("minigan.backend.devices.why_no_gpu", lambda device: "no driver")
    with pytest.raises(SystemExit):
        main(["train", "flux-mlp", "--smoke", "--device", "gpu"])
    assert capsys.readouterr().err == "minigan: device 'gpu' cannot be used: no driver (minigan info tells more)\n"
    assert not Path("runs").exists()


def test_a_folder_that_holds_a_run_is_left_alone(finished_run, capsys):
    before = {p: p.read_bytes() for p in finished_run.rglob("*") if p.is_file()}
    with pytest.raises(SystemExit):
        main(["train", "flux-mlp", "--smoke", "--dataset", "glyphs", "--out", str(finished_run)])
    assert "already holds a run" in capsys.readouterr().err
    assert before == {p: p.read_bytes() for p in finished_run.rglob("*") if p.is_file()}


@pytest.mark.parametrize("damage", ["config", "recipe", "fields", "checkpoint", "no checkpoint"])
def test_a_damaged_run_cannot_be_sampled_and_says_why(finished_run, tmp_path, damage, capsys):
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
        shutil.rmtree(run / "checkpoints")
    with pytest.raises(SystemExit) as stop:
        main(["sample", str(run)])
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert ("checkpoint" if "checkpoint" in damage else "config.json") in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_exits_130_and_says_what_is_saved_and_how_to_go_on(monkeypatch, capsys, number, code):
    press(monkeypatch, 4, 1, number)
    with pytest.raises(SystemExit) as stop:
        main(["train", "pytorch-mlp", "--smoke", "--dataset", "glyphs"])
    assert stop.value.code == code
    said = capsys.readouterr()
    saved = "runs/pytorch-mlp-001/checkpoints/epoch-0000+0004.safetensors"
    assert f"Stopped after epoch 0 and 4 of the 7 steps of the next; what is saved last is {saved}\n" in said.out
    assert "minigan train --resume runs/pytorch-mlp-001\n" in said.out
    assert said.err == "minigan: interrupted\n"


def test_an_interrupted_run_goes_on_by_the_printed_command(capsys):
    main(["train", "--smoke", "--dataset", "glyphs"])
    main(["train", "--resume", "runs/best-001", "--epochs", "2"])
    out = capsys.readouterr().out
    assert "Going on with runs/best-001 (best on glyphs) after epoch 1" in out
    assert Path("runs/best-001/checkpoints/epoch-0002.safetensors").exists()
    with pytest.raises(SystemExit):
        main(["train", "--smoke", "--dataset", "glyphs", "--out", "runs/best-001"])
    assert "minigan train --resume runs/best-001" in capsys.readouterr().err


def test_without_a_recipe_the_default_is_trained_and_the_last_line_says_where_everything_is(capsys):
    main(["train", "--smoke", "--dataset", "glyphs", "--device", "cpu"])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "Everything is in runs/best-001; look at samples/samples.gif first."


def test_a_full_disk_is_one_line_with_the_file(monkeypatch, capsys):
    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SystemExit) as stop:
        main(["train", "--smoke", "--dataset", "glyphs", "--device", "cpu"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == "minigan: No space left on device: runs/best-001/config.json\n"


def test_a_diverging_run_is_one_line_with_what_to_do(capsys):
    flags = ["quick-mlp", "--smoke", "--dataset", "glyphs", "--device", "cpu", "--lr-g", "1e30", "--lr-d", "1e30"]
    for also in ([], ["--sample-every", "1steps"]):
        with pytest.raises(SystemExit) as stop:
            main(["train", *flags, *also])
        assert stop.value.code == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert "lower the learning rates (lr_g 1e+30, lr_d 1e+30)" in err


def test_a_disk_that_is_full_for_the_log_is_named_too(monkeypatch, capsys):
    import pathlib

    real = pathlib.Path.open

    def full(path, *args, **options):
        if path.name == "timing.jsonl" and args == ("a",):
            raise OSError(28, "No space left on device")
        return real(path, *args, **options)

    monkeypatch.setattr("pathlib.Path.open", full)
    with pytest.raises(SystemExit):
        main(["train", "--smoke", "--dataset", "glyphs", "--device", "cpu"])
    said = capsys.readouterr()
    assert said.err == "minigan: No space left on device: runs/best-001/timing.jsonl\n"
    assert "minigan train --resume runs/best-001" in said.out


PIPED = [
    "recipes",
    "info --help",
    "train --help",
    "train --recipe printing.py:X",
    "gradcheck printing.py:fail",
    "--help",
]


@pytest.mark.parametrize("args", PIPED)
def test_output_cut_off_by_head_is_no_traceback(args):
    Path("printing.py").write_text("print('x', flush=True)\n")
    Path("later.py").write_text("def say(): print('x', flush=True)\n")
    read, write = os.pipe()
    os.close(read)  # nobody reads, from the first letter on
    command = [sys.executable, "-m", "minigan", *args.split()]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


class Full(io.StringIO):
    def write(self, text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("args", ["train", "train --resume x", "sample run", "gradcheck"])
def test_help_that_nobody_can_be_shown_is_no_error_of_the_recipes(args, monkeypatch, capsys):
    for stdout, code in ((None, 0), (Full(), 2)):  # None: the shell has closed it
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stdout)
            with pytest.raises(SystemExit) as stop:
                main([*args.split(), "--help"])
        assert (stop.value.code or 0) == code
    assert capsys.readouterr().err == f"minigan: {os.strerror(errno.ENOSPC)}\n"


@pytest.mark.parametrize("env", [{}, {"PYTHONIOENCODING": "ascii"}], ids=str)
def test_a_pipe_gets_plain_lines_in_any_encoding(env):
    command = [sys.executable, "-m", "minigan", "train", "--smoke", "--offline", "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **env})
    assert (done.returncode, done.stderr) == (0, "")
    assert "Everything is in runs/best-001" in done.stdout
    assert "\x1b" not in done.stdout


def test_help_and_version_are_for_reading(capsys):
    main([])
    assert "minigan train [RECIPE]" in capsys.readouterr().out
    main(["--version"])
    assert capsys.readouterr().out == f"minigan {minigan.__version__}\n"
    for command in (["train"], ["train", "flux-mlp"], ["train", "--resume", "x"], ["sample"], ["recipes"], ["info"]):
        with pytest.raises(SystemExit) as stop:
            main([*command, "--help"])
        assert stop.value.code == 0
        assert "minigan" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["train", "flux-mlp", "--help"])
    out = capsys.readouterr().out
    assert "--lr-d" in out
    assert "Adam's learning rate" in out


@pytest.mark.parametrize(
    ("args", "usage"),
    [
        (["help"], "minigan 0"),
        (["-h"], "minigan 0"),
        (["help", "train"], "usage: minigan train best "),
        (["-h", "train"], "usage: minigan train best "),
        (["train", "help"], "usage: minigan train best "),
        (["train", "-h", "quick-mlp"], "usage: minigan train best "),
        (["help", "train", "quick-mlp"], "usage: minigan train quick-mlp "),
        (["train", "quick-mlp", "--epochs", "x", "--lr", "-h"], "usage: minigan train quick-mlp "),
        (["sample", "-h", "RUN"], "usage: minigan sample RUN "),
        (["sample", "help"], "usage: minigan sample RUN "),
        (["evaluate", "RUN", "-h"], "usage: minigan evaluate RUN "),
        (["help", "exercise"], "usage: minigan exercise NAME "),
        (["info", "help"], "minigan info: "),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_help_is_had_wherever_it_is_asked_for(args, usage, capsys):
    with contextlib.suppress(SystemExit):
        main(args)
    assert capsys.readouterr().out.startswith(usage)


def test_a_run_that_is_called_help_can_be_sampled(finished_run, capsys):
    shutil.copytree(finished_run, "help")
    main(["sample", "help"])
    assert "Wrote 100 images" in capsys.readouterr().out


HELPS = [
    *(["train", name] for name in RECIPES),
    ["train", "--resume", "x"],
    *([command] for command in ("sample", "evaluate", "report", "export", "gradcheck", "exercise", "bench")),
]


@pytest.mark.parametrize("args", HELPS, ids=" ".join)
def test_no_switch_is_explained_by_its_opposite(args, monkeypatch, capsys):
    """Of every boolean the help names both flags, and what is so by default, beside what the first of them does."""
    monkeypatch.setenv("COLUMNS", "300")
    parsed = []
    genuine = arguments.flags_of
    monkeypatch.setattr(arguments, "flags_of", lambda parts: parsed.append(list(parts)) or genuine(parsed[-1]))
    with pytest.raises(SystemExit):
        main([*args, "--help"])
    text = re.sub(r"[│\s]+", " ", capsys.readouterr().out)
    found = re.findall(r"--([\w-]+), --no-([\w-]+) (?:(?! --).)+ \(default: (True|False)\)", text)
    shown = {name: (also, default) for name, also, default in found}
    booleans = {
        field.name.replace("_", "-"): str(getattr(part, field.name))
        for part in parsed[0]
        for field in fields(part)
        if field.type in ("bool", bool)
    }
    assert shown == {name: (name, default) for name, default in booleans.items()}


def test_lists_are_taken_with_commas_and_with_spaces(capsys):
    for i, flags in enumerate(
        (["--g-hidden", "8,6", "--labels", "0.9,0.1"], ["--g-hidden=8,6", "--labels=(0.9, 0.1)"])
    ):
        main(["train", "quick-mlp", "--smoke", "--dataset", "glyphs", *flags, "--out", f"run{i}"])
        fields = json.loads(Path(f"run{i}/config.json").read_text())["fields"]
        assert (fields["g_hidden"], fields["labels"]) == ([8, 6], [0.9, 0.1])
    main(["train", "--resume", "run0", "--epochs", "2", "--lr-g", "0.1", "--lr-d", "0.1", "--accept", "lr-g,lr-d"])
    assert "after epoch 1" in capsys.readouterr().out


def test_recipes_lists_every_recipe_with_its_sizes_and_source(capsys):
    main(["recipes"])
    lines = capsys.readouterr().out.splitlines()
    for name, recipe in RECIPES.items():
        (line,) = [line for line in lines if line.startswith(f"{name} ")]
        G, D = recipe.networks(np.random.default_rng(0))
        for part in (f"{G.params.size:,}", f"{D.params.size:,}", recipe.source):
            assert part in line
    assert lines[-1].endswith("The default of minigan train is best.")


def test_info_says_what_decides_how_minigan_runs(monkeypatch, capsys):
    monkeypatch.setattr("minigan.cli.machine.why_no_gpu", lambda device: "no driver")
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    main(["info"])
    out = capsys.readouterr().out
    for part in (minigan.__version__, np.__version__, "threads", "kernel", "OPENBLAS_CORETYPE=Haswell", "no driver"):
        assert part in out
    assert "mnist" in out
    assert f"in {Path(minigan.__file__).parent}\n" in re.sub(r" *\n", "\n", out)  # the package, not a folder in it
    monkeypatch.setenv("MINIGAN_DATA", "/no/such/folder")
    main(["info"])
    assert "there is no folder /no/such/folder (from MINIGAN_DATA)" in capsys.readouterr().out


def test_info_says_why_only_one_core_is_used(monkeypatch):
    from minigan.cli import machine as info

    monkeypatch.setattr(info, "why_one_core", lambda: "1 of 2 cores, since")
    assert dict(info.facts())["threads"] == "1 of 2 cores, since"


@pytest.mark.parametrize(
    ("installed", "cuda", "said"),
    [
        ({}, 0, "not installed; no NVIDIA driver is found here"),
        ({}, 12, "-m pip install cupy-cuda12x"),
        ({}, 13, "-m pip install cupy-cuda13x"),
        ({"cupy-cuda12x": "14.2.0"}, 12, "cupy-cuda12x 14.2.0"),
        ({"cupy-cuda12x": "14.2.0", "cupy-cuda13x": "14.2.0"}, 12, "have overwritten each other's files"),
    ],
)
def test_info_says_which_cupy_to_install_or_that_two_disturb_each_other(monkeypatch, installed, cuda, said):
    from minigan.cli import machine as info

    monkeypatch.setattr(info.cuda, "wheels", lambda: installed)
    monkeypatch.setattr(info, "driver_cuda", lambda: cuda)
    assert said in info.cupy()


def test_importing_minigan_loads_no_plotting_no_gpu_and_no_network():
    code = "import sys, minigan.train, minigan.gradcheck; print([m for m in sys.modules if m in sys.argv[1:]])"
    heavy = ["matplotlib", "cupy", "numba", "PIL", "tyro", "safetensors", "rich", "pooch", "urllib.request", "socket"]
    loaded = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


# To other programs ---------------------------------------------------------------------------------------------------


def test_a_generator_is_exported_for_pytorch_with_the_code_that_takes_it(finished_run, capsys):
    from safetensors.numpy import load_file

    main(["export", str(finished_run), "--out", "G.safetensors"])
    said = capsys.readouterr()
    assert "nn.Linear(8, 16" in said.out
    assert said.err == "Wrote the generator to G.safetensors\n"
    assert load_file("G.safetensors")["0.weight"].shape == (16, 8)


@pytest.mark.extra
def test_a_generator_is_exported_to_onnx(finished_run, capsys):
    pytest.importorskip("onnx", reason="the extra onnx is not installed")
    main(["export", str(finished_run), "--out", "G.onnx"])
    assert capsys.readouterr().out == "Wrote the generator to G.onnx\n"
    assert Path("G.onnx").stat().st_size > 1000


def test_samples_are_drawn_from_any_checkpoint_by_name(finished_run, capsys):
    newest = finished_run / "checkpoints" / "epoch-0002.safetensors"
    for i, source in enumerate((finished_run, newest, newest.with_name("epoch-0001.safetensors"))):
        main(["sample", str(source), "--count", "5", "--out", f"{i}.npy"])
    by_run, by_name, older = (np.load(f"{i}.npy") for i in range(3))
    np.testing.assert_array_equal(by_run, by_name)
    assert not np.array_equal(by_run, older)
