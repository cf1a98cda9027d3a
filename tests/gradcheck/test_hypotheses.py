"""Cases, what a hypothesis is held against, and which of them is said, on numbers given by hand."""

import numpy as np
import pytest
from by_hand import case, draw

from minigan.gradcheck.case import different, moved
from minigan.gradcheck.diagnosis import diagnose, likely, possibly, where, wrong_shape

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
