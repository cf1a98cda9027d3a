"""What can be checked: the two steps of the game, and with them a recipe."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigan.backend.products import rows
from minigan.gan import Feeding, GANLoss, Penalty, discriminator_step, generator_step, pack
from minigan.gan.feeding import PLAIN, join, split
from minigan.gradcheck.compare import compare
from minigan.gradcheck.fines import penalty_suspects
from minigan.gradcheck.report import Report
from minigan.gradcheck.subject import Subject
from minigan.gradcheck.targets import KINK_MARGIN, TRIES, kinks_met, least_distance
from minigan.gradcheck.trial import SameDraws
from minigan.nn import Sequential
from minigan.nn.norm import BatchNormCache
from minigan.optim import Optimizer
from minigan.recipes import Recipe

POINTS = 1  # seed of the points at which a penalty is taken
MANY = 5_000  # units of a layer, some of which is at its kink at every point
LARGE = 200_000  # parameters of both networks, from which on no point is far enough from all kinks


def check_discriminator_step(
    G: Sequential,
    D: Sequential,
    loss: GANLoss,
    x_real: np.ndarray,
    z: np.ndarray,
    *,
    feeding: Feeding = PLAIN,
    penalty: Penalty | None = None,
    step: Any = None,
    **options: Any,
) -> Report:
    """Check what a discriminator step writes: D's loss with respect to every parameter of D, G held fixed.

    `step` is called as `gan.discriminator_step`, which is the default; it hears of a `feeding` that is not the plain
    one, and of a `penalty`.
    """
    play, still = step or discriminator_step, Still(D)
    fed = told(feeding)

    def run(penalty: Penalty | None = penalty) -> Any:
        fined = {} if penalty is None else {"penalty": penalty, "penalty_rng": SameDraws(POINTS)}
        return play(G, D, still, loss, x_real, z, **fed, **fined, rng=SameDraws())

    suspects = {
        f"it is the gradient of {name} alone: the other is overwritten, or never added": lambda name=name: np.ravel(
            getattr(run(), name)
        )
        for name in ("loss_real", "loss_fake")
    }
    if penalty is not None:
        suspects |= penalty_suspects(
            lambda: run().loss, lambda: run(None).loss, penalty, len(x_real) // feeding.packing
        )
    return check_step("discriminator_step", run, D, (G, D), suspects, options, own=step is None)


def check_generator_step(
    G: Sequential,
    D: Sequential,
    loss: GANLoss,
    z: np.ndarray,
    *,
    feeding: Feeding = PLAIN,
    step: Any = None,
    **options: Any,
) -> Report:
    """Check what a generator step writes: G's loss, through D, with respect to every parameter of G.

    `step` is called as `gan.generator_step`, which is the default; it hears of a `feeding` that is not the plain one.
    """
    play, still = step or generator_step, Still(G)
    fed = told(feeding)

    def run() -> Any:
        return play(G, D, still, loss, z, **fed, rng=SameDraws())

    rng = SameDraws()
    x_fake, _ = G.forward(z, train=True, rng=rng)
    d_out = loss.for_generator(D.forward(pack(x_fake, feeding.packing), train=True, rng=rng)[0])[1]

    def without_D() -> np.ndarray:
        x_fake, _ = G.forward(z, train=True, rng=SameDraws())
        return np.ravel(x_fake.reshape(len(d_out), -1) * d_out)

    suspects = {
        "D is left out on the way back: what belongs to D's output goes straight into G, broadcast over its outputs": (
            without_D
        )
    }
    return check_step("generator_step", run, G, (G, D), suspects, options, own=step is None)


def told(feeding: Feeding) -> dict[str, Any]:
    """The option that a step is called with: none for the plain feeding, of which a step of one's own need not know."""
    return {} if feeding == PLAIN else {"feeding": feeding}


