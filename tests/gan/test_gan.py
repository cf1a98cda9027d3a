"""The game: who changes when, the exact factors between the forms of the loss, and no wasted work."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from cases import SYSTEMS
from products import for_inputs, for_weights, forward, sizes_of

from minigan import backend
from minigan.backend import RandomStream
from minigan.errors import ArgumentError, StaleCacheError
from minigan.gan import Feeding, GANLoss, discriminator_step, generator_step, simultaneous_step
from minigan.gradcheck import check_discriminator_step, check_generator_step, check_recipe
from minigan.gradcheck.games import Still
from minigan.gradcheck.numeric import STEP
from minigan.losses import binary_cross_entropy
from minigan.nn import BatchNorm, Dense, Dropout, LeakyReLU, Sequential, Sigmoid, SpectralNorm, Tanh, UpsampleConv2d
from minigan.optim import SGD, Adam
from minigan.recipes import RECIPES, Recipe
from minigan.recipes.flux_dcgan import FluxDCGAN
from minigan.recipes.keras_upconv import KerasUpconv
from minigan.recipes.mlp import MLP

N = 4


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def toy(*, logit=False, batchnorm=False, noisy_D=False, dtype=np.float64):
    """A G and a D small enough to see through: latents of 3, images of 6."""
    rng = np.random.default_rng(2)
    norm = [BatchNorm()] if batchnorm else []
    G = Sequential([Dense(5), *norm, LeakyReLU(slope=0.2), Dense(6), Tanh()], (3,), rng=rng, dtype=dtype)
    head = [] if logit else [Sigmoid()]
    noise = [BatchNorm(), Dropout(drop=0.4)] if noisy_D else []
    D = Sequential([Dense(5), LeakyReLU(slope=0.2), *noise, Dense(1), *head], (6,), rng=rng, dtype=dtype)
    return G, D


def smoke(name, **changes):
    recipe = replace(RECIPES[name].smoke(), **changes)
    G, D = recipe.networks(np.random.default_rng(4), dtype=np.float64)
    for net in (G, D):  # published weights start small; gradients of ordinary size make the check sharp
        net.params[...] += 0.1 * draw(net.params.size)
    return recipe, G, D


UNLIKE = [name for name in SYSTEMS if name != "best"]  # whose networks are nearly quick-mlp's
CONVOLUTIONS = [name for name in SYSTEMS if len(RECIPES[name].image_shape) == 3]
SMALL = ("quick-mlp", "pytorch-mlp")  # at their published size


@pytest.fixture
def tiny_images(monkeypatch):
    """Images of 5×5, for convolutions 8×8: so that every single entry of a whole step can be checked."""
    monkeypatch.setattr(Recipe, "image_shape", (25,))
    for kind in (FluxDCGAN, KerasUpconv):
        monkeypatch.setattr(kind, "image_shape", (8, 8, 1))


def kinks(report):
    """How many entries lie at a kink, without those that move nothing but the last digits, where every corner is one of
    rounding: a bias before BatchNorm, or a unit that BatchNorm sees in two images alone."""
    return sum(int((row.kink & (np.abs(row.analytic) > 1e-12)).sum()) for row in report.rows)


def of_time(name, batch):
    """A batch size of a convolution takes some seconds, one of maxout about one: with the slow tests."""
    return pytest.param(name, batch, marks=slow_if(name in CONVOLUTIONS or name == "renom-maxout"))


def slow_if(slow):
    return [pytest.mark.slow] if slow else []


LOSSES = [
    {"g_loss": g, "d_output": o, "d_batching": b, "labels": labels}
    for g in ("non_saturating", "minimax")
    for o in ("probability", "logit")
    for b in ("separate", "concat")
    for labels in ((1.0, 0.0), (0.0, 1.0))
]


def has_that_loss(name, changes):
    """The Wasserstein loss has one form alone."""
    only = {"g_loss": "non_saturating", "d_output": "logit", "labels": (1.0, 0.0)}
    return RECIPES[name].loss_kind != "wasserstein" or only.items() <= changes.items()


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        pytest.param(
            name,
            changes,
            id="-".join(map(str, (name, *changes.values()))),
            marks=slow_if(name != "flux-mlp"),
        )
        for name in UNLIKE
        for changes in LOSSES
        if has_that_loss(name, changes)
    ],
)
def test_whole_steps_pass_the_gradient_check(name, changes, tiny_images):
    if RECIPES[name].update == "simultaneous":
        changes = {**changes, "update": "alternating"}  # the check is of the two steps, and concat is theirs
    reports = check_recipe(replace(RECIPES[name].smoke(), **changes), elementwise=20)
    for report in reports:
        assert report, str(report)
        assert report.undecided == 0
        assert kinks(report) == 0
    G, D = RECIPES[name].smoke().networks(np.random.default_rng(0))
    assert [[row.name for row in report.rows] for report in reports] == [list(D.named_params()), list(G.named_params())]


@pytest.mark.parametrize("batching", ["separate", "concat"])
@pytest.mark.parametrize("name", ["best", "quick-mlp", "flux-dcgan"])
def test_whole_steps_of_the_hinge_game_pass_the_gradient_check(name, batching, tiny_images):
    hinge = {"loss_kind": "hinge", "d_output": "logit", "d_batching": batching}
    for report in check_recipe(replace(RECIPES[name].smoke(), **hinge), elementwise=20):
        assert report, str(report)
        assert report.undecided == kinks(report) == 0


@pytest.mark.parametrize("name", ["best", "quick-mlp", "flux-dcgan"])
def test_the_hinge_game_is_checked_where_real_and_fake_both_count(name, monkeypatch, tiny_images):
    """Where D is sure of a whole half, that half has no gradient, and a wrong one would pass."""
    loss_parts = []

    def note(G, D, loss, x, z, **_):
        loss_parts.append(discriminator_step(G, D, Still(D), loss, x, z, rng=RandomStream(0, "dropout"))[1:3])

    monkeypatch.setattr("minigan.gradcheck.games.check_discriminator_step", note)
    monkeypatch.setattr("minigan.gradcheck.games.check_generator_step", lambda *_, **__: None)
    for seed in range(5):  # at some of the first points D is sure of all fakes of flux-dcgan's
        check_recipe(replace(RECIPES[name].smoke(), loss_kind="hinge", d_output="logit"), seed=seed)
    assert np.min(loss_parts) > 0


def toy_at_the_hinge(offset):
    """A D that is sure of some real images and of some fakes, not of others, and `offset` above the margin for one."""
    G, D = toy(logit=True)
    x, z = draw(8, 6, seed=1), draw(8, 3)
    D.layers[-1].b[...] = 0
    D.layers[-1].W *= (1 + offset) / D(x)[3]
    return G, D, x, z


def test_d_on_both_sides_of_the_hinge_passes_the_gradient_check():
    G, D, x, z = toy_at_the_hinge(0.1)
    for answers in (D(x), -D(G.forward(z, train=True)[0])):
        assert (answers < 1).any()
        assert (answers > 1).any()
    for batching in ("separate", "concat"):
        loss, feeding = GANLoss(output="logit", kind="hinge"), Feeding(batching=batching)
        report = check_discriminator_step(G, D, loss, x, z, feeding=feeding)
        assert report, str(report)
        assert report.undecided == report.kinks == 0


@pytest.mark.parametrize("offset", [0.0, 1e-6, -1e-6])
def test_an_answer_of_d_at_the_hinges_kink_is_reported_as_one_and_not_as_a_mistake(offset):
    G, D, x, z = toy_at_the_hinge(offset)
    report = check_discriminator_step(G, D, GANLoss(output="logit", kind="hinge"), x, z)
    assert (report.kinks > 0) == (offset == 0)  # beside it, a smaller step does not reach it
    assert not any(row.wrong.any() for row in report.rows), str(report)


@pytest.mark.parametrize(  # entries: checked singly in arrays of up to so many, else along directions
    ("batch", "entries"),
    [pytest.param(2, 300, marks=pytest.mark.slow), (3, 100), pytest.param(4, 300, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("name", SYSTEMS)
def test_both_steps_at_smoke_size_pass_the_gradient_check_for_small_batches(name, batch, entries):
    few = name in CONVOLUTIONS or name == "best"  # whose G is nearly quick-mlp's
    for report in check_recipe(RECIPES[name].smoke(), batch=batch, elementwise=20 if few else entries):
        assert report, str(report)
        assert report.undecided < 0.01  # BatchNorm over two images is nearly a step function
        assert kinks(report) == 0


@pytest.mark.parametrize(("name", "batch"), [of_time(name, batch) for name in SYSTEMS for batch in (2, 3, 4)])
def test_every_single_entry_of_both_steps_passes_the_gradient_check(name, batch, tiny_images):
    recipe = RECIPES[name]
    narrow = {"latent_dim": 2, "g_hidden": (3,) * len(recipe.g_hidden), "d_hidden": (2,) * len(recipe.d_hidden)}
    seed = name in ("best", "r1")  # from 0 a feature of their G varies little over the batch, and is divided by that
    for report in check_recipe(replace(recipe.smoke(), **narrow), batch=batch, seed=int(seed), elementwise=10**6):
        assert report, str(report)
        assert all(row.how == "entries" for row in report.rows)
        assert report.undecided < (0.01 if batch == 2 else 1e-9)  # BatchNorm over two images is nearly a step function
        assert kinks(report) == 0


@pytest.mark.parametrize("name", [n if n in SMALL else pytest.param(n, marks=pytest.mark.slow) for n in SYSTEMS])
def test_whole_steps_at_the_published_size_pass_the_gradient_check_along_directions(name):
    directions = 1 if name in CONVOLUTIONS else 5  # of each array; a pass of theirs takes ten times as long
    for report in check_recipe(RECIPES[name], elementwise=0, directions=directions):
        assert report, str(report)
        assert report.undecided == 0


@pytest.mark.slow
@pytest.mark.parametrize("batch", [2, 3, 4])
@pytest.mark.parametrize("name", SYSTEMS)
def test_the_step_of_the_check_moves_no_activation_across_a_kink(name, batch, monkeypatch, tiny_images):
    """What `check_recipe` rests on: at its points every activation is further from its kink than h moves it."""
    seen = {}

    def note(G, D, loss, *arrays, **_):
        seen[len(arrays)] = G, D, loss, arrays

    for player in ("discriminator", "generator"):
        monkeypatch.setattr(f"minigan.gradcheck.games.check_{player}_step", note)
    check_recipe(RECIPES[name].smoke(), batch=batch)
    G, D, loss, (x, z) = seen[2]

    def inputs_of_kinks(layers, x, rng):
        found = []
        for layer in layers:
            found += [offset.ravel() for offset in layer.kink_offsets(x)]
            x, _ = layer.forward(x, train=True, rng=rng)
        return found

    def of_d_step():
        rng = RandomStream(0, "dropout")
        fakes, _ = G.forward(z, train=True, rng=rng)
        both = np.concatenate([x, fakes])  # in one pass, whatever the recipe's batching
        found = inputs_of_kinks(D.layers, both, rng)
        if loss.kind == "hinge":
            rng = RandomStream(0, "dropout")
            G.forward(z, train=True, rng=rng)
            out = D.forward(both, train=True, rng=rng)[0]
            found.append((out - np.repeat([1, -1], len(x))[:, None]).ravel())
        return np.concatenate(found)

    def of_g_step():
        return np.concatenate(inputs_of_kinks(G.layers + D.layers, z, RandomStream(0, "dropout")))

    rng = np.random.default_rng(0)
    for net, activations in ((D, of_d_step), (G, of_g_step)):
        here = activations()
        for entries in (array.reshape(-1) for array in net.named_params().values()):
            for i in rng.permutation(entries.size)[: 20 if name in CONVOLUTIONS else 100]:
                kept = entries[i]
                for step in (STEP, -STEP):
                    entries[i] = kept + step
                    assert (np.abs(activations() - here) <= np.abs(here)).all()  # an exact 0, of dropout, stays one
                entries[i] = kept


@pytest.mark.parametrize("batchnorm", [False, True])
def test_gradient_check_of_a_generator_with_batchnorm(batchnorm):
    G, D = toy(batchnorm=batchnorm)
    report = check_generator_step(G, D, GANLoss(), draw(N, 3))
    assert report, str(report)


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("batching", ["concat", "separate"])
def test_one_step_of_a_player_moves_all_of_its_parameters_and_none_of_the_others(name, batching):
    """The Flux DCGAN's text makes its fakes outside of what is differentiated, and never trains its generator."""
    recipe, G, D = smoke(name, d_batching=batching, update="alternating")
    # Every parameter, not every entry: a unit of a ReLU may rest for a whole batch.
    x, z, rng = np.tanh(draw(64, *D.in_shape)), draw(64, recipe.latent_dim), RandomStream(0, "dropout")
    if recipe.loss_kind == "hinge":  # where D is sure of no image, real and fake cancel in its last bias
        D.layers[-1].b += 1 - np.median(D(x))

    def changed(network, before):
        return [k for k, v in network.named_params().items() if not np.array_equal(v, before[k])]

    def copies():
        return [{k: v.copy() for k, v in net.named_params().items()} for net in (G, D)]

    g0, d0 = copies()
    discriminator_step(G, D, Adam(D, lr=1e-3), recipe.loss, x, z, feeding=recipe.feeding, rng=rng)
    assert changed(G, g0) == []
    alike = [*d0][-1:] if recipe.loss_kind == "wasserstein" else []  # a bias that moves D(x) and D(G(z)) by the same
    assert changed(D, d0) == [name for name in d0 if name not in alike]
    g0, d0 = copies()
    generator_step(G, D, Adam(G, lr=1e-3), recipe.loss, z, feeding=recipe.feeding, rng=rng)
    assert changed(G, g0) == list(g0)
    assert changed(D, d0) == []


