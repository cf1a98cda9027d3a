"""What a row of metrics is made of: what each step contributes, the running means, and the norms of gradients."""

from __future__ import annotations

from typing import Any

from minigan.backend import Array, array_module, to_numpy
from minigan.gan import DiscriminatorResult, GeneratorResult
from minigan.nn import Sequential


class Means:
    """Running means of named values that stay on the device until they are asked for; `state` is what `state()` gave.

    The sums are float64, in which a long epoch's steps add up without a loss (0.1 added a million times in float32 is
    100,958). A sum that comes out of a file is a Python number, which has the same 64 bits: so it goes on to the bit as
    if it had never left.
    """

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        self.sums: dict[str, Array | float] = dict(state["sums"]) if state else {}
        self.counts: dict[str, int] = dict(state["counts"]) if state else {}

    def state(self) -> dict[str, Any]:
        """Sums and counts as JSON."""
        return {"sums": {name: as_float(value) for name, value in self.sums.items()}, "counts": self.counts}

    def add(self, values: dict[str, Array]) -> None:
        for name, value in values.items():
            total = self.sums.get(name, 0.0)
            if isinstance(total, float):  # a number would take the value's type, an array of float64 keeps its own
                value = value.astype("float64", copy=False)
            self.sums[name] = total + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def result(self) -> dict[str, float | None]:
        """The means; None where nothing was added (G's loss while D warms up)."""
        names = ("d_loss", "d_loss_real", "d_loss_fake", "g_loss", "d_real", "d_fake", "acc_real", "acc_fake")
        return {n: as_float(self.sums[n]) / self.counts[n] if n in self.sums else None for n in names}


def as_float(value: Array | float) -> float:
    """A 0-d array of either device, or a number, as a Python number."""
    return float(value if isinstance(value, float) else to_numpy(value))


def step_metrics(d: DiscriminatorResult, g: GeneratorResult | None) -> dict[str, Array]:
    """What one step contributes to a row of metrics: values on the device, which `Means` adds up in float64."""
    values = {
        "d_loss": d.loss,
        "d_loss_real": d.loss_real,
        "d_loss_fake": d.loss_fake,
        "d_real": d.prob_real.mean(),
        "d_fake": d.prob_fake.mean(),
        "acc_real": (d.prob_real >= 0.5).mean(),
        "acc_fake": (d.prob_fake < 0.5).mean(),
    }
    values |= {} if g is None else {"g_loss": g.loss}
    return values


def gradient_norms(prefix: str, network: Sequential) -> dict[str, float]:
    """{"G.0.Dense": √Σ g² over the layer's parameters, …} of the gradients that the last backward pass wrote.

    In float64, where the squares of neither 1e30 nor 1e-30 are lost.
    """
    squares: dict[str, float] = {}
    for name, grad in network.named_grads().items():
        layer = f"{prefix}.{name.rsplit('.', 1)[0]}"
        squares[layer] = squares.get(layer, 0.0) + float(
            to_numpy(array_module(grad).multiply(grad, grad, dtype="float64").sum())
        )
    return {layer: square**0.5 for layer, square in squares.items()}
