"""Recipes: published GANs, written down as data. Every field is a flag of `minigan train NAME`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np

from minigan.errors import ArgumentError, check_choice
from minigan.gan import GANLoss
from minigan.nn import BatchNorm, Dense, Dropout, Layer, LeakyReLU, ReLU, Sequential, Sigmoid, Tanh
from minigan.nn.init import torch_linear

PIXELS = 28 * 28


@dataclass(frozen=True)
class Recipe:
    """What every system states. A subclass says what its two networks are; an instance of it gives the numbers."""

    name: ClassVar[str]
    source: ClassVar[str]
    value_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)  # of the pixels, matched by G's last activation

    epochs: int  # passes over the training images
    batch_size: int  # real images of a step
    latent_dim: int  # size of G's input
    g_hidden: tuple[int, ...]  # widths of G's hidden layers
    d_hidden: tuple[int, ...]  # widths of D's hidden layers
    lr_g: float = 2e-4  # Adam's learning rate for G
    lr_d: float = 2e-4  # … and for D
    beta1: float = 0.9  # Adam's decay of the mean gradient, both networks
    beta2: float = 0.999  # … and of the mean squared gradient
    average: float = 0.0  # decay of the averaged generator, from which pictures come; 0: from G itself
    dropout: float = 0.0  # probability of silencing a feature after each hidden layer of D
    init: Literal["torch", "glorot"] = "torch"  # PyTorch's U(±1/√fan_in), or Flux's: Glorot's uniform, biases 0
    latents: Literal["normal", "uniform"] = "normal"  # N(0, 1) or U[0, 1)
    g_loss: Literal["non_saturating", "minimax"] = "non_saturating"  # G wants D to say "real", or not "fake"
    d_output: Literal["probability", "logit"] = "probability"  # whether D ends in a sigmoid
    d_batching: Literal["separate", "concat"] = "separate"  # D's loss: sum of two means, or one mean over both
    labels: tuple[float, float] = (1.0, 0.0)  # what D should say of (real, fake)
    update: Literal["alternating", "simultaneous"] = "alternating"  # D then G, or both at once
    d_steps: int = 1  # D updates for each G update
    d_warmup: int = 0  # D updates before the schedule begins
    shared_fakes: bool = False  # G learns from the fakes that D has just seen
    drop_last: bool = False  # leave out the last, partial batch of an epoch
    images: int = 60_000  # how many training images are used: the first ones
    log_every: int = 0  # steps between two rows of metrics; 0: one row an epoch

    def __post_init__(self) -> None:
        least = {
            "epochs": 1,
            "batch_size": 1,
            "latent_dim": 1,
            "d_steps": 1,
            "images": 1,
            "d_warmup": 0,
            "log_every": 0,
        }
        for field, low in least.items():
            value = getattr(self, field)
            if not isinstance(value, int) or value < low:
                raise ArgumentError(f"{field} must be a whole number, at least {low}, got {value}")
        if not 0 <= self.average < 1:
            raise ArgumentError(f"average must be a decay in [0, 1), such as 0.999, or 0 for none, got {self.average}")
        check_choice("init", self.init, ("torch", "glorot"))
        check_choice("latents", self.latents, ("normal", "uniform"))
        check_choice("update", self.update, ("alternating", "simultaneous"))
        if self.update == "simultaneous" and (self.d_steps, self.d_warmup, self.shared_fakes) != (1, 0, False):
            raise ArgumentError("update 'simultaneous' moves G and D together: leave d_steps, d_warmup, shared_fakes")
        if self.update == "simultaneous" and self.d_batching == "concat":
            raise ArgumentError("update 'simultaneous' needs d_batching 'separate' (--d-batching separate)")
        self.loss  # noqa: B018 (its own checks, now rather than at the first step)

    @property
    def loss(self) -> GANLoss:
        """What the two players compare."""
        return GANLoss(self.g_loss, self.d_output, self.d_batching, self.labels)

    def networks(self, rng: np.random.Generator, *, dtype: Any = np.float32) -> tuple[Sequential, Sequential]:
        """(G, D) with fresh weights drawn from `rng`, G's first."""
        g_layers, d_layers = self.layers()
        G = Sequential(g_layers, (self.latent_dim,), rng=rng, dtype=dtype)
        return G, Sequential(d_layers, (PIXELS,), rng=rng, dtype=dtype)

    def layers(self) -> tuple[list[Layer], list[Layer]]:
        """The layers of G and of D, new ones each time."""
        raise NotImplementedError

    def smoke(self) -> Self:
        """The same system so small that an epoch takes a moment: for tests, not for pictures."""
        return replace(
            self,
            epochs=1,
            images=200,
            batch_size=32,
            latent_dim=8,
            g_hidden=tuple(16 for _ in self.g_hidden),
            d_hidden=tuple(16 for _ in self.d_hidden),
        )

    def dense(self, features: int, *, bias: bool = True) -> Dense:
        """A Dense layer that starts from the recipe's weights."""
        if self.init == "glorot":
            return Dense(features, bias=bias)
        return Dense(features, bias=bias, init_W=torch_linear, init_b=torch_linear)

    def hidden(
        self, widths: tuple[int, ...], activation: Layer, *, drop: float = 0.0, norm: bool = False
    ) -> list[Layer]:
        """For each width a Dense layer, if wanted BatchNorm (whose β makes a bias idle), the activation and dropout."""
        layers: list[Layer] = []
        for width in widths:
            layers += [self.dense(width, bias=not norm), *([BatchNorm()] if norm else []), activation]
            layers += [Dropout(drop=drop)] if drop else []
        return layers

    def d_head(self) -> list[Layer]:
        """D's last layers: one logit, and its sigmoid where D answers with a probability."""
        return [self.dense(1), Sigmoid()] if self.d_output == "probability" else [self.dense(1)]


