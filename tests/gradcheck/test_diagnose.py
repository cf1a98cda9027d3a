"""The order in which causes are told, and what is said where none is known, on cases and causes made for it."""

from types import SimpleNamespace

import numpy as np
import pytest

from minigan.gradcheck import diagnosis
from minigan.gradcheck.case import TELLING, Case
from minigan.gradcheck.diagnosis import diagnose, first, likely, possibly, where, wrong_shape
from minigan.gradcheck.report import Row
from minigan.gradcheck.subject import Subject


def draw(*shape, seed=0):
    return np.random.default_rng([seed, 5]).standard_normal(shape)


def case(a, n, *, how="entries", scale=None, kink=False, grad=None):
    """The gradient `a` of an array x where `n` is right; `grad` is what was returned, if it was something else."""
    a, n = np.asarray(a, float), np.asarray(n, float)
    zero = np.zeros(n.shape)
    kink = zero.astype(bool) | kink
    row = Row("x", n.shape, how, a, n, zero, kink, n, n, float(abs(n).max()) if scale is None else scale)
    returned = a if grad is None else np.asarray(grad)
    return Case(Subject({"x": draw(*n.shape, seed=1)}, None, None), row, returned, 1.0, n, [row])


N = draw(3, 4)
WRONG = case(N + 1 + draw(3, 4, seed=2) ** 2, N)


# The order -----------------------------------------------------------------------------------------------------------


def told(cause):
    return lambda case: cause


def raises(case):
    raise ValueError("not here")


def warns(case):
    return "warned" if np.isinf(np.ones(1) / np.zeros(1)) else ""


def test_the_first_cause_that_explains_is_told_and_one_that_fails_is_passed_over():
    assert first([], WRONG) == ""
    assert first([told("")], WRONG) == ""
    assert first([told(""), told("b"), told("c")], WRONG) == "b"
    assert first([raises, told("b")], WRONG) == "b"
    assert first([raises], WRONG) == ""
    assert first([warns], WRONG) == "warned"


@pytest.fixture
def causes(monkeypatch):
    """What is asked, in place of minigan's causes: nothing at first."""
    names = ("FACTS", "HYPOTHESES", "TRAITS", "ALONG_DIRECTIONS")
    asked = {name: [] for name in names}
    for name in names:
        monkeypatch.setattr(diagnosis, name, asked[name])
    monkeypatch.setattr(diagnosis, "CERTAIN", asked.setdefault("CERTAIN", []))
    return SimpleNamespace(**asked)


def test_facts_go_before_hypotheses_and_those_before_traits(causes):
    assert diagnose(WRONG).startswith("not known; 12 of 12 entries are wrong")
    causes.TRAITS.append(told("a trait"))
    assert diagnose(WRONG) == "a trait"
    causes.HYPOTHESES.extend([told(""), told("a hypothesis"), told("another")])
    assert diagnose(WRONG) == "a hypothesis"
    causes.FACTS.append(told("a fact"))
    causes.ALONG_DIRECTIONS.append(told("a direction"))
    assert diagnose(WRONG) == "a fact"


def test_a_hypothesis_for_which_few_numbers_speak_is_one_possibility_unless_it_can_be_seen(causes):
    seen = told("seen")
    causes.HYPOTHESES.extend([told("guessed")])
    assert TELLING == 3
    one, two, three = (case(N[0] * np.array(factors), N[0]) for factors in ([2, 1, 1, 1], [2, 3, 1, 1], [2, 3, 4, 1]))
    assert [c.numbers for c in (one, two, three)] == [1, 2, 3]
    assert diagnose(one) == "as far as one number can tell: guessed"
    assert diagnose(two) == "as far as two numbers can tell: guessed"
    assert diagnose(three) == "guessed"
    causes.HYPOTHESES[:] = [seen]
    causes.CERTAIN.append(seen)
    for few in (one, two, three):
        assert diagnose(few) == "seen"
    assert (possibly(one), possibly(two)) == ("as far as one number can tell: ", "as far as two numbers can tell: ")


