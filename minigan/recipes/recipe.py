"""What every recipe states: a published GAN written down as data. Each field is a flag of `minigan train NAME`."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, ClassVar, Literal, Self, get_type_hints

import numpy as np

from minigan.errors import ArgumentError
from minigan.gan import Feeding, GANLoss, Penalty
from minigan.nn import Layer, Sequential, Sigmoid
from minigan.recipes.kinds import check_comma, check_most, of_kind

SIZE = 28  # pixels of an image, in each direction
#: The least that a field of whole numbers, or of sizes, may be; one of somebody's own recipe may be any.
LEAST = {
    **dict.fromkeys(
        ("epochs", "batch_size", "latent_dim", "g_hidden", "d_hidden", "packing", "d_steps", "images", "penalty_every"),
        1,
    ),
    **dict.fromkeys(("d_warmup", "epoch_steps", "log_every"), 0),
}
#: The most: what is larger no machine holds, nor can NumPy count its bytes.
MOST = {
    **dict.fromkeys(LEAST, 10**9),
    **dict.fromkeys(("latent_dim", "g_hidden", "d_hidden"), 10**6),
    "batch_size": 10**12,
}
#: Every class of recipes by its module and name, the newest last: a run of a recipe of one's own is read with it.
CLASSES: dict[tuple[str, str], type[Recipe]] = {}


@cache
def hints_of(recipe: type[Recipe]) -> dict[str, Any]:
    """The types of a recipe's fields, by name; where one of somebody's own means nothing here, those of `Recipe`."""
    try:
        return get_type_hints(recipe)
    except Exception:  # a name that only a type checker imports, or that a function has
        return get_type_hints(Recipe)


def is_default(value: Any, default: Any) -> bool:
    """Whether it is the default of its field, or the same number or text as read out of a file, another object."""
    return value is default or (isinstance(value, (int, float, str, tuple)) and repr(value) == repr(default))


@dataclass(frozen=True)
class Recipe:
    """What every system states. A subclass says what its two networks are; an instance of it gives the numbers."""

    name: ClassVar[str]
    source: ClassVar[str] = ""
    value_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)  # of the pixels, matched by G's last activation
    pad: ClassVar[int] = 0  # pixels of background around each image, cut off again before it is shown or measured
    image_shape: ClassVar[tuple[int, ...]] = (SIZE * SIZE,)  # of G's output and D's input

    epochs: int  # passes over the training images, or stretches of `epoch_steps`
    batch_size: int  # real images of a step
    latent_dim: int  # size of G's input
    g_hidden: tuple[int, ...]  # features (channels) of G's hidden layers
    d_hidden: tuple[int, ...]  # features (channels) of D's hidden layers
    lr_g: float = 2e-4  # Adam's learning rate for G
    lr_d: float = 2e-4  # … and for D
    beta1: float = 0.9  # Adam's decay of the mean gradient, both networks
    beta2: float = 0.999  # … and of the mean squared gradient
    eps: float = 1e-8  # Adam's addition to the root of that
    average: float = 0.0  # decay of the averaged generator, from which pictures come; 0: from G itself
    dropout: float = 0.0  # probability of silencing a feature after each hidden layer of D
    latents: Literal["normal", "uniform"] = "normal"  # N(0, 1) or U[0, 1)
    g_loss: Literal["non_saturating", "minimax"] = "non_saturating"  # G wants D to say "real", or not "fake"
    d_output: Literal["probability", "logit"] = "probability"  # whether D ends in a sigmoid
    d_batching: Literal["separate", "concat"] = "separate"  # D's loss: sum of two means, or one mean over both
    labels: tuple[float, float] = (1.0, 0.0)  # what D should say of (real, fake)
    loss_kind: Literal["bce", "hinge", "wasserstein"] = "bce"  # cross-entropy; others need --d-output logit
    penalty: Literal["none", "r1", "r2", "wgan-gp", "wgan-gp-one-sided", "dragan"] = "none"  # on D's gradient
    penalty_weight: float = 10.0  # its factor in D's loss
    penalty_every: int = 1  # only each so many steps of D, and then so many times as strong
    packing: int = 1  # images that D judges at once, side by side: against collapse (PacGAN)
    update: Literal["alternating", "simultaneous"] = "alternating"  # D then G, or both at once
    d_steps: int = 1  # D updates for each G update
    d_warmup: int = 0  # D updates before the schedule begins
    shared_fakes: bool = False  # G learns from the fakes that D has just seen
    d_fakes: Literal["match", "full"] = "match"  # fakes that D sees beside a partial batch: as many, or a full batch
    drop_last: bool = False  # leave out the last, partial batch of a pass over the images
    images: int = 60_000  # how many images are learned from: the first ones
    test_images: bool = False  # take the 10,000 test images too, after the training images
    random_split: bool = False  # take not the first images but a random choice, drawn by the run's seed
    epoch_steps: int = 0  # updates of D that are called an epoch; 0: as many as one pass over the images takes
    log_every: int = 0  # steps between two rows of metrics, beside one at the end of an epoch; 0: those only

    def __post_init__(self) -> None:
        hints = hints_of(type(self))
        for field in fields(self):
            value = getattr(self, field.name, None)
            check_comma(field.name, value, hints.get(field.name))
            try:
                value = of_kind(field.name, value, hints.get(field.name), least=LEAST.get(field.name))
            except ArgumentError:
                if not is_default(value, field.default):  # which may be what its author has not said in its type
                    raise
            object.__setattr__(self, field.name, value)
            check_most(field.name, value, MOST.get(field.name))
        if not 0 <= self.average < 1:
            raise ArgumentError(f"average must be a decay in [0, 1), such as 0.999, or 0 for none, got {self.average}")
        if not 0 <= self.dropout < 1:
            raise ArgumentError(
                f"dropout must be a probability in [0, 1), such as 0.3, or 0 for none, got {self.dropout}"
            )
        if self.update == "simultaneous" and (self.d_steps, self.d_warmup, self.shared_fakes) != (1, 0, False):
            raise ArgumentError("update 'simultaneous' moves G and D together: leave d_steps, d_warmup, shared_fakes")
        if self.update == "simultaneous" and self.d_batching == "concat":
            raise ArgumentError("update 'simultaneous' needs d_batching 'separate' (--d-batching separate)")
        if self.d_fakes == "full" and self.drop_last:
            raise ArgumentError(
                "d_fakes 'full' is about the partial batch, which drop_last leaves out (--drop-last): take --d-fakes "
                "match, or keep that batch"
            )
        if self.penalty == "none" and (self.penalty_weight, self.penalty_every) != (
            Recipe.penalty_weight,
            Recipe.penalty_every,
        ):
            raise ArgumentError(
                "penalty_weight and penalty_every are about a penalty, and there is none: leave them, or take one "
                "(--penalty r1)"
            )
        if self.penalty != "none" and self.update == "simultaneous":
            raise ArgumentError(f"penalty {self.penalty!r} needs update 'alternating' (--update alternating)")
        if self.penalty.startswith("wgan-gp") and self.d_fakes == "full":
            raise ArgumentError(
                f"penalty {self.penalty!r} draws a line from each real image to a fake, and d_fakes 'full' makes more "
                "fakes beside a partial batch: take --d-fakes match"
            )
        if self.batch_size % self.packing:
            raise ArgumentError(
                f"batch_size {self.batch_size} is not a multiple of packing {self.packing}; D judges {self.packing} "
                f"images at once, so take --batch-size {-(-self.batch_size // self.packing) * self.packing}"
            )
        self.loss  # noqa: B018 (its own checks, now rather than at the first step)
        self.feeding  # noqa: B018 (likewise)
        self.gradient_penalty  # noqa: B018 (likewise)

    @property
    def pixels(self) -> int:
        """How many numbers an image has."""
        return math.prod(self.image_shape)

    @property
    def loss(self) -> GANLoss:
        """What the two players compare."""
        return GANLoss(self.g_loss, self.d_output, self.labels, self.loss_kind)

    @property
    def feeding(self) -> Feeding:
        """How D is fed."""
        return Feeding(self.d_batching, self.packing)

    @property
    def gradient_penalty(self) -> Penalty | None:
        """What D pays for being steep."""
        if self.penalty == "none":
            return None
        return Penalty(self.penalty, self.penalty_weight, self.penalty_every)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        key = (cls.__module__, cls.__qualname__)
        CLASSES.pop(key, None)  # of a notebook's cell that is run again
        CLASSES[key] = cls

    def choice(self, seed: int) -> dict[str, Any]:
        """Which images a run with this seed learns from, as `load_dataset` is told."""
        split_seed = seed if self.random_split else None
        return {"count": self.images, "test_images": self.test_images, "split_seed": split_seed}

    def networks(self, rng: np.random.Generator, *, dtype: Any = np.float32) -> tuple[Sequential, Sequential]:
        """(G, D) with fresh weights drawn from `rng`, G's first."""
        parts = self.architecture()
        G, D = (Sequential(*parts[name], rng=rng, dtype=dtype) for name in ("G", "D"))
        return G, D

    def architecture(self) -> dict[str, tuple[list[Layer], tuple[int, ...]]]:
        """The layers of each network of a run, new ones, and the shape of what they take; no weights are made."""
        g_layers, d_layers = self.layers()
        seen = (*self.image_shape[:-1], self.packing * self.image_shape[-1])
        networks = {"G": (g_layers, (self.latent_dim,)), "D": (d_layers, seen)}
        return {**networks, "average": (self.layers()[0], (self.latent_dim,))} if self.average else networks

    def layers(self) -> tuple[list[Layer], list[Layer]]:
        """The layers of G and of D, new ones each time."""
        raise NotImplementedError

    def smoke(self) -> Self:
        """The same system so small that an epoch takes a moment: for tests, not for pictures."""
        few = 16 if len(self.image_shape) == 1 else 4  # features, or channels
        return replace(
            self,
            epochs=1,
            images=200,
            batch_size=32,
            latent_dim=8,
            g_hidden=tuple(few for _ in self.g_hidden),
            d_hidden=tuple(few for _ in self.d_hidden),
            epoch_steps=0,
            log_every=0,  # the published ones are longer than the whole of it
        )

    def check_positive(self, *names: str) -> None:
        """Raise ArgumentError unless these fields are finite and above 0."""
        for name in names:
            if not 0 < getattr(self, name) < math.inf:
                raise ArgumentError(f"{name} must be a finite number above 0, got {getattr(self, name)}")

    def as_images(self, x: np.ndarray) -> np.ndarray:
        """G's outputs, or D's inputs, (N, *image_shape) as images (N, 28, 28), without the padding."""
        side = SIZE + 2 * self.pad
        images = x.reshape(len(x), side, side)
        return images[:, self.pad : side - self.pad, self.pad : side - self.pad]

    def answer(self, logit: Layer) -> list[Layer]:
        """D's last layers: `logit`, which gives one number, and its sigmoid where D answers with a probability."""
        return [logit, Sigmoid()] if self.d_output == "probability" else [logit]
