"""What a pair of functions, a loss, a layer and a network are checked as: their arrays, points, passes and draws."""

import math

import numpy as np
import pytest

from minigan.errors import ArgumentError
from minigan.gradcheck import targets
from minigan.gradcheck.report import Report, Row
from minigan.gradcheck.targets import (
    KINK_MARGIN,
    check_layer,
    check_loss,
    check_network,
    check_pair,
    distance_to_kinks,
    kinks_met,
    least_distance,
    name_of,
    numbers,
    other_points,
    reordered_examples,
)
from minigan.gradcheck.trial import SameDraws
from minigan.nn import Dense, Dropout, Layer, LeakyReLU, ReLU, Sequential, Tanh
from minigan.nn.init import ones

X, W = np.arange(6.0).reshape(3, 2) - 1.5, np.array([[2.0], [-0.5]])


class Checked:
    """In the place of the comparison: what it was given, and a report that says as much as it is told to."""

    def __init__(self, monkeypatch):
        self.subject, self.options, self.report = None, {}, Report("trial")
        monkeypatch.setattr(targets, "compare", self.compare)
        monkeypatch.setattr(targets, "breaches", self.breaches)
        self.promises = []

    def compare(self, subject, **options):
        self.subject, self.options = subject, options
        self.seen(subject)
        return self.report

    def seen(self, subject):
        """To be replaced by what is to be looked at while the check is under way."""

    def breaches(self, trial, layers, *, right):
        self.promises.append((trial, layers, right))
        return ["it breaks its promise"]


@pytest.fixture
def checked(monkeypatch):
    return Checked(monkeypatch)


# Points at which functions are called besides -------------------------------------------------------------------------


def test_other_points_are_other_values_larger_ones_and_a_smaller_batch():
    x, labels, w = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([0, 2, 1]), np.array([7.0, 8.0])
    values = {"x": x, "axis": 1, "labels": labels, "w": w, "a": np.array(3.0)}
    what, points = zip(*other_points(values), strict=True)
    assert what == ("on other values", "on larger values", "on a smaller batch", "on a smaller batch")
    assert [list(point) for point in points] == [["x", "labels", "w", "a"], ["x", "w", "a"], ["x", "labels"], ["x"]]
    other, larger, smaller, alone = points
    assert sorted(other["labels"]) == [0, 1, 2]
    assert not np.array_equal(other["x"], x)
    np.testing.assert_array_equal(larger["x"], 3 * x)
    np.testing.assert_array_equal(smaller["x"], x[:2])
    np.testing.assert_array_equal(smaller["labels"], labels[:2])
    np.testing.assert_array_equal(alone["x"], x[:2])
    assert not np.shares_memory(smaller["x"], x)


@pytest.mark.parametrize(
    ("x", "factor"), [([0.0, 2.0], 3), ([0.5, 0.25], 3), ([-0.5, 2.0], -3), ([-2.0, -3.0], -3), ([1.0, -1.0], -3)]
)
def test_numbers_of_both_signs_change_theirs_at_larger_values_and_positive_ones_stay_so(x, factor):
    larger = dict(other_points({"x": np.array(x)}))["on larger values"]
    np.testing.assert_array_equal(larger["x"], factor * np.array(x))


@pytest.mark.parametrize(
    ("values", "smaller", "orders"),
    [
        ({"x": np.ones((2, 3))}, 2, 3),
        ({"x": np.ones((1, 3))}, 0, 0),
        ({"x": np.array(1.0)}, 0, 0),
        ({"axis": 1}, 0, 0),
        ({"x": np.array(1.0), "w": np.ones(4)}, 0, 0),  # the first says what a batch is
    ],
)
def test_a_batch_of_one_is_neither_made_smaller_nor_reordered(values, smaller, orders):
    assert [what for what, _ in other_points(values)].count("on a smaller batch") == smaller
    assert len(reordered_examples(values)) == orders


def test_examples_are_reordered_together_with_their_labels_and_nothing_else():
    x, labels, w, a = np.arange(8.0).reshape(4, 2), np.array([10, 11, 12, 13]), np.arange(3.0), np.array(1.0)
    found = reordered_examples({"x": x, "axis": 1, "labels": labels, "w": w, "a": a})
    assert [point["labels"].tolist() for point in found] == [[13, 12, 11, 10], [13, 10, 11, 12], [10, 13, 12, 11]]
    for point in found:
        assert list(point) == ["x", "labels", "w", "a"]
        np.testing.assert_array_equal(point["x"], x[point["labels"] - 10])
        assert point["w"] is w
        assert point["a"] is a


