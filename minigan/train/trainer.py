"""The schedule and the loop: which step runs when, on which images and latents. It knows no algorithm; `gan` does.
Who watches it is a `Callback`.

Every draw of a step comes from (seed, stream, step), so that the same seed gives the same run bit for bit, and
looking at a preview changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from minigan.backend import Array, RandomStream, array_module, keep_memory, to_device, to_numpy
from minigan.backend.random import check_seed
from minigan.data.batches import Batches
from minigan.errors import ArgumentError, DataError, DivergenceError
from minigan.gan import DiscriminatorResult, GeneratorResult, discriminator_step, generator_step, simultaneous_step
from minigan.gan.averaging import average
from minigan.nn import Sequential
from minigan.optim import Adam
from minigan.recipes import Recipe
from minigan.train.metrics import Means, gradient_norms, step_metrics
from minigan.train.passes import check_batches, check_penalty

Row = dict[str, Any]


class Trainer:
    """A recipe at work on a set of images.

    Attributes: `G`, `D`, their optimisers, `loss`, `feeding`, `batches`; `average`, the generator that pictures come
    from (G itself, unless the recipe averages it); `step` (D updates so far), `epoch` (whole ones so far) and
    `epoch_steps` (steps of one); `history`, a row of means per log interval, and `epochs`, a row per epoch trained by
    this object. A row holds d_loss, d_loss_real, d_loss_fake, g_loss, d_real and d_fake (D's mean probability of *real*
    on real images and on fakes), acc_real and acc_fake (the share of each that D is right about), and grad_norm, the
    2-norm of each layer's last gradient; `interval` and `whole`, the means of the next row of each; `latest`, what the
    last step contributed to them, still on the device.
    Raises DataError if the recipe's pixel range is not that of G's last activation, ArgumentError if a batch cannot be
    packed or is too small for a layer; while training, DivergenceError
    if a loss, or at an epoch's end a weight, is no longer a finite number.
    """

    def __init__(self, recipe: Recipe, images: np.ndarray, *, seed: int = 0, device: str = "cpu"):
        keep_memory()
        self.recipe, self.seed, self.device = recipe, check_seed(seed), device
        self.loss, self.feeding = recipe.loss, recipe.feeding
        self.G, self.D = (net.to(device) for net in recipe.networks(RandomStream(seed, "init").host))
        check_range(self.G, recipe.value_range)
        options = {"beta1": recipe.beta1, "beta2": recipe.beta2, "eps": recipe.eps}
        self.g_optimizer = Adam(self.G, lr=recipe.lr_g, **options)
        self.d_optimizer = Adam(self.D, lr=recipe.lr_d, **options)
        self.batches = Batches(
            images[: recipe.images],
            recipe.batch_size,
            shape=recipe.image_shape,  # of one image, where D may see several at once
            value_range=recipe.value_range,
            seed=self.seed,
            drop_last=recipe.drop_last,
            pad=recipe.pad,
            device=device,
        )
        self.epoch_steps = recipe.epoch_steps or len(self.batches)
        self.average = recipe.networks(RandomStream(self.seed, "init").host)[0].to(device) if recipe.average else self.G
        check_batches(recipe, len(self.batches.images), {"G": self.G, "D": self.D})
        check_penalty(recipe, self.D)
        self.step = self.epoch = 0
        self.history: list[Row] = []
        self.epochs: list[Row] = []
        self.interval, self.whole = Means(), Means()
        self.latest: dict[str, Array] = {}

    @property
    def networks(self) -> dict[str, Sequential]:
        """Every network of the run by name: G, D and, where the recipe averages it, G's average."""
        networks = {"G": self.G, "D": self.D}
        return {**networks, "average": self.average} if self.recipe.average else networks

    @property
    def optimizers(self) -> dict[str, Adam]:
        """Both optimisers by name."""
        return {"g_optimizer": self.g_optimizer, "d_optimizer": self.d_optimizer}

    def fit(self, callbacks: Sequence[Callback] = (), *, stop: Callable[[], bool] = lambda: False) -> Trainer:
        """Train up to the recipe's epochs, or until `stop()`, which is asked between two steps; returns the trainer."""
        started: list[Callback] = []
        try:
            for callback in callbacks:
                started.append(callback)
                callback.start(self)
            while self.epoch < self.recipe.epochs:
                if stop():
                    for callback in callbacks:
                        callback.stopped(self)
                    break
                self.advance(callbacks)
            for callback in callbacks:
                callback.finish(self)
        except BaseException:
            with suppress(BaseException):  # the first error is the one to tell
                close(started, self)
            raise
        close(started, self)
        return self

    def advance(self, callbacks: Sequence[Callback] = ()) -> None:
        """One step, and what is due behind it: a row of metrics, the end of an epoch."""
        values = self.latest = step_metrics(*self.train_step(self.batches.batch(self.step)))
        self.interval.add(values)
        self.whole.add(values)
        for callback in callbacks:
            callback.step_end(self)
        epoch_ends = self.step % self.epoch_steps == 0
        if epoch_ends or (self.recipe.log_every and self.step % self.recipe.log_every == 0):
            self.epoch += epoch_ends
            row, self.interval = self.row(self.interval), Means()
            self.history.append(row)
            for callback in callbacks:
                callback.logged(self, row)
        if epoch_ends:
            row, self.whole = self.row(self.whole), Means()
            self.check_weights()  # before a callback saves them
            self.epochs.append(row)
            for callback in callbacks:
                callback.epoch_end(self, row)
        for callback in callbacks:
            callback.settled(self)

    def position(self) -> dict[str, Any]:
        """Where training stands between two steps, as JSON: with the networks and optimisers all that it needs."""
        means = {"interval": self.interval.state(), "whole": self.whole.state()}
        return {"step": self.step, "epoch": self.epoch, "means": means}

    def kept_grads(self) -> dict[str, Array]:
        """G's last gradient, where a row of metrics may come before its next."""
        return {"last.G": self.G.grads} if self.recipe.d_steps > 1 else {}

    def check_position(self, position: dict[str, Any]) -> None:
        """Raise ArgumentError if there is no such place in this run."""
        step, epoch = position["step"], position["epoch"]
        if not 0 <= step - epoch * self.epoch_steps < self.epoch_steps:
            raise ArgumentError(f"step {step} is not in epoch {epoch + 1}, at {self.epoch_steps} steps an epoch")

    def go_on_from(self, position: dict[str, Any], kept_grads: dict[str, np.ndarray]) -> None:
        """Stand where `position()` says."""
        self.check_position(position)
        self.step, self.epoch = position["step"], position["epoch"]
        self.interval, self.whole = (Means(position["means"][name]) for name in ("interval", "whole"))
        if "G" in kept_grads:
            self.G.grads[...] = to_device(kept_grads["G"], self.device)

    def train_step(self, x_real: Array) -> tuple[DiscriminatorResult, GeneratorResult | None]:
        """The schedule: one update of D, and one of G (and of its average) when it is due."""
        recipe = self.recipe
        latent = RandomStream(self.seed, "latent", self.step, device=self.device)
        rng = RandomStream(self.seed, "dropout", self.step, device=self.device)
        self.step += 1
        since_warmup = self.step - recipe.d_warmup
        g_due = since_warmup > 0 and since_warmup % recipe.d_steps == 0
        results = self.play(x_real, latent, rng, g_due=g_due)
        if g_due and recipe.average:
            average(self.average, self.G, recipe.average, self.g_optimizer.steps)
        return results

    def play(
        self, x_real: Array, latent: RandomStream, rng: RandomStream, *, g_due: bool
    ) -> tuple[DiscriminatorResult, GeneratorResult | None]:
        """One update of D and, if it is due, one of G, with the draws of the two streams."""
        recipe, G, D, feeding = self.recipe, self.G, self.D, self.feeding
        z = self.latents(recipe.batch_size if recipe.d_fakes == "full" else len(x_real), latent)
        if recipe.update == "simultaneous":
            optimizers = self.g_optimizer, self.d_optimizer
            return simultaneous_step(G, D, *optimizers, self.loss, x_real, z, feeding=feeding, rng=rng)
        fakes = G.forward(z, train=True, rng=rng) if recipe.shared_fakes and g_due else None
        drawn = {"rng": rng, **self.penalty()}
        d = discriminator_step(G, D, self.d_optimizer, self.loss, x_real, z, fakes=fakes, feeding=feeding, **drawn)
        if not g_due:
            return d, None
        z = None if fakes else self.latents(recipe.batch_size, latent)
        return d, generator_step(G, D, self.g_optimizer, self.loss, z, fakes=fakes, feeding=feeding, rng=rng)

    def penalty(self) -> dict[str, Any]:
        """What D's step is told of the recipe's penalty, where it is due: the first of `every` steps."""
        penalty, step = self.recipe.gradient_penalty, self.step - 1  # `train_step` has counted this one already
        if penalty is None or step % penalty.every:
            return {}
        return {"penalty": penalty, "penalty_rng": RandomStream(self.seed, "penalty", step, device=self.device)}

    def latents(self, count: int, rng: RandomStream) -> Array:
        """(count, latent_dim) draws for G, of the recipe's kind."""
        return draw_latents(self.recipe, count, rng, dtype=self.G.dtype)

    def preview_latents(self, count: int) -> Array:
        """The same latents every time, whatever the step: to follow how their pictures change."""
        return self.latents(count, RandomStream(self.seed, "preview", device=self.device))

    def row(self, means: Means) -> Row:
        """A row of metrics, as Python numbers."""
        result = means.result()
        norms = {**gradient_norms("G", self.G), **gradient_norms("D", self.D)}
        numbers = {**result, **{f"the gradient of {layer}": norm for layer, norm in norms.items()}}
        if bad := [name for name, value in numbers.items() if value is not None and not math.isfinite(value)]:
            raise self.divergence(", ".join(bad))
        return {"step": self.step, "epoch": self.epoch, **result, "grad_norm": norms}

    def check_weights(self) -> None:
        """Raise DivergenceError if a parameter, a running statistic or a moment of Adam's is no longer finite."""
        for name, owner in {**self.networks, **self.optimizers}.items():
            for key, array in owner.state().items():
                if not array_module(array).isfinite(array).all():
                    raise self.divergence(f"{name}.{key}")

    def divergence(self, what: str) -> DivergenceError:
        """The error to raise when `what` is no longer a number."""
        return DivergenceError(
            f"training has diverged: {what} is NaN or infinite by step {self.step} (epoch {self.epoch}); lower the "
            f"learning rates (lr_g {self.recipe.lr_g:g}, lr_d {self.recipe.lr_d:g})"
        )


