"""A network's weights for PyTorch and back: its names, its layouts, and the code of the network that takes them.

PyTorch's images are (N, C, H, W) and minigan's (N, H, W, C), so the two flatten an image in different orders. Here
every point between two layers has an *order*, an array of whole numbers: `order[j]` is the place in minigan's
activation (counted in C order) of the number that stands at place j of PyTorch's. A Dense layer can take its inputs in
any order and make its outputs in any, with its weights permuted; so it is there that the two are brought together.

C features in, K out, KH KW the kernel's height and width. Source: https://pytorch.org/docs/stable/nn.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minigan import backend
from minigan.errors import ArgumentError, DTypeError, ShapeError
from minigan.export.torch_code import Counterpart, counterparts, torch_code
from minigan.nn import Sequential
from minigan.nn.layer import Shape
from minigan.nn.spectral import stretch

__all__ = ["from_torch", "to_torch", "torch_code"]

SAME = 1e-5  # how far PyTorch's σ may be from minigan's, as a share: the rounding of float32, and some more


def to_torch(network: Sequential) -> dict[str, np.ndarray]:
    """The `state_dict()` of the same network in PyTorch, as NumPy arrays: `torch_code(network)` makes that network.

    Layouts: Dense W (C, K) → (K, C); Conv2d W (KH, KW, C, K) → (K, C, KH, KW); ConvTranspose2d W (KH, KW, K, C) →
    (C, K, KH, KW), not turned round, since both libraries stamp the kernel as it is. Flat features that an image is
    flattened to or made of are permuted. BatchNorm has to be built with eps=layer.eps and momentum=1 - layer.decay;
    `num_batches_tracked` is 0, as minigan does not count them. Its running variance is the unbiased one in both.
    SpectralNorm is torch.nn.utils.parametrizations.spectral_norm, with the same u (of length 1, also where it was
    averaged), and v = W u / ‖W u‖: so the two agree at inference, and take their power iteration at different times in
    training.
    Raises ArgumentError, naming the layer, for a layer without a counterpart, an order that no Dense layer can mend
    (say, an image reshaped to an image), or a SpectralNorm whose W u is 0, where PyTorch would divide by 0.
    """
    state = as_torch(network)
    for name, v in state.items():
        if name.endswith("._v") and not is_unit(v):
            raise ArgumentError(
                f"layer {name.split('.')[0]}: SpectralNorm's W u is 0, and PyTorch would divide by its length; train "
                "the network first, or take other weights"
            )
    return state


def from_torch(network: Sequential, state: Mapping[str, np.ndarray]) -> None:
    """Copy what `to_torch` would give back into the network, all or nothing: its bits, in their places.

    `state` may be that of a network trained in PyTorch: {name: t.numpy() for name, t in model.state_dict().items()}.
    `num_batches_tracked` has no use here. SpectralNorm's v is not kept either, but made from W and u.
    Raises ArgumentError for names too many or too few, or if PyTorch's v is older than its W (it follows W only when
    the model runs in training mode), DTypeError or ShapeError for an array unlike the network's; and what `to_torch`
    does for a network without a counterpart.
    """
    check_like(as_torch(network), state)
    for name in state:
        if name.endswith("._v"):
            check_sigma(name, state)
    own = {name: np.empty(view.shape, view.dtype) for name, view in network.state().items()}
    for name, (own_name, places) in layout(network).items():
        own[own_name].reshape(-1)[places] = state[name]
    network.load_state(own)


def as_torch(network: Sequential) -> dict[str, np.ndarray]:
    """`to_torch`, with a v shorter than 1 where W u is all but 0."""
    own = {name: backend.to_numpy(view).ravel() for name, view in network.state().items()}
    # An index that is a transposed view would give transposed arrays, whose bytes safetensors saves in the wrong order.
    state = {name: own[own_name][np.ascontiguousarray(at)] for name, (own_name, at) in layout(network).items()}
    for name in list(state):
        module, _, last = name.rpartition(".")
        if last == "running_var":
            state[f"{module}.num_batches_tracked"] = np.zeros((), np.int64)
        elif last == "_u":
            u, v, _ = stretch(matrix_of(name, state).T, state[name])
            state[f"{module}._v"] = v[:, 0]
            if not is_unit(state[name]):  # PyTorch divides by uᵀ W v with u as it is; one that has its bits keeps them
                state[name] = u
    return state


def is_unit(vector: np.ndarray) -> bool:
    """Whether the vector has length 1, up to rounding."""
    return bool(abs(np.linalg.norm(vector) - 1) <= SAME)


def matrix_of(name: str, state: Mapping[str, np.ndarray]) -> np.ndarray:
    """The weights (K, C·KH·KW) that the vector `name`, a SpectralNorm's u or v, belongs to."""
    W = state[name.rpartition("0.")[0] + "original"]
    return W.reshape(len(W), -1)


