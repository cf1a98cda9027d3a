"""What is given for a number: NumPy's become Python's own at every door, and what is no number is refused there."""

import inspect
import json
from dataclasses import asdict, fields, replace
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from runfolder import SMOKE, contents, start

from minigan import nn
from minigan.backend import RandomStream
from minigan.data.batches import Batches
from minigan.data.datasets import load_dataset
from minigan.data.glyphs import make_glyphs
from minigan.errors import ArgumentError, MiniganError
from minigan.gan import Feeding, GANLoss
from minigan.losses import binary_cross_entropy, binary_cross_entropy_with_logits, softmax_cross_entropy
from minigan.nn.init import normal, uniform
from minigan.optim import SGD, Adam
from minigan.recipes import RECIPES
from minigan.recipes.recipe import hints_of
from minigan.runs.evaluation import evaluate
from minigan.runs.sampling import sample
from minigan.runs.saver import Keep
from minigan.train import Trainer
from minigan.train import timing as bench
from minigan.watch.alarms import Alarms

LAYERS = [c for name in nn.__all__ if inspect.isclass(c := getattr(nn, name)) and issubclass(c, nn.Layer)]
NO_NUMBER = (True, np.True_, np.array(True), "2", None, 2 + 0j, np.array([2]), float("nan"), np.float32("inf"))
IMAGES = np.full((4, 28, 28), 255, np.uint8)


def net(**options: Any) -> nn.Sequential:
    return nn.Sequential([nn.Dense(2)], rng=np.random.default_rng(0), **{"in_shape": (3,), **options})


def settings(layer):
    """{setting: its type} of a layer's constructor, of the settings that are numbers or truths."""
    hints = {name: hint for name, hint in get_type_hints(layer.__init__).items() if name != "return"}
    return {name: kind for name, hint in hints.items() if (kind := kind_of(hint))}


def kind_of(hint):
    return next((kind for kind in (bool, int, float) if kind is hint or kind in get_args(hint)), None)


def made(layer, **given):
    """The layer with these settings, and with something for those that it needs."""
    plain = {bool: True, int: 2, float: 0.25, None: nn.Dense(2)}
    parameters = list(inspect.signature(layer.__init__).parameters.values())[1:]
    needed = {p.name: p.kind for p in parameters if p.default is p.empty}
    kinds = settings(layer)
    values = {name: given.get(name, plain[kinds.get(name)]) for name in needed}
    placed = [values.pop(name) for name, kind in needed.items() if kind is not inspect.Parameter.KEYWORD_ONLY]
    return layer(*placed, **{**values, **{n: v for n, v in given.items() if n not in needed}})


DOORS = [(layer, name, kind) for layer in LAYERS for name, kind in settings(layer).items()]


def test_the_settings_of_layers_are_found():
    found = {(layer.__name__, name) for layer, name, _ in DOORS}
    assert {("Dense", "features"), ("Dense", "bias"), ("Conv2d", "pad"), ("MaxPool2d", "stride")} <= found
    assert {("BatchNorm", "eps"), ("Dropout", "drop"), ("Reshape", "shape"), ("LeakyReLU", "slope")} <= found


@pytest.mark.parametrize(("layer", "name", "kind"), DOORS, ids=lambda v: getattr(v, "__name__", v))
def test_a_number_of_numpys_in_a_layer_is_held_as_pythons_own(layer, name, kind):
    value = {bool: True, int: 1, float: 0.25}[kind]
    for given in {
        bool: [np.True_, np.array(True)],
        int: [np.int64(1), np.uint8(1), np.array(1)],
        float: [np.float32(0.25), np.float64(0.25), np.float16(0.25), np.array(0.25)],
    }[kind]:
        assert repr(made(layer, **{name: given})) == repr(made(layer, **{name: value}))
        held = vars(made(layer, **{name: given}))
        assert not [v for v in held.values() if isinstance(v, (np.generic, np.ndarray))]


