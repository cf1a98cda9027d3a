"""What a traced step was: its passes, layer by layer, as plain NumPy arrays.

Letters as in the layers: x input, y output, dy and dx the gradients with respect to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigan.gan.loss import GANLoss
from minigan.nn.layer import Layer

Arrays = dict[str, np.ndarray]


@dataclass
class LayerTrace:
    """One layer in one pass: all that went in and came out. What never was is None, or not in the dict."""

    index: int
    name: str  # 0.Dense
    layer: Layer  # the copy that the step was made with; its weights have moved since: see `values`
    x: np.ndarray
    y: np.ndarray
    kept: Arrays  # the arrays of its cache, by name, but x itself
    values: Arrays  # its parameters, as the pass found them
    buffers: Arrays  # … and its running statistics
    rng: Any  # the random stream as the pass found it, or None
    forward_ms: float
    dy: np.ndarray | None = None
    dx: np.ndarray | None = None
    grads: Arrays = field(default_factory=dict)  # what this pass wrote, or added, for each parameter
    backward_ms: float = 0.0
    train: bool = True


@dataclass
class PassTrace:
    """One way forward through a network, and one way back, if anybody went it."""

    network: str  # G or D
    layers: list[LayerTrace]
    begins: str | None = None  # the way back: from the "loss", from "ones" (a penalty's), or None
    player: str = ""  # in whose step
    turn: int = 0  # which of all ways back it was

    @property
    def out(self) -> np.ndarray:
        """The network's output."""
        return self.layers[-1].y


@dataclass
class LossPart:
    """The loss of some outputs of D, and its gradient with respect to them: of those in `rows` of a pass's output."""

    name: str  # real or fake
    place: int  # of the pass, in the step
    rows: tuple[int, int]
    value: float
    label: float | None
    share: float  # every factor of d_out beside 1/N and the loss's own formula


@dataclass
class LossTrace:
    """What was compared: the parts, and how the loss changes with every output of a pass, {the pass's place: d_out}."""

    loss: GANLoss
    parts: list[LossPart]
    d_out: dict[int, np.ndarray]
    value: float | None
    penalty: float | None = None


@dataclass
class StepTrace:
    """One player's step: its passes in the order in which they were made, and what it did to the weights.

    `totals` are the gradients that the optimiser found, `updates` what it added to the parameters, by names such as
    "0.Dense.W".
    """

    player: str
    passes: list[PassTrace]
    loss: LossTrace
    totals: Arrays = field(default_factory=dict)
    updates: Arrays = field(default_factory=dict)

    @property
    def last(self) -> int | None:
        """The place of the player's last pass that was gone back through; None if there was none."""
        return max((i for i, p in enumerate(self.passes) if p.network == self.player and p.begins), default=None)

    def arrays(self) -> Iterator[tuple[int | None, int | None, str, np.ndarray]]:
        """(pass, layer, what, array) in the order in which they were computed."""
        for i, made in enumerate(self.passes):
            for traced in made.layers:
                yield i, traced.index, "x", traced.x
                yield i, traced.index, "y", traced.y
        for i, made in enumerate(self.passes):
            for traced in reversed(made.layers):
                found = {"dy": traced.dy, **traced.grads, "dx": traced.dx}
                yield from ((i, traced.index, what, a) for what, a in found.items() if a is not None)
        for name, update in self.updates.items():
            index, _, param = name.split(".", 2)
            yield self.last, int(index), param, update
