"""A network as an ONNX file, which runs without minigan: in onnxruntime, in a browser, on a phone.

Images stay (N, H, W, C), in and out; where an operator of ONNX wants (N, C, H, W) they are transposed before it and
back after it. Letters as in the layers' own files. Source: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np

from minigan import __version__, backend
from minigan.errors import ArgumentError, PackageMissingError
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
from minigan.nn.conv.windows import Windows, pair, place_windows
from minigan.nn.layer import Shape
from minigan.nn.spectral import stretch
from minigan.store.files import write_atomically

OPSET = 17  # of 2022: the layers need nothing newer, and older runtimes read it too
IR_VERSION = 8  # the file format of that year


class Graph:
    """Nodes and weights, collected layer by layer; `onnx` is the package."""

    def __init__(self, onnx: Any):
        self.onnx = onnx
        self.layer = ""  # the prefix of names, such as "0.Dense"
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def node(self, op: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node and return the name of its output, by default one of its own."""
        name = f"{self.layer}.{op}.{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(op, inputs, [output or name], name, **attributes))
        return output or name

    def weight(self, name: str, values: Any) -> str:
        """Add an array, float32 or the integers of a shape, and return its name."""
        array = backend.to_numpy(values)
        array = np.ascontiguousarray(array, np.int64 if array.dtype.kind == "i" else np.float32)
        self.weights.append(self.onnx.numpy_helper.from_array(array, f"{self.layer}.{name}"))
        return f"{self.layer}.{name}"


def export_onnx(network: Sequential, path: str | os.PathLike[str]) -> None:
    """Write the network, as it predicts (`network(x)`), to an ONNX file; the file appears complete or not at all.

    The model takes "x", float32 (N, *in_shape), and gives "y", float32 (N, *out_shape), for any N. A network of
    float64 is rounded to float32, which is what runtimes are made for. BatchNorm becomes a scale and a shift,
    SpectralNorm's weights are divided, and Dropout is gone. Opset 17. Weights keep their names, such as "0.Dense.W".
    Raises PackageMissingError without the package onnx (the extra `onnx` brings it), and ArgumentError, naming the
    layer, for one that cannot be exported.
    """
    try:
        import onnx  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise PackageMissingError(
            f"export_onnx needs the package onnx ({error}): pip install 'minigan[onnx]'"
        ) from None
    graph, y = Graph(onnx), "x"
    for i, (layer, shape) in enumerate(zip(network.layers, [network.in_shape, *network.out_shapes], strict=False)):
        graph.layer = f"{i}.{type(layer).__name__}"
        try:
            y = add(graph, layer, y, shape)
        except ArgumentError as error:
            raise ArgumentError(f"layer {i} ({layer!r}) cannot be exported to ONNX: {error}") from None
    if graph.nodes:
        graph.nodes[-1].output[0] = "y"  # the last node's output is the last layer's, and nobody else's input
    else:  # a Dropout alone
        graph.node("Identity", y, output="y")
    x_shape, y_shape = (["N", *shape] for shape in (network.in_shape, network.out_shape))
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            "network",
            [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, x_shape)],
            [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, y_shape)],
            graph.weights,
        ),
        producer_name="minigan",
        producer_version=__version__,
        doc_string=f"{network!r}, at inference; images are (N, H, W, C)",
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    write_atomically(Path(path), model.SerializeToString())


def add(graph: Graph, layer: Layer, x: str, in_shape: Shape) -> str:
    """Add one layer, of exactly a known class, since a subclass may compute anything; the name of its output."""
    kind = type(layer)
    if kind not in EXPORTS:
        known = ", ".join(sorted(known.__name__ for known in EXPORTS))
        raise ArgumentError(
            f"there is no export of a {kind.__name__}, only of {known}; build it of such layers, or give it an entry "
            "in EXPORTS of minigan.export.onnx"
        )
    return EXPORTS[kind](graph, layer, x, in_shape)


# One function for each layer: what it adds to the graph --------------------------------------------------------------


def dense(graph: Graph, layer: Dense, x: str, _: Shape) -> str:
    y = graph.node("MatMul", x, graph.weight("W", layer.W))
    return graph.node("Add", y, graph.weight("b", layer.b)) if layer.bias else y


def batch_norm(graph: Graph, layer: BatchNorm, x: str, _: Shape) -> str:
    """y = x·scale + shift, with both worked out in float64."""
    names = ("gamma", "beta", "running_mean", "running_var")
    gamma, beta, mean, var = (backend.to_numpy(getattr(layer, name)).astype(np.float64) for name in names)
    scale = gamma / np.sqrt(var + layer.eps)
    y = graph.node("Mul", x, graph.weight("scale", scale))
    return graph.node("Add", y, graph.weight("shift", beta - mean * scale))


def spectral_norm(graph: Graph, layer: SpectralNorm, x: str, in_shape: Shape) -> str:
    """The layer inside, with W / σ."""
    _, _, sigma = stretch(layer.W, layer.u)
    inner = copy(layer.layer)
    inner.W = layer.W / sigma
    if inner.bias:
        inner.b = layer.b
    return add(graph, inner, x, in_shape)


def conv(graph: Graph, layer: Conv2d, x: str, in_shape: Shape) -> str:
    return on_images(graph, "Conv", x, *kernel(graph, layer), **placed(layer.windows(in_shape[:2])))