@pytest.mark.parametrize(("layer", "name", "kind"), DOORS, ids=lambda v: getattr(v, "__name__", v))
def test_what_is_no_number_is_refused_by_a_layer(layer, name, kind):
    for wrong in (1, "no", None, np.array([True])) if kind is bool else NO_NUMBER:
        if (layer.__name__, name, wrong) == ("MaxPool2d", "stride", None):  # the kernel
            continue
        with pytest.raises(ArgumentError, match=layer.__name__):
            made(layer, **{name: wrong})
    if kind is int:
        for wrong in (1.0, np.float64(1.0), -1):
            with pytest.raises(ArgumentError, match=layer.__name__):
                made(layer, **{name: wrong})


@pytest.mark.parametrize(
    ("given", "held"),
    [
        (
            lambda: nn.Conv2d(2, [3, np.int64(5)], stride=[2, 1]),
            "Conv2d(channels=2, kernel=(3, 5), stride=(2, 1), pad=",
        ),
        (lambda: nn.Conv2d(2, 3, pad=([1, np.int8(2)], 1)), "pad=((1, 2), 1)"),
        (lambda: nn.Upsample2d([2, np.int16(3)]), "scale=(2, 3)"),
        (lambda: nn.MaxPool2d([2, 3]), "kernel=(2, 3), stride=(2, 3)"),
        (lambda: nn.Reshape(*np.array([7, 7, 64])), "shape=(7, 7, 64)"),
        (lambda: net(in_shape=[np.int64(3)]), "in_shape=(3,)"),
    ],
)
def test_sizes_in_a_list_are_told_as_a_tuple_of_plain_numbers(given, held):
    assert held in repr(given())


def test_a_layer_of_a_numpy_size_trains_like_one_of_a_plain_size():
    x = np.ones((4, 3), np.float32)
    nets = [
        nn.Sequential(
            [nn.Dense(features), nn.LeakyReLU(slope=slope), nn.BatchNorm(eps=slope)],
            in_shape,
            rng=np.random.default_rng(0),
        )
        for features, slope, in_shape in ((5, 0.25, (3,)), (np.int32(5), np.float64(0.25), (np.int64(3),)))
    ]
    (y, cache), (same, other) = (n.forward(x, train=True) for n in nets)
    assert y.dtype == same.dtype == np.float32
    for n, dy, kept in ((nets[0], y, cache), (nets[1], same, other)):
        n.backward(dy, kept)
    np.testing.assert_array_equal(nets[0].grads, nets[1].grads)
    assert nets[1].grads.dtype == np.float32


#: Every other door: a call with the value, and how what is made says what it holds (None: it holds nothing).
WHOLE = {
    "seed": (lambda v: RandomStream(v, "init").host.integers(0, 99), None),
    "step": (lambda v: RandomStream(0, "init", v).host.integers(0, 99), None),
    "packing": (lambda v: Feeding(packing=v), lambda feeding: feeding.packing),
    "keep": (lambda v: Keep(v), lambda keep: keep.last),
    "keep_every": (lambda v: Keep(2, every=v), lambda keep: keep.every),
    "alarms": (lambda v: Alarms(every=v), lambda alarms: alarms.every),
    "glyphs": (lambda v: make_glyphs(v)[0].shape, None),
    "count": (lambda v: load_dataset("glyphs", count=v)[0].shape, None),
    "batches": (lambda v: Batches(IMAGES, v, shape=(784,)), lambda batches: batches.batch_size),
    "shuffling": (lambda v: Batches(IMAGES, 2, shape=(784,), seed=v), lambda batches: batches.seed),
    "trainer": (lambda v: Trainer(replace(SMOKE, batch_size=2), IMAGES, seed=v), lambda trainer: trainer.seed),
    "in_shape": (lambda v: net(in_shape=(v,)), lambda n: n.in_shape[0]),
}
REAL = {
    "SGD's lr": (lambda v: SGD(net(), lr=v), lambda sgd: sgd.lr),
    "momentum": (lambda v: SGD(net(), lr=0.1, momentum=v), lambda sgd: sgd.momentum),
    "Adam's lr": (lambda v: Adam(net(), lr=v), lambda adam: adam.lr),
    "beta1": (lambda v: Adam(net(), lr=0.1, beta1=v), lambda adam: adam.beta1),
    "beta2": (lambda v: Adam(net(), lr=0.1, beta2=v), lambda adam: adam.beta2),
    "eps": (lambda v: Adam(net(), lr=0.1, eps=v), lambda adam: adam.eps),
    "real": (lambda v: GANLoss(labels=(v, 0.0)), lambda loss: loss.labels[0]),
    "fake": (lambda v: GANLoss(labels=(1.0, v)), lambda loss: loss.labels[1]),
    "normal": (lambda v: normal(v), lambda init: init.args[0]),
    "uniform": (lambda v: uniform(v), lambda init: init.args[0]),
}


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("door", [*WHOLE, *REAL])
def test_every_door_takes_numpys_numbers_as_pythons_and_refuses_what_is_none(door):
    call, held = {**WHOLE, **REAL}[door]
    kind, plain = (int, 2) if door in WHOLE else (float, 0.25)
    for given in (np.int64(2), np.array(2)) if door in WHOLE else (np.float64(0.25), np.float32(0.25), np.array(0.25)):
        if held:
            assert (type(held(call(given))), held(call(given))) == (kind, plain)
        else:
            assert call(given) == call(plain)
    for wrong in (*NO_NUMBER, *((2.0, np.float64(2), -1) if door in WHOLE else ())):
        with pytest.raises(ArgumentError):
            call(wrong)


