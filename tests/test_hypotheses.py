"""Each hypothesis about a wrong gradient, on numbers given by hand: every entry of its tables, and where it ends."""

import numpy as np
import pytest

from minigan.gradcheck.case import Case, different, moved
from minigan.gradcheck.causes import amount, counts, elementwise, order, place, point, scatter, term
from minigan.gradcheck.causes.through import Slices, missing_way, slices, spans, standing_still, unbalanced
from minigan.gradcheck.causes.upstream import (
    flows_backward,
    itself,
    parts,
    product,
    reordered,
    seen_at,
    summed,
    upstreams,
)
from minigan.gradcheck.causes.vector import axis_factor
from minigan.gradcheck.compare import Subject
from minigan.gradcheck.diagnosis import diagnose, likely, possibly, where, wrong_shape
from minigan.gradcheck.report import Row


def draw(*shape, seed=0):
    return np.random.default_rng([seed, 9]).standard_normal(shape)


def case(a, n, *, x=None, y=None, dy=1.0, bar=0.0, kink=False, scale=None, batched=("x",), how="entries", **subject):
    """The gradient `a` of an array x where `n` is right."""
    a, n = np.asarray(a, float), np.asarray(n, float)
    x = draw(*n.shape, seed=1) if x is None else np.asarray(x, float)
    arrays = {"x": x, **subject.pop("arrays", {})}
    zero = np.zeros(n.shape)
    kink = zero.astype(bool) | kink
    row = Row("x", x.shape, how, a, n, zero + bar, kink, n, n, float(abs(n).max()) if scale is None else scale)
    rows = [row, *subject.pop("rows", ())]
    no_pass = subject.pop("forward", None), subject.pop("backward", None)
    return Case(Subject(arrays, *no_pass, batched=batched, **subject), row, a, dy, x if y is None else y, rows)


# Factors ------------------------------------------------------------------------------------------------------------

LINE = case(draw(7, 11), draw(7, 11))

FORMULAS = {
    "a 2 of the formula": 2,
    "a 1/2 of the formula": 0.5,
    "a 3 of the formula": 3,
    "a 1/3 of the formula": 0.3333333333,
    "which is log 2": 0.6931471806,
    "which is 1/log 2": 1.4426950409,
    "which is log 10": 2.3025850930,
    "which is 1/log 10": 0.4342944819,
    "which is π": 3.1415926536,
    "which is 1/π": 0.3183098862,
    "which is 2π": 6.2831853072,
    "which is 1/2π": 0.1591549431,
    "which is π/180": 0.0174532925,
    "which is 180/π": 57.295779513,
    "which is √2": 1.4142135624,
    "which is 1/√2": 0.7071067812,
    "which is √π": 1.7724538509,
    "which is 2/√π": 1.1283791671,
    "which is √π/2": 0.8862269255,
    "which is √(2π)": 2.5066282746,
    "which is 1/√(2π)": 0.3989422804,
    "which is √(2/π)": 0.7978845608,
    "which is √(π/2)": 1.2533141373,
    "which is 255": 255,
    "which is 1/255": 0.0039215686,
    "which is 127.5": 127.5,
    "which is 1/127.5": 0.0078431373,
    "which is the size of the batch (the first axis), 7": 7,
    "which is 1/7": 1 / 7,
    "which is the size of the last axis of y, 11": 11,
    "which is the number of entries, 77": 77,
    "which is √7": 2.6457513111,
    "which is 1/√7": 0.3779644730,
    "which is 7/2": 3.5,
    "which is 2/7": 0.2857142857,
    "which is 2·7": 14,
    "which is 1/(2·7)": 0.0714285714,
    "which is 7/6": 1.1666666667,
    "which is 6/7": 0.8571428571,
    "which is 7²": 49,
    "which is 1/7²": 0.0204081633,
}


@pytest.mark.parametrize("text", FORMULAS)
def test_a_factor_that_formulas_are_full_of_is_told_and_its_neighbour_is_not(text):
    for sign in (1, -1):
        assert counts.meanings(sign * FORMULAS[text], LINE)[0].startswith(("which is", "which may be"))
        assert any(text in said for said in counts.meanings(sign * FORMULAS[text], LINE))
    for near in (1 + 5e-6, 1 - 5e-6):
        assert not counts.meanings(near * FORMULAS[text], LINE)


def test_a_number_without_a_meaning_has_none():
    for c in (0.0, 1.0, 1.37, 5.0, 13.0):
        assert not counts.meanings(c, LINE), c


def test_three_meanings_at_most_are_told():
    constants = {"drop": -3.0, "rate": 4.0, "other": 4.0}
    found = counts.meanings(4.0, case(draw(4, 4), draw(4, 4), constants=constants))
    assert [said.split(":")[0] for said in found] == [
        "which is the size of the batch (the first axis) or the size of the last axis of y, 4",
        "which is (1 - drop) with drop = -3",
        "which is rate with rate = 4",
    ]


def test_a_factor_may_be_the_upstream_a_number_or_what_comes_out():
    scalar = case(draw(3), draw(3), y=np.array(-1.9), dy=-1.3, arrays={"t": np.array([0.7]), "none": np.array(0.0)})
    for c, said in {
        1.3: "which is dy: dy is multiplied by twice",
        1 / 1.3: "which is 1/dy: dy is missing",
        0.7: "which is t: it is a factor too many",
        1 / 0.7: "which is 1/t: the factor t is missing",
        1.9: "which is y: it is a factor too many, or the division by it is missing",
        1 / 1.9: "which is 1/y: the factor y is missing, or the division by it is too many",
    }.items():
        assert counts.meanings(c, scalar) == [said]
    assert not counts.meanings(2.5, case(draw(3), draw(3), y=np.array(0.0), dy=1.0))
    one = case(draw(1), draw(1), x=np.array([0.7]), y=draw(5), dy=draw(5))
    assert not counts.meanings(0.7, one)  # the array itself is no factor


def test_a_factor_may_be_a_constant_of_the_layer():
    layer = case(draw(7, 11), draw(7, 11), constants={"drop": 0.3, "none": 0.0, "all": 1.0})
    for c, said in {
        0.7: "which is (1 - drop) with drop = 0.3: divide by it, or leave it out",
        1 / 0.7: "which is 1/(1 - drop) with drop = 0.3: multiply by (1 - drop), or leave it out",
        0.3: "which is drop with drop = 0.3: divide by it, or leave it out",
        1 / 0.3: "which is 1/drop with drop = 0.3: multiply by drop, or leave it out",
        0.09: "which is drop² with drop = 0.3: it is multiplied by twice",
        0.49: "which is (1 - drop)² with drop = 0.3: it is multiplied by twice",
        1 / 0.09: "which is 1/drop² with drop = 0.3: it is divided by twice",
        1 / 0.49: "which is 1/(1 - drop)² with drop = 0.3: it is divided by twice",
    }.items():
        for near in (1, 1 + 1e-5, 1 - 1e-5):
            assert counts.meanings(c * near, layer) == [said]
        for near in (1 + 5e-5, 1 - 5e-5):
            assert not counts.meanings(c * near, layer)
    assert not counts.meanings(1.0, layer)


def test_attention_is_scaled_by_the_root_of_a_square_size():
    wide = case(draw(7, 25), draw(7, 25))
    assert counts.meanings(5.0, wide) == ["which may be √25, with 25 the size of the last axis: as attention is scaled"]
    assert counts.meanings(0.2, wide) == [
        "which may be 1/√25, with 25 the size of the last axis: as attention is scaled"
    ]
    assert not any("may be" in said for said in counts.meanings(11**0.5, LINE))
    assert not counts.meanings(1.0, case(draw(7, 1), draw(7, 1)))


def test_the_sizes_of_an_image_are_named_by_what_they_count():
    image = case(draw(3, 5, 7, 2), draw(3, 5, 7, 2))
    assert counts.counts(image) == {
        210: "the number of entries",
        3: "the size of the batch (the first axis)",
        5: "the size of axis 1 of y",
        7: "the size of axis 2 of y",
        2: "the size of the last axis of y",
        35: "the size of axes 1, 2 of y together",
        105: "the size of axes 0, 1, 2 of y together",
        70: "the size of axes 1, 2, 3 of y together",
        14: "the size of axes 2, 3 of y together",
        15: "the size of axes 0, 1 of y together",
    }
    assert counts.counts(case(draw(3, 1, 5), draw(3, 1, 5))) == {
        15: "the number of entries",
        3: "the size of the batch (the first axis)",
        5: "the size of the last axis of y",
    }


def test_the_sizes_of_other_arrays_count_only_if_need_be():
    dense = case(draw(4, 6), draw(4, 6), y=draw(5, 6), batched=("z",), arrays={"z": draw(5, 4), "b": draw(6)})
    assert counts.counts(dense) == {
        30: "the number of entries",
        5: "the size of the batch (the first axis)",
        6: "the size of the last axis of y or the size of the last axis of x",
        24: "the number of entries of x",
        4: "the size of axis 0 of x",
        20: "the number of entries of z",
    }
    bias = case(draw(6), draw(6), y=draw(5, 6), batched=())
    assert counts.counts(bias) == {
        30: "the number of entries",
        5: "the size of axis 0 of y",
        6: "the size of the last axis of y",
    }


def test_a_window_and_an_enlargement_are_counted():
    pooled = case(draw(3, 12), draw(3, 12), y=draw(3, 4))
    assert counts.counts(pooled)[3].startswith("the number of entries of x to one of y or ")
    enlarged = case(draw(3, 4), draw(3, 4), y=draw(3, 20))
    assert counts.counts(enlarged)[5] == "the number of entries of y to one of x"
    for other in (case(draw(3, 4), draw(3, 4), y=draw(3, 5)), case(draw(3, 12), draw(3, 12), y=draw(3, 4), batched=())):
        assert not any("to one" in said for said in counts.counts(other).values())


@pytest.mark.parametrize(
    ("c", "said"),
    {
        -1: "the sign is wrong: every entry is the negative of what it should be",
        1.37: "a constant factor: every entry is 1.37 times what it should be",
        -1.37: "a constant factor: every entry is -1.37 times what it should be (and the sign is wrong)",
        -0.37: "a constant factor: every entry is -0.37 times what it should be (and the sign is wrong)",
        -7: "every entry is -7 times what it should be, which is the size of the batch (the first axis), 7: a mean is "
        "missing, or a sum is taken twice (and the sign is wrong)",
        2: "a constant factor: every entry is 2 times what it should be, which may be a 2 of the formula: the 1/2 of "
        "x²/2 is forgotten, or the same is added twice",
        1: "",
        1 + 1e-7: "",
    }.items(),
)
def test_one_factor_for_all_is_told_with_what_it_may_mean(c, said):
    n = draw(7, 11)
    assert amount.factor(case(c * n, n)) == said
    assert not amount.factor(case(np.where(n > n.min(), c * n, 2.2 * n.min()), n))


