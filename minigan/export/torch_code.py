"""What each layer is in PyTorch: the module, or the modules, that do the same, and where its numbers stand in them.

`COUNTERPARTS` is the one place that knows it; `torch.py` moves the numbers by what it says. A layer of one's own gets
an entry there: COUNTERPARTS[Scale] = lambda layer, in_shape: Counterpart(["Scale(4)"], names={"s": "s"}).
Letters as in the layers' own files. Source: https://pytorch.org/docs/stable/nn.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from minigan.errors import ArgumentError
from minigan.nn import (
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    Maxout,
    MaxPool2d,
    ReLU,
    Reshape,
    Sequential,
    Sigmoid,
    SpectralNorm,
    Tanh,
    Upsample2d,
    UpsampleConv2d,
)
from minigan.nn.conv.windows import Pair, Windows, pair, place_windows
from minigan.nn.layer import Shape

#: What PyTorch calls a parameter or buffer, within its module, if a counterpart says nothing else.
USUAL_NAMES = MappingProxyType(
    {
        **{"W": "weight", "b": "bias", "gamma": "weight", "beta": "bias"},
        **{"running_mean": "running_mean", "running_var": "running_var"},
    }
)


class Counterpart(NamedTuple):
    """What stands in PyTorch at a layer's index.

    Flat features of a flattened image, or that an image is made of, have another order there. `features` says how they
    pass the layer: each by itself, as through an activation; or neighbours in groups of `group` into one; "mixed", so
    that by its weights (C, K) the layer can take and make them in any order, as Dense does; or "reshaped", the same
    numbers in another shape.
    """

    modules: list[str]  # their code; several are an nn.Sequential of their own
    weights: int = 0  # which of them has the parameters
    names: Mapping[str, str] = USUAL_NAMES  # of parameters and buffers: minigan's to PyTorch's, within that module
    features: Literal["each", "mixed", "reshaped"] = "each"
    group: int = 1

    def code(self) -> str:
        return self.modules[0] if len(self.modules) == 1 else f"nn.Sequential({', '.join(self.modules)})"

    def prefix(self, index: int) -> str:
        """What the names of the parameters begin with in the `state_dict()` of the whole network."""
        return f"{index}." if len(self.modules) == 1 else f"{index}.{self.weights}."


def torch_code(network: Sequential) -> str:
    """The same network as PyTorch code, an `nn.Sequential` of as many modules: for `from torch import nn`.

    A layer that PyTorch has no single module for, such as a convolution with more zeros below than above, is an
    `nn.Sequential` at its index. Images are (N, C, H, W) there.
    Raises ArgumentError, naming the layer, if there is no counterpart.
    """
    return "".join(["nn.Sequential(\n", *(f"    {found.code()},\n" for found in counterparts(network)), ")"])


def counterparts(network: Sequential) -> list[Counterpart]:
    """One for each layer."""
    shapes = [network.in_shape, *network.out_shapes]
    found = []
    for i, (layer, shape) in enumerate(zip(network.layers, shapes, strict=False)):
        try:
            found.append(counterpart(layer, shape))
        except ArgumentError as error:
            raise ArgumentError(f"layer {i} ({layer!r}) has no counterpart in PyTorch: {error}") from None
    return found


def counterpart(layer: Layer, in_shape: Shape) -> Counterpart:
    """That of one layer; of exactly its class, since a subclass may compute anything."""
    kind = type(layer)
    if kind not in COUNTERPARTS:
        known = ", ".join(sorted(known.__name__ for known in COUNTERPARTS))
        raise ArgumentError(
            f"none is known of a {kind.__name__}, only of {known}; build it of such layers, or give it an entry in "
            "COUNTERPARTS of minigan.export.torch_code"
        )
    return COUNTERPARTS[kind](layer, in_shape)


# The modules, one function for each layer ----------------------------------------------------------------------------


def dense(layer: Dense, in_shape: Shape) -> Counterpart:
    """On an image, whose channels are not PyTorch's last axis, a convolution of 1×1."""
    sizes = (in_shape[-1], layer.features)
    if len(in_shape) == 3:
        return Counterpart([call("Conv2d", *sizes, 1, bias=layer.bias)], features="mixed")
    return Counterpart([call("Linear", *sizes, bias=layer.bias)], features="mixed")


