"""What the contract suite runs over: for every layer, ways to make it and an input shape that suits it."""

from minigan import nn
from minigan.recipes import RECIPES

#: {layer's name: [(make, in_shape), …]}. A layer of minigan.nn that is missing here fails the suite.
CASES = {
    "Dense": [
        (lambda: nn.Dense(3), (4,)),
        (lambda: nn.Dense(3, bias=False), (4,)),
        (lambda: nn.Dense(1), (1,)),
        (lambda: nn.Dense(2), (2, 3, 4)),
    ],
    "ReLU": [(lambda: nn.ReLU(), (6,)), (lambda: nn.ReLU(), (2, 3, 2))],
    "LeakyReLU": [(lambda: nn.LeakyReLU(slope=0.2), (6,)), (lambda: nn.LeakyReLU(slope=0.01), (2, 3, 2))],
    "Tanh": [(lambda: nn.Tanh(), (6,)), (lambda: nn.Tanh(), (2, 3, 2))],
    "Sigmoid": [(lambda: nn.Sigmoid(), (6,)), (lambda: nn.Sigmoid(), (2, 3, 2))],
    "BatchNorm": [
        (lambda: nn.BatchNorm(), (4,)),
        (lambda: nn.BatchNorm(decay=0.8, eps=1e-3), (2, 3, 4)),
    ],
    "Dropout": [(lambda: nn.Dropout(drop=0.3), (6,)), (lambda: nn.Dropout(drop=0.0), (2, 3, 2))],
    "Flatten": [(lambda: nn.Flatten(), (2, 3, 2)), (lambda: nn.Flatten(), (6,))],
    "Reshape": [(lambda: nn.Reshape(2, 3, 2), (12,)), (lambda: nn.Reshape(12), (2, 3, 2))],
    "Conv2d": [
        (lambda: nn.Conv2d(3, 3), (4, 5, 2)),
        (lambda: nn.Conv2d(2, 4, stride=2, pad=1, bias=False), (6, 6, 3)),
        (lambda: nn.Conv2d(2, (3, 2), stride=(2, 3), pad=((1, 0), (0, 2))), (6, 7, 2)),  # strides that do not divide
        (lambda: nn.Conv2d(2, 3, stride=2, pad="same"), (6, 5, 2)),  # one zero below, one on either side
        (lambda: nn.Conv2d(2, (4, 5)), (4, 5, 1)),  # as large as the image
        (lambda: nn.Conv2d(3, 1, stride=2), (3, 4, 2)),  # leaves pixels out
        (lambda: nn.Conv2d(1, 3, pad="same"), (4, 5, 3)),  # fewer channels out than in: by the turned kernel
        (lambda: nn.Conv2d(1, (3, 4), pad=((2, 0), (1, 3))), (3, 4, 3)),  # likewise, with other zeros on each side
    ],
    "ConvTranspose2d": [
        (lambda: nn.ConvTranspose2d(3, 3), (2, 3, 2)),
        (lambda: nn.ConvTranspose2d(2, 4, stride=2, pad=1, bias=False), (3, 3, 3)),
        (lambda: nn.ConvTranspose2d(2, (3, 2), stride=(2, 3), pad=((1, 0), (0, 1))), (3, 2, 2)),
        (lambda: nn.ConvTranspose2d(2, 3, stride=2, pad="same"), (3, 2, 2)),
        (lambda: nn.ConvTranspose2d(1, 5, pad=2), (3, 4, 2)),
        (lambda: nn.ConvTranspose2d(2, 1, stride=2, pad="same"), (2, 3, 1)),  # gaps between the stamps
    ],
    "MaxPool2d": [
        (lambda: nn.MaxPool2d(2), (4, 5, 2)),
        (lambda: nn.MaxPool2d(3, stride=2, pad=1), (5, 6, 2)),  # windows overlap
        (lambda: nn.MaxPool2d((2, 3), stride=(3, 1), pad="same"), (5, 4, 2)),
        (lambda: nn.MaxPool2d((1, 5), stride=1), (4, 5, 1)),  # maxout of five, as ReNom has it
    ],
    "Maxout": [(lambda: nn.Maxout(3), (6,)), (lambda: nn.Maxout(2), (2, 3, 4)), (lambda: nn.Maxout(1), (4,))],
    "Upsample2d": [(lambda: nn.Upsample2d(2), (2, 3, 2)), (lambda: nn.Upsample2d((1, 3)), (2, 3, 2))],
    "SpectralNorm": [
        (lambda: nn.SpectralNorm(nn.Dense(3)), (4,)),
        (lambda: nn.SpectralNorm(nn.Dense(1, bias=False)), (2, 3)),
        (lambda: nn.SpectralNorm(nn.Conv2d(2, 3, stride=2, pad=1)), (5, 4, 2)),
    ],
    "UpsampleConv2d": [
        (lambda: nn.UpsampleConv2d(2, 3), (3, 2, 2)),
        (lambda: nn.UpsampleConv2d(2, (2, 4), bias=False), (3, 1, 3)),
        (lambda: nn.UpsampleConv2d(3, 3, scale=(3, 1)), (1, 3, 2)),
        (lambda: nn.UpsampleConv2d(1, (2, 4), scale=(3, 1)), (2, 3, 1)),
    ],
}

#: The recipes without the variants of one, which has the same networks and the same game.
SYSTEMS = [name for name, recipe in RECIPES.items() if type(recipe).__base__ not in map(type, RECIPES.values())]

ALL = [(f"{name}-{i}", make, shape) for name, cases in CASES.items() for i, (make, shape) in enumerate(cases)]
IDS = [name for name, _, _ in ALL]
