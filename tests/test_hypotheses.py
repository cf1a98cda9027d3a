"""Each hypothesis about a wrong gradient, on numbers given by hand: every entry of its tables, and where it ends."""

import numpy as np
import pytest

from minigan.gradcheck.case import Case, different, moved
from minigan.gradcheck.causes import amount, counts, elementwise, order, place, point, scatter, term, through, upstream
from minigan.gradcheck.causes import vector as of_axes
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
    assert "W" not in amount.approximated(case(n, n + 1e-6))


def test_numbers_of_fewer_digits_are_rounded():
    n = draw(5, 6)
    for kind in ("float16", "float32"):
        assert f"every entry is a number of {kind}" in amount.rounded(case(n.astype(kind), n))
    for decimals in range(1, 9):
        assert f"every entry has {decimals} decimals" in amount.rounded(case(np.round(n, decimals), n))
    assert not amount.rounded(case(np.round(n, 9), n))
    assert not amount.rounded(case(np.floor(100 * n) / 100, n))  # cut, not rounded
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


# Right numbers in the wrong places ----------------------------------------------------------------------------------


def told(hypothesis, change, *shape, **options):
    n = draw(*shape)
    return hypothesis(case(change(n), n, **options))


def test_axes_in_another_order():
    def swapped(n):
        return n.transpose(0, 2, 1, 3)

    assert told(order.transposed, np.transpose, 4, 4) == (
        "it is transposed: right numbers, rows and columns swapped"
    )
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
    assert found.startswith(said) and bool(found) == bool(said), found
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
    assert told(order.turned, lambda n: n[::-1, ::-1], 4, 5).startswith("it is turned by 180°: reversed along axes 0, 1")
    assert told(order.turned, lambda n: n[:, ::-1, ::-1], 2, 3, 4).startswith(
        "it is turned by 180°: reversed along axes 1, 2 "
    )
    assert "axes 0, 1, 2 " in told(order.turned, lambda n: n[::-1, ::-1, ::-1], 2, 3, 4)
    assert not told(order.turned, lambda n: n[::-1], 4, 5)
    assert not told(order.turned, lambda n: n[:, ::-1], 4, 5)


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


I, K = np.indices((6, 6))
PATTERNS = {
    "all of them lie at the edge, along axes 0, 1": (I % 5 == 0) | (K % 5 == 0),
    "all of them lie on the diagonal": I == K,
    "all of them lie off the diagonal": I != K,
    "all of them lie above the diagonal": I < K,
    "all of them lie below the diagonal": I > K,
    "all of them lie on the diagonal or above it": I <= K,
    "all of them lie on the diagonal or below it": I >= K,
    "all of them lie on every other field, as of a chessboard": (I + K) % 2 == 1,
    "all of them lie at index 0 to 2 of axis 0": I < 3,
    "all of them lie at index 1 to 5, every 2nd of axis 1": K % 2 == 1,
    "all of them lie at index 2, 3 of axis 0 and 1, 4 of axis 1": np.isin(I, (2, 3)) & np.isin(K, (1, 4)),
}


@pytest.mark.parametrize("said", PATTERNS)
def test_a_pattern_of_the_wrong_entries_is_told(said):
    wrong = PATTERNS[said]
    assert place.pattern(off_at(wrong)) == said
    if "index" not in said:  # there, the hull of fewer is the same
        assert place.pattern(off_at(wrong ^ ((I == 2) & (K == 3)))) != said


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
    assert place.pattern(off_at(np.isin(row, row[I + K == 3]), x=row)) == ""
    assert place.pattern(off_at(x > np.sort(x, axis=None)[-4], x=x)).startswith(("", "all of them lie at index"))
    half = place.pattern(off_at(row > 0.6, x=row))
    assert half.endswith("is above 0.597 or so")


def test_there_is_no_pattern_in_too_few_or_too_many():
    assert not place.pattern(off_at(I + K == 0))
    assert not place.pattern(off_at(I + K > 0))
    assert not place.pattern(off_at((I == K) & (I < 2)))
    assert place.pattern(off_at((I == 2) & (K < 3))) == "all of them lie at index 2 of axis 0 and 0 to 2 of axis 1"


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
    assert not place.alone(case([1.0], [2.0]))
    assert not place.alone(case([1.0, 2.0], [2.0, 1.0]))
    assert place.alone(case([1.0, 2.0, 3.0], [1.0, 3.0, 2.0]))


def test_what_the_wrong_entries_share_as_numbers():
    n, some = draw(4, 5), I[:4, :5] == 1
    assert place.seen(case(np.where(some, 0, n), n)) == ", and are zero there"
    assert place.seen(case(n, np.where(some, 0, n))) == ", where they should be zero"
    assert place.seen(case(np.where(some, -n, n), n)) == ", and have the wrong sign"
    assert place.seen(case(np.where(some, 2.5 * n, n), n)) == ", and are 2.5 times what they should be"
    assert place.seen(off_at(some)) == ""
    one = some & (K[:4, :5] == 2)
    for a, right in ((np.where(one, 0, n), n), (n, np.where(one, 0, n)), (np.where(one, -n, n), n)):
        assert place.seen(case(a, right)) == ""
    equal = np.where(some, 1.0, n)
    assert place.seen(case(np.where(some, 2.0, n), equal)) == ""


def test_all_wrong_entries_in_one_slice():
    n = draw(4, 5)
    assert place.in_one_slice(off_at(I[:4, :5] == 0)) == "all wrong entries lie at index 0 of axis 0, the first"
    assert place.in_one_slice(off_at(K[:4, :5] == 2)) == "all wrong entries lie at index 2 of axis 1"
    assert place.in_one_slice(off_at(K[:4, :5] == 4)) == "all wrong entries lie at index 4 of axis 1, the last"
    lost = place.in_one_slice(case(np.where(K[:4, :5] == 4, 0, n), n))
    assert lost.endswith("the last, and are zero there: a loop or a slice ends one too early")
    assert not place.in_one_slice(off_at(K[:4, :5] < 2))
    assert not place.in_one_slice(off_at(np.ones((1, 3), bool)))


def test_entries_at_kinks_are_told_with_the_nearest_bound():
    n = draw(3, 4)
    kink = K[:3, :4] == 1
    a = np.where(kink, n + I[:3, :4] + 1, n)
    said = place.at_kinks(case(a, n, kink=kink))
    assert said.startswith("right but at kinks: the 3 wrong entries lie where y has a corner")
    assert f"(at [2, 1]: {a[2, 1]:.6g}, where anything from {n[2, 1]:.6g} to {n[2, 1]:.6g} would do)" in said
    one = kink & (I[:3, :4] == 0)
    assert "the wrong entry lies where" in place.at_kinks(case(np.where(one, n + 1, n), n, kink=kink))
    assert not place.at_kinks(case(a + 1, n, kink=kink))
    assert not place.at_kinks(case(n, n, kink=kink))
