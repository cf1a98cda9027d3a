"""What can be checked: a pair of functions, a loss, a layer, a network, the two steps of the game, a recipe."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigan.backend import RandomStream
from minigan.errors import ArgumentError
from minigan.gan import GANLoss, discriminator_step, generator_step
from minigan.gradcheck.check import Subject, compare
from minigan.gradcheck.report import Report
from minigan.nn import Layer, Sequential
from minigan.optim import Optimizer
from minigan.recipes import Recipe

KINK_MARGIN = 1e-3  # further than a step of 1e-4 in one entry moves any activation of the networks checked so
TRIES = 50


def check_pair(forward: Callable[..., Any], backward: Callable[..., Any], *arrays: Any, **options: Any) -> Report:
    """Check any two functions: `y, cache = forward(*arrays)` and `grads = backward(dy, cache)`, one gradient per array.

    What is not a float array (an axis, a rate) is handed through; backward leaves it out or returns None for it.
    NumPy's global random state is the same for each call of forward; a function that asks for `rng` gets the same
    RandomStream each time. Options: as `compare`. Raises ArgumentError if backward returns another number of gradients.
    """
    names = [n for n in inspect.signature(forward).parameters if n != "rng"]
    names += [f"argument {i}" for i in range(len(names), len(arrays))]  # of a forward that takes *args
    values = dict(zip(names, (np.array(a) if isinstance(a, (np.ndarray, list)) else a for a in arrays), strict=False))
    variables = {n: v for n, v in values.items() if isinstance(v, np.ndarray) and v.dtype.kind == "f"}
    frozen = {"rng": dropout_rng} if "rng" in inspect.signature(forward).parameters else {}

    def run(**inputs: np.ndarray) -> tuple[Any, Any]:
        state = np.random.get_state()  # noqa: NPY002 (the functions of others may use it; it is put back)
        np.random.seed(0)  # noqa: NPY002
        try:
            returned = forward(*{**values, **inputs}.values(), **{name: make() for name, make in frozen.items()})
        finally:
            np.random.set_state(state)  # noqa: NPY002
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise ArgumentError(f"{forward.__name__} must return (y, cache), got {type(returned).__name__}")
        return returned

    def grads(dy: Any, cache: Any) -> dict[str, Any]:
        found = backward(dy, cache)
        found = list(found) if isinstance(found, (tuple, list)) else [found]
        if len(found) == len(values):
            found = [g for g, n in zip(found, values, strict=True) if n in variables]
        if len(found) != len(variables):
            raise ArgumentError(f"{backward.__name__} returned {len(found)} gradients for {', '.join(variables)}")
        return dict(zip(variables, map(np.asarray, found), strict=True))

    x = next(iter(variables.values()), np.zeros(0))
    batch = x.ndim > 0 and np.shape(run()[0])[:1] == x.shape[:1]
    inputs = tuple(variables)
    title = options.pop("title", f"{forward.__name__} and {backward.__name__}")
    subject = Subject(variables, run, grads, inputs, batch, numbers(values))
    return compare(subject._replace(inputs=inputs[:1] if batch else inputs), title=title, **options)


def check_loss(loss: Callable[[np.ndarray], tuple[Any, np.ndarray]], x: np.ndarray, **options: Any) -> Report:
    """Check a loss `x -> (value, gradient)` at x."""
    arrays = {"x": np.array(x)}

    def run(x: np.ndarray = arrays["x"]) -> tuple[Any, Any]:
        return loss(x)

    def grads(dy: Any, gradient: Any) -> dict[str, Any]:
        return {"x": dy * np.asarray(gradient)}

    title = options.pop("title", getattr(loss, "__name__", "loss"))
    return compare(Subject(arrays, run, grads, ("x",)), dy=1.0, title=title, **options)


def check_layer(layer: Layer, in_shape: tuple[int, ...], *, train: bool = True, **options: Any) -> Report:
    """Check one layer's gradient with respect to its input and every parameter. Options: as `check_network`."""
    net = Sequential([unbound(layer)], in_shape, rng=np.random.default_rng(0), dtype=np.float64)
    title = options.pop("title", f"{layer!r} on {in_shape}, train={train}")
    return check_network(net, train=train, title=title, **options)


