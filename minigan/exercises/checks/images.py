"""The checks of the layers of images, and of maxout, which does to features what pooling does to pixels."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from minigan import nn
from minigan.exercises.checks.layers import Check, Mistake, right_gradients, same_forward
from minigan.gradcheck.form import two
from minigan.nn.conv.im2col import im2col
from minigan.nn.conv.windows import Pair, pair, surround

# What known mistakes would make of minigan's layer and x ------------------------------------------------------------


def output_with(layer: Any, x: np.ndarray, **attributes: Any) -> np.ndarray:
    """The output of a layer that differs from `layer` in some attributes."""
    other = copy.copy(layer)
    vars(other).update(attributes)
    return other.forward(x, train=False)[0]


def output_upside_down(layer: Any, x: np.ndarray) -> np.ndarray:
    """A kernel that stands on its head."""
    return output_with(layer, x, W=layer.W[::-1, ::-1])


def without_bias(layer: Any, x: np.ndarray) -> np.ndarray:
    """The bias forgotten."""
    return output_with(layer, x, bias=False)


def other_sides(layer: Any, x: np.ndarray) -> np.ndarray:
    """The padding with each pair of sides exchanged."""
    size = x.shape[1:3]
    (above, below), (left, right) = layer.windows(layer.out_size(size) if hasattr(layer, "out_size") else size).pad
    return output_with(layer, x, pad=((below, above), (right, left)))


def zeros_around(layer: Any, x: np.ndarray) -> np.ndarray:
    """Zeros for the -∞ around an image."""
    return output_with(layer, surround(x, layer.windows(x.shape[1:3]).pad), pad=0)


def mean_pool(layer: Any, x: np.ndarray) -> np.ndarray:
    """The mean of each window."""
    windows = layer.windows(x.shape[1:3])
    return im2col(x, windows).reshape(len(x), *windows.counts, -1, x.shape[-1]).mean(axis=3)


def tiled(layer: Any, x: np.ndarray) -> np.ndarray:
    """The image repeated, not its pixels."""
    return np.tile(x, (1, *pair(layer.scale), 1))


def far_apart(layer: Any, x: np.ndarray) -> np.ndarray:
    """Maxout's groups taken across."""
    return x.reshape(*x.shape[:-1], layer.pieces, -1).max(axis=-2)


# Checks of their own ------------------------------------------------------------------------------------------------


def keeps_dtype(make: Callable[[Any], Any], in_shape: tuple[int, ...]) -> Check:
    """A check that a layer answers float32 with float32, as it must in training."""

    def check(piece: Any) -> str:
        net = nn.Sequential([make(piece)], in_shape, rng=np.random.default_rng(0))
        layer, x = net.layers[0], np.random.default_rng(1).standard_normal((2, *in_shape), np.float32)
        y, cache = two(layer.forward(x, train=True), "forward must return y, cache")
        dx = layer.input_grad(np.ones_like(y, np.float32), cache)
        for method, name, array in (("forward", "y", y), ("input_grad", "dx", dx)):
            if array.dtype != np.float32:
                return (
                    f"{method}: {name} is {array.dtype} where x is float32, in which networks train; np.zeros and its "
                    "like make float64 unless they are told: np.zeros(shape, x.dtype)"
                )
        return ""

    return check


