"""Penalties on D's gradient: the whole step's gradient and what spoils it, the formulas, what they cost, bad input."""

from collections import defaultdict
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import thirdlibrary
from standin import install

from minigan import backend
from minigan.backend import RandomStream, to_device, to_numpy
from minigan.errors import ArgumentError, SecondOrderError, ShapeError
from minigan.gan import Feeding, GANLoss, Penalty, discriminator_step, pack, penalty
from minigan.gan.penalty import KINDS
from minigan.gradcheck import check_discriminator_step, check_recipe, compare
from minigan.gradcheck.games import Still
from minigan.gradcheck.trial import SameDraws
from minigan.nn import (
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    Reshape,
    Sequential,
    Sigmoid,
    SpectralNorm,
    Tanh,
)
from minigan.optim import Adam
from minigan.recipes import RECIPES
from minigan.recipes.mlp import QuickMLP
from minigan.train import Trainer, trainer
from minigan.train.timing import flops

N = 6
WASSERSTEIN, LOGIT = GANLoss(output="logit", kind="wasserstein"), GANLoss(output="logit")
DRAWN = [kind for kind in KINDS if kind not in ("r1", "r2")]
leaky = LeakyReLU(slope=0.2)

CRITICS = {
    "MLP": lambda: [Dense(6), leaky, Dense(4), leaky, Dense(1)],
    "convolutional": lambda: [Conv2d(3, 3, stride=2, pad=1), leaky, Dropout(drop=0.3), Flatten(), Dense(1)],
    "BatchNorm and Tanh": lambda: [Dense(5), BatchNorm(), Tanh(), Dense(4), Sigmoid(), Dense(1)],
    "SpectralNorm": lambda: [SpectralNorm(Dense(5)), leaky, SpectralNorm(Dense(4)), Tanh(), SpectralNorm(Dense(1))],
}


def draw(*shape, seed=0):
    return np.random.default_rng([seed, 24]).standard_normal(shape)


def game(critic, *, packing=1, seed=0, dtype=np.float64):
    """(G, D, real images, latents): images of 8 numbers, for convolutions of 4×4."""
    shape = (4, 4, 1) if critic == "convolutional" else (8,)
    rng = np.random.default_rng(seed)
    reshape = [Reshape(*shape)] if len(shape) > 1 else []
    G = Sequential([Dense(int(np.prod(shape))), Tanh(), *reshape], (3,), rng=rng, dtype=dtype)
    D = Sequential(CRITICS[critic](), (*shape[:-1], packing * shape[-1]), rng=rng, dtype=dtype)
    D.params = 0.7 * draw(D.params.size, seed=seed)
    return G, D, draw(N, *shape, seed=seed + 1).astype(dtype), draw(N, 3, seed=seed + 2).astype(dtype)


def checked(critic, kind, loss=WASSERSTEIN, *, packing=1, batching="separate", seed=0, **options):
    """The report of the whole step; a lazy penalty, since a factor that is 1 hides where it is missing."""
    G, D, x, z = game(critic, packing=packing, seed=seed)
    feeding = Feeding(batching=batching, packing=packing)
    return check_discriminator_step(G, D, loss, x, z, feeding=feeding, penalty=Penalty(kind, 3.0, 2), **options)


# The gradient of the whole step ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "loss", [WASSERSTEIN, pytest.param(LOGIT, marks=pytest.mark.slow)], ids=["wasserstein", "cross-entropy"]
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("critic", CRITICS)
def test_the_gradient_of_the_whole_penalised_step_is_right(critic, kind, loss):
    report = checked(critic, kind, loss)
    assert report, str(report)  # nothing wrong, and under 1 % undecided


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("batching", "packing"), [("separate", 2), ("concat", 1), ("concat", 2)], ids=["packed", "concat", "both"]
)
@pytest.mark.parametrize("critic", ["MLP", "convolutional"])
def test_it_is_right_with_packing_and_with_one_mean_over_both_batches(critic, batching, packing, kind):
    report = checked(critic, kind, packing=packing, batching=batching)
    assert report, str(report)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_right_with_fakes_that_are_handed_in(kind):
    def step(G, D, optimizer, loss, x, z, **options):
        return discriminator_step(G, D, optimizer, loss, x, fakes=G.forward(z, train=True), **options)

    report = checked("MLP", kind, step=step)
    assert report, str(report)


