"""The alarms: the ways to spoil a run, each of which must be told, and runs that are well and must stay quiet."""

import io
import json
import re
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from minigan import runs
from minigan.cli.arguments import parse
from minigan.cli.flags import About
from minigan.cli.main import main
from minigan.cli.train import RunOptions
from minigan.data.batches import Batches
from minigan.data.glyphs import make_glyphs
from minigan.errors import ArgumentError, DivergenceError
from minigan.metrics.classifier import load_classifier
from minigan.nn import Dense, ReLU
from minigan.recipes import RECIPES
from minigan.recipes.mlp import PyTorchMLP
from minigan.runs.saved import checkpoints
from minigan.screen import Screen
from minigan.train import Trainer
from minigan.watch import alarms, symptoms
from minigan.watch.alarms import Alarms, change, digits, distances, reader, repeated_share
from minigan.watch.logs import MetricsLog, read_rows
from minigan.watch.progress import Watch
from minigan.watch.symptoms import ALARMS, COPIES, LONG_STREAK, NOT_A_NUMBER, ONE_CLASS, PICTURES, STREAK

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
READ = {}  # {images: the classifier that reads them, or None}


pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture(scope="module")
def images():
    return make_glyphs(500, seed=0)[0]


@pytest.fixture(autouse=True)
def read_once(monkeypatch):
    """What the classifiers read in the real images, which most of these runs share, is found out once."""

    def read(pixels):
        key = pixels.tobytes()
        if key not in READ:
            READ[key] = reader(pixels)
        return READ[key]

    monkeypatch.setattr(alarms, "reader", read)


@pytest.fixture
def idle(monkeypatch):
    """Trainers play their first step and give its results again: where it does not matter what is learned."""
    play = Trainer.play

    def once(self, *args, **options):
        if "played" not in vars(self):
            self.played = play(self, *args, **options)
        return self.played

    monkeypatch.setattr(Trainer, "play", once)


SOON = {"steps": 60, "every": 5}  # as many looks, for what is so from the first step on


def watched(recipe, images, *, steps=240, every=20, seed=0, **changes):
    """The alarms of a run, taken more often than by default so that it may be short."""
    trainer = Trainer(replace(recipe, epoch_steps=steps, **changes), images, seed=seed)
    watch = Alarms(say=lambda text: None, every=every)
    with np.errstate(all="ignore"):
        trainer.fit([watch])
    return watch


def names(watch):
    return [row["alarm"] for row in watch.raised]


# Sabotaged runs ------------------------------------------------------------------------------------------------


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

    watch = watched(QUICK, images, **SOON)
    assert names(watch) == ["mode collapse"]
    assert watch.readings[-1]["spread"] > 0.1, "the four differ: not one picture"


def test_31_of_64_pictures_alike_are_told(images, monkeypatch):
    real = Trainer.latents

    def latents(trainer, count, rng):  # the first 31 of every 64 are one
        z = real(trainer, count, rng)
        return np.where((np.arange(count) % 64 < 31)[:, None], z[:1], z)

    monkeypatch.setattr(Trainer, "latents", latents)
    watch = watched(QUICK, images, **SOON)
    assert names(watch) == ["mode collapse"]
    assert watch.readings[-1]["copies"] == 31 / 64
    assert "48% of them are copies of another (real images: 0%)" in watch.raised[0]["saw"]


def test_a_g_that_draws_nothing_but_sevens_all_different_is_told(monkeypatch):
    images, labels = make_glyphs(600, seed=0)
    sevens = np.flatnonzero(labels == 7)
    monkeypatch.setattr(  # D is shown no other digit, though there are all in the data
        Batches, "batch", lambda self, number: self.take(sevens[(32 * number + np.arange(32)) % len(sevens)])
    )
    small = {"g_hidden": (64, 64), "d_hidden": (64, 64), "latent_dim": 16, "batch_size": 32, "images": 600}
    watch = watched(replace(RECIPES["quick-mlp"], epochs=1, average=0.9, **small), images, steps=400, every=10)
    assert names(watch) == ["one class"]
    assert re.match(r"[56]\d of 64 pictures are read as a 7, and in each of 5 looks", watch.raised[0]["saw"])
    assert watch.readings[-1]["copies"] == 0, "all different"


