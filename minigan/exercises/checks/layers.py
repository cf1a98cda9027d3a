"""The checks of the layers that know nothing of images, and what every layer's checks are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigan import nn
from minigan.backend import RandomStream
from minigan.gradcheck import check_layer
from minigan.gradcheck.form import two

Check = Callable[[Any], str]  # of a student's piece: what is wrong with it, or ""
Mistake = Callable[[Any, np.ndarray], np.ndarray]  # of minigan's layer and x: what a known mistake would make of them


@contextmanager
def case_of(layer: Any, shape: tuple[int, ...], mode: bool) -> Iterator[None]:
    """What is raised within it carries the case that is checked, which the student has not written."""
    try:
        yield
    except Exception as error:
        error.add_note(f"with {layer!r} on x {shape}, train={mode}")
        raise


def same_forward(
    make: Callable[[Any], Any],
    in_shape: tuple[int, ...],
    formula: str,
    mistakes: dict[str, Mistake] | None = None,
    *,
    mean: float = 0.0,
) -> Check:
    """A check that a layer's output is that of minigan's own layer, in training and at inference, for x of that mean.

    If the output is what one of the `mistakes` makes of minigan's layer and x, the finding says so.
    """

    def check(piece: Any) -> str:
        ours = getattr(nn, piece.__name__)
        for mode in (True, False):
            nets = [
                nn.Sequential([make(c)], in_shape, rng=np.random.default_rng(0), dtype=np.float64)
                for c in (piece, ours)
            ]
            for net in nets:
                net.params[...] = np.random.default_rng(1).uniform(0.5, 1.5, net.params.shape)
                net.buffers[...] = np.random.default_rng(2).uniform(0.5, 1.5, net.buffers.shape)
            x = np.random.default_rng(3).normal(mean, 1.0, (5, *in_shape))
            with case_of(nets[0].layers[0], x.shape, mode):
                returned = nets[0].layers[0].forward(x, train=mode, rng=RandomStream(0, "dropout"))
            got, _ = two(returned, "forward must return y, cache")
            expected, _ = nets[1].forward(x, train=mode)
            if np.shape(got) != expected.shape:
                of = f" of {nets[1].layers[0]!r} on x {x.shape}"
                return f"forward: y{of} has shape {np.shape(got)} where it should have {expected.shape}"
            if np.allclose(got, expected, rtol=1e-9, atol=1e-12):
                continue
            for sentence, mistake in (mistakes or {}).items():
                if np.allclose(got, mistake(nets[1].layers[0], x), rtol=1e-9, atol=1e-12):
                    return f"forward (train={mode}): {sentence}; y should be {formula}"
            apart = np.abs(got - expected).max()
            return f"forward (train={mode}): y is off by up to {apart:.3g}; it should be {formula}"
        return ""

    return check


def right_gradients(
    make: Callable[[Any], Any],
    in_shape: tuple[int, ...],
    *,
    modes: tuple[bool, ...] = (True, False),
    batch: int = 5,
    hint: str = "",
) -> Check:
    """A check of a layer's gradients, in training and at inference; `hint` is added if why dx is wrong is not clear."""

    def check(piece: Any) -> str:
        for mode in modes:
            layer = make(piece)
            with case_of(layer, (batch, *in_shape), mode):
                report = check_layer(layer, in_shape, train=mode, batch=batch)
            if not report:
                vague = report.rows[0].cause.startswith(("not known", "a constant factor"))
                return f"{report}\n\n{hint}" if hint and vague else str(report)
        return ""

    return check


def right_statistics(piece: Any) -> str:
    """A check that BatchNorm's cache moves the running statistics as minigan's own does."""
    found = []
    for kind in (piece, nn.BatchNorm):
        net = nn.Sequential([kind()], (4,), rng=np.random.default_rng(0), dtype=np.float64)
        _, cache = net.forward(np.random.default_rng(3).standard_normal((5, 4)), train=True)
        net.update_buffers(cache)
        found.append(net.named_buffers())
    for (name, got), expected in zip(found[0].items(), found[1].values(), strict=True):
        if not np.allclose(got, expected):
            return f"{name.rsplit('.')[-1]} goes wrong: the cache holds (mean, var) of the batch, var divided by n"
    return ""


def silences(piece: Any) -> str:
    """A check of what dropout does, whichever way it turns draws into a mask."""
    layer, x, rule = piece(drop=0.3), np.ones((200, 500), np.float32), "forward must return y, cache"
    if not np.array_equal(two(layer.forward(x, train=False), rule)[0], x):
        return "forward at inference: y should be x"
    y, _ = two(layer.forward(x, train=True, rng=RandomStream(0, "dropout")), rule)
    share = float((y == 0).mean())
    if abs(share - 0.3) > 0.01:
        return f"forward in training: {share:.0%} of the features are silent where drop is 30 %"
    if y.dtype != x.dtype:
        return f"forward in training: y is {y.dtype} where x is {x.dtype}"
    if not np.allclose(y[y != 0], 1 / 0.7):
        return (
            f"forward in training: a feature of 1 that is kept becomes {y[y != 0][0]:.4g}; it should be 1 / (1 - drop)"
        )
    y, cache = layer.forward(x, train=True, rng=RandomStream(0, "dropout"))
    layer.forward(x, train=True, rng=RandomStream(1, "dropout"))  # D sees real images, then fakes, then goes back twice
    if (dx := layer.input_grad(np.ones_like(y), cache)) is None:
        return "input_grad must return dx, and it returned nothing (None)"
    if not np.array_equal(dx == 0, y == 0):
        return (
            "input_grad must silence what its own forward silenced, and there may be another in between: use the cache"
        )
    return ""


CHECKS: dict[str, tuple[Check, ...]] = {
    "dense": (
        same_forward(lambda layer: layer(3, init_b=nn.init.torch_linear), (4,), "x W + b"),
        right_gradients(lambda layer: layer(3), (4,)),
        right_gradients(lambda layer: layer(4), (4,)),
        right_gradients(lambda layer: layer(3, bias=False), (2, 3, 4)),
    ),
    "batchnorm": (
        same_forward(lambda layer: layer(), (4,), "γ·(x - mean)/√(var + eps) + β"),
        right_gradients(lambda layer: layer(), (4,)),
        right_gradients(lambda layer: layer(eps=1e-3), (2, 3, 4)),
        right_statistics,
    ),
    "dropout": (
        silences,
        right_gradients(lambda layer: layer(drop=0.3), (6,)),
        right_gradients(lambda layer: layer(drop=0.0), (6,)),
    ),
}