def conv(layer: Conv2d, in_shape: Shape) -> Counterpart:
    return conv_module(layer, in_shape[2], layer.windows(in_shape[:2]))


def upsample(layer: Upsample2d | UpsampleConv2d, _: Shape) -> Counterpart:
    return Counterpart([call("Upsample", scale_factor=pair(layer.scale))])


def upsample_conv(layer: UpsampleConv2d, in_shape: Shape) -> Counterpart:
    size = tuple(n * s for n, s in zip(in_shape[:2], pair(layer.scale), strict=True))
    after = conv_module(layer, in_shape[2], place_windows(size, layer.kernel, 1, "same"))
    return Counterpart([*upsample(layer, in_shape).modules, *after.modules], 1 + after.weights)


def conv_module(layer: Conv2d | UpsampleConv2d, C: int, windows: Windows) -> Counterpart:
    """PyTorch puts as many zeros on one side as on the other; if they differ, they come from a module of their own."""
    sizes, options = (C, layer.channels, windows.kernel), {"stride": windows.stride, "bias": layer.bias}
    if is_even(windows.pad):
        return Counterpart([call("Conv2d", *sizes, padding=before(windows.pad), **options)])
    return Counterpart([call("ZeroPad2d", around(windows.pad)), call("Conv2d", *sizes, **options)], 1)


def conv_transpose(layer: ConvTranspose2d, in_shape: Shape) -> Counterpart:
    """`padding` cuts off on both sides, `output_padding`, less than the stride, gives back below and to the right.

    What they cannot do together is cut off by a module of its own, whose "zeros" are negative.
    """
    size = layer.out_size(in_shape[:2])
    windows = layer.windows(size)
    padding, given_back, crop = [], [], []
    for n, out, k, s, (start, _) in zip(in_shape, size, windows.kernel, windows.stride, windows.pad, strict=False):
        end = (n - 1) * s + k - start - out  # cut off below (to the right); if the stamps leave a gap there, negative
        one = 0 <= start - end < s
        padding.append(start if one else 0)
        given_back.append(start - end if one else 0)
        crop.append((0, 0) if one else (-start, -end))
    options = {"stride": windows.stride, "padding": tuple(padding), "output_padding": tuple(given_back)}
    main = call("ConvTranspose2d", in_shape[2], layer.channels, windows.kernel, **options, bias=layer.bias)
    crops = (crop[0], crop[1])
    return Counterpart([main] if crops == ((0, 0), (0, 0)) else [main, call("ZeroPad2d", around(crops))])


def max_pool(layer: MaxPool2d, in_shape: Shape) -> Counterpart:
    """PyTorch's own padding is even, and no more than half of the kernel."""
    kernel, stride, pad, _ = layer.windows(in_shape[:2])
    if is_even(pad) and all(2 * sides[0] <= k for sides, k in zip(pad, kernel, strict=True)):
        return Counterpart([call("MaxPool2d", kernel, stride, padding=before(pad))])
    return Counterpart([f'nn.ConstantPad2d({around(pad)}, float("-inf"))', call("MaxPool2d", kernel, stride)])


def maxout(layer: Maxout, in_shape: Shape) -> Counterpart:
    """Pooling along the features, which PyTorch's pooling takes for the length (depth) of one thing."""
    if len(in_shape) > 3:
        raise ArgumentError(f"its pooling has no place for an input of {in_shape}; Reshape it to an image (H, W, C)")
    if len(in_shape) == 3:
        return Counterpart([call("MaxPool3d", (layer.pieces, 1, 1))])
    return Counterpart([call("MaxPool1d", layer.pieces)], group=layer.pieces)


