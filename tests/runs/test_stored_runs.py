"""Runs of another day: made by an older minigan (tests/stored), by one that knew less, or by one that knows more."""

import hashlib
import json
import re
import shutil
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path

import numpy as np
import pytest
from runfolder import SMOKE, resume, start
from safetensors.numpy import load_file

from minigan import plot
from minigan.cli.main import main
from minigan.errors import ArgumentError, CheckpointError, RunMissingError
from minigan.recipes import RECIPES, Recipe
from minigan.recipes.mlp import QuickMLP
from minigan.runs import evaluation as evaluate
from minigan.runs.reference import Reference
from minigan.runs.run import Run
from minigan.runs.saved import as_line, read_saved
from minigan.store.tensors import read_tensors, write_tensors
from minigan.watch.logs import read_rows

pytestmark = pytest.mark.usefixtures("elsewhere", "own_recipes")
STORED = sorted(path.parent for path in (Path(__file__).parents[1] / "stored").glob("*/*/config.json"))


def rewrite(run, *, config=None, header=None):
    """Spoil what config.json and the newest checkpoint say, each by a function on its content."""
    if config:
        config(run.config)
        (run.folder / "config.json").write_text(json.dumps(run.config))
    if header:
        content, tensors = read_tensors(run.checkpoint)
        header(content)
        write_tensors(run.checkpoint, tensors, **content)


def without(field):
    return lambda content: content["fields"].pop(field)


# As they were made ----------------------------------------------------------------------------------------------------


def test_there_are_stored_runs_of_an_older_version_and_of_a_recipe_of_ones_own():
    assert {f"{path.parent.name}/{path.name}" for path in STORED} >= {"2026-11-29/quick-mlp", "2026-11-30/own"}


