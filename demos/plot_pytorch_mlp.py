r"""
pytorch-mlp: the small GAN of a PyTorch tutorial
================================================

Two networks of three ``Dense`` layers each, small enough for any computer. This lesson looks closely at the data, at
the pictures that a run leaves behind, and at the curves.

Source: "Generative Adversarial Networks", a PyTorch MNIST tutorial after A. N S, Jovian, 2020.
"""

import sys
from dataclasses import fields
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from minigan.backend import RandomStream
from minigan.data.batches import Batches
from minigan.data.datasets import load_dataset
from minigan.gan import Feeding, GANLoss, discriminator_step, generator_step
from minigan.nn import Dense, LeakyReLU, ReLU, Sequential, Sigmoid, Tanh
from minigan.nn.init import torch_linear
from minigan.optim import Adam
from minigan.plot import image_grid, save_png, to_uint8
from minigan.recipes import RECIPES

# sphinx_gallery_thumbnail_path = 'images/seeds/pytorch-mlp.png'

QUICK = "--quick" in sys.argv  # a few seconds of training, as on this page
SAMPLES = Path("runs/demos/pytorch-mlp/samples")
SAMPLES.mkdir(parents=True, exist_ok=True)

# %%
# What is to be learned
# ---------------------
#
# A *generative model* learns the regularities of a set of images, so that it can make new ones that could have been in
# the set. A GAN does it with two networks: a generator makes a fake out of random noise, a discriminator tries to tell
# which images are real, and both are trained in tandem. (The tutorial's text trains each for some epochs in turn; its
# code, and this lesson, lets them take turns batch by batch.)
#
# The data
# --------
#
# The pixels are brought from 0…255 to [-1, 1], the range of the tanh with which the generator ends. Look at one image,
# at five rows and columns in its middle, and at its darkest and brightest pixel:

batch_size = 100
n_images = 6_000 if QUICK else 60_000
image_size = 28 * 28

mnist = load_dataset("auto", count=n_images).images
data_loader = Batches(mnist, batch_size, shape=(image_size,), value_range=(-1, 1))
img = data_loader.take(np.array([0])).reshape(28, 28)
print(np.round(img[10:15, 10:15], 4))
print("min", img.min(), "max", img.max())

# %%

figure, ax = plt.subplots(figsize=(2.5, 2.5), layout="constrained")
ax.imshow(img, cmap="gray")
ax.add_patch(plt.Rectangle((9.5, 9.5), 5, 5, fill=False, color="tab:red"))  # the crop printed above
ax.set(xticks=[], yticks=[])
plt.show()

# %%
# The discriminator
# -----------------
#
# An image of 28×28 is a vector of 784 pixels. The discriminator ends in one number between 0 and 1. The tutorial's text
# calls it the probability of being *fake*; its code trains it to be 1 for real images, so it is that of being *real*.
#
# Why ``LeakyReLU``? Where its input is negative a ReLU passes no gradient back. LeakyReLU passes 0.2 of it, with its
# sign (not "a small negative gradient", as the text says). So more of what the discriminator knows reaches the
# generator.
#
# ``torch_linear`` is how PyTorch's ``Linear`` starts its weights and biases: uniform, within
# :math:`\pm 1/\sqrt{\text{number of inputs}}`.

hidden_size = 256
latent_size = 64
init = {"init_W": torch_linear, "init_b": torch_linear}
rng = RandomStream(0, "init").host

G = Sequential(
    [
        Dense(hidden_size, **init), ReLU(),
        Dense(hidden_size, **init), ReLU(),
        Dense(image_size, **init), Tanh(),
    ],
    in_shape=(latent_size,),
    rng=rng,
)  # fmt: skip

D = Sequential(
    [
        Dense(hidden_size, **init), LeakyReLU(slope=0.2),
        Dense(hidden_size, **init), LeakyReLU(slope=0.2),
        Dense(1, **init), Sigmoid(),
    ],
    in_shape=(image_size,),
    rng=rng,
)  # fmt: skip

print(D.summary())

# %%
# The generator
# -------------
#
# It takes 64 random numbers. Before any training it turns them into grey noise. An image in [-1, 1] is *denormalised*
# before it is shown: (y + 1)/2 is in [0, 1].

