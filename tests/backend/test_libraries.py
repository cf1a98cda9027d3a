"""The table of libraries: one more works by its row alone, and one that does not work is told in a line."""

import ast
import subprocess
import sys
import types
import warnings
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import standin as standin_for_cupy
import thirdlibrary

import minigan
from minigan import backend
from minigan.backend import array_module, arrays, cuda, devices, sycl, to_device, to_numpy
from minigan.cli import machine
from minigan.cli.main import main
from minigan.errors import ArgumentError, DeviceError, DeviceUnavailableError, DTypeError
from minigan.nn import Dense, Sequential
from minigan.recipes import RECIPES
from minigan.train import Trainer


class OtherArray:
    """A stand-in for another library's array."""


@pytest.fixture
def other(monkeypatch):
    module = types.ModuleType("otherlib")
    name = f"{OtherArray.__module__.split('.')[0]}.OtherArray"
    row = cuda.CUPY._replace(name="Other", device="other", array=name, load=lambda: module)
    standin_for_cupy.install(monkeypatch, row)
    return module


def test_the_data_decides_the_library(other):
    assert array_module(np.ones(2), 3.0, None) is np
    assert array_module() is np
    assert array_module(OtherArray(), 1) is other
    assert array_module(np.ones(2).view(np.memmap)) is np


def test_arrays_of_two_libraries_in_one_call_are_refused_by_both_names_with_the_remedy(other):
    with pytest.raises(DeviceError, match=r"x is a numpy array and W is a otherlib array.*'cpu' or 'other'"):
        array_module(x=np.ones(2), W=OtherArray())
    with pytest.raises(TypeError, match="argument 0 is a otherlib array and argument 1 is a numpy array"):
        array_module(OtherArray(), np.ones(2))


@pytest.mark.parametrize("what", [[1, 2], np.dtype("float32"), np.random.default_rng(0)])
def test_what_is_no_array_is_refused_with_the_remedy(what):
    said = rf"x is a {type(what).__name__}, not an array; convert it with numpy.asarray\(x\)"
    with pytest.raises(DTypeError, match=said):
        array_module(x=what)


def test_waiting_for_a_device_asks_a_gpu_and_nothing_of_a_cpu(other):
    waited = []
    stream = types.SimpleNamespace(synchronize=lambda: waited.append(1))
    other.cuda = types.SimpleNamespace(get_current_stream=lambda: stream)
    backend.synchronize(np.ones(2))
    assert not waited
    backend.synchronize(OtherArray())
    assert waited == [1]


# A library that minigan has never heard of: the contract suite runs on it too ----------------------------------------


@pytest.fixture
def third(monkeypatch):
    """Device "third" is that of `thirdlibrary` while the test runs."""
    standin_for_cupy.install(monkeypatch, thirdlibrary.LIBRARY)
    return thirdlibrary.thirdlib


@pytest.mark.parametrize("name", ["quick-mlp", "pytorch-mlp", "renom-maxout", "flux-dcgan", "keras-upconv"])
def test_a_run_on_another_library_learns_what_it_learns_on_the_cpu(third, name):
    images = np.random.default_rng(0).integers(0, 256, (100, 28, 28), dtype=np.uint8)
    cpu, there = (Trainer(RECIPES[name].smoke(), images, device=device).fit() for device in ("cpu", "third"))
    for network, twin in zip(there.networks.values(), cpu.networks.values(), strict=True):
        assert type(network.params) is thirdlibrary.Array
        np.testing.assert_array_equal(to_numpy(network.params), twin.params)
    assert (there.history, there.epochs) == (cpu.history, cpu.epochs)


def test_a_product_returns_out_itself_where_the_librarys_own_returns_another_view_of_it(third):
    a = to_device(np.arange(4.0).reshape(2, 2), "third")
    for b in (a, a[:1]):
        out = third.empty((len(b), 2))
        assert third.matmul(b, a, out=out) is not out
        assert backend.matmul(b, a, out=out) is out
        np.testing.assert_array_equal(to_numpy(out), to_numpy(b) @ to_numpy(a))


