"""Whether a backward pass is linear in dy: what is told of one that is not, and that right ones are told nothing."""

import numpy as np
import pytest

from minigan.gradcheck.linearity import (
    LARGE,
    differ,
    nonlinearities,
    of_multiples,
    of_sums,
    of_zero,
    rows_with,
    split_upstreams,
)
from minigan.gradcheck.subject import Subject

ROUNDING = 1e-9  # of an entry, and of its array's size: what rounding may change
DY = np.array([[1.0, -2.0, 0.5], [4.0, -1.0, 3.0], [-0.25, 2.5, 1.5]])
ONE = np.array([1.0])


def draws():
    return np.random.default_rng(0)


def told(back, dy=DY):
    """What is told of a backward pass to two arrays, of which the second gets what is right."""
    named = {"x": dy, "bias": np.zeros(1)}
    subject = Subject(named, lambda: (dy, None), lambda dy, _cache: {"x": back(dy), "bias": np.sum(dy, keepdims=True)})
    return nonlinearities(subject, dy, draws())


# What is told ---------------------------------------------------------------------------------------------------------

LINEAR = {
    "a factor": lambda dy: 2 * dy,
    "a sum over the batch": lambda dy: dy - dy.mean(axis=0),
    "another order": lambda dy: dy[::-1, ::-1],
    "many sums that round": lambda dy: np.cumsum(dy * np.pi, axis=0) / 3,
    "nothing at all": lambda dy: 0 * dy,
}


@pytest.mark.parametrize("name", LINEAR)
def test_a_linear_backward_is_told_nothing(name):
    assert told(LINEAR[name]) == []


NOT_LINEAR = {
    "a term without dy": (lambda dy: dy + 3, "a dy of zeros gives up to 3 for x, where 0 is right"),
    "a division by dy": (lambda dy: dy / np.linalg.norm(dy), "a dy of zeros gives NaN or infinity for x: something"),
    "|dy|": (np.abs, "-dy gives the same as dy for x: the sign of dy is lost"),
    "dy² as well": (lambda dy: dy + dy**2, "-dy does not give the negative of what dy gives for x: a mask"),
    "a term where dy is not 0": (lambda dy: dy + (dy != 0), "dy and -dy add up to more than 0 for x"),
    "dy³": (lambda dy: dy**3, "dy enters more than once as a factor"),
    "its sign": (np.sign, "dy is normalised, or its sign taken in its place"),
    "a bound": (lambda dy: np.clip(dy, -5, 5), "is clipped or squashed above a bound"),
    "a threshold": (lambda dy: np.where(abs(dy) > 1e-6, dy, 0), "small values of dy are taken for zero"),
    "two of them": (lambda dy: np.clip(np.where(abs(dy) > 1e-6, dy, 0), -5, 5), "something is added to dy, or divided"),
    "a mean over rows with a dy": (
        lambda dy: dy / max(1, dy.any(axis=1).sum()),
        "number of rows of dy that are not zero",
    ),
    "a mean over entries with a dy": (
        lambda dy: dy / max(1, (dy != 0).sum()),
        "number of entries of dy that are not zero",
    ),
    "only the largest": (lambda dy: dy * (abs(dy) == abs(dy).max()), "looks at the whole of dy"),
}


@pytest.mark.parametrize("name", NOT_LINEAR)
def test_what_is_not_linear_is_told_by_what_it_does(name):
    back, text = NOT_LINEAR[name]
    with np.errstate(all="raise"):  # of which the code under check may warn at strange points
        (said,) = told(back)
    assert said.startswith("backward is not linear in dy: ")
    assert text in said
    assert "bias" not in said


def test_a_gradient_of_zeros_and_one_of_nan_are_left_to_the_numbers():
    for back in (lambda dy: dy == 0, lambda dy: np.where(dy == dy[0, 0], np.nan, 1.0)):
        subject = Subject({"x": DY}, lambda: (DY, None), lambda dy, _cache, back=back: {"x": back(dy)})
        assert nonlinearities(subject, DY, draws()) == []
    assert told(lambda dy: np.where(dy == dy[0, 0], np.inf, 1.0)) == []


def test_an_upstream_that_backward_refuses_is_no_problem_of_its_own():
    def no_zeros(dy):
        if not dy.any():
            raise ValueError("no")
        return dy + (dy != 0)

    assert told(no_zeros)[0].startswith("backward is not linear in dy: dy and -dy add up to more than 0 for x")


