"""Every field of every recipe, changed alone as a run goes on: it takes effect, or is refused with a way out."""

import itertools
import json
import re
import shlex
import shutil
import struct
from dataclasses import dataclass, fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
from otherfields import IMAGES, OTHERS, tiny
from runfolder import resume, start

from minigan import runs
from minigan.cli.main import main
from minigan.errors import ArgumentError, CheckpointError, MiniganError
from minigan.nn import LeakyReLU
from minigan.recipes import RECIPES
from minigan.recipes.mlp import QuickMLP
from minigan.runs import resuming, starting
from minigan.runs.changes import as_flags, check_changes
from minigan.runs.resumable import begun
from minigan.train import generate
from minigan.watch.pictures import to_pixels

pytestmark = pytest.mark.usefixtures("elsewhere")

#: What another value than that of otherfields.py shows on the way, where that one is behind the run already.
LATER = {"d_warmup": (6,), "epochs": (4,)}
#: {what the message of a recipe says: the other fields with which it is followed}
WITH = {
    "leave d_steps, d_warmup, shared_fakes": {"d_steps": 1, "d_warmup": 0, "shared_fakes": False},
    "--d-output, --g-loss, --labels": {"d_output": "logit", "g_loss": "non_saturating", "labels": (1.0, 0.0)},
    "--d-batching separate": {"d_batching": "separate"},
    "--d-fakes match": {"d_fakes": "match"},
    "--penalty r1": {"penalty": "r1"},
    "--update alternating": {"update": "alternating"},
}
FAST = ("quick-mlp", "renom-maxout")


class Played(list):
    """Trainers as they end, of runs without pictures and logs, which take longer; a new run is stopped in time."""

    whole = False  # whether a new run is not

    def train(self, folder, lock, trainer, schedule, saver, say, **options):
        if trainer.step or self.whole:
            self.append(trainer.fit())
        else:
            trainer.advance()
            trainer.advance()
            saver.save(trainer)


@pytest.fixture
def played(monkeypatch):
    trainers = Played()
    for module in (starting, resuming):
        monkeypatch.setattr(module, "train", trainers.train)
    return trainers


