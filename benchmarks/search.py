"""The search behind `minigan train best`: variants of a recipe, each trained for the same time and scored on the way.

    python benchmarks/search.py                 every variant that has no result yet (2 minutes each, on one core)
    python benchmarks/search.py --only mlp      those whose name begins so
    python benchmarks/search.py --table         the table of docs/best.md, from benchmarks/results/search.json

Scores, of 10,000 samples: the Fréchet distance to the 10,000 test images (of as many training images: 0.9), precision,
recall, and the share of the rarest digit. Each variant runs with one thread of BLAS and may share the machine:
the seconds are of a core's time; on a slower machine than the table's, --pace counts a step as that of a row like it.
"Better" is decided by the Fréchet distance at the end, then by a look at the sheets.
"""

from __future__ import annotations

import minigan  # noqa: F401 # isort: skip (before NumPy: see minigan/__init__.py)

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from results import Results

from minigan import plot
from minigan.backend import RandomStream
from minigan.data.mnist import load_mnist
from minigan.metrics.classifier import describe, load_classifier
from minigan.metrics.frechet import frechet_distance
from minigan.metrics.neighbours import precision_recall
from minigan.nn import (
    BatchNorm,
    Conv2d,
    Dense,
    Flatten,
    Layer,
    LeakyReLU,
    ReLU,
    Reshape,
    SpectralNorm,
    Tanh,
    UpsampleConv2d,
)
from minigan.recipes.recipe import Recipe
from minigan.train import Trainer, draw_latents, generate

RESULTS = Results("search")
SAMPLES = 10_000
SECONDS = 120  # of one core
MARKS = ("30 s", "60 s", "120 s")  # when it is scored
LEAKY = LeakyReLU(slope=0.2)


@dataclass(frozen=True)
class Variant(Recipe):
    """What is varied: the shapes of both networks, and all that a recipe states."""

    name = "variant"
    source = "minigan's own"
    g_tail: int = 0  # channels of a 14×14 image from which a convolution draws the pixels; 0: a Dense layer does
    d_head: int = 0  # channels of a strided convolution before D's Dense layers; 0: none
    spectral: bool = True  # whether D's weights are normalised
    cooldown: float = 0.0  # share of the time at whose end both rates fall linearly to 0

    @property
    def image_shape(self):
        return (28, 28, 1) if self.g_tail or self.d_head else (784,)

    def layers(self) -> tuple[list[Layer], list[Layer]]:
        g: list[Layer] = []
        for width in self.g_hidden:
            g += [Dense(width, bias=False), BatchNorm(), ReLU()]
        if C := self.g_tail:
            g += [Dense(196 * C, bias=False), Reshape(14, 14, C), BatchNorm(), ReLU(), UpsampleConv2d(1, 4)]
        else:
            g += [Dense(784), *([Reshape(28, 28, 1)] if self.d_head else [])]
        norm = SpectralNorm if self.spectral else (lambda layer: layer)
        d: list[Layer] = []
        if self.d_head:
            d += [norm(Conv2d(self.d_head, 4, stride=2, pad=1)), LEAKY]
        d += [Flatten()] if self.image_shape != (784,) else []
        for width in self.d_hidden:
            d += [norm(Dense(width)), LEAKY]
        return [*g, Tanh()], [*d, norm(Dense(1))]


MLP = Variant(
    epochs=1000, batch_size=64, latent_dim=64, g_hidden=(256, 512), d_hidden=(512, 256), lr_g=1e-3, lr_d=1e-3,
    beta1=0.0, average=0.999, d_output="logit", loss_kind="hinge", d_batching="concat", shared_fakes=True,
)  # fmt: skip

B9 = replace(MLP, beta2=0.9)
B99 = replace(MLP, beta2=0.99)
FOUND = replace(B9, latent_dim=16, batch_size=128)
STEADY = replace(FOUND, beta2=0.95, average=0.9995)
BEST = replace(STEADY, loss_kind="bce", latents="uniform")  # what `best` is

