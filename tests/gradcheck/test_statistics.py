"""What a training pass leaves in the buffers: the steps of averages by hand, and layers that err in one place."""

import numpy as np
import pytest

from minigan import nn
from minigan.gradcheck import statistics as module
from minigan.gradcheck.statistics import (
    MovingAverage,
    Point,
    averaged,
    flipped,
    follow,
    hoarded,
    kept_on_purpose,
    runaway,
    statistics,
)
from minigan.gradcheck.trial import Trial
from minigan.nn.init import ones, zeros


class Norm(nn.Layer):
    """y = w·(h - mean)/deviation, h = x + 2: the batch's in training, running ones at inference. Spoilt below."""

    decay = 0.9

    def params(self, in_shape):
        return {"w": (in_shape, ones)}

    def buffers(self, in_shape):
        return {"mean": (in_shape, zeros), "deviation": (in_shape, ones)}

    def forward(self, x, *, train, rng=None):
        batch = {"mean": (x + 2).mean(axis=0), "deviation": x.std(axis=0)}
        mean, deviation = batch.values() if train else (self.mean, self.deviation)
        y = self.w * (x + 2 - mean) / deviation
        return y, {**batch, "x": x, "y": y}

    def input_grad(self, dy, cache):
        return dy

    def update_buffers(self, cache):
        for name in {"mean", "deviation"} & cache.keys():
            buffer = getattr(self, name)
            buffer[...] = self.decay * buffer + (1 - self.decay) * cache[name]


RIGHT = Norm


def network(*layers, n=5):
    net = nn.Sequential(layers, (3,), rng=np.random.default_rng(0), dtype=np.float64)
    return net, np.random.default_rng(1).standard_normal((n, 3))


def trial(train=True, **spoilt):
    """A trial of the layer with some of its methods or settings replaced."""
    net, x = network(type("Spoilt", (Norm,), spoilt)())
    return Trial(net, x, train=train)


def said(**spoilt):
    return " | ".join(statistics(trial(**spoilt)))


# The steps of an average ---------------------------------------------------------------------------------------------


def path(*values):
    return [np.atleast_1d(np.asarray(value, float)) for value in values]


AVERAGES = {
    "half is left": (path(0, 1, 1.5, 1.75), 0.5, [2]),
    "from above": (path(4, 3, 2.5, 2.25), 0.5, [2]),
    "two at once": (path([0, 8], [1, 4], [1.5, 2], [1.75, 1]), 0.5, [2, 0]),
    "nothing is left": (path(3, 1, 1, 1), 0, [1]),
    "three quarters": (path(0, 16, 28, 37), 0.75, [64]),
    "to and fro": (path(0, 1, 0, 1), -1, [0.5]),
    "away": (path(0, 1, 3, 7), 2, [-1]),
    "away again": (path(1, 2, 5, 14), 3, [0.5]),
}


@pytest.mark.parametrize("name", AVERAGES)
def test_an_average_is_known_by_steps_that_are_in_one_proportion(name):
    steps, ratio, limit = AVERAGES[name]
    for size in (1.0, -1.0, 1e4, 1e-4):
        average = averaged([size * values for values in steps])
        assert average
        assert average.ratio == pytest.approx(ratio)
        assert average.limit == pytest.approx(size * np.array(limit))


@pytest.mark.parametrize(
    "steps",
    [
        path(1, 1, 1, 1),
        path(0, 1, 2, 3),
        path([0, 0], [1, 2], [2, 4], [3, 6]),
        path(0, 1, 1.5, 1.7),
        path([0, 0], [1, 1], [1.5, 1.4], [1.75, 1.7]),
        path([0, 0], [1, 1], [1.5, 1.5], [1.75, 1.74]),
        path(0, 1, 1.5, np.inf),
        path(0, 1, np.nan, 1.75),
        path([0, 0], [1, 1], [1.5, 1.5], [1.75, np.nan]),
    ],
    ids=str,
)
def test_other_steps_are_no_average(steps):
    with np.errstate(invalid="ignore"):
        assert averaged(steps) is None


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize(("share", "known"), [(0.9e-9, True), (-0.9e-9, True), (1.1e-9, False), (-1.1e-9, False)])
def test_steps_may_be_out_of_proportion_by_a_share_of_the_largest_number(size, share, known):
    off = share * 1.75 * np.array([1, -1])
    first, second, third = np.ones(2), np.full(2, 0.5), np.full(2, 0.25)
    for steps in ((first, second + off, third + off / 2), (first, second, third + off)):
        values = [size * np.sum(steps[:n], axis=0) for n in range(4)]
        values[0] = np.zeros(2)
        assert (averaged(values) is not None) == known


