"""The alarms: eight ways to spoil a run, each of which must be told, and runs that are well and must stay quiet."""

import io
import json
import re
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from minigan import alarms, cli, runs, symptoms
from minigan.alarms import Alarms, change, distances
from minigan.arguments import parse
from minigan.callbacks import MetricsLog, read_rows
from minigan.data.glyphs import make_glyphs
from minigan.errors import ArgumentError, DivergenceError
from minigan.flags import Subject
from minigan.nn import Dense
from minigan.progress import Watch
from minigan.recipes import RECIPES
from minigan.recipes.mlp import PyTorchMLP
from minigan.saving import checkpoints
from minigan.screen import Screen
from minigan.symptoms import ALARMS, NOT_A_NUMBER, STREAK
from minigan.train import Trainer

MLP = replace(
    RECIPES["pytorch-mlp"],
    epochs=1,
    g_hidden=(32, 32),
    d_hidden=(32, 32),
    latent_dim=16,
    batch_size=32,
    images=500,
    log_every=0,
)
QUICK = RECIPES["quick-mlp"].smoke()


pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture(scope="module")
def images():
    return make_glyphs(500, seed=0)[0]


def watched(recipe, images, *, steps=240, every=20, seed=0, **changes):
    """The alarms of a run, taken more often than by default so that it may be short."""
    trainer = Trainer(replace(recipe, epoch_steps=steps, **changes), images, seed=seed)
    watch = Alarms(say=lambda text: None, every=every)
    with np.errstate(all="ignore"):
        trainer.fit([watch])
    return watch


def names(watch):
    return [row["alarm"] for row in watch.raised]


# Eight sabotaged runs ------------------------------------------------------------------------------------------------


def test_rates_beyond_reason_are_told_as_a_number_that_is_none(tmp_path, capsys):
    with pytest.raises(DivergenceError, match=r"d_loss.* is NaN or infinite"):
        train(tmp_path / "run", lr_g=1e30, lr_d=1e30, say=print)
    (row,) = runs.Run(tmp_path / "run").alarms()
    assert row["alarm"] == NOT_A_NUMBER
    assert row["try"] == "--lr-g 0.0002 --lr-d 0.0002"
    assert "ALARM: not a number" in capsys.readouterr().out


def test_a_d_that_wins_against_minimax_is_told(images):
    watch = watched(MLP, images, g_loss="minimax", lr_d=2e-3, lr_g=1e-4, d_steps=3)
    assert names(watch)[0] == "D too strong"
    assert watch.readings[-1]["g_grad"] < 0.01 * watch.readings[0]["g_grad"]
    assert "--g-loss non_saturating" in watch.raised[0]["try"]


def test_a_d_that_stands_still_is_told_and_so_is_the_g_that_fools_it(images):
    watch = watched(MLP, images, lr_d=1e-12, lr_g=2e-3)
    assert set(names(watch)) == {"G too strong", "no change"}
    assert re.search(r"D's weights stand still", {r["alarm"]: r for r in watch.raised}["no change"]["saw"])


def test_a_g_that_runs_ahead_of_a_slow_d_is_told(images):
    assert "G too strong" in names(watched(MLP, images, lr_g=2e-3, lr_d=1e-5))


def test_one_picture_for_all_latents_is_told(images):
    watch = watched(MLP, images, lr_g=1e-2, lr_d=1e-4, steps=400)
    assert names(watch) == ["mode collapse"]
    assert watch.readings[-1]["d_real"] > watch.readings[-1]["d_fake"], "D still follows, so nothing else shows it"
    assert watch.readings[-1]["spread"] < 0.02


def test_a_few_pictures_for_all_latents_are_told(images, monkeypatch):
    real = Trainer.latents
    monkeypatch.setattr(Trainer, "latents", lambda self, n, rng: 3 * np.sign(real(self, n, rng)) * few(self, n))

    def few(trainer, n):  # only two of the latents' sixteen signs are left: four pictures
        return (np.arange(trainer.recipe.latent_dim) < 2).astype(np.float32)

    watch = watched(QUICK, images, steps=160)
    assert names(watch) == ["mode collapse"]
    assert watch.readings[-1]["spread"] > 0.1, "the four differ: not one picture"


def test_a_rate_of_next_to_nothing_is_told(images):
    watch = watched(MLP, images, lr_g=1e-12)
    assert names(watch) == ["no change"]
    assert "no pixel of 64 pictures" in watch.raised[0]["saw"]


