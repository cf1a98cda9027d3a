"""What is wrong with a student's piece? The checks of each exercise, in the order in which a student meets them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from minigan import gan, losses, nn, optim
from minigan.backend import RandomStream
from minigan.errors import MiniganError, nearest
from minigan.exercises import STUBS
from minigan.gan import GANLoss, GeneratorResult
from minigan.gradcheck import check_generator_step, check_layer, check_loss
from minigan.gradcheck.anything import place
from minigan.gradcheck.targets import two
from minigan.recipes import QUICK_MLP


def verify(name: str, piece: Any) -> str:
    """What is wrong with a student's piece, for reading; "" if nothing is. The checks stop at the first that fails."""
    for check in CHECKS[nearest("exercise", name, STUBS)]:
        try:
            if finding := check(piece):
                return finding
        except NotImplementedError as todo:
            return f"still to be written: {todo}"
        except MiniganError as error:  # of a rule that the code breaks
            return str(error)
        except Exception as error:  # whatever the student's code does
            return f"it raises {type(error).__name__}: {error}{place(error)}"
    return ""


def same_forward(make: Callable[[Any], Any], in_shape: tuple[int, ...], formula: str) -> Callable[[Any], str]:
    """A check that a layer's output is that of minigan's own layer, in training and at inference."""

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
            x = np.random.default_rng(3).standard_normal((5, *in_shape))
            returned = nets[0].layers[0].forward(x, train=mode, rng=RandomStream(0, "dropout"))
            got, _ = two(returned, "forward must return y, cache")
            expected, _ = nets[1].forward(x, train=mode)
            if np.shape(got) != expected.shape:
                return f"forward: y has shape {np.shape(got)} where it should have {expected.shape}"
            if not np.allclose(got, expected, rtol=1e-9, atol=1e-12):
                apart = np.abs(got - expected).max()
                return f"forward (train={mode}): y is off by up to {apart:.3g}; it should be {formula}"
        return ""

    return check


def right_gradients(make: Callable[[Any], Any], in_shape: tuple[int, ...]) -> Callable[[Any], str]:
    """A check of a layer's gradients, in training and at inference."""

    def check(piece: Any) -> str:
        for mode in (True, False):
            report = check_layer(make(piece), in_shape, train=mode)
            if not report:
                return str(report)
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
    layer, x = piece(drop=0.3), np.ones((200, 500), np.float32)
    if not np.array_equal(layer.forward(x, train=False)[0], x):
        return "forward at inference: y should be x"
    y = layer.forward(x, train=True, rng=RandomStream(0, "dropout"))[0]
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
    if not np.array_equal(layer.input_grad(np.ones_like(y), cache) == 0, y == 0):
        return (
            "input_grad must silence what its own forward silenced, and there may be another in between: use the cache"
        )
    return ""


def right_loss(piece: Any) -> str:
    """A check of binary cross-entropy: value, ends, gradient."""
    rng = np.random.default_rng(0)
    p, t = rng.uniform(0.05, 0.95, (6, 1)), rng.uniform(size=(6, 1))
    for shape, dtype in (((6, 1), np.float64), ((3, 2), np.float32)):
        q = p.reshape(shape).astype(dtype)
        value, gradient = two(piece(q, 1.0), "it must return (value, gradient)")
        if np.ndim(value) or np.shape(gradient) != shape or gradient.dtype != dtype:
            return (
                f"of p {shape} of {np.dtype(dtype)} the value has shape {np.shape(value)} (it is one number) and the "
                f"gradient {np.shape(gradient)} of {gradient.dtype}; the gradient has p's shape and dtype"
            )
        right = losses.binary_cross_entropy(q, 1.0)[1]
        if shape == (3, 2) and np.allclose(gradient, 2 * right):
            return "n is the number of all entries of p, not of its rows"
    expected = losses.binary_cross_entropy(p, t)[0]
    if not np.allclose(value := piece(p, t)[0], expected):
        known = {6.0: "a mean is taken for a sum", -1.0: "the sign is wrong", 1 / np.log(2): "log is to the base e"}
        hint = next((text for ratio, text in known.items() if np.isclose(value, ratio * expected)), "see the formula")
        return f"the value is {value:.6g} where it should be {expected:.6g}: {hint}"
    report = check_loss(lambda q: piece(q, t), p, title="binary_cross_entropy")
    if not report:
        return str(report)
    ends = np.array([[0.0], [1.0], [1.0]], np.float32)
    for target in (1.0, 0.0):
        got, expected = piece(ends, target), losses.binary_cross_entropy(ends, target)
        if not np.allclose(got[0], expected[0]):
            value, right = float(got[0]), float(expected[0])
            return f"at p = {ends.ravel()} and t = {target} it is {value:.4g}; it should be {right:.4g}"
        if not np.allclose(got[1], expected[1]):
            return f"at p = {ends.ravel()} and t = {target} the gradient should be {expected[1].ravel()}"
    return ""


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


def right_generator_step(piece: Any) -> str:
    """A check of the generator's step: its gradients, then everything that it leaves behind."""
    recipe = replace(QUICK_MLP.smoke(), latent_dim=3, g_hidden=(5,), d_hidden=(5,))
    rng = np.random.default_rng(0)
    G, D = recipe.networks(rng, dtype=np.float64)
    z = rng.standard_normal((6, 3))
    report = check_generator_step(G, D, GANLoss(), z, step=piece, elementwise=100, title="generator_step")
    if not report:
        return str(report)
    left = []
    for step in (piece, gan.generator_step):
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
            if not isinstance(result, GeneratorResult):
                return f"it must return GeneratorResult(value, x_fake), and it returned {type(result).__name__}"
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


CHECKS: dict[str, tuple[Callable[[Any], str], ...]] = {
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
    "bce": (right_loss,),
    "adam": (right_steps,),
    "generator-step": (right_generator_step,),
}
