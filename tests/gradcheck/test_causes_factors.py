"""Hypotheses about a factor, on numbers given by hand: a constant, a function of the arrays, one for each index."""

import numpy as np
import pytest
from by_hand import case, draw

from minigan.gradcheck.causes import amount, counts, elementwise
from minigan.gradcheck.causes.vector import axis_factor

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
    both = amount.clipped(case(n.clip(low, high), n))
    assert both == "it is clipped: what should be below -0.7 and above 0.6 is cut off, and the rest is right"
    assert "be above 0.6 is cut" in amount.clipped(case(n.clip(None, high), n))
    assert "be below -0.7 is cut" in amount.clipped(case(n.clip(low), n))
    assert not amount.clipped(case(n.clip(low, high) * 1.01, n))
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
