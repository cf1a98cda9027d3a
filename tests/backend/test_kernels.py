"""The text of a kernel, which needs no GPU to be looked at; tests/gpu runs kernels against NumPy."""

from __future__ import annotations

import numpy as np
import standin

from minigan.backend import Array, Column, Elementwise, Sum, Vector, to_device, to_numpy
from minigan.backend.kernels import kernel_text
from minigan.nn.activations import leaky_relu

OUTSIDE = 2.0


def test_the_formulas_lines_are_the_kernels_after_each_of_its_names_is_a_number_of_type_t():
    lines = "T x_ = a0;", "T slope_ = a1;", "y0 = T(larger(x_, slope_ * x_));"
    assert kernel_text(leaky_relu) == ("A a0, T a1", "T y0", "\n".join(lines), (0,))


def test_a_new_name_is_declared_once_and_constants_and_comparisons_are_of_type_t():
    @Elementwise
    def work(x: Array, b: Vector, c: Column) -> Array:
        new = x * 0.5
        new += (x > b) * c
        x = new - 1
        return new / x

    text = kernel_text(work)
    assert text is not None
    assert text.arguments == "A a0, B a1, C a2"
    assert text.operation.splitlines()[3:] == [
        "T new_ = x_ * T(0.5);",
        "new_ += T(x_ > b_) * c_;",
        "x_ = new_ - T(1);",
        "y0 = new_ / x_;",
    ]


def test_what_is_summed_is_made_but_where_it_is_a_result_or_an_argument_as_it_came():
    @Elementwise
    def work(x: Array, y: Array, z: Array, b: Vector) -> tuple[Sum, Array, Sum, Sum, Sum, Array, Sum]:
        d = x * y
        z = z + 1
        return d * d, d, d, x, z, d, b

    text = kernel_text(work)
    assert text is not None
    assert text.places == (2, 0, 0, ~0, 3, 1, 4)
    assert text.operation.splitlines()[-5:] == ["y0 = d_;", "y1 = d_;", "y2 = d_ * d_;", "y3 = z_;", "y4 = b_;"]


def test_what_no_kernel_does_has_no_text():
    factor = 3.0

    @Elementwise
    def function(xp, x: Array) -> Array:
        return xp.cumsum(x)

    @Elementwise
    def keyword(xp, x: Array) -> Array:
        return xp.sqrt(x, dtype="float64")

    @Elementwise
    def power(x: Array) -> Array:
        return x**2

    @Elementwise
    def in_place_power(x: Array) -> Array:
        x **= 2
        return x

    @Elementwise
    def method(x: Array) -> Array:
        return x.astype("float64")

    @Elementwise
    def outside(x: Array) -> Array:
        return x * OUTSIDE

    @Elementwise
    def enclosed(x: Array) -> Array:
        return x * factor

    @Elementwise
    def branch(x: Array) -> Array:
        if x.ndim == 2:
            return x
        return -x

    @Elementwise
    def chain(x: Array) -> Array:
        return 0 < x < 1

    @Elementwise
    def twice(x: Array) -> Array:
        y = z = x * 2
        return y + z

    @Elementwise
    def pair(x: Array) -> Array:
        y, z = x, x
        return y + z

    @Elementwise
    def inverted(x: Array) -> Array:
        return ~x

    @Elementwise
    def text(x: Array) -> Array:
        return x * "2"

    @Elementwise
    def only_a_sum(x: Array) -> Sum:
        return x

    space = {"Elementwise": Elementwise}
    exec("@Elementwise\ndef unseen(x: Array) -> Array:\n    return x", space)
    works = [function, keyword, power, in_place_power, method, outside, enclosed, branch, chain, twice, pair]
    works += [inverted, text, only_a_sum, space["unseen"]]
    assert [work.__name__ for work in works if kernel_text(work) is not None] == []


def test_a_librarys_own_way_is_asked_first_and_the_formula_runs_where_it_has_none(monkeypatch):
    def fuse(module, work, arguments, outs):
        assert module is standin.cupy
        return ["its own"] if outs is None else None

    standin.install(monkeypatch, standin.STANDIN._replace(fuse=fuse))
    x = to_device(np.array([-2.0, 3.0], np.float32), "gpu")
    out = to_device(np.zeros(2, np.float32), "gpu")
    assert leaky_relu(x, 0.5) == "its own"
    assert leaky_relu(x, 0.5, out=out) is out
    np.testing.assert_array_equal(to_numpy(out), [-1, 3])
