"""The DCGAN of the Flux tutorial: transposed convolutions draw, convolutions judge."""

from __future__ import annotations

from dataclasses import dataclass

from minigan.errors import ArgumentError
from minigan.nn import (
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    ReLU,
    Reshape,
    Tanh,
)
from minigan.nn.init import normal
from minigan.recipes.recipe import SIZE, Recipe


@dataclass(frozen=True)
class FluxDCGAN(Recipe):
    """The DCGAN of the Flux tutorial, with G's gradient, which the tutorial's code loses.

    The convolutions start from N(0, 0.02²), the Dense layers, as Flux does, from Glorot's uniform. Flux's BatchNorm has
    momentum 0.1, the weight of the new: decay 0.9. The dropout in D was lost from the tutorial's extracted text.
    With the published β₁ = 0.9 G draws one single stroke for the first epochs; `flux-dcgan-half` has β₁ = 0.5.
    """

    name = "flux-dcgan"
    source = "D. Santra, “Deep Convolutional Generative Adversarial Network (DCGAN)”, Flux.jl tutorial, 2021"
    image_shape = (SIZE, SIZE, 1)

    init_std: float = 0.02  # standard deviation of the convolutions' initial weights

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_positive("init_std")
        if len(self.g_hidden) != 3:
            raise ArgumentError(
                f"{self.name} has three hidden layers in G, so g_hidden is three sizes: {self.g_hidden}"
            )

    def layers(self) -> tuple[list[Layer], list[Layer]]:
        small = normal(self.init_std)
        side = self.image_shape[0] // 4
        first, second, third = self.g_hidden
        g_layers = [
            Dense(side * side * first, bias=False), BatchNorm(), ReLU(),
            Reshape(side, side, first),
            ConvTranspose2d(second, 5, stride=1, pad=2, bias=False, init_W=small), BatchNorm(), ReLU(),
            ConvTranspose2d(third, 4, stride=2, pad=1, bias=False, init_W=small), BatchNorm(), ReLU(),
            ConvTranspose2d(1, 4, stride=2, pad=1, bias=False, init_W=small), Tanh(),
        ]  # fmt: skip
        d_layers: list[Layer] = []
        for channels in self.d_hidden:
            d_layers += [Conv2d(channels, 4, stride=2, pad=1, init_W=small), LeakyReLU(slope=0.2)]
            d_layers += [Dropout(drop=self.dropout)] if self.dropout else []
        return g_layers, [*d_layers, Flatten(), *self.answer(Dense(1))]


FLUX_DCGAN = FluxDCGAN(
    epochs=25,
    batch_size=128,
    latent_dim=100,
    g_hidden=(256, 128, 64),
    d_hidden=(64, 128),
    dropout=0.3,
    d_output="logit",
    shared_fakes=True,
    d_fakes="full",
    log_every=100,
)


@dataclass(frozen=True)
class FluxDCGANHalf(FluxDCGAN):
    """`flux-dcgan` with β₁ = 0.5, as in the DCGAN paper, and no other change: parts of digits at once."""

    name = "flux-dcgan-half"
    source = "flux-dcgan with β₁ = 0.5 (Radford, Metz & Chintala, “Unsupervised representation learning …”, 2016)"


FLUX_DCGAN_HALF = FluxDCGANHalf(**{**vars(FLUX_DCGAN), "beta1": 0.5})