def of_u(change):
    """A second order of another direction than u."""

    def spoilt(genuine):
        return lambda net, u, found, cache, **options: genuine(net, change(u), found, cache, **options)

    return spoilt


def through_the_image(genuine):
    """The penalty moves D's output by way of the image where it was taken, as if that were to learn."""

    def spoilt(net, u, found, cache, **options):
        genuine(net, 0 * u, found, cache, **options)
        along = np.zeros(cache.out_shape)
        along[options.get("examples") or slice(None)] = (u * found[0]).reshape(len(u), -1).sum(axis=1, keepdims=True)
        net.backward(along, cache, need_input_grad=False, accumulate=True)

    return spoilt


SPOILT = {
    "left out": of_u(lambda u: 0 * u),
    "of the image where it is taken": through_the_image,
    "a sum over the batch for a mean": of_u(lambda u: N * u),
    "a mean over the numbers of an image for a sum": of_u(lambda u: u / u[0].size),
    "the 2 of the square left out": of_u(lambda u: u / 2),
    "not as many times as strong as it is rare": of_u(lambda u: u / 2),
    "0.1 % too large": of_u(lambda u: 1.001 * u),
}


@pytest.fixture
def no_causes(monkeypatch):
    """What is wrong is found, and no cause looked for: that takes longer."""
    monkeypatch.setattr(compare, "diagnose", lambda case: "")


@pytest.mark.usefixtures("no_causes")
@pytest.mark.parametrize("kind", ["r1", "wgan-gp"])
@pytest.mark.parametrize("critic", ["MLP", "BatchNorm and Tanh"])
@pytest.mark.parametrize("mistake", SPOILT)
def test_a_mistake_in_the_penaltys_gradient_is_found(mistake, critic, kind, monkeypatch):
    monkeypatch.setattr(penalty, "second_order", SPOILT[mistake](penalty.second_order))
    assert not checked(critic, kind, elementwise=0, directions=1)


@pytest.mark.usefixtures("no_causes")
@pytest.mark.parametrize("kind", ["r1", "wgan-gp"])
def test_a_value_that_is_a_mean_where_its_gradient_is_of_a_sum_is_found(kind, monkeypatch):
    genuine = Penalty.value
    monkeypatch.setattr(
        Penalty, "value", lambda self, g: (genuine(self, g / np.sqrt(g[0].size))[0], genuine(self, g)[1])
    )
    assert not checked("MLP", kind, elementwise=0, directions=1)


def at_a_kink(off):
    """A game in which one unit of D is `off` its kink on one real image: there D's gradient jumps."""
    G, D = (
        Sequential(layers, (2,), rng=np.random.default_rng(0), dtype=np.float64)
        for layers in ([Dense(2)], [Dense(2), leaky, Dense(1)])
    )
    D.params, x, z = draw(D.params.size), draw(4, 2, seed=1), draw(4, 2, seed=2)
    D.layers[0].b[1] = off - x[1] @ D.layers[0].W[:, 1]
    return G, D, LOGIT, x, z


@pytest.mark.parametrize(("off", "most"), [(1e-5, 0), (1e-7, 3), (1e-12, 3)])
def test_where_the_critics_gradient_jumps_an_entry_is_right_or_at_a_kink_and_not_wrong(off, most):
    report = check_discriminator_step(*at_a_kink(off), penalty=Penalty("r1", 3.0))
    assert not any(row.wrong.any() or row.undecided.any() for row in report.rows), str(report)
    assert sum(row.kink.sum() for row in report.rows) <= most


