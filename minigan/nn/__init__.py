"""The differentiable pieces. Read `layer.py` (the contract) and `dense.py` (the first layer) first."""

from minigan.nn import init
from minigan.nn.activations import LeakyReLU, ReLU, Sigmoid, Tanh, sigmoid
from minigan.nn.conv.layers import Conv2d, ConvTranspose2d
from minigan.nn.conv.resample import Upsample2d
from minigan.nn.conv.upconv import UpsampleConv2d
from minigan.nn.dense import Dense
from minigan.nn.dropout import Dropout
from minigan.nn.layer import Layer
from minigan.nn.network import NetworkCache, Sequential
from minigan.nn.norm import BatchNorm
from minigan.nn.pool import Maxout, MaxPool2d
from minigan.nn.shape import Flatten, Reshape
from minigan.nn.spectral import SpectralNorm

__all__ = [
    "BatchNorm",
    "Conv2d",
    "ConvTranspose2d",
    "Dense",
    "Dropout",
    "Flatten",
    "Layer",
    "LeakyReLU",
    "MaxPool2d",
    "Maxout",
    "NetworkCache",
    "ReLU",
    "Reshape",
    "Sequential",
    "Sigmoid",
    "SpectralNorm",
    "Tanh",
    "Upsample2d",
    "UpsampleConv2d",
    "init",
    "sigmoid",
]