# What a state must be ------------------------------------------------------------------------------------------------


def check_like(mine: Mapping[str, np.ndarray], state: Mapping[str, np.ndarray]) -> None:
    """Raise ArgumentError, ShapeError or DTypeError unless the state has these names, shapes and dtypes."""
    if mine.keys() != state.keys():
        missing, extra = sorted(mine.keys() - state.keys()), sorted(state.keys() - mine.keys())
        raise ArgumentError(
            f"the state lacks {', '.join(missing) or 'nothing'} and has {', '.join(extra) or 'nothing'} too many; "
            "torch_code(network) is the code of a model with the right names"
        )
    for name, wanted in mine.items():
        found = state[name]
        if not isinstance(found, np.ndarray):
            raise DTypeError(
                f"{name} is a {type(found).__name__} and must be a NumPy array; t.numpy() makes a tensor one"
            )
        if found.shape != wanted.shape:
            raise ShapeError(
                f"{name} has shape {found.shape} and should have {wanted.shape}, that of the network from PyTorch's "
                "side; torch_code(network) is the code of a model that has it"
            )
        if found.dtype != wanted.dtype:
            raise DTypeError(
                f"{name} is {found.dtype} and should be {wanted.dtype}; astype({str(wanted.dtype)!r}) converts"
            )


def check_sigma(name: str, state: Mapping[str, np.ndarray]) -> None:
    """Raise ArgumentError unless uᵀ W v, by which PyTorch divides, is the σ by which minigan does."""
    W, u, v = matrix_of(name, state), state[name.removesuffix("_v") + "_u"], state[name]
    torchs, ours = u @ (W @ v), float(stretch(W.T, u)[2])
    if not abs(torchs - ours) <= SAME * ours:
        raise ArgumentError(
            f"{name} is older than its weights, or averaged: PyTorch divides them by {torchs:.6g}, and minigan, which "
            f"makes v anew, would by {ours:.6g}; let the model run once in training mode (model.train(); model(x), "
            "under torch.no_grad()) before its state is taken"
        )


def entry_error(network: Sequential, i: int, problem: str) -> ArgumentError:
    """The error of an entry in COUNTERPARTS that does not fit its layer."""
    layer: Any = network.layers[i]
    shapes = [network.in_shape, *network.out_shapes]
    return ArgumentError(
        f"layer {i} ({layer!r}, {shapes[i]} to {shapes[i + 1]}): its entry in COUNTERPARTS of "
        f"minigan.export.torch_code {problem}; see Counterpart there"
    )


# Where every number belongs ------------------------------------------------------------------------------------------


def layout(network: Sequential) -> dict[str, tuple[str, np.ndarray]]:
    """{PyTorch's name: (minigan's name, the places)}: where in minigan's array, in C order, each number stands."""
    modules, table = counterparts(network), {}
    points = orders(network, modules)
    shapes = [network.in_shape, *network.out_shapes]
    for own_name, view in network.state().items():
        index, _, name = own_name.split(".")
        i, numbers = int(index), np.arange(view.size).reshape(view.shape)
        flat, names = len(shapes[i]) == 1, modules[i].names
        if name not in names:
            raise entry_error(network, i, f"says not what PyTorch calls its {name} (names={{{name!r}: …}})")
        try:
            places = flat_to_torch(numbers, points[i], points[i + 1]) if flat else images_to_torch(numbers, shapes[i])
        except (IndexError, ValueError):
            raise entry_error(network, i, f"cannot place its {name}, of shape {view.shape}") from None
        table[modules[i].prefix(i) + names[name]] = own_name, places
    return table


