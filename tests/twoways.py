"""A run's steps by NumPy and by loops, each from the same state: how far apart are what they compute?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from minigan.backend import Array, RandomStream, loops
from minigan.gan import discriminator_step, generator_step, simultaneous_step
from minigan.train import Trainer


@contextmanager
def way(fast: bool, least: int) -> Iterator[None]:
    """While entered, elementwise work on arrays of at least so many numbers is done by loops, or none is."""
    before = loops.FAST, loops.LEAST
    loops.FAST, loops.LEAST = fast, least
    try:
        yield
    finally:
        loops.FAST, loops.LEAST = before


def arrays(trainer: Trainer) -> dict[str, np.ndarray]:
    """What a step changes, by name: not copied."""
    found = {}
    for name, net in trainer.networks.items():
        found |= {f"{name}.params": net.params, f"{name}.grads": net.grads, f"{name}.buffers": net.buffers}
    for name, optimizer in trainer.optimizers.items():
        found |= {f"{name}.{key}": vector for key, vector in optimizer.state().items()}
    return found


def deviations(trainer: Trainer, states: int, *, least: int) -> dict[str, list[float]]:
    """{"losses", "gradients", "moments": at each state the largest |loops - NumPy|, by each array's largest entry}.

    At each of `states` states of the run, which goes on by NumPy, the player's part is played both ways from the same
    weights: D's, then G's with the D that NumPy has made, since Adam turns the sign of a rounding error into a step.

    Where an activation lies within rounding of a kink, such as ReLU's, the two may see it on either side, and it takes
    part in one gradient and not in the other: a difference of 10⁻⁴ to 10⁻² that says nothing of the ways. (With tanh in
    the place of ReLU and LeakyReLU, G's gradient in `flux-dcgan` is 9·10⁻⁷ from the one in float64, with them 6·10⁻⁴.)
    """
    found_apart: dict[str, list[float]] = {"losses": [], "gradients": [], "moments": []}
    worst: dict[str, float] = {}
    G, D, recipe = trainer.G, trainer.D, trainer.recipe
    options = {"feeding": trainer.feeding}

    def both(play) -> None:
        before = {name: array.copy() for name, array in arrays(trainer).items()}
        steps = [optimizer.steps for optimizer in trainer.optimizers.values()]
        found = []
        for fast in (True, False):
            for name, array in arrays(trainer).items():
                array[...] = before[name]
            for optimizer, count in zip(trainer.optimizers.values(), steps, strict=True):
                optimizer.steps = count
            with way(fast, least):
                losses = play(RandomStream(trainer.seed, "dropout", trainer.step))
            found.append(({name: array.copy() for name, array in arrays(trainer).items()}, losses))
        (by_loops, loops_losses), (by_numpy, numpy_losses) = found
        apart = max(abs(a / b - 1) for a, b in zip(loops_losses, numpy_losses, strict=True))
        worst["losses"] = max(worst["losses"], float(apart))
        for name, array in by_numpy.items():
            kind = "gradients" if name.endswith("grads") else "moments" if name.endswith((".m", ".v")) else None
            if kind and abs(array).max() > 0:
                worst[kind] = max(worst[kind], float(abs(by_loops[name] - array).max() / abs(array).max()))

    def play_state(x: Array, z: Array) -> None:
        players, loss = (trainer.g_optimizer, trainer.d_optimizer), trainer.loss
        if recipe.update == "simultaneous":
            both(lambda rng: [r.loss for r in simultaneous_step(G, D, *players, loss, x, z, rng=rng, **options)])
        else:
            both(lambda rng: [discriminator_step(G, D, players[1], loss, x, z, rng=rng, **options).loss])
            both(lambda rng: [generator_step(G, D, players[0], loss, z, rng=rng, **options).loss])

    for _ in range(states):
        worst.update(dict.fromkeys(found_apart, 0.0))
        x = trainer.batches.batch(trainer.step)
        play_state(x, trainer.latents(len(x), RandomStream(trainer.seed, "latent", trainer.step)))
        trainer.step += 1
        for kind, apart in worst.items():
            found_apart[kind].append(apart)
    return found_apart