def test_a_g_whose_last_layer_is_saturated_has_no_gradient_and_is_told(images):
    watch = watched(MLP, images, lr_g=30.0)
    assert "no change" in names(watch)
    assert watch.readings[-1]["g_grad"] == 0


def test_images_that_fill_a_quarter_of_the_range_are_told(images):
    watch = watched(MLP, images // 4)
    assert names(watch) == ["range mismatch"]
    assert "fill only 0% to 25%" in watch.raised[0]["saw"]


class Unbounded(PyTorchMLP):
    def layers(self):
        g_layers, d_layers = super().layers()
        return [*g_layers[:-2], Dense(784)], d_layers


def test_a_g_that_draws_outside_the_images_range_is_told(images):
    watch = watched(Unbounded(**{**asdict(MLP), "lr_g": 5e-3}), images, steps=120)
    assert names(watch) == ["range mismatch"]
    assert "of the pixels that G draws lie outside the images' range" in watch.raised[0]["saw"]


# Runs that are well --------------------------------------------------------------------------------------------------


DENSE = [name for name, recipe in RECIPES.items() if len(recipe.image_shape) == 1]


@pytest.mark.parametrize("name", [n if n in DENSE else pytest.param(n, marks=pytest.mark.slow) for n in RECIPES])
def test_no_recipe_alarms_while_it_is_small_and_short(images, name):
    watch = watched(RECIPES[name].smoke(), images[:200], steps=350, every=50)
    assert len(watch.readings) > STREAK
    assert names(watch) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["quick-mlp", "pytorch-mlp", "pytorch-mlp-mended"])
def test_no_recipe_alarms_in_a_thousand_steps_at_its_published_size(name):
    images = make_glyphs(5000, seed=0)[0]
    assert names(watched(replace(RECIPES[name], epochs=1, images=5000), images, steps=1000, every=100)) == []


# They change nothing and cost little ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["quick-mlp", "renom-maxout", "flux-dcgan"])
def test_weights_and_metrics_are_the_same_bits_with_and_without(images, name, tmp_path):
    recipe = replace(RECIPES[name].smoke(), log_every=2, epoch_steps=12)
    ends = []
    for folder, watchers in (("with", [Alarms(say=print, every=2)]), ("without", [])):
        (tmp_path / folder).mkdir()
        trainer = Trainer(recipe, images[:200], seed=0)
        trainer.fit([*watchers, MetricsLog(tmp_path / folder)])
        state = {**trainer.networks, **trainer.optimizers}
        ends.append([array.copy() for owner in state.values() for array in owner.state().values()])
    for a, b in zip(*ends, strict=True):
        np.testing.assert_array_equal(a, b)
    logs = [(tmp_path / folder / "metrics.jsonl").read_bytes() for folder in ("with", "without")]
    assert logs[0] == logs[1]


def test_a_reading_is_taken_every_so_many_steps_and_costs_one_batch_of_g(images, monkeypatch):
    sizes = []
    real = alarms.generate
    monkeypatch.setattr(alarms, "generate", lambda G, z: (sizes.append(len(z)), real(G, z))[1])
    watch = watched(QUICK, images, steps=250, every=100)
    assert [reading["step"] for reading in watch.readings] == [100, 200]
    assert sizes == [64, 64]


@pytest.mark.parametrize("every", [0, -1, 2.5])
def test_an_impossible_interval_is_named(every):
    with pytest.raises(ArgumentError, match="every must be a whole number of steps"):
        Alarms(every=every)


# What they say -------------------------------------------------------------------------------------------------------


VARIANTS = [
    {},
    {"g_loss": "minimax", "d_output": "probability", "dropout": 0.3, "d_steps": 3, "labels": (0.9, 0.0)},
    {"loss_kind": "hinge", "d_output": "logit", "beta1": 0.0},
    {"packing": 2, "batch_size": 64, "beta1": 0.9, "dropout": 0.9},
    {"lr_g": 1e30, "lr_d": 1e-12},
]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
@pytest.mark.parametrize("alarm", ALARMS, ids=lambda alarm: alarm.name)
def test_every_flag_that_is_recommended_is_taken_by_minigan_train_with_its_value(alarm, changes):
    taken_by_train(replace(RECIPES["pytorch-mlp"], **changes), alarm.remedy)


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_the_rates_that_are_recommended_after_a_divergence_are_lower_ones_and_taken_by_minigan_train(changes):
    recipe = replace(RECIPES["pytorch-mlp"], **changes)
    parsed = taken_by_train(recipe, symptoms.slow_down)
    assert parsed.lr_g < recipe.lr_g
    assert parsed.lr_d < recipe.lr_d


