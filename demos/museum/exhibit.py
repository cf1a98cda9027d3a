"""What an exhibit is, and the gradient check of the textbooks, which most of the usual checks are a weak form of."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.gradcheck import Report
from minigan.gradcheck.targets import unbound
from minigan.gradcheck.trial import SameDraws
from minigan.nn import Layer, Sequential


@dataclass(frozen=True)
class Exhibit:
    """A wrong piece beside the right one, with the check that lets it pass and the one that does not.

    `usual` and `check` take either piece: `usual` returns one line of what it found, or raises AssertionError.
    """

    title: str
    story: str
    where: str  # it happened: repository#number, or a file
    name: str  # of the piece in the library, and in training
    right: Any
    wrong: Any
    usual: Callable[[Any], str]
    check: Callable[[Any], Report]
    cause: str  # a regular expression: the report names the cause if its diagnosis holds this

    @property
    def slug(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")

    @property
    def code(self) -> str:
        """The wrong piece as it stands in its file."""
        return textwrap.dedent(inspect.getsource(self.wrong)).rstrip()

    @property
    def pieces(self) -> dict[str, Any]:
        """What to plug into training: `plugged_in(**exhibit.pieces)`."""
        return {self.name: self.wrong}

    def report(self) -> Report:
        """What minigan's checker says of the wrong piece."""
        return self.check(self.wrong)

    def named(self, report: Report) -> bool:
        """Whether the report names the cause."""
        return re.search(self.cause, "\n".join(report.remarks())) is not None


def textbook(
    layers: Layer | Sequence[Layer],
    in_shape: tuple[int, ...],
    *,
    batch: int = 5,
    dy: Any = None,
    train: bool = True,
    only: str = "",
    dtype: Any = np.float64,
    h: float = 1e-5,
) -> tuple[float, float]:
    """Central differences of Σ y·dy beside backward, over the input and the parameters (those whose name has `only`).

    Returns the largest difference, and the relative one, ‖a - n‖ / (‖a‖ + ‖n‖).
    """
    rng = np.random.default_rng(0)
    layers = [unbound(layer) for layer in ([layers] if isinstance(layers, Layer) else layers)]
    net = Sequential(layers, in_shape, rng=rng, dtype=dtype)
    x = rng.standard_normal((batch, *in_shape)).astype(dtype)

    def forward() -> Any:
        return net.forward(x, train=train, rng=SameDraws())

    y, cache = forward()
    dy = (rng.standard_normal(y.shape) if dy is None else np.full(y.shape, dy)).astype(dtype)
    grads = {"x": net.backward(dy, cache), **net.named_grads()}
    analytic, numeric = [], []
    for name, array in {"x": x, **net.named_params()}.items():
        for i in np.ndindex(array.shape) if only in name else ():
            kept, f = array[i], []
            for t in (h, -h):
                array[i] = kept + dtype(t)
                f.append(float((forward()[0] * dy).sum(dtype=dtype)))
            array[i] = kept
            analytic.append(grads[name][i])
            numeric.append((f[0] - f[1]) / (2 * h))
    a, n = np.array(analytic, float), np.array(numeric)
    return float(abs(a - n).max()), float(np.linalg.norm(a - n) / max(np.linalg.norm(a) + np.linalg.norm(n), 1e-30))
