"""The check of the generator's step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from minigan import gan, optim
from minigan.backend import RandomStream
from minigan.errors import ArgumentError
from minigan.gan import GANLoss, GeneratorResult
from minigan.gradcheck import check_generator_step
from minigan.gradcheck.form import kind
from minigan.recipes.mlp import QUICK_MLP


def right_generator_step(piece: Any) -> str:
    """A check of the generator's step: its gradients, then everything that it leaves behind."""
    recipe = replace(QUICK_MLP.smoke(), latent_dim=3, g_hidden=(5,), d_hidden=(5,))
    rng = np.random.default_rng(0)
    G, D = recipe.networks(rng, dtype=np.float64)
    z = rng.standard_normal((6, 3))

    def mine(*args: Any, **options: Any) -> GeneratorResult:
        result = piece(*args, **options)
        if not isinstance(result, GeneratorResult):
            raise ArgumentError(f"it must return GeneratorResult(value, x_fake), and it returned {kind(result)}")
        return result

    report = check_generator_step(G, D, GANLoss(), z, step=mine, elementwise=100, title="generator_step")
    if not report:
        return str(report)
    left = []
    for step in (mine, gan.generator_step):
        for shared in (False, True):
            G, D = recipe.networks(np.random.default_rng(1), dtype=np.float64)
            D.grads[...] = 7.0
            before = D.params.copy()
            rng = RandomStream(0, "dropout")
            fakes = G.forward(z, train=True, rng=rng) if shared else None
            optimizer = optim.SGD(G, lr=0.1)
            try:
                result = step(G, D, optimizer, GANLoss(), None if shared else z, fakes=fakes, rng=rng)
            except Exception as error:
                if shared:
                    return f"if fakes=(x_fake, cache_G) is given, z is None: learn from the fakes ({error})"
                raise
            if not np.array_equal(before, D.params):
                return "D has moved; only G learns in this step"
            if not np.array_equal(D.grads, np.full_like(D.grads, 7.0)):
                return "D's gradients were written, and nobody reads them here: need_param_grads=False"
            left.append((G.params, G.buffers, result.fakes, np.asarray(result.loss)))
    names = (
        "G's weights after the step",
        "G's running statistics",
        "the fakes in the result",
        "the loss in the result",
    )
    for got, expected in zip(left[:2], left[2:], strict=True):
        for name, a, b in zip(names, got, expected, strict=True):
            if not np.allclose(a, b, rtol=1e-9, atol=1e-12):
                return f"{name}: off by up to {np.abs(a - b).max():.3g}"
    return ""


CHECKS = {"generator-step": (right_generator_step,)}
