r"""
One image for all: a generator that collapses
=============================================

A generator can win its game with a single image. Two runs are made here from the same first weights, the same images
and the same draws; one number differs. One run learns to draw digits, the other draws one pattern for every latent,
and its losses look perfect.

Source: Goodfellow et al., "Generative adversarial nets", 2014, section 6, which calls it "the Helvetica scenario".
"""

import sys
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

from minigan.backend import RandomStream
from minigan.data.batches import Batches
from minigan.data.datasets import load_dataset
from minigan.data.glyphs import load_glyphs
from minigan.gan import discriminator_step, generator_step
from minigan.optim import Adam
from minigan.plot import image_grid, to_uint8
from minigan.recipes import RECIPES

QUICK = "--quick" in sys.argv  # fewer updates, and two runs instead of five

# %%
# How far apart are the samples?
# ------------------------------
#
# Take some images, measure the distance of every pair, and take the mean. (An image is a point with 784 coordinates,
# its pixels; the distance is the usual one, the root of the sum of squares.) If all images are the same, the mean is 0.
# Divided by that of real images, it says how varied the fakes are: 0 is one image over and over, 1 is as varied as the
# data.


def mean_distance(images):
    """The mean of |a - b| over all pairs of different images. Shape: images (N, …); the result is one number."""
    x = images.reshape(len(images), -1).astype(np.float64)
    total = sum(np.linalg.norm(x - one, axis=1).sum() for one in x)
    return total / (len(x) * (len(x) - 1))


def diversity(fakes, real):
    """The mean distance between fakes over that between real images. Shapes: fakes (N, …), real (M, …)."""
    return mean_distance(fakes) / mean_distance(real)


# %%
# The one number that differs
# ---------------------------
#
# Both runs make the same number of updates of ``G``. In a healthy game ``D`` moves before each of them. In the other,
# ``D`` moves only before every tenth, so ``G`` makes ten steps against a discriminator that stands still.
#
# The networks are small ones of the recipe ``pytorch-mlp``, with a higher rate, a shorter memory in Adam
# (:math:`\beta_1 = 0.5`) and dropout in ``D``, so that digits appear within seconds. ``D`` ends in a logit.

RECIPE = replace(
    RECIPES["pytorch-mlp"],
    d_output="logit",
    batch_size=64,
    g_hidden=(128, 128),
    d_hidden=(128, 64),
    lr_g=1e-3,
    lr_d=1e-3,
    beta1=0.5,
    dropout=0.3,
)
LATENTS = RandomStream(0, "preview").normal((100, RECIPE.latent_dim))  # always the same, to see what becomes of them


def networks(recipe=RECIPE, seed=0):
    """G and D with fresh weights."""
    return recipe.networks(RandomStream(seed, "init").host)


def play(G, D, images, *, g_steps, updates, every, recipe=RECIPE, seed=0):
    """Train with `g_steps` updates of G for each update of D, until G has made `updates`.

    Returns curves with a point for `every` updates of G: the diversity of the fakes from LATENTS, and means since the
    last point, of both losses and of D's probability of real (on real images and on fakes).
    """
    g_optimizer, d_optimizer = Adam(G, lr=recipe.lr_g, beta1=recipe.beta1), Adam(D, lr=recipe.lr_d, beta1=recipe.beta1)
    batches = Batches(images, recipe.batch_size, shape=D.in_shape, seed=seed, drop_last=True)
    real = batches.take(np.arange(300))
    curves = {name: [] for name in ("updates", "diversity", "g_loss", "d_loss", "d_real", "d_fake")}
    d_results, g_losses = [], []

    for step in range(updates):
        latent, dropout = RandomStream(seed, "latent", step), RandomStream(seed, "dropout", step)
        z_d, z_g = latent.normal((2, recipe.batch_size, recipe.latent_dim))
        if step % g_steps == 0:
            x = batches.batch(step)
            d = discriminator_step(G, D, d_optimizer, recipe.loss, x, z_d, feeding=recipe.feeding, rng=dropout)
            d_results.append((d.loss, d.prob_real.mean(), d.prob_fake.mean()))
        g = generator_step(G, D, g_optimizer, recipe.loss, z_g, feeding=recipe.feeding, rng=dropout)
        g_losses.append(g.loss)

        if (step + 1) % every == 0:
            values = (step + 1, diversity(G(LATENTS), real), np.mean(g_losses), *np.mean(d_results, axis=0))
            for curve, value in zip(curves.values(), values, strict=True):
                curve.append(float(value))
            d_results, g_losses = [], []
    return curves