def first_wins(make: Callable[[Any], Any], in_shape: tuple[int, ...], group: Pair) -> Check:
    """A check that of equal values the first gets the gradient; `group` values each (down, to the right) compete."""

    def check(piece: Any) -> str:
        rng, blocks = np.random.default_rng(0), nn.Upsample2d(group)
        x = rng.integers(0, 2, (5, *in_shape)).astype(float)
        axes = (1, 2) if x.ndim == 4 else (1,)
        layer, ours = make(piece), make(getattr(nn, piece.__name__))
        y, cache = two(layer.forward(x, train=True), "forward must return y, cache")
        dy = rng.standard_normal(y.shape)
        got, right = layer.input_grad(dy, cache), ours.input_grad(dy, ours.forward(x, train=True)[1])
        if np.array_equal(got, right):
            return ""

        def image(a: np.ndarray) -> np.ndarray:
            return a if a.ndim == 4 else a[:, None, :, None]  # features as an image of one row and one channel

        def spread(a: np.ndarray) -> np.ndarray:
            return blocks.forward(image(a), train=True)[0].reshape(x.shape)

        among = (x == spread(y)).astype(float)  # those that are as large as any of their group
        rivals = blocks.input_grad(image(among), image(y).shape)
        last = ours.input_grad(np.flip(dy, axes), ours.forward(np.flip(x, axes), train=True)[1])
        known = {
            "the last of them gets it": np.flip(last, axes),
            "each of them gets all of it": among * spread(dy),
            "they share it": among * spread(dy) / spread(rivals.reshape(y.shape)),
        }
        who = next((text for text, wrong in known.items() if np.allclose(got, wrong)), "it goes elsewhere")
        return f"input_grad: of several equal values that are the largest, the first should get dy, and here {who}"

    return check


