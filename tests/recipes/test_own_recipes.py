"""Recipes of one's own: whatever trains can be read again, and nothing that lies in a run's folder is run unasked."""

import json
import linecache
import os
import py_compile
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from runfolder import SMOKE, contents, press, resume, start
from safetensors.numpy import load_file

from minigan.cli.main import main as minigan_main
from minigan.errors import ArgumentError, CheckpointError, OutOfMemoryError, RecipeMissingError, RunMissingError
from minigan.gradcheck import assert_gradients, check_layer
from minigan.recipes import RECIPES
from minigan.recipes.mlp import QuickMLP
from minigan.recipes.recipe import CLASSES
from minigan.runs import evaluation as evaluate
from minigan.runs.recorded import recipe_of, record_of
from minigan.runs.reference import Reference
from minigan.runs.run import Run
from minigan.runs.saved import read_saved
from minigan.train import Trainer
from minigan.train import fitting_batch as memory

pytestmark = pytest.mark.usefixtures("elsewhere", "own_recipes")

PAGE = Path(__file__).parents[2] / "docs"
SKETCH = ["--recipe", "my_recipe.py:Sketch"]
SMALL = ["--images", "100", "--batch-size", "32", "--g-hidden", "4,4", "--d-hidden", "4,4", "--latent-dim", "4"]
SMALL += ["--log-every", "2", "--dataset", "glyphs", "--device", "cpu"]
LIKE_QUICK = "from minigan.recipes.mlp import QuickMLP\nfrom minigan.recipes import RECIPES\n"


@pytest.fixture
def sketch():
    """The page's example in a file of one's own, my_recipe.py, in the folder where the commands are typed."""
    return Path(shutil.copy(PAGE / "my_recipe.py", "my_recipe.py"))


@pytest.fixture
def run(sketch):
    """A run of it, after one epoch, of which nothing that was imported is left."""
    minigan_main(["train", *SKETCH, *SMALL, "--epochs", "1", "--slope", "0.3", "--out", "run"])
    forget()
    return Path("run")


def forget():
    """As in a new process: classes of one's own are not known any more."""
    for key, kind in list(CLASSES.items()):
        if not kind.__module__.startswith("minigan."):
            del CLASSES[key]
    sys.modules.pop("my_recipe", None)


