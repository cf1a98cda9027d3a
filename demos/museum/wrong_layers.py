"""Nine layers whose backward is wrong, each with the check that let it pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from exhibit import Exhibit, textbook

from minigan import nn
from minigan.backend import matmul
from minigan.backend.products import rows
from minigan.gradcheck import check_layer
from minigan.losses import binary_cross_entropy
from minigan.nn.layer import Layer
from minigan.optim import SGD

# BatchNorm, twice ----------------------------------------------------------------------------------------------------


class ZeroBatchNorm(nn.BatchNorm):
    def spread(self, dy, cache, sums):  # dx
        return np.zeros_like(dy)


def sum_of_outputs(layer: Any) -> str:
    off, _ = textbook(layer(), (3,), dy=1.0)
    assert off < 1e-7
    return f"passed: central differences of Σ y, in float64, agree to {off:.0e}"


ZERO = Exhibit(
    title="Zeros against a sum",
    story="The test differentiates the sum of the outputs. BatchNorm's outputs always have the same sum, so the true "
    "gradient is zero, and a backward that returns zeros passes. (The layer of this test was right; the test could not "
    "have told.)",
    where="HomericIntelligence/Odyssey#3174",
    name="BatchNorm",
    right=nn.BatchNorm,
    wrong=ZeroBatchNorm,
    usual=sum_of_outputs,
    check=lambda layer: check_layer(layer(), (3,)),
    cause="zero everywhere",
)


class StillBatchNorm(nn.BatchNorm):
    def spread(self, dy, cache, sums):  # dx
        return dy * self.gamma * cache.inv_std


def parameters_only(layer: Any) -> str:
    off, _ = textbook([layer(), nn.Dense(2)], (3,), only=".")
    assert off < 1e-7
    return f"passed: every parameter of BatchNorm → Dense agrees to {off:.0e} (the input has no parameters to check)"


STILL = Exhibit(
    title="Statistics that stand still",
    story="The batch's mean and variance are taken for constants. The test differentiated the parameters of a network "
    "in which BatchNorm came first, so nothing was ever sent through its dx.",
    where="mlpack/mlpack#1923",
    name="BatchNorm",
    right=nn.BatchNorm,
    wrong=StillBatchNorm,
    usual=parameters_only,
    check=lambda layer: check_layer(layer(), (3,)),
    cause="mean and variance",
)

# Activations and dropout ---------------------------------------------------------------------------------------------


class SlopelessLeakyReLU(nn.LeakyReLU):
    def input_grad(self, dy, cache):
        return dy * (cache > 0)


def single_precision(layer: Any) -> str:
    _, off = textbook(layer(slope=0.01), (4,), dtype=np.float32, h=1e-2)
    assert off < 1e-2
    return f"passed: float32 differences agree to {off:.1%} in norm, and the tolerance is 1 %"


SLOPELESS = Exhibit(
    title="A slope that backward does not know",
    story="The backward of a leaky ReLU does not take the slope. With the usual slope of 0.01 that looks like rounding "
    "to a check in float32.",
    where="deeplearning4j/deeplearning4j#8178",
    name="LeakyReLU",
    right=nn.LeakyReLU,
    wrong=SlopelessLeakyReLU,
    usual=single_precision,
    check=lambda layer: check_layer(layer(slope=0.01), (4,)),
    cause=r"derivative is wrong where x < 0",
)


class MasklessDropout(nn.Dropout):
    def input_grad(self, dy, cache):
        return dy if cache is None else dy / (1 - self.drop)


def switched_off(layer: Any) -> str:
    off, _ = textbook(layer(drop=0.5), (4,), train=False)
    assert off < 1e-7
    return f"passed: central differences agree to {off:.0e} (at inference: in training the layer is random)"


MASKLESS = Exhibit(
    title="Dropout without its mask",
    story="Backward divides by 1 - drop but lets every feature through, the silenced ones too. A random function "
    "cannot be differentiated, so one switches it off, and with it all that there was to check.",
    where="ddbourgin/numpy-ml#94",
    name="Dropout",
    right=nn.Dropout,
    wrong=MasklessDropout,
    usual=switched_off,
    check=lambda layer: check_layer(layer(drop=0.5), (4,)),
    cause=r"\bmask\b",
)


class TwiceTanh(nn.Tanh):
    def input_grad(self, dy, cache):  # the cache is y, which is tanh(x) already
        return dy * (1 - np.tanh(cache) ** 2)


def learns_xor(layer: Any) -> str:
    rng = np.random.default_rng(0)
    net = nn.Sequential([nn.Dense(8), layer(), nn.Dense(1), nn.Sigmoid()], (2,), rng=rng, dtype=np.float64)
    x, t = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), np.array([[0], [1], [1], [0.0]])
    optimizer, losses = SGD(net, lr=1.0), []
    for _ in range(1000):
        p, cache = net.forward(x, train=True)
        value, dp = binary_cross_entropy(p, t)
        net.backward(dp, cache)
        optimizer.step()
        losses.append(float(value))
    assert losses[-1] < 0.05
    return f"passed: it learns XOR, the loss falls from {losses[0]:.2f} to {losses[-1]:.3f}"


TWICE = Exhibit(
    title="The tanh of a tanh",
    story="The derivative 1 - tanh²(x) is handed the output. The network learned XOR all the same, in more than 8,000 "
    "rounds where the right one took 805.",
    where="davidrmiller/neural2d#40",
    name="Tanh",
    right=nn.Tanh,
    wrong=TwiceTanh,
    usual=learns_xor,
    check=lambda layer: check_layer(layer(), (4,)),
    cause=r"wrong point: at the output y",
)

# Dense, three times --------------------------------------------------------------------------------------------------


class ReshapedDense(nn.Dense):
    def input_grad(self, dy, cache):
        return matmul(rows(dy), self.W.reshape(self.W.shape[::-1])).reshape(cache.shape)


def shapes(layer: Any) -> str:
    sizes = (4, 3), (3, 4), (4, 4)
    for C, K in sizes:
        net = nn.Sequential([layer(K)], (C,), rng=np.random.default_rng(0))
        x = np.ones((5, C), np.float32)
        y, cache = net.forward(x, train=True)
        dx = net.backward(y, cache)
        assert dx.shape == x.shape
        assert np.isfinite(dx).all()
    return f"passed: dx has the shape of x and is finite, for {' and '.join(f'{C}→{K}' for C, K in sizes)} features"


RESHAPED = Exhibit(
    title="W for Wᵀ",
    story="The weight matrix is not transposed, but its sizes are chosen as if it were. Every shape is right.",
    where="pulp-platform/pulp-trainlib#3",
    name="Dense",
    right=nn.Dense,
    wrong=ReshapedDense,
    usual=shapes,
    check=lambda layer: check_layer(layer(4), (4,)),
    cause=r"not transposed",
)


class AddingDense(nn.Dense):
    def param_grads(self, dy, cache, grads):
        grads["W"] += matmul(rows(cache).T, rows(dy))
        if self.bias:
            grads["b"] += rows(dy).sum(axis=0)


def one_backward(layer: Any) -> str:
    off, _ = textbook(layer(3), (4,))
    assert off < 1e-7
    return f"passed: after a backward of a new layer, central differences agree to {off:.0e}"


ADDING = Exhibit(
    title="Added, never cleared",
    story="Backward adds to the gradients, and nobody sets them to zero: each step also takes all the steps before it. "
    "In a GAN template, D's gradients kept those of G's step. A check that makes a new network and goes back once "
    "starts from zero.",
    where="Lightning-AI/pytorch-lightning#557, karpathy/micrograd#102",
    name="Dense",
    right=nn.Dense,
    wrong=AddingDense,
    usual=one_backward,
    check=lambda layer: check_layer(layer(3), (4,)),
    cause=r"adds to the gradient of .*W that an earlier call left",
)


class LastImageDense(nn.Dense):
    def param_grads(self, dy, cache, grads):
        for x_i, dy_i in zip(rows(cache), rows(dy), strict=True):
            np.outer(x_i, dy_i, out=grads["W"])
            if self.bias:
                grads["b"][...] = dy_i


def batch_of_one(layer: Any) -> str:
    off, _ = textbook(layer(3), (4,), batch=1)
    assert off < 1e-7
    return f"passed: with one image, central differences agree to {off:.0e}"


LAST = Exhibit(
    title="Only the last image",
    story="A loop over the batch writes where it should add. “For batch_size of 1 everything works as expected.”",
    where="dmarcosg/DSAC#6",
    name="Dense",
    right=nn.Dense,
    wrong=LastImageDense,
    usual=batch_of_one,
    check=lambda layer: check_layer(layer(3), (4,)),
    cause=r"only the last image",
)

# Axes ----------------------------------------------------------------------------------------------------------------


class Permute(Layer):
    """(N, *in_shape) with its axes in another order: Permute(3, 1, 2) makes (N, C, H, W) of (N, H, W, C)."""

    def __init__(self, *axes: int):
        self.axes = axes

    def out_shape(self, in_shape):
        return tuple(in_shape[axis - 1] for axis in self.axes)

    def forward(self, x, *, train, rng=None):
        return x.transpose(0, *self.axes), x.shape

    def input_grad(self, dy, cache):
        return dy.transpose(0, *(1 + np.argsort(self.axes)))


class ForthPermute(Permute):
    def input_grad(self, dy, cache):
        return dy.transpose(0, *self.axes).reshape(cache)


def swap(layer: Any) -> str:
    off, _ = textbook(layer(2, 1, 3), (3, 4, 2))
    assert off < 1e-7
    return f"passed: with height and width exchanged, central differences agree to {off:.0e}"


FORTH = Exhibit(
    title="There, and there again",
    story="The way back takes the axes in the order of the way there. Exchange two axes and that is right, for an "
    "exchange is its own inverse; three axes in a circle are not. “It doesn't have unittest, so never got caught.”",
    where="nntrainer/nntrainer#1743",
    name="Permute",
    right=Permute,
    wrong=ForthPermute,
    usual=swap,
    check=lambda layer: check_layer(layer(3, 1, 2), (3, 4, 2)),
    cause=r"right numbers in the wrong order",
)