def test_steps_that_grow_by_next_to_nothing_are_a_count():
    for excess, known in ((0.9e-9, False), (-0.9e-9, False), (1.2e-9, True), (-1.2e-9, True)):
        ratio = 1 + excess
        assert (averaged(path(0, 1, 1 + ratio, 1 + ratio + ratio**2)) is not None) == known


def test_what_runs_away_is_told_by_its_ratio():
    right = "; it should be self.m[...] = decay·self.m + (1 - decay)·batch"
    assert runaway("m", -0.25) == (
        "update_buffers turns the sign of what m held (-0.25 of it is left each time)" + right
    )
    assert runaway("m", 1.1) == (
        "update_buffers moves m away from the batch's statistic, with the same pass 1.1 times as far each time" + right
    )


# The sign and the hoard, on distances by hand ------------------------------------------------------------------------


class Distances:
    """In place of a training pass: how far inference is from it, by the numbers in the buffers."""

    def __init__(self, off):
        self.off = off


WRONG_SIGN = [
    "update_buffers gives m the wrong sign: at inference the layer comes near to what it does in training with -m, "
    "and not with m"
]

NEARER = [
    (0.0, 1.0, True),
    (0.24, 0.97, True),
    (0.24, 0.95, False),
    (0.26, 9.0, False),
    (0.25, 9.0, False),
    (0.125, 0.5, False),
    (0.125, 0.51, True),
    (0.2, 0.1, False),
    (9.0, 9.0, False),
    (0.0, 0.0, False),
]


@pytest.mark.parametrize(("turned", "off", "wrong"), NEARER)
def test_a_sign_is_wrong_if_inference_is_near_to_training_with_the_other_and_four_times_nearer(turned, off, wrong):
    point = Distances(lambda buffers: turned if buffers["m"] == -7 else off)
    averages = {"m": MovingAverage(0.5, np.array(7.0))}
    assert flipped(point, {"m": path(0, 1, 2, 3)}, averages) == (WRONG_SIGN if wrong else [])


def test_the_sign_of_one_buffer_is_turned_while_the_others_are_what_they_come_to():
    asked = []
    paths = {"m": path(0, 1, 1.5, 1.75), "n": path(10, 11, 12, 13), "v": path(0, 2, 3, 3.5)}
    averages = {"m": MovingAverage(0.5, np.array([2.0])), "v": MovingAverage(0.5, np.array([4.0]))}
    assert flipped(Distances(lambda buffers: asked.append(buffers) or 1.0), paths, averages) == []
    assert asked == [{"m": [m], "n": [13], "v": [v]} for m, v in ((2, 4), (-2, 4), (2, -4))]
    near = Distances(lambda buffers: 0.0 if buffers["v"] < 0 else 1.0)
    assert "gives v the wrong sign" in flipped(near, paths, averages)[0]


HOARDS = (
    "update_buffers adds the batch's statistic to m each time and forgets nothing of what it held; it should be "
    "self.m[...] = decay·self.m + (1 - decay)·batch"
)
GROWING = path([0, 0], [1, 2], [2, 4], [3, 6])


def towards(*statistic):
    """How far m is from the batch's statistic, as a share of it."""
    statistic = np.array(statistic, float)
    return Distances(lambda buffers: np.abs(buffers["m"] - statistic).max() / np.abs(statistic).max())


@pytest.mark.parametrize("share", [1, 0.9, 0.5, 0.2, 0.1, 0.07, 0.05, 0.01, 0.003, 0.001])
def test_what_grows_by_a_share_of_the_batchs_statistic_is_a_hoard(share):
    assert hoarded(towards(1 / share, 2 / share), {"m": GROWING}) == [HOARDS]
    assert hoarded(towards(-1 / share, -2 / share), {"m": GROWING}) == []