def test_every_command_of_a_run_refuses_a_number_that_is_none(whole, tmp_path):
    for wrong in (*NO_NUMBER, 200.0, -1):
        for call in (
            lambda v: whole.sample(v),
            lambda v: whole.sample(1, seed=v),
            lambda v: sample(whole.folder, v, tmp_path / "a.png", say=None),
            lambda v: sample(whole.folder, 1, tmp_path / "a.png", seed=v, say=None),
            lambda v: evaluate(whole, v, say=None),
            lambda v: evaluate(whole, 200, v, say=None),
            lambda v: bench.bench(SMOKE, steps=v),
        ):
            with pytest.raises(ArgumentError):
                call(wrong)
    assert not list(tmp_path.iterdir())
    np.testing.assert_array_equal(whole.sample(np.int64(3), seed=np.uint8(4)), whole.sample(3, seed=4))


# Recipes -------------------------------------------------------------------------------------------------------------


def numpys(value):
    """The same value in NumPy's types, where there are such."""
    if isinstance(value, tuple):
        return [numpys(v) for v in value]
    kinds = {bool: np.bool_, int: np.int64, float: np.float64, str: np.str_}
    return kinds[type(value)](value)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_of_numpys_numbers_is_the_recipe_of_pythons(name):
    recipe = RECIPES[name]
    same = type(recipe)(**{field: numpys(value) for field, value in asdict(recipe).items()})
    assert same == recipe
    assert json.dumps(asdict(same)) == json.dumps(asdict(recipe))
    assert repr(same) == repr(recipe)


@pytest.mark.parametrize("name", RECIPES)
def test_every_field_of_a_recipe_refuses_another_kind_of_value_by_its_name(name):
    recipe = RECIPES[name]
    for field in fields(recipe):
        kind = hints_of(type(recipe))[field.name]
        wrong = [None, "2", np.array([[1.0]]), {}, 2 + 0j, np.array(["normal", "uniform"])]
        wrong += [1, np.int64(1)] if kind is bool else [True, np.True_, float("nan"), np.float32("inf")]
        for value in wrong:
            with pytest.raises(ArgumentError, match=field.name):
                replace(recipe, **{field.name: value})
    for value in ((True, 8, 8), (8.0, 8, 8), ("8", 8, 8), np.array([[8, 8, 8]])):
        with pytest.raises(ArgumentError, match="g_hidden"):
            replace(recipe, g_hidden=value)


