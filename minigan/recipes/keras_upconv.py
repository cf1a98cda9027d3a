"""The GAN of a Keras blog: upsampling and convolutions draw, strided convolutions judge."""

from __future__ import annotations

from dataclasses import dataclass

from minigan.errors import ArgumentError
from minigan.nn import (
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    Reshape,
    Tanh,
    Upsample2d,
    UpsampleConv2d,
)
from minigan.recipes.recipe import SIZE, Recipe


@dataclass(frozen=True)
class KerasUpconv(Recipe):
    """The GAN class of a Keras blog, on images padded to 32×32 and with inverted labels: D's output is that of *fake*.

    Keras' BatchNormalization has momentum 0.8, the weight of the old: decay 0.8; its eps is 1e-3, and its Adam's 1e-7.
    An epoch is 20 steps of 32 images here, and the images are MNIST's 70,000.
    """

    name = "keras-upconv"
    source = "J. Leinonen, “The elements of GANs, part 1: a simple GAN with Keras”, 2019"
    pad = 2
    image_shape = (SIZE + 2 * pad, SIZE + 2 * pad, 1)

    merged: bool = True  # whether one layer makes an image larger and convolves it; the two layers do the same, slower

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.g_hidden) > 6:
            raise ArgumentError(
                f"{self.name} doubles its image in each layer of G but the first, so it can have 1 to 6, "
                f"got g_hidden {self.g_hidden}"
            )
        if not self.merged and len(self.g_hidden) == 1:
            raise ArgumentError(
                f"merged is about the layers that enlarge, and g_hidden {self.g_hidden} has none of them"
            )

    def layers(self) -> tuple[list[Layer], list[Layer]]:
        leaky = LeakyReLU(slope=0.2)
        side, (first, *growing) = self.image_shape[0] // 2 ** (len(self.g_hidden) - 1), self.g_hidden
        g_layers: list[Layer] = [Dense(side * side * first), leaky, Reshape(side, side, first)]
        for channels in growing:
            two = [Upsample2d(2), Conv2d(channels, 3, pad="same")]
            g_layers += [UpsampleConv2d(channels, 3, scale=2)] if self.merged else two
            g_layers += [BatchNorm(decay=0.8, eps=1e-3), leaky]
        g_layers += [Conv2d(1, 3, pad="same"), Tanh()]
        d_layers: list[Layer] = []
        for i, channels in enumerate(self.d_hidden):
            d_layers += [Conv2d(channels, 3, stride=1 if i == 0 else 2, pad="same"), leaky]
            d_layers += [Dropout(drop=self.dropout)] if self.dropout else []
        return g_layers, [*d_layers, Flatten(), *self.answer(Dense(1))]


KERAS_UPCONV = KerasUpconv(
    epochs=200,
    batch_size=32,
    latent_dim=64,
    g_hidden=(256, 128, 64),
    d_hidden=(64, 128, 256),
    lr_g=1e-4,
    lr_d=1e-4,
    beta1=0.5,
    beta2=0.9,
    eps=1e-7,
    labels=(0.0, 1.0),
    images=70_000,
    test_images=True,
    drop_last=True,
    epoch_steps=20,
)
