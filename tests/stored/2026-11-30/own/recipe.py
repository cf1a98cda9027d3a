"""A recipe of one's own, for the page on training: minigan train --recipe my_recipe.py:Sketch."""

from dataclasses import dataclass

from minigan.nn import BatchNorm, Dense, Layer, LeakyReLU, Tanh
from minigan.recipes import Recipe


@dataclass(frozen=True)
class Sketch(Recipe):
    """Dense layers, of which a number of the recipe's own says how leaky they are."""

    name = "sketch"  # its runs are runs/sketch-001 and so on

    slope: float = 0.1  # of the LeakyReLUs; the flag is --slope
    epochs: int = 12  # what every recipe has, with numbers for this one
    batch_size: int = 64
    latent_dim: int = 32
    g_hidden: tuple[int, ...] = (128, 256)
    d_hidden: tuple[int, ...] = (256, 128)
    lr_g: float = 1e-3
    lr_d: float = 1e-3
    beta1: float = 0.5

    def layers(self) -> tuple[list[Layer], list[Layer]]:
        g_layers: list[Layer] = []
        for width in self.g_hidden:
            g_layers += [Dense(width, bias=False), BatchNorm(), LeakyReLU(slope=self.slope)]
        d_layers: list[Layer] = []
        for width in self.d_hidden:
            d_layers += [Dense(width), LeakyReLU(slope=self.slope)]
        return [*g_layers, Dense(self.pixels), Tanh()], [*d_layers, *self.answer(Dense(1))]