def test_a_single_number_is_told_as_a_factor_only_with_a_meaning():
    assert amount.factor(case([-0.5], [0.5], y=draw(4))) == "it is -0.5 where 0.5 is right: the sign is wrong"
    assert amount.factor(case([0.6], [0.5], y=draw(4, 3))) == ""
    assert amount.factor(case([-2.0], [0.5], y=draw(4, 3), batched=())) == (
        "it is -2 where 0.5 is right, and so -4 times as much (and the sign is wrong), which may be the size of axis 0 "
        "of y, 4: a mean is missing, or a sum is taken twice"
    )
    a, n = np.array([0.0, 2.0, 2.0]), np.array([0.0, 0.5, 0.5])
    assert amount.factor(case(a, n, y=draw(4, 3), batched=())).startswith(
        "every entry that is not zero is 2 where 0.5 is right, and so 4 times as much, which may be the size"
    )


def test_what_is_nearly_right_is_approximated():
    n = draw(5, 6)
    for c, way in ((1 + 4e-6, "+"), (1 - 4e-6, "-")):
        said = amount.approximated(case(c * n, n, scale=abs(n).max()))
        assert f"right to about 4e-06 of the largest entry: every entry is 1 {way} 4e-06 times" in said
    noise = draw(5, 6, seed=4)
    assert "of the largest entry (float32" in amount.approximated(case(n + 2e-6 * noise, n))
    assert not amount.approximated(case(n + 1e-4 * noise, n))
    assert not amount.approximated(case(n, n))
    assert ": every entry is 1" in amount.approximated(case((1 + 4e-6) * n + 1e-6 * noise, n, bar=5e-6))
    ones = np.ones((5, 6))
    assert ": every entry is 1" not in amount.approximated(case((1 + 4e-6) * ones, ones))
    assert "W" not in amount.approximated(case(n, n + 1e-6))


def test_numbers_of_fewer_digits_are_rounded():
    n = draw(5, 6)
    for kind in ("float16", "float32"):
        assert f"every entry is a number of {kind}" in amount.rounded(case(n.astype(kind), n))
    for decimals in range(1, 9):
        assert f"every entry has {decimals} decimals" in amount.rounded(case(np.round(n, decimals), n))
    assert not amount.rounded(case(np.round(n, 9), n))
    assert not amount.rounded(case(np.floor(100 * n) / 100, n))  # cut, not rounded
    for decimals in (2, 3):
        near = np.round(n, decimals)
        assert amount.rounded(case(near, near + 0.5 * 10.0**-decimals))
        assert not amount.rounded(case(near, near + 0.52 * 10.0**-decimals))
    for shares, said in ((8, "has 3 decimals"), (16, "is a number of float16")):
        near = np.round(shares * n) / shares
        assert said in amount.rounded(case(near, near + 1e-4))
    assert not amount.rounded(case(n, n))
    few = np.where(n > 0, 0.5, 0.25)
    assert not amount.rounded(case(few, n))
    assert "float16" in amount.approximated(case(n.astype("float16"), n))
    assert not amount.approximated(case(np.round(n, 1), n))  # 5 % are no rounding


FUNCTIONS = {
    "x": lambda v: v,
    "x²": lambda v: v**2,
    "|x|": abs,
    "(1 - x)": lambda v: 1 - v,
    "x·(1 - x)": lambda v: v - v**2,
    "(1 - x²)": lambda v: 1 - v**2,
    "(1 + x²)": lambda v: 1 + v**2,
    "(1 + x)": lambda v: 1 + v,
    "√x": lambda v: v**0.5,
    "e^x": np.exp,
    "σ(x)": lambda v: 1 / (1 + np.exp(-v)),
    "σ(-x)": lambda v: 1 / (1 + np.exp(v)),
    "σ(x)·(1 - σ(x))": lambda v: 1 / (np.exp(v / 2) + np.exp(-v / 2)) ** 2,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_factor_that_is_a_function_is_told_whether_too_many_or_missing(name):
    n, x = draw(5, 4), np.random.default_rng(3).uniform(0.1, 0.9, (5, 4))
    t = FUNCTIONS[name](x)
    if name != "|x|":  # which is x, where x is positive
        assert amount.functional(case(n * t, n, x=x, y=draw(5, 4))) == f"{name} is a factor too many"
        assert amount.functional(case(n / t, n, x=x, y=draw(5, 4))) == f"the factor {name} is missing"
        y_name = name.replace("x", "y")
        assert amount.functional(case(n * t, n, y=x)) == f"{y_name} is a factor too many"
    else:
        assert amount.functional(case(n * abs(draw(5, 4)), n, x=draw(5, 4))) == "|y| is a factor too many"


def test_a_function_for_a_factor_may_come_with_a_constant_or_a_sign():
    n, x = draw(5, 4), draw(5, 4, seed=3)
    assert amount.functional(case(-n * x, n, x=x, y=draw(3))) == "x is a factor too many (and a sign)"
    assert amount.functional(case(2.5 * n * x, n, x=x, y=draw(3))) == "x is a factor too many (and a constant of 2.5)"
    assert amount.functional(case(n * x, n, x=x, y=draw(3), how="directions")) == ""
    assert amount.functional(case(1e-4 * n * x, 1e-4 * n, x=x, y=draw(3))) == "x is a factor too many"
    other = {"g": draw(4, seed=5), "s": np.array(3.0), "odd": draw(3)}
    assert amount.functional(case(n * other["g"], n, arrays=other, y=draw(3))) == "g is a factor too many"
    dy = draw(5, 4, seed=6)
    assert amount.functional(case(n * dy, n, dy=dy, y=draw(3))) == "dy is a factor too many"
    assert amount.functional(case(2 * n, n, dy=np.full((5, 4), 2.0))) == ""  # one number is no function


def test_signs_cuts_and_levels():
    n = draw(6, 5)
    flip = np.arange(30).reshape(6, 5) % 7 == 3
    assert amount.signs(case(np.where(flip, -n, n), n)).startswith("the sign of 4 of 30 entries is wrong, the others")
    assert not amount.signs(case(np.where(flip, -1.1 * n, n), n))
    one = np.arange(30).reshape(6, 5) == 3
    assert not amount.signs(case(np.where(one, -n, n), n))
    low, high = -0.7, 0.6
    both = amount.cut(case(n.clip(low, high), n))
    assert both == "it is clipped: what should be below -0.7 and above 0.6 is cut off, and the rest is right"
    assert "be above 0.6 is cut" in amount.cut(case(n.clip(None, high), n))
    assert "be below -0.7 is cut" in amount.cut(case(n.clip(low), n))
    assert not amount.cut(case(n.clip(low, high) * 1.01, n))
    levels = amount.levels(case(np.where(flip, 2.5 * n, n), n))
    assert levels.startswith("4 of 30 entries are 2.5 times what they should be, the others are right")
    assert not amount.levels(case(np.where(flip, 0, n), n))
    assert not amount.levels(case(np.where(flip, draw(6, 5, seed=8), n), n))
    two = np.isin(np.arange(30).reshape(6, 5), (3, 4))
    assert not amount.levels(case(np.where(two, 2 * n, n), n))
    assert not amount.levels(case(np.where(two, n, 2 * n), n))
    three = np.isin(np.arange(30).reshape(6, 5), (3, 4, 11))
    assert amount.levels(case(np.where(three, 2 * n, n), n))
    assert amount.levels(case(np.where(three, n, 2 * n), n))
    negative = np.where(n < 0, 3 * n, n)
    assert amount.levels(case(negative, n, x=n)).endswith("; all of them lie where x < 0")
    assert amount.signs(case(abs(n), n, x=n)).endswith("; all of them lie where x < 0")


# Elementwise --------------------------------------------------------------------------------------------------------


def test_a_mask_that_is_missing_may_come_with_a_factor():
    g, kept = draw(5, 4), np.arange(20).reshape(5, 4) % 3 > 0
    said = "where it should be zero it is not: the mask (of dropout, a clip, a ReLU, an index) is missing"
    assert elementwise.mask(case(g, g * kept)) == said
    assert elementwise.mask(case(g, 2 * g * kept)) == f"{said}, and so is a factor of 2"
    assert elementwise.mask(case(1e-4 * g, 2e-4 * g * kept)) == f"{said}, and so is a factor of 2"
    assert not elementwise.mask(case(np.where(kept, g * g, g), g * kept))
    assert not elementwise.mask(case(np.where(kept, 0 * g, g), g * kept))
    assert not elementwise.mask(case(np.where(kept, 1, g), np.where(kept, 1, 0)))  # a single number
    one = np.arange(20).reshape(5, 4) != 3
    assert not elementwise.mask(case(g, g * one))
    two = ~np.isin(np.arange(20).reshape(5, 4), (3, 9))
    assert elementwise.mask(case(g, g * two)) == said
    silent = np.arange(20).reshape(5, 4) >= 10
    for heard, missing in ((15, False), (14, True)):  # of ten entries that should be zero, five or six are not
        a = np.where(silent & (np.arange(20).reshape(5, 4) < heard), 0, g)
        assert bool(elementwise.mask(case(a, np.where(silent, 0, g)))) == missing
    assert not elementwise.mask(case(g * kept, g * kept))
    few = np.arange(20).reshape(5, 4) < 2
    assert not elementwise.mask(case(g, g * few))
    assert elementwise.mask(case(g, g * (np.arange(20).reshape(5, 4) < 3))) == said


def test_a_derivative_that_is_wrong_on_one_side_is_told_with_both_values():
    x, dy = draw(5, 4), draw(5, 4, seed=1)
    for name, there in (("x < 0", x < 0), ("x > 0", x > 0)):
        said = elementwise.side(case(np.where(there, 0.5 * dy, dy), dy, x=x, dy=dy))
        assert said == f"the derivative is wrong where {name}, and only there: 0.5, for one, where it is 1"
    assert not elementwise.side(case(0.5 * dy, dy, x=x, dy=dy))
    assert not elementwise.side(case(0.5 * dy, dy, x=abs(x), dy=dy))
    part = elementwise.side(case(np.where(abs(x) > 1, 0.5 * dy, dy), dy, x=x, dy=dy))
    assert part.startswith("the derivative is wrong in 5 of 20 entries; all of them lie where |x| is above ")
    assert not elementwise.side(case(np.where(abs(x) < 1, 0.5 * dy, dy), dy, x=x, dy=dy))


def own_derivative(x, f, wrong, right, dy=None, spread=0.0, **options):
    """y = f(x), entry by entry, with the gradient dy·wrong where dy·right is right."""
    dy = draw(*x.shape, seed=1) if dy is None else dy

    def backward(dy, cache):
        return {"x": dy * wrong + spread * dy.sum()}

    def forward():
        return f(x), "a cache"

    a = backward(dy, None)["x"]
    return case(a, dy * right, x=x, y=f(x), dy=dy, forward=forward, backward=backward, **options)


def test_a_wrong_derivative_of_an_elementwise_function_is_told():
    x = draw(5, 4)
    said = (
        "each entry is dy times a wrong derivative: taken at the wrong point (x for y, y for x), or another function's"
    )
    f, right = np.tanh, 1 - np.tanh(x) ** 2
    assert elementwise.derivative(own_derivative(x, f, np.exp(x), right)) == said
    assert not elementwise.derivative(own_derivative(x, f, np.exp(x), right, spread=0.01))
    assert not elementwise.derivative(own_derivative(draw(2), f, np.exp(draw(2)), 1 - np.tanh(draw(2)) ** 2))
    other = np.arange(20).reshape(5, 4) % 2 == 0
    assert not elementwise.derivative(own_derivative(x, f, np.where(other, np.exp(x), right), right))

    def part(x):
        return np.tanh(x) * other

    assert elementwise.derivative(own_derivative(x, part, np.exp(x) * other, right * other)) == said
    along = own_derivative(x, lambda x: x.sum(1, keepdims=True) + 0 * x, np.exp(x), np.ones((5, 4)))
    assert not elementwise.derivative(along)  # y is not of its own x alone


def test_a_formula_in_y_that_was_given_x_is_told_where_y_can_be_x():
    x = np.array([0.1, -0.3, 0.5, -0.7, 0.8, 0.2, 1.5])
    said = "the derivative is taken at the wrong point: a formula in the output y was given the input x"
    wrong, right = 1 - x**2, 1 - np.tanh(x) ** 2
    assert elementwise.inverse_point(own_derivative(x, np.tanh, wrong, right)) == said
    assert elementwise.derivative(own_derivative(x, np.tanh, wrong, right)) == said
    assert not elementwise.inverse_point(own_derivative(x, np.tanh, wrong * (1 + 0.01 * (x > 0)), right))
    assert not elementwise.inverse_point(own_derivative(x, lambda x: 2 * x, 2 + 0 * x, 1 + 0 * x))
    assert not elementwise.inverse_point(own_derivative(x[:2], np.tanh, wrong[:2], right[:2]))
    assert elementwise.inverse_point(own_derivative(x[:3], np.tanh, wrong[:3], right[:3])) == said


def test_a_side_is_told_of_two_entries_and_without_zero():
    x, dy = np.array([-1.0, 2.0, 0.0, 3.0, 0.5, -2.0]), draw(6, seed=1)
    said = elementwise.side(case(np.where(x > 0, 0.5 * dy, dy), dy, x=x, dy=dy))
    assert said.startswith("the derivative is wrong where x > 0, and only there")
    one = np.array([-1.0, 2.0, 1.0, 3.0, 0.5, 2.0])
    assert not elementwise.side(case(np.where(one < 0, 0.5 * dy, dy), dy, x=one, dy=dy))


# Right numbers in the wrong places ----------------------------------------------------------------------------------


def told(hypothesis, change, *shape, **options):
    n = draw(*shape)
    return hypothesis(case(change(n), n, **options))


def test_axes_in_another_order():
    def swapped(n):
        return n.transpose(0, 2, 1, 3)

    assert told(order.transposed, np.transpose, 4, 4) == ("it is transposed: right numbers, rows and columns swapped")
    wide = "right numbers in the wrong order: a reshape where a transposition belongs"
    assert told(order.transposed, lambda n: n.T.reshape(3, 5), 3, 5) == wide
    assert told(order.transposed, lambda n: n.reshape(5, 3).T, 3, 5) == wide
    assert told(order.transposed, swapped, 3, 4, 4, 2) == (
        "right numbers in the wrong order: axes (0, 1, 2, 3) were taken for (0, 2, 1, 3)"
    )
    assert told(order.transposed, lambda n: n.transpose(1, 0, 2), 3, 3, 4, batched=()).endswith("for (1, 0, 2)")
    assert not told(order.transposed, lambda n: n.transpose(1, 0, 2), 3, 3, 4)  # the batch is never another axis
    assert not told(order.transposed, lambda n: n, 4, 4)
    assert not told(order.transposed, lambda n: n[::-1], 4, 4)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ([1, 0], "the two entries along axis 0 are exchanged"),
        ([5, 4, 3, 2, 1, 0], "right numbers in reverse order along axis 0"),
        ([0, 4, 2, 3, 1, 5], "1 and 4 along axis 0 are exchanged, and only they"),
        ([3, 4, 5, 0, 1, 2], "the two halves along axis 0 are exchanged (of a concatenation"),
        ([5, 0, 1, 2, 3, 4], "a shifted index: right numbers, 1 too far on along axis 0"),
        ([1, 2, 3, 4, 5, 0], "a shifted index: right numbers, 1 too far back along axis 0"),
        ([4, 5, 0, 1, 2, 3], "a shifted index: right numbers, 2 too far on along axis 0"),
        ([2, 3, 4, 5, 0, 1], "a shifted index: right numbers, 2 too far back along axis 0"),
        ([2, 3, 4, 0, 1], "a shifted index: right numbers, 2 too far back along axis 0"),
        ([3, 4, 0, 1, 2], "a shifted index: right numbers, 2 too far on along axis 0"),
        ([0, 3, 1, 4, 2, 5], "along axis 0, what belongs to (3, 2) is taken for (2, 3): groups and their members"),
        ([0, 2, 4, 1, 3, 5], "along axis 0, what belongs to (2, 3) is taken for (3, 2): groups and their members"),
        ([0, 1, 4, 5, 2, 3], "the 3 blocks along axis 0 are in the order 0, 2, 1 (gates, groups, heads)"),
        ([2, 3, 0, 1, 4, 5], "the 3 blocks along axis 0 are in the order 1, 0, 2 (gates, groups, heads)"),
        ([4, 2, 0, 1, 3], "right numbers in another order along axis 0: 4, 2, 0, 1, 3"),
        ([4, 2, 0, 1, 3, 8, 7, 6, 5, 9], "right numbers in another order along axis 0: 4, 2, 0, 1, 3, 8, 7, 6, …"),
        ([2, 1, 0, 4, 3, 7, 6, 5], "right numbers in another order along axis 0: 2, 1, 0, 4, 3, 7, 6, 5"),
        ([2, 2, 2, 2], "all along axis 0 stands what belongs to index 2 alone"),
        ([0, 2, 2, 2], "a wrong index along axis 0: at 1 stands what belongs to 2, 3 stands what belongs to 2"),
        (
            [1, 2, 3, 4, 4],
            "a wrong index along axis 0: at 0 stands what belongs to 1, 1 stands what belongs to 2, 2 stands what "
            "belongs to 3, …",
        ),
        ([1, 2, 3, 3], "a wrong index along axis 0: at 0 stands what belongs to 1, 1 stands what belongs to 2, 2"),
        ([0, 1, 2, 2], ""),
        ([0, 1, 2, 3], ""),
    ],
)
def test_the_order_of_the_slices_along_an_axis_is_named(source, said):
    found = told(order.permuted, lambda n: n[source], len(source), 3)
    assert found.startswith(said), found
    assert bool(found) == bool(said), found
    assert found.endswith("…") == said.endswith("…")
    along = said.replace("axis 0", "axis 1").replace("two entries", "two halves")
    assert told(order.permuted, lambda n: n[:, source], 3, len(source)).startswith(along)