class Callback:
    """Something that watches a training run: prints, draws or saves. It is handed the trainer and changes nothing."""

    def start(self, trainer: Trainer) -> None:
        """Before the first step."""

    def logged(self, trainer: Trainer, row: Row) -> None:
        """A row of metrics is complete (every `log_every` steps, and at the end of an epoch)."""

    def step_end(self, trainer: Trainer) -> None:
        """A step is over; `trainer.interval` holds the means so far."""

    def epoch_end(self, trainer: Trainer, row: Row) -> None:
        """An epoch is over; `row` holds its means."""

    def settled(self, trainer: Trainer) -> None:
        """A step and all that was due behind it are over: a moment from which training can go on later."""

    def stopped(self, trainer: Trainer) -> None:
        """Training was asked to stop, between two steps; `finish` comes next."""

    def finish(self, trainer: Trainer) -> None:
        """Training is over, or was asked to stop."""

    def close(self, trainer: Trainer) -> None:
        """The last call, after an error too, its own `start`'s included: give back what was taken.

        The callbacks are closed in reverse order, those only whose `start` was called.
        """


def close(callbacks: Sequence[Callback], trainer: Trainer) -> None:
    """Close them, the last one first, each of them whatever the others raise; then raise the first error of theirs."""
    first: BaseException | None = None
    for callback in reversed(callbacks):
        try:
            callback.close(trainer)
        except BaseException as error:
            first = error if first is None else first
    if first is not None:
        raise first


def draw_latents(recipe: Recipe, count: int, rng: RandomStream, *, dtype: Any = np.float32) -> Array:
    """(count, latent_dim) draws from N(0, 1) or U[0, 1), as the recipe says."""
    draw = rng.normal if recipe.latents == "normal" else rng.uniform
    return draw((count, recipe.latent_dim), dtype)


def generate(G: Sequential, z: Array, *, batch_size: int = 500) -> np.ndarray:
    """G's images for the latents z, at inference, on the host, a batch at a time."""
    return np.concatenate([to_numpy(G(z[i : i + batch_size])) for i in range(0, len(z), batch_size)])


def check_range(G: Sequential, value_range: tuple[float, float]) -> None:
    """Raise DataError unless G's last activation fills the range that the images are scaled to."""
    last = G.layers[-1]
    if last.out_range is not None and last.out_range != tuple(value_range):
        raise DataError(
            f"G ends in {last!r}, whose outputs fill {last.out_range}, but the images are scaled to {value_range}: D "
            "would tell them apart by brightness alone; change the one or the other"
        )
