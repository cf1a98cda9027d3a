"""minigan bench: what it reports, that the count of its operations is right, and that measuring changes nothing."""

import json
import re
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from cases import SYSTEMS
from products import for_inputs, for_weights, forward, sizes_of

from minigan import backend, gan, nn, optim, train
from minigan.backend import RandomStream, devices
from minigan.cli.bench import timing_table
from minigan.cli.main import main
from minigan.data.batches import Batches
from minigan.errors import ArgumentError
from minigan.nn.conv import im2col
from minigan.recipes import DEFAULT, RECIPES
from minigan.recipes.mlp import MLP
from minigan.train import timing as bench
from minigan.train import trainer
from minigan.train.metrics import Means
from minigan.train.timing import PARTS, PRODUCTS, REST, Ledger, Stepper

MLPS = [name for name in SYSTEMS if isinstance(RECIPES[name], MLP)]


def smoke(name, **changes):
    """So small that a step takes a few milliseconds; all 200 images are one batch, and G learns in each: all alike."""
    return replace(RECIPES[name].smoke(), batch_size=200, d_steps=1, **changes)


@pytest.fixture
def small(monkeypatch):
    """The recipes that the command line knows are small ones."""
    for name in RECIPES:
        monkeypatch.setitem(RECIPES, name, smoke(name))


def check(result, *, recipe, steps):
    """What holds for every result, on every machine."""
    assert set(result) == set(re.findall(r'"(\w+)"', bench.bench.__doc__))
    assert (result["recipe"], result["device"], result["steps"]) == (recipe, "cpu", steps)
    low, high = result["step_ms_range"]
    assert 0 < low <= result["step_ms"] <= high
    assert tuple(result["parts_ms"]) == PARTS
    assert min(result["parts_ms"].values()) >= 0
    assert result["parts_ms"][PRODUCTS] > 0
    assert result["epoch_s"] >= 0
    assert min(result[name] for name in ("gflop", "gflops", "products_gflops", "products")) > 0
    for name, least in (("fresh_pages", 0), ("peak_mb", 1)):
        assert result[name] is None or result[name] >= least


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_result_has_all_that_is_promised(name):
    check(bench.bench(smoke(name), steps=2), recipe=name, steps=2)


@pytest.mark.parametrize("steps", [0, -1])
def test_fewer_than_one_step_is_refused_before_anything_is_built(steps, monkeypatch):
    monkeypatch.setattr(bench, "Stepper", None)
    with pytest.raises(ArgumentError, match=f"steps must be a whole number, at least 1, got {steps}"):
        bench.bench(RECIPES[DEFAULT], steps=steps)


def test_where_the_system_tells_nothing_of_memory_the_rest_is_told(monkeypatch):
    monkeypatch.setattr(bench, "usage", lambda field: None)
    result = bench.bench(smoke("pytorch-mlp"), steps=1)
    check(result, recipe="pytorch-mlp", steps=1)
    assert (result["fresh_pages"], result["peak_mb"]) == (None, None)
    assert "memory" not in printed(result)


def printed(result):
    from rich.console import Console

    console = Console(width=200, color_system=None)
    with console.capture() as capture:
        console.print(timing_table(result))
    return capture.get()


# The count of operations ----------------------------------------------------------------------------------------------


def products_by_hand(recipe):
    """(M, K, N) of every product of a step, as in `test_no_matrix_product_is_computed_and_thrown_away`."""
    N = recipe.batch_size
    g, d = sizes_of(recipe)
    products = [] if recipe.shared_fakes else forward(g, N)
    products += forward(d, 2 * N) + for_weights(d, 2 * N) + for_inputs(d[1:], 2 * N)
    if recipe.penalty == "r1":  # back to the real images, too, and forward again from there to D's last layer
        products += for_inputs(d[:1], N) + forward(d[:-1], N)
    if recipe.penalty == "wgan-gp":  # forward to D's last layer, back, and forward again, all at points in between
        products += 2 * forward(d[:-1], N) + for_inputs(d, N) + for_weights(d, N)
    return products + forward(g, N) + forward(d, N) + for_inputs(d, N) + for_weights(g, N) + for_inputs(g[1:], N)


