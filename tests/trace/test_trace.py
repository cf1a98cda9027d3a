"""A traced step: bit for bit the untraced one, on copies, with every number of it."""

import copy

import numpy as np
import pytest

from minigan.backend import RandomStream
from minigan.data.glyphs import load_glyphs
from minigan.gan import Feeding, GANLoss, Penalty, discriminator_step, generator_step
from minigan.nn import (
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Layer,
    LeakyReLU,
    Reshape,
    Sequential,
    Sigmoid,
    SpectralNorm,
    Tanh,
)
from minigan.optim import SGD, Adam
from minigan.recipes import RECIPES
from minigan.runs.inspecting import trace_next
from minigan.trace import trace_step
from minigan.trace.watching import named_parts
from minigan.train import Trainer

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (8, 16)).astype(np.float32)
Z = rng.standard_normal((8, 6)).astype(np.float32)


def players(g_layers=None, d_layers=None, seen=16, dtype=np.float32):
    draw = np.random.default_rng(3)
    G = Sequential(g_layers or [Dense(12), BatchNorm(), LeakyReLU(slope=0.2), Dense(16), Tanh()], (6,), rng=draw)
    d_layers = d_layers or [Dense(12), LeakyReLU(slope=0.2), Dense(1)]
    shape = seen if isinstance(seen, tuple) else (seen,)
    D = Sequential(d_layers, shape, rng=draw)
    return G, D, Adam(G, lr=1e-2, beta1=0.5), Adam(D, lr=1e-2, beta1=0.5)


def logits(**options):
    return GANLoss(output="logit", **options)


def state(*owners):
    """All bits of networks and optimisers."""
    found = []
    for owner in owners:
        arrays = [*owner.state().values(), *([owner.grads] if isinstance(owner, Sequential) else [])]
        found.append((getattr(owner, "steps", None), [np.asarray(array).tobytes() for array in arrays]))
    return found


@pytest.fixture(scope="module")
def images():
    return load_glyphs(200, say=lambda line: None)[0]


@pytest.mark.parametrize("name", RECIPES)
def test_a_traced_step_of_a_recipe_leaves_the_copies_as_the_untraced_one_would_and_the_originals_as_they_were(
    name, images
):
    recipe = RECIPES[name].smoke()
    trainer = Trainer(recipe, images, seed=3)
    step = 2 * recipe.penalty_every
    for _ in range(step):
        trainer.train_step(trainer.batches.batch(trainer.step))
    owners = trainer.G, trainer.D, trainer.g_optimizer, trainer.d_optimizer
    before = state(*owners)
    trace, _ = trace_next(trainer, recipe.batch_size)
    assert state(*owners) == before
    assert trainer.step == step
    x, seed = trainer.batches.batch(step), trainer.seed
    trainer.step += 1
    trainer.play(x, RandomStream(seed, "latent", step), RandomStream(seed, "dropout", step), g_due=True)
    made = trace.networks["G"], trace.networks["D"], trace.optimizers["G"], trace.optimizers["D"]
    assert state(*made) == state(*owners)


@pytest.mark.parametrize("name", RECIPES)
def test_what_a_layer_gives_is_what_the_next_one_gets_forward_and_back(name, images):
    trace, _ = trace_next(Trainer(RECIPES[name].smoke(), images, seed=3), 16)
    for step in trace.steps:
        for made in step.passes:
            for below, above in zip(made.layers, made.layers[1:], strict=False):
                assert below.y is above.x
                if made.begins == "loss":
                    assert below.dy is above.dx


FEEDINGS = {
    "as one": {},
    "concat": {"feeding": Feeding(batching="concat")},
    "packed": {"feeding": Feeding(packing=2)},
    "shared": {"shared_fakes": True},
    "simultaneous": {"simultaneous": True},
    "minimax": {"loss": logits(generator="minimax")},
    "hinge": {"loss": logits(kind="hinge")},
}


@pytest.mark.parametrize("name", FEEDINGS)
def test_the_sum_of_what_the_passes_wrote_is_what_the_optimiser_found_and_followed(name):
    options = {"loss": logits(), **FEEDINGS[name]}
    loss, packed = options.pop("loss"), options.get("feeding", Feeding()).packing
    G, D, g, d = players(seen=16 * packed)
    trace = trace_step(G, D, g, d, loss, X, Z, **options)
    for step, network in zip(trace.steps, (D, G), strict=True):
        own = [made for made in step.passes if made.network == step.player and made.begins]
        assert own
        after = trace.networks[step.player].named_params()
        for key, total in step.totals.items():
            index, _, param = key.split(".")
            parts = [made.layers[int(index)].grads[param] for made in own]
            np.testing.assert_allclose(sum(parts), total, rtol=1e-5, atol=1e-8)
            np.testing.assert_array_equal(step.updates[key], after[key] - network.named_params()[key])


