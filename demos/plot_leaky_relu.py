r"""
ReLU or LeakyReLU: the gradient that reaches the generator
==========================================================

What the generator learns from is a gradient that comes back through the discriminator. A ReLU passes it on where its
input is positive and stops it elsewhere; that is why GANs are advised to use LeakyReLU in the discriminator. How much
more comes through? Two discriminators with the same weights are measured here. In wide ones the answer is: little, and
not always more. In narrow and deep ones it is: everything.

Source: the advice is that of Radford, Metz & Chintala, "Unsupervised representation learning with deep convolutional
generative adversarial networks", 2016.
"""

import sys
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm

from minigan.backend import RandomStream
from minigan.data.batches import Batches
from minigan.data.datasets import load_dataset
from minigan.gan import GANLoss, discriminator_step, generator_step
from minigan.nn import Dense, LeakyReLU, ReLU, Sequential, Tanh
from minigan.nn.init import torch_linear
from minigan.optim import Adam

QUICK = "--quick" in sys.argv  # fewer steps and fewer seeds

# %%
# What each passes back
# ---------------------
#
# A unit takes an input, of either sign, and on the way back it takes a gradient, of either sign. Two inputs, two
# gradients, and a slope of 0.2:

x, dy = np.array([3.0, 3.0, -3.0, -3.0]), np.array([1.0, -1.0, 1.0, -1.0])
print("input                ", x)
print("gradient that arrives", dy)
for layer in (ReLU(), LeakyReLU(slope=0.2)):
    _, cache = layer.forward(x, train=True)
    print(f"{layer!r:21}", layer.input_grad(dy, cache) + 0.0)  # + 0.0 makes -0 a 0

# %%
# For a negative input ReLU passes nothing, and LeakyReLU 0.2 times what arrives, with its sign. (It is often said that
# it passes "a small negative gradient". It does not: a positive gradient stays positive.)
#
# Two discriminators with the same weights
# ----------------------------------------
#
# The activation has no weights, so from the same seed both start alike. The sizes are those of the recipe
# ``pytorch-mlp``: two hidden layers of 256 units. Both discriminators end in a logit, whose gradient with respect to
# a fake we measure: whatever the loss of ``G`` is, its gradient is a multiple of this one.

INIT = {"init_W": torch_linear, "init_b": torch_linear}
LOSS = GANLoss(output="logit")
ACTIVATIONS = {"ReLU": ReLU(), "LeakyReLU": LeakyReLU(slope=0.2)}


def generator(hidden, seed, *, latents=64):
    """z (N, latents) to images (N, 784) in [-1, 1]."""
    layers = [Dense(hidden, **INIT), LeakyReLU(slope=0.2), Dense(784, **INIT), Tanh()]
    return Sequential(layers, (latents,), rng=RandomStream(seed, "init").host)


def discriminator(activation, hidden, seed, *, inputs=784):
    """x (N, inputs) to logits (N, 1). The seed decides the weights, whatever the activation."""
    layers = [layer for size in hidden for layer in (Dense(size, **INIT), activation)]
    return Sequential([*layers, Dense(1, **INIT)], (inputs,), rng=RandomStream(seed, "init", 1).host)


def look(D, x):
    """How D's logit depends on each image, and who is silent.

    Returns the lengths of the gradients of the logit with respect to x, (N,), and for each hidden layer the share of
    (image, unit) pairs whose input is negative: the units that a ReLU makes silent.
    """
    out, cache = D.forward(x, train=True)
    dx = D.backward(np.ones_like(out), cache, need_param_grads=False)
    hidden = [y for layer, y in zip(D.layers, cache.layers, strict=True) if isinstance(layer, ReLU | LeakyReLU)]
    return np.linalg.norm(dx, axis=1), np.array([(y <= 0).mean() for y in hidden])


# %%
# ``G`` is fresh and stays as it is; each ``D`` is trained for a while on digits and fakes, the same for both.

images = load_dataset("auto", count=3_000).images
STOPS = (0, 3, 10, 30, 100, 300) if QUICK else (0, 3, 10, 30, 100, 300, 1000, 3000)
lengths, silent = {name: [] for name in ACTIVATIONS}, {name: [] for name in ACTIVATIONS}
batches = Batches(images, 100, shape=(784,))
G = generator(256, seed=0)
fakes = G(RandomStream(0, "preview").normal((200, 64)))
for name, activation in ACTIVATIONS.items():
    D = discriminator(activation, (256, 256), seed=0)
    d_optimizer = Adam(D, lr=2e-4)
    for step in range(STOPS[-1] + 1):
        if step in STOPS:
            length, shares = look(D, fakes)
            lengths[name].append(length.mean())
            silent[name].append(shares)
        latents = RandomStream(0, "latent", step).normal((100, 64))
        discriminator_step(G, D, d_optimizer, LOSS, batches.batch(step), latents)