@pytest.mark.parametrize("share", [2, 1.5, 5e-4, 7e-4])
def test_more_than_the_whole_statistic_or_less_than_a_thousandth_is_no_share(share):
    assert hoarded(towards(1 / share, 2 / share), {"m": GROWING}) == []


@pytest.mark.parametrize(("once", "off", "wrong"), NEARER)
def test_a_hoard_is_told_if_one_share_is_near_to_training_and_four_times_nearer(once, off, wrong):
    point = Distances(lambda buffers: off if buffers["m"][0] == 3 else once)
    assert hoarded(point, {"m": GROWING}) == ([HOARDS] if wrong else [])


def test_the_others_are_what_they_come_to_while_one_buffer_is_looked_at():
    asked = []
    paths = {"n": path(10, 11, 12, 13), "m": GROWING}
    hoarded(Distances(lambda buffers: asked.append(buffers) or 1.0), paths)
    assert all(buffers["n"] == 13 for buffers in asked)
    once = Distances(lambda buffers: 9.0 if (buffers["m"] == [3, 6]).all() else 0.0)
    assert hoarded(once, paths) == [HOARDS]


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_a_count_or_what_does_not_grow_evenly_is_no_hoard(size):
    for values, hoard in (
        (([0, 0], [1, 1], [2, 2], [3, 3]), False),
        (([0, 0], [1, -1], [2, -2], [3, -3]), False),
        (([0, 0], [0, 0], [0, 0], [0, 0]), False),
        (([5, 6], [5, 6], [5, 6], [5, 6]), False),
        (([0, 0], [1, 1 + 0.9e-6], [2, 2 + 1.8e-6], [3, 3 + 2.7e-6]), False),
        (([0, 0], [1, 1 + 1.1e-6], [2, 2 + 2.2e-6], [3, 3 + 3.3e-6]), True),
        (([0, 0], [1, 2], [2, 4], [3, 6 + 5.4e-9]), True),
        (([0, 0], [1, 2], [2, 4], [3, 6 + 6.6e-9]), False),
        (([0, 0], [1, 2], [2, 4 + 5.4e-9], [3, 6]), True),
        (([0, 0], [1, 2], [2, 4 + 6.6e-9], [3, 6 + 6.6e-9]), False),
        (([0, 0], [1, 2], [1.5, 3], [1.75, 3.5]), False),
    ):
        steps = [size * v for v in path(*values)]
        only_held = Distances(lambda buffers, held=steps[-1]: 9.0 * np.array_equal(buffers["m"], held))
        found = hoarded(only_held, {"m": steps})
        assert bool(found) == hoard, (values, found)


def test_a_buffer_without_numbers_is_no_hoard():
    assert hoarded(Distances(lambda buffers: 0.0), {"m": [np.zeros(0)] * 4}) == []


# How far inference is from training ----------------------------------------------------------------------------------


class Shifted(nn.Layer):
    """x at training, x + b at inference."""

    def buffers(self, in_shape):
        return {"b": (in_shape, zeros)}

    def forward(self, x, *, train, rng=None):
        if (self.b > 100).any():
            raise ValueError("too many")
        return (x if train else x + self.b), "cache"

    def input_grad(self, dy, cache):
        return dy


@pytest.mark.parametrize(
    ("y", "b", "off"),
    [
        ([1, 3], [0], 0),
        ([1, 3], [2], 2),
        ([1, 3], [-2], 2),
        ([1, 5], [1], 0.5),
        ([0.5, 1.5], [1], 2),
        ([4, 4], [3], 3),
        ([1, 3], [101], np.inf),
        ([1, 3], [np.nan], np.inf),
        ([1, 3], [-np.inf], np.inf),
    ],
)
def test_the_distance_of_inference_from_training_is_a_share_of_the_spread_in_training(y, b, off):
    y = np.array(y, float)[:, None]
    shifted = Trial(nn.Sequential([Shifted()], (1,), rng=np.random.default_rng(0), dtype=np.float64), y, train=True)
    assert Point(shifted, y, y).off({"b": np.array(b, float)}) == off


