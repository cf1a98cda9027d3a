r"""
ReLU against LeakyReLU in the discriminator
===========================================

A generator sees the data only through the gradient that the discriminator passes down to its fakes. At a hidden unit
whose input is negative, ReLU passes nothing. LeakyReLU passes the gradient times a slope, 0.2 here. (The tutorial of
``pytorch-mlp`` calls that "a small negative gradient"; it is a small *positive* factor, for negative inputs.)

How much does it matter? Two discriminators with the *same weights* learn the same steps, one with ReLU, one with
LeakyReLU; we measure the gradient that arrives at the fakes.
"""

# %%
# At the size of the tutorial
# ---------------------------

import sys

import matplotlib.pyplot as plt
import numpy as np

from minigan.backend import RandomStream
from minigan.data.batches import Batches
from minigan.data.datasets import load_dataset
from minigan.gan import GANLoss, discriminator_step
from minigan.nn import Dense, LeakyReLU, ReLU, Sequential, Tanh
from minigan.nn.init import torch_linear
from minigan.optim import Adam

QUICK = "--quick" in sys.argv
STEPS = 200 if QUICK else 1000
LATENT, BATCH = 64, 64
KINDS = {"ReLU": ReLU(), "LeakyReLU": LeakyReLU(slope=0.2)}
LOSS = GANLoss(output="logit")
start = {"init_W": torch_linear, "init_b": torch_linear}
batches = Batches(load_dataset("auto", count=3000).images, BATCH, shape=(784,))


def discriminator(widths, activation, seed):
    """Dense layers of these widths, each with the activation, and a logit."""
    hidden = [layer for width in widths for layer in (Dense(width, **start), activation)]
    return Sequential([*hidden, Dense(1, **start)], (784,), rng=np.random.default_rng(seed))


def generator(seed):
    """A small untrained generator."""
    rng = np.random.default_rng(seed)
    return Sequential([Dense(128, **start), ReLU(), Dense(784, **start), Tanh()], (LATENT,), rng=rng)


def at_the_fakes(D, fakes):
    """For each fake the length of D's gradient; and the share of hidden units that are at rest, whose input is < 0."""
    out, cache = D.forward(fakes, train=True)
    dx = D.backward(np.ones_like(out), cache, need_param_grads=False)
    hidden = [y for layer, y in zip(D.layers, cache.layers, strict=True) if isinstance(layer, (ReLU, LeakyReLU))]
    return np.linalg.norm(dx, axis=1), np.mean([(y <= 0).mean() for y in hidden])


def follow(widths, activation, seed, lr, steps):
    """[(step, mean gradient at the fakes, share of units at rest)], while D learns and G stands still."""
    G, D = generator(seed), discriminator(widths, activation, seed)
    fixed = G(RandomStream(seed, "preview").normal((256, LATENT)))
    optimizer, found = Adam(D, lr=lr), []
    for step in range(steps + 1):
        if step % (steps // 20) == 0:
            lengths, resting = at_the_fakes(D, fixed)
            found.append((step, lengths.mean(), resting))
        z = RandomStream(seed, "latent", step).normal((BATCH, LATENT))
        discriminator_step(G, D, optimizer, LOSS, batches.batch(step), z)
    return np.array(found).T


fig, axes = plt.subplots(1, 2, figsize=(10, 3.6))
for name, activation in KINDS.items():
    steps, lengths, resting = follow((256, 256), activation, seed=0, lr=2e-4, steps=STEPS)
    axes[0].plot(steps, lengths, label=name)
    axes[1].plot(steps, resting, label=name)
    print(f"{name}: gradient at the fakes {lengths[-1]:.3f}, units at rest {resting[-1]:.0%}")
axes[0].set_title("length of the logit's gradient at a fake")
axes[1].set_title("share of D's units at rest")
axes[1].set_ylim(0, 1)
for ax in axes:
    ax.set_xlabel("steps of D, while G stands still")
    ax.grid(alpha=0.3)
    ax.legend()
fig.tight_layout()
plt.show()

# %%
# In a discriminator of two layers of 256 units the difference is small: half of the units are at rest for a given
# fake, the others pass enough. No fake goes without a gradient.
#
# Where it becomes large
# ----------------------
#
# A gradient that has to pass many layers is lost as soon as *one* layer is at rest as a whole, and a narrow layer often
# is. Several seeds for each shape, before any training: the share of fakes at which *no* gradient arrives.

shapes = {"2 × 256": (256,) * 2, "4 × 16": (16,) * 4, "8 × 8": (8,) * 8, "12 × 4": (4,) * 12}
SEEDS = 10 if QUICK else 30
zero = {name: [] for name in KINDS}
for name, activation in KINDS.items():
    for widths in shapes.values():
        none = []
        for seed in range(SEEDS):
            fakes = generator(seed)(RandomStream(seed, "preview").normal((256, LATENT)))
            lengths, _ = at_the_fakes(discriminator(widths, activation, seed), fakes)
            none.append((lengths == 0).mean())
        zero[name].append(np.mean(none))

fig, ax = plt.subplots(figsize=(6, 3.4))
places = np.arange(len(shapes))
for i, (name, shares) in enumerate(zero.items()):
    ax.bar(places + 0.4 * i - 0.2, shares, width=0.38, label=name)
ax.set_xticks(places, [f"{shape.split(' × ')[0]} layers of {shape.split(' × ')[1]}" for shape in shapes], fontsize=8)
ax.set_title("share of fakes that get no gradient at all")
ax.set_ylim(0, 1)
ax.legend()
fig.tight_layout()
plt.show()

for name, shares in zero.items():
    print(f"{name}: " + ", ".join(f"{shape} {share:.0%}" for shape, share in zip(shapes, shares, strict=True)))
assert max(zero["LeakyReLU"]) == 0
assert zero["ReLU"][-1] > 0.1

# %%
# With LeakyReLU some gradient always arrives: eight layers at rest leave :math:`0.2^8` of it, and Adam divides by its
# size. So at the sizes of these tutorials the choice hardly matters, and in narrow and deep networks it decides.
