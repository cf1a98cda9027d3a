import math
import os
import re
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

from minigan import backend
from minigan.backend import RandomStream, threads
from minigan.errors import ArgumentError

# Sharing work among cores --------------------------------------------------------------------------------------------

LENGTHS = [0, 1, 2, 3, 10]
each_number_of_cores = pytest.mark.parametrize("cores", [1, 2, 3, 4])


@each_number_of_cores
@pytest.mark.parametrize("length", LENGTHS)
def test_every_place_of_an_array_is_filled_exactly_once_however_few_there_are(cores, length, share_among):
    share_among(cores)
    out = np.zeros((length, 3))

    def count(part):
        out[part] += 1

    backend.share(count, out)
    np.testing.assert_array_equal(out, 1)


def filled(fill, *arrays):
    """A new array, like the first one, that the cores have filled in parts."""
    out = np.empty_like(arrays[0])
    backend.share(lambda part: fill(out[part], *(array[part] for array in arrays)), out)
    return out


def test_the_number_of_cores_changes_no_bit(share_among):
    def fill(out, x, y):
        np.exp(x, out=out)
        out *= y
        np.tanh(out, out=out)

    rng, found = np.random.default_rng(0), []
    pairs = [rng.standard_normal((2, n, 37)).astype(dtype) for n in (1, 2, 5, 101) for dtype in (np.float32, float)]
    for cores in (1, 2, 3):
        share_among(cores)
        found.append([filled(fill, x, y).tobytes() for x, y in pairs])
    assert found[0] == found[1] == found[2]


def test_the_parts_run_side_by_side(share_among):
    share_among(3)
    met = threading.Barrier(3, timeout=20)  # which breaks if one of the parts waits for another
    names = set()

    def meet(part):
        met.wait()
        names.add(threading.current_thread().name)

    backend.share(meet, np.zeros(3))
    assert len(names) == 3


@pytest.mark.parametrize("where", [0, 1, 2])
def test_an_error_in_any_part_reaches_the_caller(where, share_among):
    share_among(3)

    def fail(part):
        if part.start == where:
            raise ZeroDivisionError(where)

    with pytest.raises(ZeroDivisionError, match=str(where)):
        backend.share(fail, np.zeros(3))


def test_what_the_caller_asked_of_numpys_warnings_holds_in_every_part(share_among):
    share_among(3)

    def divide(out, x):
        np.divide(1, x, out=out)

    for zero in range(3):
        x = np.ones(3)
        x[zero] = 0
        with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
            filled(divide, x)
        with np.errstate(divide="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error")
            assert np.isinf(filled(divide, x)[zero])


def test_small_arrays_and_those_of_a_gpu_are_filled_in_one_part(share_among, standin, monkeypatch):
    share_among(3)
    parts = []
    backend.share(parts.append, backend.to_device(np.zeros(6), "gpu"))
    monkeypatch.setattr(threads, "SHARE_FROM", 7)
    backend.share(parts.append, np.zeros(6))
    assert parts == [slice(0, 6)] * 2
    backend.share(parts.append, np.zeros(7))
    assert sorted(parts[2:], key=lambda part: part.start) == [slice(0, 2), slice(2, 4), slice(4, 7)]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, 8),
        ({"OPENBLAS_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "2"}, 2),
        ({"OPENBLAS_NUM_THREADS": "3", "OMP_NUM_THREADS": "2"}, 3),
        ({"OPENBLAS_NUM_THREADS": "", "OMP_NUM_THREADS": "2"}, 2),
        ({"OPENBLAS_NUM_THREADS": "99"}, 8),
        ({"OPENBLAS_NUM_THREADS": "0"}, 8),  # OpenBLAS too takes it for unset
        ({"OPENBLAS_NUM_THREADS": "many"}, 8),
        ({"OPENBLAS_THREAD_TIMEOUT": None}, 1),  # OpenBLAS's threads would spin on the others' cores
    ],
)
def test_as_many_cores_share_the_work_as_openblas_may_use(environment, expected, monkeypatch):
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_THREAD_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"OPENBLAS_THREAD_TIMEOUT": "18", **environment}.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    assert threads.cores() == expected