@pytest.mark.parametrize("stored", STORED, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_stored_run_is_read_sampled_gone_on_with_and_exported(stored, tmp_path, capsys):
    run = shutil.copytree(stored, tmp_path / "run")
    (run / "samples").mkdir(exist_ok=True)  # of which the stored run keeps no pictures
    own = ["--recipe", f"{run / 'recipe.py'}:Sketch"] if (run / "recipe.py").exists() else []
    main(["sample", str(run), "--count", "8", "--out", "drawn.npy", *own])
    difference = np.load("drawn.npy").astype(int) - np.load(stored / "drawn.npy")
    assert np.abs(difference).max() <= 2, "other pixels than the version drew that made it"
    assert (Run(run).epoch, Run(run).is_finished(), len(Run(run).metrics())) == (2, True, 4)
    main(["train", "--resume", str(run), "--epochs", "3", *own])
    assert (Run(run).epoch, len(Run(run).metrics())) == (3, 6)
    main(["export", str(run), "--out", "G.safetensors", *own])
    assert load_file("G.safetensors")["0.weight"].shape == (2, 4)
    recorded = json.loads((stored / "config.json").read_text())["fields"]
    told = re.findall(r"Not yet recorded when this run was made, so as it was before: (.*)\.", capsys.readouterr().out)
    new = {field.name for field in fields(Recipe)} - recorded.keys()
    assert {each.split()[0] for line in told for each in line.split(", ")} == new


# What was not there yet -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
def test_a_field_without_a_default_would_make_every_older_run_unreadable(name):
    always = {"epochs", "batch_size", "latent_dim", "g_hidden", "d_hidden"}
    assert {field.name for field in fields(RECIPES[name]) if field.default is MISSING} == always


@pytest.mark.parametrize("where", ["config", "header", "both"])
def test_a_run_that_is_older_than_a_field_is_gone_on_with_as_before_it_and_says_so(copy, where):
    places = ("config", "header") if where == "both" else (where,)
    rewrite(copy, **{place: without("packing") for place in places})
    assert copy.sample(2).shape == (2, 28, 28)
    said = []
    run = resume(copy.folder, epochs=4, say=said.append)
    told = [line for line in said if line.startswith("Not yet recorded")]
    wanted = "Not yet recorded when this run was made, so as it was before: packing 1."
    assert told == ([] if where == "config" else [wanted])
    assert run.config["fields"]["packing"] == read_saved(run.checkpoint).header["fields"]["packing"] == 1


def test_a_field_that_an_older_run_lacks_is_not_the_recipes_number_of_today(copy, monkeypatch):
    rewrite(copy, config=without("packing"), header=without("packing"))
    monkeypatch.setitem(RECIPES, "quick-mlp", replace(RECIPES["quick-mlp"], packing=4))
    assert Run(copy.folder).recipe.packing == 1
    assert resume(copy.folder, epochs=4).recipe.packing == 1


def test_a_field_that_no_minigan_can_do_without_is_named(copy):
    rewrite(copy, config=without("g_hidden"))
    with pytest.raises(RunMissingError, match="g_hidden is not there"):
        Run(copy.folder)


def test_a_field_of_a_newer_minigan_is_refused_by_name(copy):
    newer = r"quick-mlp has no field shards; was it made by a newer minigan than this 0\.1\.0\?"
    rewrite(copy, header=lambda header: header["fields"].update(shards=4))
    with pytest.raises(CheckpointError, match=newer):
        copy.generator()
    rewrite(copy, config=lambda config: config["fields"].update(shards=4))
    with pytest.raises(RunMissingError, match=newer):
        Run(copy.folder)


@pytest.mark.parametrize(
    ("name", "now", "then"),
    [
        ("flux-dcgan", {"drop_last": True, "d_fakes": "match"}, {"d_fakes": "full"}),
        ("keras-upconv", {"g_hidden": (4,)}, {"merged": False}),
    ],
)
def test_a_run_with_a_number_that_changed_nothing_and_is_refused_today_goes_on(tmp_path, name, now, then):
    run = start(tmp_path / "run", recipe=replace(RECIPES[name].smoke(), **now), epochs=1)
    with pytest.raises(ArgumentError):
        replace(run.recipe, **then)
    rewrite(run, config=lambda c: c["fields"].update(then), header=lambda h: h["fields"].update(then))
    assert Run(run.folder).recipe == run.recipe
    assert resume(run.folder, epochs=2).epoch == 2


SETTINGS = {"device": "auto", "data_dir": None, "sample_every": "1", "save_every": "1", "keep": 2}
SETTINGS |= {"keep_every": 0, "score_every": 0}


def test_a_setting_that_was_not_there_yet_is_what_minigan_did_before_it(copy, monkeypatch):
    def spoil(config):
        for key in (*SETTINGS, "changes", "finished"):
            del config[key]

    rewrite(copy, config=spoil)
    old = Run(copy.folder)
    assert old.settings == SETTINGS
    small = Reference.load("glyphs", count=900)
    monkeypatch.setattr(Reference, "load", lambda *args, **options: small)
    assert evaluate.evaluate(old, 150, say=None)["epoch"] == 3
    run = resume(copy.folder, epochs=4)
    assert {key: run.config[key] for key in ("sample_every", "keep", "changes", "finished")} == {
        **{"sample_every": "1", "keep": 2, "changes": [], "finished": 4}
    }


def test_rows_of_metrics_that_are_older_than_a_column_are_read_and_drawn(copy, real_curves):
    rows = copy.metrics()
    for row in rows:
        del row["acc_real"], row["d_fake"]
    lines = [as_line(row) for row in rows]
    (copy.folder / "metrics.jsonl").write_bytes(b"".join(lines))
    rewrite(copy, header=lambda h: h["history"].update(sha256=hashlib.sha256(b"".join(lines)).hexdigest()))
    assert read_rows(copy.folder / "metrics.jsonl") == rows
    plot.save_curves(rows, copy.folder / "curves.png")
    again = resume(copy.folder, epochs=4).metrics()
    assert again[: len(rows)] == rows
    assert again[-1]["acc_real"] is not None


# Of recipes of one's own ----------------------------------------------------------------------------------------------


def sketch(**extra):
    """A class of that name, with these fields besides, as a notebook's cell defines it anew each time."""
    names = {"name": "cell", "__qualname__": "Cell", "__annotations__": dict.fromkeys(extra, float), **extra}
    return dataclass(frozen=True)(type("Cell", (QuickMLP,), names))


def test_a_recipe_of_ones_own_may_gain_a_field_but_not_lose_one(tmp_path):
    run = start(tmp_path / "run", recipe=sketch()(**vars(SMOKE)), epochs=1)
    sketch(extra=0.5)
    said = []
    run = resume(run.folder, epochs=2, say=said.append)
    assert "Not yet recorded when this run was made, so as it was before: extra 0.5." in said
    assert run.recipe.extra == 0.5
    sketch()
    with pytest.raises(RunMissingError, match=r"cell has no field extra; has it lost it\?"):
        Run(run.folder)