def show(ax, fakes, title):
    """Draw images (N, 784) in [-1, 1] as a sheet, ten to a row."""
    pixels = to_uint8(fakes.reshape(-1, 28, 28), RECIPE.value_range)
    ax.imshow(image_grid(pixels), cmap="gray", vmin=0, vmax=255)
    ax.set(xticks=[], yticks=[], title=title)


# %%
# Two runs
# --------
#
# (Without ``--quick`` there are five, with 1, 2, 3, 5 and 10 updates of ``G`` for each of ``D``.)

images = load_dataset("auto", count=3_000 if QUICK else 20_000).images
UPDATES, EVERY = (1_500, 100) if QUICK else (6_000, 200)
PLAYERS = {g_steps: networks() for g_steps in ((1, 10) if QUICK else (1, 2, 3, 5, 10))}
CURVES = {g: play(*PLAYERS[g], images, g_steps=g, updates=UPDATES, every=EVERY) for g in PLAYERS}

figure, axes = plt.subplots(1, 2, figsize=(10, 5.4), layout="constrained")
for ax, g_steps in zip(axes, (1, 10), strict=True):
    show(ax, PLAYERS[g_steps][0](LATENTS), f"updates of G for each of D: {g_steps}")
plt.show()

# %%
# Each sheet shows the same 100 latents. On the right they all give the same picture. That is *mode collapse* at its
# most complete.

figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
ax.axhline(1, color="0.6", linestyle=":")
for g_steps, curves in CURVES.items():
    ax.plot(curves["updates"], curves["diversity"], ".-", label=f"{g_steps}")
    print(f"updates of G for each of D: {g_steps:2}   diversity at the end: {curves['diversity'][-1]:.2f}")
ax.set(xlabel="updates of G", ylabel="diversity (of the data: 1)", ylim=(0, 1.15))
ax.legend(title="updates of G\nfor each of D", loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %%
# What the losses say
# -------------------
#
# If fakes and data could not be told apart, the best ``D`` would answer ½ to everything. Its loss, a sum of two
# cross-entropies, would be :math:`2\log 2 = \log 4 \approx 1.386`, and that of ``G`` :math:`\log 2 \approx 0.693`:
# the dotted lines. Going by the losses, which run would you stop?

figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True, layout="constrained")
for ax, g_steps in zip(axes, (1, 10), strict=True):
    for name, ideal, colour in (("d_loss", np.log(4), "tab:blue"), ("g_loss", np.log(2), "tab:orange")):
        ax.axhline(ideal, color=colour, linestyle=":")
        ax.plot(CURVES[g_steps]["updates"], CURVES[g_steps][name], color=colour, label=f"{name[0].upper()}'s loss")
    ax.set(xlabel="updates of G", title=f"updates of G for each of D: {g_steps}")
axes[0].set(ylabel="loss (nats)", ylim=(0, None))
axes[1].legend(loc="lower right")
plt.show()

print("updates of G for each of D    G's loss  D's loss   D(x)  D(G(z))  diversity")
for g_steps, curves in CURVES.items():
    _, varied, g_loss, d_loss, d_real, d_fake = (curve[-1] for curve in curves.values())
    print(f"{g_steps:26}    {g_loss:8.3f}  {d_loss:8.3f}   {d_real:.2f}  {d_fake:7.2f}  {varied:9.2f}")