def test_the_distance_is_the_root_of_the_mean_square():
    y = np.array([[1.0, 3.0], [3.0, 1.0]])
    shifted = Trial(nn.Sequential([Shifted()], (2,), rng=np.random.default_rng(0), dtype=np.float64), y, train=True)
    point = Point(shifted, y, y)
    assert point.off({"b": np.array([3.0, 4.0])}) == pytest.approx(np.sqrt(12.5))
    assert np.array_equal(point.at({"b": np.array([3.0, 4.0])}, train=False), [[4, 7], [6, 5]])
    assert np.array_equal(point.at({"b": np.array([3.0, 4.0])}, train=True), y)


def test_a_buffer_is_followed_over_three_updates_of_one_pass():
    right = trial(decay=0.5)
    cache = right.forward()[1]
    mean, deviation = follow(right, cache, np.array([4.0] * 3 + [1.0] * 3))
    batch = right.x.mean(axis=0) + 2
    for i, values in enumerate(mean):
        assert values == pytest.approx(batch + (4 - batch) * 0.5**i)
    assert len(mean) == len(deviation) == 4


# What inference reads and no update writes ---------------------------------------------------------------------------


def never(self, cache):
    pass


def only(*names):
    def update_buffers(self, cache):
        RIGHT.update_buffers(self, {name: cache[name] for name in names})

    return update_buffers


def never_writes(names):
    return (
        f"update_buffers never writes {names}, which inference reads where training reads the batch: it stays what it "
        "was born with"
    )


def test_what_inference_reads_and_no_update_writes_is_named():
    assert said(update_buffers=never) == never_writes("mean, deviation")
    assert said(update_buffers=only("mean")) == never_writes("deviation")
    assert said(update_buffers=only("deviation")) == never_writes("mean")
    assert said() == ""


def test_what_is_written_once_or_late_is_written():
    def at(when):
        def update_buffers(self, cache):
            self.n += 1
            for name in ("mean", "deviation"):
                if self.n[0] in when:
                    getattr(self, name)[...] = cache[name]

        return update_buffers

    def buffers(self, in_shape):
        return {**RIGHT.buffers(self, in_shape), "n": ((1,), zeros)}

    for when in ((1,), (2,), (3,), (1, 2, 3)):
        assert said(buffers=buffers, update_buffers=at(when)) == ""
    assert said(buffers=buffers, update_buffers=at(())) == never_writes("mean, deviation")


def with_spare(read_in_training=False, read_at_inference=False):
    """A further buffer, that no update writes."""

    def buffers(self, in_shape):
        return {**RIGHT.buffers(self, in_shape), "spare": (in_shape, ones)}

    def forward(self, x, *, train, rng=None):
        y, cache = RIGHT.forward(self, x, train=train)
        return y * (self.spare if (read_in_training if train else read_at_inference) else 1), cache

    return {"buffers": buffers, "forward": forward, "update_buffers": RIGHT.update_buffers}


def test_a_buffer_that_nobody_reads_or_that_training_reads_too_need_not_be_written():
    assert said(**with_spare()) == ""
    assert said(**with_spare(read_in_training=True)) == ""
    assert said(**with_spare(read_in_training=True, read_at_inference=True)) == ""
    assert said(**with_spare(read_at_inference=True)) == never_writes("spare")


def half_alone(self, cache):
    """Written with a setting of exactly 0.5, and of the pass that is given."""
    settings = {name: value for name, value in vars(self).items() if name not in self.grads and name != "grads"}
    if 0.5 in [value for value in settings.values() if isinstance(value, float)]:
        self.deviation += cache["deviation"]