def test_an_order_is_named_only_if_enough_numbers_show_it():
    n = np.array([1.0, 1.0, 2.0, 2.0, 1.0])
    assert not order.permuted(case(n[::-1], n))
    assert not told(order.permuted, lambda n: n[::-1] * 1.01, 5, 2)
    zeros = draw(6, 3) * (np.arange(6) < 4)[:, None]
    assert order.permuted(case(np.roll(zeros, 1, 0), zeros)) == (
        "a shifted index: right numbers, 1 too far on along axis 0"
    )
    unknown = case(draw(4, 3)[::-1], draw(4, 3), kink=(np.arange(12) == 5).reshape(4, 3))
    assert order.permuted(unknown) == "right numbers in reverse order along axis 0"


def test_a_gradient_that_is_turned():
    assert told(order.turned, lambda n: n[::-1, ::-1], 4, 5).startswith(
        "it is turned by 180°: reversed along axes 0, 1"
    )
    assert told(order.turned, lambda n: n[:, ::-1, ::-1], 2, 3, 4).startswith(
        "it is turned by 180°: reversed along axes 1, 2 "
    )
    assert "axes 0, 1, 2 " in told(order.turned, lambda n: n[::-1, ::-1, ::-1], 2, 3, 4)
    assert not told(order.turned, lambda n: n[::-1], 4, 5)
    assert not told(order.turned, lambda n: n[:, ::-1], 4, 5)
    assert not told(order.turned, lambda n: n[:, ::-1], 1, 5)
    assert not told(order.turned, lambda n: n[::-1, ::-1, ::-1, ::-1, ::-1], 2, 2, 2, 2, 3)


def test_a_gradient_that_is_shifted_without_its_edge():
    for by in (1, -1, 2, -2, 3, -3):
        for axis in (0, 1):
            edge = np.arange(6) < by if by > 0 else np.arange(6) >= 6 + by
            lost = edge[:, None] if axis == 0 else edge

            def moved_on(n, by=by, axis=axis, lost=lost):
                return np.where(lost, 0.123, np.roll(n, by, axis))

            way = "on" if by > 0 else "back"
            assert told(order.shifted, moved_on, 6, 6) == (
                f"a shifted index: right numbers, {abs(by)} too far {way} along axis {axis}"
            )
    both = told(order.shifted, lambda n: np.roll(n, (1, 1), (0, 1)), 5, 5)
    assert both.endswith("1 too far on along axis 0 and 1 too far on along axis 1, as by another padding")
    assert not told(order.shifted, lambda n: np.roll(n, 4, 0), 9, 2)
    assert not told(order.shifted, lambda n: np.roll(n, 1, 0), 2)


def test_displacements_leave_two_slices_in_place():
    assert list(order.displacements((3, 4))) == [
        ((0, 1),),
        ((0, -1),),
        ((1, 1),),
        ((1, -1),),
        ((1, 2),),
        ((1, -2),),
        ((0, 1), (1, 1)),
        ((0, 1), (1, -1)),
        ((0, -1), (1, 1)),
        ((0, -1), (1, -1)),
    ]


def test_the_same_numbers_in_no_order_at_all():
    n = draw(4, 5)
    mixed = np.random.default_rng(2).permutation(n.ravel()).reshape(4, 5)
    assert order.mixed(case(mixed, n)).startswith("right numbers in the wrong places")
    assert order.mixed(case(mixed + 8e-6, n, bar=1e-6))
    assert not order.mixed(case(mixed + 2e-5, n, bar=1e-6))
    assert not order.mixed(case(mixed * (1 + 1e-4 * (n > 0)), n))
    assert not order.mixed(case(mixed, n, kink=n == n.max()))
    five, six = np.arange(20) < 5, np.arange(20) < 6
    for some, enough in ((five, False), (six, True)):
        a = n.ravel().copy()
        a[some] = np.roll(a[some], 1)
        assert bool(order.mixed(case(a.reshape(4, 5), n))) == enough


# Places -------------------------------------------------------------------------------------------------------------


def off_at(wrong, **options):
    n = draw(*np.shape(wrong))
    return case(np.where(wrong, n + 0.1 + draw(*np.shape(wrong), seed=2) ** 2, n), n, **options)