def test_each_recorded_gradient_is_what_an_untraced_backward_gives():
    G, D, g, d = players(d_layers=[Dense(12), BatchNorm(), LeakyReLU(slope=0.2), Dense(1)])
    trace = trace_step(G, D, g, d, logits(), X, Z)
    fakes = next(made for made in trace.D.passes if made.network == "G").out
    found = [made for made in trace.D.passes if made.network == "D"]
    for made, x in zip(found, (X, fakes), strict=True):
        out, cache = D.forward(x, train=True)
        np.testing.assert_array_equal(made.out, out)
        D.backward(made.layers[-1].dy, cache)
        for name, grad in D.named_grads().items():
            index, _, param = name.split(".")
            np.testing.assert_array_equal(made.layers[int(index)].grads[param], grad)


def test_off_it_costs_nothing_since_no_layer_network_or_optimiser_is_other_than_before():
    G, D, g, d = players()
    names = [dict(vars(owner)) for owner in (G, D, g, d, *G.layers, *D.layers)]
    trace = trace_step(G, D, g, d, logits(), X, Z)
    assert [vars(owner).keys() for owner in (G, D, g, d, *G.layers, *D.layers)] == [n.keys() for n in names]
    copies = trace.networks["G"], trace.networks["D"], trace.optimizers["G"], trace.optimizers["D"]
    layers = *trace.networks["G"].layers, *trace.networks["D"].layers
    assert [vars(owner).keys() for owner in (*copies, *layers)] == [n.keys() for n in names]


def test_an_error_in_a_step_leaves_nothing_behind_either():
    class Broken(Layer):
        def forward(self, x, *, train, rng=None):
            raise RuntimeError("no")

    seen = []

    def step(G, D, *rest, **options):
        seen.append(D)
        return discriminator_step(G, D, *rest, **options)

    with pytest.raises(RuntimeError, match="no"):
        trace_step(*players(d_layers=[Broken(), Dense(1)]), logits(), X, Z, d_step=step)
    assert not {"forward", "backward", "input_grad"} & vars(seen[0].layers[0]).keys()


def test_one_layer_at_two_places_and_in_both_networks_is_told_apart():
    leaky = LeakyReLU(slope=0.2)
    G, D, g, d = players([Dense(5), leaky, Dense(16), leaky], [Dense(7), leaky, Dense(5), leaky, Dense(1)])
    trace = trace_step(G, D, g, d, logits(), X, Z)
    made = trace.D.passes[-1]
    assert [traced.x.shape[1] for traced in made.layers] == [16, 7, 7, 5, 5]
    assert G.layers[1] is D.layers[3] is leaky


def test_the_streams_that_are_given_are_not_drawn_from():
    stream = RandomStream(1, "dropout")
    before = copy.deepcopy(stream).uniform((3,))
    d_layers = [Dense(12), Dropout(drop=0.5), Dense(1)]
    trace = trace_step(*players(d_layers=d_layers), logits(), X, Z, rng=stream)
    np.testing.assert_array_equal(stream.uniform((3,)), before)
    masks = [made.layers[1].kept["mask"] for step in trace.steps for made in step.passes if made.network == "D"]
    assert not np.array_equal(masks[0][:8], masks[1])


PENALTIES = ("r1", "r2", "wgan-gp", "wgan-gp-one-sided", "dragan")


