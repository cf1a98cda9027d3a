"""Elementwise formulas as kernels of CuPy's, against the same formulas on NumPy. Needs NumPy, CuPy and pytest only."""

from __future__ import annotations

import sys
from importlib import import_module
from pkgutil import walk_packages

import numpy as np
import pytest

import minigan
from minigan.backend import Array, Elementwise, Sum, Vector, cuda, kernels, to_device, to_numpy
from minigan.errors import DeviceError

pytestmark = pytest.mark.gpu

ROUNDING = {"float32": 1e-6, "float64": 1e-14}


@Elementwise
def leaky(xp, x: Array, slope: float) -> Array:
    return xp.maximum(x, slope * x)


@Elementwise
def pass_on(xp, dy: Array, y: Array, slope: float) -> Array:
    return dy * xp.where(y > 0, 1, slope)


@Elementwise
def sigmoid(xp, x: Array) -> Array:
    z = xp.exp(-abs(x))
    return xp.maximum(z, x >= 0) / (1 + z)


@Elementwise
def nll(xp, p: Array, t: float) -> Array:
    return -(t * xp.maximum(xp.log(p * p), -1) + (1 - t) * xp.minimum(xp.log1p(p * p), 0.5))


@Elementwise
def drop(x: Array, draws: Array, silent: float, scale: float) -> Array:
    return x * ((draws >= silent) * scale)


@Elementwise
def scale_shift(xp, x: Array, gamma: Vector, beta: Vector) -> Array:
    """A docstring is not part of the formula."""
    return xp.tanh(gamma * x + beta)


@Elementwise
def adam(
    xp, theta: Array, g: Array, m: Array, v: Array, beta1: float, beta2: float, eps: float, rate: float
) -> tuple[Array, Array, Array]:
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    return theta - rate * m / (xp.sqrt(v) + eps), m, v


@Elementwise
def decayed(m: Array, g: Array, beta1: float) -> Array:
    m *= beta1
    m += (1 - beta1) * g
    return m


@Elementwise
def through(xp, dy: Array, y: Array) -> tuple[Sum, Array, Sum]:
    d = dy * (y > 0)
    return d, d, d * y


@Elementwise
def order(x: Array, y: Array, z: Array) -> Array:
    a = x - (y - z) - (x - y - z) * -(x + y)
    b = x / (2 * z) / (3 / (y / 0.5)) + -x * -y
    return a - (b + z) * (x < y) - (x == y) + ((x != z) <= (y > z)) - 1e-3 * (y - x) / -z


@Elementwise
def reserved(new: Array, double: Array, i: float, n: float, T: float) -> Array:
    signed = new * i
    a0 = double * n
    y0 = signed + a0
    return y0 + T


def arrays(count, shape=(6, 5), dtype="float32"):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(dtype) for _ in range(count)]


CASES = [
    (leaky, 1, [0.2]),
    (pass_on, 2, [0.2]),
    (sigmoid, 1, []),
    (nll, 1, [0.9]),
    (adam, 4, [0.5, 0.999, 1e-8, 2e-4]),
    (decayed, 2, [0.9]),
    (order, 3, []),
    (reserved, 2, [2, 3, 0.1]),
]


def kernels_only(monkeypatch):
    """From here on it is an error if CuPy is to run the formula as it stands."""
    whole = Elementwise.whole

    def on_numpy(work, arguments, outs):
        assert isinstance(arguments[0], np.ndarray)
        return whole(work, arguments, outs)

    monkeypatch.setattr(Elementwise, "whole", on_numpy)


def launches(work, *arguments, **options):
    """How many kernels and copies a second call takes; None on a GPU, which does not tell."""
    if (host := sys.modules.get("hostcupy")) is None:
        return None
    work(*arguments, **options)
    before = host.counts()
    work(*arguments, **options)
    return sum(now - before[kind] for kind, now in host.counts().items())


def there(values):
    return [to_device(a, "gpu") if isinstance(a, np.ndarray) else a for a in values]


