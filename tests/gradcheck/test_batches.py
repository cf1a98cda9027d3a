"""Other batches, weights and neighbours: what each of the rules says of layers that break it in one place."""

import numpy as np
import pytest

from minigan import nn
from minigan.errors import ArgumentError
from minigan.gradcheck import batches, check_layer
from minigan.gradcheck.batches import apart, at_batch, claimed_alone, coupling, neighbours, other_batches, wrong_along
from minigan.gradcheck.trial import Trial
from minigan.nn.init import ones


class Scaled(nn.Layer):
    """y = w·x²; what is spoilt below."""

    def params(self, in_shape):
        return {"w": (in_shape, ones)}

    def forward(self, x, *, train, rng=None):
        return self.w * x * x, x

    def input_grad(self, dy, cache):
        return 2 * dy * self.w * cache

    def param_grads(self, dy, cache, grads):
        grads["w"][...] = (dy * cache * cache).sum(axis=0)


RIGHT = Scaled


def trial(train=False, n=5, x=None, **spoilt):
    """A trial of the layer with some of its methods replaced, on n examples of two numbers."""
    layer = type("Spoilt", (Scaled,), spoilt)()
    net = nn.Sequential([layer], (2,), rng=np.random.default_rng(0), dtype=np.float64)
    net.params[...] = 1.5, -0.7
    x = np.random.default_rng(1).standard_normal((n, 2)) if x is None else np.asarray(x, float)
    return Trial(net, x, train=train)


def refuses(*sizes, exception=ValueError):
    def forward(self, x, *, train, rng=None):
        if len(x) in sizes:
            raise exception("not so many")
        return RIGHT.forward(self, x, train=train)

    return forward


def spoils_input_gradient(when, how=lambda dx: 2 * dx):
    def input_grad(self, dy, cache):
        dx = RIGHT.input_grad(self, dy, cache)
        return how(dx) if when(len(dy)) else dx

    return input_grad


def spoils_weight_gradient(when, how=lambda dw: 2 * dw):
    def param_grads(self, dy, cache, grads):
        RIGHT.param_grads(self, dy, cache, grads)
        if when(len(dy)):
            grads["w"][...] = how(grads["w"])

    return param_grads


def always(n):
    return True


# One batch -----------------------------------------------------------------------------------------------------------


def test_a_right_layer_is_right_on_every_batch_in_both_modes():
    for train in (True, False):
        for n in (1, 2, 3):
            assert at_batch(trial(train), n, 1.0) == ""
        assert other_batches(trial(train)) == []


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("across", [True, False])
def test_a_batch_may_be_refused_in_training_or_if_examples_are_seen_together_but_not_one_of_twice_as_many(
    train, across
):
    refused = trial(train, forward=refuses(3), across_batch=across)
    said = "forward fails (ValueError: not so many)"
    assert at_batch(refused, 3, 1.0) == at_batch(refused, 3, 1.0, twice=False) == ("" if train or across else said)
    assert at_batch(refused, 3, 1.0, twice=True) == said
    assert at_batch(refused, 2, 1.0, twice=True) == ""


def test_an_output_of_another_shape_is_told():
    squeezed = trial(forward=lambda self, x, *, train, rng=None: (np.squeeze(x * x * self.w), x))
    assert at_batch(squeezed, 1, 1.0) == "y has shape (2,) where out_shape says (1, 2)"
    assert at_batch(squeezed, 2, 1.0) == ""


@pytest.mark.parametrize("train", [True, False])
def test_a_backward_may_fail_on_a_single_example_in_training_alone(train):
    def fails(dx):
        raise ZeroDivisionError("n - 1")

    for n in (1, 2):
        said = "" if train and n == 1 else "backward fails (ZeroDivisionError: n - 1)"
        assert at_batch(trial(train, input_grad=spoils_input_gradient(always, fails)), n, 1.0) == said