def mistake(args, capsys):
    """The line in which a command ends with exit code 2."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        minigan_main(args)
    said = capsys.readouterr()
    assert stop.value.code == 2
    assert (said.err[:9], said.err.count("\n")) == ("minigan: ", 1), said.err
    return said.err[9:-1]


# On the command line --------------------------------------------------------------------------------------------------


def test_a_run_of_ones_own_recipe_can_be_sampled_gone_on_with_measured_and_exported(run, capsys, monkeypatch):
    minigan_main(["sample", "run", "--count", "5", "--out", "x.npy", *SKETCH])
    assert np.load("x.npy").shape == (5, 28, 28)
    minigan_main(["train", "--resume", "run", "--epochs", "2", *SKETCH])
    assert (Run(run).epoch, Run(run).recipe.slope) == (2, 0.3)
    small = Reference.load("glyphs", count=900)
    monkeypatch.setattr(evaluate, "reference_of", lambda *args, **options: small)
    minigan_main(["evaluate", "run", "--count", "150", *SKETCH])
    assert json.loads((run / "evaluation.json").read_text())["recipe"] == "sketch"
    minigan_main(["export", "run/checkpoints/epoch-0002.safetensors", "--out", "G.safetensors", *SKETCH])
    assert load_file("G.safetensors")["0.weight"].shape == (4, 4)
    assert "has changed" not in capsys.readouterr().err


def test_the_commands_that_a_run_of_ones_own_prints_are_whole(sketch, capsys):
    minigan_main(["train", *SKETCH, *SMALL, "--epochs", "1"])
    out = capsys.readouterr().out
    assert "Draw more: minigan sample runs/sketch-001 --recipe my_recipe.py:Sketch\n" in out
    assert "minigan train --resume runs/sketch-001 --recipe my_recipe.py:Sketch --epochs 2\n" in out
    again = mistake(["train", "--resume", "runs/sketch-001", *SKETCH], capsys)
    assert again.endswith("minigan train --resume runs/sketch-001 --recipe my_recipe.py:Sketch --epochs 2")


def test_a_diverging_run_of_ones_own_says_how_to_begin_anew(sketch, capsys):
    with pytest.raises(SystemExit):
        minigan_main(["train", *SKETCH, *SMALL, "--lr-g", "1e30", "--lr-d", "1e30"])
    assert "begin anew: minigan train --recipe my_recipe.py:Sketch --lr-g 0.0002" in capsys.readouterr().out


COMMANDS = {
    "sample": "sample run --count 5",
    "resume": "train --resume run --epochs 2",
    "evaluate": "evaluate run --count 150",
    "export": "export run --out G.safetensors",
    "checkpoint": "sample run/checkpoints/epoch-0001.safetensors",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_without_its_file_each_command_says_whose_recipe_it_was_and_what_to_type(run, command, capsys):
    for path in (run / "recipe.py", Path("my_recipe.py")):  # nothing of what the run's files name may be run
        path.write_text("from pathlib import Path\nPath('executed').touch()\n")
    line = mistake(COMMANDS[command].split(), capsys)
    assert "was trained by a recipe of one's own, 'sketch' (class Sketch, from my_recipe.py:Sketch)" in line
    assert "whose text is kept in run/recipe.py" in line
    assert f": minigan {COMMANDS[command]} --recipe my_recipe.py:Sketch; or, once you have read it and trust it" in line
    assert line.endswith("--recipe run/recipe.py:Sketch")
    assert not Path("executed").exists()


def test_the_kept_text_reads_its_run_for_whoever_names_it(run):
    Path("my_recipe.py").unlink()
    minigan_main(["sample", "run", "--count", "5", "--out", "x.npy", "--recipe", "run/recipe.py:Sketch"])
    assert np.load("x.npy").shape == (5, 28, 28)


def test_of_a_runs_folder_nothing_is_executed_but_the_text_that_was_named(run, capsys):
    """Neither what lies beside it under the name of a module, nor byte code that says to be made of it."""
    evil = "from pathlib import Path\nPath('executed').touch()\n"
    (run / "wave.py").write_text(evil)
    kept = run / "recipe.py"
    honest = kept.read_text()
    kept.write_text(evil)
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(kept), invalidation_mode=mode)
    kept.write_text(honest + "\nimport wave\n")
    minigan_main(["sample", "run", "--count", "5", "--out", "x.npy", "--recipe", "run/recipe.py:Sketch"])
    assert str(run.resolve()) not in sys.path
    assert not Path("executed").exists()
    assert "has changed since this run was trained" in capsys.readouterr().err


LAZY = "import lies_beside\n"


def plant(folder):
    """A module in the folder that a stranger could give the name of any that is imported later."""
    (folder / "lies_beside.py").write_text(f"open({str(Path('executed').resolve())!r}, 'w').close()\n")


def strip_config(run):
    (run / "config.json").unlink()
    return run / "recipe.py"


def bare_checkpoint(run):
    Path("bare").mkdir()
    shutil.copy(run / "checkpoints/epoch-0001.safetensors", "bare/weights.safetensors")
    return Path(shutil.copy(run / "recipe.py", "bare/recipe.py"))


def bare_checkpoint_beside_another_name(run):
    Path("bare").mkdir()
    shutil.copy(run / "checkpoints/epoch-0001.safetensors", "bare/")
    return Path(shutil.copy(run / "recipe.py", "bare/mine.py"))


def other_name_without_config(run):
    return strip_config(run).rename(run / "mine.py")


def only_the_metrics_are_left(run):
    shutil.rmtree(run / "checkpoints")
    return strip_config(run).rename(run / "mine.py")


def older_text(run):
    Path("bare").mkdir()
    return (run / "recipe.py").rename("bare/recipe-until-epoch-0001.py")


def no_checkpoint_is_left(run):
    for path in (*run.glob("checkpoints/*"), *run.glob("*.jsonl")):
        path.unlink()
    return (run / "recipe.py").rename(run / "mine.py")


def no_checkpoints_nor_their_folder(run):
    shutil.rmtree(run / "checkpoints")
    (run / "metrics.jsonl").unlink()
    return Path(shutil.copy(run / "recipe.py", run / "mine.py"))


def under_samples(run):
    return strip_config(run).rename(run / "samples/mine.py")


def under_checkpoints_that_were_moved(run):
    (run / "checkpoints").rename("moved")
    return (run / "recipe.py").rename("moved/mine.py")


def linked_from_the_run(run):
    Path("beside").mkdir()
    target = strip_config(run).rename("beside/mine.py")
    (run / "recipe.py").symlink_to(target.resolve())
    plant(target.parent)
    return run / "recipe.py"


HIDDEN = [strip_config, bare_checkpoint, bare_checkpoint_beside_another_name, other_name_without_config, older_text]
HIDDEN += [no_checkpoint_is_left, no_checkpoints_nor_their_folder]
HIDDEN += [only_the_metrics_are_left, under_samples, under_checkpoints_that_were_moved, linked_from_the_run]


@pytest.mark.parametrize("hide", HIDDEN, ids=lambda hide: hide.__name__)
def test_a_module_that_lies_in_what_is_left_of_a_run_is_not_executed(run, hide, capsys):
    file = hide(run)
    plant(file.parent)
    before = list(sys.path)
    file.write_text(file.read_text() + LAZY)
    line = mistake(["train", "--recipe", f"{file}:Sketch", *SMALL], capsys)
    assert "No module named 'lies_beside'" in line
    assert "nothing is imported that lies in a run's folder, or beside a recipe.py: rename the file, or move it" in line
    assert sys.path == before
    assert not Path("executed").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_module_beside_the_file_is_not_executed_where_the_folder_is_given_as_a_run(run, command, capsys):
    """Whatever is left of it: nothing that shows that it is one."""
    for path in (run / "checkpoints", run / "samples"):
        shutil.rmtree(path)
    for path in (run / "config.json", *run.glob("*.jsonl")):
        path.unlink()
    (run / "recipe.py").rename(run / "mine.py")
    plant(run)
    (run / "mine.py").write_text((run / "mine.py").read_text() + LAZY)
    line = mistake([*COMMANDS[command].split(), "--recipe", "run/mine.py:Sketch"], capsys)
    assert "No module named 'lies_beside'" in line
    assert not Path("executed").exists()


@pytest.mark.parametrize("name", ["mine:Sketch", "mine.py:Sketch", "elsewhere:Sketch"])
def test_a_module_is_not_executed_because_commands_are_typed_in_the_folder_of_a_run(run, name, monkeypatch, capsys):
    plant(run)
    strip_config(run).rename(run / "mine.py")
    (run / "mine.py").write_text((run / "mine.py").read_text() + LAZY)
    executed = Path("executed").resolve()
    monkeypatch.syspath_prepend(str(Path("installed").resolve()))
    Path("installed").mkdir()
    Path("installed/elsewhere.py").write_text(LAZY)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    monkeypatch.chdir(run)
    line = mistake(["sample", ".", "--recipe", name], capsys)
    wanted = (
        "it lies in a run's folder, or may; name its file: mine.py:NAME" if name == "mine:Sketch" else "'lies_beside'"
    )
    assert wanted in line
    assert "" not in sys.path
    assert not executed.exists()


def test_a_package_that_a_run_pretends_to_be_is_not_executed(run, capsys):
    plant(run)
    (run / "lies_beside.py").rename(run / "__init__.py")
    strip_config(run)
    line = mistake(["sample", "run", "--recipe", "run.recipe:Sketch"], capsys)
    assert line.endswith("it lies in a run's folder, or may; name its file: run/recipe.py:NAME")
    assert not Path("executed").exists()


def test_a_file_of_ones_own_still_finds_what_lies_beside_it_where_runs_and_networks_lie_too(sketch):
    Path("mine.py").write_text("from my_recipe import Sketch\n")
    minigan_main(["train", "--recipe", "mine.py:Sketch", *SMALL, "--epochs", "1", "--out", "run"])
    forget()
    minigan_main(["export", "run", "--out", "G.safetensors", "--recipe", "mine.py:Sketch"])
    forget()
    minigan_main(["sample", "run", "--count", "5", "--recipe", "mine.py:Sketch"])
    assert str(Path.cwd()) in sys.path


def test_a_source_that_has_changed_is_told_in_one_line_and_the_older_text_stays(run, sketch, capsys):
    older = sketch.read_text()
    sketch.write_text(older + "\n# a remark\n")
    told = "The source of sketch (my_recipe.py:Sketch) has changed since this run was trained.\n"
    minigan_main(["sample", "run", "--count", "5", *SKETCH])
    assert capsys.readouterr().err == told
    forget()
    minigan_main(["train", "--resume", "run", "--epochs", "2", *SKETCH])
    assert capsys.readouterr().out.count(told) == 1
    assert (run / "recipe.py").read_text() == sketch.read_text()
    assert (run / "recipe-until-epoch-0001.py").read_text() == older
    minigan_main(["sample", "run", "--count", "5", *SKETCH])
    assert capsys.readouterr().err == ""


EDITS = {
    "sketch has no field slope": ("slope", "leak"),
    "slant is not there": ("    slope: float", "    slant: float\n    slope: float"),
    "Sketch(…) raised ValueError: steep": (
        "    def layers",
        "    def __post_init__(self):\n        raise ValueError('steep')\n\n    def layers",
    ),
}


@pytest.mark.parametrize("why", EDITS)
@pytest.mark.parametrize("command", ["sample", "resume"])
def test_a_source_that_no_longer_makes_the_runs_recipe_is_told_and_not_its_config_blamed(
    run, sketch, why, command, capsys
):
    sketch.write_text(sketch.read_text().replace(*EDITS[why]).replace("@dataclass(fr", "@dataclass(kw_only=True, fr"))
    with pytest.raises(SystemExit):
        minigan_main([*COMMANDS[command].split(), *SKETCH])
    line = capsys.readouterr().err.splitlines()[-1]
    begin = "minigan: run: The source of sketch (my_recipe.py:Sketch) has changed since this run was trained: "
    assert line.startswith(begin + why)
    assert line.endswith("; put its former text back, or name the one that is kept: --recipe run/recipe.py:Sketch")
    forget()
    minigan_main([*COMMANDS["sample"].split(), "--recipe", "run/recipe.py:Sketch"])


def test_a_config_that_is_damaged_is_blamed_where_the_source_is_as_it_was(run, capsys):
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "fields": {**config["fields"], "epochs": -1}}))
    assert "config.json cannot be read (ArgumentError: epochs must be" in mistake(["sample", "run", *SKETCH], capsys)


def test_an_edited_layer_that_would_fail_in_a_step_is_named_before_training_goes_on(run, sketch, capsys):
    """Its text is of the same options and shapes, so that nothing else can tell."""
    broken = """
