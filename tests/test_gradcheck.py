"""The checker is checked: it must fail what is wrong, wherever it is wrong, and pass what is right."""

import numpy as np
import pytest

from minigan import nn
from minigan.errors import ArgumentError, DTypeError
from minigan.gan import GANLoss
from minigan.gradcheck import (
    check,
    check_discriminator_step,
    check_generator_step,
    check_layer,
    check_network,
    distance_to_kinks,
)


class Wrong(nn.Dense):
    """Dense with a planted error in one of its three gradients."""

    def __init__(self, where, spoil):
        super().__init__(4)
        self.where, self.spoil = where, spoil

    def input_grad(self, dy, cache):
        dx = super().input_grad(dy, cache)
        return self.spoil(dx) if self.where == "x" else dx

    def param_grads(self, dy, cache, grads):
        super().param_grads(dy, cache, grads)
        if self.where in grads:
            grads[self.where][...] = self.spoil(grads[self.where].copy())


def one_entry(g):
    g.flat[-1] *= 1.001
    return g


SPOILS = {
    "0.05 % too large": lambda g: g * 1.0005,
    "one entry 0.1 % too large": one_entry,
    "sign": lambda g: -g,
    "zeros": lambda g: 0 * g,
    "shifted by one": lambda g: np.roll(g, 1, axis=-1),
    "not a number": lambda g: np.full_like(g, np.nan),
}


@pytest.mark.parametrize("where", ["x", "W", "b"])
@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_a_planted_error_is_reported_in_its_own_array_and_no_other(where, spoil):
    report = check_layer(Wrong(where, spoil), (4,))
    assert not report
    wrong = {row.name.split(".")[-1] for row in report.rows if not row.error <= report.tolerance}
    assert wrong == {where}
    assert "FAILED" in str(report)


def test_an_error_of_five_in_ten_thousand_is_measured_as_such():
    report = check_layer(Wrong("W", SPOILS["0.05 % too large"]), (4,))
    np.testing.assert_allclose(report.error, 5e-4, rtol=0.01)


@pytest.mark.parametrize("where", ["x", "W", "b"])
def test_an_array_too_large_for_single_entries_is_still_caught_along_directions(where):
    report = check_layer(Wrong(where, SPOILS["0.05 % too large"]), (4,), elementwise=0)
    assert not report
    assert all(row.how == "directions" for row in report.rows)


def test_a_transposed_weight_is_reported():
    class Transposed(nn.Dense):
        def input_grad(self, dy, cache):
            return dy @ self.W

    assert not check_layer(Transposed(4), (4,))


def test_a_batchnorm_whose_input_gradient_is_zero_is_reported():
    class Zeros(nn.BatchNorm):
        def spread(self, dy, cache, sums):
            return 0 * dy

    report = check_layer(Zeros(), (4,))
    assert [row.name for row in report.rows if row.error > 1e-6] == ["x", "x"]


def test_a_batchnorm_that_forgets_that_its_statistics_move_is_reported():
    class Forgets(nn.BatchNorm):
        def spread(self, dy, cache, sums):
            return dy * self.gamma * cache.inv_std

    assert not check_layer(Forgets(), (4,), train=True)
    assert check_layer(Forgets(), (4,), train=False)  # at inference they stand still, and it is right


def test_a_missing_mean_over_the_batch_is_reported():
    class Summed(nn.Dense):
        def param_grads(self, dy, cache, grads):
            super().param_grads(dy, cache, grads)
            grads["b"] /= len(dy)

    assert not check_layer(Summed(3), (4,))


def test_a_bias_before_batchnorm_has_gradient_zero_and_passes():
    net = nn.Sequential([nn.Dense(4), nn.BatchNorm()], (3,), rng=np.random.default_rng(0), dtype=np.float64)
    report = check_network(net)
    assert report, str(report)
    assert abs(next(r for r in report.rows if r.name == "0.Dense.b").analytic) < 1e-10


def test_the_report_names_the_worst_entry_with_both_values():
    a = np.array([1.0, 2.0, 3.0])
    report = check(lambda: float((a**2).sum()), {"a": a}, {"a": np.array([2.0, 4.5, 6.0])})
    row = report.rows[0]
    assert (row.index, row.analytic, row.how) == ((1,), 4.5, "elements")
    np.testing.assert_allclose(row.numeric, 4.0, rtol=1e-9)
    np.testing.assert_allclose(row.error, 0.5 / 6, rtol=1e-6)
    assert str(report).splitlines()[2].split()[-3:] == ["[1]", "+4.5", "+4"]


