"""minigan's way through CuPy on a machine without a GPU: on a stand-in (standin.py) that refuses what CuPy refuses."""

import inspect
import io
import operator
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import runfolder
import standin as standin_for_cupy
from cases import SYSTEMS
from differences import DIFFERENCES, outcome, table

from minigan import backend, losses, runs
from minigan.backend import RandomStream, arrays, cuda, device_of, to_device, to_numpy
from minigan.data.batches import Batches
from minigan.errors import ArgumentError, DeviceError, DTypeError
from minigan.nn import BatchNorm, Dense, Sequential
from minigan.optim import SGD, Adam
from minigan.recipes import RECIPES
from minigan.screen import Screen
from minigan.train import Trainer, generate
from minigan.watch.pictures import interpolate
from minigan.watch.progress import Watch
from minigan.watch.rhythm import Every


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (200, 28, 28), dtype=np.uint8)


# The stand-in is as strict as CuPy -----------------------------------------------------------------------------------


@pytest.fixture(params=["standin", pytest.param("cupy", marks=pytest.mark.gpu)])
def xp(request):
    """The stand-in and, where a GPU works, CuPy: what the stand-in refuses, CuPy refuses."""
    return request.getfixturevalue("standin") if request.param == "standin" else cuda.import_cupy()


@pytest.fixture
def here():
    return np.array([[1.0, -2.0], [3.0, 4.0]], np.float32)


@pytest.fixture
def there(xp, here):
    return xp.asarray(here)


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")  # NumPy's, of CuPy 13's
def test_a_gpu_array_does_not_become_a_numpy_array_unasked(here, there):
    def assign():
        here[...] = there

    for convert in (lambda: np.asarray(there), lambda: np.asarray(there, np.float64), assign):
        with pytest.raises(TypeError, match="Implicit conversion to a NumPy array is not allowed"):
            convert()


OPERATORS = ["add", "sub", "mul", "truediv", "iadd", "isub", "imul", "itruediv", "lt", "le", "gt", "ge", "eq", "ne"]


@pytest.mark.parametrize("name", OPERATORS)
def test_no_operator_mixes_the_two(here, there, name):
    for left, right in ((there, here), (here, there)):
        with pytest.raises(TypeError):
            getattr(operator, name)(left, right)


def test_no_function_mixes_the_two(xp, here, there):
    calls = (
        lambda: xp.maximum(there, here),
        lambda: xp.maximum(here, there),
        lambda: xp.exp(here),
        lambda: xp.where(there > 0, there, here),
        lambda: xp.where(here > 0, there, there),
        lambda: xp.concatenate([there, here]),
        lambda: xp.multiply(there, there, out=here),
        lambda: there.sum(axis=0, out=here[0]),
    )
    for call in calls:
        with pytest.raises(TypeError):
            call()


def test_no_numpy_array_is_assigned_to_a_part_of_a_gpu_array(xp, here, there):
    for part in (..., slice(1)):
        with pytest.raises(
            (TypeError, ValueError)
        ):  # CuPy's is a ValueError: it takes `here` for a number to fill with
            there[part] = here[part]
    np.testing.assert_array_equal(xp.asnumpy(there), here)


def test_numbers_mix_with_either_and_dtypes_are_numpys(xp, here, there):
    number = np.float32(2)
    for f in (
        lambda a: 2 * a,
        lambda a: 1 - a,
        lambda a: a / 3,
        lambda a: number * a,
        lambda a: a > number,
        lambda a: number < a,
        lambda a: (a > 0) * number,
        lambda a: -abs(a),
        lambda a: a @ a,
        lambda a: a.sum(axis=0, keepdims=True),
        lambda a: (a > 0).mean(),
    ):
        result = f(there)
        assert isinstance(result, xp.ndarray)
        assert result.dtype == f(here).dtype
        np.testing.assert_array_equal(xp.asnumpy(result), f(here))
    assert xp.maximum(there > 0, number).dtype == np.float32
    assert xp.divide(xp.asarray(np.arange(3, dtype=np.uint8)), 255, dtype=np.float32).dtype == np.float32


def test_a_reduction_stays_on_the_gpu_as_an_array_without_dimensions(xp, there):
    for result in (there.sum(), there.mean(), there.min(), there.max(), there[0, 1]):
        assert isinstance(result, xp.ndarray)
        assert (result.shape, result.ndim, result.size, result.dtype) == ((), 0, 1, np.float32)
        with pytest.raises(TypeError):
            len(result)
    assert (float(there.sum()), int(there.max()), bool(there.min() < 0)) == (6.0, 4, True)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(there > 0)