def test_losses_and_gradients_beyond_reason_are_told(images):
    hinge = {"loss_kind": "hinge", "d_output": "logit"}  # nothing clips them
    watch = watched(MLP, images, **hinge, lr_d=10.0, lr_g=1e-3)
    assert names(watch) == ["explosion"]
    assert watch.readings[-1]["d_loss"] > 1e4
    assert watch.readings[-1]["g_grad"] > 1e6


class DeadD(PyTorchMLP):
    def layers(self):
        low = Dense(32, init_b=lambda rng, shape, **fans: np.full(shape, -30.0))  # no image of 784 pixels wakes a unit
        return super().layers()[0], [low, ReLU(), *self.answer(Dense(1))]


@pytest.mark.parametrize(
    "changes",
    [{}, {"d_output": "logit"}, {"d_output": "logit", "loss_kind": "hinge"}, {"labels": (0.9, 0.0)}],
    ids=["probability", "logit", "hinge", "its bias still learns"],
)
def test_a_d_whose_units_are_dead_is_told(images, changes):
    watch = watched(DeadD(**{**asdict(MLP), **changes}), images, steps=50, every=10)
    assert names(watch) == ["D dead"]
    assert re.match(r"D gives real images and fakes the same probability of 0\.(50|49)\d\d", watch.raised[0]["saw"])


def test_a_d_whose_sigmoid_is_saturated_at_0_is_told_as_dead(images):
    watch = watched(MLP, images, lr_d=1.0, lr_g=1.0, steps=160)
    assert "D dead" in names(watch)
    assert watch.readings[-1]["d_real"] < 1e-6


def test_a_rate_of_next_to_nothing_is_told(images):
    watch = watched(MLP, images, lr_g=1e-12, **SOON)
    assert names(watch) == ["no change"]
    assert "no pixel of 64 pictures" in watch.raised[0]["saw"]


def test_a_g_whose_last_layer_is_saturated_has_no_gradient_and_is_told(images):
    watch = watched(MLP, images, lr_g=30.0, **SOON)
    assert "no change" in names(watch)
    assert watch.readings[-1]["g_grad"] == 0