def not_turned(piece: Any) -> str:
    """A check that a convolution's backward has not turned the kernel round, as books that write dx as one have to."""
    x = np.random.default_rng(1).standard_normal((2, 5, 4, 2))

    def gradients(kind: Any, *, turn: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """(dx, dW) of a layer, or of one whose backward turns the kernel round."""
        net = nn.Sequential([kind(3, 3)], x.shape[1:], rng=np.random.default_rng(0), dtype=np.float64)
        layer: Any = net.layers[0]
        y, cache = two(layer.forward(x, train=True), "forward must return y, cache")
        dy = np.random.default_rng(2).standard_normal(y.shape)
        layer.param_grads(dy, cache, layer.grads)
        if turn:
            layer.W, layer.grads["W"] = layer.W[::-1, ::-1], layer.grads["W"][::-1, ::-1]
        return layer.input_grad(dy, cache), layer.grads["W"]

    (dx, dW), (turned_dx, turned_dW) = gradients(piece), gradients(getattr(nn, piece.__name__), turn=True)
    if np.shape(dx) == x.shape and np.allclose(dx, turned_dx):
        return "input_grad: the kernel is turned round; place (i, j) goes back with W[i, j], as it came"
    if np.allclose(dW, turned_dW):
        return "param_grads: dW is turned round; place (i, j) of the kernel belongs to grads['W'][i, j]"
    return ""


# The exercises ------------------------------------------------------------------------------------------------------

CONV = "b plus the sum of what the window sees, weighted by the kernel"
STAMPS = "the kernel's stamps, added up where they overlap, plus b"
BLOCKS = "each pixel as a block of a×b"
LARGEST = "the largest of each window"
GROUPS = "the largest of each group of neighbours"
SIDES = "the padding's sides are exchanged: pad is ((above, below), (left, right))"
CONV_MISTAKES: dict[str, Mistake] = {
    "the kernel is turned round: W[KH - 1 - i, KW - 1 - j] stands where W[i, j] belongs": output_upside_down,
    "b is missing": without_bias,
    SIDES: other_sides,
}
POOL_MISTAKES: dict[str, Mistake] = {
    "outside the image there are zeros where -∞ belongs": zeros_around,
    "it is the mean of each window": mean_pool,
    SIDES: other_sides,
}
UNEVEN = (
    "Here kernel, stride and padding differ from side to side, and the stride does not divide: what is left over below "
    "and to the right is seen by no window."
)
GAPS = "Here kernel, stride and padding differ from side to side, and the stamps leave gaps, which hold b alone."
OVERLAP = "Here windows overlap: an entry that is in several of them gets the sum."
# An image has many entries, and the mode makes no difference to these layers: one configuration in both is enough.
FEW: dict[str, Any] = {"batch": 3}
ONCE: dict[str, Any] = {"batch": 3, "modes": (True,)}

CHECKS: dict[str, tuple[Check, ...]] = {
    "conv2d": (
        same_forward(lambda layer: layer(3, 3), (4, 5, 2), CONV, CONV_MISTAKES),
        same_forward(
            lambda layer: layer(2, (3, 2), stride=(2, 3), pad=((1, 0), (0, 2))), (6, 7, 2), CONV, CONV_MISTAKES
        ),
        same_forward(lambda layer: layer(2, 3, stride=2, pad="same"), (6, 5, 2), CONV, CONV_MISTAKES),
        not_turned,
        right_gradients(lambda layer: layer(3, 3), (4, 5, 2), hint=OVERLAP, **FEW),
        right_gradients(
            lambda layer: layer(2, (3, 2), stride=(2, 3), pad=((1, 0), (0, 2))), (6, 7, 2), **ONCE, hint=UNEVEN
        ),
        right_gradients(lambda layer: layer(2, 3, stride=2, pad="same"), (6, 5, 2), **ONCE),
        right_gradients(lambda layer: layer(2, 2, stride=3, bias=False), (5, 6, 1), **ONCE),
        keeps_dtype(lambda layer: layer(3, 3, pad=1), (4, 5, 2)),
    ),
    "conv-transpose2d": (
        same_forward(lambda layer: layer(3, 3), (2, 3, 2), STAMPS, CONV_MISTAKES),
        same_forward(
            lambda layer: layer(2, (3, 2), stride=(2, 3), pad=((1, 0), (0, 1))), (3, 2, 2), STAMPS, CONV_MISTAKES
        ),
        same_forward(lambda layer: layer(2, 3, stride=2, pad="same"), (3, 2, 2), STAMPS, CONV_MISTAKES),
        not_turned,
        right_gradients(lambda layer: layer(3, 3), (2, 3, 2), **FEW),
        right_gradients(
            lambda layer: layer(2, (3, 2), stride=(2, 3), pad=((1, 0), (0, 1))), (3, 2, 2), **ONCE, hint=GAPS
        ),
        right_gradients(lambda layer: layer(2, 3, stride=2, pad="same"), (3, 2, 2), **ONCE),
        right_gradients(lambda layer: layer(2, 1, stride=2, pad="same", bias=False), (2, 3, 1), **ONCE),
        keeps_dtype(lambda layer: layer(3, 3), (4, 5, 2)),
    ),
    "upsample2d": (
        same_forward(lambda layer: layer(2), (2, 3, 2), BLOCKS, {"the image is repeated, not each pixel": tiled}),
        same_forward(lambda layer: layer((2, 3)), (2, 3, 2), BLOCKS),
        right_gradients(lambda layer: layer(2), (2, 3, 2), hint="A pixel gets the sum of dy over its block.", **FEW),
        right_gradients(lambda layer: layer((1, 3)), (3, 2, 2), **ONCE),
        keeps_dtype(lambda layer: layer(2), (2, 3, 2)),
    ),
    "maxpool2d": (
        same_forward(lambda layer: layer(2), (4, 6, 2), LARGEST, POOL_MISTAKES),
        same_forward(lambda layer: layer((3, 2), stride=(2, 3)), (6, 7, 2), LARGEST),
        same_forward(lambda layer: layer(3, stride=2, pad="same"), (6, 6, 2), LARGEST, POOL_MISTAKES, mean=-3.0),
        right_gradients(lambda layer: layer(2), (4, 5, 2), **FEW),
        right_gradients(lambda layer: layer(3, stride=2, pad=1), (5, 6, 2), **ONCE, hint=OVERLAP),
        right_gradients(lambda layer: layer((2, 3), stride=(3, 1), pad="same"), (5, 4, 2), **ONCE, hint=OVERLAP),
        first_wins(lambda layer: layer(2), (4, 6, 2), (2, 2)),
        keeps_dtype(lambda layer: layer(3, stride=2, pad=1), (5, 6, 2)),
    ),
    "maxout": (
        same_forward(lambda layer: layer(3), (6,), GROUPS, {"the groups lie across: x[k + j·C / pieces]": far_apart}),
        same_forward(lambda layer: layer(2), (2, 3, 4), GROUPS),
        right_gradients(lambda layer: layer(3), (6,), **FEW),
        right_gradients(lambda layer: layer(2), (2, 3, 4), **ONCE),
        right_gradients(lambda layer: layer(1), (4,), **ONCE),
        first_wins(lambda layer: layer(3), (12,), (1, 3)),
        keeps_dtype(lambda layer: layer(3), (6,)),
    ),
}
