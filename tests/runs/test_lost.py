"""Files of a run that are lost, or in the way: it goes on where it can, or one line says what to do, which works."""

import json
import os
import shlex
import shutil

import numpy as np
import pytest
from runfolder import contents, resume, start

from minigan import runs
from minigan.cli.main import main
from minigan.cli.train import RunOptions
from minigan.errors import CheckpointError, MiniganError, RunExistsError, RunFolderError, RunMissingError
from minigan.recipes import RECIPES
from minigan.runs import evaluation as evaluate
from minigan.runs import lost
from minigan.runs.exporting import export
from minigan.runs.saved import checkpoints
from minigan.runs.settings import RECORDED
from minigan.watch.logs import read_rows

pytestmark = pytest.mark.usefixtures("elsewhere")


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def tree(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def refused(copy):
    """A function: the one line with which going on is refused, and nothing is touched."""

    def line(kind, **options):
        before = tree(copy.folder)
        with pytest.raises(kind) as error:
            resume(copy.folder, epochs=4, **options)
        assert tree(copy.folder) == before
        assert "\n" not in str(error.value)
        return str(error.value)

    return line


@pytest.fixture(scope="module")
def longer(whole, tmp_path_factory):
    """The contents of the whole run, gone on with to a fourth epoch."""
    folder = shutil.copytree(whole.folder, tmp_path_factory.mktemp("longer") / "run")
    return contents(resume(folder, epochs=4))


# config.json ---------------------------------------------------------------------------------------------------------


def test_a_run_without_its_config_goes_on_to_the_same_bits_and_one_line_says_so(copy, longer):
    (copy.folder / "config.json").unlink()
    said = []
    run = resume(copy.folder, epochs=4, device="cpu", say=said.append)
    assert contents(run) == longer
    assert [line for line in said if "config.json" in line] == [
        f"{copy.folder / 'config.json'} is gone; what it said of the run is taken from epoch-0003.safetensors, and the "
        "rest is as by default: device auto, sample-every 1, save-every 1, keep 2, keep-every 0, score-every 0."
    ]


def test_what_a_run_has_without_its_config_is_what_a_new_one_has_by_default(copy):
    (copy.folder / "config.json").unlink()
    settings = runs.Run(copy.folder).settings
    assert settings == {key: getattr(RunOptions(), key) for key in RECORDED}


@pytest.mark.parametrize("also", ["metrics.jsonl", "samples", "the newest checkpoint"])
def test_without_its_config_a_run_may_lack_more(copy, also):
    newest = copy.checkpoint
    (copy.folder / "config.json").unlink()
    newest.write_bytes(b"cut") if "newest" in also else remove(copy.folder / also)
    run = resume(copy.folder, epochs=4, accept=["metrics"] if also == "metrics.jsonl" else ())
    assert (run.epoch, run.recipe.epochs, run.is_finished()) == (4, 4, True)


def test_a_finished_run_without_its_config_and_its_pictures_gets_them_back(copy):
    (copy.folder / "config.json").unlink()
    remove(copy.folder / "samples")
    run = resume(copy.folder)
    assert run.is_finished()
    assert {path.name for path in (copy.folder / "samples").iterdir()} == {
        *("real.png", "epoch-0003.png", "curves.png", "samples.gif", "interpolation.png")
    }


def test_every_command_reads_a_run_without_its_config_and_says_so_in_one_line(copy, whole, tmp_path, capsys):
    (copy.folder / "config.json").unlink()
    for args in (["sample", "--out", "a.npy"], ["export", "--out", "g.safetensors"]):
        main([args[0], str(copy.folder), *args[1:]])
        out, err = capsys.readouterr()
        assert (out + err).count("config.json is gone; what it said of the run is taken from epoch-0003") == 1
        assert "is gone" in (err if args[0] == "export" else out)  # standard output has the code
    np.testing.assert_array_equal(np.load("a.npy"), whole.sample(100))
    said = []
    export(copy.folder, tmp_path / "again.safetensors", say=said.append)
    assert len(said) == 1
    run = runs.Run(copy.folder)
    assert (run.recipe, run.seed, run.dataset) == (whole.recipe, whole.seed, whole.dataset)
    assert "after 3 of 3 epochs" in run._repr_html_()


def test_a_run_without_its_config_is_measured(copy, monkeypatch):
    (copy.folder / "config.json").unlink()
    said, seen = [], []
    monkeypatch.setattr(evaluate, "reference_of", lambda run, **options: seen.append(run.dataset))
    monkeypatch.setattr(evaluate, "compared", lambda *args: "measured")
    assert evaluate.evaluate(copy.folder, 150, say=said.append) == "measured"
    assert seen[0]["name"] == "glyphs"
    assert sum("config.json is gone" in line for line in said) == 1


def test_one_of_its_checkpoints_stands_for_a_run_without_its_config_but_no_file_elsewhere(copy, tmp_path):
    (copy.folder / "config.json").unlink()
    older = checkpoints(copy.folder)[0]
    assert runs.Run(older).epoch == 2
    assert "epoch-0002" in runs.Run(older).lost
    alone = shutil.copy(older, tmp_path / "epoch-0002.safetensors")
    with pytest.raises(RunMissingError, match=r"there is no config.json in"):
        runs.Run(alone)


def test_a_folder_without_config_or_a_whole_checkpoint_is_no_run(copy):
    (copy.folder / "config.json").unlink()
    for path in checkpoints(copy.folder):
        path.write_bytes(b"cut")
    with pytest.raises(RunMissingError, match=r"no config.json in it, nor a whole checkpoint to stand in for it"):
        resume(copy.folder)


def test_a_folder_that_is_no_run_is_left_without_a_lock(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(RunMissingError):
        resume(tmp_path / "photos")
    assert not list((tmp_path / "photos").iterdir())


def test_a_new_run_is_told_to_go_on_with_what_is_left_of_one_if_that_can_be(copy):
    (copy.folder / "config.json").unlink()
    with pytest.raises(RunExistsError, match=r"go on with it: minigan train --resume (\S+),"):
        start(copy.folder)
    assert resume(copy.folder, epochs=4).epoch == 4


def other_run(config):
    return {**config, "seed": 7}


def other_images(config):
    return {**config, "dataset": {**config["dataset"], "sha256": "00" * 32}}


def other_recipe(config):
    recipe = RECIPES["pytorch-mlp"].smoke()
    return {**config, "recipe": "pytorch-mlp", "fields": json.loads(json.dumps(vars(recipe)))}


@pytest.mark.parametrize(
    "spoil",
    ["", "{", "[]", "null", other_run, other_images, other_recipe],
    ids=lambda spoil: getattr(spoil, "__name__", spoil),
)
def test_a_config_that_says_nothing_or_something_else_is_refused_and_can_be_removed(spoil, copy, refused, longer):
    config = copy.folder / "config.json"
    config.write_text(spoil if isinstance(spoil, str) else json.dumps(spoil(copy.config)))
    line = refused(MiniganError)
    assert "config.json" in line
    assert "remove it: what epoch-0003.safetensors says then stands in for it" in line
    config.unlink()
    assert contents(resume(copy.folder, epochs=4, device="cpu")) == longer


def test_a_config_that_says_nothing_and_has_no_checkpoint_is_told_so(copy):
    (copy.folder / "config.json").write_text("")
    remove(copy.folder / "checkpoints")
    with pytest.raises(RunMissingError, match="begin a new run: there is no checkpoint beside it"):
        resume(copy.folder)


@pytest.mark.parametrize("other", [other_images, other_recipe])
def test_a_run_with_the_config_of_another_is_not_measured_against_the_images_of_that(other, copy):
    (copy.folder / "config.json").write_text(json.dumps(other(copy.config)))
    with pytest.raises(CheckpointError, match=r"is not that of epoch-0003.safetensors; put .* or remove it"):
        evaluate.evaluate(copy.folder, 150, say=None)
    assert not (copy.folder / "evaluation.json").exists()


# The other files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [".lock", "timing.jsonl", "machine.json", "samples/samples.gif", "samples/real.png", "evaluation.json"]
)
def test_a_run_without_what_it_makes_again_goes_on_to_the_same_bits(name, copy, longer):
    (copy.folder / name).unlink(missing_ok=True)
    assert contents(resume(copy.folder, epochs=4)) == longer


def test_a_run_without_what_was_said_and_scored_goes_on(copy, longer):
    for name in ("alarms.jsonl", "quality.jsonl"):
        (copy.folder / name).write_text('{"step": 7, "epoch": 1, "alarm": "x", "frechet": 1.0}\n')
    run = resume(copy.folder, epochs=4)
    assert contents(run)["metrics.jsonl"] == longer["metrics.jsonl"]
    for name in ("alarms.jsonl", "quality.jsonl"):
        (copy.folder / name).unlink()
    assert resume(copy.folder, epochs=5).alarms() == []


def test_lost_rows_of_metrics_name_the_way_on_which_works(copy, refused):
    (copy.folder / "metrics.jsonl").unlink()
    assert refused(CheckpointError).endswith("put it back, or go on without those rows: --accept metrics")
    run = resume(copy.folder, epochs=4, accept=["metrics"])
    assert [row["epoch"] for row in read_rows(run.folder / "metrics.jsonl")][-1] == 4


def test_a_run_without_its_pictures_goes_on_and_draws_from_there_on(copy, longer):
    remove(copy.folder / "samples")
    said = []
    after = contents(resume(copy.folder, epochs=4, say=said.append))
    assert said[0] == f"{copy.folder / 'samples'} was gone, and begins anew."
    assert {name: data for name, data in after.items() if not name.startswith("samples/")} == {
        name: data for name, data in longer.items() if not name.startswith("samples/")
    }
    drawn = [name for name in after if name.startswith("samples/epoch-")]
    assert sorted(drawn) == ["samples/epoch-0003.png", "samples/epoch-0004.png"]
    for name in (*drawn, "samples/real.png", "samples/curves.png", "samples/interpolation.png"):
        assert after[name] == longer[name]


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_file_in_the_place_of_the_pictures_is_refused_before_anything_is_touched_and_moved_away(kind, copy, refused):
    place = copy.folder / "samples"
    remove(place)
    place.write_text("mine") if kind == "file" else place.symlink_to(copy.folder / "nowhere")
    line = refused(RunFolderError)
    source, target = shlex.split(line.partition("move it away: mv ")[2])
    with pytest.raises(RunFolderError, match="move it away"):
        evaluate.evaluate(copy.folder, 150, say=None)
    os.replace(source, target)
    assert resume(copy.folder, epochs=4).epoch == 4


@pytest.mark.parametrize("name", [".", "samples", "checkpoints", "metrics.jsonl", "timing.jsonl"])
def test_a_place_that_cannot_be_written_to_is_refused_before_anything_is_touched(name, copy, refused, monkeypatch):
    shut = copy.folder / name
    with monkeypatch.context() as patch:  # no folder's mode would stop root
        patch.setattr(lost.os, "access", lambda path, mode: path != shut)
        assert refused(RunFolderError) == f"{shut} cannot be written to; give back the permission: chmod u+w {shut}"
    assert resume(copy.folder, epochs=4).epoch == 4


def test_a_place_that_is_in_the_way_is_one_line_and_exit_code_2(copy, capsys):
    remove(copy.folder / "samples")
    (copy.folder / "samples").write_text("mine")
    with pytest.raises(SystemExit) as stop:
        main(["train", "--resume", str(copy.folder), "--epochs", "4"])
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith(f"minigan: {copy.folder / 'samples'} is no folder, and a run keeps its samples there; ")
    assert err.count("\n") == 1