@pytest.mark.usefixtures("no_causes")
def test_beside_a_jump_an_error_of_a_thousandth_is_found(monkeypatch):
    monkeypatch.setattr(penalty, "second_order", of_u(lambda u: 1.001 * u)(penalty.second_order))
    report = check_discriminator_step(*at_a_kink(1e-5), penalty=Penalty("r1", 3.0), pure=False)
    assert all(row.wrong.any() for row in report.rows if row.name.endswith(".W")), str(report)


@pytest.mark.usefixtures("no_causes")
@pytest.mark.parametrize("name", ["wgan-gp", "r1"])
def test_a_recipes_check_includes_its_penalty(name, monkeypatch):
    recipe = RECIPES[name].smoke()
    recipe = replace(recipe, g_hidden=(3,), d_hidden=(3, 3))
    options = {"elementwise": 0, "directions": 2}
    assert all(check_recipe(recipe, **options))
    monkeypatch.setattr(penalty, "second_order", of_u(lambda u: 1.01 * u)(penalty.second_order))
    of_D, of_G = check_recipe(recipe, **options)
    assert not of_D
    assert of_G


# What is said, and where ----------------------------------------------------------------------------------------------


def by_formula(kind, norms):
    """The mean over examples of what each pays for ‖g‖, without weight."""
    if kind in ("r1", "r2"):
        return sum(n**2 for n in norms) / 2 / len(norms)
    return sum((n - 1) ** 2 for n in norms if kind != "wgan-gp-one-sided" or n > 1) / len(norms)