# Pairs of functions ---------------------------------------------------------------------------------------------------


def matmul(x, w, axis=0):
    return x @ w, (x, w)


def matmul_backward(dy, cache):
    x, w = cache
    return dy @ w.T, x.T @ dy


def test_a_pair_is_checked_at_its_float_arrays_and_all_else_is_handed_through(checked):
    labels = np.array([2, 0, 1])

    def forward(x, labels, w, axis, rate, training):
        assert (axis, rate, training) == (1, 0.25, True)
        return x @ w, labels

    assert check_pair(forward, matmul_backward, X, labels, W.tolist(), 1, 0.25, True, seed=3) is checked.report
    subject = checked.subject
    assert checked.options == {"title": "forward and matmul_backward", "seed": 3}
    assert (subject.inputs, subject.batched, subject.constants) == (("x", "w"), ("x",), {"axis": 1.0, "rate": 0.25})
    np.testing.assert_array_equal(subject.arrays["x"], X)
    np.testing.assert_array_equal(subject.arrays["w"], W)
    (state,) = subject.state
    np.testing.assert_array_equal(state, labels)
    assert state is not labels
    assert subject.arrays["x"] is not X
    np.testing.assert_array_equal(subject.forward(x=2 * X)[0], 2 * X @ W)
    assert [what for what, _ in subject.others][:2] == ["on other values", "on larger values"]
    np.testing.assert_array_equal(subject.others[1][1]()[0], 9 * X @ W)  # both of them -3 times as large
    assert [point["labels"].tolist() for point in subject.elsewhere] == [[1, 0, 2], [1, 2, 0], [2, 1, 0]]


@pytest.mark.parametrize(
    ("forward", "arrays", "names"),
    [
        (lambda x, *rest: (x, None), (X, X, X), ["x", "rest[0]", "rest[1]"]),
        (lambda *all: (all[0], None), (X, X), ["all[0]", "all[1]"]),
        (lambda x, rng, w: (x, None), (X, X), ["x", "w"]),
        (lambda rng, x, w=1, b=2: (x, None), (X, X), ["x", "w"]),
        (lambda x, *rest, eps=1.0, **options: (x, eps), (X,), ["x"]),
        (lambda x, *rest, eps=1.0, **options: (x, eps), (X, X), ["x", "rest[0]"]),
        (lambda argument, w=None: (argument, w), (X, X), ["argument", "w"]),
    ],
)
def test_arrays_have_the_names_of_their_arguments(forward, arrays, names, checked):
    check_pair(forward, lambda dy, _: dy, *arrays)
    assert list(checked.subject.arrays) == names
    assert checked.subject.inputs == tuple(names)
    np.testing.assert_array_equal(checked.subject.forward()[0], X)


def test_arguments_that_are_given_by_name_alone_are_so_where_there_is_an_rng(checked):
    check_pair(lambda rng, *, x, w: (x @ w, None), matmul_backward, X, W)
    assert list(checked.subject.arrays) == ["x", "w"]
    np.testing.assert_array_equal(checked.subject.forward()[0], X @ W)


def test_more_arrays_than_a_forward_takes_are_refused_by_python():
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
        check_pair(lambda x, **options: (x, None), lambda dy, _: dy, X, X)


def test_a_forward_is_given_the_same_draws_on_every_call_and_others_in_between(checked):
    def by_rng(x, rng, w):
        return x * rng.uniform(x.shape) + w.sum(), None

    def by_rng_last(*arrays, rng):
        return arrays[0] * rng.uniform(arrays[0].shape) + arrays[1].sum(), None

    def by_global(x, w):
        return x * np.random.rand(*x.shape) + w.sum(), None  # noqa: NPY002

    before = np.random.get_state()[1].copy()  # noqa: NPY002
    for forward in (by_rng, by_rng_last, by_global):
        drawn = []

        def seen(subject, drawn=drawn):
            drawn += [(subject.forward()[0] - 1.5) / X for _ in range(2)]
            smaller = dict(subject.others)["on a smaller batch"]
            np.random.seed(5)  # noqa: NPY002
            drawn.append((smaller()[0] - 1.5) / X[:2])

        checked.seen = seen
        check_pair(forward, lambda dy, _: (dy, dy), X, W)
        again, once_more, other = drawn
        np.testing.assert_array_equal(again, once_more)
        assert not np.isclose(other, again[:2]).any()
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.testing.assert_allclose((by_rng(X, SameDraws(0), W)[0] - 1.5) / X, SameDraws().uniform(X.shape))