def check_network(
    net: Sequential, *, train: bool = True, batch: int = 5, seed: int = 0, title: str = "", **options: Any
) -> Report:
    """Check a network's gradient with respect to its input and every parameter, on a float64 copy of it.

    Input, parameters, buffers and upstream are random. A point at which an activation is nearer than 1e-3 to a kink is
    drawn again, as far as that succeeds; kinks that are left are found and reported. Random layers see the same draws
    on every call. Options: as `compare`.
    """
    title = title or f"{net!r}, train={train}"
    net = Sequential(
        [unbound(layer) for layer in net.layers], net.in_shape, rng=np.random.default_rng(0), dtype=np.float64
    )
    best, nearest = 0, -1.0
    for attempt in range(TRIES):
        x = draw(net, batch, [seed, attempt])
        if (distance := distance_to_kinks(net, x, train=train)) > nearest:
            best, nearest = attempt, distance
        if distance > KINK_MARGIN:
            break
    x = draw(net, batch, [seed, best])

    def run(x: np.ndarray = x) -> tuple[Any, Any]:
        return net.forward(x, train=train, rng=dropout_rng())

    def named(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name.rsplit(".")[-1] if len(net.layers) == 1 else name: array for name, array in arrays.items()}

    def grads(dy: Any, cache: Any) -> dict[str, Any]:
        return {"x": net.backward(dy, cache), **named(net.named_grads())}

    constants = {k: v for layer in net.layers for k, v in numbers(vars(layer)).items()}
    subject = Subject({"x": x, **named(net.named_params())}, run, grads, ("x",), batch=True, constants=constants)
    return compare(subject, title=title, seed=seed, **options)


def draw(net: Sequential, batch: int, seed: Sequence[int]) -> np.ndarray:
    """A random input for the network, which gets random parameters and buffers.

    Parameters are of size 0.2 to 1, of either sign, less where a sum has many terms; a running variance is positive.
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, *net.in_shape))
    for array in net.named_params().values():
        terms = array.size // array.shape[-1]
        array[...] = (
            rng.uniform(0.2, 1.0, array.shape) * rng.choice([-1, 1], array.shape) / max(1.0, (terms / 8) ** 0.5)
        )
    net.buffers[...] = rng.uniform(0.5, 2.0, net.buffers.shape)
    return x


def check_discriminator_step(
    G: Sequential, D: Sequential, loss: GANLoss, x_real: np.ndarray, z: np.ndarray, *, step: Any = None, **options: Any
) -> Report:
    """Check what a discriminator step writes: D's loss with respect to every parameter of D, G held fixed.

    `step` is called as `gan.discriminator_step`, which is the default.
    """
    play = step or discriminator_step

    def run() -> Any:
        return play(G, D, Still(D), loss, x_real, z, rng=dropout_rng())

    suspects = {
        f"it is the gradient of {name} alone: the other is overwritten, or never added": lambda name=name: np.ravel(
            getattr(run(), name)
        )
        for name in ("loss_real", "loss_fake")
    }
    return check_step("discriminator_step", run, D, (G, D), suspects, options)


def check_generator_step(
    G: Sequential, D: Sequential, loss: GANLoss, z: np.ndarray, *, step: Any = None, **options: Any
) -> Report:
    """Check what a generator step writes: G's loss, through D, with respect to every parameter of G.

    `step` is called as `gan.generator_step`, which is the default.
    """
    play = step or generator_step

    def run() -> Any:
        return play(G, D, Still(G), loss, z, rng=dropout_rng())

    rng = dropout_rng()
    d_out = loss.for_generator(D.forward(G.forward(z, train=True, rng=rng)[0], train=True, rng=rng)[0])[1]

    def without_D() -> np.ndarray:
        x_fake, _ = G.forward(z, train=True, rng=dropout_rng())
        return np.ravel(x_fake.reshape(len(z), -1) * d_out)

    suspects = {
        "D is left out on the way back: what belongs to D's output goes straight into G, broadcast over its outputs": (
            without_D
        )
    }
    return check_step("generator_step", run, G, (G, D), suspects, options)


def check_step(
    title: str,
    run: Callable[[], Any],
    network: Sequential,
    networks: tuple[Sequential, ...],
    suspects: Any,
    options: Any,
) -> Report:
    """Check what the step leaves in the network's gradients; the running statistics that it moves are put back."""
    kept = [(net, net.buffers.copy(), net.grads.copy()) for net in networks]

    def forward() -> tuple[Any, Any]:
        network.grads[...] = 0
        value = run().loss
        return value, {name: grad.copy() for name, grad in network.named_grads().items()}

    try:
        subject = Subject(network.named_params(), forward, lambda _dy, grads: grads, suspects=suspects)
        return compare(subject, dy=1.0, **{"title": title, **options})
    finally:
        for net, buffers, grads in kept:
            net.buffers[...], net.grads[...] = buffers, grads


