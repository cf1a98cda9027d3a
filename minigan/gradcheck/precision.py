"""float32: what a network computes in when nobody checks it."""

from __future__ import annotations

import numpy as np

from minigan.gradcheck.form import form
from minigan.gradcheck.purity import largest_of, same
from minigan.gradcheck.trial import Results, Trial

SINGLE = 2e-5  # of the largest entry: what float32 may differ by from float64 in a right layer of few terms
NUDGED = 100  # times what the result moves by if each number is moved by its rounding, in float32


def single_precision(trial: Trial, device: str = "cpu") -> list[str]:
    """In float32 the layer gives float32, and what float64 gives but for rounding."""
    single = trial.like(np.float32, device)
    try:
        problems = form(single)
    except Exception as error:
        return [f"in float32 a pass fails ({type(error).__name__}: {error})"]
    if problems:
        return problems
    if disagreeing(single):  # a comparison that rounding turns, at one point, is no mistake
        single.x = single.normal(single.x.shape, 3)
        if names := disagreeing(single):
            return [f"float32 gives another {', another '.join(names)} than float64, by more than rounding explains"]
    return []


def disagreeing(single: Trial) -> list[str]:
    """Which results of a float32 trial are not those of float64, up to what rounding its inputs moves them by."""
    exact = single.like(np.float64)
    expected = exact.both()
    pairs = paired(single.both(), expected)
    kept = exact.net.params.copy(), exact.net.buffers.copy(), exact.x, exact.dy
    moves = np.zeros(len(pairs))
    for draw in range(2):
        rng = np.random.default_rng([single.seed, draw])
        params, buffers, x, dy = (a * (1 + 2.0**-23 * rng.uniform(-1, 1, a.shape)) for a in kept)
        exact.net.params[...], exact.net.buffers[...] = params, buffers
        moves = np.maximum(moves, [largest_of(a - b) for _, a, b in paired(exact.both(x, dy), expected)])
    gradients = largest_of(*expected.gradients.values())
    wrong = []
    for (name, a, b), move in zip(pairs, moves, strict=True):
        room = SINGLE * (largest_of(b) if name == "y" else gradients) + NUDGED * move
        if not (np.abs(a - b) <= room)[np.isfinite(b)].all():
            wrong.append(name)
    if "y" in wrong and not same(exact.forward()[0], exact.forward(draws=2)[0]):
        return []  # a random layer, which may draw otherwise for another dtype
    return wrong


def paired(a: Results, b: Results) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """The arrays of both, by name."""
    gradients = [(f"gradient of {name}", a.gradients[name], grad) for name, grad in b.gradients.items()]
    return [("y", a.y, b.y), *gradients]