def test_arrays_go_from_library_to_library(third, standin):
    x = np.arange(6.0).reshape(2, 3)
    for way in (["third", "gpu", "cpu"], ["gpu", "third", "cpu"]):
        there = x
        for device in way:
            there = to_device(there, device)
            assert backend.device_of(there) == device
            assert to_device(there, device) is there
        np.testing.assert_array_equal(there, x)


def test_memory_is_given_back_to_each_library_in_use_and_asked_of_no_other(third, monkeypatch):
    monkeypatch.setattr(third, "freed", 0)
    backend.release_memory()  # CuPy is not imported for it
    assert third.freed == 0
    there = to_device(np.ones(2), "third")
    assert backend.device_of(there) == "third"
    backend.release_memory()
    assert third.freed == 1


def test_devices_are_those_of_the_table(third):
    assert backend.resolve_device("third") == ("third", "")
    with pytest.raises(ArgumentError, match=r"device is 'cuda'; it must be cpu or gpu or dpnp or third or auto"):
        backend.resolve_device("cuda")


@pytest.mark.slow
def test_the_count_of_what_a_library_computes_as_numpy_does_still_runs():
    script = Path(__file__).parents[1] / "libraries" / "run.py"
    done = subprocess.run([sys.executable, script, "cpu"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *_, total = done.stdout.splitlines()
    _, _, cases, right, _ = total.split("|")
    assert int(cases) == int(right) > 400


# Whether a GPU works --------------------------------------------------------------------------------------------------


def test_device_names_and_the_fallback_with_its_reason(monkeypatch):
    assert backend.resolve_device("cpu") == ("cpu", "")
    monkeypatch.setattr(devices, "why_no_gpu", lambda device: "the driver is too old")
    assert backend.resolve_device("auto") == (
        "cpu",
        "Running on the CPU: the driver is too old (minigan info tells more)",
    )
    with pytest.raises(DeviceUnavailableError, match="device 'gpu' cannot be used: the driver is too old"):
        backend.resolve_device("gpu")
    monkeypatch.setattr(devices, "why_no_gpu", lambda device: "")
    assert backend.resolve_device("auto") == ("gpu", "")


class CUDARuntimeError(RuntimeError):
    """CuPy's, of cupy_backends.cuda.api.runtime."""


def cupy_on(*, driver=0, built=12090, raises=None, **functions):
    """CuPy 13.4, 13.6 and 14.2 where no driver of their CUDA is: they can be imported, and fail at the first array."""
    cupy = types.ModuleType("cupy")
    for name in devices.NEEDED:
        setattr(cupy, name, getattr(np, name))
    error = raises or CUDARuntimeError(
        "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"
    )

    def arange(*args, **options):
        raise error

    cupy.arange, cupy.__version__ = arange, "14.2.0"
    runtime = types.SimpleNamespace(driverGetVersion=lambda: driver, runtimeGetVersion=lambda: built)
    cupy.cuda = types.SimpleNamespace(runtime=runtime)
    for name, function in functions.items():
        setattr(cupy, name, function)
    return cupy


def failing(error):
    def load():
        raise error from error.__cause__

    return load


def wrapped(cause):
    """What CuPy makes of an ImportError within it: a page of advice."""
    error = ImportError(
        f"\n====\nFailed to import CuPy.\n\nCheck the Guide:\n  …\n\nOriginal error:\n  {cause}\n====\n"
    )
    error.__cause__ = cause
    return error


def warning():
    """CuPy where two of its packages are installed: it warns, by a page, and goes on."""
    warnings.warn("\n----\n\n  CuPy may not function correctly because multiple CuPy packages …\n", stacklevel=1)
    return cupy_on()


BOTH = {"cupy-cuda12x": "14.2.0", "cupy-cuda13x": "14.2.0"}
BROKEN = {  # {what is wrong: (how CuPy is loaded, what of it is installed, what is said)}
    "not installed": (failing(ModuleNotFoundError("No module named 'cupy'", name="cupy")), {}, "CuPy is not installed"),
    "a part missing": (
        failing(wrapped(ModuleNotFoundError("No module named 'fastrlock'"))),
        {"cupy-cuda12x": "13.4.1"},
        "CuPy cannot be imported (No module named 'fastrlock')",
    ),
    "two packages": (
        warning,
        BOTH,
        "cupy-cuda12x 14.2.0 and cupy-cuda13x 14.2.0 have overwritten each other's files; pip uninstall cupy-cuda12x "
        "cupy-cuda13x, then install the one that your driver is for",
    ),
    "one of two removed": (  # and with it the other's files
        failing(ModuleNotFoundError("No module named 'cupy'", name="cupy")),
        {"cupy-cuda12x": "14.2.0"},
        "CuPy's files are gone; pip install --force-reinstall cupy-cuda12x",
    ),
    "no driver": (
        cupy_on,
        {"cupy-cuda12x": "14.2.0"},
        "CuPy finds no NVIDIA driver; install one for your GPU, with which nvidia-smi lists it",
    ),
    "an old driver": (
        lambda: cupy_on(driver=11040),
        {"cupy-cuda12x": "14.2.0"},
        "the NVIDIA driver is too old: it knows CUDA 11.4 and CuPy was built with 12.9; update it",
    ),
    "a driver of CUDA 12 for CuPy of 13": (
        lambda: cupy_on(driver=12040, built=13020),
        {"cupy-cuda13x": "14.2.0"},
        "the NVIDIA driver is too old: it knows CUDA 12.4 and CuPy was built with 13.2; update it, or have "
        "cupy-cuda12x in the place of cupy-cuda13x",
    ),
    "no device": (
        lambda: cupy_on(raises=CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")),
        {"cupy-cuda12x": "14.2.0"},
        "a trial product with CuPy failed (CUDARuntimeError: cudaErrorNoDevice: no CUDA-capable device is detected)",
    ),
    "a wrong product": (
        lambda: cupy_on(arange=lambda n, dtype: np.zeros(n)),
        {"cupy-cuda12x": "14.2.0"},
        "a trial product with CuPy gave a wrong result",
    ),
}


def lacking(*names):
    cupy = cupy_on(arange=np.arange)
    for name in names:
        delattr(cupy, name)
    return cupy


BROKEN["functions missing"] = (
    lambda: lacking("moveaxis", "tanh"),
    {"cupy-cuda12x": "14.2.0"},
    "CuPy 14.2.0 has no moveaxis and no tanh; install a newer one",
)


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.usefixtures("elsewhere")
def test_a_cupy_that_does_not_work_is_told_in_one_line_and_auto_takes_the_cpu(what, monkeypatch, capsys):
    load, installed, said = BROKEN[what]

    def version(name):
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(cuda, "import_cupy", load)
    standin_for_cupy.install(monkeypatch, cuda.CUPY._replace(load=load))
    assert backend.resolve_device("auto") == ("cpu", f"Running on the CPU: {said} (minigan info tells more)")
    with pytest.raises(SystemExit) as stop:
        main(["train", "flux-mlp", "--smoke", "--device", "gpu"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"minigan: device 'gpu' cannot be used: {said} (minigan info tells more)\n"


class SyclDeviceCreationError(Exception):
    """dpctl's, which dpnp 0.20 raises at its first array."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModuleNotFoundError("No module named 'dpnp'", name="dpnp"), "dpnp is not installed; pip install dpnp"),
        (
            SyclDeviceCreationError("Default device is unavailable."),
            "dpnp finds no device; install the driver of an Intel GPU, with which python -m dpctl -f lists it",
        ),
        (
            ImportError("libmkl_sycl_dft.so.6: undefined symbol: _ZN4"),
            "dpnp cannot be imported (libmkl_sycl_dft.so.6: undefined symbol: _ZN4)",
        ),
    ],
)
@pytest.mark.usefixtures("elsewhere")
def test_a_dpnp_that_does_not_work_is_told_in_one_line(error, said, monkeypatch, capsys):
    load = failing(error) if isinstance(error, ImportError) else lambda: cupy_on(raises=error)
    standin_for_cupy.install(monkeypatch, sycl.DPNP._replace(load=load))
    with pytest.raises(SystemExit) as stop:
        main(["train", "flux-mlp", "--smoke", "--device", "dpnp"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"minigan: device 'dpnp' cannot be used: {said}\n"


@pytest.mark.parametrize("installed", [True, False])
def test_info_names_dpnp_where_it_is_installed_and_nowhere_else(installed, monkeypatch):
    monkeypatch.setattr(machine, "find_spec", lambda name: (installed and name == "dpnp") or None)
    monkeypatch.setattr(machine, "version", lambda name: "0.20.0")
    standin_for_cupy.install(
        monkeypatch,
        sycl.DPNP._replace(load=lambda: cupy_on(raises=SyclDeviceCreationError("unavailable"))),
    )
    facts = dict(machine.facts())
    assert ("dpnp" in facts) == installed
    assert not installed or facts["dpnp"].startswith("0.20.0, not usable: dpnp finds no device")


def test_a_library_whose_trial_comes_out_right_works(monkeypatch):
    standin_for_cupy.install(monkeypatch, cuda.CUPY._replace(load=lambda: np))
    assert backend.why_no_gpu() == ""


def test_the_functions_that_a_library_is_asked_for_before_it_is_used_are_those_that_training_calls():
    found = set()
    package = Path(minigan.__file__).parent
    for folder in ("backend", "nn", "gan", "train", "watch", "data", "losses.py", "optim.py"):
        for path in [package / folder, *(package / folder).rglob("*.py")]:
            tree = ast.parse(path.read_text("utf-8")) if path.is_file() else ast.Module([], [])
            found |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and of_module(node.value)}
    assert found == {*devices.NEEDED}


def of_module(node):
    """Whether the code names a library's module: `xp`, or a call of `array_module`."""
    called = node.func if isinstance(node, ast.Call) else None
    name = getattr(called, "id", getattr(called, "attr", ""))
    return getattr(node, "id", "") == "xp" or name == "array_module"


@pytest.mark.parametrize(
    ("row", "match"),
    [
        (np, "takes a Library, got <module 'numpy'"),
        (("X", "x", "x.array", lambda: np), "takes a Library"),
        (cuda.CUPY._replace(device="auto"), "other than 'auto', got 'auto'"),
        (cuda.CUPY._replace(device=""), "other than 'auto', got ''"),
        (cuda.CUPY._replace(device=3), "other than 'auto', got 3"),
        (cuda.CUPY._replace(device="x", load=np), "load of CuPy must be a function"),
    ],
    ids=["module", "tuple", "auto", "empty", "number", "load"],
)
def test_a_row_that_nobody_could_ask_for_is_refused_and_changes_nothing(monkeypatch, row, match):
    monkeypatch.setattr(arrays, "LIBRARIES", before := dict(arrays.LIBRARIES))
    rows = dict(before)
    with pytest.raises(ArgumentError, match=match):
        backend.register_library(row)
    assert rows == before


def test_an_array_or_a_network_is_not_brought_to_a_library_that_is_not_there(monkeypatch):
    load = failing(ModuleNotFoundError("No module named 'nowhere'", name="nowhere"))
    row = cuda.CUPY._replace(name="Nowhere", device="nowhere", array="nowhere.array", load=load, explain=lambda _: "")
    monkeypatch.setitem(arrays.LIBRARIES, "nowhere", row)
    net = Sequential([Dense(1)], in_shape=(2,), rng=np.random.default_rng(0))
    for move in (net.to, lambda device: to_device(np.ones(2), device)):
        with pytest.raises(
            DeviceUnavailableError, match=r"^device 'nowhere' cannot be used: Nowhere is not installed$"
        ):
            move("nowhere")