def test_images_that_fill_a_quarter_of_the_range_are_told(images):
    watch = watched(MLP, images // 4, **SOON)
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


QUICKEST = ("best", "quick-mlp")


@pytest.mark.parametrize("name", [n if n in QUICKEST else pytest.param(n, marks=pytest.mark.slow) for n in RECIPES])
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


def test_a_reading_is_taken_every_so_many_steps_and_costs_one_batch_of_g(images, monkeypatch, idle):
    sizes = []
    real = alarms.generate
    monkeypatch.setattr(alarms, "generate", lambda G, z: (sizes.append(len(z)), real(G, z))[1])
    watch = watched(QUICK, images, steps=250, every=100)
    assert [reading["step"] for reading in watch.readings] == [100, 200]
    assert sizes == [64, 64]


def test_the_digits_are_read_in_every_fifth_look_and_of_images_that_are_none_never(images, monkeypatch, idle):
    real = alarms.digits  # by which the images are known for digits; what G has drawn, 64 at once, is none
    monkeypatch.setattr(alarms, "digits", lambda x, *by: [0] * 10 if len(x) == PICTURES else real(x, *by))
    read = [reading["step"] for reading in watched(QUICK, images, steps=240).readings if "digits" in reading]
    assert read == [100, 200]
    trainer, watch = Trainer(replace(QUICK, epoch_steps=40, epochs=4), images), Alarms(say=lambda text: None, every=4)
    trainer.fit([watch], stop=lambda: trainer.epoch == 2)
    trainer.fit([watch])  # gone on with by hand
    assert [reading["step"] for reading in watch.readings if "digits" in reading] == [
        20,
        40,
        60,
        80,
        100,
        120,
        140,
        160,
    ]
    turned = watched(QUICK, images.transpose(0, 2, 1), steps=240)
    assert not any("digits" in reading for reading in turned.readings)
    monkeypatch.setattr(alarms, "reader", None)  # a run shorter than that does not ask
    assert len(watched(QUICK, images, steps=80).readings) == 4


class Points(PyTorchMLP):
    image_shape = (2,)


def test_what_is_no_picture_of_28_by_28_is_watched_too(idle):
    points = np.random.default_rng(0).uniform(-1, 1, (500, 2)).astype(np.float32)
    watch = watched(Points(**asdict(MLP)), points, steps=200)
    assert len(watch.readings) == 10
    assert not any("digits" in reading for reading in watch.readings)


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
def test_every_flag_that_is_recommended_is_taken_by_minigan_train_and_changes_the_run(alarm, changes):
    taken_by_train(replace(RECIPES["pytorch-mlp"], **changes), alarm.remedy)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_recommended_flags_that_it_has_and_that_change_it(name):
    for remedy in {alarm.remedy for alarm in ALARMS}:
        taken_by_train(RECIPES[name], remedy)


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
    parsed = parse({"recipe": recipe, "run": RunOptions()}, words, About("minigan train"), description="").recipe
    for flag in flags:
        field = flag.split()[0][2:].replace("-", "_")
        assert field in asdict(recipe) or field in asdict(RunOptions())
        if field in asdict(recipe):
            assert getattr(parsed, field) != getattr(recipe, field), f"{flag} is what the run does already"
    return parsed


def test_dropout_is_recommended_to_a_d_that_has_little_and_labels_only_where_there_are_any():
    for recipe in RECIPES.values():
        assert f"--dropout {max(0.3, min(recipe.dropout + 0.2, 0.7)):g} " in symptoms.weaken_d(recipe)
        assert "--dropout" not in symptoms.weaken_d(replace(recipe, dropout=0.8))
    hinge = replace(RECIPES["best"], loss_kind="hinge")
    assert "--labels" not in symptoms.weaken_d(hinge), "the hinge loss has no labels"


def test_an_alarm_names_numbers_the_meaning_and_flags_and_comes_once(images):
    said = []
    trainer = Trainer(replace(MLP, epoch_steps=100, lr_g=1e-12), images, seed=0)
    watch = Alarms(say=said.append, every=5)
    trainer.fit([watch])
    assert len(watch.readings) == 20
    alarm, reminder = said
    first, saw, usually, remedy = alarm.splitlines()
    assert first == "ALARM: no change (step 30, epoch 1)"
    assert re.search(r"\d", saw)
    assert usually.startswith("  usually: a rate near 0")
    assert "--lr-g 0.0002" in remedy
    assert "now 1e-12" in remedy
    assert reminder == "Alarms of this run: no change (step 30)"


def test_what_passes_by_itself_is_no_alarm():
    bad = {"d_real": 0.4, "d_fake": 0.6, "acc_fake": 0.3, "d_grad": 1.0}
    good = {**bad, "d_fake": 0.39, "acc_fake": 0.0}
    for healthy in range(STREAK):
        readings = [bad] * healthy + [good] + [bad] * (STREAK - 1)
        assert symptoms.g_too_strong(readings) is None
    assert symptoms.g_too_strong([good] + [bad] * STREAK)


HEALTHY = {
    "step": 0, "epoch": 1, "d_loss": 1.3, "d_loss_real": 0.6, "d_loss_fake": 0.7, "g_loss": 0.8, "d_real": 0.55,
    "d_fake": 0.45, "acc_real": 0.6, "acc_fake": 0.6, "g_steps": 100, "g_grad": 3.0, "d_grad": 2.0, "g_moved": 0.1,
    "d_moved": 0.1, "changed": 0.5, "outside": 0.0, "range": (0.0, 1.0), "real_range": (0.0, 1.0), "spread": 0.9,
    "copies": 0.0, "real_copies": 0.0,
}  # fmt: skip
SURE = {"acc_real": 1.0, "acc_fake": 1.0, "d_fake": 0.02, "d_loss": 0.04}
DEAD = {"d_real": 0.5, "d_fake": 0.5, "acc_real": 1.0, "acc_fake": 0.0, "g_grad": 0.0, "d_grad": 0.0}


def asked(*changes):
    """What the alarms say of readings that differ from a healthy one, all of them asked at every reading."""
    readings = [{**HEALTHY, "step": 100 * (i + 1), **change} for i, change in enumerate(changes)]
    return [a.name for a in ALARMS if any(a.saw(readings[: i + 1]) for i in range(len(readings)))]


def test_a_sure_d_is_no_alarm_while_g_has_a_gradient_and_d_something_to_learn():
    assert asked(*[SURE] * 9) == []
    assert asked(*[{**SURE, "g_grad": 500.0}] * STREAK, *[SURE] * STREAK) == ["D too strong"]  # vanished
    assert asked(*[{**SURE, "d_loss": 0.001}] * 9) == ["D too strong"]  # nothing left to learn: hinge too
    assert asked(*[{**SURE, "d_loss": 0.001, "g_steps": 0}] * 9) == []  # G's turn has not come


@pytest.mark.parametrize("outlier", [100.0, 500.0, 1e19, float("inf")])
def test_one_early_gradient_of_100_does_not_make_every_later_one_look_vanished(outlier):
    later = [{**SURE, "g_grad": 0.5}] * 30
    for early in ([outlier], [outlier, outlier], [0.5, outlier, 0.5]):
        assert asked(*[{**SURE, "g_grad": g} for g in early], *later) == []


@pytest.mark.parametrize(("name", "sign"), [("g_grad", 1), ("d_grad", 1), ("d_loss", 1), ("g_loss", 1), ("g_loss", -1)])
def test_what_grows_to_1e19_is_told(name, sign):
    for decades in (0.1, 0.5, 4):  # from one reading to the next
        growing = [{name: sign * 10 ** min(decades * i, 19)} for i in range(200)]
        assert asked(*growing) == ["explosion"]
    assert asked(*[{name: 0.5 * sign}] * 9, *[{name: 200.0 * sign}] * STREAK) == ["explosion"]
    assert asked(*[{name: 1e19 * sign}] * STREAK) == ["explosion"]  # from the first reading on, as after a resume


@pytest.mark.parametrize("name", ["g_grad", "d_grad", "d_loss", "g_loss"])
def test_what_begins_tiny_or_leaps_for_a_moment_is_no_explosion(name):
    for tiny in (0.0, 1e-9, 1e-3):
        assert asked(*[{name: tiny}] * 20, *[{name: 90.0}] * 20) == []
    assert asked(*[{name: 10.0}] * 20, *[{name: 900.0}] * 20) == []
    leaps = [{name: 1e19}] * (STREAK - 1)
    assert asked(*[{}] * 20, *leaps, {}, *leaps, {}) == []
    assert asked(*[{"g_loss": None, "g_steps": 0, "g_grad": 0.0}] * 20, *[{}] * 20) == []  # D's warm-up


def test_an_explosion_is_told_where_g_has_a_turn_in_few_looks_only():
    turns = [{"g_loss": -1e7}, {"g_loss": None, "g_steps": 0}]
    assert asked(*turns * 10) == ["explosion"]
    saw = symptoms.explosion([{**HEALTHY, **change} for change in turns * 10])
    assert saw is not None
    assert saw.startswith("G's loss is -1e+07, and at least 1e+07 in 2 looks")


@pytest.mark.parametrize("answer", [0.0, 0.45, 0.5, 1.0])
@pytest.mark.parametrize("gradient", [0.0, 1e-7])
def test_a_d_that_answers_alike_and_hands_on_no_gradient_is_dead(answer, gradient):
    dead = {**DEAD, "d_real": answer, "d_fake": answer, "g_grad": gradient, "d_grad": gradient}
    assert asked(*[{}] * 9, *[dead] * STREAK) == ["D dead"]


def test_a_d_that_can_no_longer_tell_but_hands_on_a_gradient_is_not_dead():
    for alive in ({"g_grad": 0.01}, {"d_real": 0.501}, {"g_steps": 0}):
        assert asked(*[{}] * 9, *[{**DEAD, **alive}] * 20) == []
    assert asked(*[{}] * 9, *[DEAD] * (STREAK - 1), {}, *[DEAD] * (STREAK - 1)) == []


def test_a_quarter_of_the_pictures_alike_is_told_if_it_lasts_and_less_is_not():
    assert asked(*[{"copies": COPIES}] * LONG_STREAK) == ["mode collapse"]
    assert asked(*[{"copies": COPIES - 1 / PICTURES}] * 20) == []
    assert asked(*[{"copies": 0.5}] * (LONG_STREAK - 1), {}, *[{"copies": 0.5}] * (LONG_STREAK - 1)) == []
    assert asked(*[{"copies": 0.4, "real_copies": 0.25}] * 20) == [], "the run's own images hold copies"
    assert asked(*[{"copies": 0.5, "real_copies": 0.25}] * LONG_STREAK) == ["mode collapse"]
    assert asked(*[{"spread": 0.01}] * STREAK) == ["mode collapse"]


def test_the_copies_that_a_healthy_run_draws_at_first_are_no_alarm():
    seen = [0.14, 0.5, 0.53, 0.44, 0.25, 0.08]  # renom-maxout made smaller, on MNIST
    assert asked(*[{"copies": copies} for copies in seen], *[{}] * 20) == []


def test_one_digit_in_one_look_or_little_more_than_the_others_is_no_alarm():
    most, one = [0, 4, 0, 0, 0, 0, 0, 60, 0, 0], [64] + [0] * 9
    many, unread = [20, 8, 0, 4, 8, 8, 4, 4, 4, 4], [0] * 10  # blots are read as something, but not surely
    enough, fewer = ([int(ONE_CLASS * PICTURES) - less, *[1] * 9] for less in (0, 1))
    sevens = [
        [1] * 7 + [seven, 1, 1] for seven in (55, 56, 50, 53, 55)
    ]  # of a small G that still learns them, on MNIST
    for looks in ([most] * STREAK, [most, one] * STREAK, [enough] * STREAK, sevens):
        assert asked(*[{"digits": counts} for counts in looks]) == ["one class"]
    for looks in ([fewer] * 20, [most] * (STREAK - 1), [*[most] * (STREAK - 1), many] * 3, [many] * 20, [unread] * 20):
        assert asked(*[{"digits": counts} for counts in looks]) == []
    assert asked({}, {}, {"digits": most}, *[{}] * 99) == [], "looks count, not the readings between them"


def test_a_g_whose_turn_has_not_come_may_stand_still(images):
    assert names(watched(MLP, images, d_warmup=10_000, **SOON)) == []


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
    main(["train", "quick-mlp", *flags, "--out", "run", "--no-alarms"])
    assert "ALARM" not in capsys.readouterr().out
    assert runs.Run("run").alarms() == []
    main(["train", "--resume", "run", "--epochs", "2"])
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


def test_distances_are_the_mean_of_all_and_of_each_to_the_nearest():
    x = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0], [0.0, 11.0]]) + 1e3
    pairs = [np.hypot(*(a - b)) for i, a in enumerate(x) for b in x[:i]]
    mean, nearest = distances(x)
    assert mean == pytest.approx(np.mean(pairs))
    np.testing.assert_allclose(nearest, [1, np.hypot(3, 3), 1, np.hypot(3, 7)])
    for still in (np.ones((3, 2)), np.ones((1, 2))):
        mean, nearest = distances(still)
        assert mean == 0
        np.testing.assert_array_equal(nearest, np.zeros(len(still)))


