"""Which fields of a recipe may change while a run goes on: a question to its networks and batches, not a list."""

from __future__ import annotations

import shlex
from copy import copy
from dataclasses import asdict
from typing import Any

import numpy as np

from minigan.data.batches import count_batches
from minigan.errors import ArgumentError
from minigan.nn.flat import state_shapes
from minigan.recipes import RECIPES, Recipe
from minigan.recipes.own import whose
from minigan.runs.saved import described
from minigan.train.passes import batch_sizes


def check_changes(before: Recipe, after: Recipe, images: int, begun: str = "") -> None:
    """Raise ArgumentError if a run on so many images by the one recipe cannot go on by the other.

    It says what was, what is wanted, why not, and both ways out: the flags that put it back, and a new run,
    `begun` as this one was: its flags beside the recipe's.
    """
    wanted = differing(before, after)
    alone = {name: resume_obstacle(before, with_field(before, name, value), images) for name, value in wanted.items()}
    found = {name: reason for name, reason in alone.items() if reason}
    if not found and (reason := resume_obstacle(before, after, images)):  # it takes several of them together
        found = dict.fromkeys(wanted, reason)
    if not found:
        return
    old = {name: getattr(before, name) for name in found}
    told = ", ".join(f"{name} was {old[name]!r} and would be {wanted[name]!r}" for name in found)
    published = RECIPES.get(after.name)
    anew = {n: v for n, v in asdict(after).items() if n in wanted or (published and v != getattr(published, n))}
    reasons = " and ".join(dict.fromkeys(found.values()))
    raise ArgumentError(
        f"{', '.join(found)} cannot change within a run ({reasons}): {told}; put that back ({as_flags(old)}), or begin "
        f"a new run: minigan train {whose(after)} {as_flags(anew)}{begun and f' {begun}'}"
    )


def differing(before: Recipe, after: Recipe) -> dict[str, Any]:
    """{field: the value wanted} of those that differ, except the number of epochs, which always may."""
    return {n: v for n, v in asdict(after).items() if n != "epochs" and v != getattr(before, n)}


def with_field(before: Recipe, name: str, value: Any) -> Recipe:
    """The recipe with this field changed and nothing looked at, which others may have to follow."""
    after = copy(before)
    object.__setattr__(after, name, value)
    return after


def resume_obstacle(before: Recipe, after: Recipe, images: int) -> str:
    """Why a run of the one recipe cannot go on as the other, or ""."""
    if before.choice(0) != after.choice(0) or batch_plan(before, images) != batch_plan(after, images):
        return "which images a step sees depends on it"
    try:
        layers = shapes(after)
    except Exception:  # it needs another field changed too, or the recipe itself will say what is wrong
        return ""
    if layers != shapes(before):
        return "the networks' layers depend on it"
    if layers_of(before) == layers_of(after) and not np.array_equal(drawn(before), drawn(after)):
        return "the weights started from it, and have moved since"
    return ""


def batch_plan(recipe: Recipe, images: int) -> tuple[Any, ...]:
    """What decides which images a step sees, of so many, and where an epoch ends."""
    batches = count_batches(images, recipe.batch_size, drop_last=recipe.drop_last)
    sizes = batch_sizes(recipe.batch_size, recipe.drop_last, images)
    return sizes, batches, recipe.epoch_steps or batches


def shapes(recipe: Recipe) -> dict[str, Any]:
    """The name and shape of all that G and D hold. (An average of G can begin and end on the way.)"""
    return {name: state_shapes(*part) for name, part in recipe.architecture().items() if name in ("G", "D")}


def layers_of(recipe: Recipe) -> list[list[str]]:
    """Every layer of G and D with its options."""
    return [described(layers) for layers, _ in recipe.architecture().values()][:2]


def drawn(recipe: Recipe) -> np.ndarray:
    """The weights from which a run of the recipe would start."""
    return np.concatenate([network.params for network in recipe.networks(np.random.default_rng(0))])


def as_flags(fields: dict[str, Any]) -> str:
    """The fields of a recipe as one types them."""
    words = []
    for name, value in fields.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words += [f"--{flag}" if value else f"--no-{flag}"]
        else:
            words += [f"--{flag}", *(str(v) for v in (value if isinstance(value, tuple) else (value,)))]
    return shlex.join(words)
