"""How far float32 may be from float64: layers whose results are off by a chosen amount in float32 alone."""

import numpy as np
import pytest

from minigan import nn
from minigan.gradcheck.precision import NUDGED, SINGLE, disagreeing, paired, single_precision
from minigan.gradcheck.trial import Results, Trial
from minigan.nn.init import ones, zeros

WIDE = 4000  # entries enough that some number is nudged by nearly all of its rounding
LARGE = 1024.0
ROUNDED = 2.0**-23 * LARGE  # what a number of that size is nudged by at most


def single(x):
    return x.dtype == np.float32


class Off(nn.Layer):
    """y = level + (x - LARGE) + (w - LARGE) + (b - LARGE), and level·dy + (dy - LARGE) for gradients, where switched
    on; each off in float32."""

    def __init__(self, *on, y=0.0, dx=0.0, dw=0.0, level=0.0, gradients=0.0):
        self.on, self.off, self.level, self.gradients = on, {"y": y, "x": dx, "w": dw}, level, gradients

    def params(self, in_shape):
        return {"w": (in_shape, ones)}

    def buffers(self, in_shape):
        return {"b": (in_shape, zeros)}

    def moved(self, name, array):
        return array - array.dtype.type(LARGE) if name in self.on else 0 * array

    def forward(self, x, *, train, rng=None):
        y = self.moved("x", x) + self.moved("w", self.w) + self.moved("b", self.b)
        return y + x.dtype.type(self.level + (self.off["y"] if single(x) else 0)), x.dtype

    def input_grad(self, dy, cache):
        return self.moved("dy", dy) + dy.dtype.type(self.gradients + self.off["x"] * single(dy))

    def param_grads(self, dy, cache, grads):
        grads["w"][...] = self.off["w"] * single(dy)


def trial(layer, dtype=np.float32, width=WIDE):
    """A trial where all numbers are LARGE."""
    net = nn.Sequential([layer], (width,), rng=np.random.default_rng(0), dtype=dtype)
    net.params[...] = net.buffers[...] = LARGE
    found = Trial(net, np.full((1, width), LARGE, dtype), train=False)
    found.dy = np.full((1, width), LARGE, dtype)
    return found


def wrong(*on, **off):
    return disagreeing(trial(Off(*on, **off)))


def test_a_result_may_be_off_by_a_share_of_its_largest_entry():
    assert SINGLE == 2e-5
    for level in (1.0, -8.0, 2.0**-10):
        for share, names in ((1.9e-5, []), (-1.9e-5, []), (2.1e-5, ["y"]), (-2.1e-5, ["y"])):
            assert wrong(level=level, y=share * level) == names
        assert wrong(level=level) == []
    assert wrong() == []
    assert wrong(y=1e-6) == ["y"]
    assert wrong(level=1.0, y=-2.0) == ["y"]


def test_a_gradient_may_be_off_by_a_share_of_the_largest_of_all_gradients():
    for largest in (1.0, 2.0**-10):
        for share, right in ((1.9e-5, True), (2.1e-5, False)):
            for name in ("x", "w"):
                off = {f"d{name}": share * largest}
                assert wrong(gradients=largest, **off) == ([] if right else [f"gradient of {name}"])
                assert wrong(gradients=largest, level=100.0, **off) == ([] if right else [f"gradient of {name}"])
    assert wrong(gradients=100.0, level=1.0, y=2.1e-5) == ["y"]
    assert wrong(dx=1e-9, dw=1e-9) == ["gradient of x", "gradient of w"]


@pytest.mark.parametrize("name", ["x", "w", "b"])
def test_an_output_may_be_off_by_a_hundred_times_what_the_rounding_of_its_inputs_moves_it_by(name):
    assert NUDGED == 100
    for times, right in ((0, True), (0.996 * 100, True), (1.003 * 100, False)):
        for sign in (1, -1):
            assert wrong(name, y=sign * times * ROUNDED) == ([] if right else ["y"])
            assert wrong(name, dx=sign * 1e-3 * times * ROUNDED) == (["gradient of x"] if times else [])


