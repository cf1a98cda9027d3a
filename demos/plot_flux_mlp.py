r"""
flux-mlp: the vanilla GAN of the Flux tutorial
==============================================

Two networks of ``Dense`` layers, as plain as a GAN can be. One turns random numbers into images of digits, the other
tells them from real ones, and each gets better because the other does.

Source: R. Kube, "Generative Adversarial Networks", Flux.jl tutorial, 2021.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from minigan.backend import RandomStream
from minigan.data.batches import Batches
from minigan.data.datasets import load_dataset
from minigan.gan import Feeding, GANLoss, discriminator_step, generator_step
from minigan.nn import Dense, Dropout, LeakyReLU, Sequential, Sigmoid, Tanh
from minigan.nn.init import torch_linear
from minigan.optim import Adam
from minigan.recipes import RECIPES

# sphinx_gallery_thumbnail_path = 'images/seeds/flux-mlp.png'

QUICK = "--quick" in sys.argv  # a few seconds of training, as on this page
FOLDER = Path("runs/demos/flux-mlp")
FOLDER.mkdir(parents=True, exist_ok=True)

# %%
# Counterfeiters and police
# -------------------------
#
# The paper that invented the game compares the generator with a team of counterfeiters, who try to make money that
# passes for real, and the discriminator with the police, who try to find it out. Competition drives both to improve,
# until the counterfeits cannot be told from the real thing (Goodfellow et al., 2014).
#
# First the numbers. An *epoch* is one pass over all images, and ``output_period`` is the number of epochs from one
# picture to the next. ``lr`` are learning rates.

lr_g = 2e-4
lr_d = 2e-4
batch_size = 128
n_images = 3_000 if QUICK else 60_000
num_epochs = 8 if QUICK else 1000
output_period = 2 if QUICK else 100
n_features = 28 * 28
latent_dim = 100

# %%
# The data
# --------
#
# ``load_dataset("auto")`` is MNIST where it is on the machine or can be downloaded, and otherwise digits that minigan
# draws itself. A GAN needs no labels: nobody tells it which digit is which.
#
# ``Batches`` shuffles the images for each epoch and brings the pixels from 0…255 to [-1, 1], because that is what the
# generator's last layer, a tanh, can draw. The last batch of an epoch is smaller: 60,000 images are 468 batches of 128
# and one of 96.

train_x = load_dataset("auto", count=n_images).images
train_loader = Batches(train_x, batch_size, shape=(n_features,), value_range=(-1, 1))
print(f"{len(train_x):,} images in {len(train_loader)} batches")

# %%
# The networks
# ------------
#
# The discriminator takes 784 pixels and gives one number. ``LeakyReLU`` keeps a slope of 0.2 for negative inputs. The
# sigmoid at the end makes the number a probability, that of *real*.
#
# The ``Dropout`` layers silence each feature with probability 0.3 during training. The tutorial's prose asks for them;
# its code, as it is often copied, has lost them. They matter: without them the discriminator wins completely within two
# epochs of MNIST. Its loss falls to 0.000, that of the generator rises to between 8 and 14, and nothing is learned any
# more.
#
# The tutorial does not say how the weights start. Here they start as PyTorch's do (``torch_linear``); with Flux's own
# larger ones some runs collapse (:doc:`/results`). Both networks draw them from one stream of random numbers, the
# generator first.

init = {"init_W": torch_linear, "init_b": torch_linear}
rng = RandomStream(0, "init").host

generator = Sequential(
    [
        Dense(256, **init), LeakyReLU(slope=0.2),
        Dense(512, **init), LeakyReLU(slope=0.2),
        Dense(1024, **init), LeakyReLU(slope=0.2),
        Dense(n_features, **init), Tanh(),
    ],
    in_shape=(latent_dim,),
    rng=rng,
)  # fmt: skip

discriminator = Sequential(
    [
        Dense(1024, **init), LeakyReLU(slope=0.2), Dropout(drop=0.3),
        Dense(512, **init), LeakyReLU(slope=0.2), Dropout(drop=0.3),
        Dense(256, **init), LeakyReLU(slope=0.2), Dropout(drop=0.3),
        Dense(1, **init), Sigmoid(),
    ],
    in_shape=(n_features,),
    rng=rng,
)  # fmt: skip

print(generator.summary(), "\n")
print(discriminator.summary())

# %%
# The game
# --------
#
# The discriminator should answer 1 to a real image and 0 to a fake, the generator wants the answer 1 to its fakes, and
# the *binary cross-entropy* says how far an answer is from what it should be (:doc:`/bce`).
#
# - ``output="probability"``: the cross-entropy takes probabilities. Flux recommends the form that takes the number
#   before the sigmoid, the *logit*. The author found the GAN hard to train with it.
# - ``batching="concat"``: real and fake images go through the discriminator as one batch of 256, and the loss is one
#   mean over all 256. Other systems add a mean over the real images to a mean over the fakes, which is twice as much.
#
# Each network has an optimiser of its own: Adam, with its usual :math:`\beta_1 = 0.9` and :math:`\beta_2 = 0.999`.

loss = GANLoss(generator="non_saturating", output="probability", labels=(1.0, 0.0))
feeding = Feeding(batching="concat")
opt_gen = Adam(generator, lr=lr_g, beta1=0.9, beta2=0.999)
opt_dscr = Adam(discriminator, lr=lr_d, beta1=0.9, beta2=0.999)

# %%
# All this is what minigan calls the recipe ``flux-mlp``. Its networks have the same layers, the same number of
# parameters, and even the same first weights:

recipe = RECIPES["flux-mlp"]
for mine, published in zip((generator, discriminator), recipe.networks(RandomStream(0, "init").host), strict=True):
    assert repr(mine.layers) == repr(published.layers)
    assert np.array_equal(mine.params, published.params)
assert (loss, feeding) == (recipe.loss, recipe.feeding)
print(f"{generator.params.size:,} and {discriminator.params.size:,} parameters, as in the recipe")

# %%
# Training
# --------
#
# For each batch the discriminator takes one step, then the generator. Three details of the tutorial:
#
# - A loss and its gradient come from one forward pass. Where Flux evaluates the pullback with the *seed gradient* 1.0,
#   minigan's loss returns its value and its gradient together, and the backward pass starts from that.
# - The noise is drawn outside the step and handed in: the generator's parameters need a gradient, the noise does not.
# - The discriminator sees as many fakes as real images, 96 in the last batch. The generator always learns from 128.
#
# Every random number here is a function of (seed, name, step), so a second run gives the same digits.

lossvec_gen, lossvec_dscr, pictures = [], [], {}
step = 0
for n in range(1, num_epochs + 1):
    loss_sum_gen = loss_sum_dscr = 0.0
    for real_data in train_loader.epoch(n - 1):
        latent, dropout = RandomStream(0, "latent", step), RandomStream(0, "dropout", step)
        noise = latent.normal((len(real_data), latent_dim))
        d = discriminator_step(generator, discriminator, opt_dscr, loss, real_data, noise, feeding=feeding, rng=dropout)
        noise = latent.normal((batch_size, latent_dim))
        g = generator_step(generator, discriminator, opt_gen, loss, noise, feeding=feeding, rng=dropout)
        loss_sum_dscr += float(d.loss)
        loss_sum_gen += float(g.loss)
        step += 1

    lossvec_dscr.append(loss_sum_dscr / len(train_loader))
    lossvec_gen.append(loss_sum_gen / len(train_loader))

    if n % output_period == 0:
        noise = RandomStream(0, "preview").normal((4, latent_dim))
        fake_data = np.hstack(generator(noise).reshape(4, 28, 28))
        plt.imsave(FOLDER / f"epoch_{n:04d}.png", fake_data, cmap="inferno", vmin=-1, vmax=1)
        pictures[n] = fake_data
        print(f"n = {n}: D's loss {lossvec_dscr[-1]:.3f}, G's loss {lossvec_gen[-1]:.3f}")

# %%
# Looking
# -------
#
# Every ``output_period`` epochs the loop drew four samples side by side, 28×112 pixels, in the colours *inferno*. The
# tutorial draws new noise for each picture; here it is always the same, so that one can follow four images. (Looking
# disturbs nothing: the stream "preview" is used for nothing else.)

figure, axes = plt.subplots(len(pictures), 1, figsize=(6, 1.6 * len(pictures)), layout="constrained", squeeze=False)
for ax, (n, fake_data) in zip(axes[:, 0], pictures.items(), strict=True):
    ax.imshow(fake_data, cmap="inferno", vmin=-1, vmax=1)
    ax.set(xticks=[], yticks=[], ylabel=f"epoch {n}")
plt.show()

# %%
# The losses, one number per epoch. The tutorial calls its numbers *per-sample losses*, but divides a sum of 469 batch
# means by 60,000 images, which makes them 128 times too small. The curves below are divided by the number of batches.
# The dotted line is :math:`\log 2`, the loss of a discriminator that answers ½ to everything.

figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
epochs = range(1, num_epochs + 1)
ax.axhline(np.log(2), color="0.6", linestyle=":")
ax.plot(epochs, lossvec_dscr, label="discriminator")
ax.plot(epochs, lossvec_gen, label="generator")
ax.set(xlabel="epoch", ylabel="loss, mean over the batches")
ax.legend()
plt.show()

# %%
# A longer run
# ------------
#
# The four samples above come from a short run, too short for digits if the page was made with ``--quick``. These are
# one hundred samples after 80 epochs on MNIST:
#
# .. image:: /images/seeds/flux-mlp.png
#    :width: 60%
#    :alt: One hundred digits drawn by flux-mlp after 80 epochs
#
# The author writes that the images become useful after about 1000 epochs and look like real MNIST after about 5000, and
# that 100 epochs took 80 seconds on an NVIDIA V100, but one epoch 10 minutes on a CPU. What minigan needs is measured
# in :doc:`/results`.
#
# The same training without this file, with a preview of ten digits in the terminal, also in *inferno*:
#
# .. code-block:: none
#
#    minigan train flux-mlp
#
# It makes the same draws and takes the same steps, so after the same number of epochs on the same images its weights
# are equal to those of this file, to the bit. ``--device gpu`` is what ``|> gpu`` is in the tutorial, and
# ``--preview-every 20`` its ``output_period``. :ref:`This page <seed-flux-mlp>` goes through the tutorial line by line.