class PReLU(PReLU):
    def input_grad(self, dy, cache):
        return super().input_grad(dy, cache)[:, :1]
"""
    sketch.write_text(sketch.read_text().replace("\n\n@dataclass", broken + "\n\n@dataclass", 1))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    line = mistake(["train", "--resume", "run", "--epochs", "2", *SKETCH], capsys)
    assert line.startswith("layer 2 of G (PReLU): ")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("command", COMMANDS)
def test_layers_that_are_others_by_now_are_refused_by_name(run, sketch, command, capsys):
    sketch.write_text(sketch.read_text().replace("Tanh()], [", "Tanh(), Tanh()], ["))
    with pytest.raises(SystemExit) as stop:
        minigan_main([*COMMANDS[command].split(), *SKETCH])
    assert stop.value.code == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert "G was [" in line
    assert "and is now [" in line


def test_a_file_that_was_renamed_and_moved_reads_the_run_without_a_word(run, capsys):
    Path("mine").mkdir()
    Path("my_recipe.py").rename("mine/other.py")
    capsys.readouterr()
    minigan_main(["export", "run", "--out", "G.safetensors", "--recipe", "mine/other.py:Sketch"])
    assert capsys.readouterr().err == "Wrote the generator to G.safetensors\n"


def test_a_recipe_that_is_not_the_runs_is_refused(run, capsys):
    Path("other.py").write_text("from my_recipe import Sketch\nclass Other(Sketch): name = 'other'\n")
    line = mistake(["sample", "run", "--recipe", "other.py:Other"], capsys)
    assert line == "run was trained by 'sketch', and other.py:Other is 'other'"
    minigan_main(["train", "pytorch-mlp", "--smoke", "--dataset", "glyphs", "--out", "published"])
    for command in (["sample", "published"], ["train", "--resume", "published", "--epochs", "2"]):
        line = mistake([*command, *SKETCH], capsys)
        assert line == "published was trained by pytorch-mlp, a recipe of minigan's: leave --recipe out"


def test_a_field_of_ones_own_is_a_flag_and_may_change_within_a_run_if_it_is_accepted(run, capsys):
    resumed = ["train", "--resume", "run", "--epochs", "2", "--slope", "0.2", *SKETCH]
    assert "slope was 0.3 and is 0.2; put that back (--slope 0.3), or accept it by name" in mistake(resumed, capsys)
    forget()
    minigan_main([*resumed, "--accept", "slope"])
    assert Run("run").config["changes"] == [{"epoch": 1, "slope": [0.3, 0.2]}]


def test_an_instance_in_a_file_will_do_and_numbers_of_ones_own_for_a_published_recipe_need_no_flag_later(capsys):
    Path("numbers.py").write_text(
        LIKE_QUICK + "FEW = QuickMLP(**{**vars(RECIPES['quick-mlp'].smoke()), 'images': 100})"
    )
    minigan_main(["train", "--recipe", "numbers.py:FEW", "--dataset", "glyphs", "--out", "few"])
    assert "own" not in Run("few").config
    minigan_main(["sample", "few", "--count", "5"])
    assert "Draw more: minigan sample few\n" in capsys.readouterr().out


def test_bench_times_a_recipe_of_ones_own(sketch, capsys):
    minigan_main(["bench", *SKETCH, "--steps", "1", "--json"])
    assert json.loads(capsys.readouterr().out)["recipe"] == "sketch"


# What is refused before anything is made ------------------------------------------------------------------------------


BAD = """
from dataclasses import dataclass, field
from typing import Any, Literal
from minigan.nn import Conv2d, Dense, Tanh
from minigan.recipes import Recipe
from my_recipe import Sketch