# %%
# The losses of the collapsed run settle on the ideal values, and those of the run that draws digits do not come as
# near. (The table has the means over the last interval; ``D(x)`` and ``D(G(z))`` are the mean answers of ``D`` to real
# images and to fakes.)
#
# ``D`` does answer about ½ to everything in the collapsed run, but not because fakes and data are alike. It meets one
# pattern, learns a little against it, and then ten steps carry ``G`` to another one, about which ``D`` has learned
# nothing.
#
# Why can the losses not tell? Each is a mean over single images: every fake is judged by itself, and no term looks at
# two of them together. One image drawn 64 times has the same loss as 64 different ones with the same answers. A sheet
# of samples shows it at once, and so does a number that compares fakes with one another.
#
# The same advice for everybody
# -----------------------------
#
# What ``D`` tells ``G`` about an image is a direction: the gradient of its logit with respect to the pixels, the way in
# which the image would look more real (:doc:`/generator`). Do different images get different advice? The cosine of the
# angle between two directions is 1 if they are the same and 0 if they are at right angles. We take its mean over all
# pairs of 100 *real* images, which are as varied as can be:


def agreement(D, x):
    """The mean cosine between the gradients of D's logit at different images. Shape: x (N, 784); one number."""
    out, cache = D.forward(x, train=False)
    dx = D.backward(np.ones_like(out), cache, need_param_grads=False)
    unit = dx / np.linalg.norm(dx, axis=1, keepdims=True)
    cosines = unit @ unit.T
    return (cosines.sum() - len(x)) / (len(x) * (len(x) - 1))


real = Batches(images, 100, shape=(784,)).take(np.arange(100))
for g_steps, (_, D) in PLAYERS.items():
    print(f"updates of G for each of D: {g_steps:2}   mean cosine of the advice: {agreement(D, real):.2f}")

# %%
# The discriminator of the collapsed run gives much the same advice to every image. It never had to learn more: all
# the fakes that it has met in one update were the same, so one direction tells them from the data. And fakes that are
# all moved in one direction stay together. Only a ``D`` that keeps up with ``G`` learns advice that depends on the
# image, and only such advice makes the fakes part. (It is a tendency and no threshold: with two updates of ``G`` for
# each of ``D`` a full run still draws varied digits, and its advice has a mean cosine of about 0.7.)
#
# Digits do not protect
# ---------------------
#
# Is it only a bad start? Take the two players of the healthy run, who draw digits, and let them play on, now with ten
# updates of ``G`` for each of ``D``:

G, D = PLAYERS[1]
before = G(LATENTS)
later = play(G, D, images, g_steps=10, updates=UPDATES, every=UPDATES // 5, seed=1)
print("diversity:", *(f"{value:.2f}" for value in later["diversity"]))

figure, axes = plt.subplots(2, 1, figsize=(7, 3.4), layout="constrained")
show(axes[0], before[:20], "digits …")
show(axes[1], G(LATENTS[:20]), f"… and the same latents after {UPDATES:,} updates of G, ten for each of D")
plt.show()

# %%
# What the number does not say
# ----------------------------
#
# It finds a complete collapse and no more. Random noise is varied as well, so a high number is no praise. And images of
# one digit alone are nearly as far apart as those of all ten, because they differ in slant, width and stroke. Measured
# on minigan's own digits, which have labels:

digits, labels = load_glyphs(2_000)
alone = [diversity(digits[labels == digit][:100], digits[:300]) for digit in range(10)]
print(f"one digit alone: diversity from {min(alone):.2f} to {max(alone):.2f}, mean {np.mean(alone):.2f}")

# %%
# So a generator that has forgotten nine of the ten digits would pass. To find that out, a classifier has to count the
# digits (:doc:`/results` does so).
