"""What GANs are known for, in numbers: the vanishing minimax gradient, silent units, and one image for all.

The demos of the same names are the lessons, and too long to run here; their functions are put to the test.
"""

import ast
import types
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from minigan.backend import RandomStream
from minigan.data.batches import Batches
from minigan.data.glyphs import make_glyphs
from minigan.gan import GANLoss, discriminator_step, generator_step
from minigan.nn import Dense, ReLU, Sequential, Tanh
from minigan.optim import SGD, Adam

DEMOS = Path(__file__).parents[2] / "demos"
G_LOSSES = ("minimax", "non_saturating")


def functions(name, *constants):
    """The demo's imports, its functions and the named constants as a module; nothing of it is trained or drawn."""
    matplotlib.use("Agg")
    path = DEMOS / f"{name}.py"

    def wanted(node):
        if isinstance(node, ast.Assign):
            return any(isinstance(n, ast.Name) and n.id in constants for t in node.targets for n in ast.walk(t))
        return isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef)

    body = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if wanted(node)]
    demo = types.ModuleType(name)
    exec(compile(ast.Module(body, []), path, "exec"), demo.__dict__)
    return demo


@pytest.fixture(scope="module")
def minimax():
    return functions("plot_minimax", "LOSSES", "RECIPE")


@pytest.fixture(scope="module")
def leaky():
    return functions("plot_leaky_relu", "INIT", "LOSS", "ACTIVATIONS", "BATCH", "FEW")


@pytest.fixture(scope="module")
def collapse():
    return functions("plot_collapse", "RECIPE", "LATENTS")


@pytest.fixture(scope="module")
def images():
    return make_glyphs(600)[0]


# Minimax and non-saturating ------------------------------------------------------------------------------------------


def small_players(demo, **changes):
    """The demo's networks, narrower and in float64, and latents for them."""
    recipe = replace(demo.RECIPE, g_hidden=(32,), d_hidden=(32, 16), **changes)
    G, D = recipe.networks(np.random.default_rng(1), dtype=np.float64)
    return recipe, G, D, np.random.default_rng(2).standard_normal((40, recipe.latent_dim))


@pytest.mark.parametrize(
    ("output", "bias"),
    [  # not probabilities with bias -30: they would be below 1e-12, where their loss is clamped
        *(("logit", bias) for bias in (-30.0, -5.0, 0.0, 3.0)),
        *(("probability", bias) for bias in (-5.0, 0.0, 3.0)),
    ],
)
def test_the_minimax_gradient_of_every_fake_is_p_over_1_minus_p_of_the_non_saturating_one(minimax, output, bias):
    _, G, D, z = small_players(minimax, d_output=output)
    D.params[...] *= 3  # answers that differ from fake to fake
    dense = [layer for layer in D.layers if isinstance(layer, Dense)][-1]
    dense.b[...] = bias
    dx, dtheta = {}, {}
    for name in G_LOSSES:
        dx[name], dtheta[name], p = minimax.gradients(G, D, GANLoss(name, output), z)
    lengths = {name: np.linalg.norm(dx[name], axis=1, keepdims=True) for name in G_LOSSES}
    np.testing.assert_allclose(lengths["minimax"] / lengths["non_saturating"], p / (1 - p), rtol=1e-13)
    unit = {name: dx[name] / lengths[name] for name in G_LOSSES}  # and the direction is the same
    np.testing.assert_allclose(unit["minimax"], unit["non_saturating"], rtol=0, atol=1e-14)
    assert np.ptp(p) > 0.1 * p.mean()
    if bias <= -5:  # the same holds of G's weights, up to the largest and the smallest p
        ratio = np.linalg.norm(dtheta["minimax"]) / np.linalg.norm(dtheta["non_saturating"])
        assert ratio < 2 * p.max()