@pytest.mark.parametrize(
    ("returned", "found"),
    [
        ([X, W], {"x": X, "w": W}),
        ((X, None, W), {"x": X, "w": W}),
        ([X, 5.0, W], {"x": X, "w": W}),
        (X, "backward returned 1 gradients for x, w"),
        ((X, W, X, W), "backward returned 4 gradients for x, w"),
        (None, "backward returned 1 gradients for x, w"),
    ],
)
def test_backward_returns_a_gradient_for_each_array_or_for_each_argument(returned, found, checked):
    def backward(dy, cache):
        return returned

    check_pair(lambda x, labels, w: (x, None), backward, X, np.arange(3), W)
    if isinstance(found, str):
        with pytest.raises(ArgumentError, match=found):
            checked.subject.backward(X, None)
        return
    grads = checked.subject.backward(X, None)
    assert list(grads) == list(found)
    for name, grad in grads.items():
        np.testing.assert_array_equal(grad, found[name])


@pytest.mark.parametrize(
    ("x", "y", "batched"),
    [
        (X, X[:, :1], ("x",)),
        (X, X.T, ()),
        (X, X.sum(), ()),
        (np.array(2.0), np.array(4.0), ()),
        (np.array(2.0), X, ()),
    ],
)
def test_the_first_array_has_a_batch_if_y_is_as_long(x, y, batched, checked):
    check_pair(lambda x, w: (y, None), lambda dy, _: (dy, dy), x, W)
    assert checked.subject.batched == batched


def test_a_pair_without_arrays_has_nothing_to_check():
    with pytest.raises(ArgumentError, match="there is nothing to check, no array of floats was given"):
        check_pair(lambda n: (np.ones(3), None), lambda dy, _: (), 3)


def test_a_function_without_a_name_has_that_of_its_class():
    class Doubling:
        def __call__(self, x):
            return 2 * x

    assert (name_of(matmul), name_of(Doubling())) == ("matmul", "Doubling")


# Losses ---------------------------------------------------------------------------------------------------------------


def squares(p):
    return (p * p).sum(), 2 * p


def test_a_loss_is_checked_as_it_is_under_the_name_of_its_argument():
    report = check_loss(squares, X)
    assert report, str(report)
    assert report.title == "squares"
    np.testing.assert_array_equal(report["p"].analytic, 2 * X)  # not of a multiple of the loss
    assert check_loss(squares, X, title="mine").title == "mine"


def test_a_loss_is_called_at_other_points_too(checked):
    check_loss(squares, X, seed=4)
    subject = checked.subject
    assert checked.options == {"title": "squares", "dy": 1.0, "seed": 4}
    assert [what for what, _ in subject.others] == [
        "on other values",
        "on larger values",
        "on a smaller batch",
        "on a smaller batch",
    ]
    np.testing.assert_allclose(subject.others[1][1]()[0], 9 * (X * X).sum())
    assert subject.inputs == ("p",)
    check_loss(lambda p: p.sum(), X)
    with pytest.raises(ArgumentError, match=r"<lambda> must return \(value, gradient\), and it returned float64"):
        checked.subject.forward()


# Layers and networks --------------------------------------------------------------------------------------------------


class Seen(Layer):
    """Keeps what comes in; a kink of it would be at 0."""

    kinks = (0.0,)

    def __init__(self):
        self.passes, self.slope, self.on = [], 0.5, True

    def forward(self, x, *, train, rng=None):
        self.passes.append((x.copy(), train))
        return x, None

    def input_grad(self, dy, cache):
        return dy


def net(*layers, in_shape=(3,), dtype=np.float32):
    return Sequential(layers, in_shape, rng=np.random.default_rng(0), dtype=dtype)


def test_a_layer_is_checked_under_its_own_names_and_a_network_under_its_own(checked):
    check_layer(Dense(2), (3,))
    assert list(checked.subject.arrays) == ["x", "W", "b"]
    assert checked.options["title"] == "Dense(features=2, bias=True) on (3,), train=True"
    assert list(checked.subject.backward(np.ones((5, 2)), checked.subject.forward()[1])) == ["x", "W", "b"]
    check_layer(Dense(2), (3,), train=False, title="mine")
    assert checked.options["title"] == "mine"
    check_network(net(Dense(2), Tanh()))
    assert list(checked.subject.arrays) == ["x", "0.Dense.W", "0.Dense.b"]
    assert checked.options["title"].startswith("Sequential")
    assert checked.options["title"].endswith(", train=True")
    check_network(net(Dense(2)), title="mine", train=False)
    assert checked.options["title"] == "mine"


