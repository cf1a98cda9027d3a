"""Convolutions: the layers, the windows that they look through, and three ways to the products over these."""

from minigan.nn.conv.layers import Conv2d, ConvTranspose2d
from minigan.nn.conv.resample import Upsample2d
from minigan.nn.conv.upconv import UpsampleConv2d

__all__ = ["Conv2d", "ConvTranspose2d", "Upsample2d", "UpsampleConv2d"]