ROW, COLUMN = np.indices((6, 6))
PATTERNS = {
    "all of them lie at the edge, along axes 0, 1": (ROW % 5 == 0) | (COLUMN % 5 == 0),
    "all of them lie on the diagonal": ROW == COLUMN,
    "all of them lie off the diagonal": ROW != COLUMN,
    "all of them lie above the diagonal": ROW < COLUMN,
    "all of them lie below the diagonal": ROW > COLUMN,
    "all of them lie on the diagonal or above it": ROW <= COLUMN,
    "all of them lie on the diagonal or below it": ROW >= COLUMN,
    "all of them lie on every other field, as of a chessboard": (ROW + COLUMN) % 2 == 1,
    "all of them lie on every other field, as of a chessboard, too": (ROW + COLUMN) % 2 == 0,
    "all of them lie at index 0 to 2 of axis 0": ROW < 3,
    "all of them lie at index 1 to 5, every 2nd of axis 1": COLUMN % 2 == 1,
    "all of them lie at index 2, 3 of axis 0 and 1, 4 of axis 1": np.isin(ROW, (2, 3)) & np.isin(COLUMN, (1, 4)),
}


@pytest.mark.parametrize("said", PATTERNS)
def test_a_pattern_of_the_wrong_entries_is_told(said):
    wrong = PATTERNS[said]
    said = said.removesuffix(", too")
    assert place.pattern(off_at(wrong)) == said
    if "index" not in said:  # there, the hull of fewer is the same
        assert place.pattern(off_at(wrong ^ ((ROW == 2) & (COLUMN == 3)))) != said


def test_a_pattern_of_signs_and_thresholds_is_told():
    x, y, dy, z = (draw(6, 6, seed=k) for k in (21, 22, 23, 24))
    for name, v in {"x": x, "y": y, "dy": dy, "z": z}.items():
        for said, wrong in {
            f"where {name} < 0": v < 0,
            f"where {name} > 0": v > 0,
            f"where {name} is above ": v > 0.5,
            f"where {name} is below ": v < -0.5,
            f"where |{name}| is above ": abs(v) > 0.8,
            f"where |{name}| is below ": abs(v) < 0.8,
            f"where {name} is between ": (v > 0.1) & (v < 0.9),
        }.items():
            found = place.pattern(off_at(wrong, x=x, y=y, dy=dy, arrays={"z": z}))
            assert found.startswith(f"all of them lie {said}"), found
    row = np.arange(36).reshape(6, 6) / 36
    assert place.pattern(off_at(np.isin(row, row[ROW + COLUMN == 3]), x=row)) == ""
    assert place.pattern(off_at(x > np.sort(x, axis=None)[-4], x=x)).startswith(("", "all of them lie at index"))
    half = place.pattern(off_at(row > 0.6, x=row))
    assert half.endswith("is above 0.597 or so")


def test_there_is_no_pattern_in_too_few_or_too_many():
    assert not place.pattern(off_at(ROW + COLUMN == 0))
    assert not place.pattern(off_at(ROW + COLUMN > 0))
    assert not place.pattern(off_at((ROW == COLUMN) & (ROW < 2)))
    assert (
        place.pattern(off_at((ROW == 2) & (COLUMN < 3))) == "all of them lie at index 2 of axis 0 and 0 to 2 of axis 1"
    )
    assert place.pattern(off_at(np.eye(2) > 0)) == "all of them lie on the diagonal"
    assert "diagonal" not in place.pattern(off_at((ROW == COLUMN)[:4]))
    i, k = np.indices((3, 4, 4, 3))[1:3]
    assert place.pattern(off_at((i % 3 == 0) | (k % 3 == 0))) == "all of them lie at the edge, along axes 1, 2"
    i, k = np.indices((3, 3, 3, 4, 4))[3:]
    edge = (i % 3 == 0) | (k % 3 == 0)
    assert place.pattern(off_at(edge)) == "all of them lie at the edge, along axes 3, 4"


def test_a_threshold_is_told_of_four_entries_with_two_beyond_them():
    x = np.random.default_rng(8).permutation(np.arange(20.0)).reshape(4, 5) / 10
    for count, said in ((4, "all of them lie where x is above 1.55 or so"), (3, "")):
        assert place.pattern(off_at(x > np.sort(x, axis=None)[-count - 1], x=x)) == said
    between = "all of them lie where x is between 0.15 and 0.95 or so"
    assert place.pattern(off_at((x > 0.15) & (x < 0.95), x=x)) == between
    assert place.pattern(off_at((x > 0.05) & (x < 0.95), x=x)) == ""
    x = np.maximum(x - 0.8, 0)
    assert place.pattern(off_at(x > 0, x=x)) == "all of them lie where x > 0"


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ([2], "2"),
        ([0, 1], "0, 1"),
        ([0, 3], "0, 3"),
        ([0, 1, 2, 3], "0 to 3"),
        ([1, 3, 5], "1 to 5, every 2nd"),
        ([1, 4, 7], "1 to 7, every 3rd"),
        ([0, 4, 8], "0 to 8, every 4th"),
        ([0, 3, 4], "0, 3, 4"),
        ([0, 3, 4, 7], ""),
    ],
)
def test_indices_are_told_in_few_characters(at, said):
    assert place.listed(np.array(at)) == said


def test_one_entry_or_two_alone():
    n = draw(3, 4)
    one = n.copy()
    one[1, 2] = 0.25
    assert place.alone(case(one, n)) == f"one entry alone is wrong, at [1, 2]: 0.25 where {n[1, 2]:.7g} is right"
    two = n.copy()
    two[0, 1], two[2, 3] = n[2, 3], n[0, 1]
    assert place.alone(case(two, n)) == "two entries alone are wrong: [0, 1] and [2, 3] have each other's value"
    two[0, 1] += 1
    assert not place.alone(case(two, n))
    assert not place.alone(case(n + 1, n))
    assert place.alone(case([1.0, 2.0], [1.0, 3.0])) == "one entry alone is wrong, at [1]: 2 where 3 is right"
    assert not place.alone(case([1.0], [2.0]))
    assert not place.alone(case([1.0, 2.0], [2.0, 1.0]))
    assert place.alone(case([1.0, 2.0, 3.0], [1.0, 3.0, 2.0]))


def test_what_the_wrong_entries_share_as_numbers():
    n, some = draw(4, 5), ROW[:4, :5] == 1
    assert place.seen(case(np.where(some, 0, n), n)) == ", and are zero there"
    assert place.seen(case(n, np.where(some, 0, n))) == ", where they should be zero"
    assert place.seen(case(np.where(some, -n, n), n)) == ", and have the wrong sign"
    assert place.seen(case(np.where(some, 2.5 * n, n), n)) == ", and are 2.5 times what they should be"
    assert place.seen(off_at(some)) == ""
    two = some & (COLUMN[:4, :5] < 2)
    assert place.seen(case(np.where(two, 0, n), n)) == ", and are zero there"
    assert place.seen(case(n, np.where(two, 0, n))) == ", where they should be zero"
    assert place.seen(case(np.where(two, -n, n), n)) == ", and have the wrong sign"
    one = some & (COLUMN[:4, :5] == 2)
    for a, right in ((np.where(one, 0, n), n), (n, np.where(one, 0, n)), (np.where(one, -n, n), n)):
        assert place.seen(case(a, right)) == ""
    equal = np.where(some, 1.0, n)
    assert place.seen(case(np.where(some, 2.0, n), equal)) == ""


def test_all_wrong_entries_in_one_slice():
    n = draw(4, 5)
    assert place.in_one_slice(off_at(ROW[:4, :5] == 0)) == "all wrong entries lie at index 0 of axis 0, the first"
    assert place.in_one_slice(off_at(ROW[:2, :3] == 0)) == "all wrong entries lie at index 0 of axis 0, the first"
    assert place.in_one_slice(off_at(COLUMN[:4, :5] == 2)) == "all wrong entries lie at index 2 of axis 1"
    assert place.in_one_slice(off_at(COLUMN[:4, :5] == 4)) == "all wrong entries lie at index 4 of axis 1, the last"
    lost = place.in_one_slice(case(np.where(COLUMN[:4, :5] == 4, 0, n), n))
    assert lost.endswith("the last, and are zero there: a loop or a slice ends one too early")
    assert not place.in_one_slice(off_at(COLUMN[:4, :5] < 2))
    assert not place.in_one_slice(off_at(np.ones((1, 3), bool)))


def test_entries_at_kinks_are_told_with_the_nearest_bound():
    n = draw(3, 4)
    kink = COLUMN[:3, :4] == 1
    a = np.where(kink, n + ROW[:3, :4] + 1, n)
    said = place.at_kinks(case(a, n, kink=kink))
    assert said.startswith("right but at kinks: the 3 wrong entries lie where y has a corner")
    assert f"(at [2, 1]: {a[2, 1]:.6g}, where anything from {n[2, 1]:.6g} to {n[2, 1]:.6g} would do)" in said
    one = kink & (ROW[:3, :4] == 0)
    assert "the wrong entry lies where" in place.at_kinks(case(np.where(one, n + 1, n), n, kink=kink))
    assert not place.at_kinks(case(a + 1, n, kink=kink))
    assert not place.at_kinks(case(n, n, kink=kink))


# Another point, another upstream ------------------------------------------------------------------------------------


def equal(found, expected):
    return {k: np.shape(v) == np.shape(expected.get(k)) and np.array_equal(v, expected[k]) for k, v in found.items()}


def test_the_points_at_which_a_derivative_may_have_been_taken():
    W, g, x, y = draw(3, 3), draw(3, seed=1), draw(4, 3, seed=2), draw(4, 3, seed=3)
    found = {said: value for said, _, value in point.points(case(x, x, x=x, y=y, arrays={"W": W, "g": g}))}
    expected = {
        "W is not transposed where W.T belongs, or the other way round": W.T,
        "the derivative is taken at the wrong point: at the output y, where the input x belongs": y,
        "W is left out of the derivative: as if it were 0": 0 * W,
        "W is left out of the derivative: as if it were 1": W**0,
        "the sign of W is wrong in the derivative": -W,
        "W² stands where W belongs": W**2,
        "|W| stands where W belongs": abs(W),
        "1/W stands where W belongs": 1 / W,
        "the last index of W's axis 0 is left out: a loop or a slice is one too short": W * [[1], [1], [0]],
        "the first index of W's axis 0 is left out: a loop or a slice is one too short": W * [[0], [1], [1]],
        "the last index of W's axis 1 is left out: a loop or a slice is one too short": W * [1, 1, 0],
        "the first index of W's axis 1 is left out: a loop or a slice is one too short": W * [0, 1, 1],
        f"W is turned by 180° along axes 0, 1: {point.TURNS}": W[::-1, ::-1],
        "W is taken in reverse order along axis 0": W[::-1],
        "W is taken in reverse order along axis 1": W[:, ::-1],
        "W is taken from an index too low by one, along axis 0": np.roll(W, 1, 0) * [[0], [1], [1]],
        "W is taken from an index too high by one, along axis 0": np.roll(W, -1, 0) * [[1], [1], [0]],
        "W is taken from an index too low by one, along axis 1": np.roll(W, 1, 1) * [0, 1, 1],
        "W is taken from an index too high by one, along axis 1": np.roll(W, -1, 1) * [1, 1, 0],
    }
    found = {said: value for said, value in found.items() if "W" in said or "the output" in said}
    assert found.keys() == expected.keys()
    assert np.all([np.allclose(found[said], expected[said]) for said in found])


