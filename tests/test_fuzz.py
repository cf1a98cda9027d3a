"""Bad bytes: some cases of tests/fuzz/fuzz.py in every run of the tests, and each bug that it has found."""

import hashlib
import json
import shutil
import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from fuzz import fuzz
from fuzz.base import small
from fuzz.files import idx, networks, state
from fuzz.judge import MB, Meter, Violation, same, watched, within
from fuzz.mutations import DEEP, DIGITS, dumps, pack, seal, unpack
from runfolder import contents, resume

from minigan.data.glyphs import make_glyphs
from minigan.data.idx import read_idx
from minigan.errors import CheckpointError, RunMissingError
from minigan.runs.run import Run
from minigan.runs.saved import checkpoints, read_saved
from minigan.store.checkpoint import load_checkpoint, save_checkpoint
from minigan.store.tensors import array_facts, read_tensors, write_tensors
from minigan.train import Trainer
from minigan.watch.logs import best_epoch, keep_rows, read_rows

pytestmark = pytest.mark.usefixtures("elsewhere")


def cases(name, seed, count, folder):
    target, meter = fuzz.TARGETS[name](folder), Meter()
    with watched(memory=fuzz.MEMORY):
        for number in range(count):
            try:
                fuzz.run_case(target, seed, number, meter)
            except Exception as error:  # whatever it is, its number is what one needs to see it again
                raise Violation(f"--only {name} --seed {seed} --case {number}: {error!r}") from error


FEW = {"idx": 300, "tensors": 100, "checkpoint": 60, "network": 60, "saved": 40, "run": 15, "resume": 5}


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_damaged_files_end_in_the_right_data_or_in_one_typed_error(name, tmp_path):
    cases(name, 0, FEW[name], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_many_damaged_files_end_in_the_right_data_or_in_one_typed_error(name, tmp_path):
    cases(name, 1, 20 * FEW[name], tmp_path)


def test_the_fuzzer_sees_a_crash_a_hang_a_gluttony_and_a_partial_load(tmp_path, monkeypatch):
    meter = Meter()
    with watched():
        with pytest.raises(KeyError):
            meter.attempt(0, 0, {}.__getitem__, "x")
        with pytest.raises(Violation, match="bytes of memory for 10 honest ones"):
            meter.attempt(10, MB, bytes, 2 * MB)
    with pytest.raises(fuzz.Hang), within(0.01):
        time.sleep(60)
    monkeypatch.setattr(
        "minigan.store.checkpoint.check_alike", lambda *args: None
    )  # optimisers are no longer looked at
    with pytest.raises(Violation):
        cases("checkpoint", 0, 300, tmp_path)


# IDX -----------------------------------------------------------------------------------------------------------------


def test_an_idx_file_is_read_and_hashed_without_a_copy(tmp_path):
    data = idx(np.arange(500_000, dtype=">f8"), 0x0E)
    (tmp_path / "x").write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    tracemalloc.start()
    try:
        array = read_idx(tmp_path / "x", sha256=sha256)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * len(data) + MB
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array, np.arange(500_000))


# Checkpoints ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        DEEP,
        DIGITS,
        [],
        3,
        None,
        {},
        {"format": 2},
        {"tensors": {}},
        *({"format": 2, "tensors": t} for t in (3, "x", None)),
    ],
    ids=str,
)
def test_a_document_that_minigan_never_wrote_is_refused_though_its_hash_is_right(tmp_path, document):
    (tmp_path / "c").write_bytes(seal(document, {}))
    with pytest.raises(CheckpointError, match="is not of format 2"):
        read_tensors(tmp_path / "c")


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1] * 70, "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [0, 2**62], "data_offsets": [0, 0]},
    ],
    ids=str,
)
def test_a_tensor_of_a_type_or_a_shape_that_numpy_lacks_is_one_error(tmp_path, entry):
    array = np.ones(1, np.float32)  # the package onnx, once imported, teaches NumPy bfloat16
    header, body = unpack(seal({"format": 2, "tensors": {"x": array_facts(array)}}, {"x": array}))
    (tmp_path / "c").write_bytes(pack({**header, "x": entry}, body[: entry["data_offsets"][1]]))
    with pytest.raises(CheckpointError, match=r"cannot be read as a checkpoint|hash of x does not match"):
        read_tensors(tmp_path / "c")


