"""What each bug does to the digits: one seed, the same images, and fifteen wrong pieces plugged in."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from exhibits import EXHIBITS
from matplotlib.figure import Figure
from wrong_layers import Permute

from minigan.data.glyphs import make_glyphs
from minigan.errors import DivergenceError
from minigan.exercises import plugged_in
from minigan.nn import Flatten, Layer, Reshape
from minigan.plot import to_uint8
from minigan.recipes import Recipe
from minigan.recipes.mlp import QUICK_MLP, QuickMLP
from minigan.recipes.penalised import WGAN_GP
from minigan.train import Trainer, generate

HERE = Path(__file__).parent
IMAGES_OF_DOCS, NUMBERS = HERE.parents[1] / "docs" / "images", HERE / "digits.json"
IMAGES, SEED, SHOWN, MEASURED = 10_000, 0, 10, 200
FRAME = 224  # light grey around the tiles, so that white ones can be seen


@dataclass(frozen=True)
class MuseumMLP(QuickMLP):
    """quick-mlp with a Permute in D, which turns its images into (N, C, H, W): every exhibit has a place in it."""

    name = "museum-mlp"
    source = "quick-mlp, smaller"
    permute: type[Layer] = Permute

    def layers(self) -> tuple[list[Layer], list[Layer]]:
        g_layers, d_layers = super().layers()
        return g_layers, [Reshape(28, 28, 1), self.permute(3, 1, 2), Flatten(), *d_layers]


SMALLER = {"epochs": 14, "images": IMAGES, "latent_dim": 32, "g_hidden": (128, 256), "d_hidden": (256, 128)}
RECIPE = MuseumMLP(**{**vars(QUICK_MLP), **SMALLER, "average": 0.99})
#: For what is wrong with a penalty; a lazy one, or the last exhibit would not be wrong.
PENALISED = replace(WGAN_GP, **SMALLER, average=0.99, lr_g=1e-3, lr_d=1e-3, d_steps=2, penalty_every=4)


def train(recipe: Recipe, pieces: dict[str, Any], images: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """The digits of a run with these pieces plugged in, (N, 28, 28), and what the run's last epoch measured."""
    found: dict[str, Any] = {}
    with plugged_in(**pieces), np.errstate(all="ignore"):
        trainer = Trainer(recipe, images, seed=SEED)
        try:
            trainer.fit()
        except DivergenceError as error:
            found["diverged"] = str(error)
        fakes = generate(trainer.average, trainer.preview_latents(MEASURED)).reshape(-1, 28, 28)
    last = trainer.epochs[-1] if trainer.epochs else {}
    names = ("d_loss", "d_loss_real", "d_loss_fake", "g_loss", "d_real", "d_fake")
    found = {"steps": trainer.step, **{name: round(last[name], 4) for name in names if name in last}, **found}
    if np.isfinite(fakes).all():
        found.update(distances(fakes, images))
    return np.nan_to_num(fakes), found


def distances(fakes: np.ndarray, images: np.ndarray) -> dict[str, float]:
    """Of the pixels in [0, 1]: their mean, how far they differ among the fakes, and how far the nearest image is.

    The last two are root mean squares over pixels and fakes.
    """
    x, real = (fakes.reshape(len(fakes), -1) + 1) / 2, images.reshape(len(images), -1) / np.float32(255)
    squares = (x * x).sum(axis=1)[:, None] - 2 * x @ real.T + (real * real).sum(axis=1)
    return {
        "ink": round(float(x.mean()), 4),
        "spread": round(float(x.var(axis=0).mean() ** 0.5), 4),
        "nearest": round(float((squares.min(axis=1).clip(0) / x.shape[1]).mean() ** 0.5), 4),
    }


def hang(say: Any = print) -> None:
    """Train both recipes, right and with each exhibit; save the pictures and the numbers, of unseen images first."""
    images, _ = make_glyphs(IMAGES, seed=SEED)
    unseen, _ = make_glyphs(MEASURED, seed=SEED + 1)
    found = {"images": {"title": "images that no run has seen", **distances(unseen / 127.5 - 1, images)}}
    for name, recipe in (("museum", RECIPE), ("museum-penalties", PENALISED)):
        sheets = {}
        for key, (title, pieces) in runs_of(recipe).items():
            pieces = dict(pieces)
            own = replace(recipe, permute=pieces.pop("Permute")) if "Permute" in pieces else recipe
            label = f"{key}  {title}" if pieces or own is not recipe else title
            sheets[label], numbers = train(own, pieces, images)
            found[key] = {"title": title, **numbers}
            say(f"{label}: {numbers}")
        picture(sheets, IMAGES_OF_DOCS / f"{name}.png")
    record = {"command": "python demos/museum digits", "runs": found}
    NUMBERS.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def runs_of(recipe: Recipe) -> dict[str, tuple[str, dict[str, Any]]]:
    """{key in the file: (title, pieces)} of one recipe's runs: with nothing wrong, and with each of its exhibits."""
    penalised = recipe is PENALISED
    found: dict[str, tuple[str, dict[str, Any]]] = {"penalty" if penalised else "0": ("the right library", {})}
    for number, exhibit in enumerate(EXHIBITS, start=1):
        if (exhibit.name == "penalise") == penalised:
            found[str(number)] = exhibit.title, exhibit.pieces
    return found


def picture(sheets: dict[str, np.ndarray], path: Path) -> None:
    """A PNG with a labelled row of digits for each run."""
    figure, height = Figure(figsize=(8.6, 0.56 * len(sheets)), dpi=110, facecolor=str(FRAME / 255)), 1 / len(sheets)
    for i, (title, fakes) in enumerate(sheets.items()):
        tiles = [np.pad(image, 1, constant_values=FRAME) for image in to_uint8(fakes[:SHOWN], (-1, 1))]
        ax = figure.add_axes((0.36, 1 - (i + 1) * height, 0.64, height))
        ax.imshow(np.concatenate(tiles, axis=1), cmap="gray", vmin=0, vmax=255, interpolation="none", aspect="auto")
        ax.set_axis_off()
        figure.text(0.35, 1 - (i + 0.5) * height, title, ha="right", va="center", fontsize=10)
    figure.savefig(path, metadata={"Software": None})