def check_step(
    title: str,
    run: Callable[[], Any],
    network: Sequential,
    networks: tuple[Sequential, ...],
    suspects: Any,
    options: Any,
    *,
    own: bool,
) -> Report:
    """Check what the step leaves in the network's gradients; the buffers that it moves are put back each time.

    A pass of training may depend on them: SpectralNorm's does on its u. Where one array alone has moved, a difference
    of losses is taken: minigan's `own` steps then leave out the way back. The loss of others may be made of gradients.
    """
    kept = [(net, net.buffers.copy(), net.grads.copy()) for net in networks]
    params, views, point = network.named_params(), network.named_grads(), network.params.copy()
    ends = np.cumsum([array.size for array in params.values()])

    def forward() -> tuple[Any, Any]:
        network.grads[...] = 0
        for net, buffers, _ in kept:
            net.buffers[...] = buffers
        if own and one_alone(network.params != point, ends):
            with no_way_back(networks):
                return run().loss, None
        value = run().loss
        return value, {name: grad.copy() for name, grad in views.items()}

    try:
        subject = Subject(params, forward, lambda _dy, grads: grads, suspects=suspects)
        return compare(subject, dy=1.0, **{"title": title, **options})
    finally:
        for net, buffers, grads in kept:
            net.buffers[...], net.grads[...] = buffers, grads


def one_alone(moved: np.ndarray, ends: np.ndarray) -> bool:
    """Whether entries of one array alone have moved; `ends` are where the arrays end in the flat vector."""
    places = np.flatnonzero(moved)
    first, last = np.searchsorted(ends, places[[0, -1]], side="right") if places.size else (0, -1)
    return bool(first == last and len(ends) > 1)


@contextmanager
def no_way_back(networks: tuple[Sequential, ...]) -> Iterator[None]:
    """Meanwhile the networks' `backward` writes nothing and returns zeros: the losses of a step are known before it."""

    def nothing(net: Sequential) -> Any:
        return lambda _dy, cache, **_: np.zeros((cache.out_shape[0], *net.in_shape))

    for net in networks:
        vars(net)["backward"] = nothing(net)
    try:
        yield
    finally:
        for net in networks:
            del vars(net)["backward"]


def check_recipe(recipe: Recipe, *, batch: int = 4, seed: int = 0, note: str = "", **options: Any) -> list[Report]:
    """Check both steps of a recipe on a random batch: D's, then G's. Options: as `compare`.

    The networks are the recipe's, in float64, with larger weights than published ones, which start so small that the
    gradients are too. Of up to 50 random points the first is taken whose activations are 1e-3 away from their kinks and
    where no BatchNorm divides by less than 1e-2, or the furthest; a network of the published size has too many
    activations for that margin, so two points must do. The hinge loss has kinks too, and must not be 0 on all real
    images or on all fakes. The places of an image share their weights, and some place would nearly always be at a kink:
    there `step_aside` helps.
    """
    G, D = recipe.networks(np.random.default_rng(seed), dtype=np.float64)
    best: tuple[float, Any] = (-math.inf, None)
    for attempt in range(TRIES if G.params.size + D.params.size < LARGE else 2):
        rng = np.random.default_rng([seed, attempt])
        for net in (G, D):
            for array in net.named_params().values():
                array[...] = rng.standard_normal(array.shape) / max(2.0, math.prod(array.shape[:-1]) ** 0.5)
        z = rng.standard_normal((batch, recipe.latent_dim))
        low, high = recipe.value_range
        x = low + (high - low) * rng.uniform(size=(batch, *recipe.image_shape))
        step_aside(G, D, recipe.loss, x, z, rng, recipe.feeding, recipe.gradient_penalty)
        met = kinks_of_both_steps(G, D, recipe.loss, x, z, recipe.feeding, recipe.gradient_penalty)
        # To be awake at a kink is better than to be asleep.
        distance = -1.0 if asleep(D, met) else min(least_distance(met), least_spread(G, z) / 10)
        if distance > best[0]:
            best = distance, (G.params.copy(), D.params.copy(), x, z)
        if distance > KINK_MARGIN:
            break
    G.params[...], D.params[...], x, z = best[1]
    titles = [f"{recipe.name}, {player}'s step{f' ({note})' if note else ''}" for player in "DG"]
    options = {**options, "seed": seed, "feeding": recipe.feeding}
    penalty = recipe.gradient_penalty
    return [
        check_discriminator_step(G, D, recipe.loss, x, z, penalty=penalty, title=titles[0], **options),
        check_generator_step(G, D, recipe.loss, z, title=titles[1], **options),
    ]


