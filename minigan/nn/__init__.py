"""The differentiable pieces. Read `layer.py` (the contract) and `dense.py` (the first layer) first."""

from minigan.nn import init
from minigan.nn.activations import LeakyReLU, ReLU, Sigmoid, Tanh, sigmoid
from minigan.nn.dense import Dense
from minigan.nn.dropout import Dropout
from minigan.nn.layer import Layer
from minigan.nn.network import NetworkCache, Sequential
from minigan.nn.norm import BatchNorm
from minigan.nn.shape import Flatten, Reshape

__all__ = [
    "BatchNorm",
    "Dense",
    "Dropout",
    "Flatten",
    "Layer",
    "LeakyReLU",
    "NetworkCache",
    "ReLU",
    "Reshape",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "init",
    "sigmoid",
]
