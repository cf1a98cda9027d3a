"""GANs of Dense layers: of the Flux tutorial, of a PyTorch tutorial, and minigan's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from minigan.nn import BatchNorm, Dense, Dropout, Layer, LeakyReLU, ReLU, Tanh
from minigan.nn.init import torch_linear
from minigan.recipes.recipe import Recipe


@dataclass(frozen=True)
class MLP(Recipe):
    """What the recipes of Dense layers have in common."""

    init: Literal["torch", "glorot"] = "torch"  # PyTorch's U(±1/√fan_in), or Flux's: Glorot's uniform, biases 0

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


@dataclass(frozen=True)
class FluxMLP(MLP):
    """The vanilla GAN of the Flux tutorial.

    Its dropout, lost from the tutorial's extracted text, is needed: without it D wins completely within two epochs.
    The text does not say how the weights start. From Flux's default (`--init glorot`) the fakes become one saturated
    pattern within an epoch, and for one seed of three they still are after 20, here and in PyTorch alike; from
    PyTorch's smaller weights none of three. So the latter are the default.
    """

    name = "flux-mlp"
    source = "R. Kube, “Generative Adversarial Networks”, Flux.jl tutorial, 2021"

    def layers(self) -> tuple[list[Layer], list[Layer]]:
        leaky = LeakyReLU(slope=0.2)
        g_layers = [*self.hidden(self.g_hidden, leaky), self.dense(self.pixels), Tanh()]
        d_layers = [*self.hidden(self.d_hidden, leaky, drop=self.dropout), *self.answer(self.dense(1))]
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
class PyTorchMLP(MLP):
    """The small MLP GAN of a PyTorch tutorial. D sees real and fake separately."""

    name = "pytorch-mlp"
    source = "“Generative Adversarial Networks”, PyTorch MNIST tutorial after A. N S, Jovian, 2020"

    def layers(self) -> tuple[list[Layer], list[Layer]]:
        g_layers = [*self.hidden(self.g_hidden, ReLU()), self.dense(self.pixels), Tanh()]
        d_layers = [*self.hidden(self.d_hidden, LeakyReLU(slope=0.2), drop=self.dropout), *self.answer(self.dense(1))]
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
class PyTorchMLPMended(PyTorchMLP):
    """`pytorch-mlp` with dropout of 0.3 in D, as `flux-mlp` has it, and nothing else changed: D is less sure.

    Without it D is right about more than nine images in ten, and after the published 20 epochs G draws blots.
    """

    name = "pytorch-mlp-mended"
    source = "pytorch-mlp with dropout in D (Srivastava et al., “Dropout”, 2014)"


PYTORCH_MLP_MENDED = PyTorchMLPMended(**{**vars(PYTORCH_MLP), "dropout": 0.3})


@dataclass(frozen=True)
class QuickMLP(MLP):
    """Digits in a minute or two on two cores, of plain Dense layers and cross-entropy: what the exercises train.

    How good its digits are, the page “The house recipe” of the documentation says.
    """

    name = "quick-mlp"
    source = "minigan's own: BatchNorm in G, dropout in D, high rates, an averaged generator"

    def layers(self) -> tuple[list[Layer], list[Layer]]:
        leaky = LeakyReLU(slope=0.2)
        g_layers = [*self.hidden(self.g_hidden, leaky, norm=True), self.dense(self.pixels), Tanh()]
        d_layers = [*self.hidden(self.d_hidden, leaky, drop=self.dropout), *self.answer(self.dense(1))]
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
