"""What `make_torch_layout_answers.py` and `test_torch_layout.py` share: the networks, and all numbers that go in.

As in inputs.py, numbers are made by formula, and only PyTorch's answers are stored.
"""

import json
import math
from pathlib import Path

import numpy as np
from cases import ALL, SYSTEMS
from oracle.inputs import parameter, values

from minigan import nn
from minigan.recipes import RECIPES
from minigan.recipes.penalised import Penalised

FILE = Path(__file__).with_name("torch_layout_answers.npz")
BATCH = 2

#: Where features change their order on the way, and what no case of a layer has: {name: (make the layers, in_shape)}.
MIXED = {
    "drawing": (
        lambda: [
            nn.Dense(5), nn.BatchNorm(), nn.Dense(36), nn.BatchNorm(eps=1e-3), nn.LeakyReLU(slope=0.2), nn.Maxout(2),
            nn.Dropout(drop=0.5), nn.Reshape(18), nn.Reshape(2, 3, 3), nn.Conv2d(2, 3, pad=1), nn.Tanh(),
        ],
        (4,),
    ),
    "judging": (
        lambda: [
            nn.SpectralNorm(nn.Conv2d(3, 3, stride=2, pad="same")), nn.BatchNorm(), nn.Flatten(), nn.BatchNorm(),
            nn.ReLU(), nn.SpectralNorm(nn.Dense(4)), nn.Maxout(2), nn.Dense(1), nn.Sigmoid(),
        ],
        (4, 6, 2),
    ),
    "there-and-back": (
        lambda: [
            nn.Reshape(3, 2, 2), nn.Flatten(), nn.Dense(12), nn.ReLU(), nn.Reshape(2, 2, 3),
            nn.SpectralNorm(nn.Dense(2)), nn.Maxout(2), nn.Flatten(), nn.Dense(3, bias=False),
        ],
        (2, 3, 2),
    ),
    "thick-borders": (
        lambda: [nn.ConvTranspose2d(2, 3, pad=((2, 0), (0, 2))), nn.MaxPool2d(3, stride=1, pad=2)], (4, 3, 2)
    ),
    "four-axes": (lambda: [nn.Dense(2), nn.ReLU(), nn.Flatten(), nn.Dense(1)], (2, 1, 2, 3)),
    "square-of-features": (lambda: [nn.Dense(4), nn.Reshape(2, 2), nn.Dense(3), nn.Flatten(), nn.Dense(2)], (3,)),
}  # fmt: skip


def part(name, which):
    """(make the layers, in_shape) of a recipe's G or D, small."""
    recipe = RECIPES[name].smoke()
    return lambda: recipe.architecture()[which][0], recipe.architecture()[which][1]


#: The systems but those whose layers are quick-mlp's, without its Dropout.
LAID_OUT = [name for name in SYSTEMS if not isinstance(RECIPES[name], Penalised)]

#: Alone these change an order that nothing mends; with Dense layers around them they are in MIXED.
REFUSED = {"Flatten-0", "Reshape-0", "Reshape-1"}

#: {case: (make the layers, in_shape)}: the recipes' G and D, every layer alone, and MIXED.
CASES = {
    **{f"{name}-{which}": part(name, which) for name in LAID_OUT for which in "GD"},
    **{name: (lambda make=make: [make()], in_shape) for name, make, in_shape in ALL if name not in REFUSED},
    **MIXED,
}


def network(case):
    """With its own weights and buffers by formula."""
    make, in_shape = CASES[case]
    net = nn.Sequential(make(), in_shape, rng=np.random.default_rng(0))
    for name, view in net.state().items():
        view[...] = parameter(f"{case}.{name}", view.shape)
        if name.endswith(".u"):
            view /= np.linalg.norm(view)  # as a SpectralNorm keeps it
    return net


def x_of(case):
    return values(f"{case}.x", (BATCH, *CASES[case][1])).astype(np.float32)


def torch_parameter(name, shape):
    """A parameter in PyTorch's layout, whose first axis is that of the outputs."""
    size = 1.5 / math.sqrt(math.prod(shape[1:])) if len(shape) > 1 else 0.5
    centre = 1.0 if len(shape) == 1 and name.endswith(".weight") else 0.0  # BatchNorm's scale
    return (centre + size * values(name, shape)).astype(np.float32)


def channels_first(x):
    """(N, H, W, C) → (N, C, H, W); all else as it is."""
    return x.transpose(0, 3, 1, 2) if x.ndim == 4 else x


# Answers -------------------------------------------------------------------------------------------------------------


def save(models, arrays):
    """`models`: {case: {"code": …, "shapes": {name: shape}}}; `arrays`: {case: {"y": …, a buffer's name: …}}."""
    flat = [np.ravel(array) for entries in arrays.values() for array in entries.values()]
    for case, entries in arrays.items():
        models[case]["sizes"] = {name: array.size for name, array in entries.items()}
    np.savez_compressed(FILE, models=json.dumps(models), values=np.concatenate(flat).astype(np.float32))


def load():
    """{case: {"code": …, "shapes": …, "y": flat, "buffers": {name: array}}}"""
    with np.load(FILE) as file:
        models, flat = json.loads(file["models"].item()), file["values"]
    start = 0
    for model in models.values():
        arrays = {}
        for name, size in model.pop("sizes").items():
            arrays[name] = flat[start : start + size]
            start += size
        model["shapes"] = {name: tuple(shape) for name, shape in model["shapes"].items()}
        model["y"] = arrays.pop("y")
        model["buffers"] = {name: array.reshape(model["shapes"][name]) for name, array in arrays.items()}
    return models