def test_what_needs_no_cause_is_told_first(causes):
    causes.FACTS.append(told("a fact"))
    assert diagnose(case(N, N, grad=N.T)).endswith("it is right but transposed")
    for hole in (np.nan, np.inf):
        without = N.copy()
        without[1, 2] = hole
        said = "it holds NaN or infinity (x/0, log 0, ∞ - ∞ or an overflow in the backward)"
        assert diagnose(case(without, N)) == diagnose(case(without, N, how="directions")) == said
    said = "it is zero everywhere: it is never written, or what flows back is cut off or cancels"
    assert diagnose(case(0 * N, N)) == diagnose(case(0 * N, N, how="directions")) == said
    assert diagnose(case(np.where(N == N[0, 0], N, 0), N)) == "a fact"


def test_along_directions_their_own_causes_are_asked(causes):
    causes.FACTS.append(told("a fact"))
    along = case(N + 1, N, how="directions")
    said = "not known along directions; to learn which entries are wrong, raise elementwise"
    assert diagnose(along) == said
    causes.ALONG_DIRECTIONS.append(told("a direction"))
    assert diagnose(along) == "a direction"


# Another shape -------------------------------------------------------------------------------------------------------


def shaped(grad, n=N, **options):
    return wrong_shape(case(n, n, grad=grad, **options)).split(": ", 1)[-1]


RESHAPED = "the numbers are right; leave out keepdims, or reshape it"
TRANSPOSED = "it is right but transposed"
OTHER = "a sum over the batch that is missing or too many, or another reshape than the forward's"


def missing(axes):
    return f"the sum over the batch is missing (axis {axes})"


def taken(name, axis, shape):
    return (
        f"it is the {name} over axis {axis}, which should not be taken; added to an array of shape {shape} it would be "
        "broadcast without an error"
    )


def test_what_would_make_another_shape_right_is_told():
    assert wrong_shape(case(N, N, grad=N[None])) == f"it has shape (1, 3, 4) where x has (3, 4): {RESHAPED}"
    assert shaped(N.ravel()) == RESHAPED
    assert shaped(N.T) == TRANSPOSED
    parts = np.stack([0.25 * N, 0.75 * N])
    assert shaped(parts) == missing("0")
    assert shaped(np.stack([0.5 * parts, 0.5 * parts])) == missing("0, 1")
    assert shaped(draw(5), draw(5).sum()) == missing("0")
    assert shaped(draw(5, 2), draw(5, 2).sum()) == missing("0, 1")
    assert shaped(N[:, 0]) == shaped(N[:2]) == shaped(1.5 * N.ravel()) == OTHER


@pytest.mark.parametrize("scale", [1e3, 1.0, 1e-3])
def test_numbers_of_another_shape_are_right_to_a_millionth_of_the_scale(scale):
    n, off = np.zeros((3, 4)), np.zeros((3, 4))
    n[0] = scale * np.array([1, 2, 3, 4]) / 4
    for share, right in ((0.9e-6, True), (1.1e-6, False)):
        off[1, 1] = share * scale
        grad = n + off
        assert (shaped(grad.ravel(), n) == RESHAPED) == right
        assert (shaped(grad.T, n) == TRANSPOSED) == right
        assert (shaped(np.stack([grad, 0 * n]), n) == missing("0")) == right


@pytest.mark.parametrize("scale", [1e3, 1.0, 1e-3])
def test_large_numbers_of_another_shape_may_be_off_by_a_millionth_of_themselves_too(scale):
    n = np.full((10, 2), scale)
    n[:, 1] = scale * np.arange(10) / 10
    for share, right in ((1.9e-6, True), (2.1e-6, False)):
        assert (shaped((n + [share * scale, 0]).ravel(), n) == RESHAPED) == right  # noqa: RUF005 (a sum)
    for share, right in ((10.9e-6, True), (11.1e-6, False)):  # the sum is ten times as large
        total = n.sum(axis=0, keepdims=True)
        assert (shaped(total + [share * scale, 0], n) == taken("sum", 0, (10, 2))) == right  # noqa: RUF005