def test_an_input_gradient_of_another_shape_or_none_is_told():
    flat = trial(input_grad=spoils_input_gradient(always, np.ravel))
    assert at_batch(flat, 3, 1.0) == "dx has shape (6,) where x has (3, 2)"
    none = trial(input_grad=lambda self, dy, cache: None)
    assert at_batch(none, 3, 1.0) == "dx has shape no where x has (3, 2)"


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", ["x", "w"])
def test_a_gradient_without_a_number_is_wrong_but_for_a_single_example_in_training(train, name):
    spoils = {"x": ("input_grad", spoils_input_gradient), "w": ("param_grads", spoils_weight_gradient)}
    method, spoil = spoils[name]
    for n in (1, 2):
        said = f"the gradient of {name} is wrong, though it is right on one of 5"
        without = trial(train, **{method: spoil(lambda m: m < 5, lambda grad: grad * np.nan)})
        assert at_batch(without, n, 1.0) == ("" if train and n == 1 else said)


def test_where_the_output_has_no_number_nothing_is_told_of_its_gradient():
    for train in (True, False):
        without = trial(
            train,
            forward=lambda self, x, *, train, rng=None: (self.w * x * x + np.where(len(x) == 3, np.nan, 0), x),
            input_grad=spoils_input_gradient(always),
        )
        assert at_batch(without, 3, 1.0) == ""
        assert at_batch(without, 2, 1.0) == "the gradient of x is wrong, though it is right on one of 5"


def test_a_single_example_in_training_is_looked_at_where_it_has_numbers():
    assert "of x is wrong" in at_batch(trial(True, input_grad=spoils_input_gradient(always)), 1, 1.0)


def test_a_gradient_that_is_small_beside_usual_ones_is_not_judged():
    """A wrong slope of some 1 passes if 1 % of a usual one, times 1e-5, is more."""
    wrong = trial(input_grad=spoils_input_gradient(always))
    assert "of x is wrong" in at_batch(wrong, 3, 1.0)
    assert "of x is wrong" in at_batch(wrong, 3, 1e4)
    assert at_batch(wrong, 3, 1e9) == ""


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ([[]], ""),
        ([["x"], ["x"]], "x"),
        ([["x"], ["w", "x"]], "w, x"),
        ([["x"], []], ""),
        ([None, []], ""),
        ([None, ["x"], None, ["x"]], "x"),
        ([None, None, ["x"], ["x"]], "x"),
        ([None, None, None, []], ""),
        ([None, None, None, ["x"]], ""),
        ([None, None, None, None], ""),
    ],
)
def test_what_is_wrong_at_two_of_four_points_is_told_and_a_point_where_it_is_right_ends_it(verdicts, said, monkeypatch):
    left = iter(verdicts)
    monkeypatch.setattr(batches, "wrong_along", lambda *_: next(left))
    expected = f"the gradient of {said} is wrong, though it is right on one of 5" if said else ""
    assert at_batch(trial(), 3, 1.0) == expected
    assert next(left, "none") == "none"  # each was asked for, and no further one


def test_what_is_wrong_at_two_points_is_wrong_at_two_that_differ(monkeypatch):
    points = []
    monkeypatch.setattr(batches, "wrong_along", lambda trial, x, dy, *_: points.append((x, dy)) or ["x"])
    at_batch(trial(), 3, 1.0)
    (x, dy), (other_x, other_dy) = points
    assert not np.array_equal(x, other_x)
    assert not np.array_equal(dy, other_dy)
    assert not np.array_equal(x, dy)


# The arrays whose gradients are wrong --------------------------------------------------------------------------------


def along(on, x=None, **spoilt):
    """What is wrong of the gradients that the layer gives at x."""
    x = np.random.default_rng(2).standard_normal((3, 2)) if x is None else x
    dy = np.random.default_rng(3).standard_normal((3, 2))
    spoilt_trial = trial(**spoilt)
    cache = spoilt_trial.forward(x)[1]
    grads = {"x": spoilt_trial.backward(cache, dy), **spoilt_trial.grads()}
    return wrong_along(spoilt_trial, x, dy, {name: on(name, grad) for name, grad in grads.items()}, 1e-2)


