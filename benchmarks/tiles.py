"""How large should the tiles of a convolution be, and should its columns be kept from forward for backward?

    python benchmarks/tiles.py             measure, store results/tiles.json, print the table
    python benchmarks/tiles.py --table     print the table of the stored results

Each of the recipes' convolutions that takes columns of x, forward and both gradients. Milliseconds for a full batch,
the least of seven rounds in which the variants take turns; in the last, the columns of the whole batch are kept.
"""

from __future__ import annotations

import minigan  # noqa: F401 # isort: skip (before NumPy, so that OpenBLAS's threads are told to sleep)

import sys
import time

import numpy as np
from results import Results

from minigan import backend
from minigan.nn.conv import im2col
from minigan.nn.conv.layers import Conv2d, Convolution, plan
from minigan.recipes import RECIPES

RESULTS = Results("tiles")
MIB = (0.5, 1, 2, 4, 8, 16)


def convolutions():
    """(name, layer, its input's shape, batch) of each in the recipes, real and fake apart."""
    for name in ("flux-dcgan", "keras-upconv"):
        recipe = RECIPES[name]
        for which, net in zip("GD", recipe.networks(np.random.default_rng(0)), strict=True):
            shapes = [net.in_shape, *net.out_shapes]
            for i, layer in enumerate(net.layers):
                if isinstance(layer, Convolution):
                    yield f"{name} {which}.{i}", layer, shapes[i], recipe.batch_size


def measure(layer, in_shape, batch):
    """{tile in MiB, or "kept": milliseconds}; None for a layer that takes another way."""
    x = np.random.default_rng(0).standard_normal((batch, *in_shape), np.float32)
    dy = layer.forward(x, train=True)[0]
    small, large = (dy, x) if isinstance(layer, Conv2d) else (x, dy)
    if type(layer).__name__ == "UpsampleConv2d" or plan(large, small, layer.windows(large.shape[1:3]))[0] is not im2col:
        return None
    best = dict.fromkeys([*map(str, MIB), "kept"], np.inf)
    for _ in range(7):
        for variant in best:
            im2col.TILE_BYTES = int((8 if variant == "kept" else float(variant)) * 2**20)
            began = time.perf_counter()
            if variant == "kept":
                with_kept_columns(layer, x, dy)
            else:
                layer.backward(*layer.forward(x, train=True))
            best[variant] = min(best[variant], 1e3 * (time.perf_counter() - began))
    return {variant: round(ms, 1) for variant, ms in best.items()}


def with_kept_columns(layer, x, dy):
    """The same three answers, the columns made once."""
    small, image = (dy, x) if isinstance(layer, Conv2d) else (x, dy)
    W, K, windows = layer.W, layer.W.shape[3], layer.windows(image.shape[1:3])
    columns = im2col.im2col(image, windows)
    backend.matmul(columns, W.reshape(-1, K))
    backend.matmul(columns.T, small.reshape(-1, K))
    out = np.empty_like(image)
    im2col.spread(small, W, windows, out)


def table():
    lines = [f"| convolution | {' | '.join(f'{mib} MiB' for mib in MIB)} | kept |", "|---" * (len(MIB) + 2) + "|"]
    lines += [f"| {name} | {' | '.join(map(str, times.values()))} |" for name, times in RESULTS.read().items()]
    return "\n".join(lines)


if __name__ == "__main__":
    if "--table" not in sys.argv:
        backend.keep_memory()
        for name, *given in convolutions():
            if found := measure(*given):
                RESULTS.add(name, found)
    print(table())