@pytest.mark.parametrize(
    ("before", "timeout", "expected"),
    [("", None, "18"), ("", "26", "26"), ("import numpy", None, "None 1")],
    ids=["alone", "told otherwise", "after NumPy"],
)
def test_openblas_threads_are_told_to_sleep_if_that_is_still_possible_and_nobody_said_otherwise(
    before, timeout, expected
):
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_THREAD_TIMEOUT"}
    environment |= {"OPENBLAS_NUM_THREADS": "2"} | ({"OPENBLAS_THREAD_TIMEOUT": timeout} if timeout else {})
    shown = "os.environ.get('OPENBLAS_THREAD_TIMEOUT')" + (", minigan.backend.threads.CORES" if before else "")
    code = f"import os\n{before}\nimport minigan{'.backend' if before else ''}\nprint({shown})"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


@pytest.mark.parametrize(
    ("cores", "environment", "library", "said"),
    [
        (1, {"OPENBLAS_NUM_THREADS": "2"}, "scipy-openblas", "1 of 2 cores .* import minigan first"),
        (2, {"OPENBLAS_NUM_THREADS": "2", "OPENBLAS_THREAD_TIMEOUT": "18"}, "scipy-openblas", ""),
        (1, {"OPENBLAS_NUM_THREADS": "1"}, "scipy-openblas", ""),  # as it was told
        (1, {"OMP_NUM_THREADS": "1"}, "scipy-openblas", ""),
        (1, {"OPENBLAS_NUM_THREADS": "2"}, "accelerate", ""),  # nothing that the user can change
    ],
)
def test_a_core_that_is_lost_to_the_order_of_imports_is_told_and_no_other(
    cores, environment, library, said, monkeypatch
):
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_THREAD_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(threads, "CORES", cores)
    monkeypatch.setattr(np, "show_config", lambda mode: {"Build Dependencies": {"blas": {"name": library}}})
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    assert re.fullmatch(f"{said}.*" if said else "", backend.why_one_core())


def test_keeping_memory_changes_no_result_and_may_be_asked_twice():
    before = np.arange(1e6).sum()
    backend.keep_memory()
    backend.keep_memory()
    assert np.arange(1e6).sum() == before


# Random numbers ------------------------------------------------------------------------------------------------------


def test_a_stream_is_a_function_of_seed_stream_and_step():
    for draw in (RandomStream.normal, RandomStream.uniform, RandomStream.bits):
        first = draw(RandomStream(1, "latent", 7), (5,)).tolist()
        assert draw(RandomStream(1, "latent", 7), (5,)).tolist() == first
        for other in ((2, "latent", 7), (1, "dropout", 7), (1, "latent", 8), (1, "latent", 0)):
            assert draw(RandomStream(*other), (5,)).tolist() != first
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


def test_sixteen_bits_are_the_quarters_of_the_generators_words_lowest_first():
    words = 8901434923084741282, 9327343464795221674  # as above
    expected = [word >> 16 * i & 0xFFFF for word in words for i in range(4)]
    assert RandomStream(42, "latent", 3).bits((2, 3)).ravel().tolist() == expected[:6]
    stream = RandomStream(42, "latent", 3)
    assert [*stream.bits((4,)).tolist(), *stream.bits((3,)).tolist()] == expected[:7]  # a draw takes no word too many


@pytest.mark.parametrize("shape", [(5,), (3, 5, 7), (1, 1), (0, 3), (2, 4)])
def test_sixteen_bits_have_the_asked_shape_and_a_second_draw_has_others(shape):
    stream = RandomStream(0, "dropout")
    first, second = stream.bits(shape), stream.bits(shape)
    assert first.dtype == second.dtype == np.uint16
    assert first.shape == second.shape == shape
    assert first.size < 4 or (first != second).any()


def test_of_sixteen_bits_every_value_is_as_likely():
    draws, boxes = RandomStream(0, "dropout").bits((1001, 257)).ravel(), 256
    for bits in (draws >> 8, draws & 255):
        expected = draws.size / boxes
        chi_squared = ((np.bincount(bits, minlength=boxes) - expected) ** 2).sum() / expected
        assert abs(chi_squared - (boxes - 1)) < 5 * math.sqrt(2 * (boxes - 1))


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