def test_the_arrays_whose_gradients_are_wrong_are_named():
    assert along(lambda name, grad: grad) == []
    assert along(lambda name, grad: 2 * grad if name == "x" else grad) == ["x"]
    assert along(lambda name, grad: 2 * grad if name == "w" else grad) == ["w"]
    assert along(lambda name, grad: 1.001 * grad) == ["x", "w"]
    assert along(lambda name, grad: (1 + 1e-7) * grad) == []


def test_at_a_kink_no_array_is_named_and_none_is_called_right():
    def bent(self, x, *, train, rng=None):
        return self.w * np.abs(x), x

    assert along(lambda name, grad: 0 * grad, np.zeros((3, 2)), forward=bent) is None


def test_gradients_that_are_wrong_together_alone_are_all_named(monkeypatch):
    monkeypatch.setattr(batches, "off_along", lambda f, moves, grads, floor: len(moves) == 2)
    assert along(lambda name, grad: grad) == ["x", "w"]


# All batches ---------------------------------------------------------------------------------------------------------


def test_the_batches_are_of_one_two_twice_as_many_and_a_number_that_nothing_divides():
    seen = set()

    def forward(self, x, *, train, rng=None):
        seen.add(len(x))
        return RIGHT.forward(self, x, train=train)

    other_batches(trial(forward=forward))
    assert seen == {5, 1, 2, 10, 23}
    for n, others in ((1, {1, 2, 7}), (2, {2, 1, 4, 11}), (3, {3, 1, 2, 6, 15})):
        seen.clear()
        other_batches(trial(n=n, forward=forward))
        assert seen == others


def test_what_is_wrong_is_told_of_each_batch():
    wrong = trial(input_grad=spoils_input_gradient(lambda n: n in (1, 10)))
    assert other_batches(wrong) == [
        f"on a batch of {n} the gradient of x is wrong, though it is right on one of 5" for n in (1, 10)
    ]
    assert other_batches(trial(True, forward=refuses(1, 2, 23))) == []
    assert other_batches(trial(True, forward=refuses(1, 2, 10, 23))) == [
        "on a batch of 10 forward fails (ValueError: not so many)"
    ]
    assert other_batches(trial(True, n=1, forward=refuses(2))) == [
        "on a batch of 2 forward fails (ValueError: not so many)"
    ]


def test_what_is_kept_of_the_first_weights_is_told_and_the_weights_are_put_back():
    def keeping(self, x, *, train, rng=None):
        self.first = vars(self).get("first", self.w.copy())
        return self.w * x * x, x

    kept = trial(forward=keeping, input_grad=lambda self, dy, cache: 2 * dy * self.first * cache)
    assert other_batches(kept) == [
        "with other weights than those of its first pass the gradient of x is wrong, though it is right on one of 5; "
        "it must keep nothing of them"
    ]
    assert kept.net.params.tolist() == [1.5, -0.7]


