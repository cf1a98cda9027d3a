import types

import numpy as np
import pytest

from minigan import backend
from minigan.backend import RandomStream, array_module
from minigan.errors import ArgumentError, DeviceError, DeviceUnavailableError, DTypeError


class OtherArray:
    """A stand-in for another library's array."""


@pytest.fixture
def other(monkeypatch):
    module = types.ModuleType("otherlib")
    monkeypatch.setattr(backend, "_MODULES", dict(backend._MODULES))
    backend.register_array_type(OtherArray, module)
    return module


def test_the_data_decides_the_library(other):
    assert array_module(np.ones(2), 3.0, None) is np
    assert array_module() is np
    assert array_module(OtherArray(), 1) is other
    assert array_module(np.ones(2).view(np.memmap)) is np


def test_arrays_of_two_libraries_in_one_call_are_refused_by_both_names_with_the_remedy(other):
    with pytest.raises(DeviceError, match=r"x is a numpy array and W is a otherlib array.*to_device"):
        array_module(x=np.ones(2), W=OtherArray())
    with pytest.raises(TypeError, match="argument 0 is a otherlib array and argument 1 is a numpy array"):
        array_module(OtherArray(), np.ones(2))


def test_what_is_no_array_is_refused_with_the_remedy():
    with pytest.raises(DTypeError, match=r"x is a list, not an array; convert it with numpy.asarray\(x\)"):
        array_module(x=[1, 2])


def test_matmul_takes_out_and_refuses_mixed_arrays(other):
    a, b, out = np.ones((2, 3)), np.ones((3, 4)), np.empty((2, 4))
    assert backend.matmul(a, b, out=out) is out
    np.testing.assert_array_equal(out, 3)
    with pytest.raises(DeviceError):
        backend.matmul(a, OtherArray())


def test_a_stream_is_a_function_of_seed_stream_and_step():
    def draws(*args):
        return RandomStream(*args).normal((4,)).tolist()

    assert draws(1, "latent", 7) == draws(1, "latent", 7)
    others = [draws(2, "latent", 7), draws(1, "dropout", 7), draws(1, "latent", 8), draws(1, "latent", 0)]
    assert all(o != draws(1, "latent", 7) for o in others)
    with pytest.raises(ArgumentError, match="unknown random stream 'noise'"):
        RandomStream(0, "noise")
    with pytest.raises(ArgumentError, match="between 0 and"):
        RandomStream(-1, "latent")
    with pytest.raises(ArgumentError, match="between 0 and"):
        RandomStream(2**64, "latent")


def test_streams_do_not_overlap_however_long_a_step_draws():
    first = RandomStream(0, "latent", 0).host.random(100_000)
    second = RandomStream(0, "latent", 1).host.random(100_000)
    assert len(np.intersect1d(first, second)) == 0


def test_the_numbers_of_a_seed_do_not_change_between_versions():
    # A run must be repeatable years later; NumPy promises Philox's bits, and this pins our use of them.
    stream = RandomStream(42, "latent", 3)
    assert stream.host.bit_generator.random_raw(2).tolist() == [8901434923084741282, 9327343464795221674]


def test_draws_have_the_asked_shape_dtype_and_law():
    normal = RandomStream(0, "latent").normal((200, 100))
    uniform = RandomStream(0, "latent").uniform((200, 100), np.float64)
    assert (normal.dtype, uniform.dtype) == (np.float32, np.float64)
    assert abs(normal.mean()) < 0.02
    assert abs(normal.std() - 1) < 0.02
    assert 0 <= uniform.min() < 0.001
    assert 0.999 < uniform.max() < 1


def test_nothing_draws_from_or_reseeds_the_global_generator():
    np.random.seed(5)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    RandomStream(0, "latent").normal((10,))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_device_names_and_the_fallback_with_its_reason(monkeypatch):
    assert backend.resolve_device("cpu") == ("cpu", "")
    with pytest.raises(ArgumentError, match="device is 'cuda'; it must be cpu or gpu or auto"):
        backend.resolve_device("cuda")
    monkeypatch.setattr(backend, "why_no_gpu", lambda: "the driver is too old")
    assert backend.resolve_device("auto") == (
        "cpu",
        "Running on the CPU: the driver is too old (minigan info tells more)",
    )
    with pytest.raises(DeviceUnavailableError, match="device 'gpu' cannot be used: the driver is too old"):
        backend.resolve_device("gpu")
    monkeypatch.setattr(backend, "why_no_gpu", lambda: "")
    assert backend.resolve_device("auto") == ("gpu", "")


def _installed(error=None, module=None):
    def import_cupy():
        if error:
            raise error
        return module

    return import_cupy


@pytest.mark.parametrize(
    ("cupy", "match"),
    [
        (_installed(ImportError("libcuda.so.1 is missing")), "cannot be imported.*libcuda.so.1"),
        (_installed(ModuleNotFoundError("No module", name="cupy")), "CuPy is not installed"),
        (_installed(ModuleNotFoundError("No module", name="fastrlock")), "cannot be imported"),
        (_installed(module=types.SimpleNamespace(arange=lambda n: 1 / 0)), "trial product.*ZeroDivisionError"),
        (_installed(module=types.SimpleNamespace(arange=lambda n: np.zeros(4))), "wrong result"),
        (_installed(module=np), "^$"),
    ],
)
def test_whether_a_gpu_works_is_found_by_an_operation_not_by_an_import(cupy, match, monkeypatch):
    import re

    monkeypatch.setattr(backend, "_cupy", cupy)
    backend.why_no_gpu.cache_clear()
    try:
        assert re.search(match, backend.why_no_gpu())
    finally:
        backend.why_no_gpu.cache_clear()
