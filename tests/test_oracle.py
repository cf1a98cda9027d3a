"""minigan in float64 against answers that PyTorch gave, stored in oracle/ beside the script that asked for them.

After a new or changed case, run that script again; it needs PyTorch, these tests do not.
"""

import inspect

import numpy as np
import pytest
from cases import ALL
from oracle import inputs
from twopasses import OfTwoPasses

from minigan import losses, nn, optim
from minigan.backend import RandomStream
from minigan.gan import discriminator_step, generator_step, simultaneous_step
from minigan.nn.second import divisible
from minigan.recipes import RECIPES

ANSWERS = inputs.load()
MODES = {"train": True, "inference": False}


def compare(case, found, *, floor=0.0, **tolerances):
    """`found` has the entries stored for this case, no more and no fewer, and each agrees to ten digits.

    `floor`: rounding that is let pass, as a share of an array's largest number. `tolerances` are those of one entry.
    """
    stored = {name.removeprefix(f"{case}/"): answer for name, answer in ANSWERS.items() if name.startswith(f"{case}/")}
    assert found.keys() == stored.keys(), f"run tests/oracle/make_answers.py if {case} is new or has changed"
    for entry, array in found.items():
        tolerance = {"rtol": 1e-10, "atol": floor * abs(stored[entry]).max(), **tolerances.get(entry, {})}
        np.testing.assert_allclose(inputs.digest(array), stored[entry], **tolerance, err_msg=f"{case}/{entry}")


def fill(name, network):
    for key, view in network.state().items():
        view[...] = inputs.parameter(f"{name}.{key}", view.shape)
    return network


def named(prefix, arrays):
    return {f"{prefix}.{name}": array.copy() for name, array in arrays.items()}


def answered(kinds):
    """Those kinds that begin the name of a stored case."""
    cases = {name.split("/")[0] for name in ANSWERS}
    return {kind for kind in kinds if any(case.startswith(f"{kind}-") for case in cases)}


def public(module, wanted):
    return {n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__ and wanted(v)}


def test_every_layer_loss_optimiser_and_recipe_has_answers_of_pytorch():
    layers = {n for n in nn.__all__ if isinstance(getattr(nn, n), type) and issubclass(getattr(nn, n), nn.Layer)}
    with_gradient = public(losses, lambda v: inspect.isfunction(v) and "tuple" in v.__annotations__["return"])
    optimisers = public(optim, inspect.isclass) - {"Optimizer"}
    for kinds in (layers - {"Layer"}, with_gradient, optimisers, set(RECIPES)):
        assert kinds
        assert answered(kinds) == kinds, "run tests/oracle/make_answers.py, with its cases added"


def test_no_answer_is_left_of_a_case_that_is_gone():
    cases = {f"{name}-{mode}" for name, _, _ in ALL for mode in MODES}
    assert {name.split("/")[0] for name in ANSWERS} == {*cases, *inputs.LOSSES, *inputs.OPTIMIZERS, *inputs.GAMES}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("name", "make", "in_shape"), ALL, ids=[name for name, _, _ in ALL])
def test_outputs_gradients_and_running_statistics_of_a_layer_are_pytorchs(name, make, in_shape, mode):
    net = fill(name, nn.Sequential([make()], in_shape, rng=np.random.default_rng(0), dtype=np.float64))
    x = inputs.values(f"{name}.x", (inputs.BATCH, *in_shape))
    y, cache = net.forward(x, train=MODES[mode], rng=RandomStream(1, "dropout"))
    dx = net.backward(inputs.values(f"{name}.dy", y.shape), cache)
    if MODES[mode]:
        net.update_buffers(cache)
    found = {"y": y, "dx": dx, **named("grad", net.named_grads()), **named("running", net.named_buffers())}
    compare(f"{name}-{mode}", found)


