"""What a row of metrics is made of: what each step contributes, the running means, and the norms of gradients."""

from __future__ import annotations

from typing import Any

from minigan.backend import Array, to_numpy
from minigan.gan import DiscriminatorResult, GeneratorResult
from minigan.nn import Sequential


class Means:
    """Running means of named values that stay on the device until they are asked for; `state` is what `state()` gave.

    A sum that comes out of a file is a Python number, which takes on the dtype of the first array that it is added to:
    so it goes on to the bit as if it had never left.
    """

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        self.sums: dict[str, Array | float] = dict(state["sums"]) if state else {}
        self.counts: dict[str, int] = dict(state["counts"]) if state else {}

    def state(self) -> dict[str, Any]:
        """Sums and counts as JSON."""
        return {"sums": {name: number(value) for name, value in self.sums.items()}, "counts": self.counts}

    def add(self, values: dict[str, Array]) -> None:
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def result(self) -> dict[str, float | None]:
        """The means; None where nothing was added (G's loss while D warms up)."""
        names = ("d_loss", "d_loss_real", "d_loss_fake", "g_loss", "d_real", "d_fake", "acc_real", "acc_fake")
        return {n: number(self.sums[n]) / self.counts[n] if n in self.sums else None for n in names}


def number(value: Array | float) -> float:
    """A 0-d array of either device, or a number, as a Python number."""
    return float(value if isinstance(value, float) else to_numpy(value))


def measure(d: DiscriminatorResult, g: GeneratorResult | None) -> dict[str, Array]:
    """What one step contributes to a row of metrics."""
    values = {
        "d_loss": d.loss,
        "d_loss_real": d.loss_real,
        "d_loss_fake": d.loss_fake,
        "d_real": d.prob_real.mean(),
        "d_fake": d.prob_fake.mean(),
        "acc_real": (d.prob_real >= 0.5).mean(),
        "acc_fake": (d.prob_fake < 0.5).mean(),
    }
    return values if g is None else {**values, "g_loss": g.loss}


def gradient_norms(prefix: str, network: Sequential) -> dict[str, float]:
    """{"G.0.Dense": √Σ g² over the layer's parameters, …} of the gradients that the last backward pass wrote."""
    squares: dict[str, float] = {}
    for name, grad in network.named_grads().items():
        layer = f"{prefix}.{name.rsplit('.', 1)[0]}"
        squares[layer] = squares.get(layer, 0.0) + float(to_numpy((grad * grad).sum()))
    return {layer: square**0.5 for layer, square in squares.items()}
