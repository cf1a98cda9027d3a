"""Is a hand-written gradient right? Compare it with finite differences, which need no calculus.

For a scalar function f, the derivative along any direction v is (f(θ + h·v) - f(θ - h·v)) / 2h up to O(h²). A layer has
an array for output, so the checks below use f = Σ y·dy with a random upstream dy (ones would hide errors: the true
gradient of BatchNorm against ones is zero). Everything is float64; float32 differences are noise.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigan.backend import RandomStream
from minigan.errors import ArgumentError, DTypeError
from minigan.gan import GANLoss, discriminator_step, generator_step
from minigan.nn import Layer, Sequential
from minigan.optim import Optimizer

TOLERANCE = 1e-6
STEP = 1e-5  # h: truncation O(h²) and rounding O(1e-16/h) are about equal, near 1e-11
SCALE_FLOOR = 1e-4
KINK_MARGIN = 1e-3  # a hundred steps


@dataclass
class Row:
    """One array's verdict. For `how` "directions" the index counts the direction."""

    name: str
    shape: tuple[int, ...]
    how: str
    error: float
    index: tuple[int, ...]
    analytic: float
    numeric: float


@dataclass
class Report:
    """The outcome of a check: printable, true if every error is at most `tolerance`."""

    title: str
    rows: list[Row] = field(default_factory=list)
    tolerance: float = TOLERANCE

    @property
    def error(self) -> float:
        """The largest error of any array."""
        return max(row.error for row in self.rows)

    def __bool__(self) -> bool:
        return all(row.error <= self.tolerance for row in self.rows)  # NaN is not at most anything

    def __str__(self) -> str:
        name, shape = (max(6, *(len(str(value)) for value in column)) for column in zip(*self._labels(), strict=True))
        lines = [
            f"{self.title}: {'passed' if self else 'FAILED'}, largest error {self.error:.1e}",
            f"      {'array':<{name}} {'shape':<{shape}} {'how':<10} {'error':<8} {'at':<10} analytic      numeric",
        ]
        for row in self.rows:
            verdict = "ok   " if row.error <= self.tolerance else "WRONG"
            lines.append(
                f"{verdict} {row.name:<{name}} {row.shape!s:<{shape}} {row.how:<10} {row.error:<8.1e} "
                f"{list(row.index)!s:<10} {row.analytic:<+13.8g} {row.numeric:+.8g}"
            )
        return "\n".join(lines)

    def _labels(self) -> list[tuple[str, tuple[int, ...]]]:
        return [(row.name, row.shape) for row in self.rows]


def check(
    f: Callable[[], float],
    arrays: dict[str, np.ndarray],
    grads: dict[str, np.ndarray],
    *,
    title: str = "gradient",
    h: float = STEP,
    elementwise: int = 2000,
    directions: int = 3,
    tolerance: float = TOLERANCE,
    seed: int = 0,
) -> Report:
    """Compare `grads` with the numeric gradient of the scalar `f()` with respect to each of `arrays`.

    `f` must read `arrays` anew on each call: they are changed in place while it is called, and restored. Arrays of at
    most `elementwise` entries are compared entry by entry; every array also along `directions` random unit directions.

    An array's error is max|analytic - numeric| / scale with scale = max(|analytic|∞, |numeric|∞), floored at 1e-4 of
    the largest gradient in the check (the true gradient of a bias before BatchNorm is zero).
    Raises DTypeError for arrays that are not float64, ArgumentError if names or shapes do not match.
    """
    if not arrays or arrays.keys() != grads.keys():
        raise ArgumentError(f"nothing to check, or different names: {sorted(arrays)} and {sorted(grads)}")
    for name, array in arrays.items():
        if array.dtype != np.float64 or grads[name].dtype != np.float64:
            raise DTypeError(f"{name}: gradients are checked in float64, got {array.dtype} and {grads[name].dtype}")
        if array.shape != grads[name].shape:
            raise ArgumentError(f"{name}: the array has shape {array.shape} and its gradient {grads[name].shape}")

    rng = np.random.default_rng(seed)
    found: list[tuple[str, str, np.ndarray, np.ndarray]] = []
    for name, array in arrays.items():
        if array.size <= elementwise:
            numeric = np.empty(array.shape)
            for index in np.ndindex(array.shape):
                numeric[index] = _slope(f, array, index, 1.0, h)
            found.append((name, "elements", grads[name], numeric))
        vs = [rng.standard_normal(array.shape) for _ in range(directions)]
        vs = [v / np.linalg.norm(v) for v in vs]
        along = np.array([_slope(f, array, ..., v, h) for v in vs])
        found.append((name, "directions", np.array([np.sum(grads[name] * v) for v in vs]), along))

    largest = max(np.abs(a).max(initial=0.0) for _, _, a, _ in found)
    report = Report(title, tolerance=tolerance)
    for name, how, analytic, numeric in found:
        difference = np.abs(analytic - numeric)
        scale = max(np.abs(analytic).max(), np.abs(numeric).max(), SCALE_FLOOR * largest, np.finfo(float).tiny)
        worst = np.unravel_index(np.argmax(np.where(np.isnan(difference), np.inf, difference)), difference.shape)
        index = tuple(int(i) for i in worst)
        values = float(difference[index] / scale), index, float(analytic[index]), float(numeric[index])
        report.rows.append(Row(name, arrays[name].shape, how, *values))
    return report