@pytest.mark.parametrize("case", inputs.LOSSES)
def test_value_and_gradient_of_a_loss_are_pytorchs(case):
    loss, x, t = inputs.LOSSES[case]
    value, gradient = getattr(losses, loss)(x, t)
    tolerance = {}
    if "clamped" in case:
        tolerance["rtol"] = 5e-9  # PyTorch's 1e-12 below the fraction is a float32, which is 4e-9 smaller
    if "extreme" in case:
        tolerance["atol"] = 1e-16  # σ(20) - 1: of the difference of two numbers near 1 the last bits are left
    compare(case, {"value": value, "gradient": gradient}, gradient=tolerance)


@pytest.mark.parametrize("case", inputs.OPTIMIZERS)
def test_a_hundred_steps_of_an_optimiser_lead_where_pytorchs_lead(case):
    kind, options = inputs.OPTIMIZERS[case]
    net = nn.Sequential([nn.Dense(inputs.SIZES.size, bias=False)], (1,), rng=np.random.default_rng(0), dtype=np.float64)
    net.params[...] = inputs.START
    optimizer, found = getattr(optim, kind)(net, **options), {}
    for step in range(1, max(inputs.STEPS) + 1):
        net.grads[...] = inputs.values(f"gradient {step}", net.params.shape) * inputs.SIZES
        optimizer.step()
        if step in inputs.STEPS:
            found[f"after {step}"] = net.params.copy()
    compare(case, found)


@pytest.mark.parametrize("case", inputs.GAMES)
def test_losses_gradients_and_updates_of_a_full_step_of_d_and_of_g_are_pytorchs(case):
    recipe = inputs.GAMES[case]
    G, D = recipe.networks(np.random.default_rng(0), dtype=np.float64)
    fill("G", G)
    fill("D", D).params *= inputs.steepness(recipe)
    options = {"beta1": recipe.beta1, "beta2": recipe.beta2, "eps": recipe.eps}
    g_adam, d_adam = optim.Adam(G, lr=recipe.lr_g, **options), optim.Adam(D, lr=recipe.lr_d, **options)
    x_real = inputs.values("x_real", (recipe.batch_size, *recipe.image_shape))
    z, z_again = (inputs.values(name, (recipe.batch_size, recipe.latent_dim)) for name in ("z", "z again"))
    rng = RandomStream(1, "dropout")
    penalty = recipe.gradient_penalty
    as_one = recipe.update == "alternating" and recipe.feeding.as_one(D)
    if penalty is not None and not penalty.drawn:
        as_one = as_one and divisible(D)
    if recipe.d_batching == "separate" and as_one:  # where PyTorch made two passes
        rng = OfTwoPasses(1, D, (len(x_real), len(z)))

    if recipe.update == "simultaneous":
        d, g = simultaneous_step(G, D, g_adam, d_adam, recipe.loss, x_real, z, feeding=recipe.feeding, rng=rng)
    else:
        fakes = G.forward(z, train=True, rng=rng) if recipe.shared_fakes else None
        options = {"fakes": fakes, "feeding": recipe.feeding, "rng": rng}
        drawn = {"penalty": penalty, "penalty_rng": RandomStream(1, "penalty")}
        d = discriminator_step(G, D, d_adam, recipe.loss, x_real, z, **options, **drawn)
        g = generator_step(G, D, g_adam, recipe.loss, z_again, **options)

    found = {**named("D", d._asdict()), **named("G", g._asdict())}
    if penalty is not None:
        share = 0.5 if recipe.d_batching == "concat" else 1
        found["D.penalty"] = d.loss - share * (d.loss_real + d.loss_fake)
    for name, net in (("D", D), ("G", G)):
        found |= {**named(f"grad.{name}", net.named_grads()), **named(f"after.{name}", net.state())}
    # BatchNorm over four images takes most of a gradient away: here and there a number a million times smaller is left,
    # with four digits fewer than its neighbours.
    # A bias just before BatchNorm moves nothing: its gradient is 0, of which both libraries compute some rounding.
    idle = {
        f"grad.G.{name}": {"atol": 1e-15}
        for i, norm in enumerate(G.layers)
        for name in G.named_params()
        if isinstance(norm, nn.BatchNorm) and name.startswith(f"{i - 1}.") and name.endswith(".b")
    }
    compare(case, found, floor=1e-14, **idle)