def test_concat_is_exactly_half_of_the_sum_of_two_means():
    gradients = {}
    for batching in ("concat", "separate"):
        G, D = toy()
        feeding = Feeding(batching=batching)
        result = discriminator_step(G, D, Still(D), GANLoss(), draw(N, 6), draw(N, 3), feeding=feeding)
        gradients[batching] = float(result.loss), D.grads.copy(), float(result.loss_real), float(result.loss_fake)
    (half, half_grad, *parts), (whole, whole_grad, *same_parts) = gradients["concat"], gradients["separate"]
    np.testing.assert_allclose(2 * half, whole, rtol=1e-14)
    np.testing.assert_allclose(2 * half_grad, whole_grad, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(parts, same_parts, rtol=1e-14)
    np.testing.assert_allclose(whole, sum(parts), rtol=1e-14)


def test_concat_with_unequal_halves_is_the_mean_over_all():
    G, D = toy()
    x, z = draw(2, 6), draw(6, 3)
    result = discriminator_step(G, D, Still(D), GANLoss(), x, z, feeding=Feeding(batching="concat"))
    fakes = G.forward(z, train=True)[0]
    everything, targets = np.concatenate([x, fakes]), np.array([[1.0]] * 2 + [[0.0]] * 6)
    out, cache = D.forward(everything, train=True)
    value, d_out = binary_cross_entropy(out, targets)
    np.testing.assert_allclose(result.loss, value, rtol=1e-14)
    from_step = D.grads.copy()
    D.backward(d_out, cache)
    np.testing.assert_allclose(from_step, D.grads, rtol=1e-12, atol=1e-15)


def test_swapping_labels_and_negating_the_logit_gives_the_same_updates():
    results = []
    for labels, sign in (((1.0, 0.0), 1), ((0.0, 1.0), -1)):
        G, D = toy(logit=True)
        D.layers[-1].W *= sign
        D.layers[-1].b += sign * 0.3
        loss = GANLoss(output="logit", labels=labels)
        d = discriminator_step(G, D, SGD(D, lr=0.1), loss, draw(N, 6), draw(N, 3))
        g = generator_step(G, D, SGD(G, lr=0.1), loss, draw(N, 3))
        last = D.named_params()
        last["2.Dense.W"] *= sign
        last["2.Dense.b"] *= sign
        results.append([d.loss, d.prob_real, d.prob_fake, g.loss, G.params, D.params])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def test_minimax_generator_loss_is_the_negative_of_what_the_discriminator_minimises():
    loss = GANLoss("minimax")
    out = np.array([[0.2], [0.7], [0.5]])
    value, gradient = loss.for_generator(out)
    (_, _, d_value), _, d_gradient = loss.for_discriminator(out, out)
    assert value == -d_value
    np.testing.assert_array_equal(gradient, -d_gradient)
    np.testing.assert_allclose(value, np.log(1 - out).mean(), rtol=1e-12)


def test_minimax_gradient_vanishes_where_the_non_saturating_one_does_not():
    logit = np.array([[-10.0]])  # D is sure that this is a fake
    minimax = GANLoss("minimax", "logit").for_generator(logit)[1]
    non_saturating = GANLoss("non_saturating", "logit").for_generator(logit)[1]
    np.testing.assert_allclose(minimax, -1 / (1 + np.exp(10)), rtol=1e-10)
    np.testing.assert_allclose(non_saturating, minimax - 0 * logit - (1 - 2 / (1 + np.exp(10))), rtol=1e-10)
    assert abs(non_saturating / minimax) > 20_000


def test_probability_is_always_that_of_real():
    out = np.array([[2.0], [-1.0]])
    p = 1 / (1 + np.exp(-out))
    np.testing.assert_allclose(GANLoss(output="logit").probability(out), p)
    np.testing.assert_allclose(GANLoss(output="logit", labels=(0.0, 1.0)).probability(out), 1 - p)
    np.testing.assert_allclose(GANLoss(labels=(0.9, 0.0)).probability(p), p)


def test_scaling_the_seed_of_backward_scales_every_gradient():
    G, D = toy(batchnorm=True)
    x, cache_G = G.forward(draw(N, 3), train=True)
    out, cache_D = D.forward(x, train=True)
    gradients = []
    for seed in (1.0, 3.0):
        dx = D.backward(seed * np.ones_like(out), cache_D)
        gradients.append(np.concatenate([D.grads, G.backward(dx, cache_G).ravel(), G.grads]))
    np.testing.assert_allclose(gradients[1], 3 * gradients[0], rtol=1e-12, atol=1e-15)  # a bias before BatchNorm: 0


def test_generator_step_goes_through_the_new_discriminator():
    G, D = toy()
    fakes = G.forward(draw(N, 3), train=True)
    discriminator_step(G, D, SGD(D, lr=0.5), GANLoss(), draw(N, 6), fakes=fakes)
    result = generator_step(G, D, Still(G), GANLoss(), fakes=fakes)
    np.testing.assert_allclose(result.loss, binary_cross_entropy(D(fakes[0]), 1.0)[0], rtol=1e-14)
    assert result.fakes is fakes[0]


def test_shared_fakes_give_the_gradient_of_fresh_ones_from_the_same_latents():
    (G1, D1), (G2, D2), z = toy(), toy(), draw(N, 3)
    generator_step(G1, D1, Still(G1), GANLoss(), z)
    generator_step(G2, D2, Still(G2), GANLoss(), fakes=G2.forward(z, train=True))
    np.testing.assert_array_equal(G1.grads, G2.grads)


def test_fakes_of_a_generator_that_has_moved_since_are_stale():
    G, D = toy()
    fakes = G.forward(draw(N, 3), train=True)
    generator_step(G, D, SGD(G, lr=0.1), GANLoss(), fakes=fakes)
    with pytest.raises(StaleCacheError):
        generator_step(G, D, SGD(G, lr=0.1), GANLoss(), fakes=fakes)


def test_simultaneous_takes_both_gradients_at_the_old_weights():
    x, z = draw(N, 6), draw(N, 3)
    G, D = toy(batchnorm=True)
    discriminator_step(G, D, Still(D), GANLoss(), x, z)
    generator_step(G, D, Still(G), GANLoss(), z)
    separate = D.grads.copy(), G.grads.copy()
    G, D = toy(batchnorm=True)
    before = D.params.copy(), G.params.copy()
    simultaneous_step(G, D, SGD(G, lr=0.1), SGD(D, lr=0.1), GANLoss(), x, z)
    np.testing.assert_allclose(D.params, before[0] - 0.1 * separate[0], rtol=1e-12)
    np.testing.assert_allclose(G.params, before[1] - 0.1 * separate[1], rtol=1e-12)
    # … which an alternating step does not: its G sees D's new weights.
    G, D = toy(batchnorm=True)
    discriminator_step(G, D, SGD(D, lr=0.1), GANLoss(), x, z)
    generator_step(G, D, Still(G), GANLoss(), z)
    assert not np.allclose(G.grads, separate[1], rtol=1e-3)


@pytest.mark.parametrize("batching", ["concat", "separate"])
def test_a_discriminator_with_batchnorm_and_dropout_trains_as_written_out_by_hand(batching):
    x, z = draw(N, 6), draw(N, 3)
    G, D = toy(noisy_D=True)
    options = {"feeding": Feeding(batching=batching), "rng": RandomStream(0, "dropout")}
    result = discriminator_step(G, D, SGD(D, lr=0.1), GANLoss(), x, z, **options)

    G2, D2 = toy(noisy_D=True)
    fakes, _ = G2.forward(z, train=True)
    rng, whole = RandomStream(0, "dropout"), [np.concatenate([x, fakes])]
    passes = [D2.forward(a, train=True, rng=rng) for a in (whole if batching == "concat" else [x, fakes])]
    out = np.concatenate([y for y, _ in passes])
    value, d_out = binary_cross_entropy(out, np.array([[1.0]] * N + [[0.0]] * N))
    scale = 1 if batching == "concat" else 2  # the sum of two means is twice the mean over both
    start = 0
    for y, cache in passes:
        D2.backward(scale * d_out[start : start + len(y)], cache, accumulate=start > 0)
        D2.update_buffers(cache)  # each pass once, as in PyTorch
        start += len(y)
    SGD(D2, lr=0.1).step()
    np.testing.assert_allclose(result.loss, scale * value, rtol=1e-12)
    np.testing.assert_allclose(D.params, D2.params, rtol=1e-12)
    np.testing.assert_allclose(D.buffers, D2.buffers, rtol=1e-12)
    assert not np.array_equal(D.buffers, toy(noisy_D=True)[1].buffers)


def test_the_generator_learns_through_a_discriminator_in_training_mode_whose_statistics_stay():
    z = draw(N, 3)
    G, D = toy(noisy_D=True)
    buffers = D.buffers.copy()
    generator_step(G, D, Still(G), GANLoss(), z, rng=RandomStream(0, "dropout"))
    np.testing.assert_array_equal(D.buffers, buffers)

    G2, D2 = toy(noisy_D=True)
    fakes, cache_G = G2.forward(z, train=True)
    out, cache_D = D2.forward(fakes, train=True, rng=RandomStream(0, "dropout"))
    G2.backward(D2.backward(binary_cross_entropy(out, 1.0)[1], cache_D), cache_G)
    np.testing.assert_allclose(G.grads, G2.grads, rtol=1e-12)


def test_simultaneous_folds_in_the_statistics_of_every_pass_once():
    (G, D), (G2, D2), x, z = (
        toy(batchnorm=True, noisy_D=True),
        toy(batchnorm=True, noisy_D=True),
        draw(N, 6),
        draw(N, 3),
    )
    simultaneous_step(G, D, SGD(G, lr=0.1), SGD(D, lr=0.1), GANLoss(), x, z, rng=RandomStream(0, "dropout"))
    discriminator_step(G2, D2, Still(D2), GANLoss(), x, z, rng=RandomStream(0, "dropout"))
    generator_step(G2, D2, Still(G2), GANLoss(), z, rng=RandomStream(0, "dropout"))
    np.testing.assert_allclose(D.buffers, D2.buffers, rtol=1e-12)
    np.testing.assert_allclose(G.buffers, G2.buffers, rtol=1e-12)


def test_a_swapped_optimiser_or_a_loss_for_another_kind_of_output_is_refused():
    G, D = toy()
    x, z = draw(N, 6), draw(N, 3)
    with pytest.raises(ArgumentError, match="swapped"):
        discriminator_step(G, D, Still(G), GANLoss(), x, z)
    with pytest.raises(ArgumentError, match="swapped"):
        generator_step(G, D, Still(D), GANLoss(), z)
    with pytest.raises(ArgumentError, match="swapped"):
        simultaneous_step(G, D, Still(D), Still(G), GANLoss(), x, z)
    with pytest.raises(ArgumentError, match=r"D ends in Sigmoid\(\), but the loss takes its output for a logit"):
        discriminator_step(G, D, Still(D), GANLoss(output="logit"), x, z)
    G, D = toy(logit=True)
    with pytest.raises(ArgumentError, match="for a probability"):
        generator_step(G, D, Still(G), GANLoss(), z)


def test_running_statistics_move_once_per_update_of_their_network():
    G, D = toy(batchnorm=True)
    start = G.buffers.copy()
    discriminator_step(G, D, SGD(D, lr=0.1), GANLoss(), draw(N, 6), draw(N, 3))
    np.testing.assert_array_equal(G.buffers, start)
    generator_step(G, D, SGD(G, lr=0.1), GANLoss(), draw(N, 3))
    assert (G.buffers != start).all()


@pytest.mark.parametrize("name", SYSTEMS)
def test_no_layer_asks_for_a_product_that_nobody_reads(name, monkeypatch):
    """One product for each layer with weights and pass, one for its dW and, if there is anything below, one for dx.

    UpsampleConv2d takes one more for each, by a matrix of zeros and ones: it merges its kernel, or dW's parts.
    SpectralNorm takes one more by a vector for each pass, W u, one for its dW, and one for the u that follows.
    """
    recipe = replace(RECIPES[name].smoke(), dropout=0)
    G, D = recipe.networks(np.random.default_rng(0))
    count, plain = [0], backend.matmul

    def counted(a, b, out=None):
        count[0] += 1
        return plain(a, b, out)

    monkeypatch.setattr(backend, "matmul", counted)
    x, z = np.tanh(draw(N, *D.in_shape)).astype("f"), draw(N, recipe.latent_dim).astype("f")
    (g, g_below), (d, d_below) = (products_of(net) for net in (G, D))
    u = sum(isinstance(layer, SpectralNorm) for layer in D.layers)

    discriminator_step(G, D, Adam(D, lr=1e-3), recipe.loss, x, z, feeding=recipe.feeding)
    assert count.pop() == g + (d + d + d_below + 3 * u)  # real and fake as one: told so, or nothing in D minds
    count.append(0)
    generator_step(G, D, Adam(G, lr=1e-3), recipe.loss, z)
    assert count.pop() == g + g + g_below + d + d + u
    count.append(0)
    simultaneous_step(G, D, Adam(G, lr=1e-3), Adam(D, lr=1e-3), recipe.loss, x, z)
    assert count.pop() == g + g + g_below + 2 * (d + d + d_below + 3 * u) + d


def products_of(network):
    """The products of a pass through all layers with a weight, and of one through those with parameters below them."""
    layers = [(i, layer) for i, layer in enumerate(network.layers) if hasattr(layer, "W")]
    weighted = [(i, 2 if isinstance(layer, UpsampleConv2d) else 1) for i, layer in layers]
    below = [products for i, products in weighted if any(layer.grads for layer in network.layers[:i])]
    return sum(products for _, products in weighted), sum(below)


@pytest.mark.parametrize("name", [name for name in SYSTEMS if isinstance(RECIPES[name], MLP)])
def test_no_matrix_product_is_computed_and_thrown_away(name, monkeypatch):
    recipe = RECIPES[name].smoke()
    recipe = replace(
        recipe, g_hidden=(16, 17, 18)[: len(recipe.g_hidden)], d_hidden=(21, 20, 19)[: len(recipe.d_hidden)]
    )
    G, D = recipe.networks(np.random.default_rng(0))
    products, plain = [], backend.matmul

    def counted(a, b, out=None):
        products.append((a.shape[0], a.shape[1], b.shape[1]))
        return plain(a, b, out)

    monkeypatch.setattr(backend, "matmul", counted)
    x, z = np.tanh(draw(N, 784)).astype("f"), draw(N, recipe.latent_dim).astype("f")
    g, d = sizes_of(recipe)
    optimizer, options = Adam(D, lr=1e-3), {"feeding": recipe.feeding, "rng": RandomStream(0, "dropout")}
    discriminator_step(G, D, optimizer, recipe.loss, x, z, **options)
    minimum = forward(g, N) + forward(d, 2 * N) + for_weights(d, 2 * N) + for_inputs(d[1:], 2 * N)
    assert sorted(products) == sorted(minimum)

    products.clear()
    generator_step(G, D, Adam(G, lr=1e-3), recipe.loss, z, rng=RandomStream(0, "dropout"))
    minimum = forward(g, N) + forward(d, N) + for_inputs(d, N) + for_weights(g, N) + for_inputs(g[1:], N)
    assert sorted(products) == sorted(minimum)

    products.clear()
    optimizers = Adam(G, lr=1e-3), Adam(D, lr=1e-3)
    simultaneous_step(G, D, *optimizers, recipe.loss, x, z, rng=RandomStream(0, "dropout"))
    minimum = forward(g, N) + for_weights(g, N) + for_inputs(g[1:], N) + for_inputs(d, N)
    minimum += 2 * (forward(d, N) + for_weights(d, N) + for_inputs(d[1:], N))
    assert sorted(products) == sorted(minimum)


def test_the_discriminators_fakes_leave_no_cache_behind(monkeypatch):
    kept, genuine = {}, Sequential.forward

    def forward(self, x, **options):
        y, cache = genuine(self, x, **options)
        kept[id(self)] = len(cache.layers)
        return y, cache

    monkeypatch.setattr(Sequential, "forward", forward)
    G, D = toy()
    discriminator_step(G, D, Still(D), GANLoss(), draw(N, 6), draw(N, 3))
    assert kept == {id(G): 0, id(D): len(D.layers)}


def test_a_game_cannot_be_changed_while_it_is_played():
    with pytest.raises(FrozenInstanceError):
        GANLoss().generator = "minimax"
    with pytest.raises(FrozenInstanceError):
        Feeding().batching = "concat"


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: GANLoss(labels=(1.1, 0.0)), r"\[0, 1\], got \(1.1, 0.0\)"),
        (lambda: GANLoss(labels=(1.0, -0.1)), r"got \(1.0, -0.1\)"),
        (lambda: GANLoss(labels=(0.5, 0.5)), "two different numbers"),
        (lambda: GANLoss(labels=(0.5, 0.1, 0.2)), "two different numbers"),
        (lambda: GANLoss("saturating"), "generator is 'saturating'; it must be non_saturating or minimax"),
        (lambda: GANLoss(output="logits"), "output is 'logits'"),
        (lambda: Feeding(batching="joint"), "batching is 'joint'"),
    ],
)
def test_impossible_games_are_refused(make, match):
    with pytest.raises(ArgumentError, match=match):
        make()


