"""Every field of every recipe changes the run, or is refused: none is a flag that does nothing."""

import struct
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from otherfields import IMAGES, OTHERS, tiny

from minigan import runs
from minigan.errors import ArgumentError
from minigan.recipes import RECIPES
from minigan.recipes.best import Best
from minigan.runs import starting
from minigan.runs.saver import CheckpointSaver
from minigan.train import generate
from minigan.watch.pictures import to_pixels

#: What is refused, since it would do nothing or cannot be; with any other value the run is another one.
REFUSED = {
    "best": {"update": "leave d_steps, d_warmup, shared_fakes"},
    "quick-mlp": {"update": "leave d_steps, d_warmup, shared_fakes", "loss_kind": "--d-output"},
    "flux-mlp": {"update": "--d-batching separate", "loss_kind": "--d-output"},
    "pytorch-mlp": {"loss_kind": "--d-output"},
    "pytorch-mlp-mended": {"loss_kind": "--d-output"},
    "flux-dcgan": {"update": "leave d_steps, d_warmup, shared_fakes", "drop_last": "--d-fakes match"},
    "keras-upconv": {"loss_kind": "--d-output", "d_fakes": "--drop-last"},
    "renom-maxout": {
        "d_batching": "--d-batching separate",
        "d_steps": "leave d_steps, d_warmup, shared_fakes",
        "d_warmup": "leave d_steps, d_warmup, shared_fakes",
        "shared_fakes": "leave d_steps, d_warmup, shared_fakes",
        "d_fakes": "--drop-last",
        "penalty": "--update alternating",
    },
    "wgan-gp": {
        "update": "--update alternating",
        "g_loss": "--g-loss",
        "d_output": "--d-output",
        "labels": "--labels",
        "d_fakes": "--d-fakes match",
    },
    "r1": {"update": "leave d_steps, d_warmup, shared_fakes"},
}
REFUSED["flux-dcgan-half"] = REFUSED["flux-dcgan"]
for name, refused in REFUSED.items():
    if RECIPES[name].penalty == "none":
        refused |= dict.fromkeys(("penalty_weight", "penalty_every"), "there is none")

pytestmark = pytest.mark.usefixtures("elsewhere")


def quiet(line):
    pass