def test_views_share_their_memory_and_what_moved_does_not(xp):
    host = np.zeros(6, np.float32)
    flat = xp.asarray(host)
    W, one = flat[:4].reshape(2, 2), flat[5]
    before = W
    W += 1
    W.T[0, 1] = 5
    one += 7
    assert W is before
    np.testing.assert_array_equal(xp.asnumpy(flat), [1, 1, 5, 1, 0, 7])
    np.testing.assert_array_equal(host, 0)
    xp.asnumpy(flat)[...] = 9
    assert float(flat.max()) == 7


def test_out_is_written_and_returned(xp, there):
    out = xp.zeros_like(there)
    assert xp.multiply(there, there, out=out) is out
    assert backend.matmul(there, there, out=out) is out  # CuPy 13's own returns another array
    np.testing.assert_array_equal(xp.asnumpy(out), xp.asnumpy(there @ there))
    row = out[0]
    assert there.sum(axis=0, out=row) is row
    np.testing.assert_array_equal(xp.asnumpy(out)[0], [4, 2])


def test_an_index_out_of_range_wraps_around_without_a_word(xp, there):
    np.testing.assert_array_equal(xp.asnumpy(there[xp.asarray(np.array([0, 3]))]), [[1, -2], [3, 4]])


def test_a_gpu_warns_neither_of_log_0_nor_of_an_overflow(xp, there):
    assert not np.isfinite(xp.asnumpy(xp.log(there - 1))[0]).any()
    assert not np.isfinite(xp.asnumpy((there * 1e38).sum()))


def test_names_and_keywords_that_cupy_lacks_are_lacking(xp, there):
    with pytest.raises(AttributeError):
        xp.memmap  # noqa: B018
    for call in (
        lambda: xp.exp(there, where=there > 0),
        lambda: xp.clip(there, min=0, max=1),
        lambda: there.sum(initial=0),
        lambda: there.max(initial=0),
        lambda: there.mean(where=there > 0),
    ):
        with pytest.raises(TypeError):
            call()


def test_numpys_operands_are_refused_by_products_and_its_functions_write_into_no_array_of_numpys(here, there):
    for call in (
        lambda: np.add(here, there, out=here),
        lambda: here @ there,
        lambda: there @ here,
        lambda: there * [1.0, 2.0],
    ):
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize(("asked", "ours", "theirs"), DIFFERENCES, ids=[asked for asked, *_ in DIFFERENCES])
def test_the_table_of_what_differs_is_true(xp, asked, ours, theirs):
    found = outcome(asked, xp)
    if xp is standin_for_cupy.cupy:
        assert found == ours
    elif xp.__version__.startswith("14."):
        assert found == theirs
    else:  # of another CuPy an error's class may be another
        assert (found == "answers") == (theirs == "answers")


def test_the_table_of_what_differs_is_the_pages():
    page = Path(standin_for_cupy.__file__).parent / "hostcuda" / "README.md"
    assert table() in page.read_text(encoding="utf-8")


def test_a_mask_takes_what_is_true_and_a_list_what_it_counts(xp, here, there):
    np.testing.assert_array_equal(xp.asnumpy(there[there > 0]), here[here > 0])
    np.testing.assert_array_equal(xp.asnumpy(there[np.array([True, False])]), here[:1])
    np.testing.assert_array_equal(xp.asnumpy(there[[1, 2]]), here[[1, 0]])


def test_the_places_of_what_is_true_come_as_a_tuple_with_an_array_for_each_axis(xp, here, there):
    found = xp.nonzero(there > 0)
    assert isinstance(found, tuple)
    for ours, theirs in zip(np.nonzero(here > 0), found, strict=True):
        np.testing.assert_array_equal(xp.asnumpy(theirs), ours)


def test_an_array_without_dimensions_is_not_gone_through(there):
    with pytest.raises(TypeError):
        list(there[0, 0])
    assert [float(row[0]) for row in there] == [1, 3]


def test_a_conversion_to_the_same_dtype_that_need_not_copy_is_the_array_itself(there):
    assert there.astype(np.float32, copy=False) is there
    assert there.astype(np.float32) is not there


def test_no_numpy_array_fills_and_no_number_is_a_condition(xp, here, there):
    for call, error in (
        (lambda: xp.full(2, here[0]), ValueError),
        (lambda: xp.where(True, there, there), AttributeError),
    ):
        with pytest.raises(error):
            call()


