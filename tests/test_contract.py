"""The contract of a layer, over every layer, device and dtype. It needs NumPy and pytest only (and CuPy for "gpu")."""

import numpy as np
import pytest
from cases import ALL, CASES, IDS

from minigan import backend, nn
from minigan.backend import RandomStream, to_device, to_numpy
from minigan.gradcheck import check_layer, check_network

DEVICES = ["cpu", "standin", pytest.param("gpu", marks=pytest.mark.gpu)]
BATCH = 5

each_layer = pytest.mark.parametrize(("name", "make", "in_shape"), ALL, ids=IDS)
each_mode = pytest.mark.parametrize("train", [True, False], ids=["train", "inference"])
each_device = pytest.mark.parametrize("device", DEVICES, indirect=True)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


@pytest.fixture
def device(request):
    """The device's name for minigan: "gpu" for CuPy's stand-in too, which needs none."""
    if request.param == "standin":
        request.getfixturevalue("standin")
        return "gpu"
    return request.param


class Bench:
    """A layer in a network of its own, with random parameters, an input, and an upstream gradient."""

    def __init__(self, make, in_shape, *, device="cpu", dtype=np.float64):
        rng = np.random.default_rng(3)
        self.device = device
        self.net = nn.Sequential([make()], in_shape, rng=rng, dtype=dtype)
        self.net.params[...] = rng.uniform(0.3, 1.2, self.net.params.shape)
        self.net.buffers[...] = rng.uniform(0.3, 1.2, self.net.buffers.shape)
        self.net.to(device)
        self.x = to_device(rng.standard_normal((BATCH, *in_shape)).astype(dtype), device)
        self.dy = to_device(rng.standard_normal((BATCH, *self.net.out_shape)).astype(dtype), device)

    def rng(self):
        return RandomStream(1, "dropout", device=self.device)

    def forward(self, x=None, *, train):
        return self.net.forward(self.x if x is None else x, train=train, rng=self.rng())

    def both(self, x=None, dy=None, *, train, **flags):
        """(y, dx, grads) on the host."""
        y, cache = self.forward(x, train=train)
        dx = self.net.backward(self.dy if dy is None else dy, cache, **flags)
        return to_numpy(y), None if dx is None else to_numpy(dx), to_numpy(self.net.grads).copy()


def test_every_layer_of_the_library_has_a_case():
    layers = {n for n in nn.__all__ if isinstance(getattr(nn, n), type) and issubclass(getattr(nn, n), nn.Layer)}
    assert layers - {"Layer"} == CASES.keys()


@each_layer
@each_mode
def test_gradient_of_input_and_every_parameter(name, make, in_shape, train):
    report = check_layer(make(), in_shape, train=train)
    assert report, str(report)


@each_layer
@each_mode
def test_gradient_between_two_dense_layers(name, make, in_shape, train):
    # A layer put first is tested only through its parameters by a network; here its input gradient matters too.
    C = in_shape[-1]
    net = nn.Sequential([nn.Dense(C), make(), nn.Dense(2)], in_shape, rng=np.random.default_rng(0), dtype=np.float64)
    report = check_network(net, train=train)
    assert report, str(report)


@pytest.mark.slow
def test_of_all_entries_of_all_layers_none_is_wrong_or_undecided():
    reports = [check_layer(make(), shape, train=train) for _, make, shape in ALL for train in (True, False)]
    assert sum(report.entries for report in reports) > 1000
    assert not any(
        row.wrong.any() or row.undecided.any() or row.kink.any() for report in reports for row in report.rows
    )


@each_layer
@each_mode
@each_device
@each_dtype
def test_shape_dtype_and_device_are_kept(name, make, in_shape, train, device, dtype):
    bench = Bench(make, in_shape, device=device, dtype=dtype)
    y, cache = bench.forward(train=train)
    dx = bench.net.backward(bench.dy, cache)
    assert y.shape == (BATCH, *bench.net.out_shape)
    assert dx.shape == bench.x.shape
    assert y.dtype == dx.dtype == bench.net.grads.dtype == dtype
    assert backend.device_of(y) == backend.device_of(dx) == device