def kinks_of_both_steps(
    G: Sequential,
    D: Sequential,
    loss: GANLoss,
    x: np.ndarray,
    z: np.ndarray,
    feeding: Feeding = PLAIN,
    penalty: Penalty | None = None,
) -> list[tuple[Sequential, int, np.ndarray]]:
    """The kinks met (see `kinks_met`) by every pass of the two steps; the hinge loss's as of one more layer of D."""
    rng = SameDraws()
    found, fakes = kinks_met(G, z, train=True, rng=rng)  # G's pass is the same in both steps
    x, fakes = pack(x, feeding.packing), pack(fakes, feeding.packing)
    of_g_step = kinks_met(D, fakes, train=True, rng=copy.deepcopy(rng))[0]
    outs = []
    for images in [join(x, fakes)] if feeding.as_one(D, penalty) else [x, fakes]:
        met, out = kinks_met(D, images, train=True, rng=rng)
        found, outs = found + met, [*outs, out]
    if penalty is not None and penalty.drawn:
        found += kinks_met(D, penalty.points(x, fakes, SameDraws(POINTS)), train=True, rng=rng)[0]
    if loss.kind == "hinge":  # how far D's answers are short of 1 on real images, of -1 on fakes
        out_real, out_fake = split(np.concatenate(outs), len(x))
        found += [(D, len(D.layers), 1 - out_real), (D, len(D.layers), 1 + out_fake)]
    return found + of_g_step


def asleep(D: Sequential, met: list[tuple[Sequential, int, np.ndarray]]) -> bool:
    """Whether the hinge loss asks nothing more of D on all real images, or on all fakes: that half has no gradient."""
    return any((short <= 0).all() for short in of_hinge(D, met))


def of_hinge(D: Sequential, met: list[tuple[Sequential, int, np.ndarray]]) -> list[np.ndarray]:
    """How far D's answers are short of the hinge's margin, on real images and on fakes; with another loss nothing."""
    return [short for net, i, short in met if net is D and i == len(D.layers)]


def least_spread(G: Sequential, z: np.ndarray) -> float:
    """The smallest standard deviation that a BatchNorm of G divides by, of features that vary at all.

    Where a feature hardly varies over the batch, BatchNorm is nearly a step function, and no step is small enough.
    """
    caches = G.forward(z, train=True, rng=SameDraws())[1].layers
    spreads = [np.sqrt(cache.batch[1]) for cache in caches if isinstance(cache, BatchNormCache) and cache.batch]
    return min((float(spread[spread > 0].min(initial=np.inf)) for spread in spreads), default=np.inf)


def step_aside(
    G: Sequential,
    D: Sequential,
    loss: GANLoss,
    x: np.ndarray,
    z: np.ndarray,
    rng: np.random.Generator,
    feeding: Feeding = PLAIN,
    penalty: Penalty | None = None,
) -> None:
    """Move each channel of an image, or unit of a very wide layer, by its bias wholly to one side of the next kink.

    Three channels in four go up, so that a ReLU lets most of the gradient through. What each layer's bias must be
    depends on the layers before it: so from the first to the last. With the hinge loss D's answers move until it is
    sure of one real image: if of none, its last bias has the gradient 0, in which real images and fakes cancel.
    """
    places = {
        (net is D, i): net
        for net, i, off in kinks_of_both_steps(G, D, loss, x, z, feeding, penalty)
        if 0 < i < len(net.layers) and net.layers[i].kinks and (off.ndim == 4 or off.size > MANY * len(off))
    }
    for (is_D, i), net in sorted(places.items(), key=lambda place: place[0]):
        met = [
            rows(off)
            for of, at, off in kinks_of_both_steps(G, D, loss, x, z, feeding, penalty)
            if (of is D, at) == (is_D, i)
        ]
        low, high = (np.min([m.min(0) for m in met], 0), np.max([m.max(0) for m in met], 0))
        up = np.arange(len(low)) % 4 != rng.integers(4)
        bias = getattr(net.layers[i - 1], "beta", None)
        bias = getattr(net.layers[i - 1], "b", None) if bias is None else bias
        if bias is not None:
            bias += np.where(up, 2 * KINK_MARGIN - low, -2 * KINK_MARGIN - high)
    bias = getattr(D.layers[-1], "b", None)
    if loss.kind == "hinge" and bias is not None and len(x) >= 2 * feeding.packing:
        short, _ = of_hinge(D, kinks_of_both_steps(G, D, loss, x, z, feeding, penalty))
        bias += np.sort(short, axis=0)[:2].mean()


class Still(Optimizer):
    """An optimiser that leaves the weights where they are, so that a step only writes its gradients."""

    def __init__(self, network: Sequential):
        super().__init__(network, lr=1.0)

    def _update(self, theta: np.ndarray, g: np.ndarray) -> None:
        pass
