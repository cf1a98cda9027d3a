"""One step of a run with every number of it, as a page: what `minigan inspect` does."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigan import __version__, plot
from minigan.backend import RandomStream
from minigan.errors import ArgumentError, CheckpointError, RunMissingError, whole
from minigan.runs.lost import config_remedy
from minigan.runs.resumable import load_again
from minigan.runs.run import Run
from minigan.runs.saved import Saved, checkpoints, epoch_and_step, read_saved
from minigan.screen import Say, Stages, silence
from minigan.trace import Trace, trace_step
from minigan.trace.kinds import plainly
from minigan.train import Trainer, draw_latents, generate
from minigan.train.passes import leasts
from minigan.watch.logs import DRAWN

FLAT, IMAGES = 16, 2  # samples by default: where an image is one row of numbers, and where it is (H, W, C)
MOST = 40  # checkpoints of the history
SHEET = 16  # pictures of each


def inspect(
    run: Run | str | Path,
    out: str | Path | None = None,
    *,
    epoch: int | None = None,
    samples: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    offline: bool = False,
    say: Say | None = print,
) -> Path:
    """Write a page that shows the next step of a run, from its newest checkpoint or that of an epoch; returns its path.

    The step is made on the first `samples` images of its batch, with the run's own draws; the run is not changed.
    `out` is RUN/inspect.html by default, and with an epoch RUN/inspect-0003.html.
    Raises RunMissingError or CheckpointError if there is no such checkpoint, ArgumentError for an epoch of which none
    is kept or an impossible number of samples, DataError and its like if the run's images cannot be had.
    """
    run, say = run if isinstance(run, Run) else Run(run), say or silence
    checkpoint = run.checkpoint if epoch is None else kept_at(run, epoch)
    path = Path(out) if out else run.folder / (f"inspect-{epoch:04d}.html" if epoch is not None else "inspect.html")
    if run.lost:
        say(f"{run.lost}.")
    saved = read_saved(checkpoint)
    if (saved.recipe.name, saved.header["dataset"]["sha256"]) != (run.recipe.name, run.dataset["sha256"]):
        raise CheckpointError(
            f"{run.folder / 'config.json'} is not that of {checkpoint.name}; {config_remedy(run.folder)}"
        )
    with Stages(say) as stage:
        stage(f"Reading {run.dataset['name']}")
        data, _ = load_again(run, data_dir, offline, stage.say)  # pyright: ignore[reportArgumentType]
        trainer = Trainer(saved.recipe, data.images, seed=run.seed)
        saved.into(trainer)
        stage("Tracing a step")
        trace, notes = trace_next(trainer, samples)
        history, left_out = history_of(run, lambda done, of: stage(f"Drawing the run's history of {of}", done, of))
        stage("Writing the page")
        at = epoch_and_step(checkpoint) or (saved.header["epoch"], 0)
        title = f"{saved.recipe.name}, after epoch {at[0]}" + (f" and {at[1]} steps" if at[1] else "")
        facts = facts_about(run, saved, trainer, len(trace.D.passes[0].layers[0].x))
        trace.save(path, title=title, facts=facts, notes=[*notes, *left_out], history=history)
    return path


def kept_at(run: Run, epoch: int) -> Path:
    """The checkpoint after so many epochs; raises ArgumentError, with those there are, if none is kept."""
    epoch = whole(epoch, "--epoch must be a whole number")
    found = {place: path for path in checkpoints(run.folder) if (place := epoch_and_step(path))}
    if not found:
        raise RunMissingError(f"{run.folder} holds no checkpoint")
    if (epoch, 0) in found:
        return found[epoch, 0]
    there = ", ".join(str(e) for e, steps in found if not steps) or "none"
    raise ArgumentError(f"{run.folder} keeps no checkpoint of epoch {epoch}; there are those of epochs {there}")


def trace_next(trainer: Trainer, samples: int | None = None) -> tuple[Trace, list[str]]:
    """The step that the trainer would make next, on the first images of its batch, and what is to be known of it."""
    recipe, step, notes = trainer.recipe, trainer.step, []
    latent, rng = (RandomStream(trainer.seed, stream, step) for stream in ("latent", "dropout"))
    x = trainer.batches.batch(step)
    N = samples_of(trainer, samples, len(x))
    fakes = recipe.batch_size if recipe.d_fakes == "full" else len(x)
    z, again = trainer.latents(fakes, latent)[:N], None
    if recipe.update == "alternating" and not recipe.shared_fakes:
        again = trainer.latents(recipe.batch_size, latent)[:N]
    trainer.step += 1  # as a step of training counts itself first
    penalty = trainer.penalty()
    if recipe.gradient_penalty and not penalty:
        notes.append(f"The penalty is due at each {recipe.penalty_every}th step of D, and not at this one.")
    since = trainer.step - recipe.d_warmup
    if since <= 0 or since % recipe.d_steps:
        notes.append(
            "In the run G's step does not follow upon this one of D's, which learns more often; here it is shown so."
        )
    trace = trace_step(
        trainer.G,
        trainer.D,
        trainer.g_optimizer,
        trainer.d_optimizer,
        trainer.loss,
        x[:N],
        z,
        z_generator=again,
        shared_fakes=recipe.shared_fakes,
        simultaneous=recipe.update == "simultaneous",
        feeding=trainer.feeding,
        rng=rng,
        **penalty,
    )
    trainer.step = step
    return trace, notes


def samples_of(trainer: Trainer, samples: int | None, batch: int) -> int:
    """How many images the step is made on: so many that they can be packed, and that every layer learns from them."""
    packing = trainer.recipe.packing
    least = max(packing * max(n for _, n in leasts(trainer.D)), max(n for _, n in leasts(trainer.G)))
    least += -least % packing
    if samples is None:
        usual = FLAT if len(trainer.recipe.image_shape) == 1 else IMAGES
        return min(max(usual + -usual % packing, least), batch)
    samples = whole(samples, f"--samples must lie between {least} and {batch}", least=least, most=batch)
    if samples % packing:
        raise ArgumentError(
            f"--samples {samples} cannot be packed in groups of {packing}; take {samples // packing * packing}"
        )
    return samples


def facts_about(run: Run, saved: Saved, trainer: Trainer, samples: int) -> list[tuple[str, str]]:
    """What the page says at its head."""
    recipe = saved.recipe
    return [
        ("recipe", recipe.name),
        ("source", recipe.source),
        ("run", str(run.folder)),
        ("checkpoint", saved.path.name),
        ("step", f"{trainer.step + 1:,}"),
        ("samples", f"{samples} of a batch of {recipe.batch_size}"),
        ("images", f"{run.dataset['images']:,} of {run.dataset['name']}"),
        (
            "optimiser",
            f"Adam, rates {recipe.lr_g:g} (G) and {recipe.lr_d:g} (D), β {recipe.beta1:g} and {recipe.beta2:g}",
        ),
        ("seed", str(run.seed)),
        ("minigan", __version__),
    ]


def history_of(run: Run, tell: Callable[[int, int], None]) -> tuple[dict[str, Any] | None, list[str]]:
    """What the checkpoints of whole epochs draw from the same latents, and the metrics up to each; None without any."""
    paths = [path for path in checkpoints(run.folder) if (epoch_and_step(path) or (0, 1))[1] == 0]
    chosen = [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, min(MOST, len(paths))).round().astype(int))]
    notes = [f"Of {len(paths)} checkpoints the history shows {MOST}."] if len(paths) > MOST else []
    found: list[tuple[Saved, str | None]] = []
    for done, path in enumerate(chosen):
        tell(done, len(chosen))
        try:
            saved = read_saved(path)
        except CheckpointError:
            notes.append(f"{path.name} is damaged, and left out of the history.")
            continue
        found.append((saved, picture(saved)))
    if not found:
        return None, notes
    logged = run.metrics()
    rows = [rows_until(logged, saved.header["step"]) for saved, _ in found]
    history = {
        "epochs": [saved.header["epoch"] for saved, _ in found],
        "metrics": {name: [plainly(row.get(name)) for row in rows] for name in DRAWN},
        "norms": {player: norms_of(player, rows) for player in "DG"},
        "pictures": [drawn for _, drawn in found],
    }
    return history, notes


def norms_of(player: str, rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """{"0.Dense": the norm of its gradient in each row}, layer after layer; a file may hold anything."""
    each = [norms if isinstance(norms := row.get("grad_norm"), dict) else {} for row in rows]
    layers = {m[1]: int(m[2]) for n in each for key in n if (m := re.fullmatch(rf"{player}\.((\d+)\.\w+)", key))}
    ordered = sorted(layers, key=layers.__getitem__)
    found = {layer: [norms.get(f"{player}.{layer}") for norms in each] for layer in ordered}
    return {layer: [plainly(x) if isinstance(x, float) else None for x in norms] for layer, norms in found.items()}


def rows_until(rows: Sequence[dict[str, Any]], step: int) -> dict[str, Any]:
    """The last row of metrics up to a step; {} before the first."""
    return next((row for row in reversed(rows) if row["step"] <= step), {})


def picture(saved: Saved) -> str | None:
    """What a checkpoint draws from the run's fixed latents, as a data URI; None if that is no longer numbers."""
    recipe = saved.recipe
    z = draw_latents(recipe, SHEET, RandomStream(saved.header["seed"], "preview"))
    x = generate(saved.generator(), z)
    if not np.isfinite(x).all():
        return None
    sheet = plot.image_grid(plot.to_uint8(recipe.as_images(x), recipe.value_range), columns=4)
    return f"data:image/png;base64,{base64.b64encode(plot.png(sheet)).decode('ascii')}"