@each_layer
@each_mode
@each_device
def test_passes_leave_input_upstream_parameters_and_cache_alone(name, make, in_shape, train, device):
    bench = Bench(make, in_shape, device=device)
    kept = [to_numpy(a).copy() for a in (bench.x, bench.dy, bench.net.params, bench.net.buffers)]
    y, cache = bench.forward(train=train)
    y_kept = to_numpy(y).copy()
    first = to_numpy(bench.net.backward(bench.dy, cache)).copy(), to_numpy(bench.net.grads).copy()
    second = to_numpy(bench.net.backward(bench.dy, cache)), to_numpy(bench.net.grads)
    for before, after in zip(kept, (bench.x, bench.dy, bench.net.params, bench.net.buffers), strict=True):
        np.testing.assert_array_equal(before, to_numpy(after))
    np.testing.assert_array_equal(y_kept, to_numpy(y))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b, err_msg="a second backward on the same cache differs")


@each_layer
@each_mode
def test_two_passes_in_flight_are_independent(name, make, in_shape, train):
    bench = Bench(make, in_shape)
    other_x, other_dy = bench.x[::-1] * 2 + 1, bench.dy[::-1] - 1
    alone = bench.both(train=train), bench.both(other_x, other_dy, train=train)
    y1, cache1 = bench.forward(train=train)
    y2, cache2 = bench.forward(other_x, train=train)
    dx1, grads1 = bench.net.backward(bench.dy, cache1), bench.net.grads.copy()
    dx2, grads2 = bench.net.backward(other_dy, cache2), bench.net.grads.copy()
    for expected, got in zip((*alone[0], *alone[1]), (y1, dx1, grads1, y2, dx2, grads2), strict=True):
        np.testing.assert_array_equal(expected, got)


@each_layer
@each_mode
@each_device
def test_accumulate_adds_and_the_need_flags_change_nothing_else(name, make, in_shape, train, device):
    bench = Bench(make, in_shape, device=device)
    _, dx, grads = bench.both(train=train)
    _, _, doubled = bench.both(train=train, accumulate=True)
    np.testing.assert_allclose(doubled, 2 * grads, rtol=1e-12)
    bench.net.grads[...] = -7
    _, dx_frozen, untouched = bench.both(train=train, need_param_grads=False)
    np.testing.assert_array_equal(dx, dx_frozen)
    assert (untouched == -7).all(), "a frozen network's gradients were written"
    _, nothing, grads_only = bench.both(train=train, need_input_grad=False)
    assert nothing is None
    np.testing.assert_array_equal(grads, grads_only)


@each_layer
@each_mode
def test_a_layer_by_itself_answers_both_questions_and_writes_unless_told_otherwise(name, make, in_shape, train):
    bench = Bench(make, in_shape)
    _, dx, grads = bench.both(train=train)
    (layer,) = bench.net.layers
    _, cache = layer.forward(bench.x, train=train, rng=bench.rng())
    bench.net.grads[...] = -7
    np.testing.assert_array_equal(layer.backward(bench.dy, cache), dx)
    np.testing.assert_array_equal(bench.net.grads, grads)


@each_layer
@each_mode
@pytest.mark.parametrize("layout", ["reversed", "every other", "transposed", "read-only"])
def test_memory_layout_changes_no_result(name, make, in_shape, train, layout):
    bench = Bench(make, in_shape)

    def laid_out(a):
        if layout == "reversed":
            return a[::-1].copy()[::-1]
        if layout == "every other":
            return np.repeat(a, 2, axis=0)[::2]
        if layout == "transposed":
            return np.ascontiguousarray(a.T).T
        a = a.copy()
        a.flags.writeable = False
        return a

    expected = bench.both(train=train)
    got = bench.both(laid_out(bench.x), laid_out(bench.dy), train=train)
    for a, b in zip(expected, got, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@each_layer
@each_mode
@each_device
def test_float32_on_this_device_agrees_with_float64_on_the_cpu(name, make, in_shape, train, device):
    exact = Bench(make, in_shape).both(train=train)
    single = Bench(make, in_shape, device=device, dtype=np.float32).both(train=train)
    for a, b in zip(exact, single, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)