def taken_by_train(recipe, remedy):
    """The recipe as the flags of the remedy make it."""
    text = re.sub(r"\([^)]*\)", "", remedy(recipe))
    flags = re.findall(r"--[a-z0-9-]+(?: (?:[\d.]+(?:e[+-]?\d+)?|non_saturating)\b)*", text)
    assert flags
    words = [word for flag in flags for word in flag.split() if flag not in ("--seed", "--dataset")]  # without value
    parsed = parse({"recipe": recipe, "run": cli.RunOptions()}, words, Subject("minigan train"), description="").recipe
    for flag in flags:
        field = flag.split()[0][2:].replace("-", "_")
        assert field in asdict(recipe) or field in asdict(cli.RunOptions())
    if words:
        assert parsed != recipe, "the advice is what the run does already"
    return parsed


def test_dropout_is_recommended_to_a_d_that_has_little_and_labels_only_where_there_are_any():
    for recipe in RECIPES.values():
        assert f"--dropout {max(0.3, min(recipe.dropout + 0.2, 0.7)):g} " in symptoms.weaken_d(recipe)
        assert "--dropout" not in symptoms.weaken_d(replace(recipe, dropout=0.8))
    hinge = replace(RECIPES["best"], loss_kind="hinge")
    assert "--labels" not in symptoms.weaken_d(hinge), "the hinge loss has no labels"


def test_an_alarm_names_numbers_the_meaning_and_flags_and_comes_once(images):
    said = []
    trainer = Trainer(replace(MLP, epoch_steps=400, lr_g=1e-12), images, seed=0)
    watch = Alarms(say=said.append, every=20)
    trainer.fit([watch])
    assert len(watch.readings) == 20
    alarm, reminder = said
    first, saw, usually, remedy = alarm.splitlines()
    assert first == "ALARM: no change (step 120, epoch 1)"
    assert re.search(r"\d", saw)
    assert usually.startswith("  usually: a rate near 0")
    assert "--lr-g 0.0002" in remedy
    assert "now 1e-12" in remedy
    assert reminder == "Alarms of this run: no change (step 120)"


def test_what_passes_by_itself_is_no_alarm():
    bad = {"d_real": 0.4, "d_fake": 0.6, "acc_fake": 0.3, "d_grad": 1.0}
    good = {**bad, "d_fake": 0.39, "acc_fake": 0.0}
    for healthy in range(STREAK):
        readings = [bad] * healthy + [good] + [bad] * (STREAK - 1)
        assert symptoms.g_too_strong(readings) is None
    assert symptoms.g_too_strong([good] + [bad] * STREAK)


def test_a_sure_d_is_no_alarm_while_g_has_a_gradient_and_d_something_to_learn():
    reading = {"acc_real": 1.0, "acc_fake": 1.0, "d_fake": 0.02, "d_loss": 0.04, "g_grad": 3.0, "g_steps": 20}
    assert symptoms.d_too_strong([reading] * 9) is None
    assert symptoms.d_too_strong([{**reading, "g_grad": 500.0}] + [reading] * 9)  # vanished
    assert symptoms.d_too_strong([{**reading, "d_loss": 0.001}] * 9)  # nothing left to learn: hinge too
    assert symptoms.d_too_strong([{**reading, "d_loss": 0.001, "g_steps": 0}] * 9) is None  # G's turn has not come


def test_a_g_whose_turn_has_not_come_may_stand_still(images):
    assert names(watched(MLP, images, d_warmup=10_000)) == []


def test_a_message_goes_above_the_live_display_and_is_not_read_as_markup():
    output = io.StringIO()
    watch = Watch(SimpleNamespace(count=0), Screen(Console(file=output, width=40)))
    watch.say("[bold]ALARM: " + "long " * 20)
    assert output.getvalue() == "[bold]ALARM: " + "long " * 20 + "\n"


# In a run's folder ---------------------------------------------------------------------------------------------------


def train(out, **options):
    return runs.start(QUICK, out=out, dataset="glyphs", device="cpu", say=options.pop("say", lambda s: None), **options)


STILL = {"lr_g": 1e-12, "lr_d": 1e-5}  # nothing but that is wrong, for some hundred steps


@pytest.fixture
def often(monkeypatch):
    """Readings every four steps, so that a run in a folder may be short."""
    monkeypatch.setattr(Alarms.__init__, "__kwdefaults__", {**Alarms.__init__.__kwdefaults__, "every": 4})


