"""minigan's own recipe, which `minigan train` trains: the best digits found for five minutes on two cores."""

from __future__ import annotations

from dataclasses import dataclass

from minigan.nn import BatchNorm, Dense, Dropout, Layer, LeakyReLU, ReLU, SpectralNorm, Tanh
from minigan.recipes.recipe import Recipe


@dataclass(frozen=True)
class Best(Recipe):
    """Dense layers; BatchNorm in G, spectral normalisation in D, a logit, high rates, an averaged generator.

    What else was tried, and what each part is worth, the page “The house recipe” of the documentation says.
    """

    name = "best"
    source = "minigan's own search; spectral normalisation: Miyato et al., 2018"

    def layers(self) -> tuple[list[Layer], list[Layer]]:
        g_layers: list[Layer] = []
        for width in self.g_hidden:
            g_layers += [Dense(width, bias=False), BatchNorm(), ReLU()]  # BatchNorm's β is the bias
        d_layers: list[Layer] = []
        for width in self.d_hidden:
            d_layers += [SpectralNorm(Dense(width)), LeakyReLU(slope=0.2)]
            d_layers += [Dropout(drop=self.dropout)] if self.dropout else []
        return [*g_layers, Dense(self.pixels), Tanh()], [*d_layers, *self.answer(SpectralNorm(Dense(1)))]


BEST = Best(
    epochs=90,
    batch_size=128,
    latent_dim=16,
    latents="uniform",
    g_hidden=(256, 512),
    d_hidden=(512, 256),
    lr_g=1e-3,
    lr_d=1e-3,
    beta1=0.0,
    beta2=0.95,
    average=0.9995,
    d_output="logit",
    d_batching="concat",
    shared_fakes=True,  # G's pass is made once a step, not twice
    log_every=100,
)