@pytest.fixture
def outcome(tmp_path, monkeypatch):
    """A function: what `minigan train` makes of a recipe on a folder with 20 training and 12 test images."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name, part in (("train.idx", IMAGES[:20]), ("test.idx", IMAGES[20:])):
        (folder / name).write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">3I", *part.shape) + part.tobytes())
    trainers = []
    monkeypatch.setattr(
        starting, "train", lambda folder, lock, trainer, *args, **options: trainers.append(trainer.fit())
    )
    monkeypatch.setattr(CheckpointSaver, "save", lambda self, _: None)  # neither pictures nor files: they take longer

    def run(recipe, say=quiet):
        runs.start(recipe, dataset=str(folder), device="cpu", say=say)
        trainer = trainers.pop()
        weights = [network.params.tobytes() for network in trainer.networks.values()]
        pictures = to_pixels(trainer, generate(trainer.average, trainer.preview_latents(4)))
        answers = trainer.D(trainer.batches.take(np.arange(8)).repeat(recipe.packing, axis=-1))
        return weights, pictures.tobytes(), answers.tobytes(), trainer.history

    return run


def without_effect(recipe, outcome):
    """The fields of which another value leaves the run as it is; raises KeyError for a field without another value."""
    before, refused, idle = outcome(recipe), REFUSED[recipe.name], []
    for field in (f.name for f in fields(recipe)):
        now = getattr(recipe, field)
        depth = len(now) if field in ("g_hidden", "d_hidden") else None
        other = next(v for v in OTHERS[field] if v != now and (depth is None or len(v) == depth))
        if field in refused:
            with pytest.raises(ArgumentError, match=refused[field]):
                outcome(replace(recipe, **{field: other}))
        elif outcome(replace(recipe, **{field: other})) == before:
            idle.append(field)
    return idle


@pytest.mark.parametrize("name", RECIPES)
def test_every_field_of_a_recipe_changes_the_run_or_is_refused(name, outcome):
    assert without_effect(tiny(name), outcome) == []


def test_a_field_that_does_nothing_would_be_found_and_so_would_one_without_a_value_here(outcome, monkeypatch):
    @dataclass(frozen=True)
    class Deaf(Best):
        name = "deaf"

        def layers(self):
            return replace(RECIPES["best"], **{**vars(self), "dropout": 0.0}).layers()

    monkeypatch.setitem(REFUSED, "deaf", REFUSED["best"])
    best = tiny("best")
    assert without_effect(Deaf(**vars(best)), outcome) == ["dropout"]
    monkeypatch.delitem(OTHERS, "eps")
    with pytest.raises(KeyError, match="eps"):
        without_effect(best, outcome)


def test_a_dropout_of_zero_leaves_best_the_layers_that_it_had():
    drawn = [RECIPES["best"].networks(np.random.default_rng(0)) for _ in range(2)]
    assert not any("Dropout" in repr(layer) for layer in drawn[0][1].layers)
    half = replace(RECIPES["best"], dropout=0.5).networks(np.random.default_rng(0))
    assert sum("Dropout(drop=0.5)" == repr(layer) for layer in half[1].layers) == len(RECIPES["best"].d_hidden)
    for before, after in zip(drawn[0], half, strict=True):
        np.testing.assert_array_equal(before.params, after.params)


@pytest.mark.parametrize(
    ("name", "changes", "match"),
    [
        ("flux-dcgan", {"drop_last": True}, r"d_fakes 'full' is about the partial batch, which drop_last leaves out"),
        ("best", {"dropout": 1.0}, r"dropout must be a probability in \[0, 1\), such as 0.3, or 0 for none, got 1.0"),
        ("best", {"dropout": -0.5}, "got -0.5"),
        ("renom-maxout", {"init_g": -0.1}, "init_g must be a finite number above 0, got -0.1"),
        ("renom-maxout", {"init_d": float("nan")}, "init_d must be a finite number, got nan"),
        ("flux-dcgan", {"init_std": 0.0}, "init_std must be a finite number above 0, got 0.0"),
        (
            "keras-upconv",
            {"g_hidden": (8,), "merged": False},
            r"merged is about the layers that enlarge, and .* \(8,\)",
        ),
        # With these a run was trained that could not be read again.
        ("best", {"d_hidden": ()}, r"d_hidden must be one or more whole numbers from 1, got \(\)"),
        ("best", {"g_hidden": (8, 0)}, r"g_hidden must be one or more whole numbers from 1, got \(8, 0\)"),
        ("best", {"g_hidden": 8}, "g_hidden must be a tuple, got the number 8: with a comma"),
        ("best", {"drop_last": "yes"}, "drop_last must be True or False, got 'yes'"),
        ("keras-upconv", {"merged": 1}, "merged must be True or False, got 1"),
        ("best", {"d_warmup": True}, "d_warmup must be a whole number, at least 0, got True"),
        ("best", {"lr_g": "0.1"}, "lr_g must be a finite number, got '0.1'"),
        ("best", {"average": False}, "average must be a finite number, got False"),
    ],
)
def test_a_value_that_can_do_nothing_is_refused_when_the_recipe_is_written_down(name, changes, match):
    with pytest.raises(ArgumentError, match=match):
        replace(RECIPES[name], **changes)


@pytest.mark.parametrize("changes", [{"d_warmup": 3}, {"d_steps": 4}, {"d_warmup": 2, "d_steps": 2}])
def test_a_run_in_which_g_never_learns_is_refused(changes, outcome):
    recipe = tiny("pytorch-mlp")  # three steps
    with pytest.raises(ArgumentError, match=r"G would never learn: .* the run has 3; .*--d-warmup, --d-steps"):
        outcome(replace(recipe, **changes))
    assert outcome(replace(recipe, **changes, epochs=2))[-1][-1]["g_loss"] is not None


def test_the_way_out_of_a_last_batch_that_cannot_be_is_taken_by_a_recipe_of_full_batches_of_fakes(outcome):
    recipe = replace(tiny("flux-dcgan"), images=19, packing=2)
    with pytest.raises(ArgumentError, match=r"\(--drop-last --d-fakes match\)"):
        outcome(recipe)
    outcome(replace(recipe, drop_last=True, d_fakes="match"))


def test_an_infinite_eps_at_which_no_weight_moves_is_refused():
    with pytest.raises(ArgumentError, match="eps must be a finite number, got inf"):
        replace(tiny("pytorch-mlp"), eps=float("inf"))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"images": 16, "d_fakes": "full"}, "16 images fill their batches of 8: d_fakes changes nothing."),
        ({"images": 16, "drop_last": True}, "16 images fill their batches of 8: drop_last changes nothing."),
        ({"log_every": 4}, "The run has 3 steps: log_every 4 changes nothing."),
        ({"images": 15, "d_fakes": "full", "log_every": 2}, None),
        ({"images": 15, "drop_last": True}, None),
    ],
)
def test_a_field_that_changes_nothing_on_these_images_is_told(changes, line, outcome):
    said = []
    outcome(replace(tiny("pytorch-mlp"), **{"images": 20, **changes}), said.append)
    assert [text for text in said if "nothing" in text] == ([line] if line else [])