@pytest.mark.parametrize("name", ["sum", "mean"])
@pytest.mark.parametrize("scale", [1e3, 1.0, 1e-3])
def test_a_sum_or_mean_that_should_not_be_taken_is_told(name, scale):
    n = scale * N
    for axis, shape in ((0, (1, 4)), (1, (3, 1))):
        reduced = getattr(n, name)(axis=axis, keepdims=True)
        assert reduced.shape == shape
        assert shaped(reduced, n) == taken(name, axis, (3, 4))
        assert "every entry along axis" in wrong_shape(case(n, n, grad=reduced + 1e-4 * scale))
    both = getattr(n, name)(keepdims=True)
    assert shaped(both, n) == taken(name, 0, (3, 4))
    zero = np.zeros((2, 3))
    zero[:, 0] = scale, -scale
    for share, right in ((0.9e-6, True), (1.1e-6, False)):
        assert (shaped(np.full((1, 3), share * scale), zero) in [taken("sum", 0, (2, 3))]) == right


def test_what_would_be_broadcast_is_told():
    said = (
        "it has shape (3, 1) where x has (3, 4), and would be broadcast to it without an error: every entry along axis "
        "1 gets the same"
    )
    assert wrong_shape(case(N, N, grad=draw(3, 1, seed=7))) == said
    assert "along axis 0 gets" in wrong_shape(case(N, N, grad=np.full((1, 1), 7.0)))
    assert shaped(draw(3, 1, seed=7), how="directions") == OTHER
    assert shaped(draw(1, 3, 1, seed=7)) == shaped(draw(3, seed=7)) == shaped(draw(1, 3, seed=7)) == OTHER


# No cause ------------------------------------------------------------------------------------------------------------


def test_a_single_number_is_told_beside_the_right_one():
    assert where(case([2.0], [3.0])) == "not known: it is 2 where 3 is right"
    assert where(case(-0.5, 1 / 3)) == "not known: it is -0.5 where 0.3333333 is right"


def test_what_the_wrong_entries_share_is_told_with_the_angle():
    n = np.array([[3.0, 4.0, 0.0, 0.0]])
    said = "not known; {} of 4 entries are wrong, and the angle to the true gradient has the cosine {} {}"
    far, near = "(far from 1: another formula)", "(near 1: a small term is missing or too many)"
    assert where(case([[4.0, -3.0, 5.0, 5.0]], n)) == said.format(4, "0.000", far)
    assert where(case([[4.0, 3.0, 1.0, 1.0]], n)) == said.format(4, f"{24 / np.sqrt(27 * 25):.3f}", far)
    assert "has the cosine 0.990 " + near in where(case([[3.0, 4.0, 0.5, 0.51]], n))
    assert "has the cosine -0.990 (near -1" in where(case([[-3.0, -4.0, 0.5, 0.51]], n))
    assert "has the cosine 0.000 " + far in where(case([[1.0, 2.0, 3.0, 5.0]], 0 * n, scale=1.0))
    assert where(case([[9.0, 5.0, 1.0, 2.0]], n, kink=np.array([True, False, False, False]))).startswith(
        "not known; 3 of 4 entries are wrong"
    )


@pytest.mark.parametrize(
    ("cosine", "said"),
    [
        (1.0, "(near 1: a small term is missing or too many)"),
        (0.981, "(near 1: a small term is missing or too many)"),
        (0.98, "(far from 1: another formula)"),
        (0.0, "(far from 1: another formula)"),
        (-0.98, "(far from 1: another formula)"),
        (-0.981, "(near -1: a sign is wrong, and a small term besides)"),
        (-1.0, "(near -1: a sign is wrong, and a small term besides)"),
    ],
)
def test_the_angle_between_two_gradients_tells_what_is_wrong(cosine, said):
    assert likely(cosine) == said