def test_a_network_is_checked_in_float64_at_the_batch_and_the_seed_that_are_asked_for(checked):
    points = {}
    for seed, batch in ((0, 5), (3, 7)):
        check_network(net(Dense(2)), **({} if not seed else {"seed": seed, "batch": batch}), elementwise=9)
        assert checked.options["seed"] == seed
        assert checked.options["elementwise"] == 9
        points[seed] = checked.subject.arrays
        assert points[seed]["x"].shape == (batch, 3)
        assert all(array.dtype == np.float64 for array in points[seed].values())
        drawn = net(Dense(2))
        np.testing.assert_array_equal(targets.random_input(drawn, batch, [seed, 0]), points[seed]["x"])
    assert not np.isclose(points[0]["W"], points[3]["W"]).any()


@pytest.mark.parametrize(
    ("distances", "taken"),
    [
        ([2 * KINK_MARGIN], 0),
        ([0.0, 0.9e-3, 1.1e-3], 2),
        ([KINK_MARGIN, *[0.0] * 49], 0),  # the margin itself is not above it
        ([1e-4, 5e-4, *[5e-4] * 48], 1),
        ([*[0.0] * 49, 1e-9], 49),
        ([0.0] * 50, 0),
    ],
)
def test_the_first_point_of_fifty_far_from_all_kinks_is_taken_or_the_furthest(distances, taken, checked, monkeypatch):
    tried, left = [], list(distances)

    def distance(net, x, *, train):
        assert not train
        tried.append({"x": x.copy(), **{name.rsplit(".")[-1]: a.copy() for name, a in net.named_params().items()}})
        return left.pop(0)

    monkeypatch.setattr(targets, "distance_to_kinks", distance)
    check_network(net(Dense(2)), train=False)
    assert len(tried) == len(distances)
    same = [all(np.array_equal(point[n], a) for n, a in checked.subject.arrays.items()) for point in tried]
    assert same.index(True) == taken
    assert sum(same) == 1


def test_a_network_that_gives_nan_everywhere_is_refused():
    class Lost(Layer):
        def forward(self, x, *, train, rng=None):
            return x * np.nan, None

        def input_grad(self, dy, cache):
            return dy * np.nan

    with pytest.raises(ArgumentError, match="the output holds NaN or Inf at the point of the check"):
        check_network(net(Lost(), ReLU()))


@pytest.mark.parametrize("train", [True, False])
def test_a_network_is_passed_other_values_a_larger_batch_and_the_other_mode_in_between(train, checked):
    check_network(net(Dropout(drop=0.5), Seen()), train=train, batch=200, seed=2)
    subject = checked.subject
    (at_point, _) = subject.forward()
    assert [what for what, _ in subject.others] == [
        "on other values and draws",
        "on a larger batch",
        f"with train={not train}",
    ]
    values, larger, mode = (other()[0] for _, other in subject.others)
    np.testing.assert_array_equal(subject.forward()[0], at_point)
    assert (values.shape, larger.shape, mode.shape) == ((200, 3), (400, 3), (200, 3))
    for random, of, size in ((train, values, 3.0), (train, larger, 1.0), (not train, mode, 1.0)):
        assert 0.4 < np.mean(of == 0) < 0.6 if random else of.all()
        np.testing.assert_allclose(of[of != 0].std(), size * (2 if random else 1), rtol=0.08)
    if train:
        assert (np.equal(values, 0) != np.equal(at_point, 0)).any()  # other draws
        np.testing.assert_array_equal(np.equal(larger[:200], 0), np.equal(at_point, 0))  # the same
    assert not np.isclose(values, 3 * at_point).all()
    more = np.random.default_rng([2, 50]).standard_normal((400, 3))  # of a seed of their own: the 50 before are points
    np.testing.assert_array_equal(subject.forward(more)[0], larger)


def test_the_numbers_of_the_layers_are_known_to_the_diagnosis_and_the_buffers_are_watched(checked):
    net_ = net(Dropout(drop=0.25), Seen(), LeakyReLU(slope=0.2))
    check_network(net_)
    assert checked.subject.constants == {"drop": 0.25, "slope": 0.2}
    (buffers,) = checked.subject.state
    assert buffers.size == 0
    assert (checked.subject.inputs, checked.subject.batched) == (("x",), ("x",))


def right_or_wrong(right):
    analytic = np.array([1.0, 1.0 if right else 2.0])
    zero = np.zeros(2)
    return Row("x", (2,), "entries", analytic, np.ones(2), zero, zero > 0, zero, zero, 1.0)