print("          mean length of the gradient        share of negative inputs")
print("steps      ReLU  LeakyReLU  one/other           ReLU  LeakyReLU")
for i, step in enumerate(STOPS):
    relu, leaky = lengths["ReLU"][i], lengths["LeakyReLU"][i]
    shares = silent["ReLU"][i].mean(), silent["LeakyReLU"][i].mean()
    print(f"{step:5} {relu:9.3f} {leaky:10.3f} {leaky / relu:10.2f} {shares[0]:14.2f} {shares[1]:10.2f}")

# %%
# The gradients are about equally long, and which is longer depends on when one looks. About half of the units are
# silent behind a ReLU, and it makes little difference.
#
# Why so little?
# --------------
#
# Say that a share :math:`s` of a layer's inputs is negative, and that all units contribute alike. The squared length of
# the gradient is a sum over units, and a slope of 0.2 counts as :math:`0.2^2 = 0.04`. So a ReLU keeps the share
# :math:`1 - s` of it and LeakyReLU :math:`1 - s + 0.04 s`. The lengths differ by the factor
#
# .. math:: \sqrt{\frac{1 - s + 0.04\,s}{1 - s}}.


def factor(s):
    """How much longer a gradient comes out of LeakyReLU(0.2) than out of ReLU, if a share s of inputs is negative."""
    return np.sqrt((1 - s + 0.2**2 * s) / (1 - s))


for s in (0.5, 0.9, 0.99, 0.999):
    print(f"{s:5.1%} of the inputs negative: {factor(s):.2f} times as long")
told, measured = factor(silent["ReLU"][0]).prod(), lengths["LeakyReLU"][0] / lengths["ReLU"][0]
print(f"the two layers above, before training: {told:.3f} by the formula, {measured:.3f} measured")

# %%
# With one half of the units silent it is 2 % for each layer. It takes 99 % for a factor of two. And if *all* units of a
# layer are silent, ReLU passes nothing at all, and the factor is infinite. So what counts is how often that happens.
#
# Narrow and deep
# ---------------
#
# In a fresh discriminator the input of a unit is negative or positive like a coin, because its weights and its bias are
# drawn from around 0. All :math:`w` units of a layer are silent with probability :math:`2^{-w}`, and one such layer out
# of :math:`d` is enough to cut the way back:
#
# .. math:: P = 1 - (1 - 2^{-w})^d.
#
# For a width of 256 that is nothing, for 4 it is a lot. Below is the share of fakes whose gradient is *exactly* 0: as
# the formula tells it, measured with fresh weights, and measured after some training with a high rate, 0.01.

WIDTHS, DEPTHS = (4, 8, 16), (2, 4, 8)
FRESH, SEEDS, STEPS = (100, 15, 60) if QUICK else (1_000, 60, 300)
BATCH, FEW = 32, 16  # images in a batch, and latents of the small G
small_batches = Batches(images, BATCH, shape=(784,))


def without_gradient(D, x):
    """The share of images whose gradient is exactly 0 in every pixel."""
    return (look(D, x)[0] == 0).mean()


def fresh(activation, hidden, seed):
    """A small G, D of the given sizes, and 50 fakes."""
    G = generator(32, seed, latents=FEW)
    return G, discriminator(activation, hidden, seed), G(RandomStream(seed, "preview").normal((50, FEW)))


def train(D, G, batches, *, steps, seed):
    """Train D alone against G."""
    d_optimizer = Adam(D, lr=1e-2)
    for step in range(steps):
        latents = RandomStream(seed, "latent", step).normal((BATCH, FEW))
        discriminator_step(G, D, d_optimizer, LOSS, batches.batch(step), latents)


def survey(activation, *, seeds, steps):
    """The mean share of fakes without a gradient, for each width (rows) and depth (columns)."""
    shares = np.zeros((len(WIDTHS), len(DEPTHS)))
    for (i, width), (j, depth) in product(enumerate(WIDTHS), enumerate(DEPTHS)):
        for seed in range(seeds):
            G, D, fakes = fresh(activation, [width] * depth, seed)
            train(D, G, small_batches, steps=steps, seed=seed)
            shares[i, j] += without_gradient(D, fakes) / seeds
    return shares