def sure_discriminator(minimax, images, *, steps=150):
    """Players of which D has been trained alone; and the lengths of G's gradient before and after, for each loss."""
    recipe, G, D, z = small_players(minimax)
    batches = Batches(images, 32, shape=(784,), dtype=np.float64)
    optimizer, rng = Adam(D, lr=3e-3, beta1=0.5), np.random.default_rng(3)
    lengths = {name: [] for name in G_LOSSES}
    for step in range(steps + 1):
        if step in (0, steps):
            for name in G_LOSSES:
                lengths[name].append(np.linalg.norm(minimax.gradients(G, D, minimax.LOSSES[name], z)[1]))
        latents = rng.standard_normal((32, recipe.latent_dim))
        discriminator_step(G, D, optimizer, minimax.LOSSES["minimax"], batches.batch(step), latents)
    return G, D, z, lengths


def test_as_d_becomes_sure_the_minimax_gradient_vanishes_and_the_other_does_not(minimax, images):
    _, _, _, lengths = sure_discriminator(minimax, images)
    assert lengths["minimax"][1] < lengths["minimax"][0] / 30
    assert lengths["non_saturating"][1] > lengths["non_saturating"][0]


def test_sgd_feels_the_vanishing_and_adam_does_not(minimax, images):
    moved = {}
    for make in (lambda G: SGD(G, lr=0.05), lambda G: Adam(G, lr=1e-3)):
        for name in G_LOSSES:
            G, D, z, _ = sure_discriminator(minimax, images, steps=100)
            start, optimizer = G.params.copy(), make(G)
            generator_step(G, D, optimizer, minimax.LOSSES[name], z)
            moved[type(optimizer), name] = np.linalg.norm(G.params - start)
    assert moved[SGD, "minimax"] < moved[SGD, "non_saturating"] / 100
    np.testing.assert_allclose(moved[Adam, "minimax"], moved[Adam, "non_saturating"], rtol=0.1)


# ReLU and LeakyReLU --------------------------------------------------------------------------------------------------


def test_a_leaky_discriminator_passes_a_gradient_to_every_fake_where_dead_relus_pass_none(leaky):
    x, depth = np.random.default_rng(0).standard_normal((20, 784)).astype("f"), 3
    D = {name: leaky.discriminator(layer, [8] * depth, 0) for name, layer in leaky.ACTIVATIONS.items()}
    np.testing.assert_array_equal(D["ReLU"].params, D["LeakyReLU"].params)
    for net in D.values():
        for layer in net.layers[:-1]:
            if isinstance(layer, Dense):
                layer.b[...] = -100
    for name, told in (("ReLU", 0.0), ("LeakyReLU", 0.2**depth)):
        lengths, shares = leaky.look(D[name], x)
        assert (shares == 1).all()
        matrices = [layer.W.astype(float) for layer in D[name].layers if isinstance(layer, Dense)]
        linear = np.linalg.norm(np.linalg.multi_dot(matrices))  # what comes through without any activation
        np.testing.assert_allclose(lengths, told * linear, rtol=1e-5)
    assert leaky.without_gradient(D["ReLU"], x) == 1
    assert leaky.without_gradient(D["LeakyReLU"], x) == 0


def test_a_fake_gets_no_gradient_exactly_if_a_whole_layer_is_silent_for_it(leaky):
    x = np.random.default_rng(0).standard_normal((200, 784)).astype("f")
    D = leaky.discriminator(ReLU(), [4, 4, 4], 1)
    for layer in D.layers[:-1]:
        if isinstance(layer, Dense):
            layer.W[...] *= 3  # so that units are silent for some of the images
            layer.b[...] = 0.1
    lengths, _ = leaky.look(D, x)
    _, cache = D.forward(x, train=True)
    hidden = [y for layer, y in zip(D.layers, cache.layers, strict=True) if isinstance(layer, ReLU)]
    cut = np.any([(y <= 0).all(axis=1) for y in hidden], axis=0)
    np.testing.assert_array_equal(lengths == 0, cut)
    assert 0 < cut.mean() < 1


