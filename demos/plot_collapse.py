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
# Take some images, measure the distance of every pair, and take the mean. (An image is a point with 784 coordinates, its
# pixels; the distance is the usual one, the root of the sum of squares.) If all images are the same, the mean is 0.
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
# (:math:`\beta_1 = 0.5`) and dropout in ``D``, so that digits appear within seconds.

RECIPE = replace(
    RECIPES["pytorch-mlp"],
    batch_size=64,
    g_hidden=(256,),
    d_hidden=(128, 64),
    lr_g=1e-3,
    lr_d=1e-3,
    beta1=0.5,
    dropout=0.3,
)


def play(images, *, g_steps, updates, every, recipe=RECIPE, seed=0):
    """Train with `g_steps` updates of G for each update of D, until G has made `updates`.

    Returns both networks, a dictionary of curves with one point for `every` updates of G (the losses and D's two mean
    probabilities of real are means since the last point), and the last fakes (100, 784).
    """
    G, D = recipe.networks(RandomStream(seed, "init").host)
    g_optimizer, d_optimizer = Adam(G, lr=recipe.lr_g, beta1=recipe.beta1), Adam(D, lr=recipe.lr_d, beta1=recipe.beta1)
    batches = Batches(images, recipe.batch_size, shape=D.in_shape, seed=seed, drop_last=True)
    real = batches.take(np.arange(min(300, len(images))))
    preview = RandomStream(seed, "preview").normal((100, recipe.latent_dim))
    curves = {name: [] for name in ("updates", "diversity", "d_loss", "g_loss", "d_real", "d_fake")}
    d_results, g_losses = [], []

    for step in range(updates):
        latent, dropout = RandomStream(seed, "latent", step), RandomStream(seed, "dropout", step)
        z_d, z_g = latent.normal((2, recipe.batch_size, recipe.latent_dim))
        if step % g_steps == 0:
            d = discriminator_step(G, D, d_optimizer, recipe.loss, batches.batch(step), z_d, rng=dropout)
            d_results.append((d.loss, d.prob_real.mean(), d.prob_fake.mean()))
        g_losses.append(generator_step(G, D, g_optimizer, recipe.loss, z_g, rng=dropout).loss)
        if (step + 1) % every == 0:
            d_means = np.mean(d_results, axis=0)
            values = (step + 1, diversity(G(preview), real), d_means[0], np.mean(g_losses), *d_means[1:])
            for curve, value in zip(curves.values(), values, strict=True):
                curve.append(float(value))
            d_results, g_losses = [], []
    return G, D, curves, G(preview)


# %%
# Two runs
# --------
#
# (Without ``--quick`` there are five, with 1, 2, 3, 5 and 10 updates of ``G`` for each of ``D``.)

images = load_dataset("auto", count=3_000 if QUICK else 20_000).images
UPDATES, EVERY = (1_500, 100) if QUICK else (6_000, 200)
G_STEPS = (1, 10) if QUICK else (1, 2, 3, 5, 10)
RUNS = {g_steps: play(images, g_steps=g_steps, updates=UPDATES, every=EVERY) for g_steps in G_STEPS}
HEALTHY, COLLAPSED = RUNS[1], RUNS[10]

figure, axes = plt.subplots(1, 2, figsize=(10, 5.4), layout="constrained")
for ax, g_steps in zip(axes, (1, 10), strict=True):
    fakes = to_uint8(RUNS[g_steps][3].reshape(-1, 28, 28), RECIPE.value_range)
    ax.imshow(image_grid(fakes), cmap="gray", vmin=0, vmax=255)
    ax.set(xticks=[], yticks=[], title=f"{g_steps} update{'s' if g_steps > 1 else ''} of G for each of D")
plt.show()

# %%
# Each sheet shows 100 latents. On the right all 100 give the same picture. That is *mode collapse* at its most complete.

figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for g_steps, (_, _, curves, _) in RUNS.items():
    ax.plot(curves["updates"], curves["diversity"], ".-", label=f"{g_steps}")
    print(f"{g_steps:2} updates of G for each of D: diversity {curves['diversity'][-1]:.2f} at the end")
