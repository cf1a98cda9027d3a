"""What can be set for a run is written down once: the calls, the flags and config.json have it from there."""

import inspect
import json
import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from runfolder import resume, start

from minigan import runs
from minigan.cli.train import ResumeOptions, RunOptions
from minigan.errors import ArgumentError
from minigan.recipes import RECIPES
from minigan.runs.settings import KEPT, RECORDED, Settings, flag_name

pytestmark = pytest.mark.usefixtures("elsewhere")
NAMES = [each.name for each in fields(Settings)]


def names(of):
    found = inspect.signature(of).parameters if inspect.isfunction(of) else [each.name for each in fields(of)]
    return set(found)


def test_an_option_is_one_of_both_calls_and_both_commands_and_stands_nowhere_else(whole):
    may_change = set(NAMES) - set(KEPT)
    assert names(runs.start) == {*NAMES, "recipe", "callbacks", "say", "changes"}
    assert names(RunOptions) == {*NAMES, "smoke", "recipe"}
    assert names(runs.resume) == {*may_change, "folder", "accept", "callbacks", "say", "changes"}
    assert names(ResumeOptions) == {*may_change, "accept", "recipe"}
    config = json.loads((whole.folder / "config.json").read_text())
    facts = {"recipe", "fields", "seed", "dataset", "elementwise", "versions", "changes", "finished"}
    assert set(config) == {*RECORDED, *facts}
    assert set(NAMES) & facts == {"seed", "dataset"} <= set(KEPT)


def test_what_is_recorded_stays_where_a_resume_is_not_told_otherwise_and_the_rest_begins_anew():
    """So it stands in the signatures too, which is what a notebook completes."""
    at_first, later = (inspect.signature(call).parameters for call in (runs.start, runs.resume))
    for name in set(NAMES) - set(KEPT):
        assert later[name].default == (None if name in RECORDED else at_first[name].default)
        assert at_first[name].default == getattr(Settings(), name)


@pytest.mark.parametrize("name", NAMES)
def test_a_value_of_a_wrong_type_is_named_before_anything_is_made(tmp_path, name):
    strange = [object(), [], {}, 2.5, b"1", "a\0b", np.zeros(2), "" if name != "preview_every" else "often"]
    for value in [*strange, 3 if isinstance(getattr(Settings(), name), bool) else True]:
        with pytest.raises(ArgumentError, match=f"^({flag_name(name)}|{name}) .*must be"):
            start(tmp_path / "run", **{name: value}) if name != "out" else runs.start(RECIPES["quick-mlp"], out=value)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in KEPT])
def test_a_resume_names_a_value_of_a_wrong_type_and_touches_nothing(copy, name):
    before = {path: path.stat().st_mtime_ns for path in copy.folder.rglob("*")}
    for value in (object(), [], 2.5, 3 if isinstance(getattr(Settings(), name), bool) else True):
        with pytest.raises(ArgumentError, match=f"^({flag_name(name)}|{name}) .*must be"):
            resume(copy.folder, epochs=9, **{name: value})
    assert {path: path.stat().st_mtime_ns for path in copy.folder.rglob("*")} == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"say": 3}, "say must be a function"),
        ({"accept": 3}, "accept must be a list"),
        ({"accept": "lr_g"}, r"accept must be a list of the recipe's fields, such as \['lr_g'\], got 'lr_g'"),
        ({"accept": [3]}, "accept must be a list"),
        ({"out": 3}, "name the folder of a run, got 3"),
    ],
    ids=str,
)
def test_what_else_a_resume_takes_is_named_likewise(copy, given, message):
    with pytest.raises(ArgumentError, match=message):
        resume(**{"out": copy.folder, "epochs": 9, **given})


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (3, "recipe must be a Recipe, or the name of one, got 3"),
        (None, "recipe must be a Recipe"),
        (type(RECIPES["best"]), r"recipe must be a Recipe, .*; make one: \w+\(…\)"),
    ],
)
def test_what_is_no_recipe_is_named(recipe, message):
    with pytest.raises(ArgumentError, match=message):
        runs.start(recipe)


def test_a_path_as_dataset_is_a_folder_also_where_it_has_the_name_of_a_set(monkeypatch):
    asked = []
    monkeypatch.setattr("minigan.runs.starting.load_dataset", lambda name, **options: asked.append(name) or 1 / 0)
    there = Path("there").absolute()
    for given in ("mnist", "./mnist", Path("mnist"), there):
        with pytest.raises(ZeroDivisionError):
            runs.start(RECIPES["quick-mlp"], dataset=given, device="cpu", say=None)
    assert asked == ["mnist", "./mnist", os.path.join(".", "mnist"), str(there)]


def test_settings_hold_what_python_and_json_know(tmp_path):
    settings = Settings(keep=np.int64(3), offline=np.True_, sample_every=2, data_dir=str(tmp_path))
    assert settings == Settings(keep=3, offline=True, sample_every="2", data_dir=tmp_path)
    assert json.loads(json.dumps(settings.record())) == {
        **{"device": "auto", "data_dir": str(tmp_path), "sample_every": "2", "save_every": "1"},
        **{"keep": 3, "keep_every": 0, "score_every": 0},
    }