@pytest.fixture
def stopped(played, tmp_path):
    """A function: the folder of a run of a recipe that was stopped after two of the four steps of its first epoch."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name, part in (("train.idx", IMAGES[:20]), ("test.idx", IMAGES[20:])):
        (folder / name).write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">3I", *part.shape) + part.tobytes())

    def run(recipe):
        start(tmp_path / "run", recipe=recipe, epochs=recipe.epochs, log_every=recipe.log_every, dataset=str(folder))
        return tmp_path / "run"

    return run


def bytes_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def seen(trainer):
    """What of a run anybody can see."""
    pictures = to_pixels(trainer, generate(trainer.average, trainer.preview_latents(4)))
    weights = [network.params.tobytes() for network in (trainer.G, trainer.D, trainer.average)]
    return weights, pictures.tobytes(), json.dumps(trainer.history), trainer.step


def fresh(tmp_path, name):
    """A path at which nothing is yet."""
    return next(path for i in itertools.count() if not (path := tmp_path / f"{name}{i}").exists())


def other_value(recipe, field):
    now = getattr(recipe, field)
    depth = len(now) if field in ("g_hidden", "d_hidden") else None
    return next(v for v in LATER.get(field, OTHERS[field]) if v != now and (depth is None or len(v) == depth))


def follow(error, folder, change, played, tmp_path):
    """Do what the message says, one way and the other; what came of it."""
    text = str(error)
    assert "\n" not in text
    if "cannot change within a run" not in text:
        extra = next(fields for said, fields in WITH.items() if said in text)
        return again(folder, {**change, **extra}, played, tmp_path)
    [(back, anew)] = re.findall(r"put that back \((.*)\), or begin a new run: minigan train (.*)$", text)
    before = runs.Run(folder).recipe
    copy = shutil.copytree(folder, fresh(tmp_path, "back"))
    main(["train", "--resume", str(copy), *shlex.split(back)])
    assert played.pop().recipe == before
    played.whole = True
    assert shlex.split(anew)[-2:] == ["--dataset", str(tmp_path / "images")]  # the same as before
    place = ["--device", "cpu", "--out", str(fresh(tmp_path, "new"))]
    main(["train", *shlex.split(anew), *place])
    played.whole, trainer = False, played.pop()
    assert {name: getattr(trainer.recipe, name) for name in change} == change
    assert trainer.epoch == trainer.recipe.epochs
    return "a new run"


def again(folder, change, played, tmp_path):
    """What can be seen of the run that went on so, or "a new run", if in the end that is what the refusal says."""
    before = bytes_of(folder)
    copy = shutil.copytree(folder, fresh(tmp_path, "copy"))
    refused = None
    try:
        resume(copy, accept=list(change), **change)
    except MiniganError as error:
        refused = error
    if refused:
        assert bytes_of(copy) == before
        return follow(refused, folder, change, played, tmp_path)
    saved = runs.Run(copy)
    assert {name: getattr(saved.recipe, name) for name in change} == change
    trainer = played.pop()
    assert trainer.epoch == trainer.recipe.epochs
    return seen(trainer)


@pytest.mark.parametrize("name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in RECIPES])
def test_every_field_changed_alone_takes_effect_or_is_refused_untouched_with_a_way_out(name, stopped, played, tmp_path):
    recipe = replace(tiny(name), epochs=3)
    folder = stopped(recipe)
    resume(shutil.copytree(folder, tmp_path / "same"))
    plain, new = seen(played.pop()), []
    for field in (f.name for f in fields(recipe)):
        outcome = again(folder, {field: other_value(recipe, field)}, played, tmp_path)
        if outcome == "a new run":
            new.append(field)
        elif outcome == plain:
            assert field in IDLE.get(name, ()), field
    assert new == [f.name for f in fields(recipe) if f.name in (*NEW, *MORE.get(name, ()))]


#: What begins a new run, in every recipe and in some.
NEW = (
    *("batch_size", "latent_dim", "g_hidden", "d_hidden", "packing", "images", "test_images", "random_split"),
    *("epoch_steps", "drop_last", "init", "init_std", "init_g", "init_d", "init_gamma", "merged", "pieces"),
)
#: … which have no dropout, and so no layer of it.
MORE = dict.fromkeys(("best", "pytorch-mlp", "keras-upconv", "wgan-gp", "r1"), ("dropout",))
#: Where the way out is to leave the field as it is.
LEFT = ("d_steps", "d_warmup", "shared_fakes", "d_batching", "d_fakes")
IDLE = {
    "renom-maxout": LEFT,
    "keras-upconv": ("d_fakes",),
    "wgan-gp": ("g_loss", "d_output", "labels", "update", "d_fakes"),
}


# What begins or ends on the way ---------------------------------------------------------------------------------------


QUICK = replace(tiny("quick-mlp"), epochs=3)


def on(folder, **change):
    """Go on with these fields, all of them accepted."""
    return resume(folder, accept=list(change), **change)


def test_an_average_that_begins_on_the_way_starts_as_a_copy_of_G(stopped, played, monkeypatch):
    folder, begun = stopped(replace(QUICK, average=0.0)), []
    monkeypatch.setattr(resuming, "train", lambda f, lock, trainer, *args, **options: begun.append(trainer))
    on(folder, average=0.99)
    trainer = begun.pop()
    assert trainer.average is not trainer.G
    np.testing.assert_array_equal(trainer.average.params, trainer.G.params)
    np.testing.assert_array_equal(trainer.average.buffers, trainer.G.buffers)
    trainer.fit()
    assert not np.array_equal(trainer.average.params, trainer.G.params)
    resume(folder)  # it is in the checkpoint now
    assert begun.pop().recipe.average == 0.99


def test_an_average_that_ends_on_the_way_leaves_the_pictures_to_G(stopped, played):
    folder = stopped(QUICK)
    on(folder, average=0.0)
    trainer = played.pop()
    assert trainer.average is trainer.G
    on(folder, average=0.5)  # and begins again
    assert played.pop().average.params.shape == trainer.G.params.shape


def test_G_may_learn_less_often_from_now_on_and_has_no_gradient_until_it_does(stopped, played):
    folder = stopped(replace(QUICK, log_every=1))
    on(folder, d_steps=4)
    rows = played.pop().history
    assert [row["step"] for row in rows if row["g_loss"] is not None] == [4, 8]
    assert [max(v for k, v in row["grad_norm"].items() if k[0] == "G") > 0 for row in rows[:2]] == [False, True]


def test_G_may_learn_at_every_step_from_now_on(stopped, played):
    folder = stopped(replace(QUICK, log_every=1, d_steps=2))
    on(folder, d_steps=1)
    assert all(row["g_loss"] is not None for row in played.pop().history)


# What it is asked of, and what is said --------------------------------------------------------------------------------


def test_a_dropout_may_change_but_not_begin_or_end(stopped, played):
    folder = stopped(QUICK)
    with pytest.raises(ArgumentError) as error:
        on(folder, dropout=0.0)
    assert str(error.value).startswith(
        "dropout cannot change within a run (the networks' layers depend on it): dropout was 0.3 and "
        "would be 0.0; put that back (--dropout 0.3), or begin a new run: minigan train quick-mlp --epochs 3 "
    )
    on(folder, dropout=0.4)
    assert played.pop().recipe.dropout == 0.4


@pytest.mark.parametrize("change", [{"dropout": 0.0}, {"batch_size": 10}, {"pieces": 4}, {"init": "glorot"}], ids=str)
def test_what_cannot_change_is_refused_when_it_is_changed_by_hand_too(change, stopped, played):
    name = "renom-maxout" if "pieces" in change else "quick-mlp"
    folder = stopped(replace(tiny(name), epochs=3))
    config = json.loads((folder / "config.json").read_text())
    config["fields"].update(change)
    (folder / "config.json").write_text(json.dumps(config))
    before = bytes_of(folder)
    with pytest.raises(ArgumentError, match=f"{next(iter(change))} cannot change within a run") as error:
        resume(folder, accept=list(change))
    assert bytes_of(folder) == before
    back = re.findall(r"put that back \((.*?)\)", str(error.value))[0]
    main(["train", "--resume", str(folder), *shlex.split(back)])
    assert played.pop().step == 9


def test_what_changes_nothing_of_which_images_a_step_sees_may_change(stopped, played):
    folder = stopped(replace(QUICK, images=16))  # two full batches
    on(folder, drop_last=True, epoch_steps=2)
    assert played.pop().epoch_steps == 2
    with pytest.raises(ArgumentError, match=r"epoch_steps cannot change within a run \(which images a step sees"):
        on(folder, epoch_steps=3)


def test_of_several_fields_those_that_cannot_change_are_named_and_the_new_run_has_them_all(stopped):
    folder = stopped(QUICK)
    with pytest.raises(ArgumentError) as error:
        on(folder, lr_g=0.5, latent_dim=5, images=10)
    line = str(error.value)
    assert line.startswith(
        "latent_dim, images cannot change within a run (the networks' layers depend on it and which images "
    )
    assert "put that back (--latent-dim 8 --images 30)" in line
    for typed in ("--lr-g 0.5", "--latent-dim 5", "--images 10"):
        assert typed in line.partition("minigan train quick-mlp ")[2]


def test_a_change_that_is_not_accepted_says_what_was_what_is_and_both_things_to_type(stopped, played):
    folder = stopped(QUICK)
    before = bytes_of(folder)
    with pytest.raises(CheckpointError) as error:
        resume(folder, lr_g=0.5, labels=(0.9, 0.0))
    assert str(error.value) == (
        f"the run in {folder} was trained otherwise: lr_g was 0.001 and is 0.5, labels was (1.0, 0.0) and is "
        "(0.9, 0.0); put that back (--lr-g 0.001 --labels 1.0 0.0), or accept it by name: --accept lr-g labels"
    )
    assert bytes_of(folder) == before
    place = ["train", "--resume", str(folder)]
    main([*place, "--lr-g", "0.5", "--labels", "0.9", "0.0", "--accept", "lr-g", "labels"])
    assert played.pop().recipe.labels == (0.9, 0.0)
    main([*place, *shlex.split("--lr-g 0.001 --labels 1.0 0.0 --accept lr-g labels")])
    assert played.pop().recipe == QUICK


def test_a_number_of_numpys_that_is_accepted_is_recorded_as_pythons(stopped, played):
    folder = stopped(QUICK)
    run_before = json.loads((folder / "config.json").read_text())
    resume(folder, keep=np.int64(3), keep_every=np.uint8(1), score_every=np.array(2))
    config = json.loads((folder / "config.json").read_text())
    assert (config["keep"], config["keep_every"], config["score_every"]) == (3, 1, 2)
    on(folder, lr_g=np.float32(0.5), log_every=np.int64(2))
    config = json.loads((folder / "config.json").read_text())
    assert config["fields"] == {**run_before["fields"], "lr_g": 0.5, "log_every": 2}
    assert config["changes"] == [{"epoch": 0, "lr_g": [0.001, 0.5], "log_every": [0, 2]}]
    for wrong in ({"lr_g": True}, {"epochs": True}, {"keep": True}, {"score_every": "1"}, {"epochs": 4.0}):
        before = bytes_of(folder)
        with pytest.raises(ArgumentError):
            resume(folder, **wrong)
        assert bytes_of(folder) == before


@pytest.mark.parametrize("change", [{"d_warmup": 20}, {"d_steps": 16}, {"d_warmup": 7, "d_steps": 8}], ids=str)
def test_a_change_after_which_G_would_never_learn_is_refused_with_epochs_that_are_enough(change, stopped, played):
    folder = stopped(QUICK)
    before = bytes_of(folder)
    with pytest.raises(ArgumentError, match=r"G would never learn: its .* update comes after") as error:
        on(folder, **change)
    assert bytes_of(folder) == before
    epochs = int(re.findall(r"--epochs: (\d+)", str(error.value))[0])
    with pytest.raises(ArgumentError, match="never learn"):
        on(folder, **change, epochs=epochs - 1)
    on(folder, **change, epochs=epochs)
    assert played.pop().g_optimizer.steps == 2 + 1


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"d_warmup": 1}, "D's warm-up was over before step 2: d_warmup changes nothing."),
        ({"d_warmup": 3}, None),
        ({"log_every": 10}, "The run has 9 steps: log_every 10 changes nothing."),
        ({"log_every": 4, "lr_g": 0.1}, None),
    ],
    ids=str,
)
def test_an_accepted_change_that_changes_nothing_is_told(change, line, stopped):
    said = []
    resume(stopped(QUICK), accept=list(change), say=said.append, **change)
    assert [text for text in said if "nothing" in text] == ([line] if line else [])


def test_only_the_fields_of_the_runs_own_recipe_can_be_accepted(stopped):
    folder = stopped(QUICK)
    with pytest.raises(ArgumentError, match="unknown field 'pieces'"):
        resume(folder, accept=["pieces"])


@dataclass(frozen=True)
class Own(QuickMLP):
    """quick-mlp with fields of its own that are in no list."""

    name = "own-of-these-tests"
    slope: float = 0.2
    wide: bool = False
    spread: float = 1.0

    def layers(self):
        g_layers, d_layers = super().layers()
        leaky = [LeakyReLU(slope=self.slope)]
        g_layers[0].init_W = Scaled(g_layers[0].init_W, self.spread)
        return [*g_layers[:2], *leaky, *g_layers[3:]], [*(self.dense(9), *leaky) * self.wide, *d_layers]


class Scaled:
    def __init__(self, init, scale):
        self.init, self.scale = init, scale

    def __call__(self, *args, **fans):
        return self.scale * self.init(*args, **fans)


def test_a_recipe_of_ones_own_is_asked_what_its_fields_change():
    own = Own(**vars(QUICK))
    check_changes(own, replace(own, slope=0.3), 30)
    with pytest.raises(ArgumentError, match=r"wide cannot change within a run \(the networks' layers.*--no-wide"):
        check_changes(own, replace(own, wide=True), 30)
    with pytest.raises(ArgumentError, match=r"spread cannot change within a run \(the weights started from it"):
        check_changes(own, replace(own, spread=2.0), 30)


def test_fields_are_typed_as_the_command_line_takes_them():
    assert as_flags(
        {"g_hidden": (8, 9), "drop_last": False, "merged": True, "lr_g": 1e-05, "update": "alternating"}
    ) == ("--g-hidden 8 9 --no-drop-last --merged --lr-g 1e-05 --update alternating")


@pytest.mark.parametrize(
    ("dataset", "seed", "flags"),
    [
        ({"name": "glyphs"}, 0, "--dataset glyphs"),
        ({"name": "mnist"}, 3, "--dataset mnist --seed 3"),
        ({"name": "images", "path": "/my digits/train.idx"}, 3, "--dataset '/my digits' --seed 3"),
    ],
)
def test_the_command_of_a_new_run_has_the_same_images_and_seed(dataset, seed, flags):
    assert begun(SimpleNamespace(dataset=dataset, seed=seed)) == flags


@pytest.mark.parametrize("settings", [{"keep": 10**30}, {"keep_every": 10**30}, {"score_every": 10**30}])
def test_a_number_that_no_reader_of_the_run_would_take_is_refused_at_the_start(settings, tmp_path):
    with pytest.raises(ArgumentError, match=r"must be a whole number.*, got 1000"):
        runs.start(QUICK, out=tmp_path / "run", dataset="glyphs", say=None, **settings)
    assert not (tmp_path / "run").exists()