ax.axhline(1, color="0.6", linestyle=":")
ax.set(xlabel="updates of G", ylabel="diversity (data: 1)", ylim=(0, 1.1))
ax.legend(title="updates of G\nfor each of D", loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %%
# What the losses say
# -------------------
#
# If fakes and data could not be told apart, the best ``D`` would answer ½ to everything. Its loss, a sum of two
# cross-entropies, would be :math:`2\log 2 = \log 4 \approx 1.386`, and that of ``G`` :math:`\log 2 \approx 0.693`:
# the dotted lines. So which run would you stop?

figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True, layout="constrained")
for ax, (g_steps, run) in zip(axes, ((1, HEALTHY), (10, COLLAPSED)), strict=True):
    curves = run[2]
    for name, best, colour in (("d_loss", np.log(4), "tab:blue"), ("g_loss", np.log(2), "tab:orange")):
        ax.axhline(best, color=colour, linestyle=":")
        ax.plot(curves["updates"], curves[name], color=colour, label=f"{name[0].upper()}'s loss")
    ax.set(xlabel="updates of G", title=f"{g_steps} update{'s' if g_steps > 1 else ''} of G for each of D")
    ax.set_ylim(bottom=0)
axes[0].set_ylabel("loss (nats)")
axes[1].legend(loc="upper right")
plt.show()

# %%
# The losses of the collapsed run settle on the ideal values, and those of the run that draws digits stay away from
# them. Here is the end of both (means over the last interval):

print("updates of G   D's loss  G's loss   D(x)  D(G(z))   diversity")
for g_steps, (_, _, curves, _) in RUNS.items():
    last = {name: curve[-1] for name, curve in curves.items()}
    print(
        f"{g_steps:2} for each of D  {last['d_loss']:.3f}    {last['g_loss']:.3f}    {last['d_real']:.2f}   "
        f"{last['d_fake']:.2f}      {last['diversity']:.2f}"
    )

# %%
# ``D`` answers about ½ to everything in the collapsed run too, but for another reason. It meets one pattern, learns a
# little against it, and then ten steps carry ``G`` to another pattern, about which ``D`` has learned nothing.
#
# Why can the losses not tell? Each is a mean over single images: every fake is judged by itself, and no term looks at
# two of them together. One good image drawn 64 times has the same loss as 64 good images. A sheet of samples shows the
# difference at once, and so does any number that compares fakes with one another.
#
# Against a discriminator that stands still
# -----------------------------------------
#
# It also explains why ten steps do harm. Hold ``D`` still for good: then there is an image to which it gives its highest
# answer, and the best that ``G`` can do, for every single latent, is to draw that one. Take the healthy run and train
# its ``G`` on, against its ``D`` as it is now:

G, D = HEALTHY[:2]
optimizer = Adam(G, lr=RECIPE.lr_g, beta1=RECIPE.beta1)
latents = RandomStream(0, "preview").normal((100, RECIPE.latent_dim))
real = Batches(images, RECIPE.batch_size, shape=D.in_shape).take(np.arange(300))
STOPS, rows, shares = (0, 10, 30, 100, 300), [], []
for step in range(STOPS[-1] + 1):
    if step in STOPS:
        fakes = G(latents)
        shares.append(diversity(fakes, real))
        rows.append(to_uint8(fakes[:10].reshape(-1, 28, 28), RECIPE.value_range))
        print(f"after {step:3} steps: diversity {shares[-1]:.2f}, D's mean answer {D(fakes).mean():.3f}")
    z = RandomStream(1, "latent", step).normal((RECIPE.batch_size, RECIPE.latent_dim))
    generator_step(G, D, optimizer, RECIPE.loss, z, rng=RandomStream(1, "dropout", step))

figure, axes = plt.subplots(len(STOPS), 1, figsize=(7, 4.2), layout="constrained")
for ax, step, row, share in zip(axes, STOPS, rows, shares, strict=True):
    ax.imshow(image_grid(row), cmap="gray", vmin=0, vmax=255)
    ax.set(xticks=[], yticks=[])
    ax.set_ylabel(f"{step} steps\n{share:.2f}", rotation=0, ha="right", va="center")
axes[0].set_title("ten latents, while D stands still; below the steps, the diversity")
plt.show()

# %%
# A moving ``D`` prevents this: as soon as many fakes are alike, it learns to reject just that image, and they have to
# part. It must move at least about as fast as ``G``, and that is all that the healthy run has over the other one.
#
# What the number does not say
# ----------------------------
#
# It finds a complete collapse and no more. Random noise is varied as well, so a high number is no praise. And images of
# one digit alone, in many handwritings, are nearly as far apart as those of all ten. Measured on minigan's own digits,
# which have labels:

digits, labels = load_glyphs(2_000)
alone = [diversity(digits[labels == digit][:100], digits[:300]) for digit in range(10)]
print(f"one digit alone: diversity from {min(alone):.2f} to {max(alone):.2f}, mean {np.mean(alone):.2f}")

# %%
# So a generator that has forgotten nine of the ten digits would pass. To find that, a classifier has to count the digits
# (:doc:`/results` does so).
