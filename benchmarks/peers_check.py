"""Does one step of each peer of torch_peers.py give the gradients, averages and buffers that minigan's gives?

python benchmarks/peers_check.py        print by how much they differ, as a share of the largest entry
"""

from __future__ import annotations

import minigan  # noqa: F401 # isort: skip (before NumPy, so that OpenBLAS's threads are told to sleep)

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from step_tables import SYSTEMS
from torch import Tensor
from torch_peers import Peer

from minigan.recipes import RECIPES, Recipe
from minigan.train import Trainer


def deviations(recipe: Recipe, *, joined: bool) -> dict[str, float]:
    """How far, after one step from the same weights and without dropout, a peer's gradients, averages and u lie off
    minigan's, at most, by the largest entry of each."""
    recipe, draws = replace(recipe, dropout=0.0), np.random.default_rng(0)
    images = draws.integers(0, 256, (recipe.batch_size, 28, 28), np.uint8)
    trainer = Trainer(replace(recipe, images=len(images), test_images=False), images)
    peer = Peer(recipe, 0, joined=joined, channels_last=len(recipe.image_shape) == 3)  # whose features are in our order
    for net, fresh in zip((trainer.G, trainer.D), recipe.networks(np.random.default_rng(0)), strict=True):
        net.params[...], net.buffers[...] = fresh.params, fresh.buffers
    trainer.average.params[...] = trainer.G.params
    latents = [draws.standard_normal((recipe.batch_size, recipe.latent_dim), np.float32) for _ in range(2)]
    ours, theirs = iter(latents), iter(latents)
    trainer.latents = lambda *_: next(ours)
    peer.latents = lambda _: torch.from_numpy(next(theirs))
    x = trainer.batches.batch(0)
    trainer.train_step(x)
    peer.step(peer.prepare(x))
    pairs = {
        "D's gradient": (trainer.D.grads, flat(p.grad for p in peer.d_params)),
        "G's gradient": (trainer.G.grads, flat(p.grad for p in peer.g_params)),
    }
    if peer.average:
        count = len(peer.g_params)
        pairs["average"] = trainer.average.params, flat(peer.average[:count])
        pairs["average's statistics"] = np.sort(trainer.average.buffers), np.sort(flat(peer.average[count:]))
    if peer.norms:
        pairs["u"] = trainer.D.buffers, flat(norm.u for norm in peer.norms)
    return {what: float(np.abs(a - b).max() / np.abs(a).max()) for what, (a, b) in pairs.items()}


def flat(tensors: Iterable[Tensor]) -> np.ndarray:
    """A network's tensors as minigan lays them out: one vector, the last axis the outputs."""
    axes = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}
    return np.concatenate([tensor.detach().permute(axes[tensor.ndim]).flatten().numpy() for tensor in tensors])


if __name__ == "__main__":
    for name in SYSTEMS:
        for joined in (False, True):
            found = deviations(RECIPES[name], joined=joined)
            print(name, "joined" if joined else "as the recipe has it", {k: f"{v:.1e}" for k, v in found.items()})
