"""Hypotheses about terms that are missing or too many, on numbers given by hand."""

import numpy as np
import pytest
from by_hand import case, draw

from minigan.gradcheck.causes import scatter, term
from minigan.gradcheck.causes.through import Slices, missing_way, slices, spans, standing_still, unbalanced

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