def test_alarms_are_kept_in_the_runs_folder_and_cut_at_a_resume(tmp_path, capsys, often):
    run = train(tmp_path / "run", epoch_steps=24, say=print, **STILL)
    (row,) = run.alarms()
    assert row["alarm"] == "no change"
    assert (row["step"], row["epoch"]) == (24, 1)
    assert set(row) == {"step", "epoch", "alarm", "saw", "means", "try"}
    said = capsys.readouterr().out
    assert "ALARM: no change (step 24, epoch 1)" in said
    assert f"see {run.folder / 'alarms.jsonl'}" in said
    later = {**row, "step": 10**6, "alarm": "mode collapse"}
    with (run.folder / "alarms.jsonl").open("a") as file:
        file.write(json.dumps(later) + "\n")
    runs.resume(run.folder, epochs=2, say=lambda s: None)
    assert run.alarms() == [row], "what lies behind the checkpoint is cut, and what was said is not said again"


def test_a_resume_without_alarms_forgets_those_behind_its_checkpoint_too(tmp_path):
    quiet = {"device": "cpu", "say": lambda line: None, "alarms": False}
    run = runs.start(QUICK, dataset="glyphs", out=tmp_path / "run", **quiet)
    last = run.metrics()[-1]["step"]
    rows = [{"step": step, "epoch": 1, "alarm": "no change"} for step in (last, last + 1)]
    (run.folder / "alarms.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    runs.resume(run.folder, epochs=2, **quiet)
    assert run.alarms() == rows[:1]


def test_no_alarms_turns_them_off_on_the_command_line_and_a_resume_turns_them_on(capsys, often):
    flags = ["--smoke", "--dataset", "glyphs", "--device", "cpu", "--epoch-steps", "24", "--lr-g", "1e-12"]
    cli.main(["train", "quick-mlp", *flags, "--out", "run", "--no-alarms"])
    assert "ALARM" not in capsys.readouterr().out
    assert runs.Run("run").alarms() == []
    cli.main(["train", "--resume", "run", "--epochs", "2"])
    assert "ALARM: no change (step 48, epoch 2)" in capsys.readouterr().out
    assert [row["step"] for row in runs.Run("run").alarms()] == [48]


@pytest.mark.parametrize("alarms_on", [True, False])
def test_weights_that_are_no_numbers_never_follow_a_good_checkpoint(tmp_path, monkeypatch, alarms_on):
    """Poisoned in the last step of an epoch, after its losses were computed: nothing but the weights shows it."""
    real, said, folder = Trainer.train_step, [], tmp_path / "run"

    def poison(self, x):
        results = real(self, x)
        if self.step == 2 * self.epoch_steps:
            self.G.params[3] = np.nan
        return results

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", poison)
        with pytest.raises(DivergenceError, match=r"G\.0\.Dense\.W is NaN"):
            train(folder, epochs=2, epoch_steps=3, sample_every="never", say=said.append, alarms=alarms_on)
    run = runs.Run(folder)
    assert run.epoch == 1
    assert [p.stem for p in checkpoints(folder)] == ["epoch-0000", "epoch-0001"]
    assert np.isfinite(run.generator().params).all()
    assert [row["alarm"] for row in run.alarms()] == [NOT_A_NUMBER] * alarms_on
    good, draw, anew = said[-3:]
    assert good == f"The last good checkpoint is {run.checkpoint}"
    assert draw.endswith(f"minigan sample {folder}")
    assert anew.endswith("minigan train quick-mlp --lr-g 0.0001 --lr-d 0.0001")


# The numbers ---------------------------------------------------------------------------------------------------------


def test_distances_are_the_mean_of_all_and_the_median_to_the_nearest():
    x = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0], [0.0, 11.0]]) + 1e3
    pairs = [np.hypot(*(a - b)) for i, a in enumerate(x) for b in x[:i]]
    mean, nearest = distances(x)
    assert mean == pytest.approx(np.mean(pairs))
    assert nearest == pytest.approx(np.median([1, np.hypot(3, 3), 1, np.hypot(3, 7)]))
    assert distances(np.ones((3, 2))) == (0.0, 0.0)
    assert distances(np.ones((1, 2))) == (0.0, 0.0)


def test_change_is_relative_to_what_was():
    assert change(np.array([3.0, 4.0]), np.array([3.0, 4.5])) == pytest.approx(0.1)
    assert change(np.zeros(2), np.zeros(2)) == 0


def test_the_alarms_of_a_folder_without_any_are_none(tmp_path):
    assert read_rows(tmp_path / "alarms.jsonl") == []
