"""Spectral normalisation: a layer whose weights are divided by their largest singular value, so that D stays smooth."""

from __future__ import annotations

from copy import copy
from typing import Any, NamedTuple

import numpy as np

from minigan import backend
from minigan.backend import Array, Column, Elementwise, Vector
from minigan.backend.products import rows
from minigan.errors import ArgumentError
from minigan.nn.conv.layers import Conv2d
from minigan.nn.dense import Dense
from minigan.nn.layer import Grads, Layer, Shape, Specs

SHORTEST = 1e-12  # the least length that is divided by


class SpectralCache(NamedTuple):
    """The last three are what W's gradient needs, and the next u."""

    layer: Dense | Conv2d  # the wrapped layer with the weights W, and without its bias
    cache: Any  # what that one needs
    u: Array
    v: Array
    sigma: Array


class SpectralNorm(Layer):
    """y = layer(x) with W̄ = W / σ in W's place; σ estimates W's largest singular value, the most that W can stretch.

    W is taken as a matrix (…, K), whatever axes come before the last. With a unit vector u (K,), kept from step to
    step: v = W u / ‖W u‖ and σ = vᵀ W u = ‖W u‖ (of the buffer u only the direction counts: an average of unit vectors,
    as in an averaged generator, is shorter than 1). After a step of training u moves on to Wᵀ v / ‖Wᵀ v‖, one power
    iteration, so that σ follows the largest singular value as W learns. At inference u stays as it is.
    W̄ itself is never made: what is divided by σ is what W makes of x, and of dy, in the pass that adds the bias.
    Shapes: the layer's. Gradient, u being a constant: dW = (dW̄ - ⟨dW̄, W̄⟩ v uᵀ) / σ, since dσ/dW = v uᵀ; so what W
    gets says nothing about its length along v uᵀ. dx and db are the layer's own.
    Raises ArgumentError unless `layer` is a Dense or a Conv2d.
    Source: Miyato et al., "Spectral normalization for generative adversarial networks", ICLR 2018, algorithm 1.
    """

    each_alone = True

    def __init__(self, layer: Dense | Conv2d):
        if not isinstance(layer, (Dense, Conv2d)):
            raise ArgumentError(f"SpectralNorm needs a Dense or a Conv2d, whose weights it divides, got {layer!r}")
        self.layer = layer
        self.W: Array
        self.b: Array
        self.u: Array

    def out_shape(self, in_shape: Shape) -> Shape:
        return self.layer.out_shape(in_shape)

    def params(self, in_shape: Shape) -> Specs:
        return self.layer.params(in_shape)

    def buffers(self, in_shape: Shape) -> Specs:
        return {"u": (self.layer.params(in_shape)["W"][0][-1:], unit_vector)}

    def least_batch(self, in_shape: Shape) -> int:
        return self.layer.least_batch(in_shape)

    def forward(self, x: Array, *, train: bool, rng: Any = None) -> tuple[Array, SpectralCache]:
        u, v, sigma = stretch(self.W, self.u)
        layer = copy(self.layer)
        layer.W, layer.bias = self.W, False
        y, cache = layer.forward(x, train=train, rng=rng)
        if self.layer.bias:
            divided_and_shifted(y, self.b, sigma, out=y)
        else:
            divided(y, sigma, out=y)
        return y, SpectralCache(layer, cache, u, v, sigma)

    def input_grad(self, dy: Array, cache: SpectralCache) -> Array:
        dx = cache.layer.input_grad(dy, cache.cache)
        return divided(dx, cache.sigma, out=dx)

    def tangent(self, dx: Array, cache: SpectralCache) -> Array:
        dy = cache.layer.tangent(dx, cache.cache)
        return divided(dy, cache.sigma, out=dy)

    def param_grads(self, dy: Array, cache: SpectralCache, grads: Grads) -> None:
        self.layer.param_grads(dy, cache.cache, grads)
        self.unstretch(cache, grads)

    def tangent_grads(self, dx: Array, dy: Array, cache: SpectralCache, grads: Grads) -> None:
        self.layer.tangent_grads(dx, dy, cache.cache, grads)
        self.unstretch(cache, grads)

    def unstretch(self, cache: SpectralCache, grads: Grads) -> None:
        """The gradient with respect to W̄ made that with respect to W, in place."""
        dW, W = rows(grads["W"]), rows(cache.layer.W)
        inner = backend.matmul(dW.reshape(1, -1), W.reshape(-1, 1))[0, 0] / cache.sigma  # ⟨dW̄, W̄⟩
        unstretched(dW, cache.v, cache.u, inner, cache.sigma, out=dW)

    def update_buffers(self, cache: SpectralCache) -> None:
        u, length = normalise(backend.matmul(rows(cache.layer.W).T, cache.v))
        self.u[...] = backend.array_module(u).where(length > SHORTEST, u[:, 0], cache.u)  # W = 0: stay

    def __repr__(self) -> str:
        return f"SpectralNorm({self.layer!r})"


def stretch(W: Array, u: Array) -> tuple[Array, Array, Array]:
    """(u/‖u‖, v, σ) as in SpectralNorm, of the weights W (…, K) and the buffer u (K,).

    A u of 0, the mean of opposite vectors, has no direction: then all its entries are taken to be alike.
    """
    xp = backend.array_module(W=W, u=u)
    unit, length = normalise(u)
    unit = xp.where(length > SHORTEST, unit, u.dtype.type(len(u) ** -0.5))
    v, sigma = normalise(backend.matmul(rows(W), unit[:, None]))
    return unit, v, sigma


@Elementwise
def divided(y: Array, sigma: float) -> Array:
    return y / sigma


@Elementwise
def divided_and_shifted(y: Array, b: Vector, sigma: float) -> Array:
    return y / sigma + b


@Elementwise
def unstretched(dW: Array, v: Column, u: Vector, inner: float, sigma: float) -> Array:
    return (dW - inner * v * u) / sigma


def normalise(x: Array) -> tuple[Array, Array]:
    """(x/‖x‖, ‖x‖) of a vector, with ‖x‖ at least 1e-12: W = 0 has a gradient too, a large one, and can leave 0."""
    xp = backend.array_module(x)
    length = xp.maximum(xp.sqrt((x * x).sum()), x.dtype.type(SHORTEST))
    return x / length, length


def unit_vector(rng: np.random.Generator, shape: Shape, **fans: int) -> np.ndarray:
    """A random direction."""
    x = rng.standard_normal(shape)
    return x / np.linalg.norm(x)