@pytest.mark.parametrize("shape", [(5, 3), (5, 2, 3, 1)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_the_value_is_the_formulas_and_its_gradient_the_values_difference(kind, shape):
    g, fine, h = draw(*shape) / np.sqrt(np.prod(shape[1:])), Penalty(kind, 0.7, 3), 1e-6
    norms = [np.linalg.norm(row) for row in g]
    assert min(norms) < 1 < max(norms)
    value, u = fine.value(g)
    np.testing.assert_allclose(value, 0.7 * 3 * by_formula(kind, norms), rtol=1e-14)
    for place in np.ndindex(g.shape):
        ahead, behind = (g + step * (np.indices(g.shape).T == place).all(-1).T for step in (h, -h))
        np.testing.assert_allclose(
            u[place], (fine.value(ahead)[0] - fine.value(behind)[0]) / (2 * h), rtol=1e-6, atol=1e-8
        )


@pytest.mark.parametrize("kind", KINDS)
def test_float32_stays_float32(kind):
    value, u = Penalty(kind).value(draw(4, 3).astype("f"))
    assert {value.dtype, u.dtype} == {np.dtype("f")}
    images = draw(2, 4, 3).astype("f")
    assert Penalty(kind).points(*images, RandomStream(0, "penalty")).dtype == np.float32


def passes_of(kind, x_real, x_fake, rng):
    """What D sees in turn, up to the images at which its gradient is taken."""
    if kind in ("r1", "r2"):
        return [x_real, x_fake][: KINDS.index(kind) + 1]
    share = rng.uniform((len(x_real), *[1] * (x_real.ndim - 1)), np.float64)
    if kind == "dragan":
        points = x_real + share * x_real.std() / 2 * rng.uniform(x_real.shape, np.float64)
    else:
        points = share * x_real + (1 - share) * x_fake
    return [x_real, x_fake, points]


@pytest.mark.parametrize("packing", [1, 2])
@pytest.mark.parametrize("critic", ["MLP", "convolutional"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_gains_the_formula_of_ds_gradient_at_the_right_images(kind, critic, packing):
    G, D, x, z = game(critic, packing=packing)
    drawn, rng = {"rng": SameDraws(), "penalty_rng": RandomStream(4, "penalty")}, SameDraws()
    fine = Penalty(kind, 2.0, 3)
    found = discriminator_step(G, D, Still(D), LOGIT, x, z, feeding=Feeding(packing=packing), penalty=fine, **drawn)
    for images in passes_of(kind, pack(x, packing), pack(G(z), packing), RandomStream(4, "penalty")):
        out, cache = D.forward(images, train=True, rng=rng)  # Dropout draws on from pass to pass
    g = D.backward(np.ones_like(out), cache, need_param_grads=False)
    norms = [np.linalg.norm(row) for row in g]
    np.testing.assert_allclose(found.loss - found.loss_real - found.loss_fake, 6 * by_formula(kind, norms), rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_what_else_a_step_tells_is_that_of_a_step_without_a_penalty(kind):
    G, D, x, z = game("MLP")
    plain = discriminator_step(G, D, Still(D), LOGIT, x, z)
    fined = discriminator_step(
        G, D, Still(D), LOGIT, x, z, penalty=Penalty(kind), penalty_rng=RandomStream(0, "penalty")
    )
    for name in ("loss_real", "loss_fake", "prob_real", "prob_fake"):
        np.testing.assert_allclose(getattr(fined, name), getattr(plain, name), rtol=1e-12)


def test_a_lazy_penalty_is_as_many_times_as_strong_in_loss_and_gradient():
    G, D, x, z = game("MLP")
    found = []
    for fine in (None, Penalty("wgan-gp", 0.5), Penalty("wgan-gp", 0.5, every=4)):
        drawn = {"penalty_rng": RandomStream(0, "penalty")}
        loss = discriminator_step(G, D, Still(D), LOGIT, x, z, penalty=fine, **drawn).loss
        found.append(np.append(D.grads, loss))
    plain, once, lazy = found
    assert abs(once - plain).max() > 1e-3
    np.testing.assert_allclose(lazy - plain, 4 * (once - plain), rtol=1e-9, atol=1e-12)


# The root at zero -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_where_the_gradient_is_zero_the_value_is_finite_and_its_gradient_zero(kind):
    g = draw(4, 3)
    g[1] = 0
    value, u = Penalty(kind, 0.5).value(g)
    np.testing.assert_allclose(value, 0.5 * by_formula(kind, [np.linalg.norm(row) for row in g]), rtol=1e-14)
    assert not u[1].any()
    assert np.isfinite(u).all()
    tiny, u = Penalty(kind, 0.5).value(1e-300 * g)
    assert np.isfinite(tiny)
    assert np.isfinite(u).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_critic_that_is_flat_learns_without_a_nan_or_a_warning(kind):
    G, D, x, z = game("MLP", dtype=np.float32)
    D.layers[-1].W[...] = 0
    drawn = {"penalty_rng": RandomStream(0, "penalty")}
    found = discriminator_step(G, D, Still(D), WASSERSTEIN, x, z, penalty=Penalty(kind), **drawn)
    assert np.isfinite(found.loss)
    penalised = D.grads.copy()
    discriminator_step(G, D, Still(D), WASSERSTEIN, x, z)
    np.testing.assert_allclose(penalised, D.grads, atol=1e-6)  # what has no slope is not told which one to have


# Where the points lie -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["wgan-gp", "wgan-gp-one-sided"])
def test_points_lie_on_the_line_from_a_fake_to_a_real_image_each_at_a_share_of_its_own(kind):
    real, fake = draw(200, 3, 2, 1), draw(200, 3, 2, 1, seed=1)
    shares = (Penalty(kind).points(real, fake, RandomStream(0, "penalty")) - fake) / (real - fake)
    of_each = shares.reshape(200, -1).mean(axis=1)
    np.testing.assert_allclose(shares.reshape(200, -1), np.repeat(of_each[:, None], 6, axis=1), atol=1e-8)
    assert -1e-8 < of_each.min() < 0.05
    assert 0.95 < of_each.max() < 1 + 1e-8
    assert abs(of_each.mean() - 0.5) < 0.06


def test_dragans_points_lie_beside_the_real_images_and_hear_of_no_fake():
    real = 3 * draw(200, 50)
    points, others = (
        Penalty("dragan").points(real, fake, RandomStream(0, "penalty")) for fake in (real, draw(7, 50, seed=1))
    )
    np.testing.assert_array_equal(points, others)
    off = (points - real) / (real.std() / 2)
    assert off.min() > -1e-12
    assert 0.9 < off.max() < 1
    alpha = off.max(axis=1)  # of 50 draws from U[0, 1) the largest is nearly 1
    assert alpha.min() < 0.05
    np.testing.assert_allclose(off.mean(axis=1), alpha / 2, atol=0.15)


# Devices --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["standin", "third"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("critic", CRITICS)
def test_a_penalised_step_on_another_device_is_that_of_the_cpu(critic, kind, device, request):
    found = []
    for there in ("cpu", device):
        if there == "standin":
            request.getfixturevalue("standin")
        elif there == "third":
            install(request.getfixturevalue("monkeypatch"), thirdlibrary.LIBRARY)
        place = "gpu" if there == "standin" else there
        G, D, x, z = game(critic)
        x, z = (to_device(array, place) for array in (x, z))
        drawn = {
            "rng": RandomStream(0, "dropout", device=place),
            "penalty_rng": RandomStream(0, "penalty", device=place),
        }
        options = {"penalty": Penalty(kind), **drawn}
        loss = discriminator_step(G.to(place), D.to(place), Still(D), WASSERSTEIN, x, z, **options).loss
        assert backend.device_of(D.grads) == place
        found.append([*to_numpy(D.grads), float(loss)])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-10, atol=1e-12)


# What it costs --------------------------------------------------------------------------------------------------------


@pytest.fixture
def counted(monkeypatch):
    """A function: how many multiply-adds the matrix products of a call take."""
    total, plain = [0], backend.matmul

    def matmul(a, b, out=None):
        total[0] += flops(a.shape, b.shape) // 2
        return plain(a, b, out)

    monkeypatch.setattr(backend, "matmul", matmul)

    def count(call):
        total[0] = 0
        call()
        return total[0]

    return count


@pytest.mark.parametrize("critic", ["MLP", "convolutional"])
def test_a_penalty_takes_no_product_too_many(critic, counted):
    """Multiply-adds for each pair of a real image and a fake, c of each layer with weights, S their sum."""
    G, D, x, z = game(critic)
    costs, y = [], x
    for layer in D.layers:
        here = y
        costs.append(counted(lambda layer=layer, here=here: layer.forward(here, train=False)) / N)
        y, _ = layer.forward(y, train=False)
    costs = [cost for cost in costs if cost]
    S, first, last = sum(costs), costs[0], costs[-1]

    def step(fine):
        fakes, drawn = G.forward(z, train=True), {"rng": SameDraws(), "penalty_rng": RandomStream(0, "penalty")}
        return counted(lambda: discriminator_step(G, D, Still(D), LOGIT, x, fakes=fakes, penalty=fine, **drawn)) / N

    plain = step(None)
    assert plain == 4 * S + 2 * (S - first)
    for kind in ("r1", "r2"):
        assert step(Penalty(kind)) - plain == (S - last) + first
    for kind in DRAWN:
        assert step(Penalty(kind)) - plain == 4 * S - 2 * last


# A run ----------------------------------------------------------------------------------------------------------------

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype=np.uint8)


def smoke(name="quick-mlp", **changes):
    return replace(RECIPES[name].smoke(), images=40, batch_size=8, **changes)


@pytest.fixture
def streams(monkeypatch):
    """{stream: what was drawn from it by `uniform`}"""
    found, begin, genuine = defaultdict(list), RandomStream.__init__, RandomStream.uniform

    def init(self, seed, stream, *args, **options):
        begin(self, seed, stream, *args, **options)
        self.stream = stream

    def uniform(self, *args, **options):
        draws = genuine(self, *args, **options)
        found[self.stream].append(draws.tobytes())
        return draws

    monkeypatch.setattr(RandomStream, "__init__", init)
    monkeypatch.setattr(RandomStream, "uniform", uniform)
    return found


def test_only_a_penalty_at_points_draws_from_its_stream_others_in_each_step_and_for_each_seed(streams):
    for kind in ("none", "r1", "r2"):
        Trainer(smoke(penalty=kind), IMAGES).fit()
    assert "penalty" not in streams
    for seed in (0, 1, 0):
        Trainer(smoke(penalty="wgan-gp"), IMAGES, seed=seed).fit()
    one, other, again = np.array(streams["penalty"]).reshape(3, 5)
    assert len({*one, *other}) == 10
    assert (one == again).all()


@pytest.fixture
def steps(monkeypatch):
    """What each step of D in a run was given: its real images, latents and options."""
    found, genuine = [], discriminator_step

    def noted(G, D, optimizer, loss, x, z, **options):
        found.append(SimpleNamespace(x=x, z=z, **options))
        return genuine(G, D, optimizer, loss, x, z, **options)

    monkeypatch.setattr(trainer, "discriminator_step", noted)
    return found


def test_a_run_without_a_penalty_hears_nothing_of_one_and_one_with_it_gets_the_same_images_and_latents(steps):
    runs = [Trainer(smoke(shared_fakes=False, penalty=kind), IMAGES).fit() for kind in ("none", "wgan-gp")]
    without, fined = steps[:5], steps[5:]
    assert not any({"penalty", "penalty_rng"} & vars(step).keys() for step in without)
    for one, other in zip(without, fined, strict=True):
        assert other.penalty == Penalty("wgan-gp")
        np.testing.assert_array_equal(one.x, other.x)
        np.testing.assert_array_equal(one.z, other.z)
    assert not np.array_equal(runs[0].D.params, runs[1].D.params)


def test_a_lazy_penalty_is_due_in_the_first_step_and_in_each_so_manyth_after_it(steps):
    Trainer(smoke(penalty="r1", penalty_weight=3, penalty_every=2), IMAGES).fit()
    assert [getattr(step, "penalty", None) for step in steps] == [Penalty("r1", 3.0, 2), None] * 2 + [
        Penalty("r1", 3, 2)
    ]


# Bad input ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "r3"}, r"Penalty kind is 'r3'; it must be r1 or r2 or wgan-gp"),
        ({"kind": "none"}, "Penalty kind is 'none'"),
        ({"weight": 0}, r"a penalty's weight must be a finite number above 0, got 0.0; for none leave the penalty out"),
        ({"weight": -1.0}, "above 0, got -1.0"),
        ({"weight": float("nan")}, "above 0, got nan"),
        ({"weight": float("inf")}, "above 0, got inf"),
        ({"weight": "10"}, "above 0, got '10'"),
        ({"every": 0}, "a penalty's every must be a whole number of steps, at least 1, got 0"),
        ({"every": 1.5}, "at least 1, got 1.5"),
    ],
)
def test_a_penalty_that_is_none_is_refused(options, said):
    with pytest.raises(ArgumentError, match=said):
        Penalty(**{"kind": "r1", **options})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"penalty": "r3"}, "penalty is 'r3'; it must be none or r1 or r2 or wgan-gp"),
        ({"penalty_weight": 0.0}, "a penalty's weight must be a finite number above 0, got 0.0"),
        ({"penalty_weight": -3.0}, "got -3.0"),
        ({"penalty_weight": float("nan")}, "penalty_weight must be a finite number, got nan"),
        ({"penalty_every": 0}, "penalty_every must be a whole number, at least 1, got 0"),
        ({"penalty": "none", "penalty_weight": 3.0}, r"there is none: leave them, or take one \(--penalty r1\)"),
        ({"penalty": "none", "penalty_every": 2}, "there is none"),
        ({"update": "simultaneous", "shared_fakes": False}, r"needs update 'alternating' \(--update alternating\)"),
        ({"penalty": "wgan-gp", "d_fakes": "full"}, "take --d-fakes match"),
        ({"penalty": "wgan-gp-one-sided", "d_fakes": "full"}, "take --d-fakes match"),
        ({"loss_kind": "wasserstein", "d_output": "probability"}, "the wasserstein loss compares logits .*--d-output"),
        ({"loss_kind": "wasserstein", "labels": (0.9, 0.1)}, "--labels"),
        ({"loss_kind": "wasserstein", "g_loss": "minimax"}, "--g-loss"),
    ],
)
def test_a_recipe_of_a_penalty_that_cannot_be_is_refused(changes, said):
    with pytest.raises(ArgumentError, match=said):
        replace(RECIPES["r1"], **changes)