def test_what_nobody_wrote_is_not_a_number(standin, here):
    assert np.isnan(standin.asnumpy(standin.empty_like(standin.asarray(here)))).all()


@pytest.mark.gpu
def test_every_name_and_keyword_of_the_stand_in_is_cupys():
    cupy, Array = cuda.import_cupy(), standin_for_cupy.Array
    for name, ours in inspect.getmembers(standin_for_cupy.cupy, inspect.isfunction):
        theirs = getattr(cupy, name)
        if not isinstance(theirs, (cupy.ufunc, type(cupy.matmul))):  # those take out and dtype, and do not say so
            parameters = inspect.signature(ours).parameters.values()
            named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
            keywords = set(getattr(ours, "keywords", named))
            assert keywords <= inspect.signature(theirs).parameters.keys(), name
    for name, ours in inspect.getmembers(Array, inspect.isfunction):
        theirs = getattr(cupy.ndarray, name)
        for parameter in inspect.signature(ours).parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY:
                assert f"{parameter.name}=" in theirs.__doc__.splitlines()[0], name
    assert all(hasattr(cupy.ndarray, name) for name in (*vars(Array(0.0)), "T") if name != "_host")


def test_the_gpu_is_the_stand_in_until_its_end_and_then_what_it_was():
    before = arrays.LIBRARIES, backend.why_no_gpu()
    with pytest.MonkeyPatch.context() as patch:
        standin_for_cupy.install(patch)
        assert backend.resolve_device("gpu") == backend.resolve_device("auto") == ("gpu", "")
        assert backend.describe_gpu() == "NumPy in disguise, 6.0 of 8.0 GiB free, CUDA 12.4"
        assert device_of(to_device(np.ones(2), "gpu")) == "gpu"
    assert (arrays.LIBRARIES, backend.why_no_gpu()) == before
    with pytest.raises(DTypeError):
        device_of(standin_for_cupy.Array(0.0))


# The library on the stand-in does to the bit what it does on the CPU --------------------------------------------------

CHANGES = {
    "as-published": {},
    "averaged": {"average": 0.9, "packing": 2, "batch_size": 10, "drop_last": True, "d_fakes": "match"},
    "simultaneous": {"update": "simultaneous", "d_batching": "separate", "shared_fakes": False},
    "logits": {"d_output": "logit"},
    "logits-separate": {"d_output": "logit", "d_batching": "separate"},
    "minimax-concat": {"update": "alternating", "g_loss": "minimax", "d_batching": "concat"},
    "uniform-latents": {"latents": "uniform", "labels": (0.1, 0.9)},
    "schedule": {
        "update": "alternating", "shared_fakes": True, "d_steps": 2, "d_warmup": 1, "drop_last": True, "log_every": 2,
        "dropout": 0.3, "d_fakes": "match",
    },
}  # fmt: skip


def goes(name, label):
    """best has two of the variants, for time: its G is nearly quick-mlp's. And what the loss or the penalty refuses."""
    refused = {"best": set(CHANGES) - {"as-published", "simultaneous"}, "r1": {"simultaneous"}}
    refused["wgan-gp"] = {"simultaneous", "minimax-concat", "uniform-latents"}
    return label not in refused.get(name, ())


VARIANTS = [
    pytest.param(name, changes, id=f"{name}-{label}")
    for name in SYSTEMS
    for label, changes in CHANGES.items()
    if goes(name, label)
]


def both(recipe, images):
    """The recipe trained on the CPU and on the "gpu"."""
    return [Trainer(recipe, images, device=device).fit() for device in ("cpu", "gpu")]


def assert_same_bits(cpu, gpu):
    """Everything that two trainers have learned and measured, and that the second's is on the GPU."""
    for name, network in gpu.networks.items():
        assert device_of(network.params) == device_of(network.buffers) == "gpu"
        np.testing.assert_array_equal(to_numpy(network.params), cpu.networks[name].params)
        np.testing.assert_array_equal(to_numpy(network.buffers), cpu.networks[name].buffers)
    for name, optimizer in gpu.optimizers.items():
        for key, vector in optimizer.state().items():
            np.testing.assert_array_equal(to_numpy(vector), cpu.optimizers[name].state()[key])
    assert (gpu.history, gpu.epochs) == (cpu.history, cpu.epochs)