@pytest.mark.parametrize(("constant", "found"), [(3.99e-13, False), (4.01e-13, True)])
def test_a_small_gradient_is_judged_by_a_ten_thousandth_of_the_largest(constant, found):
    def backward(dy, _cache):
        return {"large": dy, "small": 1e-6 * dy + constant * (abs(dy).max() == 0)}

    subject = Subject({"large": DY, "small": DY}, lambda: (DY, None), backward)
    said = nonlinearities(subject, DY, draws())
    assert len(said) == found
    assert all("up to 4.01e-13 for small, where" in text for text in said)


# Zero -----------------------------------------------------------------------------------------------------------------

SIZES = {"x": 4.0, "w": 4.0}


@pytest.mark.parametrize(
    ("x", "w", "begins"),
    [
        (0.0, 4 * ROUNDING, ""),
        (
            0.0,
            4.01 * ROUNDING,
            "a dy of zeros gives up to 4.01e-09 for w, where 0 is right: there is a term of which dy",
        ),
        (-2.0, 3.0, "a dy of zeros gives up to 3 for x, w, where 0 is right"),
        (np.nan, 3.0, "a dy of zeros gives NaN or infinity for x: something is divided by the size of dy"),
        (np.inf, -np.inf, "a dy of zeros gives NaN or infinity for x, w: something"),
    ],
)
def test_no_upstream_gives_no_gradient(x, w, begins):
    def back(dy):
        assert not dy.any()
        return {"x": np.array([0.0, x]), "w": np.array([w, 0.0])}

    said = of_zero(back, DY, SIZES)
    assert said.startswith(begins)
    assert bool(said) == bool(begins)


# Multiples ------------------------------------------------------------------------------------------------------------


def odd(grown, shrunk):
    """A gradient of 1, where 2^40·dy gives `grown` times as much, and 2^-40·dy `shrunk` times."""
    answers = {1.0: 1.0, 2.0**40: grown, 2.0**-40: shrunk}
    return lambda dy: {"x": np.sign(dy) * answers[abs(float(dy[0]))]}


def of_odd(grown, shrunk):
    return of_multiples(odd(grown, shrunk), ONE, {"x": ONE}, {"x": 1.0})


NORMALISED = "dy is normalised, or its sign taken in its place"
CLIPPED = "dy, or what is made of it, is clipped or squashed above a bound"
CUT = "small values of dy are taken for zero"
TWICE = "dy enters more than once as a factor"
OTHER = "something is added to dy, or divided by it"


@pytest.mark.parametrize(
    ("grown", "shrunk", "end"),
    [
        (1.0, 1.0, NORMALISED),
        (1.01e-3, 1.01e-3, NORMALISED),
        (999.0, 999.0, NORMALISED),
        (1e-3, 1.0, OTHER),
        (1e3, 1.0, OTHER),
        (1.0, 1e-3, OTHER),
        (1.0, 1e3, OTHER),
        (5.0, 1 / LARGE, CLIPPED),
        (0.999e-3 * LARGE, 0.101 / LARGE, CLIPPED),
        (5.0, 9.99 / LARGE, CLIPPED),
        (1e-3 * LARGE, 1 / LARGE, OTHER),
        (5.0, 0.1 / LARGE, OTHER),
        (5.0, 10 / LARGE, OTHER),
        (LARGE, 0.0, CUT),
        (0.101 * LARGE, 0.999e-3 / LARGE, CUT),
        (9.99 * LARGE, 0.0, CUT),
        (LARGE, 1e-3 / LARGE, OTHER),
        (0.1 * LARGE, 0.0, OTHER),
        (10 * LARGE, 0.0, OTHER),
        (1.01 * LARGE**1.5, 1.0, TWICE),
        (LARGE**1.5, 1.0, OTHER),
        (LARGE**2, 1 / LARGE**2, TWICE),
        (LARGE, 1 / LARGE, None),
        (LARGE * (1 + 1.9e-9), (1 + 1.9e-9) / LARGE, None),  # within the rounding of the entry and of the size
        (LARGE * (1 + 2.1e-9), 1 / LARGE, OTHER),
        (LARGE, (1 + 2.1e-9) / LARGE, OTHER),
    ],
)
def test_how_a_gradient_grows_and_shrinks_tells_what_is_done_to_dy(grown, shrunk, end):
    said = of_odd(grown, shrunk)
    assert said.endswith(f" are right: {end}") if end else said == ""