def test_a_gradient_may_be_off_by_a_hundred_times_what_the_rounding_of_dy_moves_it_by():
    assert wrong("dy", dx=99.6 * ROUNDED) == []
    assert wrong("dy", dx=100.3 * ROUNDED) == ["gradient of x"]
    assert wrong("dy", y=1e-6) == ["y"]


def test_numbers_are_nudged_each_by_its_own_rounding():
    """A difference of two that are equal moves, too."""

    class Difference(nn.Layer):
        def forward(self, x, *, train, rng=None):
            return x - x[:, ::-1] + x.dtype.type(50 * ROUNDED * single(x)), x

        def input_grad(self, dy, cache):
            return dy - dy[:, ::-1]

    assert disagreeing(trial(Difference())) == []


def test_what_has_no_number_in_float64_is_not_compared():
    class Without(Off):
        def forward(self, x, *, train, rng=None):
            y, cache = super().forward(x, train=train)
            y[:, 0] = np.nan if not single(x) else 3
            return y, cache

    assert disagreeing(trial(Without(level=1.0))) == []
    assert disagreeing(trial(Without(level=1.0, y=0.1))) == ["y"]


def test_what_has_no_number_in_float32_alone_is_wrong():
    assert wrong(level=1.0, y=np.nan) == ["y"]


@pytest.mark.parametrize("draws", [True, False])
@pytest.mark.parametrize("cache", ["same", "other"])
def test_a_layer_that_draws_otherwise_for_another_dtype_is_not_compared(draws, cache):
    class Draws(Off):
        passes = 0

        def forward(self, x, *, train, rng=None):
            noise = rng.normal(x.shape).astype(x.dtype) if draws else 0 * x
            type(self).passes += 1
            return noise * (1 + single(x)) + single(x), cache if cache == "same" else self.passes

    assert disagreeing(trial(Draws(dx=0.1))) == ([] if draws else ["y", "gradient of x"])
    right = Draws(dx=0.1)
    right.forward = lambda x, *, train, rng=None: (rng.normal(x.shape).astype(x.dtype), None)
    assert disagreeing(trial(right)) == ["gradient of x"]  # the output is as it should be: it is not the draws


def test_the_arrays_of_two_results_are_paired_by_name():
    a, b = (Results(np.array(i), np.array(i + 2), {"w": np.array(i + 4)}) for i in range(2))
    assert paired(a, b) == [("y", 0, 1), ("gradient of x", 2, 3), ("gradient of w", 4, 5)]


# The rule ------------------------------------------------------------------------------------------------------------


def said(layer, x=None):
    double = trial(layer, np.float64, 6)
    double.x = double.x if x is None else x
    return single_precision(double)


def test_what_is_off_is_named():
    assert said(Off(level=1.0)) == []
    assert said(Off(level=1.0, y=0.1)) == ["float32 gives another y than float64, by more than rounding explains"]
    assert said(Off(level=1.0, y=0.1, dw=0.1)) == [
        "float32 gives another y, another gradient of w than float64, by more than rounding explains"
    ]


class Turned(Off):
    """Off in float32, but for some inputs."""

    def forward(self, x, *, train, rng=None):
        y, cache = super().forward(x, train=train)
        return y + x.dtype.type(single(x) and not self.right(x)), cache


def test_what_is_off_at_one_point_alone_is_no_mistake():
    here, there = Turned(), Turned()
    here.right = lambda x: (x == LARGE).all()
    there.right = lambda x: not (x == LARGE).all()
    assert said(here) == said(there) == []
    nowhere = Turned()
    nowhere.right = lambda x: False
    assert said(nowhere)


def test_the_form_in_float32_is_told_first_and_a_pass_that_fails():
    class Double(Off):
        def forward(self, x, *, train, rng=None):
            return 2.0 * x.astype(np.float64), None

    (problem,) = said(Double(dx=0.1))
    assert problem.startswith("float64 out of a float32 network: y is float64")

    class Refuses(Off):
        def forward(self, x, *, train, rng=None):
            if single(x):
                raise TypeError("float64 only")
            return x, None

    assert said(Refuses()) == ["in float32 a pass fails (TypeError: float64 only)"]