def flat_to_torch(numbers: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """A layer's array between flat features: W (C, K) → (K, C), a vector (K,) as it is, in the order of each side."""
    if numbers.ndim == 0:
        return numbers
    return numbers[after] if numbers.ndim == 1 else numbers[before][:, after].T


def images_to_torch(numbers: np.ndarray, in_shape: Shape) -> np.ndarray:
    """A layer's array between images: W (KH, KW, C, K) → (K, C, KH, KW), and likewise with C and K exchanged."""
    if numbers.ndim == 2 and len(in_shape) == 3:
        numbers = numbers[None, None]  # a Dense layer's; on an image it is a convolution of 1×1
    return numbers.transpose(3, 2, 0, 1) if numbers.ndim == 4 else numbers.T


# The order of the features -------------------------------------------------------------------------------------------


def orders(network: Sequential, modules: Sequence[Counterpart]) -> list[np.ndarray]:
    """The order of the input and of each layer's output; flat features may have any, all else has the usual one."""
    shapes, found = [network.in_shape, *network.out_shapes], [torch_order(network.in_shape)]
    for i, (module, before, after) in enumerate(zip(modules, shapes, shapes[1:], strict=False)):
        if module.features == "each" and len(before) == len(after) == 1 and before[0] != after[0] * module.group:
            raise entry_error(network, i, f"says features={module.features!r} and group={module.group}")
    for i, (layer, module) in enumerate(zip(network.layers, modules, strict=True)):
        last, flat = i == len(network.layers) - 1, len(shapes[i + 1]) == 1
        if flat and module.features == "mixed":
            order = wanted(modules[i + 1 :], shapes[i + 1 :])
        elif module.features == "reshaped":
            order = found[-1]
        elif flat and len(shapes[i]) == 1:
            order = order_of_groups(f"layer {i} ({layer!r})", found[-1], module.group)
        else:
            order = torch_order(shapes[i + 1])
        if (last or not flat) and not np.array_equal(order, torch_order(shapes[i + 1])):
            raise ArgumentError(
                f"layer {i} ({layer!r}): PyTorch keeps images as (C, H, W), so what comes out as {shapes[i + 1]} would "
                "hold the numbers in another order, and no weights after the last Dense layer can mend that; put a "
                "Dense layer between flat features and images, or end the network with the image"
            )
        found.append(order)
    return found


def torch_order(shape: Shape) -> np.ndarray:
    """The order of an activation of this shape: an image (H, W, C) is (C, H, W) in PyTorch, all else stays as it is."""
    numbers = np.arange(math.prod(shape)).reshape(shape)
    return (numbers.transpose(2, 0, 1) if len(shape) == 3 else numbers).ravel()


def wanted(modules: Sequence[Counterpart], shapes: Sequence[Shape]) -> np.ndarray:
    """The order that flat features need so that PyTorch's `modules`, which take them, do the same; shapes[0] is theirs.

    Looks ahead to what decides it: an image made of them, or the end. If that is a Dense layer, any order will do.
    """
    if len(shapes[0]) != 1 or not modules or modules[0].features == "mixed":
        return torch_order(shapes[0])
    order, group = wanted(modules[1:], shapes[1:]), modules[0].group
    return (order[:, None] * group + np.arange(group)).ravel()  # groups in that order, each with its pieces together


def order_of_groups(name: str, order: np.ndarray, pieces: int) -> np.ndarray:
    """The order after a Maxout: each group of neighbours in PyTorch must be one in minigan."""
    groups = order.reshape(-1, pieces) // pieces
    if (groups != groups[:, :1]).any():
        raise ArgumentError(
            f"{name} takes the largest of neighbouring features, and those of a flattened image have other neighbours "
            "in PyTorch, which flattens (C, H, W); put a Dense layer between"
        )
    return groups[:, 0]