@dataclass(frozen=True)
class FluxMLP(Recipe):
    """The vanilla GAN of the Flux tutorial.

    Its dropout, lost from the tutorial's extracted text, is needed: without it D wins completely within two epochs.
    The text does not say how the weights start. From Flux's default (`--init glorot`) the fakes become one saturated
    pattern within an epoch, and for one seed of three they still are after 20, here and in PyTorch alike; from
    PyTorch's smaller weights none of three. So the latter are the default; docs/results.md has the measurements.
    """

    name = "flux-mlp"
    source = "R. Kube, “Generative Adversarial Networks”, Flux.jl tutorial, 2021"

    def layers(self) -> tuple[list[Layer], list[Layer]]:
        leaky = LeakyReLU(slope=0.2)
        g_layers = [*self.hidden(self.g_hidden, leaky), self.dense(PIXELS), Tanh()]
        d_layers = [*self.hidden(self.d_hidden, leaky, drop=self.dropout), *self.d_head()]
        return g_layers, d_layers


FLUX_MLP = FluxMLP(
    epochs=1000,
    batch_size=128,
    latent_dim=100,
    g_hidden=(256, 512, 1024),
    d_hidden=(1024, 512, 256),
    dropout=0.3,
    d_batching="concat",
)


@dataclass(frozen=True)
class PyTorchMLP(Recipe):
    """The small MLP GAN of a PyTorch tutorial. D sees real and fake separately."""

    name = "pytorch-mlp"
    source = "“Generative Adversarial Networks”, PyTorch MNIST tutorial after A. N S, Jovian, 2020"

    def layers(self) -> tuple[list[Layer], list[Layer]]:
        g_layers = [*self.hidden(self.g_hidden, ReLU()), self.dense(PIXELS), Tanh()]
        d_layers = [*self.hidden(self.d_hidden, LeakyReLU(slope=0.2), drop=self.dropout), *self.d_head()]
        return g_layers, d_layers


PYTORCH_MLP = PyTorchMLP(
    epochs=20,
    batch_size=100,
    latent_dim=64,
    g_hidden=(256, 256),
    d_hidden=(256, 256),
    log_every=200,
)


@dataclass(frozen=True)
class QuickMLP(Recipe):
    """The best-looking digits that minigan can train in three minutes on two cores: the default.

    How good its digits are is measured in docs/results.md; benchmarks/default.py can train variants of it beside it.
    """

    name = "quick-mlp"
    source = "minigan's own: BatchNorm in G, dropout in D, high rates, an averaged generator"

    def layers(self) -> tuple[list[Layer], list[Layer]]:
        leaky = LeakyReLU(slope=0.2)
        g_layers = [*self.hidden(self.g_hidden, leaky, norm=True), self.dense(PIXELS), Tanh()]
        d_layers = [*self.hidden(self.d_hidden, leaky, drop=self.dropout), *self.d_head()]
        return g_layers, d_layers


QUICK_MLP = QuickMLP(
    epochs=12,
    batch_size=64,
    latent_dim=64,
    g_hidden=(256, 512),
    d_hidden=(512, 256),
    lr_g=1e-3,
    lr_d=1e-3,
    beta1=0.5,
    average=0.999,
    dropout=0.3,
    d_batching="concat",
    shared_fakes=True,  # G's pass is made once a step, not twice
    log_every=100,
)

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (QUICK_MLP, FLUX_MLP, PYTORCH_MLP)}
DEFAULT = QUICK_MLP.name  # what `minigan train` trains