def test_copies_are_those_near_to_another_relative_to_all_the_distances(images):
    real, drawn = distances(images[:64] / 255.0), images[64:128] / 255.0
    alike = drawn.copy()
    alike[:31] = drawn[0]
    noise = np.random.default_rng(0).normal(0, 1e-4, alike.shape)
    assert repeated_share(real, real) == repeated_share(distances(drawn), real) == 0
    for pictures in (alike, alike + noise, alike / 50):  # faint ones too
        assert repeated_share(distances(pictures), real) == 31 / 64
    assert repeated_share(distances(np.zeros_like(drawn)), real) == 1
    assert repeated_share(real, distances(drawn[:1])) == 0, "one real image tells nothing"


def test_digits_are_recognised_as_digits_whatever_their_folder_is_called_and_nothing_else_is():
    images, labels = make_glyphs(400, seed=1)
    noise = np.random.default_rng(0).integers(0, 256, (64, 28, 28)).astype(np.uint8)
    assert reader(images[:128]) is not None
    assert reader(images[labels < 5]) is not None
    for others in (images[labels == 7], images.transpose(0, 2, 1)[:128], noise, np.zeros_like(noise)):
        assert reader(others) is None


def test_digits_are_counted_where_they_are_surely_read():
    images, labels = make_glyphs(200, seed=1)
    noise = np.random.default_rng(0).integers(0, 256, (64, 28, 28)).astype(np.uint8)
    glyphs = load_classifier("glyphs")
    assert digits(images, glyphs) == np.bincount(labels, minlength=10).tolist()
    assert sum(digits(noise, load_classifier("mnist"))) < 16


def test_change_is_relative_to_what_was():
    assert change(np.array([3.0, 4.0]), np.array([3.0, 4.5])) == pytest.approx(0.1)
    assert change(np.zeros(2), np.zeros(2)) == 0


def test_the_alarms_of_a_folder_without_any_are_none(tmp_path):
    assert read_rows(tmp_path / "alarms.jsonl") == []