NUMBER = 3
def function(): pass
class Bare(Recipe): name = "bare"
class Slash(Sketch): name = "a/b"
class Dots(Sketch): name = ".."
class Taken(Sketch): name = "best"
@dataclass(frozen=True)
class Nameless(Recipe):
    epochs: int = 1
    batch_size: int = 8
    latent_dim: int = 4
    g_hidden: tuple[int, ...] = (4,)
    d_hidden: tuple[int, ...] = (4,)
class NoLayers(Nameless): name = "none"
@dataclass(frozen=True)
class Typed(Sketch): name: str = "typed"
class OneList(Sketch):
    name = "one"
    def layers(self): return None
class Short(Sketch):
    name = "short"
    def layers(self): return [Dense(783), Tanh()], [Dense(1)]
class Two(Sketch):
    name = "two"
    def layers(self): return [Dense(784), Tanh()], [Dense(2)]
class Flat(Sketch):
    name = "flat"
    def layers(self): return [Conv2d(1, 3), Tanh()], [Dense(1)]
class Empty(Sketch):
    name = "empty"
    def layers(self): return [], [Dense(1)]
class Raises(Sketch):
    name = "raises"
    def layers(self): return 1 / 0
@dataclass(frozen=True)
class Steep(Sketch):
    name = "steep"
    def __post_init__(self):
        if self.slope > 0.5: raise ValueError("too steep")
        1 / (self.slope >= 0)
@dataclass(frozen=True)
class Anything(Sketch):
    name = "anything"
    act: Any = None
class Forgotten(Recipe):
    name = "forgotten"
    epochs: int = 1
    batch_size: int = 8
class Unnoticed(Sketch):
    name = "unnoticed"
    epochs: int = 1
    steep: float = 0.5
@dataclass(frozen=True)
class Untyped(Sketch):
    name = "untyped"
    epochs = 1
@dataclass(frozen=True)
class Comma(Sketch):
    name = "comma"
    g_hidden: tuple[int, ...] = (16)
@dataclass(frozen=True)
class Words(Sketch):
    name = "words"
    kinds: tuple[str, ...] = ("relu")
@dataclass(frozen=True)
class Huge(Sketch):
    name = "huge"
    latent_dim: int = 10**30
@dataclass(frozen=True)
class Seed(Sketch):
    name = "own-field"
    seed: int = 3
@dataclass(frozen=True)
class Out(Sketch):
    name = "own-field"
    out: str = "x"
@dataclass(frozen=True)
class Source(Sketch):
    name = "own-field"
    recipe: str = "x"
@dataclass(frozen=True)
class Smoke(Sketch):
    name = "own-field"
    data_dir: bool = False
@dataclass(frozen=True)
class NoAlarms(Sketch):
    name = "own-field"
    no_alarms: int = 3
@dataclass(frozen=True)
class Accept(Sketch):
    name = "own-field"
    accept: float = 0.5
@dataclass(frozen=True)
class Help(Sketch):
    name = "own-field"
    help: float = 0.5
@dataclass(frozen=True)
class Resume(Sketch):
    name = "own-field"
    resume: float = 0.5
@dataclass(frozen=True)
class Both(Sketch):
    name = "own-field"
    wide: bool = True
    no_wide: int = 3
class NotApart(Sketch):
    name = "not-apart"
    def layers(self): return [Dense(784), Tanh()]
