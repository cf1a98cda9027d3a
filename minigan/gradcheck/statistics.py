"""`update_buffers`: what a training pass leaves for inference."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from minigan.gradcheck.batches import coupling
from minigan.gradcheck.purity import attempt, largest_of, same
from minigan.gradcheck.trial import Trial, rebound, unbound
from minigan.nn import Sequential

STRAIGHT = 1e-9  # of the largest number: how exactly two steps must be in one proportion
SHARES = np.geomspace(1e-3, 1, 31)  # of the batch's statistic, what an update may take: 1 - decay, nearly
FLIPPED = 4  # times nearer to training must inference be with the other sign


def statistics(trial: Trial) -> list[str]:
    """What is wrong with `update_buffers` after training passes, as far as it can be told for certain.

    A layer may keep anything in its buffers: counts, maxima, a vector of its own. An average is known by its steps:
    with one and the same pass, each is r times the one before, with r = decay.
    """
    if not trial.train or not trial.net.buffers.size:
        return []
    if len(trial.net.layers) > 1:
        return [problem for i in range(len(trial.net.layers)) for problem in of_layer(trial, i)]
    trial = trial.like(np.float64)
    net = trial.net
    x = trial.normal((4 * len(trial.x), *net.in_shape), 6)
    try:
        (y, cache), (_, other) = trial.forward(x), trial.forward(trial.normal(x.shape, 7))
    except Exception:  # of which `other_batches` tells
        return []
    net.grads[...] = trial.normal(net.grads.shape, 2)
    kept = {"the parameters": net.params.copy(), "the gradients": net.grads.copy(), "x": x.copy(), "y": np.copy(y)}
    born = net.buffers.copy()
    try:
        net.update_buffers(cache)
    except Exception as error:
        return [f"update_buffers fails after a training pass ({type(error).__name__}: {error})"]
    now = {"the parameters": net.params, "the gradients": net.grads, "x": x, "y": np.asarray(y)}
    if moved := [name for name in kept if not same(now[name], kept[name])]:
        return [f"update_buffers changes {', '.join(moved)}; it may write buffers only"]
    if problems := rebound(trial):
        return problems
    names = [name.rsplit(".")[-1] for name in net.named_buffers()]
    paths = dict(zip(names, follow(trial, cache, born), strict=True))
    others = dict(zip(names, after(trial, other, born), strict=True))
    net.buffers[...] = born
    again = trial.forward(x)[1]  # the last pass was another one until now
    if any(not same(path[1], held) for path, held in zip(paths.values(), after(trial, again, born), strict=True)):
        return [
            "update_buffers writes what the last forward pass left in the layer, not what is in the cache that it is "
            "given; keep nothing of a pass in the object"
        ]
    averages = {
        name: average for name, path in paths.items() if (average := averaged(path)) and not same(path[1], others[name])
    }
    if wild := {name: average for name, average in averages.items() if not -STRAIGHT < average.ratio < 1}:
        return [runaway(name, average.ratio) for name, average in wild.items()]
    found = Point(trial, x, np.asarray(y))
    net.buffers[...] = born
    if trial.across_batch or not coupling(trial) > 1e-6 * largest_of(found.y):
        return []  # training reads no statistic of the batch: there is nothing to hold inference against
    return flipped(found, paths, averages) or hoarded(found, paths) or unwritten(found, paths)


def of_layer(trial: Trial, i: int) -> list[str]:
    """The same of one layer of a network, alone."""
    net, layer = trial.net, trial.net.layers[i]
    in_shape = (net.in_shape, *net.out_shapes)[i]
    if not layer.buffers(in_shape):
        return []
    alone = Sequential([unbound(layer)], in_shape, rng=np.random.default_rng(0), dtype=np.float64)
    for name, view in alone.state().items():
        view[...] = getattr(layer, name.rsplit(".")[-1])
    x = np.random.default_rng(trial.seed).standard_normal((len(trial.x), *in_shape))
    found = statistics(Trial(alone, x, train=True, seed=trial.seed))
    return [f"{i}.{type(layer).__name__}: {problem}" for problem in found]


class MovingAverage(NamedTuple):
    """A buffer whose steps, with one pass, are each `ratio` times the one before, and that so comes to `limit`."""

    ratio: float
    limit: np.ndarray


class Point(NamedTuple):
    """A training pass: its input and its output."""

    trial: Trial
    x: np.ndarray
    y: np.ndarray

    def at(self, buffers: dict[str, np.ndarray], *, train: bool) -> np.ndarray:
        """The output with these numbers in the buffers."""
        for name, view in self.trial.net.named_buffers().items():
            view[...] = buffers[name.rsplit(".")[-1]]
        return np.copy(self.trial.forward(self.x, train=train)[0])

    def off(self, buffers: dict[str, np.ndarray]) -> float:
        """How far inference is from training, as a share of the spread of what training gives."""
        y = attempt(partial(self.at, buffers, train=False))
        if y is None:  # the layer does not allow such numbers
            return np.inf
        apart = y - self.y
        size = float(np.sqrt(np.mean(apart * apart)) / (np.std(self.y) or 1.0))
        return size if np.isfinite(size) else np.inf


def follow(trial: Trial, cache: Any, start: np.ndarray) -> list[list[np.ndarray]]:
    """For each buffer what it holds from the start on, over three updates with the same pass."""
    trial.net.buffers[...] = start
    held = [[view.copy()] for view in trial.net.named_buffers().values()]
    for _ in range(3):
        trial.net.update_buffers(cache)
        for path, view in zip(held, trial.net.named_buffers().values(), strict=True):
            path.append(view.copy())
    return held


def after(trial: Trial, cache: Any, start: np.ndarray) -> list[np.ndarray]:
    """What each buffer holds after one update."""
    return [path[1] for path in follow(trial, cache, start)]


def averaged(path: list[np.ndarray]) -> MovingAverage | None:
    """The average that these steps are of, if they are in one proportion."""
    first, second, third = (b - a for a, b in pairwise(path))
    if not first.any() or not all(np.isfinite(values).all() for values in path):
        return None
    ratio = float((first * second).sum() / (first * first).sum())
    room = STRAIGHT * largest_of(*path)
    if largest_of(second - ratio * first) > room or largest_of(third - ratio * second) > room or abs(ratio - 1) < 1e-9:
        return None
    return MovingAverage(ratio, path[0] + first / (1 - ratio))


def runaway(name: str, ratio: float) -> str:
    right = f"it should be self.{name}[...] = decay·self.{name} + (1 - decay)·batch"
    if ratio < 0:
        return f"update_buffers turns the sign of what {name} held ({ratio:.4g} of it is left each time); {right}"
    return (
        f"update_buffers moves {name} away from the batch's statistic, with the same pass {ratio:.4g} times as far "
        f"each time; {right}"
    )


def flipped(point: Point, paths: dict[str, list[np.ndarray]], averages: dict[str, MovingAverage]) -> list[str]:
    """Whether an average comes to the negative of what training goes by."""
    limits = {name: averages[name].limit if name in averages else path[-1] for name, path in paths.items()}
    off = point.off(limits)
    for name in averages:
        turned = point.off({**limits, name: -limits[name]})
        if turned < 1 / FLIPPED and off > FLIPPED * turned:
            return [
                f"update_buffers gives {name} the wrong sign: at inference the layer comes near to what it does in "
                f"training with -{name}, and not with {name}"
            ]
    return []


def hoarded(point: Point, paths: dict[str, list[np.ndarray]]) -> list[str]:
    """Whether the batch's statistic, or a share of it, is added to a buffer that forgets nothing and so grows."""
    held = {name: path[-1] for name, path in paths.items()}
    for name, path in paths.items():
        step, *more = (b - a for a, b in pairwise(path))
        largest = largest_of(step)
        if not largest_of(np.abs(step) - largest) > 1e-6 * largest:  # a count, or steps of one size
            continue
        if largest_of(*(other - step for other in more)) > STRAIGHT * largest_of(*path):
            continue
        once = min(point.off({**held, name: step / share}) for share in SHARES)
        if once < 1 / FLIPPED and point.off(held) > FLIPPED * once:
            return [
                f"update_buffers adds the batch's statistic to {name} each time and forgets nothing of what it held; "
                f"it should be self.{name}[...] = decay·self.{name} + (1 - decay)·batch"
            ]
    return []


