"""The check of Adam: its steps beside minigan's, and beside those of known mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan import nn, optim


def right_steps(piece: Any) -> str:
    """A check of Adam over twenty steps; a known mistake is recognised by what it computes."""

    def run(kind: Any) -> list[np.ndarray]:
        net = nn.Sequential([nn.Dense(3)], (2,), rng=np.random.default_rng(0), dtype=np.float64)
        optimizer, rng, path = kind(net, lr=0.1, beta1=0.8, beta2=0.9, eps=1e-2), np.random.default_rng(1), []
        for _ in range(20):
            net.grads[...] = g = rng.standard_normal(net.grads.shape)
            optimizer.step()
            path.append(net.params.copy())
            if not np.array_equal(net.grads, g):
                raise ValueError("the gradient g has been changed; work on a copy")
        return path

    got, expected = run(piece), run(optim.Adam)
    step = next(
        (t for t, (a, b) in enumerate(zip(got, expected, strict=True), 1) if not np.allclose(a, b, rtol=1e-9)), 0
    )
    if not step:
        return ""
    if np.array_equal(got[0], got[-1]):
        return "the weights have not moved: change theta in place (theta -= …; theta = theta - … makes another array)"
    for mistake, change in MISTAKES.items():
        if np.allclose(got, run(wrong_adam(**change)), rtol=1e-7, equal_nan=True):
            return f"from step {step} on the weights differ from Adam's: {mistake}"
    apart = np.abs(got[step - 1] - expected[step - 1]).max()
    return f"from step {step} on the weights differ from Adam's, by up to {apart:.3g}"


MISTAKES = {
    "m̂ and v̂ are missing: m and v are used uncorrected": {"correct_m": False, "correct_v": False},
    "m̂ is missing: m is used uncorrected": {"correct_m": False},
    "v̂ is missing: v is used uncorrected": {"correct_v": False},
    "eps is added under the root instead of beside it": {"eps_inside": True},
    "it climbs: the sign of the step is wrong": {"sign": -1},
    "the root of v̂ is missing": {"root": False},
    "t is one too small: it counts from 0": {"late": -1},
    "v averages g instead of g²": {"square": False},
    "β₁ and β₂ are exchanged": {"exchanged": True},
    "the factor (1-β) is missing before g and g²": {"weighted": False},
}


def wrong_adam(
    *,
    correct_m: bool = True,
    correct_v: bool = True,
    eps_inside: bool = False,
    sign: int = 1,
    root: bool = True,
    late: int = 0,
    square: bool = True,
    exchanged: bool = False,
    weighted: bool = True,
) -> Any:
    """Adam with one mistake."""

    class Wrong(optim.Adam):
        def _update(self, theta: np.ndarray, g: np.ndarray) -> None:
            t = self.steps + late
            beta1, beta2 = map(np.float64, (self.beta2, self.beta1) if exchanged else (self.beta1, self.beta2))
            self.m[...] = beta1 * self.m + (1 - beta1 if weighted else 1) * g
            self.v[...] = beta2 * self.v + (1 - beta2 if weighted else 1) * (g * g if square else g)
            with np.errstate(all="ignore"):
                m = self.m / (1 - beta1**t) if correct_m else self.m
                v = self.v / (1 - beta2**t) if correct_v else self.v
                under = np.sqrt(v + self.eps) if eps_inside else (np.sqrt(v) if root else v) + self.eps
                theta -= sign * self.lr * m / under

    return Wrong


CHECKS = {"adam": (right_steps,)}