"""
LOST = "has no @dataclass(frozen=True) above it, without which Python takes no notice of its epochs, "
TAKEN = "is another one; rename the field"
MISTAKES = {
    "bad.py:NUMBER": "is no recipe: it is of type int, which does not inherit from minigan.recipes.Recipe",
    "bad.py:function": "is no recipe: it is of type function",
    "bad.py:Dense": "is no recipe: it is a class that does not inherit",
    "bad.py:Recipe": "is no recipe",
    "bad.py:Sketsh": "unknown name in bad.py 'Sketsh'; did you mean Sketch?",
    "bad.py:Bare": "has no default for epochs, batch_size, latent_dim, g_hidden, d_hidden: give each one, or name an",
    "bad.py:Slash": "Slash.name must do as the name of a folder (letters, digits, and - _ . within), got 'a/b'",
    "bad.py:Dots": "must do as the name of a folder",
    "bad.py:Taken": 'best is a recipe of minigan\'s own, and Taken is not that: write name = "…" into class Taken',
    "bad.py:Nameless": 'Nameless needs a name that all its instances have: write name = "…" into class Nameless',
    "bad.py:Typed": "without a type",
    "bad.py:NoLayers": "NoLayers has no layers(self), which returns two lists",
    "bad.py:NotApart": "NotApart.layers() must return two lists, and G's is Dense(",
    "bad.py:OneList": "OneList.layers() must return two lists, G's layers and D's",
    "bad.py:Short": "G of Short gives (783,) and should give (784,): image_shape, the shape of an image",
    "bad.py:Two": "D of Two gives (2,) and should give (1,): one number, how real an image is",
    "bad.py:Flat": "layer 0 (Conv2d(channels=1, kernel=3, stride=1, pad=0, bias=True)) does not fit its input",
    "bad.py:Empty": "Empty.layers() gives G no layer",
    "bad.py:Raises": "Raises.layers() raised ZeroDivisionError: division by zero (bad.py, line 41)",
    "bad.py:Steep --slope 0.7": "raised ValueError: too steep (bad.py, line 46)",
    "bad.py:Steep --slope=-1": "raised ZeroDivisionError: division by zero (bad.py, line 47)",
    "bad.py:Anything": "act of Anything is of type typing.Any, for which there is no flag",
    "bad.py:Forgotten": f"Forgotten {LOST}batch_size",
    "bad.py:Unnoticed": f"Unnoticed {LOST}steep",
    "bad.py:Untyped": "Untyped gives epochs no type, without which Python takes no notice of it: write epochs: int = …",
    "bad.py:Comma": "g_hidden must be a tuple, got the number 16: with a comma, (16,), it is one",
    "bad.py:Words": "kinds must be a tuple, got the text 'relu': with a comma, ('relu',), it is one",
    "bad.py:Huge": "latent_dim must be at most 1,000,000, got 1000000000000000000000000000000",
    "bad.py:Sketch --images 1000000000000": "images must be at most 1,000,000,000, got 1000000000000",
    "bad.py:Sketch --g-hidden 4,1000000000000": "g_hidden must be at most 1,000,000, got 1000000000000",
    "bad.py:Seed": f"seed of Seed cannot be a flag: --seed {TAKEN}",
    "bad.py:Out": f"--out {TAKEN}",
    "bad.py:Source": f"--recipe {TAKEN}",
    "bad.py:Smoke": f"data_dir of Smoke cannot be a flag: --data-dir {TAKEN}",
    "bad.py:NoAlarms": f"--no-alarms {TAKEN}",
    "bad.py:Accept": f"--accept {TAKEN}",
    "bad.py:Help": f"--help {TAKEN}",
    "bad.py:Resume": f"--resume {TAKEN}",
    "bad.py:Both": f"--no-wide {TAKEN}",
    "bad.py:Sketch --epohcs 3": "unknown flag '--epohcs'; did you mean --epochs?",
    "bad.py:Sketch quick-mlp": "minigan train takes one recipe, got quick-mlp and --recipe bad.py:Sketch",
    "bad.py:Sketch --recipe bad.py:Two": "--recipe is given twice",
    "raises.py:X": "raises.py cannot be imported: ZeroDivisionError: division by zero (raises.py, line 1)",
    "syntax.py:X": "syntax.py cannot be imported: SyntaxError",
    "nowhere.py:X": "there is no file nowhere.py",
    "json.py:Sketch": "json.py:Sketch: another module is called json already; rename the file",
    "bad.py": "--recipe needs file.py:NAME or module:NAME, such as --recipe mine.py:Mine, got 'bad.py'",
    "best": "best is a recipe of minigan's: name it without the flag, as in minigan train best",
    "": "--recipe needs file.py:NAME or module:NAME behind it",
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_recipe_that_cannot_be_trained_is_one_line_before_anything_is_made(sketch, what, capsys):
    Path("bad.py").write_text(BAD)
    Path("raises.py").write_text("1 / 0\n")
    Path("syntax.py").write_text("def (\n")
    shutil.copy(sketch, "json.py")
    before = sorted(path.name for path in Path().iterdir())
    line = mistake(["train", "--recipe", *(what.split() or [""]), "--dataset", "glyphs"], capsys)
    assert MISTAKES[what] in line
    assert sorted(path.name for path in Path().iterdir() if path.name != "__pycache__") == before


def test_a_file_without_its_flag_says_which_flag(sketch, capsys):
    for command in ("train", "bench"):
        line = mistake([command, "my_recipe.py:Sketch"], capsys)
        assert line.endswith(f"one of your own has a flag before it: minigan {command} --recipe my_recipe.py:Sketch")


class Unnamed(QuickMLP):
    """Of a recipe of minigan's, with no name of its own: a run of it would be read with the other's layers."""

    def layers(self):
        g_layers, d_layers = super().layers()
        return g_layers, d_layers[1:]


def test_a_subclass_that_has_the_name_of_a_published_recipe_is_refused_at_the_start(tmp_path):
    with pytest.raises(
        ArgumentError, match=r"quick-mlp is a recipe of minigan\'s own, and Unnamed is not that: write n"
    ):
        start(tmp_path / "run", recipe=Unnamed(**vars(SMOKE)))
    assert not (tmp_path / "run").exists()


@dataclass(frozen=True)
class Holder(QuickMLP):
    name = "holder"
    held: object = None


@dataclass(frozen=True)
class Loose(QuickMLP):
    """Of a recipe whose author says other types than the defaults have."""

    name = "loose"
    word: float = "a word"
    half: int = 0.5
    halves: tuple[int, ...] = (0.5, 1.5)


def test_a_run_is_read_again_whose_recipe_has_defaults_of_another_type_than_it_says():
    recipe = Loose(**vars(SMOKE))
    config = json.loads(json.dumps(record_of(recipe)))
    assert recipe_of(config, Path("run")) == recipe
    with pytest.raises(ArgumentError, match="word must be a finite number, got 'another'"):
        Loose(**vars(SMOKE), word="another")


@pytest.mark.parametrize(
    "held",
    [object(), np.float32(1), {1: 2}, float("nan"), float("inf"), {"a"}, b"x"],
    ids=["an object", "float32", "a dict", "nan", "inf", "a set", "bytes"],
)
def test_a_field_that_no_file_can_hold_is_refused_at_the_start(tmp_path, held):
    with pytest.raises(
        ArgumentError, match=r"held of Holder is .*, which a run cannot record: it must be a finite number, a te"
    ):
        start(tmp_path / "run", recipe=Holder(**vars(SMOKE), held=held))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("held", [None, "text", ((1, 2), (3, (4.5, "x"))), [1, [2]], True], ids=repr)
def test_a_field_of_tuples_within_tuples_is_read_as_it_was(tmp_path, held):
    run = start(tmp_path / "run", recipe=Holder(**vars(SMOKE), held=held), epochs=1)
    wanted = (1, (2,)) if isinstance(held, list) else held
    assert Run(run.folder).recipe.held == wanted
    assert resume(run.folder, epochs=2).recipe.held == wanted


@dataclass(frozen=True)
class Numpys(QuickMLP):
    name = "numpys"
    slope: float = np.float32(0.5)
    times: int = np.int64(3)
    wide: bool = np.True_
    rates: tuple[float, ...] = (np.float64(0.25), 1)


def test_a_default_that_is_a_number_of_numpys_is_recorded_as_pythons(tmp_path):
    run = start(tmp_path / "run", recipe=Numpys(**vars(SMOKE)), epochs=1)
    recipe = Run(run.folder).recipe
    found = [recipe.slope, recipe.times, recipe.wide, recipe.rates]
    assert repr(found) == "[0.5, 3, True, (0.25, 1.0)]"
    assert resume(run.folder, epochs=2).recipe.times == 3


@dataclass(frozen=True)
class Slips(QuickMLP):
    name = "slips"
    lr_gg: float = 0.1  # slips
    lrd: float = 0.1
    Beta1: float = 0.1
    epcohs: int = 3
    d_step: int = 3
    g_hiden: tuple[int, ...] = (3,)
    lr_e: float = 0.1  # what one means
    lr_g2: float = 0.1
    lr_ga: float = 0.1
    beta3: float = 0.1
    beta: float = 0.1
    e_hidden: tuple[int, ...] = (3,)
    label: int = 3
    d_dropout: float = 0.1


def test_a_field_of_ones_own_that_is_a_slip_in_typing_is_told(tmp_path):
    said = []
    start(tmp_path / "run", recipe=Slips(**vars(SMOKE)), epochs=1, say=said.append)
    pairs = [("lr_gg", "lr_g"), ("lrd", "lr_d"), ("Beta1", "beta1"), ("epcohs", "epochs"), ("d_step", "d_steps")]
    pairs += [("g_hiden", "g_hidden")]
    assert [line for line in said if "is it a slip" in line] == [
        f"{typed} is a field of Slips's own, and {name} one of every recipe: is it a slip in typing?"
        for typed, name in pairs
    ]


def section(begin, end):
    """The text of the page between two headings."""
    page = (PAGE / "own.md").read_text(encoding="utf-8")
    return page.partition(f"\n{begin}\n")[2].partition(f"\n{end}\n")[0]


def test_the_page_shows_the_layer_and_the_recipe_of_that_file_and_trains_them(sketch, monkeypatch):
    for begin, end, name in (("## A layer", "## Is it right?", "PReLU"), ("## A recipe", "## In a terminal", "Sketch")):
        assert f"```{{literalinclude}} my_recipe.py\n:language: python\n:pyobject: {name}\n" in section(begin, end)
    cells = re.findall(r"```\{code-cell\} ipython3\n(.*?)```", section("## A recipe", "## In a terminal"), re.DOTALL)
    python = "from my_recipe import Sketch\n" + "".join(cells)
    for long, short in (
        ("epochs=5, images=3000,", "epochs=1, images=100, batch_size=32, say=None,"),
        ("epochs=7)", "epochs=2, say=None)"),
    ):
        assert long in python
        python = python.replace(long, short)
    monkeypatch.syspath_prepend(str(Path.cwd()))
    exec(python, {})
    assert Path("runs/sketch-001/recipe.py").read_text() == sketch.read_text()
    assert load_file("G.safetensors")["2.weight"].shape == (128,)


def test_what_the_page_says_to_type_does(sketch):
    commands = re.findall("^minigan .*", section("## In a terminal", "## The loop alone"), re.MULTILINE)
    assert [command.split()[1] for command in commands] == ["train", "sample", "train", "export"]
    small = [*SMALL[:4], *SMALL[-4:], "--epochs", "1"]  # glyphs, and few of them
    for i, command in enumerate(commands):
        words = command.replace("--epochs 24", "--epochs 2").split()[1:]
        minigan_main([*words, *(small if i == 0 else [])])
        forget()
    assert json.loads(Path("runs/sketch-001/config.json").read_text())["finished"] == 2
    assert Path("G.safetensors").exists()


def test_the_pages_layer_is_right_and_its_thrifty_form_is_wrong_where_the_page_says(sketch, monkeypatch):
    monkeypatch.syspath_prepend(str(Path.cwd()))
    from my_recipe import PReLU

    for in_shape in ((6,), (3, 3, 2)):
        assert_gradients(PReLU(), in_shape=in_shape)
    cells = re.findall(
        r"^class .*?(?=\n\n\n)", section("## Is it right?", "(a-recipe-of-your-own)="), re.DOTALL | re.MULTILINE
    )
    exec(cells[0], names := {"PReLU": PReLU})
    report = check_layer(names["Thrifty"](), (6,))
    assert not report
    assert "x: the derivative is taken at the wrong point: at the output y" in " ".join(str(report).split())


# From Python ----------------------------------------------------------------------------------------------------------


class Narrow(QuickMLP):
    name = "narrow"


def test_a_class_that_is_defined_here_reads_its_run_and_after_its_loss_an_error_says_what_to_import(tmp_path):
    run = start(tmp_path / "run", recipe=Narrow(**vars(SMOKE)), epochs=1)
    assert type(Run(run.folder).recipe) is Narrow
    assert resume(run.folder, epochs=2).sample(3).shape == (3, 28, 28)
    assert (run.folder / "recipe.py").read_bytes() == Path(__file__).read_bytes()
    forget()
    for read in (lambda: Run(run.folder), lambda: read_saved(run.checkpoint), lambda: resume(run.folder, epochs=3)):
        with pytest.raises(
            RecipeMissingError, match=r"'narrow' \(class Narrow, from test_own_recipes.py:Narrow\)"
        ) as e:
            read()
        assert "import the module that defines it first" in str(e.value)
        assert isinstance(e.value, LookupError)


def cell(text, number):
    """The class Cell that a notebook's cell of this text defines."""
    main = sys.modules.setdefault("a_notebook", ModuleType("a_notebook"))
    name = f"<ipython-input-{number}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    exec(compile(text, name, "exec"), vars(main))
    return main.Cell