VARIANTS: dict[str, Variant] = {
    "mlp": MLP,
    "mlp average .9995": replace(MLP, average=0.9995),
    "mlp up": replace(MLP, g_tail=16),
    "mlp cooldown .5": replace(MLP, cooldown=0.5),
    "mlp rates 2e-3": replace(MLP, lr_g=2e-3, lr_d=2e-3),
    "mlp D 2e-3, G 1e-3": replace(MLP, lr_d=2e-3),
    "mlp beta2 .99": B99,
    "beta2 .9": B9,
    "beta2 .99, rates 1.5e-3": replace(B99, lr_g=1.5e-3, lr_d=1.5e-3),
    "beta2 .99, packing 2": replace(B99, packing=2, drop_last=True),
    "beta2 .99, batch 128": replace(B99, batch_size=128),
    "beta2 .99, latents 32": replace(B99, latent_dim=32),
    "beta2 .9, latents 32": replace(B9, latent_dim=32),
    "beta2 .9, latents 16": replace(B9, latent_dim=16),
    "batch 128, beta2 .9, latents 16": FOUND,
    "batch 128, beta2 .9, latents 16, D 1024-512": replace(FOUND, d_hidden=(1024, 512)),
    "batch 128, beta2 .9, latents 16, D 512-256-128": replace(FOUND, d_hidden=(512, 256, 128)),
    "batch 128, beta2 .99, latents 16": replace(FOUND, beta2=0.99),
    "batch 128, beta2 .9, latents 10": replace(FOUND, latent_dim=10),
    "batch 128, beta2 .95, latents 16, average .9995": STEADY,
    "batch 128, beta2 .95, latents 16, average .9995, cross-entropy": replace(STEADY, loss_kind="bce"),
    "batch 128, beta2 .9, latents 16, no spectral norm": replace(FOUND, spectral=False),
    "batch 128, beta2 .9, latents 16, cross-entropy": replace(FOUND, loss_kind="bce"),
    "batch 128, beta2 .9, latents 16, no average": replace(FOUND, average=0.0),
    "best": BEST,
    "beta2 .9, latents 32, fresh fakes": replace(B9, latent_dim=32, shared_fakes=False),
    "beta2 .9, latents 32, conv head": replace(B9, latent_dim=32, d_head=16),
    "mlp rates 5e-4": replace(MLP, lr_g=5e-4, lr_d=5e-4),
}


def score(trainer: Trainer, real: np.ndarray, work: Path, label: str) -> dict[str, float]:
    z = draw_latents(trainer.recipe, SAMPLES, RandomStream(trainer.seed, "sample"))
    pixels = plot.to_uint8(trainer.recipe.as_images(generate(trainer.average, z)), trainer.recipe.value_range)
    plot.save_png(plot.image_grid(pixels[:100]), work / f"{label}.png")
    features, p = describe(pixels, load_classifier("mnist"))
    precision, recall = precision_recall(real, features, k=3)
    return {
        "frechet": round(frechet_distance(real, features), 2),
        "precision": round(precision, 3),
        "recall": round(recall, 3),
        "rarest": round(float(np.bincount(p.argmax(axis=1), minlength=10).min()) / SAMPLES, 4),
    }


def run(name: str, seed: int, work: Path, pace: float | None) -> None:
    trainer = Trainer(VARIANTS[name], load_mnist("train")[0], seed=seed)
    real, _ = describe(load_mnist("test")[0], load_classifier("mnist"))
    marks = [SECONDS * share for share in (0.25, 0.5, 1.0)]
    spent, curve = 0.0, {}
    while marks:
        began = time.process_time()
        recipe, left = trainer.recipe, 1 - spent / SECONDS
        cool = min(1.0, left / recipe.cooldown) if recipe.cooldown else 1.0
        trainer.g_optimizer.lr, trainer.d_optimizer.lr = cool * recipe.lr_g, cool * recipe.lr_d
        trainer.train_step(trainer.batches.batch(trainer.step))
        spent += time.process_time() - began if pace is None else pace / 1000
        if spent >= marks[0]:
            curve[f"{marks.pop(0):.0f} s"] = score(
                trainer, real, work, f"{name} seed {seed} {spent:.0f}".replace(" ", "-")
            )
            print(name, seed, curve, flush=True)
    RESULTS.add(
        f"{name} seed {seed}", {"steps": trainer.step, "ms": round(1000 * spent / trainer.step, 2), "curve": curve}
    )


def table() -> str:
    """The stored results as Markdown, the best last distance first."""
    rows = []
    for label, found in RESULTS.read().items():
        name, seed = label.split(" seed ")
        at = [f"{found['curve'][mark]['frechet']:.1f}" for mark in MARKS]
        end = found["curve"][MARKS[-1]]
        cells = [name, seed, f"{found['ms']:.1f}", *at, f"{end['precision']:.2f}", f"{end['recall']:.2f}"]
        rows.append((end["frechet"], f"| {' | '.join([*cells, format(end['rarest'], '.1%')])} |"))
    head = ["variant", "seed", "ms a step", *MARKS, "precision (k = 3)", "recall", "rarest digit"]
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(line for _, line in sorted(rows))])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--table", action="store_true", help="only print the table of the stored results")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pace", type=float, help="milliseconds that a step counts for, instead of what it takes here")
    parser.add_argument("--work", type=Path, default=Path("runs/search"))
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    for name in () if arguments.table else VARIANTS:
        if name.startswith(arguments.only) and f"{name} seed {arguments.seed}" not in RESULTS.read():
            run(name, arguments.seed, arguments.work, arguments.pace)
    print(table())
