"""Going on with a run: to the bit, whatever stopped it, and never with something else than what was trained."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from runfolder import contents, press, resume, start

from minigan import runs
from minigan.data.glyphs import make_glyphs
from minigan.errors import (
    ArgumentError,
    CheckpointError,
    DataMissingError,
    DivergenceError,
    RunBusyError,
)
from minigan.recipes import RECIPES
from minigan.runs import resumable as going_on
from minigan.runs.interrupt import SIGNALS, Interrupted, Stop
from minigan.runs.run import draw
from minigan.runs.saved import checkpoints
from minigan.runs.saver import CheckpointSaver, Keep
from minigan.store.checkpoint import load_checkpoint
from minigan.store.tensors import read_tensors, write_tensors
from minigan.train import Trainer
from minigan.watch import pictures
from minigan.watch.logs import best_epoch, read_rows

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_a_run_resumed_from_an_epochs_end_is_to_the_bit_the_run_that_was_never_stopped(whole, tmp_path):
    start(tmp_path / "run", epochs=1)
    assert contents(resume(tmp_path / "run", epochs=3)) == contents(whole)


FAST = ("quick-mlp", "pytorch-mlp")


@pytest.mark.parametrize("name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in RECIPES])
def test_every_recipe_resumes_to_the_bit(name, tmp_path):
    recipe = RECIPES[name]
    straight = start(tmp_path / "straight", recipe=recipe.smoke(), epochs=2, log_every=0)
    start(tmp_path / "stopped", recipe=recipe.smoke(), epochs=1, log_every=0)
    assert contents(resume(tmp_path / "stopped", epochs=2)) == contents(straight)


@pytest.mark.parametrize(
    ("step", "number"),
    [
        pytest.param(1, signal.SIGTERM, id="shutdown"),
        pytest.param(9, signal.SIGINT, id="ctrl-c"),
        pytest.param(20, signal.SIGINT, id="late", marks=pytest.mark.slow),
    ],
)
def test_a_run_stopped_within_an_epoch_ends_cleanly_and_goes_on_to_the_same_bits(
    whole, tmp_path, monkeypatch, step, number
):
    said = []
    with monkeypatch.context() as patch:
        press(patch, step, 1, number)
        with pytest.raises(Interrupted) as stop:
            start(tmp_path / "run", say=said.append)
    assert stop.value.number == number
    epoch, steps = divmod(step, 7)
    saved = tmp_path / "run" / "checkpoints" / f"epoch-{epoch:04d}+{steps:04d}.safetensors"
    assert said[-2:] == [
        f"Stopped after epoch {epoch} and {steps} of the 7 steps of the next; what is saved last is {saved}",
        f"Go on from there: minigan train --resume {tmp_path / 'run'}",
    ]
    for name in ("samples.gif", "interpolation.png"):
        with Image.open(tmp_path / "run" / "samples" / name) as image:
            image.load()
    assert contents(resume(tmp_path / "run")) == contents(whole)


def test_a_second_ctrl_c_leaves_at_once_and_nothing_is_lost_but_the_steps_since_the_checkpoint(
    whole, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        press(patch, 9, 2)
        with pytest.raises(Interrupted):
            start(tmp_path / "run")
    assert [p.stem for p in checkpoints(tmp_path / "run")] == ["epoch-0000", "epoch-0001"]
    assert not (tmp_path / "run" / "samples" / "samples.gif").exists()
    assert contents(resume(tmp_path / "run")) == contents(whole)


def test_ctrl_c_is_ones_own_again_after_training():
    before = [signal.getsignal(number) for number in SIGNALS]
    with Stop():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_run_in_another_thread_than_the_main_one_leaves_signals_alone(tmp_path):
    import threading

    thread = threading.Thread(target=start, args=(tmp_path / "run",), kwargs={"epochs": 1})
    thread.start()
    thread.join()
    assert runs.Run(tmp_path / "run").is_finished()


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"d_steps": 3}, {"d_warmup": 9}, {"epoch_steps": 4}, {"packing": 2}], ids=str)
def test_every_schedule_goes_on_from_the_middle_to_the_bit(tmp_path, monkeypatch, changes):
    straight = start(tmp_path / "straight", epochs=2, drop_last=True, **changes)
    with monkeypatch.context() as patch:
        press(patch, 5)
        with pytest.raises(Interrupted):
            start(tmp_path / "run", epochs=2, drop_last=True, **changes)
    assert contents(resume(tmp_path / "run")) == contents(straight)


@pytest.mark.slow
def test_the_interval_of_the_sheets_is_kept_when_the_run_goes_on(tmp_path, monkeypatch):
    straight = start(tmp_path / "straight", sample_every=2)
    assert sorted(p.name for p in (straight.folder / "samples").glob("epoch-*")) == [
        f"epoch-000{i}.png" for i in (0, 2, 3)
    ]
    with monkeypatch.context() as patch:
        press(patch, 9)
        with pytest.raises(Interrupted):
            start(tmp_path / "run", sample_every=2)
    assert contents(resume(tmp_path / "run")) == contents(straight)


class Fault:
    """Stands in for a method and raises, the first time that it is called."""

    def __init__(self, error):
        self.error = error

    def __call__(self, *args):
        raise self.error


@pytest.mark.parametrize("where", ["start", "epoch_end", "finish"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")], ids=["ctrl-c", "disk"])
def test_a_stop_at_any_place_is_told_as_it_is_and_the_printed_command_goes_on(
    whole, tmp_path, monkeypatch, where, error
):
    said = []
    with monkeypatch.context() as patch:
        patch.setattr(pictures.Pictures, where, Fault(error))
        with pytest.raises(type(error)):
            start(tmp_path / "my run", say=said.append)
    stopped = {"start": "after epoch 0", "epoch_end": "after epoch 1", "finish": "while drawing the last pictures"}[
        where
    ]
    saved = tmp_path / "my run" / "checkpoints" / f"epoch-000{3 if where == 'finish' else 0}.safetensors"
    assert said[-2:] == [
        f"Stopped {stopped}; what is saved last is {saved}",
        f"Go on from there: minigan train --resume '{tmp_path / 'my run'}'",
    ]
    assert contents(resume(tmp_path / "my run")) == contents(whole)


def test_a_run_remembers_its_folder_of_data(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    run = start(tmp_path / "run", data_dir=tmp_path / "data")
    assert run.config["data_dir"] == str(tmp_path / "data")
    asked = []
    real = going_on.load_recorded
    monkeypatch.setattr(going_on, "load_recorded", lambda r, **o: asked.append(o["data_dir"]) or real(r, **o))
    resume(run.folder, epochs=4)
    assert asked == [str(tmp_path / "data")]


def test_a_run_on_a_folder_of_images_goes_on_with_that_folder_whatever_the_environment_says(tmp_path, monkeypatch):
    folder = tmp_path / "images"
    folder.mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("MINIGAN_DATA", str(tmp_path / "elsewhere"))
    images = make_glyphs(200)[0]
    (folder / "x.idx").write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 200, 0, 0, 0, 28, 0, 0, 0, 28]) + images.tobytes())
    start(tmp_path / "run", epochs=1, dataset=str(folder))
    assert resume(tmp_path / "run", epochs=2).dataset["name"] == "images"
    folder.rename(tmp_path / "moved")
    with pytest.raises(DataMissingError, match=r"images, which is gone; give the new place: --data-dir DIR"):
        resume(tmp_path / "run", epochs=3)
    assert resume(tmp_path / "run", epochs=3, data_dir=tmp_path / "moved").epoch == 3


def test_rows_behind_the_checkpoint_and_a_half_written_one_are_cut_off(whole, tmp_path):
    run = start(tmp_path / "run", epochs=1)
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 8, "epoch": 1, "d_loss": 99}\n{"step": 10, "ep')
    (run.folder / "timing.jsonl").unlink()
    assert contents(resume(run.folder, epochs=3)) == contents(whole)


def test_time_goes_on_where_it_stopped(copy):
    before = read_rows(copy.folder / "timing.jsonl")
    (copy.folder / "timing.jsonl").write_text(
        "".join(json.dumps({**row, "seconds": row["seconds"] + 1000}) + "\n" for row in before)
    )
    resume(copy.folder, epochs=4)
    seconds = [row["seconds"] for row in read_rows(copy.folder / "timing.jsonl")]
    assert seconds == sorted(seconds)
    assert seconds[-1] > 1000


def test_a_resumed_run_keeps_its_recipe_its_seed_and_its_images(copy):
    run = resume(copy.folder, epochs=4)
    assert run.config["fields"] == {**copy.config["fields"], "epochs": 4}
    assert (run.seed, run.dataset) == (copy.seed, copy.dataset)


def test_a_finished_run_says_how_to_train_it_for_longer(whole):
    with pytest.raises(ArgumentError, match=r"trained for 3 epochs; for more: .* --resume .*whole --epochs 6"):
        resume(whole.folder)


def test_images_that_have_changed_are_refused(copy):
    config = json.loads((copy.folder / "config.json").read_text())
    config["dataset"]["sha256"] = "00" * 32
    (copy.folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"dataset.sha256 was '5e1f.*and is '00.*; put the run's own back, or"):
        resume(copy.folder, epochs=4)


@pytest.mark.parametrize("name", ["g_optimizer.m", "d_optimizer.v", "average.0.Dense.W"])
def test_a_checkpoint_without_the_whole_state_is_refused_and_nothing_is_touched(copy, name):
    header, tensors = read_tensors(copy.checkpoint)
    del tensors[name]
    write_tensors(copy.checkpoint, tensors, **header)
    trainer = Trainer(copy.recipe, make_glyphs(200)[0], seed=5)
    before = trainer.G.params.copy()
    with pytest.raises(CheckpointError, match=name.split(".")[0] if "optimizer" in name else "0.Dense.W"):
        load_checkpoint(copy.checkpoint, trainer.networks, trainer.optimizers)
    np.testing.assert_array_equal(trainer.G.params, before)
    assert trainer.g_optimizer.steps == 0


# What cannot be gone on with -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [lambda p: p.write_bytes(p.read_bytes()[:-10]), lambda p: p.unlink()])
def test_a_run_whose_newest_checkpoint_is_cut_or_lost_goes_back_one_and_ends_with_the_same_bits(whole, copy, damage):
    damage(copy.checkpoint)
    said = []
    resumed = contents(resume(copy.folder, epochs=3, say=said.append))
    resumed.pop("checkpoints/epoch-0003.aside", None)
    assert resumed == contents(whole)
    assert any("Going on with" in line and "after epoch 2" in line for line in said)


def test_a_damaged_checkpoint_is_told_and_set_aside_not_deleted(copy):
    newest = copy.checkpoint
    newest.write_bytes(b"cut")
    said = []
    resume(copy.folder, epochs=3, say=said.append)
    assert said[0].startswith(f"{newest} cannot be read as a checkpoint")
    assert said[0].endswith("going back to epoch-0002.safetensors")
    assert newest.with_suffix(".aside").read_bytes() == b"cut"


def test_a_run_without_a_whole_checkpoint_is_one_error_that_says_what_is_wrong_with_the_newest(copy):
    for path in checkpoints(copy.folder):
        path.write_bytes(path.read_bytes()[:100])
    said = []
    with pytest.raises(CheckpointError, match=r"epoch-0003.safetensors cannot be read as a checkpoint"):
        resume(copy.folder, epochs=4, say=said.append)
    assert len(said) == len(checkpoints(copy.folder)) - 1  # none goes back from the oldest


def test_lost_rows_of_metrics_are_made_again_from_an_older_checkpoint_or_accepted_by_name(whole, copy):
    metrics = copy.folder / "metrics.jsonl"
    rows = metrics.read_text().splitlines(keepends=True)
    metrics.write_text("".join(rows[:-2]))  # the last epoch's are not whole, the second epoch's are
    assert contents(resume(copy.folder, epochs=3)) == {
        **contents(whole),
        "checkpoints/epoch-0003.aside": (whole.folder / "checkpoints/epoch-0003.safetensors").read_bytes(),
    }
    metrics.unlink()
    with pytest.raises(CheckpointError, match=r"metrics.jsonl holds 0 whole rows .*--accept metrics"):
        resume(copy.folder, epochs=4)
    assert resume(copy.folder, epochs=4, accept=["metrics"]).epoch == 4


def test_a_row_of_metrics_that_was_changed_is_noticed(copy):
    metrics = copy.folder / "metrics.jsonl"
    metrics.write_text(metrics.read_text().replace('"d_loss": 0.', '"d_loss": 1.', 1))
    with pytest.raises(CheckpointError, match=r"not the 12 that epoch-0003.safetensors was saved with"):
        resume(copy.folder, epochs=4)


def test_a_changed_number_of_the_recipe_is_refused_with_the_list_of_differences(copy):
    told = r"otherwise: lr_g was 0.001 and is 0.5, beta1 was .* and is 0.25; put that back "
    told += r"\(--lr-g 0.001 --beta1 .*\), or accept it by name: "
    with pytest.raises(CheckpointError, match=told + "--accept lr-g beta1"):
        resume(copy.folder, epochs=4, lr_g=0.5, beta1=0.25)
    with pytest.raises(CheckpointError, match="beta1"):
        resume(copy.folder, epochs=4, lr_g=0.5, beta1=0.25, accept=["lr-g"])
    config = json.loads((copy.folder / "config.json").read_text())
    config["fields"]["lr_d"] = 0.25  # by hand
    (copy.folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"lr_d was 0.001 and is 0.25"):
        resume(copy.folder, epochs=4)
    assert copy.epoch == 3


def test_a_change_that_is_accepted_by_name_takes_effect_and_is_written_down(whole, copy, tmp_path):
    run = resume(copy.folder, epochs=4, lr_g=0.5, accept=["lr-g"])
    assert (run.recipe.lr_g, run.recipe.epochs) == (0.5, 4)
    assert run.config["changes"] == [{"epoch": 3, "lr_g": [0.001, 0.5]}]
    same = shutil.copytree(whole.folder, tmp_path / "same")
    assert not np.array_equal(resume(same, epochs=4).generator().params, run.generator().params)


def test_what_was_accepted_once_need_not_be_again_if_the_run_is_killed_at_once(copy, monkeypatch):
    (copy.folder / "metrics.jsonl").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(pictures.Pictures, "start", Fault(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space"):
            resume(copy.folder, epochs=4, lr_g=0.5, accept=["lr-g", "metrics"])
    assert resume(copy.folder).recipe.lr_g == 0.5


@pytest.mark.parametrize("change", [{"batch_size": 20}, {"g_hidden": (9, 16)}, {"images": 150}], ids=str)
def test_what_the_networks_or_the_order_of_the_images_depend_on_can_not_be_accepted(copy, change):
    with pytest.raises(ArgumentError, match="cannot change within a run"):
        resume(copy.folder, epochs=4, accept=list(change), **change)


def test_a_header_that_claims_a_huge_network_is_refused_before_any_of_it_is_made(copy):
    header, tensors = read_tensors(copy.checkpoint)
    header["fields"]["g_hidden"] = [10**6, 10**6]
    write_tensors(copy.checkpoint, tensors, **header)
    with pytest.raises(CheckpointError, match=r"0.Dense.W is \(8, 16\) and should be \(8, 1000000\)"):
        copy.generator()


def test_layers_that_have_become_others_of_the_same_shapes_are_refused(copy):
    header, tensors = read_tensors(copy.checkpoint)
    header["architecture"]["D"][1] = "LeakyReLU(slope=0.01)"
    write_tensors(copy.checkpoint, tensors, **header)
    with pytest.raises(CheckpointError, match=r"D was .*slope=0.01.* and is now .*slope=0.2"):
        copy.generator()


def test_two_processes_never_train_in_one_folder(copy):
    code = "import sys, time; from pathlib import Path; from minigan.runs.folder import locked\n"
    code += "with locked(Path(sys.argv[1])): print('mine', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(copy.folder)], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"mine\n"
        with pytest.raises(RunBusyError, match=r"another process, or this one, is training in .*copy; wait for it"):
            resume(copy.folder, epochs=4)
        other.kill()  # the lock goes with the process, however that ends
    assert resume(copy.folder, epochs=4).epoch == 4


def test_what_a_killed_process_left_half_written_is_swept_up(copy):
    litter = copy.folder / "checkpoints" / ".epoch-0004.safetensors.123.tmp"
    litter.write_bytes(b"half")
    resume(copy.folder, epochs=4)
    assert not litter.exists()


def test_a_clock_that_goes_backwards_changes_nothing(copy):
    for i, path in enumerate(sorted(copy.folder.rglob("*"))):
        os.utime(path, (1_000_000 - i, 1_000_000 - i))
    with pytest.raises(ArgumentError, match="has been trained for 3 epochs"):
        resume(copy.folder)
    assert resume(copy.folder, epochs=4).epoch == 4


def test_a_diverged_run_is_an_error_that_leaves_the_last_good_checkpoint(copy, monkeypatch):
    def diverge(self, means):
        raise DivergenceError("d_loss is NaN")

    monkeypatch.setattr(Trainer, "row", diverge)
    with pytest.raises(DivergenceError):
        resume(copy.folder, epochs=4)
    assert copy.epoch == 3
    assert copy.sample(3).shape == (3, 28, 28)


# Which checkpoints stay ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keep", "best", "kept"),
    [
        (Keep(), None, [(8, 0), (9, 0), (9, 4), (9, 6)]),
        (Keep(1), None, [(9, 0), (9, 6)]),
        (Keep(1, every=3), None, [(3, 0), (6, 0), (9, 0), (9, 6)]),
        (Keep(1), 5, [(5, 0), (9, 0), (9, 6)]),
    ],
)
def test_the_last_few_stay_and_one_every_so_often_and_the_best(keep, best, kept):
    places = [*((epoch, 0) for epoch in range(10)), (8, 3), (9, 2), (9, 4), (9, 6)]
    assert sorted(keep.choose(places, best)) == kept


@pytest.mark.slow
def test_checkpoints_are_saved_and_kept_as_often_as_one_asks(tmp_path, monkeypatch):
    run = start(tmp_path / "run", epochs=7, save_every=2, keep=1, keep_every=4)
    assert [p.stem for p in checkpoints(run.folder)] == ["epoch-0004", "epoch-0007"]
    seen = []
    real = CheckpointSaver.save
    monkeypatch.setattr(CheckpointSaver, "save", lambda self, t: seen.append(real(self, t).stem))
    start(tmp_path / "steps", epochs=1, save_every="3steps")
    assert seen == ["epoch-0000", "epoch-0000+0003", "epoch-0000+0006", "epoch-0001"]


@pytest.mark.slow
def test_the_best_by_frechet_distance_stays_and_a_resume_measures_the_same(tmp_path, monkeypatch):
    options = {"epochs": 4, "keep": 1, "score_every": 1}
    monkeypatch.setattr("minigan.watch.best_epoch.SAMPLES", 150)
    straight = start(tmp_path / "straight", **options)
    scores = [row["frechet"] for row in read_rows(straight.folder / "quality.jsonl")]
    assert len(scores) == 4
    best = best_epoch(straight.folder)
    assert best == 1 + int(np.argmin(scores))
    assert {p.stem for p in checkpoints(straight.folder)} == {f"epoch-{best:04d}", "epoch-0004"}
    with monkeypatch.context() as patch:
        press(patch, 17)
        with pytest.raises(Interrupted):
            start(tmp_path / "run", **options)
    assert contents(resume(tmp_path / "run")) == contents(straight)


def test_an_impossible_number_of_checkpoints_is_named(tmp_path):
    for options, match in (
        ({"keep": 0}, "--keep must be a whole number, at least 1, got 0"),
        ({"keep_every": -1}, "--keep-every must be a whole number, at least 0"),
        ({"save_every": "often"}, "--save-every must be like"),
        ({"score_every": -1}, "--score-every must be a whole number of epochs"),
    ):
        with pytest.raises(ArgumentError, match=match):
            start(tmp_path / "run", **options)


def test_a_checkpoint_draws_alone_without_its_run(whole, tmp_path):
    alone = shutil.copy(whole.checkpoint, tmp_path / "mine.safetensors")
    np.testing.assert_array_equal(draw(Path(alone), 5, seed=3), whole.sample(5, seed=3))
    older = checkpoints(whole.folder)[0]
    np.testing.assert_array_equal(draw(older, 5), runs.Run(older).sample(5))
    assert not np.array_equal(draw(older, 5), whole.sample(5))