print(G.summary())
y = G(RandomStream(0, "sample").normal((2, latent_size)))
gen_imgs = (y.reshape(2, 28, 28) + 1) / 2

figure, axes = plt.subplots(1, 2, figsize=(5, 2.5), layout="constrained")
for ax, gen_img in zip(axes, gen_imgs, strict=True):
    ax.imshow(gen_img, cmap="gray", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
plt.show()

# %%
# The game
# --------
#
# The discriminator's loss is the cross-entropy of its answers to 100 real images against 1, plus that of its answers to
# 100 fakes against 0. The generator's loss is the cross-entropy of the discriminator's answers to fakes against 1: the
# discriminator is used as a part of the generator's loss function. Both optimisers are Adam with learning rate 0.0002
# and the usual :math:`\beta_1 = 0.9`, :math:`\beta_2 = 0.999`.

loss = GANLoss(generator="non_saturating", output="probability", labels=(1.0, 0.0))
d_optimizer = Adam(D, lr=2e-4, beta1=0.9, beta2=0.999)
g_optimizer = Adam(G, lr=2e-4, beta1=0.9, beta2=0.999)

# %%
# All this is what minigan calls the recipe ``pytorch-mlp``. Its networks have the same layers, the same number of
# parameters, and even the same first weights:

recipe = RECIPES["pytorch-mlp"]
for mine, published in zip((G, D), recipe.networks(RandomStream(0, "init").host), strict=True):
    assert repr(mine.layers) == repr(published.layers)
    assert np.array_equal(mine.params, published.params)
assert (loss, Feeding()) == (recipe.loss, recipe.feeding)  # real and fake are two batches
print(f"{G.params.size:,} and {D.params.size:,} parameters, as in the recipe")

# %%
# Two lines of the tutorial have no counterpart here. PyTorch *adds* new gradients to old ones, so the tutorial calls
# ``reset_grad()`` before each backward pass; minigan's backward pass overwrites them. And in the discriminator's step
# the tutorial computes gradients for the generator too, only to throw them away; ``discriminator_step`` stops at the
# fakes. Either way, a step of the discriminator changes no weight of the generator.
#
# Pictures
# --------
#
# One batch of real images, ten in a row, for comparison:


def save_image(images, path):
    """Save images (100, 784) in [-1, 1] as a sheet, ten to a row. Returns its pixels, 0…255."""
    sheet = image_grid(to_uint8(images.reshape(-1, 28, 28), (-1, 1)), columns=10)
    save_png(sheet, path)
    return sheet


real_images = data_loader.batch(0)
real_sheet = save_image(real_images, SAMPLES / "real_images.png")
figure, ax = plt.subplots(figsize=(4.5, 4.5), layout="constrained")
ax.imshow(real_sheet, cmap="gray", vmin=0, vmax=255)
ax.axis("off")
plt.show()

# %%
# The tutorial forgets to map [-1, 1] to [0, 1] before it saves. The file writer then clips: all pixels below 0, the
# darker half of all greys, become black. The digits survive, but thinner and jagged, and a generator's faint mistakes
# disappear from its pictures. PyTorch's own example had the same bug (pytorch/examples, issue 315).

inked, lost = real_images > -1, (real_images > -1) & (real_images < 0)
print(f"{lost.sum() / inked.sum():.0%} of the pixels with any ink would be black")

first = real_images[:8].reshape(8, 28, 28)
figure, axes = plt.subplots(2, 1, figsize=(8, 2.6), layout="constrained")
for ax, title, value_range in zip(axes, ("mapped", "clipped"), ((-1, 1), (0, 1)), strict=True):
    ax.imshow(image_grid(to_uint8(first, value_range), columns=8), cmap="gray", vmin=0, vmax=255)
    ax.set(xticks=[], yticks=[], ylabel=title)
plt.show()

# %%
# The generator is always shown the same 100 latents, so that one can follow how an image changes. Picture 0 is from
# before the training.

sample_vectors = RandomStream(0, "preview").normal((batch_size, latent_size))
fake_sheets = {}


def save_fake_images(index):
    """What G makes of the 100 latents, as samples/fake_images-INDEX.png."""
    fake_fname = f"fake_images-{index:04d}.png"
    print("Saving", fake_fname)
    fake_sheets[index] = save_image(G(sample_vectors), SAMPLES / fake_fname)


save_fake_images(0)

# %%
# Training
# --------
#
# For each batch the discriminator is trained first, then the generator, each with new noise. Every 200 steps the losses
# and the two *scores* are noted: the mean answer to the real images, D(x), and to the fakes, D(G(z)). Every five epochs
# a sheet is saved. (The text says every epoch; the code every five.)

num_epochs = 20
total_step = len(data_loader)
steps, d_losses, g_losses, real_scores, fake_scores = [], [], [], [], []
step = 0
for epoch in range(num_epochs):
    for i, images in enumerate(data_loader.epoch(epoch)):
        latent = RandomStream(0, "latent", step)
        d = discriminator_step(G, D, d_optimizer, loss, images, latent.normal((len(images), latent_size)))
        g = generator_step(G, D, g_optimizer, loss, latent.normal((batch_size, latent_size)))
        step += 1
        if step % 200 == 0:
            steps.append(step)
            d_losses.append(float(d.loss))
            g_losses.append(float(g.loss))
            real_scores.append(float(d.prob_real.mean()))
            fake_scores.append(float(d.prob_fake.mean()))
            print(
                f"Epoch [{epoch + 1}/{num_epochs}], Step [{i + 1}/{total_step}], "
                f"d_loss: {d_losses[-1]:.4f}, g_loss: {g_losses[-1]:.4f}, "
                f"D(x): {real_scores[-1]:.2f}, D(G(z)): {fake_scores[-1]:.2f}"
            )
    if (epoch + 1) % 5 == 0:
        save_fake_images(epoch + 1)

# %%

figure, axes = plt.subplots(1, 3, figsize=(12, 4.3), layout="constrained")
for ax, index in zip(axes, (0, 5, num_epochs), strict=True):
    ax.imshow(fake_sheets[index], cmap="gray", vmin=0, vmax=255)
    ax.set(xticks=[], yticks=[], title=f"fake_images-{index:04d}.png")
plt.show()

# %%
# Curves
# ------
#
# The tutorial's axis says *epoch* but counts the points, one per 200 steps. Here a point stands at the epoch it belongs
# to: its step, divided by the steps of an epoch.
#
# The text expects the generator's loss to fall while the discriminator's does not rise too high. Take it with care: the
# two losses say who is ahead, not how good the digits are. If both players improve at the same pace, neither moves.

at = np.array(steps) / total_step
figure, (losses, scores) = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
losses.plot(at, d_losses, label="Discriminator")
losses.plot(at, g_losses, label="Generator")
losses.set(title="Losses", xlabel="epoch", ylabel="loss")
losses.legend()
scores.plot(at, real_scores, label="D(x), on real images")
scores.plot(at, fake_scores, label="D(G(z)), on fakes")
scores.set(title="Scores", xlabel="epoch", ylabel="mean probability of real", ylim=(-0.03, 1.03))
scores.legend(loc="center right")
plt.show()

# %%
# A full run, and a mended one
# ----------------------------
#
# If this page was made with ``--quick``, the sheets above show no digits: a run of 1,200 steps is too short. The
# published one takes 12,000. The same training without this file, to the same weights, bit for bit (after as many
# epochs on the same images):
#
# .. code-block:: none
#
#    minigan train pytorch-mlp
#
# On the left, one hundred samples after the published 20 epochs on MNIST. On the right, those of a recipe that changes
# one number of the published system, after 60 epochs: it was trained three times as long too, so the two sheets differ
# by more than that number.
#
# .. image:: /images/seeds/pytorch-mlp.png
#    :width: 48%
#    :alt: One hundred digits drawn by pytorch-mlp after 20 epochs
# .. image:: /images/seeds/pytorch-mlp-mended.png
#    :width: 48%
#    :alt: One hundred digits drawn by the mended recipe after 60 epochs
#
# :ref:`This page <seed-pytorch-mlp>` goes through the tutorial line by line. What the mended recipe changes, and the
# published value of each:

for name, mended in RECIPES.items():
    if name.startswith("pytorch-mlp-"):
        print(name, "-", mended.__doc__.splitlines()[0])
        for field in fields(mended):
            published, new = getattr(recipe, field.name, None), getattr(mended, field.name)
            if new != published:
                print(f"  {field.name}: {new} instead of {published}")