def test_points_of_other_shapes():
    def said(v, **options):
        return {text: value for text, _, value in point.points(case(v, v, x=v, y=draw(2), **options))}

    kernel = draw(3, 3, 2, 4)
    swapped = "x is taken with its first two axes swapped"
    assert np.array_equal(said(kernel, batched=())[swapped], kernel.swapaxes(0, 1))
    assert swapped not in said(kernel)
    assert swapped not in said(draw(3, 2, 2, 4), batched=())
    halves = "the two halves of x along axis 0 are exchanged"
    stack = draw(2, 3, 3)
    turned = "x is not transposed where x.T belongs, or the other way round"
    assert np.array_equal(said(stack)[turned], stack.swapaxes(1, 2))
    assert turned not in said(draw(3, 3, 2))
    assert np.array_equal(said(draw(6))[halves], np.roll(draw(6), 3))
    assert np.array_equal(said(draw(2))[halves], draw(2)[::-1])
    assert not any("reverse" in text for text in said(draw(2)))
    two = case(draw(4), draw(4), y=draw(4), arrays={"z": draw(4)})
    assert [name for text, name, _ in point.points(two) if "at the output y" in text] == ["x"]
    assert halves not in said(draw(5))
    assert turned not in said(draw(3, 2))
    assert not any("180" in text for text in said(draw(3, 3)))
    z = draw(4, seed=4)
    assert np.array_equal(said(draw(4), arrays={"z": z})["z stands where x belongs"], z)
    assert not any("axis 0" in text for text in said(draw(1)))
    assert {text for text in said(kernel, batched=()) if "180" in text} == {
        f"x is turned by 180° along axes {i}, {k}: {point.TURNS}"
        for i, k in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
    }


def test_of_many_arrays_only_the_neighbours_are_looked_at():
    arrays = {f"w{i}": draw(2) for i in range(8)}
    many = case(draw(2), draw(2), arrays=arrays)
    for at, around in (("w4", "w2 w3 w4 w5 w6"), ("x", "x w0 w1"), ("w0", "x w0 w1 w2"), ("w7", "w5 w6 w7")):
        many.row.name = at
        assert point.neighbours(many) == around.split()
    for count, all_of_them in ((5, True), (6, False)):
        some = case(draw(2), draw(2), arrays={name: arrays[name] for name in list(arrays)[:count]})
        assert any("w4" in text for text, *_ in point.points(some)) == all_of_them


def test_a_gradient_of_another_array_is_told_as_exchanged_if_both_are():
    n, m = draw(3, 4), draw(3, 4, seed=3)
    for other, said in (
        (case(n, m), "it is the gradient of w: the two are exchanged"),
        (case(m, m), "it is the gradient of w, which has the same shape as x"),
    ):
        other.row.name = "w"
        assert point.exchanged(case(m, n, rows=[other.row])) == said
        assert not point.exchanged(case(m * 1.001, n, rows=[other.row]))
        assert not point.exchanged(case(m, n, how="directions", rows=[other.row]))
        other.row.how = "directions"
        assert not point.exchanged(case(m, n, rows=[other.row]))


def test_an_array_that_is_left_out_of_the_derivative_is_told():
    x, b, dy = draw(4, 3), draw(3, seed=1), draw(4, 3, seed=2)
    right, wrong = dy * (1 - np.tanh(x + b) ** 2), dy * (1 - np.tanh(x) ** 2)
    options = {"x": x, "dy": dy, "y": np.tanh(x + b), "arrays": {"b": b}, "forward": lambda: (np.tanh(x + b), 0)}
    assert point.elsewhere(case(wrong, right, **options)) == "b is left out of the derivative: as if it were 0"
    assert not point.elsewhere(case(right, right, **options))
    assert not point.elsewhere(case(right + 0.1 * draw(4, 3, seed=5), right, **options))


def test_an_exchange_is_told_of_two_numbers_and_not_of_one():
    for n, m, said in (([1.0, 2.0], [3.0, 5.0], True), ([1.0, 2.0], [2.0, 3.0], False)):
        other = case(n, m)
        other.row.name = "w"
        assert bool(point.exchanged(case(m, n, rows=[other.row]))) == said
    large = case(np.array([1e6, 2e6]) + 0.9, [3e6, 5e6])
    large.row.name = "w"
    assert "the two are exchanged" in point.exchanged(case([3e6, 5e6], [1e6, 2e6], rows=[large.row]))
    small = case(np.array([1e-6, 2e-6]) + 1e-7, [3e-6, 5e-6])
    small.row.name = "w"
    assert "the same shape" in point.exchanged(case([3e-6, 5e-6], [1e-6, 2e-6], rows=[small.row]))


def test_what_a_layer_names_as_a_suspect_is_told():
    x = draw(3)
    suspects = {"it is the gradient of the cube": lambda: x**3}
    assert point.suspect(case(3 * x**2, 2 * x, x=x, suspects=suspects)) == "it is the gradient of the cube"
    assert not point.suspect(case(3 * x**2, 2 * x, x=x, suspects=suspects, how="directions"))
    assert not point.suspect(case(4 * x**2, 2 * x, x=x, suspects=suspects))


def test_the_upstreams_that_are_taken_for_dy():
    dy, y = draw(4, 3), np.random.default_rng(2).uniform(0.1, 2, (4, 3))
    found = dict(upstreams(case(y, y, dy=dy, y=y)))
    mean, sum_ = (f"dy's {name} stands for dy, as if all of y had the same upstream" for name in ("mean", "sum"))
    mixed = "(softmax and its logarithm are easily mixed up)"
    expected = {
        "dy is missing: it is the gradient of Σ y, the local derivative without the chain rule's first factor": dy**0,
        mean: dy.mean() + 0 * dy,
        sum_: dy.sum() + 0 * dy,
        "dy is multiplied by twice: it is the gradient for dy²": dy**2,
        "|dy| stands for dy": abs(dy),
        "the sign of dy stands for dy": dy / abs(dy),
        "negative dy are cut off: it is the gradient for max(dy, 0)": dy * (dy > 0),
        f"it is the gradient of log y, not of y {mixed}": dy / y,
        f"it is the gradient of e^y, not of y {mixed}": dy * np.exp(y),
        "a factor of y is too many: it is the gradient for dy·y": dy * y,
        "dy - y stands for dy, as if the derivative of a loss were in it": dy - y,
        "y - dy stands for dy, as if the derivative of a loss were in it": y - dy,
    }
    for axis in (0, 1):
        same = "as if all along that axis had the same upstream"
        expected |= {
            f"dy's mean over axis {axis} stands for dy, {same}": dy.mean(axis, keepdims=True) + 0 * dy,
            f"dy's sum over axis {axis} stands for dy, {same}": dy.sum(axis, keepdims=True) + 0 * dy,
            f"dy has lost its mean over axis {axis}: it is the gradient for dy - mean(dy)": dy
            - dy.mean(axis, keepdims=True),
        }
    others = dict(reordered(case(y, y, dy=dy, y=y)))
    assert found.keys() == expected.keys() | others.keys()
    assert all(np.allclose(found[said], expected[said]) for said in expected)
    assert not any("axis 1" in said for said in dict(upstreams(case(y[:, :1], y[:, :1], dy=dy[:, :1]))))


def test_dy_in_another_order():
    dy = draw(4, 3)
    found = list(reordered(case(dy, dy, dy=dy)))
    image, rest = "dy is not that of the same image: it is", np.array([[0], [1], [1], [1]])
    expected = [
        (f"{image} in reverse order over the batch (or x is)", dy[::-1]),
        (f"{image} taken from an index too low by one over the batch (or x is)", dy[[3, 0, 1, 2]]),
        (
            f"{image} taken from an index too low by one over the batch (or x is)",
            dy[[0, 0, 1, 2]] * rest,
        ),
        (f"{image} taken from an index too high by one over the batch (or x is)", dy[[1, 2, 3, 0]]),
        (
            f"{image} taken from an index too high by one over the batch (or x is)",
            dy[[1, 2, 3, 3]] * rest[::-1],
        ),
        (f"{image} rolled by half over the batch (or x is)", dy[[2, 3, 0, 1]]),
        ("dy's axis 0 is split as (2, 2) where the forward has (2, 2)", dy[[0, 2, 1, 3]]),
        ("dy is in reverse order along axis 1", dy[:, ::-1]),
        ("dy is taken from an index too low by one along axis 1", dy[:, [2, 0, 1]]),
        ("dy is taken from an index too low by one along axis 1", dy[:, [0, 0, 1]] * [0, 1, 1]),
        ("dy is taken from an index too high by one along axis 1", dy[:, [1, 2, 0]]),
        ("dy is taken from an index too high by one along axis 1", dy[:, [1, 2, 2]] * [1, 1, 0]),
    ]
    assert [said for said, _ in found] == [said for said, _ in expected]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(found, expected, strict=True))
    two = dict(reordered(case(dy[:2], dy[:2], dy=dy[:2], batched=())))
    assert np.array_equal(two["dy is exchanged along axis 0"], dy[1::-1])
    assert not any("reverse order along axis 0" in said or "by one along axis 0" in said for said in two)
    stack = draw(2, 3, 3)
    turned = dict(reordered(case(stack, stack, dy=stack)))
    swapped = "dy is not transposed where dy.T belongs, or the other way round"
    assert np.array_equal(turned[swapped], stack.swapaxes(1, 2))
    square = dict(reordered(case(dy[:3], dy[:3], dy=dy[:3])))
    assert np.array_equal(square["dy is not transposed where dy.T belongs, or the other way round"], dy[:3].T)
    six = dict(reordered(case(draw(6), draw(6), dy=np.arange(6.0), batched=())))
    assert list(six["dy's axis 0 is split as (2, 3) where the forward has (3, 2)"]) == [0, 3, 1, 4, 2, 5]
    assert list(six["dy's axis 0 is split as (3, 2) where the forward has (2, 3)"]) == [0, 2, 4, 1, 3, 5]
    assert list(six["dy is rolled by half along axis 0"]) == [3, 4, 5, 0, 1, 2]


def test_a_part_of_dy():
    dy = draw(4, 3)
    found = dict(parts(case(draw(3, 5), draw(3, 5), dy=dy, y=dy, batched=())))
    first, last = dy * [[1], [0], [0], [0]], dy * [[0], [0], [0], [1]]
    over = "the sum over axis 0 of y"
    short = "a loop or a slice is one too short"
    for which, only in (("first", first), ("last", last)):
        index = f"the {which} index of y's axis 0"
        assert np.array_equal(found[f"{over} is missing: only {index} is counted"], only)
        assert np.allclose(found[f"{index} is left out of {over}: {short}"], dy - only)
    assert len(found) == 8
    images = dict(parts(case(draw(3), draw(3), dy=dy, y=dy, batched=("z",), arrays={"z": dy})))
    assert "the sum over the batch is missing: only the first image is counted" in images
    assert "the last index of y's axis 1 is left out of the sum over axis 1 of y: " + short in images
    own = dict(parts(case(draw(4, 3), draw(4, 3), dy=dy, y=dy)))
    assert not any("batch" in said or "axis 0" in said for said in own)
    assert not dict(parts(case(draw(1), draw(1), dy=draw(1), y=draw(1), batched=())))
    both = dict(parts(case(draw(3), draw(3), dy=draw(2, 1), y=draw(2, 1), batched=())))
    assert not any("axis 1" in said for said in both)