def test_what_a_large_and_a_small_multiple_give_is_told_beside_what_is_right():
    assert of_odd(3.0, 0.25) == (
        "2^40·dy gives 3 and 2^-40·dy gives 0.25 times what dy gives for x, where 1.1e+12 and 9.09e-13 are right: "
        f"{NORMALISED}"
    )


def test_of_several_arrays_only_those_are_told_of_that_are_wrong():
    def back(dy):
        size = abs(float(dy[0]))
        clipped = np.sign(dy) * min(size, 6.0)
        return {"right": 2 * dy, "clipped": clipped, "cut": dy * (size > 1e-3)}

    def of(*names):
        def some(dy):
            return {name: grad for name, grad in back(dy).items() if name in names}

        return of_multiples(some, 2 * ONE, some(2 * ONE), dict.fromkeys(names, 1.0))

    assert "2^40·dy gives 3 and 2^-40·dy gives 9.09e-13 times what dy gives for clipped, where" in of(
        "right", "clipped"
    )
    assert "2^40·dy gives 1.1e+12 and 2^-40·dy gives 0 times what dy gives for cut, where" in of("right", "cut")
    assert "times what dy gives for clipped, where" in of("cut", "clipped")  # the other is told of once this is mended


SIGNS = {
    "|dy|": (abs, "-dy gives the same as dy for x: the sign of dy is lost (|dy|, or dy²)"),
    "a term": (lambda dy: dy + 3, "dy and -dy add up to more than 0 for x: there is a term of which dy is no factor"),
    "a mask": (lambda dy: dy * (dy > 0), "-dy does not give the negative of what dy gives for x: a mask, a maximum or"),
    "dy and dy²": (lambda dy: dy + dy**2, "-dy does not give the negative of what dy gives for x: a mask, a maximum"),
}


@pytest.mark.parametrize("name", SIGNS)
def test_what_becomes_of_minus_dy_tells_what_its_sign_does(name):
    back, text = SIGNS[name]

    def both(dy):
        return {"x": back(dy), "w": 5 * dy}

    for dy in (DY, np.array([1.0, 2.0])):
        assert of_multiples(both, dy, both(dy), {"x": 1.0, "w": 1.0}).startswith(text)


# Sums -----------------------------------------------------------------------------------------------------------------

SIGNED = np.array([[1.0, -1.0], [-1.0, 1.0]])


def off_by(off, rounding=()):
    """A backward that is off by half as much where dy has zeros, and rounds 0.7·dy and 1.1·dy by what is given."""
    seen = dict(zip((0.7, 1.1), rounding, strict=False))

    def back(dy):
        noise = next((r for c, r in seen.items() if np.array_equal(dy, c * SIGNED)), 0.0)
        return {"x": dy + noise + off / 2 * (dy == 0).any()}

    return of_sums(back, SIGNED, back(SIGNED), {"x": 1.0}, draws())


@pytest.mark.parametrize(
    ("off", "rounding", "found"),
    [
        (1.98 * ROUNDING, (), False),  # the rounding of an entry of 1, and of its array's size
        (2.02 * ROUNDING, (), True),
        (101 * ROUNDING, (ROUNDING, 0.0), False),
        (103 * ROUNDING, (ROUNDING, 0.0), True),
        (101 * ROUNDING, (0.0, ROUNDING), False),
        (103 * ROUNDING, (0.0, ROUNDING), True),
        (201 * ROUNDING, (ROUNDING, -2 * ROUNDING), False),
        (203 * ROUNDING, (ROUNDING, -2 * ROUNDING), True),
    ],
)
def test_sums_may_be_off_by_a_hundred_times_the_rounding_that_multiples_show(off, rounding, found):
    said = off_by(off, rounding)
    assert bool(said) == found
    if found:
        text = f"backward(a) + backward(b) is not backward(a + b) for x (off by {off:.1e} of the gradient): something"
        assert said.startswith(text)