@pytest.mark.parametrize(
    "steps", [[], "x", {}, *({"g": n, "d": 1} for n in (-1, True, 1.0, "1", None, 2**64))], ids=str
)
def test_steps_of_an_optimiser_that_cannot_be_counted_on_from_are_refused_and_nothing_is_touched(tmp_path, steps):
    save_checkpoint(tmp_path / "c", *networks(1))
    header, tensors = read_tensors(tmp_path / "c")
    write_tensors(tmp_path / "c", tensors, **{**header, "optimizer_steps": steps})
    owners = networks(2)
    before = state(*owners)
    with pytest.raises(CheckpointError, match=r"does not hold the state of [gd] \(steps\)"):
        load_checkpoint(tmp_path / "c", *owners)
    after = state(*owners)
    assert same(before[0], after[0])
    assert before[1:] == after[1:]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"recipe": []}, "names no recipe"),
        ({"seed": -1}, "seed is no number from 0"),
        ({"seed": True}, "seed is of type bool, not int"),
        ({"step": 21.0}, "step is of type float"),
        ({"epoch": -1}, "epoch is no number from 0"),
        ({"history": {"rows": 12}}, "history.sha256 is of type NoneType"),
        ({"dataset": {"name": "glyphs"}}, "dataset.images"),
        ({"dataset": 3}, "dataset is of type int"),
        ({"means": {}}, "means.interval"),
        ({"means": {n: {"sums": {"d_loss": 1.0}, "counts": {}} for n in ("interval", "whole")}}, "sums.d_loss|d_loss"),
        (
            {"means": {n: {"sums": {"x": "1"}, "counts": {"x": 1}} for n in ("interval", "whole")}},
            "sums.x is of type str",
        ),
    ],
    ids=str,
)
def test_a_checkpoint_that_says_nonsense_of_its_run_is_refused(copy, changes, match):
    header, tensors = read_tensors(copy.checkpoint)
    write_tensors(copy.checkpoint, tensors, **{**header, **changes})
    with pytest.raises(CheckpointError, match=match):
        read_saved(copy.checkpoint)


def test_another_epochs_checkpoint_under_the_newest_ones_name_is_refused_and_the_run_goes_back(whole, copy):
    shutil.copy(checkpoints(copy.folder)[0], copy.checkpoint)
    with pytest.raises(CheckpointError, match="was saved after epoch 2, and not after 3 as its name says"):
        copy.sample(1)
    with small():
        ended = contents(resume(copy.folder, epochs=3))
    assert ended["checkpoints/epoch-0003.aside"]
    for name in ("checkpoints/epoch-0003.safetensors", "metrics.jsonl"):
        assert ended[name] == contents(whole)[name]


def test_a_last_gradient_of_another_shape_leaves_the_trainer_as_it_was(whole, tmp_path):
    recipe = replace(whole.recipe, d_steps=2)
    header, tensors = read_tensors(whole.checkpoint)
    header["fields"]["d_steps"] = 2
    trainer = Trainer(recipe, make_glyphs(200)[0], seed=5)
    before = state(trainer.networks, trainer.optimizers)
    for grads in (None, np.zeros(3, np.float32)):
        kept = {} if grads is None else {"last.G": grads}
        write_tensors(tmp_path / "x.safetensors", {**tensors, **kept}, **header)
        with pytest.raises(CheckpointError, match=r"last.G is .* and should be float32"):
            read_saved(tmp_path / "x.safetensors").into(trainer)
        assert same(before[0], state(trainer.networks, trainer.optimizers)[0])


# A run's folder ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [b"\xff\xfe{}", dumps(DEEP).encode(), b"\x80", dumps({"step": DIGITS}).encode()])
def test_a_line_that_is_no_text_or_no_row_ends_the_rows_and_is_cut_off(tmp_path, bad):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"step": 1}\n' + bad + b'\n{"step": 3}\n')
    assert read_rows(path) == [{"step": 1}]
    keep_rows(path, 9)
    assert path.read_bytes() == b'{"step": 1}\n'


def test_a_row_that_lacks_what_is_counted_on_is_not_whole(copy):
    (copy.folder / "quality.jsonl").write_text('{"step": 7, "epoch": 1, "frechet": 5}\n{"step": 14, "epoch": 2}\n')
    assert best_epoch(copy.folder) == 1
    (copy.folder / "timing.jsonl").write_text('{"step": 7}\n')
    (copy.folder / "alarms.jsonl").write_text('{"step": 7, "alarm": 3}\n')
    assert copy.alarms() == []
    with small():
        assert resume(copy.folder, epochs=4).epoch == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": float("inf")},
        {"seed": 0.0},
        {"data_dir": 3},
        {"changes": None},
        {"keep": "2"},
        {"sample_every": 1},
        *({"dataset": {"name": "glyphs", "images": 200, "sha256": "x", **d}} for d in ({"images": 200.0}, {"path": 3})),
    ],
    ids=str,
)
def test_an_entry_of_a_config_that_is_of_another_type_is_one_error(copy, changes):
    (copy.folder / "config.json").write_text(json.dumps({**copy.config, **changes}))
    with pytest.raises(RunMissingError, match=r"config.json cannot be read \(TypeError: .* is of type"):
        Run(copy.folder)


def test_a_config_that_is_no_text_or_no_file_is_one_error(copy):
    (copy.folder / "config.json").write_bytes(b"\xff" * 30)
    with pytest.raises(RunMissingError, match=r"config.json cannot be read \(UnicodeDecodeError"):
        Run(copy.folder)
    (copy.folder / "config.json").unlink()
    (copy.folder / "config.json").mkdir()
    with pytest.raises(RunMissingError, match=r"config.json cannot be read \(IsADirectoryError"):
        Run(copy.folder)