def test_sizes_in_a_list_or_an_array_become_a_tuple():
    for sizes in ([8, 9], np.array([8, 9]), (np.int8(8), 9)):
        assert repr(replace(SMOKE, g_hidden=sizes).g_hidden) == "(8, 9)"


def test_a_run_of_numpys_numbers_is_to_the_bit_the_run_of_pythons(tmp_path, elsewhere):
    f, i = np.float32, np.int64
    given = {"lr_g": f(1e-3), "labels": (np.float64(0.9), f(0)), "d_steps": i(1), "g_hidden": [i(8), i(8)]}
    run = start(tmp_path / "a", epochs=i(1), seed=i(3), keep=i(2), keep_every=i(1), sample_every=i(1), **given)
    assert run.recipe.lr_g == float(f(1e-3)) != 1e-3
    plain = {"lr_g": float(f(1e-3)), "labels": (0.9, 0.0), "d_steps": 1, "g_hidden": (8, 8)}
    assert contents(run) == contents(start(tmp_path / "b", epochs=1, seed=3, keep_every=1, **plain))


@pytest.mark.parametrize(
    "wrong",
    [
        *({name: True} for name in ("epochs", "seed", "keep", "keep_every", "score_every", "sample_every", "lr_d")),
        *({name: "1"} for name in ("epochs", "seed", "keep", "keep_every", "score_every", "beta1")),
        {"seed": 2**64},
        {"seed": 1.0},
        {"keep": 2.0},
        {"lr_g": np.float32("nan")},
        {"eps": np.inf},
        {"lr_d": 10**400},
        {"dropout": np.array([0.5])},
        {"save_every": np.float64(1)},
    ],
    ids=str,
)
def test_a_refused_number_leaves_nothing_on_the_disk(wrong, tmp_path, elsewhere):
    with pytest.raises(MiniganError, match=next(iter(wrong)).replace("_", "[_-]")):
        start(tmp_path / "run", **{"epochs": 1, **wrong})
    assert not list(tmp_path.iterdir())


# The dtype of a loss -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [np.float64(0.9), np.array(0.9), np.full((3, 1), 0.9), np.ones((3, 1), int), np.ones((3, 1), bool), 1],
    ids=["scalar", "no axes", "float64", "int", "bool", "one"],
)
@pytest.mark.parametrize("loss", [binary_cross_entropy, binary_cross_entropy_with_logits])
def test_a_target_of_another_dtype_leaves_a_loss_in_the_dtype_of_the_predictions(loss, target):
    value, gradient = loss(np.full((3, 1), 0.3, np.float32), target)
    assert (value.dtype, gradient.dtype) == (np.float32, np.float32)
    exact = np.broadcast_to(np.asarray(target, np.float32), (3, 1))
    np.testing.assert_allclose(value, loss(np.full((3, 1), 0.3, np.float32), exact)[0], rtol=1e-6)


def test_rows_of_another_dtype_leave_the_cross_entropy_in_the_dtype_of_the_logits():
    for rows in (np.eye(3), np.eye(3, dtype=int), np.eye(3, dtype=bool)):
        value, gradient = softmax_cross_entropy(np.ones((3, 3), np.float32), rows)
        assert (value.dtype, gradient.dtype) == (np.float32, np.float32)


def test_labels_of_numpys_leave_the_game_in_float32():
    loss = GANLoss(labels=(np.float64(0.9), np.float64(0.1)))
    p = np.full((3, 1), 0.3, np.float32)
    (values, *gradients), (value, gradient) = loss.for_discriminator(p, p), loss.for_generator(p)
    assert {a.dtype for a in (*values, *gradients, value, gradient)} == {np.dtype(np.float32)}
    assert loss == GANLoss(labels=(0.9, 0.1))


@pytest.mark.parametrize("target", [True, None, float("nan"), 1.5, np.full((3, 1), np.nan)], ids=str)
def test_a_target_that_is_no_probability_is_refused(target):
    with pytest.raises(ArgumentError, match=r"a target must lie in \[0, 1\]"):
        binary_cross_entropy(np.full((3, 1), 0.3, np.float32), target)