@pytest.mark.parametrize("curved", [False, True], ids=["straight", "curved"])
@pytest.mark.parametrize("kind", PENALTIES)
def test_a_penaltys_way_back_is_a_pass_from_ones_and_dx_is_ds_gradient(kind, curved):
    G, D, g, d = players(d_layers=[Dense(12), Tanh() if curved else LeakyReLU(slope=0.2), Dense(1)])
    options = {"penalty": Penalty(kind), "penalty_rng": RandomStream(0, "penalty")}
    trace = trace_step(G, D, g, d, logits(), X, Z, **options)
    made = next(made for made in trace.D.passes if made.begins == "ones")
    x = made.layers[0].x
    assert made.layers[0].dx.shape == x.shape
    out, cache = D.forward(x, train=True)
    np.testing.assert_allclose(made.layers[0].dx, D.backward(np.ones_like(out), cache), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(made.out, out, rtol=1e-6)
    assert made.layers[0].grads["W"].any()
    assert trace.D.loss.penalty > 0
    # … and the traced D is that of an untraced step.
    options["penalty_rng"] = RandomStream(0, "penalty")
    discriminator_step(G, D, d, logits(), X, Z, **options)
    np.testing.assert_array_equal(trace.networks["D"].params, D.params)


def test_a_penalty_on_a_d_of_one_layer_alone():
    G, D, g, d = players(d_layers=[Dense(1)])
    options = {"penalty": Penalty("wgan-gp"), "penalty_rng": RandomStream(0, "penalty")}
    trace = trace_step(G, D, g, d, logits(), X, Z, **options)
    made = trace.D.passes[-1]
    assert made.begins == "ones"
    np.testing.assert_allclose(made.layers[0].dx, np.broadcast_to(D.layers[0].W.T, (8, 16)), rtol=1e-6)


class Own(Layer):
    """x³, whose backward does all by itself."""

    def params(self, in_shape):
        return {"a": ((1,), lambda rng, shape: np.ones(shape))}

    def forward(self, x, *, train, rng=None):
        return self.a * x**3, {"x": x, "words": "of no account"}

    def backward(self, dy, cache, *, need_param_grads=True, need_input_grad=True, accumulate=False, grads=None):
        if need_param_grads:
            da = (dy * cache["x"] ** 3).sum()
            self.grads["a"][...] = self.grads["a"] * accumulate + da
        return 3 * self.a * dy * cache["x"] ** 2


def test_a_layer_of_ones_own_with_a_backward_of_its_own_is_recorded_pass_by_pass():
    G, D, g, d = players(d_layers=[Dense(4), Own(), Dense(1)])
    trace = trace_step(G, D, g, d, logits(), X, Z)
    real, fake = (made.layers[1].grads["a"] for made in trace.D.passes if made.network == "D")
    np.testing.assert_allclose(real + fake, trace.D.totals["1.Own.a"], rtol=1e-5)
    assert real != fake


def test_spectral_normalisations_vectors_are_kept_by_name():
    G, D, g, d = players(d_layers=[SpectralNorm(Dense(12)), SpectralNorm(Dense(1))])
    kept = trace_step(G, D, g, d, logits(), X, Z).D.passes[-1].layers[0].kept
    assert {name: array.size for name, array in kept.items()} == {"u": 12, "v": 16, "sigma": 1}


def test_a_step_that_forgets_to_accumulate_shows_in_the_totals():
    def forgetful(G, D, d_optimizer, loss, x_real, z, *, fakes=None, feeding=None, rng=None):
        x_fake, _ = G.forward(z, train=True, rng=rng, keep=False)
        (real, cache_real), (fake, cache_fake) = D.forward(x_real, train=True), D.forward(x_fake, train=True)
        _, d_real, d_fake = loss.for_discriminator(real, fake)
        D.backward(d_real, cache_real, need_input_grad=False)
        D.backward(d_fake, cache_fake, need_input_grad=False)
        d_optimizer.step()

    trace = trace_step(*players(), logits(), X, Z, d_step=forgetful)
    real, fake = (made.layers[0].grads["W"] for made in trace.D.passes if made.network == "D")
    np.testing.assert_array_equal(trace.D.totals["0.Dense.W"], fake)
    assert real.any()
    assert [(part.name, part.place) for part in trace.D.loss.parts] == [("real", 1), ("fake", 2)]


def test_a_step_of_ones_own_that_leaves_d_out_has_no_way_back_through_it():
    def without_D(G, D, g_optimizer, loss, z, *, fakes=None, feeding=None, rng=None):
        x_fake, cache = G.forward(z, train=True, rng=rng)
        out, _ = D.forward(x_fake, train=True)
        _, d_out = loss.for_generator(out)
        G.backward(np.broadcast_to(d_out, x_fake.shape).copy(), cache, need_input_grad=False)
        g_optimizer.step()

    trace = trace_step(*players(), logits(), X, Z, g_step=without_D)
    assert [(made.network, made.begins) for made in trace.G.passes] == [("G", "loss"), ("D", None)]


def test_the_loss_is_told_part_by_part_with_the_gradient_that_the_way_back_begins_with():
    for options in ({}, {"feeding": Feeding(batching="concat")}):
        trace = trace_step(*players(), logits(), X, Z, **options)
        place = trace.D.loss.parts[0].place
        np.testing.assert_array_equal(trace.D.loss.d_out[place], trace.D.passes[place].layers[-1].dy)
        value = sum(part.share * part.value for part in trace.D.loss.parts)
        assert value == pytest.approx(trace.D.loss.value, rel=1e-6)
    minimax = trace_step(*players(), logits(generator="minimax"), X, Z).G.loss
    assert minimax.parts[0].share * minimax.parts[0].value == pytest.approx(minimax.value)


def test_images_two_optimisers_and_float64_are_traced_too():
    draw = np.random.default_rng(0)
    G = Sequential([Dense(16), Reshape(4, 4, 1), Tanh()], (6,), rng=draw, dtype=np.float64)
    D = Sequential([Conv2d(3, 3), Reshape(12), Dense(1), Sigmoid()], (4, 4, 1), rng=draw, dtype=np.float64)
    z, x = Z.astype(float), X.astype(float).reshape(8, 4, 4, 1)
    trace = trace_step(G, D, SGD(G, lr=0.1), SGD(D, lr=0.1, momentum=0.9), GANLoss(), x, z)
    assert trace.D.passes[-1].layers[0].y.dtype == np.float64
    d = SGD(D, lr=0.1, momentum=0.9)
    discriminator_step(G, D, d, GANLoss(), x, z)
    generator_step(G, D, SGD(G, lr=0.1), GANLoss(), z)
    np.testing.assert_array_equal(trace.networks["G"].params, G.params)


def test_caches_of_any_kind_are_named():
    a, b = np.zeros(2), np.ones(3)
    assert named_parts(a, ("mask",)) == {"mask": a}
    assert [*named_parts((a, (2, 3), b), ("which",))] == ["which", "2"]
    assert [*named_parts({"one": a, "two": [a, b]})] == ["one", "two", "two.1"]
    assert named_parts(None) == named_parts((1, "x")) == named_parts(np.array(["x"])) == {}
