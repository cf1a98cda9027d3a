"""Which numbers a layer's formula takes for one entry of y, of dx or of a parameter's gradient.

Arrays and entries go by flat indices, in C order. Letters as in the layers: a window is what one place of y sees of x.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigan import nn
from minigan.nn.conv.windows import Windows, pair
from minigan.nn.layer import Layer
from minigan.trace.kinds import kind_of
from minigan.trace.record import LayerTrace

Entries = dict[str, np.ndarray]  # {x, dy, y, or a parameter's or a cache's name: flat indices}
ALL = np.arange


def operands(traced: LayerTrace, what: str, at: np.ndarray) -> Entries | None:
    """{array: the entries of it} that the entries `at` of `what` ("y", "dx" or a parameter) are made of.

    None where the formula is not known, or nobody asked for the answer.
    """
    kind = kind_of(traced.layer)
    if kind is None or (what != "y" and traced.dy is None) or (what == "dx" and traced.dx is None):
        return None
    if kind is nn.SpectralNorm:
        return spectral(traced, what, at)
    return {name: np.unique(found) for name, found in FORMULAS[kind](traced, traced.layer, what, at).items()}


def spectral(traced: LayerTrace, what: str, at: np.ndarray) -> Entries:
    """The inner layer's, and σ, which is of all of W: where W is not there whole, forward's own takes its place."""
    inner = traced.layer.layer  # pyright: ignore[reportAttributeAccessIssue]
    found = FORMULAS[type(inner)](traced, inner, what, at)
    found |= {name: ALL(array.size) for name, array in traced.kept.items() if name in ("u", "v", "sigma")}
    if what == "W" and traced.dy is not None:  # less its part along v uᵀ, which is a sum over all outputs
        found |= {"y": ALL(traced.y.size), "dy": ALL(traced.dy.size), "W": at}
        found |= {"b": ALL(traced.values["b"].size)} if "b" in traced.values else {}
    return {name: np.unique(entries) for name, entries in found.items()}


# Products ------------------------------------------------------------------------------------------------------------


def lines(shape: tuple[int, ...], axis: int, at: np.ndarray) -> np.ndarray:
    """All entries of an array whose coordinate on an axis is one of these."""
    return np.take(ALL(int(np.prod(shape))).reshape(shape), np.unique(at), axis=axis).ravel()


def rows_and_columns(traced: LayerTrace, layer: Layer, what: str, at: np.ndarray) -> Entries:
    C, K = traced.x.shape[-1], traced.y.shape[-1]
    x, dy, W = (traced.x.size // C, C), (traced.y.size // K, K), (C, K)
    if what == "y":
        found = {"x": lines(x, 0, at // K), "W": lines(W, 1, at % K)}
        return {**found, "b": at % K} if "b" in traced.values else found
    if what == "dx":
        return {"dy": lines(dy, 0, at // C), "W": lines(W, 0, at % C)}
    if what == "b":
        return {"dy": lines(dy, 1, at)}
    return {"x": lines(x, 1, at // K), "dy": lines(dy, 1, at % K)}


def correlation(traced: LayerTrace, layer: Layer, what: str, at: np.ndarray) -> Entries:
    """Conv2d: windows on x."""
    x, y, W = traced.x.shape, traced.y.shape, traced.values["W"].shape
    windows = layer.windows(x[1:3])  # pyright: ignore[reportAttributeAccessIssue]
    if what == "y":
        n, p, q, k = np.unravel_index(at, y)
        found = {
            "x": boxes(x, n, window_spans(windows, 0, p, x[1]), window_spans(windows, 1, q, x[2])),
            "W": lines(W, 3, k),
        }
        return {**found, "b": k} if "b" in traced.values else found
    if what == "dx":
        n, h, w, c = np.unravel_index(at, x)
        return {
            "dy": boxes(y, n, spans_of_windows(windows, 0, h), spans_of_windows(windows, 1, w)),
            "W": lines(W, 2, c),
        }
    return weights(traced, what, at, 2, 3)


def stamps(traced: LayerTrace, layer: Layer, what: str, at: np.ndarray) -> Entries:
    """ConvTranspose2d: windows on y."""
    x, y, W = traced.x.shape, traced.y.shape, traced.values["W"].shape
    windows = layer.windows(y[1:3])  # pyright: ignore[reportAttributeAccessIssue]
    if what == "y":
        n, h, w, k = np.unravel_index(at, y)
        found = {
            "x": boxes(x, n, spans_of_windows(windows, 0, h), spans_of_windows(windows, 1, w)),
            "W": lines(W, 2, k),
        }
        return {**found, "b": k} if "b" in traced.values else found
    if what == "dx":
        n, p, q, c = np.unravel_index(at, x)
        return {
            "dy": boxes(y, n, window_spans(windows, 0, p, y[1]), window_spans(windows, 1, q, y[2])),
            "W": lines(W, 3, c),
        }
    return weights(traced, what, at, 3, 2)


def enlarged(traced: LayerTrace, layer: Layer, what: str, at: np.ndarray) -> Entries:
    """UpsampleConv2d: windows on x made larger."""
    x, y, W = traced.x.shape, traced.y.shape, traced.values["W"].shape
    scale, kernel = pair(layer.scale), pair(layer.kernel)  # pyright: ignore[reportAttributeAccessIssue]
    before = [(k - 1) // 2 for k in kernel]
    if what == "y":
        n, *places, k = np.unravel_index(at, y)
        spans = [
            (np.maximum(p - b, 0) // s, np.minimum((p - b + size - 1) // s + 1, length))
            for p, b, s, size, length in zip(places, before, scale, kernel, x[1:3], strict=True)
        ]
        found = {"x": boxes(x, n, spans[0], spans[1]), "W": lines(W, 3, k)}
        return {**found, "b": k} if "b" in traced.values else found
    if what == "dx":
        n, *places, c = np.unravel_index(at, x)
        spans = [
            (np.maximum(p * s + b - size + 1, 0), np.minimum(p * s + s + b, length))
            for p, b, s, size, length in zip(places, before, scale, kernel, y[1:3], strict=True)
        ]
        return {"dy": boxes(y, n, spans[0], spans[1]), "W": lines(W, 2, c)}
    return weights(traced, what, at, 2, 3)


def weights(traced: LayerTrace, what: str, at: np.ndarray, c: int, k: int) -> Entries:
    """For a kernel's gradient: the channels of x and y that its entries lie between; c and k are W's axes of them."""
    x, y = traced.x.shape, traced.y.shape
    if what == "b":
        return {"dy": lines(y, 3, at)}
    places = np.unravel_index(at, traced.values["W"].shape)
    return {"x": lines(x, 3, places[c]), "dy": lines(y, 3, places[k])}


def window_spans(windows: Windows, axis: int, place: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """[from, to) along an axis of what window `place` sees of an image of `size`."""
    first = place * windows.stride[axis] - windows.pad[axis][0]
    return np.maximum(first, 0), np.minimum(first + windows.kernel[axis], size)


def spans_of_windows(windows: Windows, axis: int, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[from, to) along an axis of the windows that see `place` of an image."""
    reach, stride = place + windows.pad[axis][0], windows.stride[axis]
    first = -((windows.kernel[axis] - 1 - reach) // stride)  # rounded up
    return np.maximum(first, 0), np.minimum(reach // stride + 1, windows.counts[axis])


def boxes(
    shape: tuple[int, ...],
    n: np.ndarray,
    rows: tuple[np.ndarray, np.ndarray],
    columns: tuple[np.ndarray, np.ndarray],
    channel: np.ndarray | None = None,
) -> np.ndarray:
    """The entries of images in these boxes, of all channels or of one."""
    index, found = ALL(int(np.prod(shape))).reshape(shape), [np.zeros(0, np.int64)]
    places = np.unique(np.stack([n, *rows, *columns, n * 0 - 1 if channel is None else channel]), axis=1)
    for image, top, bottom, left, right, c in places.T:
        box = index[image, top:bottom, left:right]
        found.append(box.ravel() if c < 0 else box[..., c].ravel())
    return np.concatenate(found)


# The others ----------------------------------------------------------------------------------------------------------


def each(traced: LayerTrace, layer: Layer, what: str, at: np.ndarray) -> Entries:
    """Entry by entry; of Dropout its mask too."""
    found = {"x": at} if what == "y" else {"x": at, "dy": at}
    return {**found, "mask": at} if "mask" in traced.kept else found


def normalised_by_feature(traced: LayerTrace, layer: Layer, what: str, at: np.ndarray) -> Entries:
    C = traced.x.shape[-1]
    flat, c = (traced.x.size // C, C), at % C
    return {"x": lines(flat, 1, c), "gamma": c} | ({"beta": c} if what == "y" else {"dy": lines(flat, 1, c)})


def pieces(traced: LayerTrace, layer: Layer, what: str, at: np.ndarray) -> Entries:
    """Maxout: the group of features that an output is the largest of."""
    n: int = layer.pieces  # pyright: ignore[reportAttributeAccessIssue]
    group = at if what == "y" else at // n
    found = {"x": (group[:, None] * n + ALL(n)).ravel()}
    return found if what == "y" else {**found, "dy": group}


def pooled(traced: LayerTrace, layer: Layer, what: str, at: np.ndarray) -> Entries:
    """MaxPool2d: windows of one channel of x; for dx those that see the pixel."""
    x, y = traced.x.shape, traced.y.shape
    windows = layer.windows(x[1:3])  # pyright: ignore[reportAttributeAccessIssue]
    n, p, q, c = np.unravel_index(at, y if what == "y" else x)
    if what == "y":
        return {"x": boxes(x, n, window_spans(windows, 0, p, x[1]), window_spans(windows, 1, q, x[2]), c)}
    spans = spans_of_windows(windows, 0, p), spans_of_windows(windows, 1, q)
    ends = [
        (window_spans(windows, axis, first, size)[0], window_spans(windows, axis, np.maximum(stop - 1, first), size)[1])
        for axis, (first, stop), size in zip((0, 1), spans, x[1:3], strict=True)
    ]
    return {"x": boxes(x, n, ends[0], ends[1], c), "dy": boxes(y, n, spans[0], spans[1], c)}


def blocks(traced: LayerTrace, layer: Layer, what: str, at: np.ndarray) -> Entries:
    """Upsample2d: a pixel and its block."""
    scale, (n, p, q, c) = pair(layer.scale), np.unravel_index(at, (traced.y if what == "y" else traced.x).shape)  # pyright: ignore[reportAttributeAccessIssue]
    if what == "y":
        return {"x": np.ravel_multi_index((n, p // scale[0], q // scale[1], c), traced.x.shape)}
    spans = [(place * s, place * s + s) for place, s in zip((p, q), scale, strict=True)]
    return {"dy": boxes(traced.y.shape, n, spans[0], spans[1], c)}


def laid_out(traced: LayerTrace, layer: Layer, what: str, at: np.ndarray) -> Entries:
    """Flatten, Reshape: the same entry."""
    return {"x" if what == "y" else "dy": at}


FORMULAS: dict[type[Layer], Callable[[LayerTrace, Layer, str, np.ndarray], Entries]] = {
    nn.Dense: rows_and_columns,
    nn.Conv2d: correlation,
    nn.ConvTranspose2d: stamps,
    nn.UpsampleConv2d: enlarged,
    **dict.fromkeys((nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.Dropout), each),
    nn.BatchNorm: normalised_by_feature,
    nn.Maxout: pieces,
    nn.MaxPool2d: pooled,
    nn.Upsample2d: blocks,
    **dict.fromkeys((nn.Flatten, nn.Reshape), laid_out),
}
