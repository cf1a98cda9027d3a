"""Other batches than the one of the check, with other weights: of one example, of many, and with other neighbours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minigan.backend import to_numpy
from minigan.gradcheck.elsewhere import FLOOR, off_along
from minigan.gradcheck.purity import largest_of, other_values, same
from minigan.gradcheck.trial import Results, Trial

SLICED = 1e-6  # of the largest output: what the products of a single row may differ by from those of many
DRAWS = 4  # of a point, as long as kinks or rounding hide whether the gradient is right there


def other_batches(trial: Trial) -> list[str]:
    """The gradients are right with other weights, and on other batches: of one, of two, of twice as many, and of more.

    The largest is no multiple of anything: 23 where the check has 5 examples.
    """
    n, size = len(trial.x), largest_of(*trial.both().gradients.values())
    kept = trial.net.params.copy()
    trial.net.params[...] = other_values(kept, np.random.default_rng(trial.seed))
    try:
        if wrong := at_batch(trial, n, size):
            return [f"with other weights than those of its first pass {wrong}; it must keep nothing of them"]
        batches = {m: at_batch(trial, m, size, twice=m == 2 * n) for m in (1, 2, 2 * n, 4 * n + 3) if m != n}
    finally:
        trial.net.params[...] = kept
    return [f"on a batch of {m} {wrong}" for m, wrong in batches.items() if wrong]


def at_batch(trial: Trial, n: int, size: float, *, twice: bool = False) -> str:
    """What is wrong on a batch of n, where gradients are usually of that size.

    In training a layer may refuse one example, as BatchNorm does, or take only as many as divide into groups: what it
    was checked with, then, and twice that.
    """
    excused, wrong = (trial.train or trial.across_batch) and not twice, 0
    for draw in range(DRAWS):
        x = trial.normal((n, *trial.net.in_shape), 10 + draw)
        try:
            y, cache = trial.forward(x)
        except Exception as error:
            return "" if excused else f"forward fails ({type(error).__name__}: {error})"
        if y.shape != (n, *trial.net.out_shape):
            return f"y has shape {y.shape} where out_shape says {(n, *trial.net.out_shape)}"
        dy = trial.normal(y.shape, 20 + draw)
        try:
            dx = trial.backward(cache, dy)
        except Exception as error:
            alone = n == 1 and trial.train
            return "" if alone else f"backward fails ({type(error).__name__}: {error})"
        if dx is None or dx.shape != x.shape:
            return f"dx has shape {getattr(dx, 'shape', 'no')} where x has {x.shape}"
        grads = {"x": np.copy(dx), **trial.grads()}
        if not np.isfinite(y).all() or (
            n == 1 and trial.train and not all(np.isfinite(grad).all() for grad in grads.values())
        ):
            return ""
        names = wrong_along(trial, x, dy, grads, FLOOR * size)
        if names == []:
            return ""
        wrong += names is not None
        if names and wrong == 2:  # once may be a kink
            return f"the gradient of {', '.join(names)} is wrong, though it is right on one of {len(trial.x)}"
    return ""


def wrong_along(
    trial: Trial, x: np.ndarray, dy: np.ndarray, grads: dict[str, np.ndarray], floor: float
) -> list[str] | None:
    """The arrays along whose random directions the gradient is wrong; None if it could not be told."""
    rng = np.random.default_rng([trial.seed, len(x)])
    arrays = {"x": x, **{trial.short(name): array for name, array in trial.net.named_params().items()}}
    vs = {name: rng.standard_normal(array.shape) for name, array in arrays.items()}

    def f() -> np.ndarray:
        return np.ravel(trial.forward(x)[0] * dy)

    def off(names: Iterable[str]) -> bool | None:
        return off_along(f, [(arrays[name], ..., vs[name]) for name in names], [grads[name] for name in names], floor)

    if not (verdict := off(list(arrays))):
        return None if verdict is None else []
    return [name for name in arrays if off([name])] or list(arrays)


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
        changes["on the size of the batch"] = (apart(alone, y[:1]), SLICED * largest_of(y))
    for what, (change, room) in changes.items():
        if change > room + 1e-9 * largest_of(y):
            return [f"at inference the output of an example depends {what} (by up to {change:.2g}){remedy}"]
    return []


def claimed_alone(trial: Trial) -> list[str]:
    """In training, what says each_alone gives some examples what it gives them beside others, and without any.

    An upstream of 0 for the others leaves what the parameters owe to these examples.
    """
    if not (trial.train and trial.net.each_alone):
        return []
    n = max(1, len(trial.x) // 2)
    x, dy = trial.x.copy(), trial.dy.copy()
    dy[n:] = 0
    before = trial.both(x, dy)
    x[n:] = trial.normal(x.shape, 6)[n:]
    parts = {"replaced": (x, dy)}
    if same(before.y, to_numpy(trial.forward(draws=2)[0])):  # else a part has other draws than in the whole
        parts["left out"] = (x[:n], dy[:n])
    for how, part in parts.items():
        try:
            found = trial.both(*part)
        except Exception as error:
            return [f"says each_alone = True, but fails when others are {how} ({type(error).__name__}: {error})"]
        if names := ", ".join(changed_in(found, before, n, trial.net.dtype)):
            return [
                f"says each_alone = True, but in training {names} of some examples changes when the others of their "
                f"batch are {how}; leave each_alone out of the class"
            ]
    return []


def changed_in(found: Results, before: Results, n: int, dtype: Any) -> list[str]:
    """What two passes gave otherwise to the first n examples than before, by more than rounding."""
    room, size = np.finfo(dtype).eps ** 0.5, largest_of(*before.gradients.values())
    names = ["the output"] if apart(found.y[:n], before.y[:n]) > room * largest_of(before.y) else []
    for name, old in before.gradients.items():
        of = slice(n) if name == "x" else slice(None)
        names += [f"the gradient of {name}"] if apart(found.gradients[name][of], old[of]) > room * size else []
    return names


def coupling(trial: Trial) -> float:
    """How far the first example's output moves if all others are replaced, or the others' if the first is."""
    y, moved = trial.forward()[0], trial.normal(trial.x.shape, 5)
    first, others = slice(1), slice(1, None)
    far = []
    for replaced, kept in ((others, first), (first, others)):
        x = trial.x.copy()
        x[replaced] = moved[replaced]
        far.append(apart(trial.forward(x)[0][kept], y[kept]))
    return max(far)


def apart(a: Any, b: Any) -> float:
    """The largest difference; where either has no number there is none."""
    return largest_of(np.asarray(a - b)) if np.shape(a) == np.shape(b) else np.inf