def check_recipe(recipe: Recipe, *, batch: int = 4, seed: int = 0, note: str = "", **options: Any) -> list[Report]:
    """Check both steps of a recipe on a random batch: D's, then G's. Options: as `compare`.

    The networks are the recipe's, in float64, with larger weights than published ones, which start so small that the
    gradients are too. Points near a kink are drawn again, as in `check_network`.
    """
    G, D = recipe.networks(np.random.default_rng(seed), dtype=np.float64)
    best: tuple[float, Any] = (-1.0, None)
    for attempt in range(TRIES):
        rng = np.random.default_rng([seed, attempt])
        for net in (G, D):
            for array in net.named_params().values():
                array[...] = rng.standard_normal(array.shape) / max(2.0, (array.size // array.shape[-1]) ** 0.5)
        z = rng.standard_normal((batch, recipe.latent_dim))
        low, high = recipe.value_range
        x = low + (high - low) * rng.uniform(size=(batch, *D.in_shape))
        distance = step_distance(G, D, recipe.loss, x, z)
        if distance > best[0]:
            best = distance, (G.params.copy(), D.params.copy(), x, z)
        if distance > KINK_MARGIN:
            break
    G.params[...], D.params[...], x, z = best[1]
    titles = [f"{recipe.name}, {player}'s step{f' ({note})' if note else ''}" for player in "DG"]
    return [
        check_discriminator_step(G, D, recipe.loss, x, z, title=titles[0], seed=seed, **options),
        check_generator_step(G, D, recipe.loss, z, title=titles[1], seed=seed, **options),
    ]


def step_distance(G: Sequential, D: Sequential, loss: GANLoss, x: np.ndarray, z: np.ndarray) -> float:
    """How near the activations of the two steps come to a kink."""
    rng = dropout_rng()
    fakes, _ = G.forward(z, train=True, rng=rng)
    passes = [np.concatenate([x, fakes])] if loss.batching == "concat" else [x, fakes]
    d_step = [distance_to_kinks(D, batch, train=True, rng=rng) for batch in passes]
    rng = dropout_rng()
    g_step = [distance_to_kinks(G, z, train=True, rng=rng), distance_to_kinks(D, fakes, train=True, rng=rng)]
    return min(d_step + g_step)


class Still(Optimizer):
    """An optimiser that leaves the weights where they are, so that a step only writes its gradients."""

    def __init__(self, network: Sequential):
        super().__init__(network, lr=1.0)

    def _update(self, theta: np.ndarray, g: np.ndarray) -> None:
        pass


def distance_to_kinks(net: Sequential, x: np.ndarray, *, train: bool, rng: RandomStream | None = None) -> float:
    """How near any layer's input comes to a point where that layer has no derivative."""
    nearest, rng = np.inf, rng or dropout_rng()
    for layer in net.layers:
        for kink in layer.kinks:
            away = np.abs(x - kink)
            # What lies exactly on a kink was put there by the layer below (Dropout, ReLU), and a small step leaves it.
            nearest = min(nearest, float(away[away > 0].min(initial=np.inf)))
        x, _ = layer.forward(x, train=train, rng=rng)
    return nearest


def dropout_rng() -> RandomStream:
    """The same dropout draws on every call: a random function has no derivative."""
    return RandomStream(0, "dropout")


def unbound(layer: Layer) -> Layer:
    """A copy of the layer that belongs to no network, wherever the original is in use."""
    layer = copy.copy(layer)
    layer.grads = {}
    return layer


def numbers(named: dict[str, Any]) -> dict[str, float]:
    """Those of the values that are plain numbers."""
    return {k: float(v) for k, v in named.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
