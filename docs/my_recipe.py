"""A layer and a recipe of one's own, for the page that tells how: minigan train --recipe my_recipe.py:Sketch."""

from dataclasses import dataclass

import numpy as np

from minigan.export.onnx import EXPORTS
from minigan.export.torch_code import COUNTERPARTS, Counterpart
from minigan.nn import BatchNorm, Dense, Layer, Tanh
from minigan.recipes import Recipe


class PReLU(Layer):
    """y = x where x > 0, else a·x, with a learned slope a for each feature (He et al., 2015)."""

    kinks = (0.0,)

    def __init__(self, *, slope=0.25):
        self.slope = slope  # that every a begins with

    def params(self, in_shape):
        return {"a": (in_shape[-1:], lambda rng, shape, **fans: np.full(shape, self.slope))}

    def forward(self, x, *, train, rng=None):
        return x * self.steepness(x), x

    def steepness(self, x):
        return (x > 0) + self.a * (x <= 0)  # 1 or a

    def input_grad(self, dy, cache):
        return dy * self.steepness(cache)

    def param_grads(self, dy, cache, grads):
        each = dy * cache * (cache <= 0)
        grads["a"][...] = each.reshape(-1, each.shape[-1]).sum(axis=0)


COUNTERPARTS[PReLU] = lambda layer, in_shape: Counterpart(
    [f"nn.PReLU({in_shape[-1]})"],
    names={"a": "weight"},
)
EXPORTS[PReLU] = lambda graph, layer, x, _: graph.node("PRelu", x, graph.weight("a", layer.a))


@dataclass(frozen=True)
class Sketch(Recipe):
    """Dense layers, of which a number of the recipe's own says how leaky they are at first."""

    name = "sketch"  # its runs are runs/sketch-001 and so on

    slope: float = 0.1  # that the PReLUs begin with; the flag is --slope
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
            g_layers += [Dense(width, bias=False), BatchNorm(), PReLU(slope=self.slope)]
        d_layers: list[Layer] = []
        for width in self.d_hidden:
            d_layers += [Dense(width), PReLU(slope=self.slope)]
        return [*g_layers, Dense(self.pixels), Tanh()], [*d_layers, *self.answer(Dense(1))]