@pytest.mark.parametrize("name", MLPS)
def test_the_operations_are_those_counted_by_hand(name):
    recipe = smoke(name)
    recipe = replace(
        recipe, g_hidden=(16, 17, 18)[: len(recipe.g_hidden)], d_hidden=(21, 20, 19)[: len(recipe.d_hidden)]
    )
    by_hand = products_by_hand(recipe)
    operations = sum(2 * M * K * N for M, K, N in by_hand)
    ledger, stepper = Ledger(), Stepper(recipe)
    with ledger.open():
        stepper.step()
    assert sorted((*a, b[-1]) for a, _, b, _ in ledger.products.elements()) == sorted(by_hand)
    assert ledger.flops == operations
    result = bench.bench(recipe, steps=2)
    assert (result["products"], result["gflop"]) == (len(by_hand), round(operations / 1e9, 3))


@pytest.mark.parametrize(
    ("a", "b", "operations"),
    [
        ((3, 4), (4, 5), 2 * 3 * 4 * 5),
        ((3, 1), (1, 5), 2 * 3 * 5),
        ((7, 3, 4), (7, 4, 5), 7 * 2 * 3 * 4 * 5),
        ((3, 4), (7, 4, 5), 7 * 2 * 3 * 4 * 5),
        ((7, 3, 4), (4, 5), 7 * 2 * 3 * 4 * 5),
        ((2, 1, 3, 4), (7, 4, 5), 14 * 2 * 3 * 4 * 5),
        ((0, 3, 4), (4, 5), 0),
    ],
)
def test_a_product_of_stacks_has_the_operations_of_each_of_its_matrices(a, b, operations):
    assert bench.flops(a, b) == operations
    assert 2 * a[-1] * (np.ones(a) @ np.ones(b)).size == operations


def test_the_operations_do_not_overflow():
    assert bench.flops((10**3, 10**6, 10**6), (10**6, 10**6)) == 2 * 10**21


def test_a_product_knows_which_of_its_matrices_are_transposed():
    a, b, ledger = np.ones((3, 4)), np.ones((3, 5)), Ledger()
    with ledger.open():
        backend.matmul(a.T, b)
        backend.matmul(a.T, b, out=np.empty((4, 5)))
        backend.matmul(b.T, a)
    assert ledger.products == {((4, 3), True, (3, 5), False): 2, ((5, 3), True, (3, 4), False): 1}


# The ledger -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is told to `wait`."""
    now = SimpleNamespace(seconds=0)
    monkeypatch.setattr(bench, "time", SimpleNamespace(perf_counter=lambda: now.seconds))

    def wait(seconds):
        now.seconds += seconds

    return wait


def test_time_goes_to_the_innermost_part_and_all_of_it_somewhere(clock):
    ledger = Ledger()

    def inner():
        clock(10)

    def outer():
        clock(1)
        timed_inner()
        timed_inner()
        clock(2)

    def failing():
        clock(100)
        timed_inner()
        raise KeyError

    timed_inner = ledger.timed("inner", inner)
    with ledger.open():
        clock(1000)
        ledger.timed("outer", outer)()
        with pytest.raises(KeyError):
            ledger.timed("failing", failing)()
        timed_inner()
        clock(2000)
    assert ledger.seconds == {"outer": 3, "inner": 40, "failing": 100, REST: 3000}


def test_a_booked_function_takes_and_gives_what_it_always_did():
    timed = Ledger().timed("part", lambda *args, **kwargs: (args, kwargs))
    assert timed(1, 2, out=3) == ((1, 2), {"out": 3})


LAYERS = [layer for layer in vars(nn).values() if isinstance(layer, type) and issubclass(layer, nn.Layer)]
OWNERS = [backend, im2col, trainer, optim.Optimizer, RandomStream, Batches, gan.GANLoss, Means, *LAYERS]


