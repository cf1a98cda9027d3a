"""A run's steps by NumPy and by loops, each from the same state: how far apart are what they compute?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from minigan.backend import Array, RandomStream, loops
from minigan.gan import discriminator_step, generator_step, simultaneous_step
from minigan.nn import Sequential
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


def deviations(trainer: Trainer, states: int, *, least: int) -> dict[str, float]:
    """{"losses", "gradients", "moments": the largest |loops - NumPy| in units of each array's largest entry}.

    At each of `states` states of the run, which goes on by NumPy, the player's part is played both ways from the same
    weights: D's, then G's with the D that NumPy has made, since Adam turns the sign of a rounding error into a step.
    """
    worst = {"losses": 0.0, "gradients": 0.0, "moments": 0.0}
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
        x = trainer.batches.batch(trainer.step)
        play_state(x, trainer.latents(len(x), RandomStream(trainer.seed, "latent", trainer.step)))
        trainer.step += 1
    return worst


def errors(trainer: Trainer, *, least: int) -> tuple[float, float]:
    """How far G's gradient by NumPy and by loops is from the same in float64, in units of its largest entry.

    Where D's answer to all fakes is nearly the same gradient, BatchNorm takes away nearly all of it, and float32 leaves
    few digits of the rest, whoever computes.
    """
    recipe, networks = trainer.recipe, {np.float32: (trainer.G, trainer.D)}
    wide = []
    for layers, net in zip(recipe.layers(), networks[np.float32], strict=True):
        made = Sequential(layers, net.in_shape, rng=np.random.default_rng(0), dtype=np.float64)
        made.params, made.buffers = net.params, net.buffers
        wide.append(made)
    networks[np.float64] = tuple(wide)
    z = trainer.latents(recipe.batch_size, RandomStream(trainer.seed, "latent", trainer.step))

    def gradient(dtype, fast: bool) -> np.ndarray:
        (G, D), rng = networks[dtype], RandomStream(trainer.seed, "dropout", trainer.step)
        with way(fast, least):
            x, cache = G.forward(z.astype(dtype), train=True, rng=rng)
            out, cache_D = D.forward(x, train=True, rng=rng)
            dx = D.backward(trainer.loss.for_generator(out)[1], cache_D, need_param_grads=False)
            G.backward(dx, cache, need_input_grad=False)
        return G.grads.astype(float)

    exact = gradient(np.float64, False)
    found = (abs(gradient(np.float32, fast) - exact).max() / abs(exact).max() for fast in (False, True))
    return tuple(map(float, found))