def test_what_one_slice_shows_is_not_a_part_of_dy():
    n = draw(4, 3)
    lost = np.where(np.arange(3) == 2, 0, n)
    assert seen_at(case(lost, n, dy=n), 1, 2)
    assert not seen_at(case(lost, n, dy=n), 1, 0)
    assert seen_at(case(lost.T, n.T, dy=n.T), 0, 2)
    alone = np.where(np.arange(3) == 2, n, 0)
    assert seen_at(case(alone, n, dy=n), 1, 2)
    assert not seen_at(case(lost, n, dy=draw(4, 5)), 1, 2)
    assert not seen_at(case(lost, n, dy=n, how="directions"), 1, 2)
    assert not seen_at(case(n, n + 1, dy=n), 1, 2)


def test_a_product_with_dy_is_summed_over_what_an_array_lacks():
    dy, z = draw(4, 3), draw(4, 3, seed=1)
    assert np.array_equal(summed(dy, z, (4, 3)), dy * z)
    assert np.allclose(summed(dy, z, (3,)), (dy * z).sum(0))
    assert np.allclose(summed(dy, z, (1, 3)), (dy * z).sum(0, keepdims=True))
    assert np.allclose(summed(dy, z, (4, 1)), (dy * z).sum(1, keepdims=True))
    assert np.allclose(summed(dy, z, ()), (dy * z).sum())
    for shape in ((4,), (2, 4, 3), (4, 3, 1), (3, 4)):
        assert summed(dy, z, shape) is None


def test_dy_itself_and_a_product_that_is_no_derivative():
    dy, x, w = draw(4, 3), draw(4, 3, seed=1), draw(4, 3, seed=2)
    n = draw(4, 3, seed=3)
    assert itself(case(dy, n, dy=dy)) == "it is dy itself, as if y were x: the derivative is missing"
    assert itself(case(-dy, n, dy=dy)) == "it is -dy itself, as if y were -x: the derivative is missing"
    assert itself(case(-dy.sum(0), n[0], dy=dy)) == "it is -Σ dy, as of a bias"
    assert itself(case(dy.sum(0), n[0], dy=dy)) == "it is Σ dy, as of a bias"
    assert not itself(case(2 * dy, n, dy=dy))
    assert not itself(case([2.0], [1.0], dy=2.0))
    options = {"x": x, "dy": dy, "y": draw(4, 3, seed=5), "arrays": {"w": w}}
    assert product(case(dy * w, n, **options)) == "it is dy·w, and should be another product"
    assert product(case(dy * x, n, **options)) == "it is dy·x, and should be another product"
    assert product(case(dy * options["y"], n, **options)) == "it is dy·y, and should be another product"
    bias = case((dy * w).sum(0), n[0], dy=dy, y=draw(4, 3, seed=5), arrays={"w": w})
    assert product(bias) == "it is Σ dy·w, and should be another product"
    assert not product(case(dy * w, np.where(n < 0, dy * w, n), **options))
    assert not product(case(2 * dy * w, n, **options))


def test_a_sum_that_runs_the_wrong_way_is_told():
    x, dy = draw(4, 5), draw(4, 5, seed=1)
    n = np.cumsum(dy[:, ::-1], 1)[:, ::-1]
    options = {"x": x, "y": np.cumsum(x, 1), "dy": dy, "forward": lambda: (np.cumsum(x, 1), 0)}
    said = "along axis 1 it goes in the wrong direction: a sum or a loop runs the forward's way"
    assert flows_backward(case(np.cumsum(dy, 1), n, **options)) == said
    assert not flows_backward(case(draw(4, 5, seed=3), n, **options))
    assert not flows_backward(case(draw(5), draw(5, seed=1), dy=draw(5, 5), y=draw(5, 5), forward=lambda: (0 * x, 0)))


# Several contributions ----------------------------------------------------------------------------------------------


def test_what_is_left_of_several_contributions():
    parts = np.array([[0, 2, 3, 5, 0], [1, 4, 0, 0, 7.0]])
    (last, a), (first, b), (mean, c) = scatter.candidates(parts, parts != 0, (parts != 0).sum(1))
    assert list(a) == [5, 7]
    assert list(b) == [2, 1]
    assert np.allclose(c, [10 / 3, 4])
    assert "only the last is there" in last
    assert "only the first is there" in first
    assert "the mean is there" in mean


