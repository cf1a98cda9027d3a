"""Other batches than the one of the check: of one example, of twice as many, and with other neighbours."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigan.backend import to_numpy
from minigan.gradcheck.numeric import slope
from minigan.gradcheck.purity import largest_of, same
from minigan.gradcheck.trial import Trial

SLICED = 1e-6  # of the largest output: what the products of a single row may differ by from those of many
OFF = 1e-5  # of a slope along a direction: what a gradient is wrong by, if it is
FLOOR = 0.01  # of the largest gradient at the point of the check: the least size that a slope is judged by
DRAWS = 4  # of a point, as long as kinks or rounding hide whether the gradient is right there


def other_batches(trial: Trial) -> list[str]:
    """The gradients are right for one example, and for twice as many, too."""
    n, size = len(trial.x), largest_of(*trial.both().gradients.values())
    return [problem for other in (1, 2 * n) if other != n and (problem := at_batch(trial, other, size))]


def at_batch(trial: Trial, n: int, size: float) -> str:
    """What is wrong on a batch of n, where gradients are usually of that size.

    In training one example alone may be refused, as BatchNorm does.
    """
    excused, wrong = n == 1 and trial.train, 0
    for draw in range(DRAWS):
        x = trial.normal((n, *trial.net.in_shape), 10 + draw)
        try:
            y, cache = trial.forward(x)
        except Exception as error:
            return "" if excused else f"forward fails on a batch of {n} ({type(error).__name__}: {error})"
        if y.shape != (n, *trial.net.out_shape):
            return f"on a batch of {n} y has shape {y.shape} where out_shape says {(n, *trial.net.out_shape)}"
        dy = trial.normal(y.shape, 20 + draw)
        try:
            dx = trial.backward(cache, dy)
        except Exception as error:
            return f"backward fails on a batch of {n} ({type(error).__name__}: {error})"
        if dx is None or dx.shape != x.shape:
            return f"on a batch of {n} dx has shape {getattr(dx, 'shape', 'no')} where x has {x.shape}"
        point = Point(trial, x, dy, np.concatenate([dx.ravel(), trial.net.grads]), FLOOR * size)
        if not np.isfinite(y).all() or (excused and not np.isfinite(point.grad).all()):
            return ""
        names = point.wrong()
        if names == []:
            return ""
        wrong += names is not None
        if names and wrong == 2:  # once may be a kink
            return (
                f"on a batch of {n} the gradient of {', '.join(names)} is wrong, though it is right on one of "
                f"{len(trial.x)}"
            )
    return ""


class Point(NamedTuple):
    """An input and the parameters as one vector, with an upstream and the gradient that backward gave."""

    trial: Trial
    x: np.ndarray
    dy: np.ndarray
    grad: np.ndarray
    floor: float  # a slope that is small beside usual ones, and may be rounding

    def wrong(self) -> list[str] | None:
        """The arrays along whose random directions the gradient is wrong; None if it could not be told."""
        net, rng = self.trial.net, np.random.default_rng([self.trial.seed, len(self.x)])
        theta = np.concatenate([self.x.ravel(), net.params])
        kept = net.params.copy()

        def f() -> np.ndarray:
            net.params[...] = theta[self.x.size :]
            return np.ravel(self.trial.forward(theta[: self.x.size].reshape(self.x.shape))[0] * self.dy)

        def off(direction: np.ndarray) -> bool | None:
            v = direction / np.linalg.norm(direction)
            analytic, found = float(self.grad @ v), slope(f, f(), theta, ..., v)
            room = OFF * max(abs(analytic), abs(found.value), self.floor) + found.bar
            if found.bend > found.noise + room or not np.isfinite(found.bar):
                return None
            return not abs(analytic - found.value) <= room

        try:
            whole = rng.standard_normal(theta.size)
            if not (verdict := off(whole)):
                return None if verdict is None else []
            spans = {"x": self.x.size, **{self.trial.short(n): p.size for n, p in net.named_params().items()}}
            ends = np.cumsum(list(spans.values()))
            within = np.searchsorted(ends, np.arange(theta.size), side="right")
            alone = {name: off(np.where(within == k, whole, 0.0)) for k, name in enumerate(spans)}
            return [name for name, verdict in alone.items() if verdict] or list(spans)
        finally:
            net.params[...] = kept


def neighbours(trial: Trial) -> list[str]:
    """At inference an example's output is the same whatever else is in the batch, and if it is alone."""
    if trial.train or trial.across_batch:
        return []
    y = to_numpy(trial.forward()[0]).copy()
    remedy = (
        "; what was learned of batches belongs in buffers. A layer that means it says across_batch = True in its class"
    )
    changes = {"on its neighbours in the batch": (coupling(trial), 0.0)}
    if same(y, trial.forward(draws=2)[0]):  # else the draws for one example are not those for it among others
        try:
            alone = trial.forward(trial.x[:1])[0]
        except Exception as error:
            return [f"forward fails at inference on a single example ({type(error).__name__}: {error})"]
        changes["on the size of the batch"] = (apart(alone[0], y[0]), SLICED * largest_of(y))
    for what, (change, room) in changes.items():
        if change > room + 1e-9 * largest_of(y):
            return [f"at inference the output of an example depends {what} (by up to {change:.2g}){remedy}"]
    return []


def coupling(trial: Trial) -> float:
    """How far the first example's output moves if all others are replaced, or the others' if the first is."""
    y, moved = trial.forward()[0], trial.normal(trial.x.shape, 5)
    far = 0.0
    for others in (slice(1, None), slice(0, 1)):
        x = trial.x.copy()
        x[others] = moved[others]
        kept = slice(0, 1) if others.stop is None else slice(1, None)
        far = max(far, apart(trial.forward(x)[0][kept], y[kept]))
    return far


def apart(a: Any, b: Any) -> float:
    """The largest difference; where either has no number there is none."""
    return largest_of(np.asarray(a - b)) if np.shape(a) == np.shape(b) else np.inf