def test_how_far_sums_are_off_is_told_of_the_gradients_size_and_of_the_worst():
    def back(dy):
        zeros = (dy == 0).any()
        return {"x": dy + 0.5 * zeros, "w": dy + 2.0 * zeros, "right": 3 * dy}

    said = of_sums(back, SIGNED, back(SIGNED), {"x": 0.125, "w": 4.0, "right": 3.0}, draws())
    assert "for x, w (off by 8.0e+00 of the gradient)" in said


def count_rows(dy):
    return int(dy.reshape(len(dy), -1).any(axis=1).sum())


@pytest.mark.parametrize(("count", "what"), [(count_rows, "rows"), (np.count_nonzero, "entries")])
@pytest.mark.parametrize("dy", [DY, DY[:, 0], np.stack([DY, -DY])], ids=["matrix", "vector", "images"])
def test_a_mean_over_what_is_not_zero_is_told_with_what_is_counted(count, what, dy):
    def back(dy):
        return {"x": dy / max(1, count(dy)), "w": 2 * dy}

    meant = "rows" if dy.ndim == 1 else what
    said = of_sums(back, dy, back(dy), {"x": 1.0, "w": 1.0}, draws())
    assert said == f"the gradient of x is divided by the number of {meant} of dy that are not zero"


def test_what_depends_on_another_upstream_entirely_is_found_where_nothing_is_zero():
    def back(dy):
        return {"x": dy * (1.0 if np.allclose(np.abs(dy / DY), np.abs(dy / DY).flat[0]) or (dy == 0).any() else 2.0)}

    assert of_sums(back, DY, back(DY), {"x": 4.0}, draws()).startswith(
        "backward(a) + backward(b) is not backward(a + b)"
    )


def nonzeros(pairs):
    return [np.count_nonzero(a) for a, _ in pairs]


@pytest.mark.parametrize(
    ("shape", "counts"),
    [
        ((), [1]),
        ((1,), [1]),
        ((1, 1), [1]),
        ((2,), [1, 1, 1, 2]),
        ((1, 3), [1, 1, 3]),
        ((3, 5), [1, 7, 5, 15]),
        ((5, 1), [1, 2, 2, 5]),
        ((3, 2, 2), [1, 6, 4, 12]),
    ],
)
def test_an_upstream_is_parted_at_its_largest_entry_in_halves_and_by_rows(shape, counts):
    dy = 1.0 + draws().permutation(int(np.prod(shape))).reshape(shape)
    *shared, (whole, other) = split_upstreams(dy, draws())
    assert nonzeros([*shared, (whole, other)]) == counts
    for a, b in shared:
        np.testing.assert_array_equal(a + b, dy)
        assert not (a * b).any()
    if shared:
        assert shared[0][0].max() == dy.max()
    if len(shared) == 3:
        assert set(shared[2][0].reshape(len(dy), -1).all(axis=1)) == {True, False}
    assert whole is dy
    assert other.shape == shape
    assert other.all()


def test_a_negative_entry_may_be_the_largest():
    (one, _), *_ = split_upstreams(np.array([1.0, -5.0, 3.0]), draws())
    np.testing.assert_array_equal(one, [0.0, -5.0, 0.0])


def test_rows_count_if_any_entry_is_not_zero():
    assert rows_with(np.array([[0.0, 0.0], [0.0, 2.0], [1.0, -1.0]])) == 2
    assert rows_with(np.zeros((2, 3, 4))) == 0
    assert rows_with(np.array(3.0)) == 1


# Rounding -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("got", "expected", "size", "differs"),
    [
        (4 * ROUNDING, 0.0, 4.0, False),
        (4.001 * ROUNDING, 0.0, 4.0, True),
        (-4.001 * ROUNDING, 0.0, 4.0, True),
        (8 + 11.99 * ROUNDING, 8.0, 4.0, False),
        (8 + 12.01 * ROUNDING, 8.0, 4.0, True),
        (-8 - 11.99 * ROUNDING, -8.0, 4.0, False),
        (-8 + 12.01 * ROUNDING, -8.0, 4.0, True),
        (np.nan, 0.0, 4.0, True),
    ],
)
def test_numbers_differ_if_by_more_than_their_rounding_and_that_of_their_array(got, expected, size, differs):
    found = differ({"x": np.array([8.0, got])}, {"x": np.array([8.0, expected]), "more": ONE}, {"x": size})
    assert found == (["x"] if differs else [])