@pytest.mark.parametrize(
    ("setting", "value", "kept"),
    [
        ("decay", 1.0, True),
        ("decay", 0.0, True),
        ("decay", 1, True),
        ("momentum", 0, True),
        ("my_momentum", 1, True),
        ("rate", 1.0, True),
        ("rate", 0.0, True),
        ("rate", 1, False),
        ("rate", 0, False),
        ("decay", 0.9, False),
        ("decay", 2.0, False),
        ("decay", -1.0, False),
        ("decay", 2, False),
        ("decay", True, False),
        ("decay", False, False),
        ("momentum", "1", False),
        ("momentum", None, False),
    ],
)
def test_buffers_that_another_decay_or_momentum_would_move_are_kept_on_purpose(setting, value, kept):
    frozen = trial(update_buffers=half_alone)
    (layer,) = frozen.net.layers
    setattr(layer, setting, value)
    for names in (["deviation"], ["mean", "deviation"]):
        assert kept_on_purpose(frozen, names) == kept
        assert getattr(layer, setting) is value
    assert not kept_on_purpose(frozen, ["mean"])
    assert ("never writes" in " ".join(statistics(frozen))) != kept


def test_a_setting_is_put_back_if_the_update_fails_with_another():
    def update_buffers(self, cache):
        if self.decay != 1:
            raise ValueError("not that one")

    frozen = trial(update_buffers=update_buffers)
    (layer,) = frozen.net.layers
    layer.decay = 1.0
    assert not kept_on_purpose(frozen, ["mean"])
    assert layer.decay == 1.0


# The whole rule ------------------------------------------------------------------------------------------------------


def test_right_layers_pass_whatever_their_decay():
    for decay in (0.0, 1e-3, 0.5, 0.9, 0.99, 0.999):
        assert said(decay=decay) == ""


def test_an_average_of_which_nothing_is_left_does_not_turn_its_sign_by_rounding():
    def update_buffers(self, cache):
        self.mean += 1.0 * (cache["mean"] - self.mean)
        self.deviation += 1.0 * (cache["deviation"] - self.deviation)

    for seed in range(5):
        net, x = network(type("Whole", (Norm,), {"update_buffers": update_buffers})())
        net.buffers[...] = 0.01, 0.37, 123.4, 0.1, 17.3, 9.9
        assert statistics(Trial(net, x, train=True, seed=seed)) == []


def signed(mean=1.0, deviation=1.0, keep=0.9):
    def update_buffers(self, cache):
        self.mean[...] = keep * self.mean + 0.1 * mean * cache["mean"]
        self.deviation[...] = keep * self.deviation + 0.1 * deviation * cache["deviation"]

    return update_buffers


def test_a_wrong_sign_a_hoard_and_what_runs_away_are_named():
    assert "gives mean the wrong sign" in said(update_buffers=signed(mean=-1))
    assert "gives deviation the wrong sign" in said(update_buffers=signed(deviation=-1))
    assert "adds the batch's statistic to mean each time" in said(update_buffers=signed(keep=1.0))
    away = said(update_buffers=signed(keep=1.1))
    assert "moves mean away" in away
    assert "moves deviation away" in away
    assert "turns the sign of what mean held (-0.9 of it" in said(update_buffers=signed(keep=-0.9))


def test_what_is_hoarded_is_told_before_what_is_never_written():
    def update_buffers(self, cache):
        self.mean += cache["mean"]

    assert "adds the batch's statistic to mean" in said(update_buffers=update_buffers)


def test_a_buffer_that_does_not_depend_on_the_batch_may_move_as_it_likes():
    def buffers(self, in_shape):
        return {**RIGHT.buffers(self, in_shape), "own": ((1,), ones)}

    def moving(by):
        def update_buffers(self, cache):
            RIGHT.update_buffers(self, cache)
            self.own *= by

        return update_buffers

    for by in (2.0, -1.0, 0.9):
        assert said(buffers=buffers, update_buffers=moving(by)) == ""


def changes(what):
    def update_buffers(self, cache):
        RIGHT.update_buffers(self, cache)
        what(self, cache)

    return update_buffers


def test_an_update_writes_nothing_but_buffers():
    for text, what in {
        "the parameters": lambda self, cache: self.w.__imul__(2),
        "the gradients": lambda self, cache: self.grads["w"].__imul__(0),
        "the parameters, the gradients": lambda self, cache: (self.w.fill(3), self.grads["w"].fill(3)),
        "x": lambda self, cache: cache["x"].__imul__(2),
        "y": lambda self, cache: cache["y"].__imul__(2),
    }.items():
        assert said(update_buffers=changes(what)) == f"update_buffers changes {text}; it may write buffers only"


