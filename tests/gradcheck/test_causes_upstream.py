"""Hypotheses about another point or another upstream, on numbers given by hand."""

import numpy as np
from by_hand import case, draw

from minigan.gradcheck.causes import point
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
        assert point.adjacent(many) == around.split()
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
