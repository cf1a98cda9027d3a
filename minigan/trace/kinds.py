"""Which of minigan's layers a layer is, as whose formula its numbers can be worked out again, and what that costs."""

from __future__ import annotations

import inspect
import math
import textwrap
from functools import lru_cache
from typing import Any

from minigan import losses, nn
from minigan.gan.loss import GANLoss
from minigan.nn.layer import Layer
from minigan.trace.record import LayerTrace

#: The layers whose formulas are known.
KINDS: tuple[type[Layer], ...] = tuple(
    kind
    for name in nn.__all__
    if isinstance(kind := getattr(nn, name), type) and issubclass(kind, Layer) and kind is not Layer
)
OPTIONS = (
    "features", "channels", "kernel", "stride", "pad", "scale", "pieces", "slope", "drop", "eps", "decay", "bias",
    "shape",
)  # fmt: skip
ANSWERS = ("forward", "input_grad", "param_grads", "backward")


def kind_of(layer: Layer) -> type[Layer] | None:
    """The layer of minigan's whose forward it has; None if that is its own, and so its formula."""
    for kind in type(layer).__mro__:
        if kind in KINDS:
            return kind
        if "forward" in vars(kind):
            return None
    return None


def options_of(layer: Layer) -> dict[str, Any]:
    """The settings that formulas need, as JSON."""
    found = {name: plainly(vars(layer)[name]) for name in OPTIONS if plainly(vars(layer).get(name)) is not None}
    if isinstance(layer, nn.SpectralNorm):
        inner = kind_of(layer.layer)
        found["layer"] = {"kind": inner and inner.__name__, "options": options_of(layer.layer)}
    return found


def plainly(value: Any) -> Any:
    """A number, a text, or a tuple of them as JSON holds them; None for anything else, and what is not finite."""
    if isinstance(value, (tuple, list)):
        parts = [plainly(part) for part in value]
        return None if None in parts else parts
    if isinstance(value, (bool, int, str)):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else None


def sources_of(layer: Layer) -> dict[str, str | None]:
    """The text of the layer's methods as they stand in its classes; None for one that it does not define."""
    return {name: source(getattr(type(layer), name)) for name in ANSWERS}


@lru_cache(maxsize=256)
def source(method: Any) -> str | None:
    """The text of a method; None for one of `Layer`'s own, and where no text is to be had."""
    if getattr(method, "__qualname__", "").startswith(f"{Layer.__name__}."):
        return None
    try:
        return textwrap.dedent(inspect.getsource(method))
    except (OSError, TypeError):  # typed in, or no Python
        return None


def loss_source(loss: GANLoss) -> str:
    """The text of the functions that a loss is made of: the mean and its gradient, and their formula for one output."""
    by_kind = {"hinge": (losses.hinge, losses.shortfalls), "wasserstein": (losses.signed_mean,)}
    by_output = {
        "logit": (losses.binary_cross_entropy_with_logits, losses.logits_cross_entropy),
        "probability": (losses.binary_cross_entropy, losses.cross_entropy),
    }
    functions = by_kind.get(loss.kind) or by_output[loss.output]
    texts = [source(getattr(function, "formula", function)) for function in functions]
    return "\n\n".join(text for text in texts if text)


def operations(traced: LayerTrace) -> dict[str, int] | None:
    """Additions and multiplications of its formula, forward and as far as it was gone back through; None if unknown.

    Two for each pair of numbers that a product multiplies and adds; one for each number of anything else.
    """
    kind = kind_of(traced.layer)
    if kind is None:
        return None
    if "W" in traced.values:
        # Each output of a Dense layer or a convolution, each input of a transposed one, meets the kernel once.
        W, inputs = traced.values["W"], traced.x if kind is nn.ConvTranspose2d else traced.y
        axis = 3 if kind is nn.ConvTranspose2d else -1
        one = 2 * math.prod(inputs.shape[:-1]) * (W.size // W.shape[axis]) * W.shape[axis]
    else:
        one = max(traced.x.size, traced.y.size)
    back = (traced.dx is not None) + bool(traced.grads)
    return {"forward": one, "backward": back * one}


def bytes_of(traced: LayerTrace) -> int:
    """The bytes of what a pass reads and leaves: x, y, what the cache holds beside them, and the parameters."""
    arrays = [traced.x, traced.y, *traced.kept.values(), *traced.values.values()]
    return sum({id(array): array.nbytes for array in arrays}.values())