@pytest.mark.parametrize(("name", "changes"), VARIANTS)
def test_every_recipe_and_variant_learns_on_the_gpu_what_it_learns_on_the_cpu(standin, images, name, changes):
    cpu, gpu = both(replace(RECIPES[name].smoke(), **changes), images)
    assert np.isfinite(cpu.G.params).all()
    assert_same_bits(cpu, gpu)


def test_float_images_are_taken_to_the_gpu_too(standin, images):
    assert_same_bits(*both(RECIPES["pytorch-mlp"].smoke(), images / 127.5 - 1))


@pytest.mark.parametrize("loss", [losses.binary_cross_entropy, losses.binary_cross_entropy_with_logits])
@pytest.mark.parametrize("t", [0.0, 1, 0.9, np.float32(1), np.linspace(0, 1, 12, dtype=np.float32).reshape(4, 3)])
def test_a_loss_stays_on_the_gpu_and_is_the_cpus(standin, loss, t):
    x = np.random.default_rng(0).uniform(size=(4, 3)).astype(np.float32)
    x[0, :2] = 0, 1
    value, grad = loss(x, t)
    value_there, grad_there = loss(to_device(x, "gpu"), to_device(t, "gpu") if isinstance(t, np.ndarray) else t)
    assert isinstance(value_there, standin.ndarray)
    assert value_there.shape == ()
    assert value_there.dtype == grad_there.dtype == np.float32
    assert to_numpy(value_there) == value
    np.testing.assert_array_equal(to_numpy(grad_there), grad)


@pytest.mark.parametrize("make", [lambda net: SGD(net, lr=0.1, momentum=0.9), lambda net: Adam(net, lr=0.1)])
def test_ten_steps_of_an_optimiser_on_the_gpu_end_where_the_cpus_do(standin, make):
    ends = []
    for device in ("cpu", "gpu"):
        net = Sequential([Dense(3)], (2,), rng=np.random.default_rng(0)).to(device)
        optimizer, rng = make(net), np.random.default_rng(1)
        for _ in range(10):
            net.grads[...] = to_device(rng.standard_normal(net.params.size).astype(np.float32), device)
            optimizer.step()
        ends.append([to_numpy(net.params), *map(to_numpy, optimizer.state().values())])
    for a, b in zip(*ends, strict=True):
        np.testing.assert_array_equal(a, b)


def test_pictures_and_interpolations_are_the_same_from_either_device(standin, images):
    cpu, gpu = both(RECIPES["quick-mlp"].smoke(), images)
    np.testing.assert_array_equal(
        generate(cpu.average, cpu.preview_latents(7), batch_size=3),
        generate(gpu.average, gpu.preview_latents(7), batch_size=3),
    )
    for sphere in (True, False):
        here, there = (interpolate(t.preview_latents(4), 5, sphere=sphere) for t in (cpu, gpu))
        assert device_of(there) == "gpu"
        np.testing.assert_array_equal(here, to_numpy(there))


def test_the_preview_in_the_terminal_shows_what_the_gpu_has_learned(standin, images):
    from rich.console import Console

    screen = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=80, height=24)
    Trainer(RECIPES["quick-mlp"].smoke(), images, device="gpu").fit([Watch(Every(3, steps=True), Screen(screen))])
    assert "▀" in screen.file.getvalue()


def test_a_network_moves_there_and_back_with_its_values(standin):
    net = Sequential([Dense(3), BatchNorm()], (2,), rng=np.random.default_rng(0))
    before = net.params.copy()
    optimizer = Adam(net.to("gpu"), lr=0.1)
    params = net.params
    assert net.to("gpu").params is params
    assert all(device_of(a) == "gpu" for a in (*net.state().values(), net.grads, *optimizer.state().values()))
    net.layers[0].W[...] = 1  # the layers' views are of the new vector
    assert float(net.params[0]) == 1
    net.load_state({name: to_numpy(a) + 1 for name, a in net.state().items()})
    assert float(net.params[0]) == 2
    net.to("cpu")
    np.testing.assert_array_equal(net.params[6:], before[6:] + 1)
    with pytest.raises(DeviceError, match="make the optimiser after"):
        optimizer.step()


def test_an_index_that_cupy_would_wrap_around_is_refused(standin, images):
    batches = Batches(images, 10, shape=(784,), device="gpu")
    for indices in ([200], [-1]):
        with pytest.raises(ArgumentError, match=r"outside 0…199"):
            batches.take(np.array(indices))