def unwritten(point: Point, paths: dict[str, list[np.ndarray]]) -> list[str]:
    """Whether what inference reads in place of the batch's statistics is never written."""
    start, names = {name: born for name, (born, *_) in paths.items()}, []
    for name, (born, *later) in paths.items():
        other = {**start, name: 1.5 * born + 0.1}
        if any(not same(born, held) for held in later) or not same(point.at(other, train=True), point.y):
            continue
        if not same(point.at(other, train=False), point.at(start, train=False)):
            names.append(name)
    if not names or kept_on_purpose(point.trial, names):
        return []
    return [
        f"update_buffers never writes {', '.join(names)}, which inference reads where training reads the batch: it "
        "stays what it was born with"
    ]


def kept_on_purpose(trial: Trial, names: list[str]) -> bool:
    """Whether the buffers would move with another decay than the 1, or momentum than the 0, that the layer has."""
    (layer,) = trial.net.layers
    for setting, value in list(vars(layer).items()):
        named = any(word in setting for word in ("decay", "momentum"))
        if isinstance(value, bool) or not isinstance(value, (float, int) if named else float) or value not in (0, 1):
            continue
        before = [getattr(layer, name).copy() for name in names]
        try:
            setattr(layer, setting, 0.5)
            attempt(lambda: trial.net.update_buffers(trial.forward()[1]))
        finally:
            setattr(layer, setting, value)
        if any(not same(getattr(layer, name), b) for name, b in zip(names, before, strict=True)):
            return True
    return False