CELL = LIKE_QUICK + "class Cell(QuickMLP):\n    name = 'cell'\n    def layers(self):\n        return super().layers()\n"


def test_a_notebooks_cell_that_is_run_again_reads_the_run_and_its_text_is_kept(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "a_notebook", ModuleType("a_notebook"))
    run = start(tmp_path / "run", recipe=cell(CELL, 1)(**vars(SMOKE)), epochs=1)
    assert (run.folder / "recipe.py").read_text() == CELL
    assert (run.config["own"]["from"], run.config["own"]["class"]) == (None, "Cell")
    newest = cell(CELL.replace("super", "  super"), 2)
    assert type(Run(run.folder).recipe) is newest
    assert len([kind for kind in CLASSES.values() if kind.__name__ == "Cell"]) == 1
    said = []
    resume(run.folder, epochs=2, say=said.append)
    assert "The source of cell (Cell) has changed since this run was trained." in said


def test_of_two_classes_of_one_name_the_run_is_read_by_its_own(tmp_path):
    class Narrower(Narrow):  # by the way with its name, too
        def layers(self):
            return super().layers()[0], super().layers()[1][1:]

    first = start(tmp_path / "first", recipe=Narrow(**vars(SMOKE)), epochs=1)
    second = start(tmp_path / "second", recipe=Narrower(**vars(SMOKE)), epochs=1)
    assert type(Run(first.folder).recipe) is Narrow
    assert type(Run(second.folder).recipe) is Narrower
    assert first.sample(2).shape == second.sample(2).shape


