"""What a layer promises besides right gradients at one point: shapes, dtypes, flags, other batches, inference.

Each rule is a function of a `Trial` that returns a sentence for each breach. The tests of minigan's own layers use the
same rules, on every device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.gradcheck.batches import claimed_alone, neighbours, other_batches
from minigan.gradcheck.form import form
from minigan.gradcheck.precision import single_precision
from minigan.gradcheck.purity import largest_of, same, strange_points
from minigan.gradcheck.statistics import statistics
from minigan.gradcheck.trial import Trial, rebound, result, unlike
from minigan.nn import Layer

#: Flags that are asked for together, once each has been kept by itself.
COMBINED: tuple[dict[str, bool], ...] = (
    {"accumulate": True},
    {"accumulate": True, "need_input_grad": False},
    {"accumulate": True, "need_param_grads": False},
    {"need_param_grads": False, "need_input_grad": False},
)


def breaches(trial: Trial, layers: list[Layer], *, right: bool) -> list[str]:
    """A sentence for each rule that is broken; `right` says whether the gradients are, at the point of the check.

    `layers` are those of the trial as they were before any pass.
    """
    rules: list[Callable[[Trial], list[str]]] = [flags, single_precision, neighbours, claimed_alone, statistics]
    if right:
        rules.append(other_batches)
    with strange_points():
        if problems := form(trial) + rebound(trial) + remembering(trial, layers):
            return problems  # which all others would tell of, too
        problems = [problem for rule in rules for problem in rule(trial)]
        return problems + rebound(trial)


def remembering(trial: Trial, layers: list[Layer]) -> list[str]:
    """Whether a pass differs from the first pass of such layers: `if self.mask is None: self.mask = …`."""
    x = trial.normal(trial.x.shape, 8)
    for draws in (3, 4):  # few entries may be silenced alike by two draws
        new = trial.like(trial.net.dtype, layers=layers)
        if not same(trial.forward(x, draws=draws)[0], new.forward(x, draws=draws)[0]):
            return [
                "forward gives another result than the first pass of a new layer would; it must keep nothing of its "
                "passes"
            ]
    return []


def flags(trial: Trial) -> list[str]:
    """Backward writes, or adds if it is to accumulate; and what is not wanted changes nothing that is."""
    net, (_, cache) = trial.net, trial.forward()
    dx, g = result(trial.backward(cache)), trial.grads()
    start = trial.normal(net.grads.shape, 2) * net.dtype.type(max([1.0, *map(largest_of, g.values())]))
    net.grads[...] = start
    held = trial.grads()

    def run(**wanted: Any) -> tuple[np.ndarray | None, dict[str, np.ndarray], str]:
        net.grads[...] = start
        call = ", ".join(f"{name}={value}" for name, value in wanted.items())
        try:
            return result(trial.backward(cache, **wanted)), trial.grads(), ""
        except Exception as error:
            return dx, g, f"backward(…, {call}) fails ({type(error).__name__}: {error})"

    problems = []
    _, written, _ = run()
    if names := unlike(written, g):
        problems.append(
            f"backward leaves entries of the gradient of {names} as it finds them; it must write each of them, 0 where "
            "nothing flows"
        )
    _, added, failure = run(accumulate=True)
    problems += [failure] if failure else [] if problems else accumulated(added, held, g)
    frozen_dx, frozen, failure = run(need_param_grads=False)
    if failure:
        problems.append(failure)
    else:
        if names := unlike(frozen, held, exactly=True):
            problems.append(f"backward(…, need_param_grads=False) writes the gradient of {names}; it must not touch it")
        if unlike({"x": frozen_dx}, {"x": dx}):
            problems.append("backward(…, need_param_grads=False) returns another dx than without; it must be the same")
    _, alone, failure = run(need_input_grad=False)
    if failure:
        problems.append(failure)
    elif names := unlike(alone, written):
        problems.append(f"backward(…, need_input_grad=False) writes another gradient of {names} than without")
    return problems or [
        problem
        for flags in COMBINED
        if (problem := combined(flags, run(**flags), held if "need_param_grads" in flags else sums(held, g), dx))
    ]


def combined(
    flags: dict[str, bool],
    found: tuple[np.ndarray | None, dict[str, np.ndarray], str],
    expected: dict[str, np.ndarray],
    dx: np.ndarray | None,
) -> str:
    """What several flags at once do otherwise than each of them alone."""
    got_dx, grads, failure = found
    call = ", ".join(f"{name}={value}" for name, value in flags.items())
    if failure:
        return failure
    if names := unlike(grads, expected):
        return f"backward(…, {call}) leaves another gradient of {names} than these flags mean; each alone is kept"
    if "need_input_grad" not in flags and unlike({"x": got_dx}, {"x": dx}):
        return f"backward(…, {call}) returns another dx than without; it must be the same"
    return ""


def accumulated(added: dict[str, np.ndarray], held: dict[str, np.ndarray], g: dict[str, np.ndarray]) -> list[str]:
    """What accumulate=True did to gradients that held something, where it should have added g."""
    problems = []
    for name in g:
        if not unlike({name: added[name]}, {name: held[name] + g[name]}):
            continue
        meant = {
            "it is ignored: what was there is overwritten, not added to": g[name],
            "nothing is written: what was there is still there": held[name],
            "it is added twice": held[name] + 2 * g[name],
            "what was there is overwritten, and the gradient then added to itself": 2 * g[name],
        }
        seen = [what for what, value in meant.items() if not unlike({name: added[name]}, {name: value})]
        problems.append(
            f"accumulate=True does not add the gradient of {name} to what was there"
            + (f"; {seen[0]}" if seen else "")
            + " (Layer.backward and write_grads do it for you)"
        )
    return problems


def sums(held: dict[str, np.ndarray], g: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: held[name] + g[name] for name in g}