@dataclass(frozen=True)
class NormInD(QuickMLP):
    """quick-mlp with BatchNorm in D."""

    def layers(self):
        g_layers, _ = super().layers()
        return g_layers, [*self.hidden(self.d_hidden, leaky, norm=True), *self.answer(self.dense(1))]


class Unbending(Layer):
    """A layer of somebody's own without second order."""

    each_alone = True

    def forward(self, x, *, train, rng=None):
        return 1 * x, None

    def input_grad(self, dy, cache):
        return 1 * dy


@dataclass(frozen=True)
class OwnInD(QuickMLP):
    """quick-mlp with it in D."""

    def layers(self):
        g_layers, d_layers = super().layers()
        return g_layers, [Unbending(), *d_layers]


@pytest.mark.usefixtures("own_recipes")
def test_a_run_whose_d_mixes_a_batch_or_has_no_second_order_is_refused_before_it_begins():
    of_norm, of_own = (kind(**vars(smoke(penalty="r1"))) for kind in (NormInD, OwnInD))
    said = r"penalty 'r1' is on the gradient of each example, and layer 1 of D, BatchNorm\(.*\), mixes those of a batch"
    with pytest.raises(ArgumentError, match=said):
        Trainer(of_norm, IMAGES)
    with pytest.raises(SecondOrderError, match=r"^Unbending has no tangent"):
        Trainer(of_own, IMAGES)
    for recipe in (of_norm, of_own):
        Trainer(replace(recipe, penalty="none"), IMAGES).fit()


