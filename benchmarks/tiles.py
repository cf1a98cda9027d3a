"""How large should the tiles of a convolution be? Each of the recipes' convolutions, forward and both gradients.

    python benchmarks/tiles.py             measure, store results/tiles.json, print the table
    python benchmarks/tiles.py --table     print the table of the stored results

Milliseconds for a full batch, the least of seven rounds in which the sizes take turns.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from results import Results

from minigan import nn
from minigan.nn import im2col
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
                if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                    yield f"{name} {which}.{i}", layer, shapes[i], recipe.batch_size


def measure(layer, in_shape, batch):
    """{tile in MiB: milliseconds}."""
    x = np.random.default_rng(0).standard_normal((batch, *in_shape), np.float32)
    best = dict.fromkeys(MIB, np.inf)
    for _ in range(7):
        for mib in MIB:
            im2col.TILE_BYTES = int(mib * 2**20)
            began = time.perf_counter()
            y, cache = layer.forward(x, train=True)
            layer.backward(y, cache)
            best[mib] = min(best[mib], 1e3 * (time.perf_counter() - began))
    return {str(mib): round(ms, 1) for mib, ms in best.items()}


def table():
    lines = [f"| convolution | {' | '.join(f'{mib} MiB' for mib in MIB)} |", "|---" * (len(MIB) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(map(str, times.values()))} |" for name, times in RESULTS.read().items()]
    return "\n".join(lines)


if __name__ == "__main__":
    if "--table" not in sys.argv:
        for name, *given in convolutions():
            RESULTS.add(name, measure(*given))
    print(table())
