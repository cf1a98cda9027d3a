"""BatchNorm: each feature is brought to mean 0 and variance 1 over the batch, then scaled and shifted as learned."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

from minigan.backend import Array, Elementwise, Sum, Vector
from minigan.backend.products import batch_sum
from minigan.errors import ArgumentError, ShapeError, number
from minigan.nn.init import Initialiser, ones, zeros
from minigan.nn.layer import Grads, Layer, Shape, Specs


class BatchNormCache(NamedTuple):
    """x_hat and inv_std are the factors of the gradient; the statistics wait for `update_buffers`."""

    x_hat: Array  # (N, …, C), the normalised input
    inv_std: Array  # (C,)
    batch: tuple[Array, Array] | None  # the batch's mean and variance for update_buffers; None at inference


class BatchNorm(Layer):
    """y = gamma·x_hat + beta with x_hat = (x - mean) / √(var + eps), per feature (the last axis).

    In training, mean and var (divided by n) are those of the batch, over every axis but the last, n values each. At
    inference they are the buffers, which `update_buffers` moves: running = decay·running + (1 - decay)·batch, with the
    unbiased variance (divided by n - 1).
    Shapes: x and y (N, …, C); gamma, beta and the running statistics (C,).
    Gradient: dbeta = Σ dy, dgamma = Σ dy·x_hat, and since mean and var move with x,
    dx = gamma/√(var + eps) · (dy - dbeta/n - x_hat·dgamma/n); at inference dx = gamma/√(var + eps) · dy.
    gamma starts from 1 (`init_gamma`), beta from 0.
    Raises ArgumentError unless 0 <= decay <= 1 and eps > 0; ShapeError in training with fewer than 2 values a feature.
    Source: Ioffe & Szegedy, "Batch normalization", 2015. `decay` is 1 - momentum in PyTorch and momentum in Keras.
    """

    def __init__(self, *, decay: float = 0.9, eps: float = 1e-5, init_gamma: Initialiser = ones):
        needs, self.init_gamma = "BatchNorm needs 0 <= decay <= 1 and a finite eps > 0", init_gamma
        self.decay, self.eps = (
            number(value, f"BatchNorm: {name} must be a finite number")
            for name, value in (("decay", decay), ("eps", eps))
        )
        if not 0 <= self.decay <= 1 or not self.eps > 0:
            raise ArgumentError(f"{needs}, got decay {decay} and eps {eps}")
        self.gamma: Array
        self.beta: Array
        self.running_mean: Array
        self.running_var: Array

    def out_shape(self, in_shape: Shape) -> Shape:
        if not in_shape:
            raise ShapeError("BatchNorm needs an input with a last axis of features, got single numbers")
        return in_shape

    def params(self, in_shape: Shape) -> Specs:
        init_gamma = partial(self.init_gamma, fan_in=1, fan_out=in_shape[-1])
        return {"gamma": (in_shape[-1:], init_gamma), "beta": (in_shape[-1:], zeros)}

    def buffers(self, in_shape: Shape) -> Specs:
        return {"running_mean": (in_shape[-1:], zeros), "running_var": (in_shape[-1:], ones)}

    def least_batch(self, in_shape: Shape) -> int:
        return 1 if math.prod(in_shape[:-1]) > 1 else 2  # the places of an image are values of a feature, too

    def forward(self, x: Array, *, train: bool, rng: Any = None) -> tuple[Array, BatchNormCache]:
        n = x.size // x.shape[-1]
        if train and n < 2:
            raise ShapeError(f"BatchNorm in training needs at least 2 values per feature, got input shape {x.shape}")
        mean = batch_sum(x) / n if train else self.running_mean
        var, inv_std = var_and_inv_std(squares(x, mean) if train else self.running_var, n if train else 1, self.eps)
        y, x_hat = normalised(x, mean, inv_std, self.gamma, self.beta)
        return y, BatchNormCache(x_hat, inv_std, (mean, var) if train else None)

    def update_buffers(self, cache: BatchNormCache) -> None:
        if cache.batch is None:
            raise ArgumentError("update_buffers needs the cache of a training pass (train=True)")
        mean, var = cache.batch
        n = cache.x_hat.size // cache.x_hat.shape[-1]
        running = self.running_mean, self.running_var
        folded_in(*running, mean, var, self.decay, 1 - self.decay, n / (n - 1), out=running)

    def input_grad(self, dy: Array, cache: BatchNormCache) -> Array:
        if cache.batch is None:
            return rescaled(dy, self.gamma * cache.inv_std)
        return self.spread(dy, cache, gradient_sums(dy, cache.x_hat))

    def param_grads(self, dy: Array, cache: BatchNormCache, grads: Grads) -> None:
        store(gradient_sums(dy, cache.x_hat), grads)

    def backward(
        self,
        dy: Array,
        cache: BatchNormCache,
        *,
        need_param_grads: bool = True,
        need_input_grad: bool = True,
        accumulate: bool = False,
        grads: Grads | None = None,
    ) -> Array | None:
        if cache.batch is None or not (need_param_grads and need_input_grad):
            wanted = {"need_param_grads": need_param_grads, "need_input_grad": need_input_grad}
            return super().backward(dy, cache, **wanted, accumulate=accumulate, grads=grads)
        totals = gradient_sums(dy, cache.x_hat)  # both answers are made of the same two sums, so they are taken once
        self.write_grads(partial(store, totals), accumulate=accumulate, grads=grads)
        return self.spread(dy, cache, totals)

    tangent = input_grad  # to normalise, mean and variance with it, has a symmetric J, and gamma is a factor

    def tangent_grads(self, dx: Array, dy: Array, cache: BatchNormCache, grads: Grads) -> Array | None:
        """⟨dy, J dx⟩ = Σ gamma·inv_std·A over the features, A = Σ dy·dx - n·(mean dy·mean dx + B·Q)

        with B = mean(dy·x_hat) and Q = mean(dx·x_hat); at inference A = Σ dy·dx. gamma is a factor, beta is not in it.
        In training inv_std changes with x by -inv_std²·x_hat/n, and x_hat as in `input_grad`.
        """
        grads["beta"][...] = 0
        gamma, n = self.gamma, dy.size // dy.shape[-1]
        A = batch_sum(dy * dx)
        if cache.batch is None:
            grads["gamma"][...] = A * cache.inv_std
            return None
        sums_dy, sums_dx = gradient_sums(dy, cache.x_hat), gradient_sums(dx, cache.x_hat)
        (B, mean_dy), (Q, mean_dx) = ((total / n for total in sums) for sums in (sums_dy, sums_dx))
        A -= n * (mean_dy * mean_dx + B * Q)
        grads["gamma"][...] = A * cache.inv_std
        mixed = dy * Q + dx * B  # -∂A/∂x_hat
        through_x_hat = self.spread(mixed, cache, gradient_sums(mixed, cache.x_hat))  # times gamma·inv_std
        return -cache.inv_std * (through_x_hat + cache.x_hat * (gamma * cache.inv_std * A / n))

    def spread(self, dy: Array, cache: BatchNormCache, totals: tuple[Array, Array]) -> Array:
        """dx in training: what reaches x directly, and by way of the batch's mean and variance."""
        shares = shares_and_scale(*totals, self.gamma, cache.inv_std, dy.size // dy.shape[-1])
        return spread_out(dy, cache.x_hat, *shares)


@Elementwise
def squares(x: Array, mean: Vector) -> Sum:
    difference = x - mean
    return difference * difference


@Elementwise
def var_and_inv_std(xp, total: Array, n: float, eps: float) -> tuple[Array, Array]:
    var = total / n
    return var, 1 / xp.sqrt(var + eps)


@Elementwise
def normalised(x: Array, mean: Vector, inv_std: Vector, gamma: Vector, beta: Vector) -> tuple[Array, Array]:
    x_hat = (x - mean) * inv_std
    return x_hat * gamma + beta, x_hat


@Elementwise
def folded_in(
    running_mean: Array, running_var: Array, mean: Array, var: Array, decay: float, rest: float, unbiased: float
) -> tuple[Array, Array]:
    return decay * running_mean + rest * mean, decay * running_var + rest * var * unbiased


@Elementwise
def gradient_sums(dy: Array, x_hat: Array) -> tuple[Sum, Sum]:
    return dy * x_hat, dy


@Elementwise
def shares_and_scale(dgamma: Array, dbeta: Array, gamma: Array, inv_std: Array, n: float) -> tuple[Array, Array, Array]:
    return dgamma / n, dbeta / n, gamma * inv_std


@Elementwise
def spread_out(dy: Array, x_hat: Array, dgamma: Vector, dbeta: Vector, scale: Vector) -> Array:
    return (dy - dbeta - x_hat * dgamma) * scale


@Elementwise
def rescaled(dy: Array, scale: Vector) -> Array:
    return dy * scale


def store(sums: tuple[Array, Array], grads: Grads) -> None:
    grads["gamma"][...], grads["beta"][...] = sums