def batch_norm(layer: BatchNorm, in_shape: Shape) -> Counterpart:
    if len(in_shape) not in (1, 3):
        raise ArgumentError(
            f"its BatchNorm takes flat features or images and not {in_shape}; Reshape it to an image (H, W, C)"
        )
    kind = "BatchNorm1d" if len(in_shape) == 1 else "BatchNorm2d"
    return Counterpart([call(kind, in_shape[-1], eps=layer.eps, momentum=round(1 - layer.decay, 12))])


def spectral_norm(layer: SpectralNorm, in_shape: Shape) -> Counterpart:
    """`weights` is the module that is normalised; its W and u are a parametrisation's."""
    inner = counterpart(layer.layer, in_shape)
    inner.modules[inner.weights] = f"nn.utils.parametrizations.spectral_norm({inner.modules[inner.weights]})"
    names = {"W": "parametrizations.weight.original", "u": "parametrizations.weight.0._u"}
    return inner._replace(names={**inner.names, **names})


def reshape(layer: Reshape | Flatten, in_shape: Shape) -> Counterpart:
    """By way of flat features, in PyTorch's order."""
    out = layer.out_shape(in_shape)
    shape = (out[2], out[0], out[1]) if len(out) == 3 else out
    flat = [call("Flatten")] if len(in_shape) > 1 or len(out) == 1 else []
    return Counterpart([*flat, *([f"nn.Unflatten(1, {shape})"] if len(out) > 1 else [])], features="reshaped")


#: All that is known of a layer in PyTorch, by its class: a function of the layer and its input's shape.
COUNTERPARTS: dict[type, Callable[[Any, Shape], Counterpart]] = {
    Dense: dense,
    Conv2d: conv,
    ConvTranspose2d: conv_transpose,
    Upsample2d: upsample,
    UpsampleConv2d: upsample_conv,
    MaxPool2d: max_pool,
    Maxout: maxout,
    BatchNorm: batch_norm,
    SpectralNorm: spectral_norm,
    Flatten: reshape,
    Reshape: reshape,
    Dropout: lambda layer, _: Counterpart([call("Dropout", layer.drop)]),
    ReLU: lambda *_: Counterpart([call("ReLU")]),
    LeakyReLU: lambda layer, _: Counterpart([call("LeakyReLU", layer.slope)]),
    Tanh: lambda *_: Counterpart([call("Tanh")]),
    Sigmoid: lambda *_: Counterpart([call("Sigmoid")]),
}


# How it is written ---------------------------------------------------------------------------------------------------

DEFAULTS = {"stride": (1, 1), "padding": (0, 0), "output_padding": (0, 0), "bias": True}


def call(name: str, *sizes: Any, **options: Any) -> str:
    """nn.NAME(sizes, options), without those options that are PyTorch's defaults."""
    said = {key: value for key, value in options.items() if key not in DEFAULTS or value != DEFAULTS[key]}
    return f"nn.{name}({', '.join([*map(short, sizes), *(f'{key}={short(value)}' for key, value in said.items())])})"


def short(value: Any) -> str:
    """A pair of equals as one number."""
    same = isinstance(value, tuple) and len(value) == 2 and value[0] == value[1]
    return repr(value[0] if same else value)


def is_even(pad: tuple[Pair, Pair]) -> bool:
    """As much above as below, and as much on the left as on the right."""
    return all(start == end for start, end in pad)


def before(pad: tuple[Pair, Pair]) -> Pair:
    """(above, left)"""
    return pad[0][0], pad[1][0]


def around(pad: tuple[Pair, Pair]) -> tuple[int, int, int, int]:
    """(left, right, above, below): PyTorch begins with the last axis."""
    return *pad[1], *pad[0]