def gathered(index, mistake, shape=(5, 3)):
    """What is said if rows of an array are looked up, some of them several times."""
    x, dy = draw(*shape), draw(len(index), *shape[1:], seed=2)
    n, count = np.zeros(shape), np.bincount(index, minlength=shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    np.add.at(n, index, dy)
    a = n.copy()
    if mistake == "mean":
        a /= np.maximum(count, 1)
    else:
        for i, row in list(enumerate(index))[:: 1 if mistake == "last" else -1]:
            a[row] = dy[i]
    return case(a, n, x=x, y=x[index], dy=dy, forward=lambda: (x[index], 0)), dy


@pytest.mark.parametrize("mistake", ["last", "first", "mean"])
def test_one_of_several_contributions_is_told_by_what_is_there(mistake):
    for index, shape in (
        ([0, 2, 2, 1, 2, 0], (5, 3)),
        ([0, 2, 2, 1], (5, 3)),
        ([0, 1, 1, 0], (2,)),
        ([0, 1, 1, 0], (2, 2)),
    ):
        said = scatter.written(gathered(index, mistake, shape)[0])
        assert f"the {mistake} is there" in said.replace("only the", "the")


def test_contributions_explain_nothing_where_others_of_them_are_summed():
    wrong, dy = gathered([0, 1, 1, 2, 2], "last")
    wrong.row.analytic[1] = dy[1] + dy[2]
    assert not scatter.written(wrong)  # row 1 is right, and is a sum
    wrong.row.analytic[2] *= 1.001
    assert not scatter.written(wrong)
    wrong, _ = gathered([0, 2, 2, 1], "last")
    wrong.row.how = "directions"
    assert not scatter.written(wrong)
    wrong, _ = gathered([0, 2, 2, 1], "last", (5, 2))
    assert not scatter.written(wrong)  # two numbers
    assert not scatter.written(case(draw(3), draw(3, seed=1)))  # dy is one number


@pytest.mark.parametrize("features_first", [True, False])
def test_windows_that_overlap_are_told_where_each_makes_several_features(features_first):
    x, w = draw(7), draw(3, 2, seed=1)

    def forward():
        y = np.stack([x[i : i + 3] @ w for i in range(5)])
        return (y.T if features_first else y), 0

    dy = draw(*forward()[0].shape, seed=2)
    n, last = np.zeros(7), np.zeros(7)
    for i, d in enumerate(dy.T if features_first else dy):
        n[i : i + 3] += w @ d
        last[i : i + 3] = w @ d
    assert "only the last is there" in scatter.written(case(last, n, x=x, y=forward()[0], dy=dy, forward=forward))


def test_the_diagonal_of_a_jacobian_is_told():
    def softmax(x):
        return np.exp(x) / np.exp(x).sum(-1, keepdims=True)

    for shape in ((3,), (2, 3)):
        x, dy = draw(*shape), draw(*shape, seed=2)
        y = softmax(x)
        n = y * (dy - (dy * y).sum(-1, keepdims=True))
        wrong = case(dy * y * (1 - y), n, x=x, y=y, dy=dy, forward=lambda x=x: (softmax(x), 0))
        assert scatter.diagonal(wrong).startswith("it is dy times the diagonal of the Jacobian")
        wrong.row.analytic[...] *= 1.001
        assert not scatter.diagonal(wrong)
        wrong.row.how = "directions"
        assert not scatter.diagonal(wrong)
    assert not scatter.diagonal(case(draw(3), draw(3, seed=3), y=draw(2), dy=draw(2)))


# Terms --------------------------------------------------------------------------------------------------------------


def test_what_becomes_of_a_matrix_that_is_thought_symmetric():
    n = np.array([[1.0, 2.0, 3.0], [5.0, 7.0, 11.0], [13.0, 17.0, 19.0]])
    said = {
        "it is made symmetric: (G + Gᵀ)/2 where G is right": [[1, 3.5, 8], [3.5, 7, 14], [8, 14, 19]],
        "it is made symmetric: G + Gᵀ where G is right": [[2, 7, 16], [7, 14, 28], [16, 28, 38]],
        "it is made symmetric: G + Gᵀ, with the diagonal once, where G is right": [
            [1, 7, 16],
            [7, 7, 28],
            [16, 28, 19],
        ],
        "it is made antisymmetric: (G - Gᵀ)/2 where G is right": [[0, -1.5, -5], [1.5, 0, -3], [5, 3, 0]],
        "it is made antisymmetric: G - Gᵀ where G is right": [[0, -3, -10], [3, 0, -6], [10, 6, 0]],
        "only the lower triangle is there: what is above the diagonal is 0": [[1, 0, 0], [5, 7, 0], [13, 17, 19]],
        "only the upper triangle is there: what is below the diagonal is 0": [[1, 2, 3], [0, 7, 11], [0, 0, 19]],
        "the lower triangle of G is mirrored into the upper one": [[1, 5, 13], [5, 7, 17], [13, 17, 19]],
        "the upper triangle of G is mirrored into the lower one": [[1, 2, 3], [2, 7, 11], [3, 11, 19]],
        "it is the lower triangle of G + Gᵀ where G is right": [[2, 0, 0], [7, 14, 0], [16, 28, 38]],
        "it is the upper triangle of G + Gᵀ where G is right": [[2, 7, 16], [0, 14, 28], [0, 0, 38]],
    }
    for text, a in said.items():
        assert term.symmetric(case(a, n)) == text
    assert not term.symmetric(case(n, n))
    assert not term.symmetric(case(draw(2, 3), draw(2, 3)))
    assert not term.symmetric(case(draw(3), draw(3, seed=1)))
    both = np.stack([n, n**2])
    for (stack, _), (one, _), (other, _) in zip(*map(term.symmetrised, (both, n, n**2)), strict=True):
        assert np.array_equal(stack, [one, other])
    batch = draw(2, 3, 3)
    assert "G + Gᵀ where" in term.symmetric(case(batch + batch.swapaxes(1, 2), batch))
    assert not term.symmetric(case([[1.0, 5.0], [5.0, 2.0]], [[1.0, 3.0], [5.0, 2.0]]))  # one number


def test_a_term_too_many_is_told_with_its_amount():
    n, x, dy, y, w = (draw(4, 3, seed=k) for k in range(5))
    other = case(w, draw(4, 3, seed=7))
    other.row.name = "w"
    options = {"x": x, "dy": dy, "y": y, "arrays": {"w": w}, "rows": [other.row]}
    off = "off by 0.3 times {}: one of its terms is scaled or missing".format
    for t, said in {
        "the sign of x is in it, 0.3 times: an absolute value that forward has not": np.sign(x),
        "off by 0.3 times x itself": x,
        off("dy"): dy,
        off("dy·x"): dy * x,
        off("dy·y"): dy * y,
        off("w"): w,
        off("dy·w"): dy * w,
        off("y"): y,
        "off by 0.3 times the gradient of w": other.row.numeric,
    }.items():
        assert term.added(case(n + 0.3 * said, n, **options)) == t
    for c, said in {-1: "dy itself is missing: the way past", 1: "dy itself is too many: as if y had"}.items():
        assert term.added(case(n + c * dy, n, **options)).startswith(said)
        assert term.added(case(n + c * (1 + 4e-7) * dy, n, **options)).startswith(said)
    assert not term.added(case(n + draw(4, 3, seed=8), n, x=x, dy=draw(4, 2), y=draw(4, 2)))
    decay = "x itself is in it, -0.5 times: weight decay, or a penalty that forward has not"
    assert term.added(case(n - 0.5 * x, n, x=x, batched=(), y=draw(2))) == decay
    scalar = case(n + 0.3 * w, n, y=np.array(1.0), dy=2.0, arrays={"w": w})
    assert term.added(scalar) == off("w")
    assert not term.added(case(n + draw(4, 3, seed=8), n, **options))


def test_a_term_needs_enough_numbers_that_speak_for_it():
    n = draw(5, 4)
    for different_numbers, enough in ((2, False), (3, True)):
        t = np.zeros(20)
        t[:different_numbers] = np.arange(1, different_numbers + 1)
        t = t.reshape(5, 4)
        assert bool(term.fits(case(n + 2 * t, n), t)) == enough
    for count, enough in ((9, False), (10, True)):
        t = np.where(np.arange(20) < count, (-1.0) ** np.arange(20), 0).reshape(5, 4)
        assert bool(term.fits(case(n + 2 * t, n), t)) == enough
    t = draw(5, 4, seed=1)
    assert term.fits(case(n + 2 * t, n), t) == pytest.approx(2)
    assert term.fits(case(n + 2 * t, n, kink=n > 1), t) == pytest.approx(2)
    assert term.fits(case(n + 2e-3 * t, n), 1e-8 * t) == pytest.approx(2e5)
    assert term.fits(case(n + 2 * t * (1 + 5e-5 * (n > 0)), n), t)
    assert not term.fits(case(n + 2 * t * (1 + 5e-4 * (n > 0)), n), t)
    assert not term.fits(case(n, n), t)
    assert not term.fits(case(n + t, n), t[:4])
    assert not term.fits(case(n, n), 0 * t)
    assert not term.fits(case(n + 2 * t, n), np.where(t > 1, np.nan, t))


def test_a_sum_or_mean_that_is_broadcast_again():
    n = draw(3, 4, 2)
    for axes, said in (((0,), "axis 0"), ((1,), "axis 1"), ((0, 2), "axes 0, 2"), ((0, 1, 2), "axes 0, 1, 2")):
        for name in ("mean", "sum"):
            a = np.broadcast_to(getattr(n, name)(axis=axes, keepdims=True), n.shape)
            assert term.levelled(case(a, n)) == (
                f"it is the {name} over {said} of what it should be, the same all along: that {name} is too many"
            )
    assert not term.levelled(case(n, n))
    assert not term.levelled(case(draw(3, 1), draw(3, 1)))


# A sum over some axes -----------------------------------------------------------------------------------------------


def test_the_sets_of_axes_that_are_summed_over():
    def found(n, **options):
        return [(some.over, some.shape, some.name) for some in slices(case(n, n, **options))]

    assert found(draw(4, 6)) == [
        ((0, 1), (4, 6), "axes 0, 1"),
        ((0,), (4, 6), "the batch"),
        ((1,), (4, 6), "the last axis"),
        ((2,), (4, 2, 3), "each of 2 groups of the last axis"),
    ]
    assert found(draw(2, 3), batched=()) == [((0, 1), (2, 3), "axes 0, 1"), ((1,), (2, 3), "the last axis")]
    assert found(draw(3), batched=()) == [((0,), (3,), "all of it")]
    assert found(draw(3, 1), batched=()) == [((0,), (3, 1), "axis 0")]
    image = found(draw(3, 2, 3, 4))
    assert ((0, 1, 2), (3, 2, 3, 4), "the batch and the places") in image
    assert ((1, 2), (3, 2, 3, 4), "axes 1, 2") in image
    assert image[-1] == ((1, 2, 4), (3, 2, 3, 2, 2), "each of 2 groups of the last axis")
    assert [name for *_, name in found(draw(2, 12))][-3:] == [
        f"each of {groups} groups of the last axis" for groups in (2, 3, 4)
    ]


def test_slices_are_taken_and_centred_in_rows():
    x = draw(3, 2, 4)
    some = Slices(case(x, x, x=x), (0, 2), (3, 2, 4))
    assert np.array_equal(some.rows(x), x.transpose(1, 0, 2).reshape(2, 12))
    assert np.allclose(some.centred(), (x - x.mean(axis=(0, 2), keepdims=True)).transpose(1, 0, 2).reshape(2, 12))
    assert some.share(x, 1.0) == pytest.approx(abs(x.sum(axis=(0, 2))).max() / abs(x).sum(axis=(0, 2)).max())
    assert some.share(0 * x, 1.0) == 1.0
    assert some.of("mean") == "the mean over axes 0, 2"
    assert Slices(case(x, x, x=x), (0,), (3, 2, 4)).of("mean") == "the batch's mean"


def test_an_offset_is_told_with_the_axes_along_which_it_is_the_same():
    n = draw(4, 6)
    assert missing_way(case(n + 0.3, n)) == (
        "it is off by the same amount everywhere, by 0.3: a constant, or a mean, is added or missing"
    )
    assert missing_way(case(n + draw(6, seed=1), n)).startswith("it is off by the same amount in every image")
    assert missing_way(case(n + draw(4, 1, seed=1), n)) == (
        "it is off by the same amount all along the last axis: a sum or mean over it is missing or too many"
    )
    assert not missing_way(case(n + draw(4, 6, seed=1), n))


def test_what_goes_through_a_statistic_is_told_by_what_the_right_gradient_is_orthogonal_to():
    x, g = draw(4, 6, seed=1), draw(4, 6)
    c = x - x.mean(1, keepdims=True)
    flat = g - g.mean(1, keepdims=True)
    both = flat - c * (flat * c).sum(1, keepdims=True) / (c * c).sum(1, keepdims=True)
    radial = g - x * (g * x).sum(1, keepdims=True) / (x * x).sum(1, keepdims=True)
    amounts = draw(4, 1, seed=3)
    y, z = draw(4, 6, seed=5), draw(3)
    for n, way, said, zero in (
        (flat, amounts, "the mean or sum over the last axis", "Σ dx"),
        (both, amounts * c, "the variance over the last axis", "Σ dx·(x - mean)"),
        (both, amounts + amounts[::-1] * c, "the mean and variance over the last axis", "Σ dx and Σ dx·(x - mean)"),
        (radial, amounts * x, "the norm (Σ x², or a mean of squares) over the last axis", "Σ dx·x"),
        (flat, amounts * y, "the sum in softmax over the last axis", "Σ dx"),
        (flat, amounts * np.exp(y), "the sum in softmax over the last axis", "Σ dx"),
    ):
        assert missing_way(case(n + way, n, x=x, y=y)) == (
            f"what goes through {said} is missing, or wrong: it differs from the right gradient by just that ({zero} "
            "over the last axis should be zero)"
        )
    assert not missing_way(case(g + amounts * c, g, x=x, y=z))
    assert not missing_way(case(radial + amounts * y, radial, x=x, y=y))
    assert unbalanced(case(both + g, both, x=x)) == (
        "Σ dx and Σ dx·(x - mean) over the last axis should be zero and is not (y depends on it by way of a sum or "
        "mean and a variance there)"
    )
    assert "Σ dx·x over the last axis should be zero" in unbalanced(case(radial + g, radial, x=x))
    assert not unbalanced(case(g + 1, g, x=x))
    dy = draw(4, 6, seed=6)
    for n, said in (
        (flat, "the mean over the last axis is taken for a constant: dx is dy times one number all along, but y"),
        (both, "the mean and variance over the last axis are taken for constants: dx is dy times one number all"),
        (radial, "the norm over the last axis is taken for a constant: "),
    ):
        assert standing_still(case(amounts * dy, n, x=x, dy=dy)).startswith(said)
        assert not standing_still(case(amounts * dy * (1 + 1e-4 * (x > 0)), n, x=x, dy=dy))
    assert not standing_still(case(amounts * dy, g, x=x, dy=dy))


def test_few_numbers_are_a_combination_of_anything():
    x, g = draw(1, 3), draw(1, 3, seed=1)
    some = Slices(case(g + x, g, x=x), (1,), (1, 3))
    ones = np.ones((1, 3))
    assert spans(some, [x])
    two = np.array([[2.0, 3.0, 0.0]])
    assert not spans(Slices(case(g + two, g, x=x), (1,), (1, 3)), [two])
    assert not spans(some, [ones, x])
    assert not spans(some, [ones])
    wide = Slices(case(draw(2, 3) + draw(2, 3, seed=1), draw(2, 3), x=draw(2, 3, seed=1)), (1,), (2, 3))
    assert spans(wide, [np.ones((2, 3)), draw(2, 3, seed=1)])
    assert not spans(wide, [np.ones((2, 3))])


# A factor for each index --------------------------------------------------------------------------------------------

MEASURES = {
    "the standard deviation of x": np.std,
    "the variance of x": np.var,
    "the norm of x": lambda x, **k: (x**2).sum(**k) ** 0.5,
    "the square of the norm of x": lambda x, **k: (x**2).sum(**k),
    "the root mean square of x": lambda x, **k: (x**2).mean(**k) ** 0.5,
    "the mean square of x": lambda x, **k: (x**2).mean(**k),
    "the sum of x": np.sum,
    "the sum of |x|": lambda x, **k: abs(x).sum(**k),
    "the sum of e^x": lambda x, **k: np.exp(x).sum(**k),
}


@pytest.mark.parametrize("name", MEASURES)
def test_what_one_divides_by_is_told_whether_it_is_missing_or_twice(name):
    n, x = draw(4, 5, 3), draw(4, 5, 3, seed=1)
    c = MEASURES[name](x, axis=(1, 2), keepdims=True)
    few = ", ".join(f"{v:.4g}" for v in c.ravel())
    assert axis_factor(case(n * c, n, x=x, y=draw(2))) == (
        f"each image has a factor of its own ({few}) that should be 1: it is {name} over axes 1, 2, and the division "
        "by it is missing"
    )
    once = f"it is 1/({name}) over axes 1, 2, and it is divided by once too often"
    assert axis_factor(case(n / c, n, x=x, y=draw(2))).endswith(once)
    of_y = axis_factor(case(n * c, n, x=draw(4, 5, 3, seed=3), y=x))
    assert f"it is {name.replace('x', 'y')} over axes 1, 2, and the division" in of_y
    assert "divi" not in axis_factor(case(n * c * 1.01, n, x=x, y=draw(2)))


def test_factors_of_which_nothing_is_known_are_listed():
    n, c = draw(6, 5), draw(6, 1, seed=1)
    few = ", ".join(f"{v:.4g}" for v in c.ravel()[:4])
    own = f"has a factor of its own ({few}, …) that should be 1"
    assert axis_factor(case(n * c, n)) == f"each image {own}"
    assert axis_factor(case(n * c, n, batched=())) == f"each index of axis 0 {own}"
    assert axis_factor(case((n * c).T, n.T)) == f"each feature {own}"
    pairs = draw(2, 2, 1, seed=2)
    said = axis_factor(case(draw(2, 2, 4) * pairs, draw(2, 2, 4)))
    assert said.startswith("each index of axes 0, 1 has a factor of its own (")
    assert "…" not in said
    assert not axis_factor(case(n * draw(6, 5, seed=3), n))
    assert not axis_factor(case(2 * n, n))
    assert not axis_factor(case(n * c, n, how="directions"))
    assert not axis_factor(case(draw(6, 1) * c, draw(6, 1)))


def test_the_vector_that_the_factors_are_is_named():
    n, g = draw(6, 5), draw(5, seed=1)
    options = {"arrays": {"g": g, "wide": draw(5, 1)}}
    assert axis_factor(case(n * g, n, **options)) == "g is a factor too many"
    assert axis_factor(case(n / g, n, **options)) == "the factor g is missing"
    assert axis_factor(case(2.5 * n * g, n, **options)) == "g is a factor too many (and a constant of 2.5)"
    one = axis_factor(case(n * g, n, arrays={"g": np.ones(5)}))
    assert one.startswith("each feature has a factor")
    two = np.array([1.0, 2.0, 1.0, 2.0, 1.0])
    assert axis_factor(case(n * two, n, arrays={"odd": draw(4), "g": two})) == "g is a factor too many"
    near = axis_factor(case(n * g * (1 + 0.1 * two), n, **options))
    assert near.startswith("each feature has a factor")


def test_a_factor_is_told_of_two_known_entries_for_each_index():
    n, c = draw(4, 5), draw(4, 1, seed=1)
    assert axis_factor(case(n * c, n)).startswith("each image has a factor of its own")
    first = np.arange(20).reshape(4, 5) < 4
    assert not axis_factor(case(n * c, n, kink=first))
    assert not axis_factor(case(np.where(first, 0, n * c), np.where(first, 0, n)))
    one = np.arange(20).reshape(4, 5) == 7
    assert axis_factor(case(np.where(one, 9, n * c), n, kink=one)).startswith("each image has a factor of its own")
    x = draw(4, 5, seed=3)
    assert "it is the variance of x over axis 1, and" in axis_factor(case(n * x.var(1, keepdims=True), n, x=x))


# Cases and what is said of them -------------------------------------------------------------------------------------


def test_numbers_are_different_to_six_digits():
    assert different(np.array([0.0, 1.0, 1.0, 2.0]), 1.0) == 2
    assert different(np.array([1.0, 1.000002]), 1.0) == 2
    assert different(np.array([1.0, 1.0000002]), 1.0) == 1
    assert different(np.array([1.0, np.nan, np.inf]), 1.0) == 1
    assert different(np.array([1.0, 1.000002]), 100.0) == 1


def test_an_array_of_numbers_is_differentiated_like_a_number():
    x = np.array([0.3, 0.7])
    kept = x.copy()
    assert moved(lambda: np.sin(x), x, 1, 1.0) == pytest.approx([0, np.cos(0.7)], abs=1e-10)
    assert moved(lambda: x**3, x, ..., np.array([1.0, 2.0]), 0.1) == pytest.approx([0.27, 2.94], rel=1e-9)
    assert np.array_equal(x, kept)


def test_a_gradient_is_like_a_guess_only_where_it_is_known_and_not_all_zero():
    n = draw(4, 5)
    assert case(n, n).like(n * (1 + 5e-7))
    assert not case(n, n).like(n + 2e-6 * abs(n).max())
    assert not case(0 * n, n).like(0 * n)
    assert not case(n, n).like(n[:3])
    known = np.arange(20).reshape(4, 5)
    assert case(n, n, kink=known >= 10).like(np.where(known < 10, n, 7))
    assert not case(n, n, kink=known >= 9).like(np.where(known < 9, n, 7))
    wide = case(n, n, bar=1e-6 * abs(n).max(), scale=abs(n).max())
    assert wide.like(n + 9e-6 * abs(n).max())
    assert not wide.like(n + 13e-6 * abs(n).max())
    assert not case(n, n, bar=2e-5 * abs(n).max()).sure.any()
    assert case(n, n, bar=0.5e-5 * abs(n).max()).sure.all()


def for_another_upstream(offset=0.0):
    """A case whose gradient is that for another dy, and that dy."""
    x, w, dy, other = draw(4, 3), draw(3, 2, seed=1), draw(4, 2, seed=2), draw(4, 2, seed=3)

    def forward():
        return np.tanh(x @ w) + offset, 0

    slope = 1 - np.tanh(x @ w) ** 2
    n, a = ((d * slope) @ w.T for d in (dy, other))
    return case(a, n, x=x, y=forward()[0], dy=dy, forward=forward), dy, other


def test_a_hypothesis_is_held_against_the_gradient_along_directions():
    wrong, dy, other = for_another_upstream()
    assert [np.linalg.norm(v) for v in wrong.directions] == pytest.approx([1, 1, 1])
    for says in (wrong.agrees, wrong.flows):
        assert says(other)
        for near in (dy, 1.0001 * other, other + 1e-4, -other):
            assert not says(near)
    right = case(wrong.row.numeric, wrong.row.numeric, x=wrong.array, dy=dy, forward=wrong.subject.forward)
    assert not right.directions
    assert not right.agrees(dy)
    assert not right.flows(other)
    assert np.allclose(right.numeric(other), wrong.grad)


def test_a_hypothesis_may_be_off_by_what_rounding_hides():
    wrong, _, other = for_another_upstream(offset=3e3)
    assert wrong.agrees(other)
    assert not wrong.agrees(1.001 * other)
    assert not for_another_upstream(offset=1e9)[0].agrees(other)


def test_the_numbers_that_speak_for_a_cause_are_counted_once():
    n = draw(2, 3)
    assert case(n + np.array([1.0, 1.0, 2.0]), n).numbers == 2
    assert case(n + np.array([1.0, 3.0, 2.0]), n, kink=np.arange(3) == 1).numbers == 2
    assert case(n, n).numbers == 0


def test_the_angle_between_two_gradients_is_told():
    assert likely(0.99) == "(near 1: a small term is missing or too many)"
    assert likely(-0.99) == "(near -1: a sign is wrong, and a small term besides)"
    assert likely(0.5) == likely(-0.5) == likely(0.98) == likely(-0.98) == "(far from 1: another formula)"
    n = np.array([[3.0, 4.0, 0.0, 0.0]])
    said = where(case([[4.0, -3.0, 5.0, 5.0]], n))
    assert said == (
        "not known; 4 of 4 entries are wrong, and the angle to the true gradient has the cosine 0.000 (far from 1: "
        "another formula)"
    )
    assert where(case([2.0], [3.0])) == "not known: it is 2 where 3 is right"
    assert "the cosine 0.990" in where(case([[3.0, 4.0, 0.5, 0.51]], n))
    two = case(draw(2) + 1, draw(2))
    assert possibly(two) == "as far as one number can tell: "
    assert possibly(case(draw(2) + np.array([1, 2]), draw(2))) == "as far as two numbers can tell: "


def shaped(grad, n, how="entries"):
    """A gradient of another shape."""
    wrong = case(n, n, how=how)
    wrong.grad = np.asarray(grad)
    return wrong_shape(wrong)


def test_a_gradient_of_another_shape_is_told_by_what_would_make_it_right():
    n = draw(4, 3)
    seen = "it has shape {} where x has (4, 3)"
    assert shaped(n[None], n) == f"{seen.format((1, 4, 3))}: the numbers are right; leave out keepdims, or reshape it"
    assert shaped(n.T, n) == f"{seen.format((3, 4))}: it is right but transposed"
    split = np.stack([0.25 * n, 0.75 * n])
    assert shaped(split, n) == f"{seen.format((2, 4, 3))}: the sum over the batch is missing (axis 0)"
    twice = np.stack([0.5 * split, 0.5 * split])
    assert shaped(twice, n) == f"{seen.format((2, 2, 4, 3))}: the sum over the batch is missing (axis 0, 1)"
    thrice = np.stack([0.5 * twice, 0.5 * twice])
    assert shaped(thrice, n) == f"{seen.format((2, 2, 2, 4, 3))}: the sum over the batch is missing (axis 0, 1, 2)"
    for name in ("sum", "mean"):
        said = f": it is the {name} over axis 0, which should not be taken; added to an array of shape (4, 3) it would"
        assert shaped(getattr(n, name)(axis=0, keepdims=True), n).startswith(seen.format((1, 3)) + said)
    said = ", and would be broadcast to it without an error: every entry along axis 1 gets the same"
    assert shaped(n[:, :1], n) == seen.format((4, 1)) + said
    other = ": a sum over the batch that is missing or too many, or another reshape than the forward's"
    assert shaped(n[:, 0], n) == seen.format((4,)) + other
    assert shaped(n[:2], n) == seen.format((2, 3)) + other
    assert shaped(n[:, :1], n, how="directions").endswith(other)
    assert shaped(1.5 * n[None], n).endswith(other)
    for total in (n.sum(axis=1, keepdims=True), n.sum(keepdims=True)):
        assert f": it is the sum over axis {int(len(total) > 1)}, which" in shaped(total * (1 + 5e-7), n)
        assert f": it is the sum over axis {int(len(total) > 1)}, which" in shaped(1e4 * total + 5e-3, 1e4 * n)
        assert "it is the sum" not in shaped(total + 1e-4, n)
    assert ": it is the mean over axis 1, which" in shaped(n.mean(axis=1, keepdims=True), n)
    assert shaped(np.full((1, 1), 7.0), n).endswith("without an error: every entry along axis 0 gets the same")
    assert (
        shaped(draw(5), draw(5).sum()) == "it has shape (5,) where x has (): the sum over the batch is missing (axis 0)"
    )


def test_a_cause_that_few_numbers_show_is_one_possibility_unless_it_can_be_seen():
    n = draw(3, 4)
    assert diagnose(case(np.full((3, 4), np.nan), n)).startswith("it holds NaN or infinity")
    assert diagnose(case(0 * n, n)).startswith("it is zero everywhere")
    assert diagnose(case(n + 1, n, how="directions")).startswith("not known along directions")
    assert diagnose(case([2.0, 1.0], [1.0, 2.0], y=draw(5))).startswith("as far as two numbers can tell: the two")
    assert diagnose(case(n[::-1], n)).startswith("right numbers in reverse order")
    assert diagnose(case([4.0, 1.0, 2.0], [1.0, 2.0, 4.0])).startswith("a shifted index: right numbers, 1 too far on")
    assert diagnose(case(n + draw(3, 4, seed=9), n)).startswith("not known; 12 of 12 entries are wrong")
