"""Optimisers: how gradients move weights. Each holds a network and works on its flat vectors: no loop over layers."""

from __future__ import annotations

import math
from copy import deepcopy

from minigan.backend import Array, Elementwise, array_module, device_of
from minigan.errors import ArgumentError, DeviceError, number
from minigan.nn.names import CheckedCall
from minigan.nn.network import Sequential


class Optimizer(CheckedCall):
    """Holds the network and its learning rate; a subclass keeps its own flat vectors beside the parameters."""

    def __init__(self, network: Sequential, *, lr: float):
        needs = f"{type(self).__name__} needs a finite learning rate above 0"
        self.network, self.lr = network, number(lr, needs)
        if not self.lr > 0:
            raise ArgumentError(f"{needs}, got {lr}")
        self.steps = 0
        self._device = device_of(network.params)

    def step(self) -> None:
        """Move the parameters by one step along `network.grads`; earlier caches become stale.

        A step that an error or Ctrl-C ends has moved what it has moved, and counts in `steps` and `version` like any
        other: nothing can take it back but a checkpoint, and Adam's corrections would be too large for one step less.
        Raises DeviceError if the network has moved to another device since this optimiser was made.
        """
        if device_of(self.network.params) != self._device:
            raise DeviceError("the network has moved to another device; make the optimiser after network.to(device)")
        self.steps += 1
        self.network.version += 1  # first, so that no way in which the update ends leaves a cache that passes for fresh
        self._update(self.network.params, self.network.grads)

    def state(self) -> dict[str, Array]:
        """The optimiser's own vectors by name, not copied; with `steps` they are all that a checkpoint has to hold."""
        raise NotImplementedError

    def __copy__(self) -> Optimizer:
        """One that has come as far with the same network, and goes on with vectors of its own."""
        return deepcopy(self, {id(self.network): self.network})

    def _update(self, theta: Array, g: Array) -> None:
        """Move the flat vector of parameters, in place, given their gradient."""
        raise NotImplementedError


class SGD(Optimizer):
    """v ← momentum·v + g;  θ ← θ - lr·v.

    Raises ArgumentError unless lr > 0 and 0 <= momentum < 1.
    Source: Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013, in
    PyTorch's form.
    """

    def __init__(self, network: Sequential, *, lr: float, momentum: float = 0.0):
        super().__init__(network, lr=lr)
        self.momentum = number(momentum, "SGD needs 0 <= momentum < 1")
        if not 0 <= self.momentum < 1:
            raise ArgumentError(f"SGD needs 0 <= momentum < 1, got {momentum}")
        self.v = array_module(network.params).zeros_like(network.params)

    def state(self) -> dict[str, Array]:
        return {"v": self.v}

    def _update(self, theta: Array, g: Array) -> None:
        momentum_step(theta, self.v, g, self.momentum, self.lr, out=(theta, self.v))


@Elementwise
def momentum_step(theta: Array, v: Array, g: Array, momentum: float, lr: float) -> tuple[Array, Array]:
    v *= momentum
    v += g
    theta -= lr * v
    return theta, v


class Adam(Optimizer):
    """m ← β₁m + (1-β₁)g;  v ← β₂v + (1-β₂)g²;  θ ← θ - lr·m̂ / (√v̂ + eps), with m̂ = m/(1-β₁ᵗ), v̂ = v/(1-β₂ᵗ).

    m and v start at 0, so early averages are too small; dividing by 1-βᵗ (t counts the steps from 1) mends that.
    Raises ArgumentError unless lr > 0, 0 <= β < 1 and eps > 0, all of them finite.
    Source: Kingma & Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1.
    """

    def __init__(self, network: Sequential, *, lr: float, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8):
        super().__init__(network, lr=lr)
        needs = "Adam needs 0 <= beta1, beta2 < 1 and a finite eps > 0"
        self.beta1, self.beta2 = (
            number(beta, f"Adam: {name} must be a finite number") for name, beta in (("beta1", beta1), ("beta2", beta2))
        )
        self.eps = number(eps, "Adam: eps must be a finite number")
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1 and self.eps > 0):
            raise ArgumentError(f"{needs}, got {beta1}, {beta2} and {eps}")
        self.m = array_module(network.params).zeros_like(network.params)
        self.v = array_module(network.params).zeros_like(network.params)

    def state(self) -> dict[str, Array]:
        return {"m": self.m, "v": self.v}

    def _update(self, theta: Array, g: Array) -> None:
        # lr·m̂/(√v̂ + eps), its corrections pulled out of the array arithmetic, as at the end of the paper's section 2
        correction = math.sqrt(1 - self.beta2**self.steps)
        rate = self.lr * correction / (1 - self.beta1**self.steps)
        betas = self.beta1, 1 - self.beta1, self.beta2, 1 - self.beta2
        adam_step(theta, self.m, self.v, g, *betas, rate, self.eps * correction, out=(theta, self.m, self.v))


@Elementwise
def adam_step(
    xp, theta: Array, m: Array, v: Array, g: Array,
    beta1: float, rest1: float, beta2: float, rest2: float, rate: float, eps: float,
) -> tuple[Array, Array, Array]:  # fmt: skip
    m *= beta1
    m += rest1 * g
    v *= beta2
    v += rest2 * (g * g)
    theta -= rate * (m / (xp.sqrt(v) + eps))
    return theta, m, v
