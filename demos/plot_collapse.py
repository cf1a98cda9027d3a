r"""
A generator that collapses
==========================

Nothing in the game asks a generator for variety. If the discriminator takes one drawing for a digit, the best answer
of the generator, as things stand, is to draw nothing else. What keeps it from doing so is that the discriminator learns
at once that this drawing is common among fakes. So let us take that away: in one of two runs the generator moves *ten
times* for each move of the discriminator. All else is the same: the networks, the seed, the images.

Run this file as it is for the whole experiment, or with ``--quick`` for a fifth of it, as on this page.
"""

# %%
# Two runs
# --------

import sys

import matplotlib.pyplot as plt
import numpy as np

from minigan.backend import RandomStream
from minigan.data.batches import Batches
from minigan.data.datasets import load_dataset
from minigan.gan import GANLoss, discriminator_step, generator_step
from minigan.nn import Dense, Dropout, LeakyReLU, Sequential, Tanh
from minigan.nn.init import torch_linear
from minigan.optim import Adam
from minigan.plot import image_grid, to_uint8

QUICK = "--quick" in sys.argv
UPDATES = 1000 if QUICK else 5000  # of the generator
LATENT, BATCH = 64, 64
start = {"init_W": torch_linear, "init_b": torch_linear}
leaky = LeakyReLU(slope=0.2)
images = load_dataset("auto", count=3000).images
batches = Batches(images, BATCH, shape=(784,))

# %%
# How varied are samples? The squared distance between two of them is, on average, twice the sum of the variances of
# their pixels. Its root, divided by the same of the data, is 1 for samples as varied as the data, 0 for copies of one.


def spread(x):
    """√(mean of |a - b|²) over pairs of rows."""
    return np.sqrt(2 * x.var(axis=0).sum())


data_spread = spread(batches.take(np.arange(1000)))


def play(moves):
    """Train with `moves` updates of G for each of D; G, and a list of (updates of G, spread, D's loss, G's loss)."""
    rng = RandomStream(0, "init").host
    G = Sequential(
        [Dense(128, **start), leaky, Dense(256, **start), leaky, Dense(784, **start), Tanh()], (LATENT,), rng=rng
    )
    drop = Dropout(drop=0.3)
    D = Sequential(
        [Dense(256, **start), leaky, drop, Dense(128, **start), leaky, drop, Dense(1, **start)], (784,), rng=rng
    )
    loss = GANLoss(output="logit")
    g_optimizer, d_optimizer = Adam(G, lr=1e-3, beta1=0.5), Adam(D, lr=1e-3, beta1=0.5)
    fixed = RandomStream(0, "preview").normal((200, LATENT))
    history = []
    for update in range(UPDATES):
        noise = RandomStream(0, "latent", update)
        rng = RandomStream(0, "dropout", update)
        if update % moves == 0:
            d = discriminator_step(
                G, D, d_optimizer, loss, batches.batch(update), noise.normal((BATCH, LATENT)), rng=rng
            )
        g = generator_step(G, D, g_optimizer, loss, noise.normal((BATCH, LATENT)), rng=rng)
        if update % (UPDATES // 20) == 0 or update == UPDATES - 1:
            history.append((update + 1, spread(G(fixed)) / data_spread, float(d.loss), float(g.loss)))
    return G(fixed), history


healthy, healthy_history = play(moves=1)
collapsed, collapsed_history = play(moves=10)

# %%
# What they draw
# --------------
#
# Left, one move each; right, ten moves of the generator for one of the discriminator, after the same number of moves of
# the generator.

fig, axes = plt.subplots(1, 2, figsize=(9, 4.8))
for ax, x, title in zip(axes, (healthy, collapsed), ("one move each", "ten moves of G for one of D"), strict=True):
    ax.imshow(image_grid(to_uint8(x[:64].reshape(-1, 28, 28), (-1, 1)), columns=8), cmap="gray")
    ax.set_title(title)
    ax.axis("off")
fig.tight_layout()
plt.show()

# %%
# What shows it, and what does not
# --------------------------------
#
# The losses of the collapsed run are not alarming: near :math:`2\log 2 = 1.39` and :math:`\log 2 = 0.69`, which is
# where theory has them for a *perfect* generator. The generator runs away from whatever the discriminator has just
# learned, so that this never helps it. The spread of the samples shows it at once.

fig, axes = plt.subplots(1, 3, figsize=(11, 3.2))
for history, label in ((healthy_history, "one move each"), (collapsed_history, "ten moves of G")):
    updates, spreads, d_losses, g_losses = np.array(history).T
    for ax, values in zip(axes, (spreads, d_losses, g_losses), strict=True):
        ax.plot(updates, values, label=label)
for ax, title in zip(axes, ("spread (of the data: 1)", "loss of D", "loss of G"), strict=True):
    ax.set_title(title)
    ax.set_xlabel("updates of G")
    ax.grid(alpha=0.3)
axes[0].set_ylim(0, 1.1)
axes[0].legend()
fig.tight_layout()
plt.show()

print(f"spread at the end: {healthy_history[-1][1]:.2f} with one move each, {collapsed_history[-1][1]:.2f} with ten")
assert collapsed_history[-1][1] < 0.4 * healthy_history[-1][1]

# %%
# So: look at a sheet of samples from *fixed* latents, and measure how varied they are; a loss tells how the two players
# stand to each other, not how good either is. Published remedies are to let the discriminator learn more
# (``--d-steps``), to show it several samples at a time (PacGAN), or to give it another distance to measure (Wasserstein).