def test_steps_without_latents_or_with_concat_where_it_cannot_be_are_refused():
    G, D = toy()
    with pytest.raises(ArgumentError, match="needs latents z"):
        discriminator_step(G, D, Still(D), GANLoss(), draw(N, 6))
    with pytest.raises(ArgumentError, match="needs latents z"):
        generator_step(G, D, Still(G), GANLoss())
    concat = Feeding(batching="concat")
    with pytest.raises(ArgumentError, match="batching='separate'"):
        simultaneous_step(G, D, Still(G), Still(D), GANLoss(), draw(N, 6), draw(N, 3), feeding=concat)


def test_hinge_game_is_the_papers_formula_and_says_what_d_decides():
    loss = GANLoss(output="logit", kind="hinge")
    real, fake = np.array([[2.0], [0.5], [-1.0]]), np.array([[-3.0], [0.25], [0.0]])
    (total, of_real, of_fake), d_real, d_fake = loss.for_discriminator(real, fake)
    np.testing.assert_allclose([of_real, of_fake, total], [(0 + 0.5 + 2) / 3, (0 + 1.25 + 1) / 3, 4.75 / 3])
    np.testing.assert_allclose(d_real[:, 0], [0, -1 / 3, -1 / 3])
    np.testing.assert_allclose(d_fake[:, 0], [0, 1 / 3, 1 / 3])
    value, d_out = loss.for_generator(fake)
    np.testing.assert_allclose(value, 2.75 / 3)
    np.testing.assert_allclose(d_out, np.full((3, 1), -1 / 3))
    np.testing.assert_array_equal(loss.probability(real) >= 0.5, real >= 0)


@pytest.mark.parametrize("changes", [{"output": "probability"}, {"labels": (0.9, 0.0)}, {"generator": "minimax"}])
def test_hinge_loss_of_anything_but_plain_logits_is_refused(changes):
    with pytest.raises(ArgumentError, match="the hinge loss compares logits without labels"):
        GANLoss(**{"output": "logit", "kind": "hinge", **changes})
