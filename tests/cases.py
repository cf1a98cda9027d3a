"""What the contract suite runs over: for every layer, ways to make it and an input shape that suits it."""

from minigan import nn

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
}

ALL = [(f"{name}-{i}", make, shape) for name, cases in CASES.items() for i, (make, shape) in enumerate(cases)]
IDS = [name for name, _, _ in ALL]
