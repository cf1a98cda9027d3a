"""Central differences beside what a penalty writes: of its value, in float64, with respect to a few of D's weights.

No product of one layer's x and dy tells that number: the penalty is made of D's gradient g, and all layers are in it.
"""

from __future__ import annotations

import copy

import numpy as np

from minigan.gan.penalty import Penalty
from minigan.trace.differences import Found, entry_slope, few_of, kept_apart, lone_network
from minigan.trace.record import LossTrace, PassTrace

FEW = 4  # entries of a parameter


def chosen_entries(grad: np.ndarray) -> np.ndarray:
    """The entries of a parameter's gradient at which there is to be a difference."""
    return few_of(np.arange(grad.size), grad, FEW)


def penalty_differences(made: PassTrace, place: int, loss: LossTrace, penalty: Penalty) -> dict[tuple[int, str], Found]:
    """{(layer, parameter): the derivatives at its chosen entries} of the penalty of a pass from ones.

    Where the pass is the loss's too, what it writes is of both, and so are these. {} if a layer cannot compute in
    float64.
    """
    parts = {part.name: part for part in loss.parts if part.place == place}
    half = parts.get("fake" if penalty.kind == "r2" else "real")
    rows = slice(*half.rows) if half else slice(None)
    x_pass = made.layers[0].x.astype(np.float64)
    try:
        nets = [lone_network(traced) for traced in made.layers]
    except Exception:  # a layer of somebody's own
        return {}

    def terms() -> np.ndarray:
        x, caches = x_pass, []
        for net, traced in zip(nets, made.layers, strict=True):
            x, cache = net.layers[0].forward(x, train=traced.train, rng=copy.deepcopy(traced.rng))
            caches.append(cache)
        dy = np.ones_like(x)
        for net, cache in zip(nets[::-1], caches[::-1], strict=True):
            dy = net.layers[0].input_grad(dy, cache)
        found = [penalty.value(dy[rows])[0]]
        for k, name in enumerate(("real", "fake")):
            if part := parts.get(name):
                out = x[slice(*part.rows)]
                found.append(part.share * loss.loss.for_discriminator(out, out)[0][1 + k])
        return np.array(found)

    found: dict[tuple[int, str], Found] = {}
    try:
        here = terms()
    except Exception:  # likewise
        return {}
    for net, traced in zip(nets, made.layers, strict=True):
        for name, grad in traced.grads.items():
            array, at = net.named_params()[f"0.{type(traced.layer).__name__}.{name}"], chosen_entries(grad)
            slopes = [entry_slope(terms, here, array, np.unravel_index(i, array.shape)) for i in at]
            found[traced.index, name] = kept_apart(at, slopes)
    return found