def test_what_a_layer_promises_is_looked_at_unless_there_are_problems_or_it_is_not_to_be(checked):
    for options, problems, looked in (({}, [], True), ({"pure": True}, [], True), ({"pure": False}, [], False)):
        for right in (True, False):
            checked.report, checked.promises = Report("trial", [right_or_wrong(right)], problems=list(problems)), []
            layer = Dense(2)
            report = check_network(net(layer), train=False, seed=6, **options)
            assert report.problems == (["it breaks its promise"] if looked else [])
            assert [told for _, _, told in checked.promises] == ([right] if looked else [])
            for trial, layers, _ in checked.promises:
                assert layers == [layer]
                assert (trial.train, trial.seed) == (False, 6)
                np.testing.assert_array_equal(trial.x, checked.subject.arrays["x"])
    checked.report, checked.promises = Report("trial", problems=["backward changes dy"]), []
    assert check_network(net(Dense(2))).problems == ["backward changes dy"]
    assert checked.promises == []


# Draws ----------------------------------------------------------------------------------------------------------------


class Parameters(Layer):
    """Of several shapes."""

    def params(self, in_shape):
        return {
            "few": ((2, 3000), ones),
            "eight": ((8, 1000), ones),
            "many": ((16, 8, 100), ones),
            "number": ((), ones),
        }

    def buffers(self, in_shape):
        return {"running": ((5000,), ones)}


def test_parameters_are_of_a_size_that_their_sums_allow_and_of_either_sign():
    drawn = net(Parameters())
    x = targets.random_input(drawn, 400, [0, 0])
    assert x.shape == (400, 3)
    np.testing.assert_allclose((x.mean(), x.std()), (0, 1), atol=0.1)
    for name, least, most in (("few", 0.2, 1.0), ("eight", 0.2, 1.0), ("many", 0.05, 0.25)):
        sizes = np.abs(drawn.named_params()[f"0.Parameters.{name}"])
        np.testing.assert_allclose((sizes.min(), sizes.max()), (least, most), atol=2e-3)
        assert 0.4 < np.mean(drawn.named_params()[f"0.Parameters.{name}"] > 0) < 0.6
    assert 0.2 <= abs(drawn.named_params()["0.Parameters.number"]) <= 1
    np.testing.assert_allclose((drawn.buffers.min(), drawn.buffers.max()), (0.5, 2.0), atol=1e-2)
    kept = drawn.params.copy()
    np.testing.assert_array_equal(targets.random_input(drawn, 400, [0, 0]), x)
    np.testing.assert_array_equal(drawn.params, kept)
    assert not np.isclose(targets.random_input(drawn, 400, [0, 1]), x).all()


def test_the_kinks_of_a_pass_are_those_of_each_layers_own_input():
    seen = Seen()
    of = net(Dense(2), Dropout(drop=0.5), seen, ReLU(), Tanh(), dtype=np.float64)
    x = np.array([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0]])
    for train in (True, False):
        seen.passes.clear()
        met, y = kinks_met(of, x, train=train, rng=SameDraws())
        expected, _ = of.forward(x, train=train, rng=SameDraws())
        np.testing.assert_array_equal(y, expected)
        assert [(found, i) for found, i, _ in met] == [(of, 2), (of, 3)]
        (into, mode), _ = seen.passes
        assert mode == train
        for _, _, off in met:
            np.testing.assert_array_equal(off, into)


def test_the_distance_to_kinks_is_the_least_of_any_that_is_not_exactly_at_one():
    assert least_distance([(None, 0, np.array([3.0, -0.25])), (None, 1, np.array([0.0, 7.0]))]) == 0.25
    assert least_distance([(None, 0, np.zeros(3))]) == math.inf
    assert least_distance([]) == math.inf
    relu, x = net(ReLU(), in_shape=(2,), dtype=np.float64), np.array([[3.0, -0.5], [0.0, 7.0]])
    assert distance_to_kinks(relu, x, train=True) == 0.5


def test_draws_are_the_same_for_a_seed_and_others_for_another():
    first = SameDraws().uniform((9,))
    np.testing.assert_array_equal(SameDraws(0).uniform((9,)), first)
    assert not np.isclose(SameDraws(1).uniform((9,)), first).any()


def test_only_plain_numbers_are_numbers():
    found = numbers({"drop": 0.5, "k": 3, "on": True, "name": "x", "array": np.ones(2), "none": None})
    assert found == {"drop": 0.5, "k": 3.0}
    assert all(type(value) is float for value in found.values())
