"""When a step does not fit into the memory: how large a batch would, found by trying."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from minigan.backend import RandomStream, release_memory
from minigan.errors import OutOfMemoryError
from minigan.recipes.own import whose
from minigan.train.trainer import Trainer


@contextmanager
def fitting_into_memory(trainer: Trainer) -> Iterator[None]:
    """While entered, a MemoryError (CuPy's is one, too) becomes an OutOfMemoryError that says which batch would fit."""
    try:
        yield
        return
    except MemoryError as error:
        reason = str(error)
    # Out here nothing holds the arrays of the failed step any more, so that a smaller one can have their place.
    recipe, place = trainer.recipe, {"cpu": "this machine", "gpu": "the GPU"}.get(trainer.device, trainer.device)
    batch = fitting_batch(trainer)
    remedy = f"{batch:,} do: minigan train {whose(recipe)} --batch-size {batch}" if batch else "take a smaller network"
    raise OutOfMemoryError(
        f"a step with {recipe.batch_size:,} images does not fit into the memory of {place} ({reason}); {remedy}"
    )


def fitting_batch(trainer: Trainer) -> int | None:
    """The largest half, quarter, … of the batch with which a step succeeds, made with the trainer; None if none does.

    The trainer is of no use afterwards: its weights have moved by no step of the run.
    """
    packing = trainer.recipe.packing
    size = trainer.recipe.batch_size // 2 // packing * packing
    while size > 1:  # BatchNorm needs two
        release_memory()
        trainer.recipe = replace(trainer.recipe, batch_size=size)
        draws = (RandomStream(trainer.seed, stream, device=trainer.device) for stream in ("latent", "dropout"))
        try:
            trainer.play(trainer.batches.take(np.arange(size)), *draws, g_due=True)
            return size
        except MemoryError:
            size = size // 2 // packing * packing
    return None