panels = {
    "ReLU, by the formula": np.array([[1 - (1 - 2.0**-width) ** depth for depth in DEPTHS] for width in WIDTHS]),
    "ReLU, fresh": survey(ACTIVATIONS["ReLU"], seeds=FRESH, steps=0),
    f"ReLU, after {STEPS} steps": survey(ACTIVATIONS["ReLU"], seeds=SEEDS, steps=STEPS),
    f"LeakyReLU, after {STEPS} steps": survey(ACTIVATIONS["LeakyReLU"], seeds=SEEDS // 5, steps=STEPS),
}

figure, axes = plt.subplots(1, 4, figsize=(11, 3.7), sharey=True, layout="constrained")
for ax, (title, shares) in zip(axes, panels.items(), strict=True):
    ax.imshow(shares, vmin=0, vmax=1, cmap="Reds")
    for i, j in np.ndindex(*shares.shape):
        ax.text(j, i, f"{shares[i, j]:.0%}", ha="center", va="center", color="white" if shares[i, j] > 0.6 else "black")
    ax.set_title(title, fontsize="medium")
    ax.set_xlabel("hidden layers")
    ax.set_xticks(range(len(DEPTHS)), DEPTHS)
    ax.set_yticks(range(len(WIDTHS)), WIDTHS)
axes[0].set_ylabel("units in each")
figure.suptitle("fakes whose gradient is exactly 0")
plt.show()

# %%
# Fresh discriminators do as the formula tells, but for the chance of so many seeds. Training can make it worse: to
# answer all fakes alike ``D`` needs no more than the bias of its last layer, and a high rate drives units below 0 for
# good.
#
# LeakyReLU has no such zeros. Whatever path the gradient takes, each layer multiplies it by 1 or by 0.2, so that
# through 8 silent layers there still comes :math:`0.2^8`, or 0.0000026 times as much. That is little, but Adam does not
# mind (:doc:`plot_minimax`).
#
# What it means for the generator
# -------------------------------
#
# A fake whose gradient is 0 teaches ``G`` nothing. If that holds for all fakes, ``G`` does not move, however long it is
# trained and with whatever optimiser. Take discriminators of 8 layers of 4 units, trained alone as above, and let both
# players make 50 updates each. How many of the generators are where they were, to the bit?

PAIRS = 10 if QUICK else 20
for name, activation in ACTIVATIONS.items():
    unmoved = 0
    for seed in range(PAIRS):
        G, D, _ = fresh(activation, [4] * 8, seed)
        train(D, G, small_batches, steps=STEPS, seed=seed)
        g_optimizer, d_optimizer, start = Adam(G, lr=1e-3), Adam(D, lr=1e-3), G.params.copy()
        for step in range(50):
            z_d, z_g = RandomStream(seed, "latent", STEPS + step).normal((2, BATCH, FEW))
            discriminator_step(G, D, d_optimizer, LOSS, small_batches.batch(step), z_d)
            generator_step(G, D, g_optimizer, LOSS, z_g)
        unmoved += np.array_equal(G.params, start)
    print(f"{name:9}: {unmoved:2} of {PAIRS} generators have not moved")

# %%
# A picture of it
# ---------------
#
# With points in the plane for images one can look at the whole of ``D``. The real points lie on a ring, the fakes are a
# cloud in its middle. The two discriminators have two layers of 4 units, again the same weights, and are trained alike.


def ring(n, rng):
    """n points near a circle of radius 2. Shape: (n, 2)."""
    angle = rng.uniform(0, 2 * np.pi, n)
    return 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.1 * rng.standard_normal((n, 2))


def plane_players(activation, width, seed, *, steps=400):
    """A discriminator of points (N, 2), trained alone; and 200 fakes of the kind that it was trained on."""
    rng = np.random.default_rng(seed)
    G = Sequential([Dense(2)], (2,), rng=rng, dtype=np.float64)  # its latents are a cloud already
    layers = [Dense(width), activation, Dense(width), activation, Dense(1)]
    D = Sequential(layers, (2,), rng=rng, dtype=np.float64)
    d_optimizer = Adam(D, lr=1e-2)
    for _ in range(steps):
        discriminator_step(G, D, d_optimizer, LOSS, ring(64, rng), 0.5 * rng.standard_normal((64, 2)))
    return D, G(0.5 * rng.standard_normal((200, 2)))


side = np.linspace(-3, 3, 201)
points = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), sharey=True, layout="constrained")
for ax, (name, activation) in zip(axes, ACTIVATIONS.items(), strict=True):
    D, fakes = plane_players(activation, 4, seed=2)
    length = look(D, points)[0].reshape(len(side), len(side))
    shown = np.ma.masked_equal(length, 0)
    picture = ax.pcolormesh(side, side, shown, cmap="Blues", norm=LogNorm(0.05, 30), rasterized=True)
    ax.plot(*ring(200, np.random.default_rng(0)).T, ".", color="black", markersize=4, label="real")
    ax.plot(*fakes.T, ".", color="tab:red", markersize=4, label="fake")
    ax.set(title=f"{name}: {without_gradient(D, fakes):.0%} of the fakes get no gradient", aspect="equal")
    ax.set_facecolor("gold")
axes[0].legend(loc="upper right")
figure.colorbar(picture, ax=axes, label="length of the logit's gradient (0: yellow)")
plt.show()

# %%
# In the yellow field every unit of a layer is silent. ``D`` answers all points there with one and the same number,
# which is right, for they are all fakes; and it says nothing about where the real ones are. LeakyReLU has no such
# field, though its gradient is small in the same place. This seed is no rare one:

for width in (4, 16):
    shares = [without_gradient(*plane_players(ACTIVATIONS["ReLU"], width, seed)) for seed in range(6)]
    print(f"ReLU, {width:2} units: fakes without a gradient, for six seeds:", *(f"{share:4.0%}" for share in shares))

# %%
# So the reason that is given for LeakyReLU is right, and easily overrated. In a discriminator of hundreds of units the
# gradient that reaches ``G`` was never a third longer, and in the end shorter. LeakyReLU is an insurance against the
# case in which nothing reaches it, and that case needs layers that are narrow, or a training that has silenced nearly
# all of their units.
