"""How many images each network sees at once while a run trains, and whether that is enough for its layers.

A layer that compares the examples of a batch (BatchNorm) learns from no single one: it says so itself, `least_batch`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from minigan.errors import ArgumentError
from minigan.nn import Sequential
from minigan.nn.second import check_second_order
from minigan.recipes import Recipe


def check_batches(recipe: Recipe, images: int, networks: Mapping[str, Sequential]) -> None:
    """Raise ArgumentError if a batch of a run on so many images cannot be packed, or is too small for a layer.

    The message names what would do: to leave out the last batch of a pass, and the next larger batch size that fits.
    """
    if not (problem := obstacle(recipe, images, networks)):
        return
    drop = {"drop_last": True, **({"d_fakes": "match"} if recipe.d_fakes == "full" else {})}
    ways = []
    if not obstacle(replace(recipe, **drop), images, networks):
        ways += [f"leave it out with drop_last (--drop-last{' --d-fakes match' * ('d_fakes' in drop)})"]
    sizes = range(recipe.batch_size + recipe.packing, images + 1, recipe.packing)
    fits = (size for size in sizes if not obstacle(replace(recipe, batch_size=size), images, networks))
    if size := next(fits, None):
        ways += [f"take another batch size (--batch-size {size})"]
    told = ", or ".join(ways) or "there are too few images for it"
    raise ArgumentError(f"{images:,} images in batches of {recipe.batch_size}: {problem}; {told}")


def check_penalty(recipe: Recipe, D: Sequential) -> None:
    """Raise ArgumentError if the recipe's penalty means nothing to this D, SecondOrderError if D cannot compute it."""
    if recipe.gradient_penalty is None:
        return
    for i, layer in enumerate(D.layers):
        if not layer.each_alone:
            raise ArgumentError(
                f"penalty {recipe.penalty!r} is on the gradient of each example, and layer {i} of D, {layer}, mixes "
                "those of a batch, so that none has a gradient of its own; leave it out of D, or take penalty 'none' "
                "(if it does not, let its class say each_alone = True)"
            )
        check_second_order(layer)


def obstacle(recipe: Recipe, images: int, networks: Mapping[str, Sequential]) -> str:
    """What cannot be in a run on so many images, or ""."""
    for real in batch_sizes(recipe.batch_size, recipe.drop_last, images):
        which = "a batch" if real == recipe.batch_size else "the last batch of an epoch"
        if real % recipe.packing:
            return f"{which} would hold {real} images, which cannot be packed in groups of {recipe.packing}"
        for name, seen in passes(recipe, real, networks["D"]):
            for i, (layer, least) in enumerate(leasts(networks[name])):
                if seen < least:
                    of = f" (of {recipe.packing} images side by side)" * (name == "D" and recipe.packing > 1)
                    return (
                        f"layer {i} of {name}, {layer}, learns from {least} examples{of} at a time or more, and "
                        f"{which} would give it {seen}"
                    )
    return ""


def batch_sizes(batch_size: int, drop_last: bool, images: int) -> list[int]:
    """The different sizes of the batches of a pass: a full one's, and what is left for the last one."""
    rest = images % batch_size
    return [batch_size, *([rest] if rest and not drop_last else [])]


def passes(recipe: Recipe, real: int, D: Sequential) -> Iterator[tuple[str, int]]:
    """(G or D, how many examples it sees at once) for each pass in training of a step on `real` real images.

    An example of D's is a group of `packing` images. The steps are those of `minigan.gan`.
    """
    fakes = recipe.batch_size if recipe.d_fakes == "full" else real
    yield "G", fakes
    if recipe.update == "alternating" and recipe.feeding.as_one(D, recipe.gradient_penalty):
        yield "D", (real + fakes) // recipe.packing
    else:
        yield "D", real // recipe.packing
        yield "D", fakes // recipe.packing
    again = fakes if recipe.shared_fakes or recipe.update == "simultaneous" else recipe.batch_size
    yield "G", again
    yield "D", again // recipe.packing


def leasts(network: Sequential) -> list[tuple[Any, int]]:
    """(layer, the fewest examples that it learns from) of each layer, at its place in the network."""
    shapes = [network.in_shape, *network.out_shapes]
    return [(layer, layer.least_batch(shape)) for layer, shape in zip(network.layers, shapes, strict=False)]
