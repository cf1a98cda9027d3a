"""Elementwise formulas: the same numbers as they stand, in parts, and as loops, whatever the arrays' layout."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

from minigan.backend import Array, Column, Elementwise, Sum, Vector, elementwise, loops, looptext, threads
from minigan.errors import ArgumentError, DeviceError

RNG = np.random.default_rng(0)
needs_numba = pytest.mark.skipif(not loops.FAST, reason="numba is not here, or MINIGAN_FAST=0")


@Elementwise
def leaky(xp, x: Array, slope: float) -> Array:
    return xp.maximum(x, slope * x)


@Elementwise
def leaky_grad(xp, dy: Array, y: Array, slope: float) -> Array:
    return dy * xp.maximum(y > 0, slope)


@Elementwise
def clipped(xp, x: Array, low: float, high: float) -> Array:
    return xp.where(x != x, low, xp.minimum(xp.maximum(x, low), high)) + abs(x) * 0


@Elementwise
def moment(xp, theta: Array, v: Array, g: Array, beta: float, rate: float) -> tuple[Array, Array]:
    v *= beta
    v += (1 - beta) * (g * g)
    theta -= rate * (g / (xp.sqrt(v) + 1e-3))
    return theta, v


@Elementwise
def masked(x: Array, draws: Array, silent: float) -> tuple[Array, Array]:
    mask = (draws >= silent) * 1.5
    return x * mask, mask


@Elementwise
def normal(x: Array, mean: Vector, scale: Vector) -> tuple[Array, Array]:
    h = (x - mean) * scale
    return h + 1, h


@Elementwise
def squares(x: Array, mean: Vector) -> Sum:
    return (x - mean) * (x - mean)


@Elementwise
def both(dy: Array, x: Array) -> tuple[Sum, Array, Sum]:
    return dy * x, dy + x, dy


@Elementwise
def outer(x: Array, column: Column, row: Vector, factor: float) -> Array:
    return (x - factor * column * row) / 3


@Elementwise
def shades(pixels: Array, full: float, low: float) -> Array:
    return pixels / full * 2 + low


def floats(*shape):
    return RNG.standard_normal(shape, dtype=np.float32)


def cases(shape):
    """{name: (formula, its arguments)} of every kind, for images or rows of the shape (…, C)."""
    x, y, features, width = floats(*shape), floats(*shape), floats(shape[-1]), shape[-1]
    draws = RNG.integers(0, 2**16, shape, dtype=np.uint16)
    flat = x.reshape(-1, width)
    return {
        "leaky": (leaky, (x, 0.2)),
        "leaky_grad": (leaky_grad, (x, y, 0.2)),
        "clipped": (clipped, (x, -1, 1)),
        "masked": (masked, (x, draws, 20_000)),
        "normal": (normal, (x, features, abs(features))),
        "squares": (squares, (x, features)),
        "both": (both, (x, y)),
        "outer": (outer, (flat, floats(len(flat), 1), features, np.array(0.5, np.float32))),
    }


SHAPES = ((300, 7), (5, 6, 7, 40), (70_001, 3), (2**20 // 64, 64), (4096,))
NAMES = tuple(cases((2, 3)))


def exact(formula, arguments):
    """The formula on whole arrays in float64, by NumPy."""
    wide = [a.astype(float) if isinstance(a, np.ndarray) and a.dtype == np.float32 else a for a in arguments]
    made = formula.formula(*((np, *wide) if formula.takes_xp else wide))
    made = made if isinstance(made, tuple) else (made,)
    return [
        entries.reshape(-1, entries.shape[-1]).sum(axis=0) if kind == "Sum" else entries
        for entries, kind in zip(made, formula.results, strict=True)
    ]


def results(formula, arguments, **options):
    made = formula(*arguments, **options)
    return made if isinstance(made, tuple) else (made,)


@pytest.fixture(params=["numpy", "loops"])
def way(request, monkeypatch):
    """Both ways to run a formula, however few its numbers are."""
    if request.param == "loops" and not loops.FAST:
        pytest.skip("numba is not here, or MINIGAN_FAST=0")
    monkeypatch.setattr(loops, "FAST", request.param == "loops")
    monkeypatch.setattr(loops, "LEAST", 1)
    return request.param


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_a_formula_gives_its_numbers_in_float32_whichever_way_it_runs(way, name, shape):
    if len(shape) == 1 and name in ("normal", "squares", "both", "outer"):
        pytest.skip("rows are needed")
    formula, arguments = cases(shape)[name]
    before = [np.copy(a) for a in arguments]
    for made, right in zip(results(formula, arguments), exact(formula, arguments), strict=True):
        assert made.dtype == np.float32
        assert made.shape == right.shape
        np.testing.assert_allclose(made, right, rtol=1e-5, atol=1e-5 * abs(right).max())
    for a, b in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", NAMES)
def test_neither_the_number_of_cores_nor_the_parts_change_a_bit(way, name, monkeypatch):
    monkeypatch.setattr(threads, "SHARE_FROM", 1)
    monkeypatch.setattr(loops, "SHARE_FROM", 1)
    monkeypatch.setattr(elementwise, "PART", 2**14)
    formula, arguments = cases((40_000, 9))[name]
    found = []
    for cores in (1, 2, 3, 7):
        monkeypatch.setattr(threads, "CORES", cores)
        threads._pool.cache_clear()
        found.append([made.tobytes() for made in results(formula, arguments)])
    threads._pool.cache_clear()
    assert found[1:] == found[:-1]


def test_parts_of_numpys_way_give_the_bits_of_the_whole(monkeypatch):
    monkeypatch.setattr(loops, "FAST", False)
    formula, arguments = cases((40_000, 9))["normal"]
    monkeypatch.setattr(elementwise, "PART", 2**14)
    in_parts = results(formula, arguments)
    monkeypatch.setattr(elementwise, "PART", 2**30)
    for a, b in zip(in_parts, results(formula, arguments), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("size", [50, 3_000, 300_000])
def test_results_go_into_the_arguments_that_out_names(way, size):
    theta, v, g = floats(size), abs(floats(size)), floats(size)
    copies = theta.astype(float), v.astype(float), g.astype(float)
    right = moment.formula(np, *copies, 0.9, 0.01)
    made = moment(theta, v, g, 0.9, 0.01, out=(theta, v))
    assert made[0] is theta
    assert made[1] is v
    np.testing.assert_allclose(theta, right[0], rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(v, right[1], rtol=1e-5, atol=1e-7)


@needs_numba
def test_a_loop_moves_no_argument_that_out_does_not_name(monkeypatch):  # as it stands, a formula does as it says
    monkeypatch.setattr(loops, "LEAST", 1)
    v = abs(floats(5_000))
    theta, other = floats(5_000), np.empty(5_000, np.float32)
    before = theta.copy()
    moment(theta, v, floats(5_000), 0.9, 0.01, out=(other, v))
    np.testing.assert_array_equal(theta, before)


@pytest.mark.parametrize("size", [50, 5_000, 300_000])
def test_an_out_of_another_dtype_sets_the_arithmetics(way, size):
    pixels, out = RNG.integers(0, 256, (size, 3), dtype=np.uint8), np.empty((size, 3), np.float32)
    assert shades(pixels, 255, -1, out=out) is out
    np.testing.assert_array_equal(out, pixels / np.float32(255) * 2 - 1)
    assert out.max() <= 1


@pytest.mark.parametrize("view", [np.s_[:, ::2], np.s_[::-1], np.s_[3:, 1:]])
def test_gaps_in_memory_are_read_and_written_as_they_lie(way, view):
    x, y, out = floats(90, 40)[view], floats(90, 40)[view], np.full((90, 40), 7, np.float32)
    made = leaky_grad(x, y, 0.2, out=out[view])
    np.testing.assert_array_equal(made, leaky_grad.formula(np, x, y, np.float32(0.2)))
    np.testing.assert_array_equal(out[view], made)
    assert np.count_nonzero(out == 7) == out.size - made.size


def test_float64_stays_float64_where_loops_are_used_for_float32(way):
    x = RNG.standard_normal((300, 40))
    made = leaky(x, 0.1)
    assert made.dtype == float
    np.testing.assert_array_equal(made, np.maximum(x, 0.1 * x))


def test_nan_comes_out_as_nan(way):
    x = floats(5_000)
    x[::7] = np.nan
    np.testing.assert_array_equal(np.isnan(leaky(x, 0.2)), np.isnan(x))
    np.testing.assert_array_equal(np.isnan(leaky_grad(x, x, 0.2)), np.isnan(x))


def test_arrays_that_do_not_line_up_are_refused_and_nothing_is_read_beyond_their_ends(way):
    with pytest.raises(ValueError, match="broadcast"):
        leaky_grad(floats(400, 40), floats(400, 39), 0.2)
    with pytest.raises(ValueError, match="broadcast"):
        normal(floats(400, 40), floats(39), floats(40))


def test_a_formula_whose_annotations_say_nothing_is_refused_with_what_they_may_be():
    def unsaid(x, y: Array) -> Array:
        return x + y

    with pytest.raises(ArgumentError, match=r"unsaid: an elementwise formula takes Array.*\(, Array\)"):
        Elementwise(unsaid)


def test_arrays_of_two_libraries_are_refused_by_their_names(monkeypatch):
    import standin

    standin.install(monkeypatch)
    with pytest.raises(DeviceError, match=r"dy is a .* and y is a"):
        leaky_grad(standin.cupy.asarray(floats(3, 3)), floats(3, 3), 0.2)


# The loops ------------------------------------------------------------------------------------------------------------


def formulas():
    """Every formula of minigan, by its name."""
    import minigan.data.batches
    import minigan.gan.averaging
    import minigan.nn
    import minigan.optim

    assert minigan.data.batches
    modules = [module for name, module in sys.modules.items() if name.startswith("minigan.")]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Elementwise)]
    assert len(found) > 15
    return {f"{formula.formula.__module__}.{formula.__name__}": formula for formula in found}


def test_every_formula_of_minigan_can_be_a_loop():
    for name, formula in formulas().items():
        if formula.heavy:  # at which NumPy is faster
            continue
        into = (-1,) * (len(formula.results) - len(formula.sums))
        assert looptext.loop_text(formula, formula.by_rows, into) is not None, name


@pytest.mark.parametrize(
    "body",
    ["return xp.tanh(x)", "return x**2", "return xp.maximum(x, True)", "if slope:\n        x += 1\n    return x"],
)
def test_a_formula_that_no_loop_can_do_is_left_to_numpy(body, tmp_path, monkeypatch):
    text = f"from __future__ import annotations\ndef odd(xp, x: Array, slope: float) -> Array:\n    {body}\n"
    (tmp_path / "odd_formula.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    import odd_formula

    formula, x = Elementwise(odd_formula.odd), floats(5_000)
    monkeypatch.delitem(sys.modules, "odd_formula")
    assert looptext.loop_text(formula, False, (-1,)) is None
    np.testing.assert_allclose(formula(x, 0.0), odd_formula.odd(np, x, 0.0))


def test_the_text_of_a_loop_is_the_formulas_own():
    name, text = looptext.loop_text(leaky, False, (-1,))
    assert (
        textwrap.dedent(text).strip()
        == textwrap.dedent(f"""
        def {name}(x_, y0_, slope_):
            slope = float32(slope_)
            for i in range(x_.size):
                x = float32(x_[i])
                y0_[i] = maximum(x, slope * x)
    """).strip()
    )


@needs_numba
def test_two_threads_that_compute_at_once_each_get_their_own_results():
    arrays = [floats(300, 1000) for _ in range(8)]
    right = [leaky(x, 0.3) for x in arrays]
    found = [None] * 8

    def compute(i):
        for _ in range(20):
            found[i] = leaky(arrays[i], 0.3)

    workers = [threading.Thread(target=compute, args=(i,)) for i in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for a, b in zip(found, right, strict=True):
        np.testing.assert_array_equal(a, b)


def test_numba_is_not_imported_before_the_first_loop():
    code = "import sys, minigan, minigan.train, minigan.runs, minigan.cli.main; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