def test_an_update_that_fails_or_rebinds_is_told():
    def fails(self, cache):
        raise KeyError("var")

    def rebinds(self, cache):
        self.mean = 0.9 * self.mean + 0.1 * cache["mean"]

    assert said(update_buffers=fails) == "update_buffers fails after a training pass (KeyError: 'var')"
    assert said(update_buffers=rebinds).startswith("self.mean = … puts another array in the place of the network's")


def test_an_update_that_goes_by_the_last_pass_is_told():
    def forward(self, x, *, train, rng=None):
        y, cache = RIGHT.forward(self, x, train=train)
        self.last = cache
        return y, cache

    assert said(forward=forward, update_buffers=lambda self, cache: RIGHT.update_buffers(self, self.last)).startswith(
        "update_buffers writes what the last forward pass left in the layer"
    )
    assert said(forward=forward) == ""


def test_at_inference_or_without_buffers_or_where_forward_fails_there_is_nothing_to_tell():
    def fails(self, cache):
        raise ValueError("an update")

    def refuses(self, x, *, train, rng=None):
        if len(x) > 5:
            raise ValueError("too many")
        return RIGHT.forward(self, x, train=train)

    assert statistics(trial(train=False, update_buffers=fails)) == []
    assert statistics(trial(train=True, update_buffers=fails)) != []
    assert said(forward=refuses, update_buffers=fails) == ""
    net, x = network(nn.Tanh())
    assert statistics(Trial(net, x, train=True)) == []


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize(("share", "told"), [(0.9e-6, False), (1.1e-6, True), (0.0, False), (np.inf, True)])
def test_inference_is_held_against_training_only_where_that_sees_the_batch(size, share, told, monkeypatch):
    def forward(self, x, *, train, rng=None):
        return size * np.sign(x - (0 if train else self.mean)), x

    monkeypatch.setattr(module, "coupling", lambda trial: share * size)
    assert bool(said(forward=forward, update_buffers=never)) == told
    assert said(forward=forward, update_buffers=never, across_batch=True) == ""


def test_outputs_that_are_all_zero_are_held_against_nothing():
    def forward(self, x, *, train, rng=None):
        return 0 * x + (0 if train else self.mean), x

    assert said(forward=forward, update_buffers=never) == ""


# Within a network ----------------------------------------------------------------------------------------------------


def test_each_layer_of_a_network_is_looked_at_by_itself():
    class Never(Norm):
        update_buffers = never

    for layers, expected in (
        ((Norm(), Norm()), []),
        ((Norm(), Never()), [f"1.Never: {never_writes('mean, deviation')}"]),
        ((Never(), nn.Tanh(), Never()), [f"{i}.Never: {never_writes('mean, deviation')}" for i in (0, 2)]),
    ):
        net, x = network(*layers)
        assert statistics(Trial(net, x, train=True)) == expected
        assert statistics(Trial(net, x, train=False)) == []


def test_a_layer_of_a_network_has_its_weights_and_its_buffers():
    """Told only with the numbers that it has in the network."""

    class Looks(Norm):
        def update_buffers(self, cache):
            if (self.w == 3).all() and self.mean[0] == 5:
                raise ValueError("these")

    net, x = network(nn.Tanh(), Looks())
    assert not any("fails" in problem for problem in statistics(Trial(net, x, train=True)))
    net.params[...] = 3
    net.buffers[...] = 5
    assert statistics(Trial(net, x, train=True)) == [
        "1.Looks: update_buffers fails after a training pass (ValueError: these)"
    ]


def test_a_layer_of_a_network_is_looked_at_at_its_own_shape_and_left_as_it_was():
    net = nn.Sequential([nn.Dense(4), Norm()], (3,), rng=np.random.default_rng(0), dtype=np.float64)
    kept = net.params.copy(), net.buffers.copy(), net.grads.copy()
    assert statistics(Trial(net, np.random.default_rng(1).standard_normal((5, 3)), train=True)) == []
    for before, now in zip(kept, (net.params, net.buffers, net.grads), strict=True):
        assert np.array_equal(before, now)