def test_mixing_the_devices_is_told_with_both_names(standin, images):
    trainer = Trainer(RECIPES["flux-mlp"].smoke(), images, device="gpu")
    G, z = trainer.G, np.zeros((2, 8), np.float32)
    there = "the network's parameters is a cupy array"
    with pytest.raises(DeviceError, match=f"x is a numpy array and {there}"):
        G(z)
    y, cache = G.forward(to_device(z, "gpu"), train=True)
    with pytest.raises(DeviceError, match=f"dy is a numpy array and {there}"):
        G.backward(to_numpy(y), cache)
    with pytest.raises(DeviceError, match="x_real is a numpy array and fakes is a cupy array"):
        trainer.train_step(np.zeros((2, 784), np.float32))
    with pytest.raises(DeviceError, match="p is a cupy array and t is a numpy array"):
        losses.binary_cross_entropy(to_device(np.full(3, 0.5), "gpu"), np.ones(3))
    with pytest.raises(DeviceError, match="x is a cupy array and the draws of rng is a numpy array"):
        trainer.D.forward(y, train=True, rng=RandomStream(0, "dropout"))
    with pytest.raises(DeviceError, match="argument 0 is a numpy array and argument 1 is a cupy array"):
        backend.matmul(z, y)


# Whole runs ----------------------------------------------------------------------------------------------------------


def contents(run):
    """What is decided by the seed, without the configuration, which names the device."""
    return {name: data for name, data in runfolder.contents(run).items() if name != "config.json"}


@pytest.mark.slow
def test_a_run_stopped_and_continued_on_the_gpu_leaves_the_files_of_the_cpus(
    standin, tmp_path, tmp_path_factory, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("MINIGAN_DATA", raising=False)
    monkeypatch.setattr(runs.folder, "done_by", lambda device: "either")  # which a checkpoint names
    smoke, said = RECIPES["quick-mlp"].smoke(), []
    options = {"dataset": "glyphs", "log_every": 3, "say": said.append}
    cpu = runs.start(smoke, epochs=3, out=tmp_path / "cpu", device="cpu", **options)
    said.clear()
    runs.start(smoke, epochs=1, out=tmp_path / "gpu", device="auto", **options)
    assert said[0].startswith("Training quick-mlp"), "something was said of the device"
    gpu = runs.resume(tmp_path / "gpu", epochs=2, say=said.append)
    assert runs.Run(gpu.folder).config["device"] == "gpu"
    gpu = runs.resume(gpu.folder, epochs=3, device="gpu", say=said.append)
    assert contents(gpu) == contents(cpu)
    np.testing.assert_array_equal(gpu.sample(9), cpu.sample(9))
    runs.resume(gpu.folder, epochs=4, device="cpu", say=said.append)
    assert contents(gpu) == contents(runs.resume(cpu.folder, epochs=4, say=said.append))


# Where there is no GPU -----------------------------------------------------------------------------------------------


STARTS = "import sys, pytest; [print('\\nEND', int(pytest.main(words.split())), flush=True) for words in sys.argv[1:]]"


@pytest.fixture(scope="module")
def pytest_of_the_gpu():
    """{options: (exit code, what pytest says)} of the tests that need a GPU, where there is none, in one process."""
    if not backend.why_no_gpu():
        pytest.skip("a GPU works here")
    lines = "-q -rs", "--require-gpu -x -q"
    words = [f"tests/gpu {line} -p no:cacheprovider -p no:randomly" for line in lines]
    ended = subprocess.run(
        [sys.executable, "-c", STARTS, *words],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "COLUMNS": "500"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    *said, _ = re.split(r"^END (?=\d)", ended.stdout, flags=re.MULTILINE)
    codes = [int(code) for code in re.findall(r"^END (\d+)$", ended.stdout, flags=re.MULTILINE)]
    return dict(zip(lines, zip(codes, said, strict=True), strict=True))


def test_without_a_gpu_its_tests_are_skipped_with_the_reason(pytest_of_the_gpu):
    code, said = pytest_of_the_gpu["-q -rs"]
    assert code == 0, said
    assert backend.why_no_gpu() in said
    assert "passed" not in said


def test_a_gpu_that_is_required_and_missing_is_a_failure_that_says_why(pytest_of_the_gpu):
    code, said = pytest_of_the_gpu["--require-gpu -x -q"]
    assert code == 1, said
    assert "failed" in said
    assert "cupy" in said.lower()
