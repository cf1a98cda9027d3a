"""minigan inspect: the next step of a run as a page."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from runfolder import start

from minigan.cli.main import main
from minigan.errors import ArgumentError
from minigan.recipes import RECIPES
from minigan.recipes.recipe import CLASSES
from minigan.runs.inspecting import history_of, inspect
from minigan.runs.run import Run
from minigan.store.tensors import read_tensors, write_tensors
from minigan.trace import differences

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture(autouse=True)
def few_differences(monkeypatch):
    monkeypatch.setattr(differences, "MOST", 1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of three epochs that keeps every checkpoint."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        return start(tmp_path_factory.mktemp("runs") / "kept", recipe=RECIPES["pytorch-mlp"].smoke(), keep=9).folder


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def document(path):
    return json.loads(re.search(r'id="trace">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)[1])


def test_it_leaves_a_page_in_the_run_and_says_in_one_line_where(run, capsys):
    files = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    main(["inspect", str(run)])
    out = capsys.readouterr().out
    assert out == f"Wrote the step to {run / 'inspect.html'}; open it in a browser\n"
    assert {path: path.read_bytes() for path in files} == files
    found = document(run / "inspect.html")
    facts = dict(found["facts"])
    assert found["title"] == "pytorch-mlp, after epoch 3"
    assert (facts["samples"], facts["checkpoint"]) == ("16 of a batch of 32", "epoch-0003.safetensors")
    assert facts["step"] == str(Run(run).metrics()[-1]["step"] + 1)
    assert found["steps"][0]["passes"][1]["image_shape"] == [28, 28, 1]


def test_the_history_is_that_of_the_kept_checkpoints(run):
    history = document(inspect(run, say=None))["history"]
    assert history["epochs"] == [0, 1, 2, 3]
    rows = [row for row in Run(run).metrics() if row["epoch"] == 3]
    assert history["metrics"]["d_loss"][0] is None
    assert history["metrics"]["d_loss"][3] == rows[-1]["d_loss"]
    assert [*history["norms"]["D"]] == ["0.Dense", "2.Dense", "4.Dense"]
    assert history["norms"]["G"]["0.Dense"][3] == rows[-1]["grad_norm"]["G.0.Dense"]
    assert all(picture.startswith("data:image/png;base64,") for picture in history["pictures"])
    assert len(set(history["pictures"])) == 4


def test_an_epoch_is_one_of_those_that_are_kept(run, capsys):
    main(["inspect", str(run), "--epoch", "1", "--samples", "3"])
    found = document(run / "inspect-0001.html")
    assert (found["title"], dict(found["facts"])["samples"]) == ("pytorch-mlp, after epoch 1", "3 of a batch of 32")
    main(["inspect", str(run / "checkpoints" / "epoch-0002.safetensors"), "--out", "here.html"])
    assert document(Path("here.html"))["title"] == "pytorch-mlp, after epoch 2"


def fails(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main(["inspect", *map(str, words)])
    error = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2
    return error[-1]


def test_mistakes_end_in_one_line(run, capsys):
    assert "keeps no checkpoint of epoch 9; there are those of epochs 0, 1, 2, 3" in fails(capsys, run, "--epoch", 9)
    assert "--samples must lie between 1 and 32, got 33" in fails(capsys, run, "--samples", 33)
    assert "--epoch must be a whole number, got -1" in fails(capsys, run, "--epoch", -1)
    assert "which run? minigan inspect RUN" in fails(capsys)
    assert "nowhere is not a run" in fails(capsys, "nowhere")
    assert "No such file" in fails(capsys, run, "--out", "no/where.html")
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    assert "holds no checkpoint" in fails(capsys, run)
    assert "holds no checkpoint" in fails(capsys, run, "--epoch", 1)


def test_a_run_whose_images_are_gone_names_the_remedy(run, capsys, monkeypatch):
    for path in (run / "checkpoints").iterdir():
        header, tensors = read_tensors(path)
        header["dataset"] = {**header["dataset"], "name": "mine", "path": "/gone/train.idx"}
        steps = header.pop("optimizer_steps")
        write_tensors(path, dict(tensors), optimizer_steps=steps, **header)
    config = json.loads((run / "config.json").read_text())
    config["dataset"] = {**config["dataset"], "name": "mine", "path": "/gone/train.idx"}
    (run / "config.json").write_text(json.dumps(config))
    assert "/gone, which is gone; give the new place: --data-dir DIR" in fails(capsys, run)


def test_a_step_that_is_no_longer_numbers_is_a_page_all_the_same(run):
    newest = run / "checkpoints" / "epoch-0003.safetensors"
    header, tensors = read_tensors(newest)
    tensors = {name: array.copy() for name, array in tensors.items()}
    tensors["G.2.Dense.b"][0] = np.nan
    steps = header.pop("optimizer_steps")
    write_tensors(newest, tensors, optimizer_steps=steps, **header)
    found = document(inspect(run, say=None))
    assert found["first_bad"]["layer"] == 2
    assert found["history"]["pictures"][3] is None


def test_what_files_of_a_run_say_is_neither_believed_nor_markup(run):
    hostile = "</script><script>alert(1)</script>"
    folder = run.rename(run.parent / "a'b\"c<script>")
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    rows[-1]["grad_norm"] = {hostile: 1.0, "G.0.Dense": hostile, "D.0.Dense": float("nan"), "D.9.X": [1]}
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    path = inspect(folder, say=None)
    text = path.read_text(encoding="utf-8")
    assert "alert(1)" not in text
    assert "<script>'" not in text
    found = document(path)
    assert dict(found["facts"])["run"] == str(folder)
    assert found["history"]["norms"]["D"]["0.Dense"][3] is None


def test_a_damaged_checkpoint_is_left_out_of_the_history_and_said_to_be(run):
    (run / "checkpoints" / "epoch-0001.safetensors").write_bytes(b"damaged")
    history, notes = history_of(Run(run), lambda done, of: None)
    assert history["epochs"] == [0, 2, 3]
    assert notes == ["epoch-0001.safetensors is damaged, and left out of the history."]


def test_of_many_checkpoints_forty_are_shown(run, monkeypatch):
    monkeypatch.setattr("minigan.runs.inspecting.MOST", 3)
    history, notes = history_of(Run(run), lambda done, of: None)
    assert (history["epochs"], notes) == ([0, 2, 3], ["Of 4 checkpoints the history shows 3."])


def test_packing_asks_for_groups(tmp_path):
    recipe = RECIPES["pytorch-mlp"].smoke()
    run = start(tmp_path / "packed", recipe=recipe, epochs=1, packing=4)
    with pytest.raises(ArgumentError, match="--samples 6 cannot be packed in groups of 4; take 4"):
        inspect(run, samples=6, say=None)
    found = document(inspect(run, samples=8, say=None))
    assert found["steps"][0]["passes"][1]["image_shape"] == [112, 28, 1]


def test_a_penalty_and_gs_step_that_are_not_due_are_told(tmp_path):
    recipe = RECIPES["wgan-gp"].smoke()
    run = start(tmp_path / "lazy", recipe=recipe, epochs=1, penalty_every=4, d_steps=3)
    notes = document(inspect(run, say=None))["notes"]
    assert any("due at each 4th step of D" in note for note in notes)
    assert any("G's step does not follow upon this one of D's" in note for note in notes)


MINE = """
from dataclasses import dataclass
from minigan.nn import Dense, Tanh
from minigan.recipes import Recipe

