"""The GAN of the ReNom tutorial, after the paper of 2014: a discriminator of maxout units."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

from minigan.nn import BatchNorm, Dense, Dropout, Layer, Maxout, ReLU, Sigmoid
from minigan.nn.init import glorot_normal, ones, uniform
from minigan.recipes.recipe import Recipe


@dataclass(frozen=True)
class RenomMaxout(Recipe):
    """The ReNom tutorial's GAN: uniform latents, BatchNorm on them too, maxout and dropout in D, pixels in [0, 1].

    ReNom's BatchNormalize has momentum 0.99, the weight of the new: decay 0.01. Its γ may have started from Glorot's
    normal distribution (so a later version of ReNom does; the text does not say), for which there is `init_gamma`: from
    1, the losses follow the text's log more closely. The tutorial's two gradients come from one forward pass:
    `update="simultaneous"`. 50,000 of MNIST's 70,000 images, chosen at random.
    """

    name = "renom-maxout"
    source = "“Generative adversarial networks”, ReNom tutorial, 2018, after Goodfellow et al., 2014"
    value_range = (0.0, 1.0)

    pieces: int = 5  # linear pieces of a maxout unit of D
    init_g: float = 0.05  # G's weights start from U(-init_g, init_g)
    init_d: float = 0.005  # … and D's from U(-init_d, init_d)
    init_gamma: Literal["ones", "glorot"] = "ones"  # BatchNorm's γ: 1, or from N(0, 2 / (1 + features))

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_positive("init_g", "init_d")

    def layers(self) -> tuple[list[Layer], list[Layer]]:
        wide, narrow = uniform(self.init_g), uniform(self.init_d)
        norm = partial(BatchNorm, decay=0.01, init_gamma=glorot_normal if self.init_gamma == "glorot" else ones)
        g_layers: list[Layer] = [norm()]
        for width in self.g_hidden:
            g_layers += [Dense(width, init_W=wide), ReLU(), norm()]
        g_layers += [Dense(self.pixels, init_W=wide), Sigmoid()]
        d_layers: list[Layer] = []
        for units in self.d_hidden:
            d_layers += [Dense(units * self.pieces, init_W=narrow), Maxout(self.pieces)]
            d_layers += [Dropout(drop=self.dropout)] if self.dropout else []
        return g_layers, [*d_layers, *self.answer(Dense(1, init_W=narrow))]


RENOM_MAXOUT = RenomMaxout(
    epochs=30,
    batch_size=256,
    latent_dim=100,
    g_hidden=(1200, 1200),
    d_hidden=(240, 240),
    lr_g=1e-3,
    lr_d=1e-3,
    beta1=0.5,
    dropout=0.5,
    latents="uniform",
    d_output="logit",
    update="simultaneous",
    images=50_000,
    test_images=True,
    random_split=True,
    drop_last=True,
)
