r"""
Minimax against non-saturating
==============================

The generator wants the discriminator to be wrong about its fakes. There are two ways to say so. With :math:`x` the
discriminator's logit of a fake and :math:`p = \sigma(x)` its probability of *real*,

- *minimax*: minimise :math:`\log(1 - p)`, the opposite of the discriminator's own term;
- *non-saturating*: minimise :math:`-\log p`.

Both fall as :math:`p` rises. But a discriminator learns faster than a generator, and soon :math:`p` is tiny:

.. math::

    \frac{d}{dx}\log(1 - \sigma(x)) = -p, \qquad \frac{d}{dx}\bigl(-\log \sigma(x)\bigr) = -(1 - p).

The first vanishes exactly where the generator is worst, the second is then largest (Goodfellow et al., 2014,
section 3).
"""

# %%
# One sample at a time
# --------------------
#
# The quotient of the two gradients is :math:`p / (1 - p)`, for every sample by itself:

import sys

import matplotlib.pyplot as plt
import numpy as np

from minigan.backend import RandomStream
from minigan.data.batches import Batches
from minigan.data.datasets import load_dataset
from minigan.gan import GANLoss, discriminator_step, generator_step
from minigan.nn import Dense, LeakyReLU, Sequential, Tanh, sigmoid
from minigan.nn.init import torch_linear
from minigan.optim import Adam

QUICK = "--quick" in sys.argv
LOSSES = {name: GANLoss(generator=name, output="logit") for name in ("minimax", "non_saturating")}

x = np.linspace(-12, 4, 9).reshape(-1, 1)
p = sigmoid(x)
minimax, non_saturating = (loss.for_generator(x)[1] for loss in LOSSES.values())
print("      p   minimax / non-saturating   p / (1 - p)")
for row in np.hstack([p, minimax / non_saturating, p / (1 - p)]):
    print("{:7.1e} {:20.3e} {:18.3e}".format(*row))
assert np.allclose(minimax / non_saturating, p / (1 - p), rtol=1e-9)

# %%
# A whole generator
# -----------------
#
# Now a discriminator learns against a generator that stands still. Every so often, from the same weights and the same
# latents, the gradient of the generator's weights is taken under both losses, and its length measured.

LATENT, BATCH, STEPS = 64, 64, 200 if QUICK else 1000
start = {"init_W": torch_linear, "init_b": torch_linear}
leaky = LeakyReLU(slope=0.2)
batches = Batches(load_dataset("auto", count=3000).images, BATCH, shape=(784,))


def players():
    """A fresh G and D, always the same."""
    rng = RandomStream(0, "init").host
    G = Sequential(
        [Dense(128, **start), leaky, Dense(256, **start), leaky, Dense(784, **start), Tanh()], (LATENT,), rng=rng
    )
    D = Sequential([Dense(256, **start), leaky, Dense(128, **start), leaky, Dense(1, **start)], (784,), rng=rng)
    return G, D


def gradient_of_G(G, D, loss, z):
    """The length of the gradient that reaches G's weights, and D's mean probability of real for its fakes."""
    fakes, cache_G = G.forward(z, train=True)
    out, cache_D = D.forward(fakes, train=True)
    dx = D.backward(loss.for_generator(out)[1], cache_D, need_param_grads=False)
    G.backward(dx, cache_G, need_input_grad=False)
    return np.linalg.norm(G.grads), sigmoid(out).mean()


G, D = players()
d_optimizer = Adam(D, lr=2e-4)
z = RandomStream(0, "preview").normal((256, LATENT))
measured = []
for step in range(STEPS + 1):
    if step % (STEPS // 20) == 0:
        (a, p_fake), (b, _) = (gradient_of_G(G, D, loss, z) for loss in LOSSES.values())
        measured.append((step, p_fake, a, b))
    latents = RandomStream(0, "latent", step).normal((BATCH, LATENT))
    discriminator_step(G, D, d_optimizer, LOSSES["minimax"], batches.batch(step), latents)

steps, p_fakes, minimax, non_saturating = np.array(measured).T
fig, axes = plt.subplots(1, 2, figsize=(10, 3.6))
axes[0].semilogy(steps, non_saturating, label="non-saturating")
axes[0].semilogy(steps, minimax, label="minimax")
axes[0].set_title("length of the gradient of G's weights")
axes[0].legend()
axes[1].semilogy(steps, p_fakes, color="black")
axes[1].set_title("D's probability of real for fakes")
for ax in axes:
    ax.set_xlabel("steps of D, while G stands still")
    ax.grid(alpha=0.3)
fig.tight_layout()
plt.show()

print(f"after {STEPS} steps of D alone: non-saturating {non_saturating[-1]:.2e}, minimax {minimax[-1]:.2e}")
assert minimax[-1] < 0.05 * non_saturating[-1]

# %%
# Both play
# ---------
#
# What it means for a game: the discriminator is given that head start, then both move in turn. With the non-saturating
# loss the generator is strongest when it is furthest behind; with the minimax loss the discriminator gets away.

GAME = 300 if QUICK else 3000
curves = {}
for name, loss in LOSSES.items():
    G, D = players()
    g_optimizer, d_optimizer = Adam(G, lr=2e-4), Adam(D, lr=2e-4)
    curves[name] = []
    for step in range(STEPS + GAME):
        noise = RandomStream(0, "latent", step)
        d = discriminator_step(G, D, d_optimizer, loss, batches.batch(step), noise.normal((BATCH, LATENT)))
        if step >= STEPS:
            generator_step(G, D, g_optimizer, loss, noise.normal((BATCH, LATENT)))
            curves[name].append(float(d.prob_fake.mean()))

fig, ax = plt.subplots(figsize=(6, 3.4))
for name, curve in curves.items():
    smooth = np.convolve(curve, np.ones(10) / 10, mode="valid")
    ax.semilogy(np.arange(len(smooth)) + 10, smooth, label=name.replace("_", "-"))
ax.set_title("D's probability of real for fakes, after a head start of D")
ax.set_xlabel("steps of both (mean of ten)")
ax.grid(alpha=0.3)
ax.legend()
fig.tight_layout()
plt.show()

# %%
# Adam divides each gradient by its own recent size and so hides some of it: a gradient that is small but steady still
# moves the weights. With plain gradient descent the generator would stand still. Both losses are one flag of every
# recipe: ``minigan train pytorch-mlp --g-loss minimax``.
