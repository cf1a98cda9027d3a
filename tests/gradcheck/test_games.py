"""The point at which a recipe's steps are checked, and what is looked for in a step of one's own."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest

from minigan.gan import Feeding, GANLoss, Penalty, discriminator_step, generator_step, pack
from minigan.gradcheck import check_discriminator_step, check_generator_step, games
from minigan.gradcheck.games import (
    Still,
    asleep,
    check_recipe,
    kinks_of_both_steps,
    least_spread,
    step_aside,
)
from minigan.gradcheck.numeric import gradient
from minigan.gradcheck.trial import SameDraws
from minigan.nn import BatchNorm, Conv2d, Dense, Dropout, Flatten, Layer, LeakyReLU, ReLU, Reshape, Sequential, Tanh
from minigan.nn.init import ones
from minigan.recipes import RECIPES

HINGE = GANLoss(kind="hinge", output="logit")
LOGIT = GANLoss(output="logit")


def draw(*shape, seed=0):
    return np.random.default_rng([seed, 6]).standard_normal(shape)


def network(*layers, in_shape, seed=0):
    net = Sequential(layers, in_shape, rng=np.random.default_rng(seed), dtype=np.float64)
    net.params = 0.5 * draw(net.params.size, seed=seed)
    return net


# A step of one's own --------------------------------------------------------------------------------------------------


def players(*, packing=1, random=True):
    """Both with a BatchNorm and a Dropout, and so another pass in training, and with other draws."""
    drops = [Dropout(drop=0.4)] if random else []
    G = network(Dense(6), BatchNorm(), *drops, Tanh(), Dense(4), in_shape=(3,), seed=1)
    D = network(Dense(6), BatchNorm(), *drops, Tanh(), Dense(1), in_shape=(4 * packing,), seed=2)
    for net in (G, D):
        net.buffers = 2.0 + net.buffers
    return G, D


def through_G_alone(G, D, loss, z, *, packing, rng):
    """G's step, but D is left out on the way back."""
    x_fake, cache = G.forward(z, train=True, rng=rng)
    _, d_out = loss.for_generator(D.forward(pack(x_fake, packing), train=True, rng=rng)[0])
    G.backward(np.broadcast_to(d_out, (len(d_out), x_fake.size // len(d_out))).reshape(x_fake.shape).copy(), cache)


@pytest.fixture
def suspects(monkeypatch):
    """{what is said of it: the function that would have been differentiated}, once a step was checked."""
    found = {}
    monkeypatch.setattr(games, "compare", lambda subject, **options: found.update(subject.suspects))
    return found


def assert_is_gradient_of(function, net):
    """The network's gradients are those of the sum of what the function returns."""
    grads = {name: grad.copy() for name, grad in net.named_grads().items()}
    for name, array in net.named_params().items():
        np.testing.assert_allclose(gradient(function, array), grads[name], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("packing", [1, 2])
def test_a_generator_step_may_be_suspected_of_leaving_out_D(packing, suspects):
    (G, D), z = players(packing=packing), draw(6, 3)
    check_generator_step(G, D, LOGIT, z, feeding=Feeding(packing=packing))
    (said,) = suspects
    assert said.startswith("D is left out on the way back: what belongs to D's output goes straight into G")
    through_G_alone(G, D, LOGIT, z, packing=packing, rng=SameDraws())
    assert_is_gradient_of(suspects[said], G)


@pytest.mark.parametrize("half", ["loss_real", "loss_fake"])
def test_a_discriminator_step_may_be_suspected_of_losing_one_of_its_halves(half, suspects):
    (G, D), x, z = players(), draw(5, 4), draw(5, 3)
    check_discriminator_step(G, D, LOGIT, x, z)
    assert len(suspects) == 2
    said = f"it is the gradient of {half} alone: the other is overwritten, or never added"
    rng = SameDraws()
    x_fake, _ = G.forward(z, train=True, rng=rng)
    (out_real, real), (out_fake, fake) = (D.forward(x, train=True, rng=rng) for x in (x, x_fake))
    _, d_real, d_fake = LOGIT.for_discriminator(out_real, out_fake)
    D.backward(*((d_real, real) if half == "loss_real" else (d_fake, fake)))
    assert_is_gradient_of(suspects[said], D)


def test_a_step_of_ones_own_finds_gradients_of_zero_and_all_is_put_back():
    def adding(G, D, optimizer, loss, z, *, rng=None):
        x_fake, cache = G.forward(z, train=True, rng=rng)
        out, cache_D = D.forward(x_fake, train=True, rng=rng)
        value, d_out = loss.for_generator(out)
        G.backward(D.backward(d_out, cache_D), cache, accumulate=True)
        G.update_buffers(cache)
        return SimpleNamespace(loss=value)

    G, D = players()
    for net in (G, D):
        net.grads = 3.0
    kept = [(net.params.copy(), net.buffers.copy(), net.grads.copy()) for net in (G, D)]
    report = check_generator_step(G, D, LOGIT, draw(6, 3), step=adding)
    assert report, str(report)
    assert report.title == "generator_step"
    assert check_generator_step(G, D, LOGIT, draw(6, 3), elementwise=0, title="my step").title == "my step"
    for net, (params, buffers, grads) in zip((G, D), kept, strict=True):
        np.testing.assert_array_equal(net.params, params)
        np.testing.assert_array_equal(net.buffers, buffers)
        np.testing.assert_array_equal(net.grads, grads)


@pytest.mark.parametrize(
    ("feeding", "hears"), [(Feeding(), []), (Feeding(packing=2), ["feeding"])], ids=["plain", "packed"]
)
def test_a_step_of_ones_own_hears_of_the_feeding_only_where_it_is_not_the_plain_one(feeding, hears):
    heard = []

    def of_D(*args, rng, **options):
        heard.append([*options])
        return discriminator_step(*args, rng=rng, **options)

    def of_G(*args, rng, **options):
        heard.append([*options])
        return generator_step(*args, rng=rng, **options)

    G, D = players(packing=feeding.packing)
    options = {"feeding": feeding, "elementwise": 0, "directions": 1}
    check_discriminator_step(G, D, LOGIT, draw(6, 4), draw(6, 3), step=of_D, **options)
    check_generator_step(G, D, LOGIT, draw(6, 3), step=of_G, **options)
    assert heard
    assert all(names == hears for names in heard)


def test_a_loss_that_is_made_of_gradients_is_differentiated_whole_in_a_step_of_ones_own():
    G, D = network(Dense(4), in_shape=(3,)), network(Dense(1), in_shape=(4,), seed=1)

    def penalised(G, D, optimizer, loss, x_real, z, *, rng=None):  # Σ D(x)/N + |dD/dx|²/2, and its gradient by hand
        out, cache = D.forward(x_real, train=True, rng=rng)
        slope = D.backward(np.ones_like(out), cache, need_param_grads=False)[0]
        W, b = D.layers[0].grads["W"], D.layers[0].grads["b"]
        W[...], b[...] = (x_real.mean(0) + slope)[:, None], 1
        return SimpleNamespace(loss=out.mean() + slope @ slope / 2)

    report = check_discriminator_step(G, D, LOGIT, draw(6, 4), draw(6, 3), step=penalised)
    assert report, str(report)


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_differences_of_minigans_own_steps_are_those_of_whole_steps_without_their_way_back(player, monkeypatch):
    G, D = players()
    step, real, ways = getattr(games, f"{player}_step"), Sequential.backward, []
    check = {"discriminator": check_discriminator_step, "generator": check_generator_step}[player]
    arrays = (draw(6, D.in_shape[0]), draw(6, 3))[player == "generator" :]
    monkeypatch.setattr(
        Sequential, "backward", lambda net, *args, **flags: (ways.append(1), real(net, *args, **flags))[1]
    )
    found, counts = [], []
    for choice in ({}, {"step": step}):
        ways.clear()
        found.append(check(G, D, LOGIT, *arrays, **choice))
        counts.append(len(ways))
        assert not any("backward" in vars(net) for net in (G, D))
    assert str(found[0]) == str(found[1])
    for own, whole in zip(*(report.rows for report in found), strict=True):
        for name in ("analytic", "numeric", "bar", "low", "high"):
            np.testing.assert_array_equal(getattr(own, name), getattr(whole, name))
    assert counts[0] < counts[1] / 5


def test_the_way_back_is_left_out_only_where_one_array_alone_has_moved_and_comes_back_after_an_error():
    ends = np.array([2, 5, 6])
    for moved in ([], [0, 2], [1, 5], range(6)):
        assert not games.one_alone(np.isin(range(6), moved), ends)
    for moved in ([0], [1], [0, 1], [2, 4], [5]):
        assert games.one_alone(np.isin(range(6), moved), ends)
    assert not games.one_alone(np.ones(2, bool), np.array([2])), "of the only array, all that there is may have moved"
    net = network(Dense(2), in_shape=(3,))
    with pytest.raises(KeyError), games.no_way_back((net,)):
        raise KeyError
    assert "backward" not in vars(net)


# A penalty, which jumps at the kinks of D -----------------------------------------------------------------------------

WASSERSTEIN = GANLoss(kind="wasserstein", output="logit")


def beside_a_jump(distance, *, seed, kind="wgan-gp", layer=0):
    """A game whose penalty jumps where one unit of D's `layer` is by `distance` less, at a point of the penalty."""
    G = network(Dense(2), in_shape=(2,), seed=seed)
    hidden = [part for _ in range(1 + layer // 2) for part in (Dense(3), LeakyReLU(slope=0.2))]
    D = network(*hidden, Dense(1), in_shape=(2,), seed=seed + 100)
    D.params *= 3
    x, z, penalty = draw(3, 2, seed=seed), draw(3, 2, seed=seed + 1), Penalty(kind)
    at = penalty.points(x, G.forward(z, train=True)[0], SameDraws(games.POINTS)) if penalty.drawn else x
    for below in D.layers[: layer + 1]:
        at = below.forward(at, train=True)[0]
    D.layers[layer].b[0] -= at[1, 0] - distance
    return G, D, x, z, penalty


def a_thousandth_too_much(name):
    def step(G, D, *args, **options):
        done = discriminator_step(G, D, *args, **options)
        D.named_grads()[name][...] *= 1.001
        return done

    return step


@pytest.mark.parametrize("kind", ["wgan-gp", "r1"])
@pytest.mark.parametrize("distance", [1e-4, 1e-7, -1e-10, 0.0])
@pytest.mark.parametrize("layer", [0, 2])
def test_a_difference_across_a_jump_of_the_gradient_is_at_a_kink_and_never_called_wrong(kind, distance, layer):
    *game, penalty = beside_a_jump(distance, seed=1 + layer, kind=kind, layer=layer)
    report = check_discriminator_step(*game[:2], WASSERSTEIN, *game[2:], penalty=penalty, pure=False)
    assert not any(row.wrong.any() for row in report.rows), str(report)
    assert report.undecided == 0
    if distance == 1e-4:
        assert report, "a smaller step keeps clear of it"
        assert report.kinks == 0
    if distance == 0:
        assert report.kinks > 0


@pytest.mark.parametrize("distance", [1e-7, 0.0])
@pytest.mark.parametrize("name", ["0.Dense.W", "0.Dense.b", "2.Dense.W"])
def test_a_thousandth_too_much_beside_a_jump_is_found(distance, name):
    *game, penalty = beside_a_jump(distance, seed=3)
    step, options = a_thousandth_too_much(name), {"penalty": penalty, "pure": False}
    report = check_discriminator_step(*game[:2], WASSERSTEIN, *game[2:], step=step, **options)
    assert [row.name for row in report.rows if row.wrong.any()] == [name], str(report)


@pytest.mark.parametrize("name", ["wgan-gp", "r1"])
def test_the_penalised_recipes_are_checked_with_their_penalty_and_nothing_is_left_open(name):
    recipe = RECIPES[name].smoke()
    of_D, of_G = check_recipe(recipe, elementwise=20)
    for report in (of_D, of_G):
        assert report, str(report)
        assert report.undecided == report.kinks == 0
    plain, _ = check_recipe(dataclasses.replace(recipe, penalty="none"), elementwise=20)
    assert np.abs(plain["0.Dense.W"].analytic - of_D["0.Dense.W"].analytic).max() > 1e-3


# Kinks that the steps meet --------------------------------------------------------------------------------------------


class Seen(Layer):
    """Keeps what comes in; a kink of it would be at 0."""

    each_alone = True
    kinks = (0.0,)

    def __init__(self):
        self.inputs = []

    def forward(self, x, *, train, rng=None):
        self.inputs.append(x.copy())
        return x, None

    def input_grad(self, dy, cache):
        return dy


@pytest.mark.parametrize("packing", [1, 2])
@pytest.mark.parametrize("norm", [[BatchNorm], []], ids=["two batches to D", "two that are as one"])
@pytest.mark.parametrize("batching", ["separate", "concat"])
def test_the_kinks_that_are_looked_at_are_those_of_the_steps_passes(batching, norm, packing):
    loss, feeding = GANLoss(output="logit"), Feeding(batching=batching, packing=packing)
    of_G, of_D = Seen(), Seen()
    G = network(Dense(4), BatchNorm(), Dropout(drop=0.5), of_G, Dense(3), in_shape=(2,))
    norms = [kind() for kind in norm]
    D = network(Dense(5), *norms, Dropout(drop=0.5), of_D, Dense(1), in_shape=(3 * packing,))
    x, z = draw(6, 3), draw(6, 2)
    discriminator_step(G, D, Still(D), loss, x, z, feeding=feeding, rng=SameDraws())
    generator_step(G, D, Still(G), loss, z, feeding=feeding, rng=SameDraws())
    (in_D_step, in_G_step), seen_by_D = of_G.inputs, list(of_D.inputs)
    np.testing.assert_array_equal(in_D_step, in_G_step)

    met = kinks_of_both_steps(G, D, loss, x, z, feeding)
    expected = [(G, in_G_step), *((D, of) for of in seen_by_D)]
    assert len(seen_by_D) == (3 if norm and batching == "separate" else 2)
    assert [(net, i) for net, i, _ in met] == [(G, 3), *[(D, 2 + len(norms))] * len(seen_by_D)]
    for (_, _, off), (_, of) in zip(met, expected, strict=True):
        np.testing.assert_array_equal(off, of)


@pytest.mark.parametrize("batching", ["separate", "concat"])
def test_the_kinks_of_the_hinge_are_where_an_answer_is_sure(batching):
    feeding = Feeding(batching=batching, packing=2)
    G, D = network(Dense(3), in_shape=(2,)), network(Dense(1), in_shape=(6,))
    x, z = draw(8, 3), draw(4, 2)
    (real_D, i, real), (fake_D, j, fake) = kinks_of_both_steps(G, D, HINGE, x, z, feeding)
    assert (real_D, i, fake_D, j) == (D, 1, D, 1)
    np.testing.assert_allclose(real, 1 - D(pack(x, 2)), rtol=1e-13)
    np.testing.assert_allclose(fake, 1 + D(pack(G(z), 2)), rtol=1e-13)


@pytest.mark.parametrize(
    ("real", "fake", "sleeps"),
    [
        ([-1.0, 0.0], [1.0, 1.0], True),
        ([1.0, 1.0], [0.0, -2.0], True),
        ([-1.0, 0.5], [0.5, -2.0], False),
        ([0.5, 0.5], [0.5, 0.5], False),
        ([-0.5, 0.0], [-0.5, 0.0], True),
    ],
)
def test_the_hinge_asks_nothing_of_D_where_all_answers_are_sure(real, fake, sleeps):
    G, D = players()
    met = [(D, len(D.layers), np.array(real)), (D, len(D.layers), np.array(fake))]
    others = [(D, 1, -np.ones(2)), (G, len(D.layers), -np.ones(2))]  # a layer's own kinks are another thing
    assert asleep(D, met + others) == sleeps
    assert not asleep(D, others)


def test_the_least_spread_is_the_smallest_that_any_batchnorm_divides_by():
    identity = network(Dense(3), BatchNorm(), Tanh(), Dense(2), BatchNorm(), in_shape=(3,))
    identity.layers[0].W[...], identity.layers[0].b[...] = np.eye(3), 7.0
    z = np.array([[2.0, 0.5, 4.0], [-2.0, -0.5, 4.0]])  # the spreads are 2, 1/2 and none
    y = np.tanh(identity.layers[1].forward(identity.layers[0].forward(z, train=True)[0], train=True)[0])
    second = identity.layers[3].forward(y, train=True)[0].std(axis=0)
    for scale in (1.0, 1e-3):
        identity.layers[3].W[...] *= scale
        np.testing.assert_allclose(least_spread(identity, z), min(0.5, scale * second.min()), rtol=1e-9)
    identity.layers[0].W[...] *= 8.0
    identity.layers[3].W[...] = 1e3 * np.eye(3, 2)
    np.testing.assert_allclose(least_spread(identity, z), 4.0, rtol=1e-9)
    assert least_spread(network(Dense(3), Tanh(), in_shape=(3,)), z) == np.inf


# Stepping aside of kinks ----------------------------------------------------------------------------------------------

MARGIN = 2 * games.KINK_MARGIN


def sides(net, i, met):
    """For each channel of the i-th layer's input 1 if it lies at least the margin above 0, -1 if below; touching it."""
    off = np.concatenate([off.reshape(-1, off.shape[-1]) for of, at, off in met if (of is net, at) == (True, i)])
    low, high = off.min(axis=0), off.max(axis=0)
    up, down = np.isclose(low, MARGIN, rtol=1e-9, atol=0), np.isclose(high, -MARGIN, rtol=1e-9, atol=0)
    return up.astype(int) - down


def images(channels=20, *, g_last=(), d_first=()):
    """A G and a D of images, with a bias, or a BatchNorm's, before each kinked layer of many places."""
    hidden = [Dense(8), ReLU(), Reshape(2, 2, 2), Conv2d(channels, 1), ReLU(), Conv2d(2, 1), *g_last]
    G = network(*hidden, in_shape=(3,), seed=3)
    convs = [Conv2d(channels, 1), BatchNorm(), LeakyReLU(slope=0.2), Conv2d(4, 2), ReLU()]
    D = network(*d_first, *convs, Flatten(), Dense(3), ReLU(), Dense(1), in_shape=(2, 2, 2), seed=4)
    return G, D


@pytest.mark.parametrize("batching", ["separate", "concat"])
def test_three_channels_in_four_are_moved_above_the_kink_and_the_fourth_below_it(batching):
    feeding = Feeding(batching=batching)
    (G, D), x, z = images(), draw(4, 2, 2, 2), draw(4, 3)
    before = G.layers[0].b.copy(), D.layers[6].b.copy(), D.layers[0].b.copy()
    lowest = set()
    for seed in range(8):
        step_aside(G, D, LOGIT, x, z, np.random.default_rng(seed), feeding)
        met = kinks_of_both_steps(G, D, LOGIT, x, z, feeding)
        for net, i in ((G, 4), (D, 2), (D, 4)):
            found = sides(net, i, met)
            first = int(np.argmin(found))
            np.testing.assert_array_equal(found, np.where(np.arange(found.size) % 4 == first, -1, 1))
            lowest.add(first)
    assert lowest == {0, 1, 2, 3}
    for b, kept in zip((G.layers[0].b, D.layers[6].b, D.layers[0].b), before, strict=True):
        np.testing.assert_array_equal(b, kept)  # few units need no help, and BatchNorm has a bias of its own


def test_a_layer_of_more_than_5000_units_steps_aside_too():
    x, z = draw(5, 4), draw(5, 3)
    for units, moved in ((5000, False), (5001, True)):
        G = network(Dense(units), ReLU(), Dense(4), in_shape=(3,))
        D = network(Dense(2), Tanh(), Dense(1), in_shape=(4,))
        kept = G.params.copy()
        step_aside(G, D, LOGIT, x, z, np.random.default_rng(0))
        assert np.array_equal(G.params, kept) == (not moved)
        assert bool(np.abs(sides(G, 1, kinks_of_both_steps(G, D, LOGIT, x, z))).all()) == moved


def test_where_no_bias_comes_before_the_kinks_nothing_is_moved():
    G, D = images(4, g_last=[Tanh(), LeakyReLU(slope=0.5)], d_first=[ReLU()])
    kept = G.layers[-3].b.copy(), D.layers[-1].b.copy()
    step_aside(G, D, LOGIT, draw(4, 2, 2, 2), draw(4, 3), np.random.default_rng(0))
    np.testing.assert_array_equal(G.layers[-3].b, kept[0])
    np.testing.assert_array_equal(D.layers[-1].b, kept[1])


@pytest.mark.parametrize(
    ("loss", "packing", "batch", "moved"),
    [
        (HINGE, 1, 2, True),
        (HINGE, 1, 5, True),
        (HINGE, 1, 1, False),  # of two real images one must be left to learn from
        (HINGE, 3, 6, True),
        (HINGE, 3, 3, False),
        (LOGIT, 1, 5, False),
    ],
)
def test_with_the_hinge_D_becomes_sure_of_one_real_image(loss, packing, batch, moved):
    G, D = network(Dense(4), in_shape=(3,)), network(Dense(1), in_shape=(4 * packing,))
    x, z = draw(batch, 4), draw(batch, 3)
    kept = D.params.copy()
    step_aside(G, D, loss, x, z, np.random.default_rng(0), Feeding(packing=packing))
    assert np.array_equal(D.params, kept) == (not moved)
    if moved:
        short = np.sort(1 - D(pack(x, packing)), axis=None)
        np.testing.assert_allclose(short[0], -short[1], rtol=1e-9)
        assert short[0] < 0 < short[1]


def test_a_D_without_a_bias_at_its_end_is_left_alone():
    G, D = network(Dense(4), in_shape=(3,)), network(Dense(1), Tanh(), in_shape=(4,))
    kept = D.params.copy()
    step_aside(G, D, HINGE, draw(5, 4), draw(5, 3), np.random.default_rng(0))
    np.testing.assert_array_equal(D.params, kept)


# The point of a recipe's check ----------------------------------------------------------------------------------------


class Search:
    """A check of a recipe with all but the search for its point taken out; `checked` is how often and where it was."""

    def __init__(self, monkeypatch, distances=None, *, spreads=None, sleeping=(), loss=LOGIT, z=2, units=2, out=1):
        self.tried, self.checked, self.built = [], [], []
        self.G = network(Dense(units), in_shape=(z,))
        self.D = network(Dense(out), in_shape=(units,))
        self.recipe = SimpleNamespace(
            name="trial",
            loss=loss,
            feeding=Feeding(),
            gradient_penalty=Penalty("r1"),
            latent_dim=z,
            image_shape=(units,),
            value_range=(2.0, 5.0),
            networks=self.networks,
        )
        if distances is not None:
            monkeypatch.setattr(games, "kinks_of_both_steps", lambda *args: len(self.tried) - 1)
            monkeypatch.setattr(games, "step_aside", self.note)
            monkeypatch.setattr(games, "least_distance", lambda k: distances[k])
            monkeypatch.setattr(games, "asleep", lambda D, k: k in sleeping)
            monkeypatch.setattr(games, "least_spread", lambda G, z: (spreads or {}).get(len(self.tried) - 1, np.inf))
        monkeypatch.setattr(games, "check_discriminator_step", self.check)
        monkeypatch.setattr(games, "check_generator_step", self.check)

    def networks(self, rng, dtype):
        self.built.append((rng.bit_generator.state["state"]["state"], dtype))
        return self.G, self.D

    def point(self, x, z):
        return [a.copy() for a in (self.G.params, self.D.params, x, z)]

    def note(self, G, D, loss, x, z, rng, feeding, penalty):
        assert penalty is self.recipe.gradient_penalty
        G.params += 0.25  # as stepping aside might
        self.tried.append(self.point(x, z))

    def check(self, G, D, loss, *arrays, **options):
        assert (G, D, loss) == (self.G, self.D, self.recipe.loss)
        assert options["feeding"] is self.recipe.feeding
        assert options.get("penalty") is (self.recipe.gradient_penalty if len(arrays) == 2 else None)
        self.checked.append((self.point(arrays[0], arrays[-1]), options))
        return options["title"]

    def run(self, **options):
        """Which of the points that were tried was checked."""
        self.titles = check_recipe(self.recipe, **options)
        (at_D, _), (at_G, _) = self.checked
        (found,) = (k for k, point in enumerate(self.tried) if all(map(np.array_equal, point, at_D)))
        for array in (0, 1, 3):
            np.testing.assert_array_equal(at_D[array], at_G[array])
        return found


@pytest.mark.parametrize(
    ("distances", "more", "taken"),
    [
        ([2e-3], {}, 0),
        ([1e-4, 5e-4, 1.001e-3], {}, 2),
        ([5e-4, 1e-4, *[0.0] * 48], {}, 0),
        ([1e-3, *[1e-4] * 49], {}, 0),  # the margin itself is not above it
        ([1e-4, 5e-4, *[5e-4] * 48], {}, 1),
        ([*[0.0] * 49, 1e-9], {}, 49),
        ([0.0] * 50, {}, 0),
        ([2e-3, 2e-3], {"spreads": {0: 0.0099}}, 1),  # too near to a step function
        ([2e-3], {"spreads": {0: 0.0101}}, 0),
        ([2e-3, 2e-3, 5e-4, 2e-3], {"sleeping": {0, 1, 2}}, 3),
        ([2e-3, *[1e-9] * 49], {"sleeping": {0}}, 1),
        ([0.0] * 50, {"sleeping": {0, 2}}, 1),
        ([1.0] * 50, {"sleeping": set(range(50))}, 0),
    ],
)
def test_the_first_point_of_fifty_far_from_all_kinks_is_taken_or_the_furthest(distances, more, taken, monkeypatch):
    search = Search(monkeypatch, distances, **more)
    assert search.run() == taken
    assert len(search.tried) == len(distances)


def test_of_large_networks_only_two_points_are_tried(monkeypatch):
    monkeypatch.setattr(games, "TRIES", 4)
    for size, sizes, tried in (
        (199_999, {"z": 1, "units": 66_666}, 4),
        (200_000, {"z": 3, "units": 33_333, "out": 2}, 2),
    ):
        search = Search(monkeypatch, [0.0] * 4, **sizes)
        assert search.G.params.size + search.D.params.size == size
        search.run()
        assert len(search.tried) == tried


def test_a_recipe_is_drawn_from_its_seed_and_is_of_float64(monkeypatch):
    found = {}
    for seed in (0, 0, 3):
        search = Search(monkeypatch, [0.0, 2e-3])
        search.run(seed=seed)
        assert search.built == [(np.random.default_rng(seed).bit_generator.state["state"]["state"], np.float64)]
        assert [options["seed"] for _, options in search.checked] == [seed, seed]
        found.setdefault(seed, []).append(search.checked[0][0])
        assert not np.array_equal(search.tried[0][3], search.tried[1][3])
    one, again = found[0]
    assert all(map(np.array_equal, one, again))
    assert not any(map(np.array_equal, one, found[3][0]))
    search = Search(monkeypatch, [0.0, 2e-3])
    search.run()
    assert all(map(np.array_equal, search.checked[0][0], one))  # 0 unless given


def test_the_batch_of_a_recipe_is_latents_and_images_within_its_range(monkeypatch):
    search = Search(monkeypatch, [2e-3], units=500)
    search.run(batch=7)
    ((_, _, x, z), _), _ = search.checked
    assert (x.shape, z.shape) == ((7, 500), (7, 2))
    assert 2.0 <= x.min() < 2.01
    assert 4.99 < x.max() <= 5.0
    search = Search(monkeypatch, [2e-3])
    search.run()
    assert len(search.checked[0][0][3]) == 4


def test_the_weights_are_larger_than_published_ones(monkeypatch):
    search = Search(monkeypatch, [2e-3], units=900)
    monkeypatch.setattr(
        games, "step_aside", lambda G, D, loss, x, z, rng, feeding, penalty: search.tried.append(search.point(x, z))
    )
    search.run()
    few, many = search.G.named_params()["0.Dense.W"], search.D.named_params()["0.Dense.W"]
    np.testing.assert_allclose(few.std(), 1 / 2, rtol=0.05)  # sums of 2 terms, and
    np.testing.assert_allclose(many.std(), 1 / math.sqrt(900), rtol=0.05)  # of 900
    np.testing.assert_allclose(search.G.named_params()["0.Dense.b"].std(), 1 / 2, rtol=0.05)


def test_a_parameter_that_is_a_single_number_is_drawn_like_a_bias(monkeypatch):
    class Scale(Layer):
        def params(self, in_shape):
            return {"a": ((), ones)}

    search = Search(monkeypatch, [2e-3])
    search.G = network(Dense(2), Scale(), in_shape=(2,))
    before = search.G.params[-1]
    assert search.run() == 0
    assert search.G.params[-1] not in (before, before + 0.25)


def test_a_recipes_reports_are_of_both_steps(monkeypatch):
    search = Search(monkeypatch, [2e-3])
    search.run(elementwise=7)
    assert search.titles == ["trial, D's step", "trial, G's step"]
    assert [options["elementwise"] for _, options in search.checked] == [7, 7]
    search = Search(monkeypatch, [2e-3])
    search.run(note="small")
    assert search.titles == ["trial, D's step (small)", "trial, G's step (small)"]


def test_a_recipe_steps_aside_of_its_kinks_before_it_is_checked(monkeypatch):
    search = Search(monkeypatch, loss=HINGE)
    check_recipe(search.recipe)
    ((_, _, x, _), _), _ = search.checked
    short = np.sort(1 - search.D(x), axis=None)
    np.testing.assert_allclose(short[0], -short[1], rtol=1e-9)


def test_what_stands_still_takes_no_step():
    G, _ = players()
    kept = G.params.copy()
    G.grads = 1.0
    Still(G).step()
    np.testing.assert_array_equal(G.params, kept)