def test_a_step_refuses_what_it_cannot_do_by_name_and_moves_nothing():
    G, D, x, z = game("MLP")
    _, mixed, _, _ = game("BatchNorm and Tanh")
    own = Sequential([Unbending(), Dense(1)], (8,), rng=np.random.default_rng(0), dtype=np.float64)
    fine, stream = Penalty("wgan-gp"), RandomStream(0, "penalty")
    fewer = G.forward(z[:4], train=True)
    for net, options, error, said in (
        (D, {"penalty": "r1"}, ArgumentError, r"^penalty must be a Penalty, got 'r1'; make one: Penalty\(…\)"),
        (D, {"penalty": fine}, ArgumentError, r"^penalty 'wgan-gp' draws its points: pass penalty_rng=RandomStream"),
        (D, {"penalty": fine, "penalty_rng": stream, "fakes": fewer}, ShapeError, "got 6 and 4; take as many"),
        (own, {"penalty": Penalty("r1")}, SecondOrderError, "^Unbending has no tangent"),
        (
            mixed,
            {"penalty": Penalty("r1"), "feeding": Feeding(batching="concat")},
            ArgumentError,
            "a penalty takes real and fake as two batches, which to this D, whose BatchNorm",
        ),
    ):
        kept = net.params.copy(), net.buffers.copy()
        with pytest.raises(error, match=said):
            discriminator_step(G, net, Adam(net, lr=0.1), LOGIT, x, z, **options)
        np.testing.assert_array_equal(net.params, kept[0])
        np.testing.assert_array_equal(net.buffers, kept[1])
