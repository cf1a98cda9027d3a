"""Somebody's own layers, tried on a few images before anything of a run is made: whatever fails in a step fails here.

First each layer by itself, so that a message can name it, by the rules of the gradient checker that are not about
numbers; then both steps of the game.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigan.backend import Array, RandomStream
from minigan.errors import ArgumentError
from minigan.gan import discriminator_step, generator_step, pack
from minigan.gan.steps import check_players
from minigan.nn import Layer, Sequential
from minigan.nn.layer import Shape
from minigan.recipes import Recipe
from minigan.recipes.own import at_layer, is_own, told_of, users_code
from minigan.train.trainer import check_range, draw_latents

if TYPE_CHECKING:
    from minigan.gradcheck.trial import Trial


def rehearse(recipe: Recipe) -> None:
    """Raise ArgumentError, naming the layer, if a step of this recipe of one's own would fail; of minigan's: nothing.

    The fewest images will do. A layer may need more, and not say so: only what fails with a whole batch, too, is told.
    Raises DataError if G's last activation does not fill the range of the images.
    """
    if not is_own(recipe):
        return
    from minigan.gradcheck.purity import strange_points

    with strange_points(), users_code(f"a step of {type(recipe).__name__}"):
        few = fewest(recipe)
        try:
            play(recipe, few)
        except ArgumentError:
            play(recipe, recipe.batch_size)


def fewest(recipe: Recipe) -> int:
    """The images of a batch from which every layer learns, and which can be packed."""
    least = 2
    for name, (layers, shape) in recipe.architecture().items():
        for i, layer in enumerate(layers):
            with at_layer(i, name, layer):
                least = max(least, layer.least_batch(shape))
                shape = layer.out_shape(shape)
    return recipe.packing * least


def play(recipe: Recipe, count: int) -> None:
    """Both networks at work on so many images: layer by layer, and as a step has them."""
    from minigan.gradcheck.games import Still

    (low, high), rng = recipe.value_range, RandomStream(0, "init")
    z = draw_latents(recipe, count, rng)
    x = (low + (high - low) * rng.uniform((count, *recipe.image_shape))).astype(np.float32)
    parts = recipe.architecture()
    for name, seen in (("G", z), ("D", pack(x, recipe.packing))):
        layers, shape = parts[name]
        for i, layer in enumerate(layers):
            with at_layer(i, name, layer):
                seen, shape = try_layer(layer, seen, shape)
    G, D = recipe.networks(rng.host)
    check_range(G, recipe.value_range)
    try:
        check_players(D, recipe.loss, D, Still(D))
    except ArgumentError as error:
        raise ArgumentError(f"{error}: let the layers of D end in *self.answer(Dense(1))") from None
    with told_of(f"a step of {type(recipe).__name__}"):
        discriminator_step(G, D, Still(D), recipe.loss, x, z, feeding=recipe.feeding, rng=rng)
        generator_step(G, D, Still(G), recipe.loss, z, feeding=recipe.feeding, rng=rng)


def try_layer(layer: Layer, x: Array, in_shape: Shape) -> tuple[Array, Shape]:
    """The layer's output in training, and its shape; ArgumentError for what no layer may do."""
    from minigan.gradcheck.batches import claimed_alone
    from minigan.gradcheck.form import check_forms, check_forward, form
    from minigan.gradcheck.trial import Trial, rebound

    net = Sequential([layer], in_shape, rng=np.random.default_rng(0))
    for train in (False, True):
        [(_, y, _)] = check_forward(net, x, train=train)
        if y.shape[1:] != tuple(net.out_shape):
            raise ArgumentError(f"y has shape {y.shape} with train={train} where out_shape says (N, *{net.out_shape})")
    check_forms(net, x, train=True)
    trial = Trial(net, x, train=True)
    if problems := form(trial) or rebound(trial) or unwritten_grads(trial) or claimed_alone(trial):
        raise ArgumentError(problems[0])
    y, cache = trial.forward()
    net.update_buffers(cache)
    return y, net.out_shape


def unwritten_grads(trial: Trial) -> list[str]:
    """Whether backward leaves, or adds to, entries of the gradients that hold something already."""
    found, (_, cache) = [], trial.forward()
    for before in (0, np.nan):
        trial.net.grads[...] = before
        trial.backward(cache)
        found.append(trial.grads())
    names = [name for name, grad in found[0].items() if (np.isnan(found[1][name]) & ~np.isnan(grad)).any()]
    return [f"backward must write every entry of the gradient of {', '.join(names)}, in param_grads"] if names else []