def _slope(f: Callable[[], float], array: np.ndarray, where: Any, v: Any, h: float) -> float:
    """(f(array + h·v) - f(array - h·v)) / 2h at `where`, leaving the array as it was, to the bit."""
    kept = array.copy()
    array[where] = kept[where] + h * v
    above = float(f())
    array[where] = kept[where] - h * v
    below = float(f())
    array[...] = kept
    return (above - below) / (2 * h)


def check_layer(layer: Layer, in_shape: tuple[int, ...], *, train: bool = True, **options: Any) -> Report:
    """Check one layer's gradient with respect to its input and every parameter. `options` as `check_network`'s."""
    layer = copy.copy(layer)
    layer.grads = {}  # the copy belongs to no network, wherever the original is in use
    net = Sequential([layer], in_shape, rng=np.random.default_rng(0), dtype=np.float64)
    return check_network(net, train=train, title=f"{layer!r} on {in_shape}, train={train}", **options)


def check_network(
    net: Sequential, *, train: bool = True, batch: int = 5, seed: int = 0, title: str = "", **options: Any
) -> Report:
    """Check a float64 network's gradient with respect to its input and every parameter.

    Input, parameters, buffers and upstream are random (the parameters and buffers are restored afterwards); points
    nearer than 1e-3 to a kink of an activation are drawn again. Random layers see the same draws on every call.
    """
    kept = net.params.copy(), net.buffers.copy()
    try:
        for attempt in range(100):
            rng = np.random.default_rng([seed, attempt])
            x = rng.standard_normal((batch, *net.in_shape))
            net.params[...] = rng.uniform(0.2, 1.0, net.params.shape) * rng.choice([-1, 1], net.params.shape)
            net.buffers[...] = rng.uniform(0.5, 2.0, net.buffers.shape)  # a running variance is positive
            if distance_to_kinks(net, x, train=train) > KINK_MARGIN:
                break
        else:
            raise ArgumentError(
                "found no random point away from the activations' kinks; use a smaller network or batch"
            )
        dy = rng.standard_normal((batch, *net.out_shape))

        def f() -> float:
            return float(np.sum(net.forward(x, train=train, rng=_dropout(), keep=False)[0] * dy))

        _, cache = net.forward(x, train=train, rng=_dropout())
        dx = net.backward(dy, cache)
        assert dx is not None  # it was asked for
        arrays = {"x": x, **net.named_params()}
        grads = {"x": dx, **{name: grad.copy() for name, grad in net.named_grads().items()}}
        return check(f, arrays, grads, title=title or repr(net), seed=seed, **options)
    finally:
        net.params[...], net.buffers[...] = kept


def check_loss(loss: Callable[[np.ndarray], tuple[Any, np.ndarray]], x: np.ndarray, **options: Any) -> Report:
    """Check a loss `x -> (value, gradient)` at x."""
    x = x.copy()
    return check(lambda: float(loss(x)[0]), {"x": x}, {"x": loss(x)[1]}, **options)


def check_discriminator_step(
    G: Sequential, D: Sequential, loss: GANLoss, x_real: np.ndarray, z: np.ndarray, **options: Any
) -> Report:
    """Check what `gan.discriminator_step` writes: D's loss with respect to every parameter of D, G held fixed."""

    def f() -> float:
        return float(discriminator_step(G, D, Still(D), loss, x_real, z, rng=_dropout()).loss)

    return _check_step("discriminator_step", f, D, **options)


def check_generator_step(G: Sequential, D: Sequential, loss: GANLoss, z: np.ndarray, **options: Any) -> Report:
    """Check what `gan.generator_step` writes: G's loss, through D, with respect to every parameter of G."""

    def f() -> float:
        return float(generator_step(G, D, Still(G), loss, z, rng=_dropout()).loss)

    return _check_step("generator_step", f, G, **options)


def _check_step(title: str, f: Callable[[], float], network: Sequential, **options: Any) -> Report:
    """Check what the step f leaves in the network's gradients; the running statistics that it moves are put back."""
    buffers = network.buffers.copy()
    f()
    grads = {name: grad.copy() for name, grad in network.named_grads().items()}
    report = check(f, network.named_params(), grads, title=title, **options)
    network.buffers[...] = buffers
    return report


class Still(Optimizer):
    """An optimiser that leaves the weights where they are, so that a step only writes its gradients."""

    def __init__(self, network: Sequential):
        super().__init__(network, lr=1.0)

    def _update(self, theta: np.ndarray, g: np.ndarray) -> None:
        pass


def distance_to_kinks(net: Sequential, x: np.ndarray, *, train: bool) -> float:
    """How near any layer's input comes to a point where that layer has no derivative."""
    nearest, rng = np.inf, _dropout()
    for layer in net.layers:
        for kink in layer.kinks:
            away = np.abs(x - kink)
            # What lies exactly on a kink was put there by the layer below (Dropout, ReLU), and a small step leaves it.
            nearest = min(nearest, float(away[away > 0].min(initial=np.inf)))
        x, _ = layer.forward(x, train=train, rng=rng)
    return nearest


def _dropout() -> RandomStream:
    """The same dropout draws on every call: a random function has no derivative."""
    return RandomStream(0, "dropout")