def assert_same(found, wanted, dtype):
    found, wanted = (r if isinstance(r, (tuple, list)) else [r] for r in (found, wanted))
    for f, w in zip(found, wanted, strict=True):
        assert f.dtype == w.dtype == dtype
        np.testing.assert_allclose(to_numpy(f), w, rtol=ROUNDING[dtype], atol=ROUNDING[dtype])


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize(("work", "count", "numbers"), CASES, ids=lambda a: getattr(a, "__name__", ""))
def test_a_formula_is_one_launch_and_its_results_numpys(work, count, numbers, dtype, monkeypatch):
    values = [*arrays(count, dtype=dtype), *numbers]
    if work is adam:
        values[3] = abs(values[3])
    wanted = work(*[a.copy() if isinstance(a, np.ndarray) else a for a in values])
    kernels_only(monkeypatch)
    assert_same(work(*there(values)), wanted, dtype)
    assert launches(work, *there(values)) in (1, None)


def test_results_are_written_into_the_arguments_without_another_launch(monkeypatch):
    values = [*arrays(4), 0.5, 0.999, 1e-8, 2e-4]
    values[3] = abs(values[3])
    wanted = adam(*values)
    theta, g, m, v, *numbers = there(values)
    kernels_only(monkeypatch)
    found = adam(theta, g, m, v, *numbers, out=(theta, m, v))
    assert all(f is given for f, given in zip(found, (theta, m, v), strict=True))
    assert_same((theta, m, v), wanted, "float32")
    assert launches(adam, theta, g, m, v, *numbers, out=(theta, m, v)) in (1, None)


def test_a_formula_that_writes_over_its_argument_writes_into_out(monkeypatch):
    m, g = arrays(2)
    wanted = decayed(m.copy(), g, 0.9)
    m, g = there([m, g])
    kernels_only(monkeypatch)
    assert_same(decayed(m, g, 0.9, out=m), wanted, "float32")
    assert_same(m, wanted, "float32")


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("shape", [(6, 5), (300, 4), (2, 3, 3, 7)], ids=str)
def test_vectors_go_along_the_last_axis(shape, dtype, monkeypatch):
    (x,), vectors = arrays(1, shape, dtype), arrays(2, shape[-1:], dtype)
    wanted = scale_shift(x, *vectors)
    kernels_only(monkeypatch)
    assert_same(scale_shift(*there([x, *vectors])), wanted, dtype)


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("shape", [(6, 5), (300, 4), (2, 30, 10, 7)], ids=str)
def test_entries_are_summed_over_the_batch_and_one_that_is_a_result_is_not_made_twice(shape, dtype, monkeypatch):
    dy, y = arrays(2, shape, dtype)
    wanted = through(dy, y)
    kernels_only(monkeypatch)
    found = through(*there([dy, y]))
    for f, w in zip(found, wanted, strict=True):
        np.testing.assert_allclose(to_numpy(f), w, rtol=20 * ROUNDING[dtype], atol=20 * ROUNDING[dtype])
    into = to_device(np.empty_like(dy), "gpu")
    assert through(*there([dy, y]), out=into)[1] is into
    assert_same(into, wanted[1], dtype)
    assert kernels.kernel_of(cuda.import_cupy(), through)[0].nout == 2


def test_a_sum_of_an_argument_is_of_what_it_held_before_the_call(monkeypatch):
    @Elementwise
    def halved(x: Array, b: Vector) -> tuple[Array, Sum]:
        return x * 0.5 + b, x

    x, b = arrays(1)[0], arrays(1, (5,))[0]
    wanted = halved(x, b)
    x, b = there([x, b])
    kernels_only(monkeypatch)
    for f, w in zip(halved(x, b, out=x), wanted, strict=True):
        np.testing.assert_allclose(to_numpy(f), w, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "bool", "int64"])
def test_whole_numbers_and_truths_meet_float32_as_float32(dtype, monkeypatch):
    x = np.linspace(-3, 3, 30, dtype=np.float32)
    draws = (np.arange(30) * (1 if dtype == "bool" else 3)).astype(dtype)
    kernels_only(monkeypatch)
    assert_same(drop(*there([x, draws]), 12, 1.5), drop(x, draws.astype("float32"), 12, 1.5), "float32")
    out = to_device(np.empty_like(x), "gpu")
    drop(*there([draws, x]), -1, 1.5, out=out)
    assert_same(out, drop(draws.astype("float32"), x, -1, 1.5), "float32")


def test_a_number_is_of_the_arrays_type_whichever_library_it_is_from(monkeypatch):
    (x,) = arrays(1)
    wanted = leaky(x, 0.2)
    kernels_only(monkeypatch)
    for slope in (np.float64(0.2), np.float32(0.2), to_device(np.array(0.2, np.float32), "gpu")):
        assert_same(leaky(*there([x]), slope), wanted, "float32")