def test_the_weights_are_put_back_whatever_happens():
    left = trial(forward=refuses(23, exception=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        other_batches(left)
    assert left.net.params.tolist() == [1.5, -0.7]


# Neighbours ----------------------------------------------------------------------------------------------------------

EIGHTS = np.array([[1.0, 2], [3, -4], [5, 6], [-7, 8], [2, 1]]) / 8
REMEDY = "; what was learned of batches belongs in buffers. A layer that means it says across_batch = True in its class"
ON_NEIGHBOURS = "at inference the output of an example depends on its neighbours in the batch (by up to {})" + REMEDY
ON_SIZE = "at inference the output of an example depends on the size of the batch (by up to {})" + REMEDY


def adding(terms, scale=1.0, cache=None):
    """y = scale·x + terms(x), with a cache that is no output."""
    return lambda self, x, *, train, rng=None: (scale * x + terms(x), cache)


def shifted(source, target, size=0.25):
    """One example's output moved by another's input."""

    def terms(x):
        moved = np.zeros_like(x)
        if len(x) == 5:
            moved[target] = size * (x[source] - EIGHTS[source])
        return moved

    return terms


@pytest.mark.parametrize("spoilt", [adding(np.zeros_like), RIGHT.forward, adding(lambda x: np.where(x > 0, np.nan, x))])
def test_examples_that_stand_alone_pass(spoilt):
    assert neighbours(trial(x=EIGHTS, forward=spoilt)) == []


@pytest.mark.parametrize(("source", "target"), [(1, 0), (4, 0), (0, 1), (0, 4)])
def test_an_output_that_another_example_moves_is_told(source, target):
    moved = trial(x=EIGHTS, forward=adding(shifted(source, target)))
    far = 0.25 * abs(moved.normal((5, 2), 5)[source] - EIGHTS[source]).max()
    assert coupling(moved) == pytest.approx(far)
    assert neighbours(moved) == [ON_NEIGHBOURS.format(f"{far:.2g}")]


def test_an_output_that_its_own_example_moves_alone_is_no_coupling():
    assert coupling(trial(x=EIGHTS, forward=adding(lambda x: 100 * x**3))) == 0
    moved = trial(x=EIGHTS)
    moved.x.flags.writeable = False
    assert coupling(moved) == 0


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize(("share", "wrong"), [(0.9e-9, False), (1.1e-9, True)])
def test_neighbours_may_move_an_output_by_a_rounding(scale, share, wrong):
    ones = np.ones((5, 2))

    def terms(x):  # 1, and a little more once the last example is not 1
        return scale * (1 + share * (len(x) == 5 and x[-1, 0] != 1)) - scale * x

    near = trial(x=ones, forward=adding(terms, scale))
    assert neighbours(near) == ([ON_NEIGHBOURS.format(f"{share * scale:.2g}")] if wrong else [])


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize(("share", "wrong"), [(1e-6, False), (1.01e-6, True), (0.5, True)])
def test_a_single_example_may_be_off_by_what_its_products_round_otherwise(scale, share, wrong):
    alone = trial(x=np.ones((5, 2)), forward=adding(lambda x: scale * share * (len(x) == 1) * np.ones_like(x), scale))
    assert neighbours(alone) == ([ON_SIZE.format(f"{share * scale:.2g}")] if wrong else [])


def test_outputs_that_are_all_zero_depend_on_nothing():
    assert neighbours(trial(x=EIGHTS, forward=adding(np.zeros_like, 0.0))) == []


def test_the_single_example_is_compared_with_itself_as_first_of_many():
    """An output that tells how many examples there are, and one that is refused."""
    counted = trial(x=EIGHTS, forward=adding(lambda x: np.full_like(x, len(x))))
    assert neighbours(counted) == [ON_SIZE.format("4")]
    refused = trial(x=EIGHTS, forward=refuses(1))
    assert neighbours(refused) == ["forward fails at inference on a single example (ValueError: not so many)"]


def test_what_is_drawn_at_inference_is_not_held_against_a_single_example():
    def noise(self, x, *, train, rng=None):
        return x + rng.normal(x.shape[::-1]).T, x  # the first example's draws are others among five

    assert neighbours(trial(x=EIGHTS, forward=noise)) == []


def test_in_training_and_where_it_is_meant_examples_may_be_seen_together():
    def together(self, x, *, train, rng=None):
        return x - x.mean(axis=0), x

    assert neighbours(trial(x=EIGHTS, forward=together))
    assert neighbours(trial(True, x=EIGHTS, forward=together)) == []
    assert neighbours(trial(x=EIGHTS, forward=together, across_batch=True)) == []
    assert neighbours(trial(True, x=EIGHTS, forward=together, across_batch=True)) == []


def test_what_says_each_alone_and_does_is_right_and_what_says_nothing_is_not_asked():
    def together(self, x, *, train, rng=None):
        return RIGHT.forward(self, x - x.mean(axis=0), train=train)

    assert claimed_alone(trial(True, each_alone=True)) == []
    assert claimed_alone(trial(True, n=1, each_alone=True)) == []
    assert claimed_alone(trial(True, forward=together)) == []
    assert claimed_alone(trial(forward=together, each_alone=True)) == []  # at inference `neighbours` asks all layers


def forward_of(change):
    return {"forward": lambda self, x, *, train, rng=None: RIGHT.forward(self, change(x), train=train)}


@pytest.mark.parametrize(
    ("spoilt", "what", "how"),
    [
        (forward_of(lambda x: x - x.mean(axis=0)), "the output, the gradient of x, the gradient of w", "replaced"),
        (forward_of(lambda x: x / len(x)), "the output, the gradient of x, the gradient of w", "left out"),
        (
            {"input_grad": lambda self, dy, cache: RIGHT.input_grad(self, dy, cache) + cache.sum(axis=0)},
            "the gradient of x",
            "replaced",
        ),
        (
            {"input_grad": lambda self, dy, cache: RIGHT.input_grad(self, dy, cache) * len(dy)},
            "the gradient of x",
            "left out",
        ),
        (
            {"param_grads": spoils_weight_gradient(lambda n: True, lambda dw: dw / 5)},
            None,  # wrong, but of each example alone
            None,
        ),
        ({"param_grads": spoils_weight_gradient(lambda n: n == 5)}, "the gradient of w", "left out"),
    ],
    ids=["batch mean", "batch size", "neighbours' x", "dx by size", "alone", "dw by size"],
)
def test_what_says_each_alone_and_mixes_the_batch_is_caught_and_told_how(spoilt, what, how):
    found = claimed_alone(trial(True, each_alone=True, **spoilt))
    assert len(found) == (what is not None)
    if found:
        assert f"says each_alone = True, but in training {what} of some examples changes" in found[0]
        assert f"the others of their batch are {how};" in found[0]


def test_what_says_each_alone_and_takes_no_smaller_batch_is_told_so():
    found = claimed_alone(trial(True, each_alone=True, forward=refuses(2)))
    assert found == ["says each_alone = True, but fails when others are left out (ValueError: not so many)"]


def test_the_check_of_a_layer_asks_whether_its_claim_holds():
    class Mixes(nn.Layer):
        each_alone = True

        def forward(self, x, *, train, rng=None):
            return (x - x.mean(axis=0) if train else x), train

        def input_grad(self, dy, cache):
            return dy - dy.mean(axis=0) if cache else dy

    report = check_layer(Mixes(), (3,))
    assert not report
    assert "says each_alone = True, but in training the output of some examples" in " ".join(str(report).split())
    assert check_layer(type("Silent", (Mixes,), {})(), (3,))


def test_a_claim_against_what_else_the_layer_says_is_refused_by_the_network():
    def least_batch(self, in_shape):
        return 2

    for said, told in (
        ({"across_batch": True}, "across_batch = True, too: only one"),
        ({"least_batch": least_batch}, "learns from 2 examples at a time or more: only one"),
    ):
        assert trial(True, **said)
        with pytest.raises(ArgumentError, match=rf"layer 0 \(Spoilt\(\)\) says each_alone = True, and {told}"):
            trial(True, each_alone=True, **said)


def test_outputs_of_other_shapes_are_as_far_apart_as_can_be():
    assert apart(np.array([1.0, -2]), np.array([3.0, 2])) == 4
    assert apart(np.array([1.0, np.nan, 5]), np.array([1.5, 9, np.inf])) == 0.5
    assert apart(np.array([1.0]), np.array([[1.0]])) == np.inf
    assert apart(1.0, 3.0) == 2