def functions():
    """Everything that can be called in the places where the ledger patches."""
    return {(owner, name): value for owner in OWNERS for name, value in vars(owner).items() if callable(value)}


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_after_the_ledger_every_function_is_the_original_again(error):
    before = functions()
    with pytest.raises(error) if error else nullcontext(), Ledger().open():
        within = functions()
        if error:
            raise error
    after = functions()
    assert after.keys() == before.keys()
    assert all(after[place] is before[place] for place in before)

    booked = {(owner.__name__, name) for owner, name in before if within[owner, name] is not before[owner, name]}
    assert {("minigan.backend", "matmul"), ("minigan.nn.conv.im2col", "col2im"), ("Optimizer", "step")} <= booked
    assert {("RandomStream", "normal"), ("Batches", "batch"), ("GANLoss", "for_generator")} <= booked
    assert {(layer.__name__, "forward") for layer in LAYERS if layer is not nn.Layer} <= booked


@pytest.mark.parametrize("name", SYSTEMS)
def test_measuring_changes_no_bit_of_what_training_computes(name):
    plain, measured = Stepper(smoke(name), seed=3), Stepper(smoke(name), seed=3)
    plain.times(3)
    with Ledger().open():
        measured.times(3)
    start = Stepper(smoke(name), seed=3).trainer.networks
    for which, network in plain.trainer.networks.items():
        other = measured.trainer.networks[which]
        assert network.params.tobytes() == other.params.tobytes()
        assert network.buffers.tobytes() == other.buffers.tobytes()
        assert not np.array_equal(network.params, start[which].params)
    assert plain.means.result() == measured.means.result()


def test_a_step_is_what_training_does_in_a_step():
    recipe = smoke("pytorch-mlp")
    stepper = Stepper(recipe, seed=5)
    images = np.random.default_rng(5).integers(0, 256, (recipe.images, 28, 28), np.uint8)
    trainer = train.Trainer(replace(recipe, epochs=3), images, seed=5).fit()
    assert len(stepper.times(3 * trainer.epoch_steps)) == trainer.step
    for which, network in trainer.networks.items():
        np.testing.assert_array_equal(stepper.trainer.networks[which].params, network.params)


# The command ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_json_is_one_object_and_nothing_else(device, small, monkeypatch, capsys):
    monkeypatch.setattr(devices, "why_no_gpu", lambda device: "no driver")
    main(["bench", "flux-mlp", "--steps", "2", "--device", device, "--json"])
    out, err = capsys.readouterr()
    assert err == "Timing 2 steps of flux-mlp\n"
    assert out.count("\n") == 1
    check(json.loads(out), recipe="flux-mlp", steps=2)


def test_the_text_names_every_part_and_says_why_the_gpu_is_not_used(small, monkeypatch, capsys):
    monkeypatch.setattr(devices, "why_no_gpu", lambda device: "no driver")
    main(["bench", "--steps", "1"])
    out = capsys.readouterr().out
    assert out.startswith("Running on the CPU: no driver")
    assert re.search(rf"{DEFAULT} +\d+\.\d\d ms a step on the cpu", out)
    for part in PARTS:
        assert re.search(rf"{re.escape(part)} +\d+\.\d% +\d+\.\d\d ms", out), part


def test_the_published_recipe_is_measured_at_its_published_size(monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(bench, "bench", lambda recipe, **options: seen.append((recipe, options)))
    main(["bench", "flux-dcgan", "--steps", "7", "--device", "cpu", "--json"])
    assert seen == [(RECIPES["flux-dcgan"], {"steps": 7, "device": "cpu"})]
    assert capsys.readouterr().out == "null\n"


MISTAKES = [
    (["--steps", "0"], "steps must be a whole number, at least 1, got 0"),
    (["pytorch-mlp", "--steps", "0"], "steps must be a whole number, at least 1, got 0"),
    (["flux-mpl"], "unknown recipe 'flux-mpl'; did you mean flux-mlp?"),
    (["fly"], "unknown recipe 'fly'; known: best, quick-mlp"),
    (["--stpes", "3"], "unknown flag '--stpes'; did you mean --steps?"),
    (["--device", "gpu"], "device 'gpu' cannot be used: no driver (minigan info tells more)"),
]


@pytest.mark.parametrize(("args", "message"), MISTAKES, ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_a_users_mistake_is_one_line_and_exit_code_2(args, message, small, monkeypatch, capsys):
    monkeypatch.setattr(devices, "why_no_gpu", lambda device: "no driver")
    with pytest.raises(SystemExit) as stop:
        main(["bench", *args])
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.startswith("minigan: ")
    assert err.count("\n") == 1
