"""Images by a trained generator in a file: what `minigan sample` does."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from minigan import plot
from minigan.backend.random import check_seed
from minigan.errors import ArgumentError, whole
from minigan.runs.run import checkpoint_of, draw
from minigan.screen import Say, Stages, silence
from minigan.store.files import write_atomically

MAX_COUNT = 1_000_000  # images of one file


def sample(run: str | Path, count: int, out: str | Path, *, seed: int = 0, say: Say | None = print) -> None:
    """Draw `count` images with the newest generator of a run, or that of a checkpoint, and write them to `out`.

    `out` ends in .png (a sheet), or in .npy: uint8 (count, 28, 28). They are decided by `seed`.
    Raises ArgumentError for another ending or an impossible number, RunMissingError or CheckpointError if there is no
    generator.
    """
    count = whole(count, f"--count must lie between 1 and {MAX_COUNT:,}", least=1, most=MAX_COUNT)
    seed = check_seed(seed, "--seed")
    out = Path(out)
    if out.suffix not in (".png", ".npy"):
        raise ArgumentError(f"--out must end in .png (a sheet) or .npy (an array), got {out}")
    say = say or silence
    checkpoint = checkpoint_of(run, say)
    with Stages(say) as stage:
        pixels = draw(checkpoint, count, seed=seed, tell=lambda done: stage(f"Drawing {count:,} images", done, count))
    if out.suffix == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, pixels, allow_pickle=False)
        write_atomically(out, buffer.getvalue())
    else:
        plot.save_png(plot.image_grid(pixels), out)
    say(f"Wrote {count:,} images to {out}")