def upsample(graph: Graph, layer: Upsample2d, x: str, _: Shape) -> str:
    return grown(graph, x, layer.scale)


def upsample_conv(graph: Graph, layer: UpsampleConv2d, x: str, in_shape: Shape) -> str:
    size = tuple(n * s for n, s in zip(in_shape[:2], pair(layer.scale), strict=True))
    windows = place_windows(size, layer.kernel, 1, "same")
    return on_images(graph, "Conv", grown(graph, x, layer.scale), *kernel(graph, layer), **placed(windows))


def conv_transpose(graph: Graph, layer: ConvTranspose2d, x: str, in_shape: Shape) -> str:
    """`pads` cuts off; `output_padding` adds the gap that stamps smaller than their stride leave at the end."""
    size = layer.out_size(in_shape[:2])
    windows = layer.windows(size)
    starts = [start for start, _ in windows.pad]
    stamped = [(n - 1) * s + k for n, s, k in zip(in_shape[:2], windows.stride, windows.kernel, strict=True)]
    ends = [whole - start - out for whole, start, out in zip(stamped, starts, size, strict=True)]
    pads = [*starts, *(max(end, 0) for end in ends)]
    gaps = [max(-end, 0) for end in ends]
    attributes = {**placed(windows), "pads": pads, "output_padding": gaps}
    return on_images(graph, "ConvTranspose", x, *kernel(graph, layer), **attributes)


def max_pool(graph: Graph, layer: MaxPool2d, x: str, in_shape: Shape) -> str:
    return on_images(graph, "MaxPool", x, **placed(layer.windows(in_shape[:2])))


def maxout(graph: Graph, layer: Maxout, x: str, in_shape: Shape) -> str:
    groups = (*in_shape[:-1], in_shape[-1] // layer.pieces, layer.pieces)
    return graph.node("ReduceMax", shaped(graph, x, groups), axes=[-1], keepdims=0)


def reshape(graph: Graph, layer: Flatten | Reshape, x: str, in_shape: Shape) -> str:
    return shaped(graph, x, layer.out_shape(in_shape))


#: All that is known of a layer in ONNX, by its class: a function that adds it to the graph, behind the output named x,
#: and returns the name of its own. A layer of one's own gets an entry here, too:
#: EXPORTS[Scale] = lambda graph, layer, x, in_shape: graph.node("Mul", x, graph.weight("s", layer.s))
EXPORTS: dict[type, Callable[[Graph, Any, str, Shape], str]] = {
    Dense: dense,
    BatchNorm: batch_norm,
    SpectralNorm: spectral_norm,
    Conv2d: conv,
    ConvTranspose2d: conv_transpose,
    Upsample2d: upsample,
    UpsampleConv2d: upsample_conv,
    MaxPool2d: max_pool,
    Maxout: maxout,
    Flatten: reshape,
    Reshape: reshape,
    Dropout: lambda graph, layer, x, in_shape: x,  # noqa: ARG005 (all are called alike)
    ReLU: lambda graph, layer, x, in_shape: graph.node("Relu", x),  # noqa: ARG005
    LeakyReLU: lambda graph, layer, x, in_shape: graph.node("LeakyRelu", x, alpha=layer.slope),  # noqa: ARG005
    Tanh: lambda graph, layer, x, in_shape: graph.node("Tanh", x),  # noqa: ARG005
    Sigmoid: lambda graph, layer, x, in_shape: graph.node("Sigmoid", x),  # noqa: ARG005
}


# What several of them add --------------------------------------------------------------------------------------------


def on_images(graph: Graph, op: str, x: str, *weights: str, **attributes: Any) -> str:
    """An operator that wants (N, C, H, W); a runtime cancels a transposition with the next one."""
    y = graph.node(op, graph.node("Transpose", x, perm=[0, 3, 1, 2]), *weights, **attributes)
    return graph.node("Transpose", y, perm=[0, 2, 3, 1])


def kernel(graph: Graph, layer: Conv2d | ConvTranspose2d | UpsampleConv2d) -> list[str]:
    """W, as (K, C, KH, KW) or for a ConvTranspose (C, K, KH, KW), and b if there is one."""
    W = graph.weight("W", backend.to_numpy(layer.W).transpose(3, 2, 0, 1))
    return [W, graph.weight("b", layer.b)] if layer.bias else [W]


def placed(windows: Windows) -> dict[str, Any]:
    """Where the windows stand; ONNX's pads are (above, left, below, right)."""
    (above, below), (left, right) = windows.pad
    return {"kernel_shape": windows.kernel, "strides": windows.stride, "pads": [above, left, below, right]}


def grown(graph: Graph, x: str, scale: int | tuple[int, int]) -> str:
    """y[p, q] = x[⌊p / a⌋, ⌊q / b⌋]: "asymmetric" coordinates are p / a, rounded by "floor"."""
    scales = graph.weight("scales", np.array([1, 1, *pair(scale)], np.float32))
    modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return on_images(graph, "Resize", x, "", scales, **modes)


def shaped(graph: Graph, x: str, shape: Shape) -> str:
    """(N, …) → (N, *shape)"""
    return graph.node("Reshape", x, graph.weight("shape", np.array([-1, *shape])))