def test_a_fresh_discriminator_is_cut_off_as_often_as_the_coins_say(leaky):
    x = np.tanh(np.random.default_rng(0).standard_normal((1, 784))).astype("f")
    width, depth, seeds = 2, 3, 400
    cut = np.mean([leaky.without_gradient(leaky.discriminator(ReLU(), [width] * depth, s), x) for s in range(seeds)])
    told = 1 - (1 - 2**-width) ** depth
    assert abs(cut - told) < 3 * np.sqrt(told * (1 - told) / seeds)


def test_the_factor_is_that_of_many_random_units(leaky):
    rng, n = np.random.default_rng(0), 200_000
    x, dy = rng.standard_normal(n), rng.standard_normal(n)
    s, lengths = np.mean(x <= 0), {}
    for name, layer in leaky.ACTIVATIONS.items():
        lengths[name] = np.linalg.norm(layer.input_grad(dy, layer.forward(x, train=True)[1]))
    np.testing.assert_allclose(lengths["LeakyReLU"] / lengths["ReLU"], leaky.factor(s), rtol=1e-3)
    assert leaky.factor(0.5) == pytest.approx(1.0198, abs=1e-4)


@pytest.mark.parametrize(("name", "moves"), [("ReLU", False), ("LeakyReLU", True)])
def test_behind_a_dead_discriminator_g_does_not_move(leaky, name, moves):
    G, D, _ = leaky.fresh(leaky.ACTIVATIONS[name], [4] * 4, 0)
    for layer in D.layers[:-1]:
        if isinstance(layer, Dense):
            layer.b[...] = -100
    start, optimizer = G.params.copy(), Adam(G, lr=1e-3)
    for step in range(5):
        z = RandomStream(0, "latent", step).normal((leaky.BATCH, leaky.FEW))
        generator_step(G, D, optimizer, leaky.LOSS, z)
    assert (not np.array_equal(G.params, start)) == moves


# Collapse ------------------------------------------------------------------------------------------------------------


def test_the_mean_distance_is_that_of_all_pairs(collapse):
    x = np.random.default_rng(0).standard_normal((7, 3, 2))
    pairs = [np.sqrt(((x[i] - x[j]) ** 2).sum()) for i in range(7) for j in range(i)]
    np.testing.assert_allclose(collapse.mean_distance(x), np.mean(pairs), rtol=1e-14)
    assert collapse.mean_distance(np.repeat(x[:1], 5, axis=0)) == 0
    assert collapse.mean_distance(np.array([[0], [200]], np.uint8)) == 200  # unsigned numbers do not wrap around
    np.testing.assert_allclose(collapse.diversity(3 * x, x), 3, rtol=1e-14)


def test_the_advice_of_a_linear_discriminator_is_the_same_for_all(collapse):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((10, 6))
    straight = Sequential([Dense(1)], (6,), rng=rng, dtype=np.float64)
    np.testing.assert_allclose(collapse.agreement(straight, x), 1, rtol=1e-12)
    bent = Sequential([Dense(50), Tanh(), Dense(1)], (6,), rng=rng, dtype=np.float64)
    assert collapse.agreement(bent, x) < 0.99


@pytest.mark.slow
def test_ten_updates_of_g_for_each_of_d_collapse_and_the_losses_do_not_show_it(collapse, images):
    ends, agreement = {}, {}
    for g_steps in (1, 10):
        G, D = collapse.networks()
        curves = collapse.play(G, D, images, g_steps=g_steps, updates=600, every=100)
        ends[g_steps] = {name: curve[-1] for name, curve in curves.items()}
        agreement[g_steps] = collapse.agreement(D, Batches(images, 50, shape=(784,)).take(np.arange(50)))
    assert ends[10]["diversity"] < 0.1  # measured: 0.05
    assert ends[1]["diversity"] > 0.25  # measured: 0.51
    assert abs(ends[10]["d_loss"] - np.log(4)) < 0.1
    assert abs(ends[10]["g_loss"] - np.log(2)) < 0.1
    assert abs(ends[1]["g_loss"] - np.log(2)) > 0.3
    assert agreement[10] > agreement[1] + 0.2  # measured: 0.85 and 0.44