@dataclass(frozen=True)
class Mine(Recipe):
    name = "mine"
    epochs: int = 1
    batch_size: int = 8
    latent_dim: int = 4
    g_hidden: tuple[int, ...] = (4,)
    d_hidden: tuple[int, ...] = (4,)
    d_output: str = "logit"
    images: int = 24

    def layers(self):
        return [Dense(784), Tanh()], [Dense(1)]
"""


@pytest.mark.usefixtures("own_recipes")
def test_a_run_of_ones_own_recipe_is_inspected_where_its_file_is_named_and_only_there(tmp_path, capsys):
    Path("mine.py").write_text(MINE)
    main(["train", "--recipe", "mine.py:Mine", "--dataset", "glyphs", "--device", "cpu", "--out", "own"])
    CLASSES.clear()  # as in another process
    assert "minigan inspect own --recipe" in fails(capsys, "own")
    assert not Path("own/inspect.html").exists()
    main(["inspect", "own", "--recipe", "mine.py:Mine"])
    assert document(Path("own/inspect.html"))["title"] == "mine, after epoch 1"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pytorch-mlp", "flux-dcgan", "best", "renom-maxout", "keras-upconv", "r1"])
def test_the_page_of_a_published_recipe_stays_under_5_mb(tmp_path, name):
    small = {"epochs": 1, "images": 256, "batch_size": 128, "epoch_steps": 0, "log_every": 0}
    run = start(tmp_path / "run", recipe=RECIPES[name], **small)
    assert inspect(run, say=None).stat().st_size < 5_000_000