def test_nan_passes_maximum_minimum_and_where_as_numpys(monkeypatch):
    values = np.array([np.nan, -np.inf, -1, 0, 1, np.inf], np.float32)
    x, y = (a.ravel() for a in np.meshgrid(values, values))

    @Elementwise
    def picks(xp, x: Array, y: Array) -> tuple[Array, Array, Array, Array]:
        return xp.maximum(x, y), xp.minimum(x, y), xp.where(x > y, x, y), xp.where(x, y, 1)

    wanted = picks(x, y)
    kernels_only(monkeypatch)
    for f, w in zip(picks(*there([x, y])), wanted, strict=True):
        np.testing.assert_array_equal(to_numpy(f), w)


def test_arrays_with_gaps_and_turned_ones_and_empty_ones_and_one_number(monkeypatch):
    x, y = arrays(2, (8, 6))
    kernels_only(monkeypatch)
    a, b = there([x, y])
    assert_same(pass_on(a[::2, 1:4], b[1::2, ::2], 0.2), pass_on(x[::2, 1:4], y[1::2, ::2], 0.2), "float32")
    assert_same(pass_on(a.T, b.reshape(6, 8), 0.2), pass_on(x.T, y.reshape(6, 8), 0.2), "float32")
    out = to_device(np.zeros((8, 6), np.float32), "gpu")
    pass_on(a[:, ::3], b[:, ::3], 0.2, out=out[:, ::3])
    np.testing.assert_allclose(to_numpy(out)[:, ::3], pass_on(x, y, 0.2)[:, ::3], rtol=1e-6)
    assert not to_numpy(out)[:, 1::3].any()
    assert pass_on(a[:0], b[:0], 0.2).shape == (0, 6)
    assert pass_on(a[0, 0], b[0, 0], 0.2).shape == ()


def test_what_no_kernel_does_runs_as_it_stands():
    @Elementwise
    def waves(xp, x: Array) -> Array:
        return xp.sin(x) * 2

    space = {"Elementwise": Elementwise, "__name__": __name__}
    exec("@Elementwise\ndef unseen(x: Array) -> Array:\n    return x * 2", space)
    x, y = arrays(2)
    assert_same(waves(*there([x])), waves(x), "float32")
    assert_same(space["unseen"](*there([x])), x * 2, "float32")
    assert_same(decayed(*there([x, y[:, :1]]), 0.9), decayed(x.copy(), y[:, :1], 0.9), "float32")  # that do not line up
    assert_same(pass_on(*there([x[:1], y]), 0.2), pass_on(x[:1], y, 0.2), "float32")
    larger = to_device(np.zeros((2, *x.shape), np.float32), "gpu")
    pass_on(*there([x, y]), 0.2, out=larger)
    np.testing.assert_allclose(to_numpy(larger), [pass_on(x, y, 0.2)] * 2, rtol=1e-6)
    half = there([x.astype("f2"), y.astype("f2")])
    assert kernels.by_kernel(cuda.import_cupy(), pass_on, [*half, 0.2], None) is None
    assert pass_on(*half, 0.2).dtype == "float16"
    out = to_device(np.zeros(x.shape, np.float64), "gpu")
    pass_on(*there([x, y]), 0.2, out=out)
    np.testing.assert_allclose(to_numpy(out), pass_on(x, y, 0.2), rtol=1e-6)


def test_arrays_of_two_libraries_are_refused_by_their_names():
    x, y = arrays(2)
    with pytest.raises(DeviceError, match="dy is a cupy array and y is a numpy array"):
        pass_on(to_device(x, "gpu"), y, 0.2)


def test_every_formula_of_minigans_has_a_kernel():
    for package in ("nn", "gan", "data"):
        for module in walk_packages(import_module(f"minigan.{package}").__path__, f"minigan.{package}."):
            import_module(module.name)
    for name in ("losses", "optim"):
        import_module(f"minigan.{name}")
    modules = [module for name, module in sys.modules.items() if name.startswith(f"{minigan.__name__}.")]
    found = {work for module in modules for work in vars(module).values() if isinstance(work, Elementwise)}
    assert {work.__name__ for work in found if kernels.kernel_text(work) is None} == set()