def test_a_run_of_a_class_that_was_renamed_is_read_by_the_newest_of_the_recipes_name(tmp_path):
    def define(kind):
        return type(kind, (QuickMLP,), {"name": "renamed", "__qualname__": kind})

    run = start(tmp_path / "run", recipe=define("Old")(**vars(SMOKE)), epochs=1)
    forget()
    for kind in ("New", "Newer", "New"):  # the first is defined again, and so the newest
        newest = define(kind)
        assert type(Run(run.folder).recipe) is newest


def test_what_no_layer_shows_and_no_field_says_may_not_change(tmp_path):
    run = start(tmp_path / "run", recipe=Narrow(**vars(SMOKE)), epochs=1)

    class Dark(QuickMLP):
        name = "narrow"
        value_range = (0.0, 1.0)

    Dark.__qualname__ = "Narrow"
    CLASSES[("elsewhere", "Narrow")] = Dark
    with pytest.raises(RunMissingError, match=r"value_range was \(-1.0, 1.0\) and is now \(0.0, 1.0\)"):
        Run(run.folder)
    with pytest.raises(CheckpointError, match="value_range"):
        read_saved(run.checkpoint)


def test_a_recipe_that_minigan_comes_to_have_does_not_take_the_runs_of_ones_own_of_that_name(tmp_path, monkeypatch):
    run = start(tmp_path / "run", recipe=Narrow(**vars(SMOKE)), epochs=1)
    monkeypatch.setitem(RECIPES, "narrow", RECIPES["best"])
    assert type(Run(run.folder).recipe) is Narrow


