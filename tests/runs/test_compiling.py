"""A run records what did its elementwise work, which a resume is told, and says when loops are compiled."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from runfolder import SMOKE, resume

from minigan.backend import loops
from minigan.data.glyphs import make_glyphs
from minigan.errors import RunMissingError
from minigan.runs import folder
from minigan.runs.run import Run
from minigan.store.tensors import read_tensors, write_tensors
from minigan.train import Trainer
from minigan.watch import compiling
from minigan.watch.compiling import Compiling

pytestmark = pytest.mark.usefixtures("elsewhere")


def compiles(test):
    return pytest.mark.extra(pytest.mark.skipif(not loops.FAST, reason="no numba, or MINIGAN_FAST=0")(test))


# What is recorded ----------------------------------------------------------------------------------------------------


def told(run, **options):
    lines = []
    resume(run.folder, epochs=4, say=lines.append, **options)
    return [line for line in lines if "lementwise" in line]


def forget(run):
    """A run of the days when nothing was recorded of it."""
    run.config.pop("elementwise")
    (run.folder / "config.json").write_text(json.dumps(run.config))
    header, tensors = read_tensors(run.checkpoint)
    header.pop("elementwise")
    write_tensors(run.checkpoint, tensors, **header)


def by(name, monkeypatch):
    monkeypatch.setattr(folder, "done_by", lambda device: name)


def test_config_and_checkpoint_say_what_did_the_elementwise_work(whole):
    expected = loops.done_by("cpu")
    assert whole.config["elementwise"] == read_tensors(whole.checkpoint)[0]["elementwise"] == expected


def test_a_resume_that_does_it_in_the_same_way_is_told_nothing(copy):
    assert told(copy) == []


@pytest.mark.parametrize("now", ["NumPy", "numba 9.0"])
def test_a_resume_that_does_it_in_another_way_is_told_in_one_line_and_goes_on(now, copy, monkeypatch):
    header, tensors = read_tensors(copy.checkpoint)
    write_tensors(copy.checkpoint, tensors, **{**header, "elementwise": "numba 8.1"})
    by(now, monkeypatch)
    (line,) = told(copy)
    assert line.startswith(f"Elementwise work is done by {now} from here on (before: numba 8.1)")
    run = Run(copy.folder)
    assert (run.epoch, run.config["elementwise"]) == (4, now)


@pytest.mark.parametrize(("now", "lines"), [("NumPy", 0), ("numba 9.0", 1)])
def test_a_run_that_is_older_than_the_record_was_numpys(now, lines, copy, monkeypatch):
    forget(copy)
    by(now, monkeypatch)
    found = told(copy)
    assert len(found) == lines
    assert all("(before: not recorded)" in line for line in found)


def test_a_run_on_a_gpu_is_told_of_no_way_of_the_cpus(copy, standin):
    assert told(copy, device="gpu") == []
    assert Run(copy.folder).config["elementwise"] == "CuPy"


def test_a_record_that_is_no_text_is_refused(copy):
    (copy.folder / "config.json").write_text(json.dumps({**copy.config, "elementwise": 3}))
    with pytest.raises(RunMissingError, match="elementwise is of type int"):
        Run(copy.folder)


# Told ----------------------------------------------------------------------------------------------------------------

#: A run with its alarms, measurements and a partial batch. The last line holds what it said of compiling, and the loops
#: that were compiled by the run, and by what draws from it and measures it.
RUN = """
import sys
from dataclasses import replace
import minigan
from numba.core.event import install_recorder
from minigan.recipes import RECIPES
from minigan.runs import start
from minigan.runs.evaluation import evaluate

def loops(recorded):
    names = [event.data["dispatcher"].py_func for _, event in recorded.buffer if event.is_start]
    return len([name for name in names if name.__module__ == "minigan.backend.loops"])

recipe, lines = RECIPES[sys.argv[1]], []
short = {"images": max(200, 2 * recipe.batch_size) + recipe.batch_size // 2 + 1, "epochs": 2}
short |= {"epoch_steps": 3} if recipe.epoch_steps else {}
with install_recorder("numba:compile") as of_run:
    run = start(replace(recipe, **short), dataset="glyphs", out=sys.argv[2], score_every=1, say=lines.append)
with install_recorder("numba:compile") as later:
    run.sample(1000)
    evaluate(run.folder, 200, say=None)
told = [line for line in lines if "ompil" in line]
print(told, sum(int(line.split()[0]) for line in told if line[0].isdigit()), loops(of_run), loops(later), sep="|")
"""


@compiles
@pytest.mark.slow
@pytest.mark.parametrize("name", ["quick-mlp", "flux-dcgan"])
def test_every_loop_that_a_run_compiles_is_told_and_none_is_compiled_a_second_time(name, tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "empty")}
    ends = []
    for out in ("run", "again"):
        command = [sys.executable, "-W", "error", "-c", RUN, name, out]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment)
        ends.append(done.stdout.splitlines()[-1].split("|"))
    (lines, told, compiled, later), again = ends
    assert lines.startswith("['Compiling loops for the elementwise work on this machine', '")
    assert "loops compiled, once: " in lines
    assert int(told) == int(compiled) > 1
    assert later == "0"
    assert again == ["[]", "0", "0", "0"]


class Told:
    """Stands for `told_of_compiling`, which a step compiles something under."""

    def __init__(self, say):
        self.say = say

    def __enter__(self):
        self.say("on")
        return lambda: self.say("step")

    def __exit__(self, *error):
        self.say("off")


def test_whoever_tells_listens_before_the_first_picture_until_the_run_ends_and_on_a_cpu_alone(monkeypatch, standin):
    monkeypatch.setattr(compiling, "told_of_compiling", Told)
    for device, expected in (("cpu", ["on", "step", "step", "off"]), ("gpu", [])):
        lines = []
        recipe = replace(SMOKE, epochs=1, epoch_steps=2)
        Trainer(recipe, make_glyphs(200)[0], device=device).fit([Compiling(lines.append)])
        assert lines == expected