def test_checking_restores_what_it_touched_to_the_bit():
    a = np.random.default_rng(0).standard_normal(10)
    kept = a.copy()
    check(lambda: float(np.sin(a).sum()), {"a": a}, {"a": np.cos(a)})
    np.testing.assert_array_equal(a, kept)
    net = nn.Sequential([nn.Dense(4), nn.BatchNorm()], (3,), rng=np.random.default_rng(0), dtype=np.float64)
    params, buffers = net.params.copy(), net.buffers.copy()
    check_network(net)
    np.testing.assert_array_equal(net.params, params)
    np.testing.assert_array_equal(net.buffers, buffers)


def test_a_layer_in_use_can_be_checked_and_stays_in_use():
    dense = nn.Dense(4)
    net = nn.Sequential([dense], (3,), rng=np.random.default_rng(0))
    before = dense.W.copy()
    assert check_layer(dense, (3,))
    np.testing.assert_array_equal(dense.W, before)
    assert np.shares_memory(dense.W, net.params)


def test_float32_and_mismatched_arrays_are_refused():
    a = np.ones(3)
    with pytest.raises(DTypeError, match="checked in float64"):
        check(lambda: 0.0, {"a": a.astype("f")}, {"a": a})
    with pytest.raises(ArgumentError, match=r"\(3,\).*\(2,\)"):
        check(lambda: 0.0, {"a": a}, {"a": a[:2]})
    with pytest.raises(ArgumentError, match="nothing to check"):
        check(lambda: 0.0, {}, {})
    with pytest.raises(ArgumentError, match="different names"):
        check(lambda: 0.0, {"a": a}, {"b": a})


def test_points_near_a_kink_are_drawn_again(monkeypatch):
    net = nn.Sequential([nn.Dense(2), nn.ReLU()], (2,), rng=np.random.default_rng(0), dtype=np.float64)
    net.layers[0].W[...], net.layers[0].b[...] = np.eye(2), 0
    assert distance_to_kinks(net, np.array([[3.0, -0.25], [0.0, 7.0]]), train=True) == 0.25  # an exact 0 stays one

    distances = [0.0, 0.9e-3, 1.1e-3]
    monkeypatch.setattr("minigan.gradcheck.distance_to_kinks", lambda *args, **options: distances.pop(0))
    assert check_network(net)
    assert distances == []
    monkeypatch.setattr("minigan.gradcheck.distance_to_kinks", lambda *args, **options: 0.0)
    with pytest.raises(ArgumentError, match="away from the activations' kinks"):
        check_network(net)


def test_dropout_below_a_kinked_activation_can_be_checked():
    layers = [nn.Dense(6), nn.Dropout(drop=0.5), nn.LeakyReLU(slope=0.2), nn.Dense(2)]
    report = check_network(nn.Sequential(layers, (3,), rng=np.random.default_rng(0), dtype=np.float64))
    assert report, str(report)


@pytest.mark.parametrize(("factor", "passes"), [(1 + 5e-7, True), (1 + 2e-6, False)])
def test_the_tolerance_is_one_in_a_million(factor, passes):
    assert bool(check_layer(Wrong("W", lambda g: g * factor), (4,))) == passes


@pytest.mark.parametrize(
    ("small", "off", "passes"),
    [
        (1e-3, 1 + 1e-5, False),  # a gradient a thousand times smaller than the largest is still held to its own scale
        (1e-7, 1 + 1e-4, True),  # … one ten million times smaller is rounding noise beside it
    ],
)
def test_small_gradients_are_held_to_their_own_scale_down_to_the_floor(small, off, passes):
    a, b = np.array([0.3]), np.array([0.7])
    report = check(
        lambda: float(a[0] + small * b[0]), {"a": a, "b": b}, {"a": np.ones(1), "b": np.array([small * off])}
    )
    assert bool(report) == passes, str(report)


def test_checking_a_step_puts_running_statistics_back():
    rng = np.random.default_rng(0)
    G = nn.Sequential([nn.Dense(4), nn.BatchNorm(), nn.Tanh()], (3,), rng=rng, dtype=np.float64)
    D = nn.Sequential([nn.BatchNorm(), nn.Dense(1), nn.Sigmoid()], (4,), rng=rng, dtype=np.float64)
    before = G.buffers.copy(), D.buffers.copy()
    x, z = np.tanh(rng.standard_normal((5, 4))), rng.standard_normal((5, 3))
    assert check_generator_step(G, D, GANLoss(), z)
    assert check_discriminator_step(G, D, GANLoss(), x, z)
    np.testing.assert_array_equal(G.buffers, before[0])
    np.testing.assert_array_equal(D.buffers, before[1])