def test_a_layers_method_that_fails_by_now_is_a_typed_error(tmp_path, monkeypatch):
    run = start(tmp_path / "run", recipe=Narrow(**vars(SMOKE)), epochs=1)
    monkeypatch.setattr(Narrow, "layers", lambda self: 1 / 0)
    with pytest.raises(
        CheckpointError, match=r"Narrow.layers\(\) raised ZeroDivisionError: division by zero \(test_own"
    ):
        run.sample(2)


def test_a_run_that_says_something_odd_of_its_own_recipe_is_one_error(tmp_path):
    run = start(tmp_path / "run", recipe=Narrow(**vars(SMOKE)), epochs=1)
    for own in (3, {}, {"class": 3, "constants": {}}, {"class": "Narrow"}, {"class": "x", "constants": []}):
        (run.folder / "config.json").write_text(json.dumps({**run.config, "own": own}))
        with pytest.raises(RunMissingError, match=r"config.json cannot be read \((TypeError|AttributeError)"):
            Run(run.folder)
    forget()
    odd = {**run.config["own"], "from": "\x1b[2Jmine.py:X"}
    (run.folder / "config.json").write_text(json.dumps({**run.config, "own": odd}))
    with pytest.raises(RunMissingError, match="own holds what cannot be printed"):
        Run(run.folder)


def test_a_step_that_does_not_fit_into_memory_says_how_to_begin_this_recipe(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "fitting_batch", lambda trainer: 16)
    monkeypatch.setattr(Trainer, "train_step", lambda self, x: (_ for _ in ()).throw(MemoryError("full")))
    with pytest.raises(
        OutOfMemoryError, match=r"16 do: minigan train --recipe test_own_recipes.py:Narrow --batch-size 16"
    ):
        start(tmp_path / "run", recipe=Narrow(**vars(SMOKE)), epochs=1)


def test_a_log_interval_beyond_the_run_is_told_of_a_recipe_that_minigan_does_not_have(tmp_path):
    said = []
    start(tmp_path / "run", recipe=Narrow(**vars(SMOKE)), epochs=1, log_every=99, say=said.append)
    assert "The run has 7 steps: log_every 99 changes nothing." in said


# Killed ---------------------------------------------------------------------------------------------------------------


def test_a_run_of_ones_own_recipe_that_was_stopped_goes_on_to_the_same_bits(sketch, monkeypatch):
    train = ["train", *SKETCH, *SMALL, "--epochs", "2", "--average", "0.9", "--out"]
    minigan_main([*train, "straight"])
    forget()
    with monkeypatch.context() as patch:
        press(patch, 6)
        with pytest.raises(SystemExit):
            minigan_main([*train, "stopped"])
    forget()
    minigan_main(["train", "--resume", "stopped", *SKETCH])
    assert contents(Run("stopped")) == contents(Run("straight"))


@pytest.mark.slow
def test_a_run_of_ones_own_recipe_that_was_killed_is_whole_again_for_every_command(sketch):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}

    def minigan(*args, killed=False):
        code = "import sys, pytest, runfolder; from minigan.cli.main import main as minigan_main\n"
        code += "runfolder.press(pytest.MonkeyPatch(), 9, 1, 9)\n" * killed
        command = [sys.executable, "-c", code + "minigan_main(sys.argv[1:])", *args]
        ended = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
        assert ended.returncode == (-signal.SIGKILL if killed else 0), ended.stderr
        return ended

    train = ["train", *SKETCH, *SMALL, "--epochs", "3", "--out"]
    minigan(*train, "straight")
    minigan(*train, "killed", killed=True)
    minigan("train", "--resume", "killed", *SKETCH)
    minigan("sample", "killed", "--out", "x.npy", *SKETCH)
    minigan("sample", "straight", "--out", "y.npy", "--recipe", "straight/recipe.py:Sketch")
    np.testing.assert_array_equal(np.load("x.npy"), np.load("y.npy"))
    minigan("export", "killed", "--out", "G.safetensors", *SKETCH)
    forget()
    sys.path.insert(0, str(Path.cwd()))
    import my_recipe  # noqa: F401 (which makes its recipe known)

    assert contents(Run("killed")) == contents(Run("straight"))
    minigan("evaluate", "killed", "--count", "150", "--offline", *SKETCH)
    assert json.loads(Path("killed/evaluation.json").read_text())["recipe"] == "sketch"


@pytest.mark.slow
def test_a_class_of_a_script_reads_its_runs_from_that_script_and_by_its_file(tmp_path):
    Path("script.py").write_text(
        LIKE_QUICK + "from minigan.runs import Run, start\nclass Mine(QuickMLP): name = 'mine'\n"
        "if __name__ == '__main__':\n"
        "    start(Mine(**vars(RECIPES['quick-mlp'].smoke())), dataset='glyphs', out='run', say=None)\n"
        "    print(Run('run').sample(3).shape)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, env=env, check=True)
    assert ended.stdout == "(3, 28, 28)\n"
    minigan_main(["sample", "run", "--count", "3", "--out", "x.npy", "--recipe", "script.py:Mine"])
    assert np.load("x.npy").shape == (3, 28, 28)
