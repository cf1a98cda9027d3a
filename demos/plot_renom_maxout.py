r"""
renom-maxout: the GAN of 2014
=============================

The discriminator is made of *maxout* units, the noise is uniform, and both networks move at once: the first published
GAN, as the ReNom tutorial tells it. This lesson watches accuracies rather than losses.

Source: "Generative adversarial networks", ReNom tutorial, 2018, after Goodfellow et al., 2014.
"""

import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from minigan.backend import RandomStream
from minigan.data.batches import Batches
from minigan.data.datasets import load_dataset
from minigan.gan import Feeding, GANLoss, simultaneous_step
from minigan.nn import BatchNorm, Dense, Dropout, Flatten, Maxout, MaxPool2d, ReLU, Reshape, Sequential, Sigmoid
from minigan.nn.init import uniform
from minigan.optim import Adam
from minigan.plot import image_grid, save_png, to_uint8
from minigan.recipes import RECIPES

# sphinx_gallery_thumbnail_path = 'images/seeds/renom-maxout.png'

QUICK = "--quick" in sys.argv  # a few seconds of training, as on this page
FOLDER = Path("runs/demos/renom-maxout")
FOLDER.mkdir(parents=True, exist_ok=True)

# %%
# The data
# --------
#
# 50,000 images, chosen at random out of MNIST's 70,000; the others are set aside. Their pixels are in [0, 1], the range
# of the sigmoid with which this generator ends.

npx = 28  # the number of pixels on a side of the image
ntrain = 2_560 if QUICK else 50_000
nbatch = 256

X_train = load_dataset("auto", count=ntrain, test_images=True, split_seed=0).images
batches = Batches(X_train, nbatch, shape=(npx * npx,), value_range=(0, 1), drop_last=True)
print(f"{len(X_train):,} images, {len(batches)} batches; an incomplete last batch is left out")

# %%
# The game
# --------
#
# The discriminator's payoff is
#
# .. math:: V(D, G) = \mathbb E[\log D(x)] + \mathbb E[\log(1 - D(G(z)))],
#
# the generator's is :math:`-V`, and the two play :math:`\min_G \max_D V(D, G)`. The tutorial proves that the best
# discriminator answers
# :math:`p_\text{data}/(p_\text{data} + p_g)`, and that the generator can do no better than :math:`p_g = p_\text{data}`,
# where the answer is ½ to everything; :doc:`another lesson <plot_optimal_discriminator>` checks both with numbers.
#
# That two networks get there is not guaranteed, and the tutorial warns of four things:
#
# - *oscillation*: the losses go up and down after many epochs still;
# - *mode collapse*: the generator draws only a part of what is in the data;
# - *losses are no measure of progress*, since each depends on how good the other player is;
# - *vanishing gradients*: when the discriminator is sure of all fakes, :math:`\log(1 - D(G(z)))` is flat.
#
# Its tricks against them: BatchNorm in the generator only, and not at its last layer; dropout in the discriminator;
# judge by the discriminator's accuracies, which should both come near to one half; let the discriminator learn first;
# and if nothing is replicated at all, suspect the structure of the networks.
#
# Against the vanishing gradient the generator does not minimise :math:`\log(1 - D(G(z)))`, the *minimax* loss, but
# :math:`-\log D(G(z))`, the *non-saturating* one. The tutorial has a flag for that, and minigan's loss has it too.

loss = GANLoss(generator="non_saturating", output="logit", labels=(1.0, 0.0))

# %%
# Maxout
# ------
#
# A maxout unit is the largest of a few linear functions of its input, five here. The tutorial has no such layer. It
# lays 1200 features out as an image of 240 rows and 5 columns and takes the maximum of each row by *max pooling*, with
# a window of 1×5. minigan has both, and they are equal:

ndfc = 240  # of discriminator units
ndp = 5  # of linear pieces in each unit

features = RandomStream(0, "sample").normal((8, ndfc * ndp))
rng = RandomStream(0, "init").host
maxout = Sequential([Maxout(ndp)], (ndfc * ndp,), rng=rng)
max_pooling = Sequential([Reshape(ndfc, ndp, 1), MaxPool2d((1, ndp), stride=(1, 1)), Flatten()], (ndfc * ndp,), rng=rng)
assert np.array_equal(maxout(features), max_pooling(features))
print(f"{ndfc * ndp} features become {maxout.out_shape[0]} units, the same by maxout and by max pooling")

# %%
# The networks
# ------------
#
# The generator takes 100 numbers from the *uniform* distribution on [0, 1), as in the paper of 2014. A BatchNorm comes
# even before its first Dense layer, and brings them to mean 0 and variance 1.
#
# ReNom's BatchNorm has a peculiarity: its momentum 0.99 is the weight of the *new* batch, so minigan's ``decay`` is
# 0.01, and the running statistics are nearly those of the last batch. (In a later version of ReNom its scale starts
# from small random numbers, where that of others starts from 1. The text does not say; ``--init-gamma`` has both.)
#
# The weights start uniform: within ±0.05 in the generator, within ±0.005 in the discriminator.

nz = 100  # of the dimension of noise
ngfc = 1200  # of generator units
wide, narrow = uniform(0.05), uniform(0.005)
norm = {"decay": 0.01}
rng = RandomStream(0, "init").host

gen = Sequential(
    [
        BatchNorm(**norm),
        Dense(ngfc, init_W=wide), ReLU(), BatchNorm(**norm),
        Dense(ngfc, init_W=wide), ReLU(), BatchNorm(**norm),
        Dense(npx * npx, init_W=wide), Sigmoid(),
    ],
    in_shape=(nz,),
    rng=rng,
)  # fmt: skip

# %%
# The discriminator ends in a logit, whose sigmoid is the probability of real. ``Dropout`` silences half of the units.

dis = Sequential(
    [
        Dense(ndfc * ndp, init_W=narrow), Maxout(ndp), Dropout(drop=0.5),
        Dense(ndfc * ndp, init_W=narrow), Maxout(ndp), Dropout(drop=0.5),
        Dense(1, init_W=narrow),
    ],
    in_shape=(npx * npx,),
    rng=rng,
)  # fmt: skip

print(gen.summary(), "\n")
print(dis.summary())

# %%
# Both have Adam with :math:`\beta_1 = 0.5` and its default learning rate, 0.001.

gen_opt = Adam(gen, lr=1e-3, beta1=0.5, beta2=0.999)
dis_opt = Adam(dis, lr=1e-3, beta1=0.5, beta2=0.999)

# %%
# All this is what minigan calls the recipe ``renom-maxout``. Its networks have the same layers, the same number of
# parameters, and even the same first weights:

recipe = RECIPES["renom-maxout"]
for mine, published in zip((gen, dis), recipe.networks(RandomStream(0, "init").host), strict=True):
    assert repr(mine.layers) == repr(published.layers)
    assert np.array_equal(mine.params, published.params)
assert (loss, Feeding()) == (recipe.loss, recipe.feeding)  # real and fake are two batches
print(f"{gen.params.size:,} and {dis.params.size:,} parameters, as in the recipe")

# %%
# Training
# --------
#
# The tutorial makes one forward pass for both losses, where others make a new one for the generator after the
# discriminator has learned. That is minigan's ``simultaneous_step``: both gradients at the same weights, then both
# updates.
#
# (ReNom itself updates the discriminator first and then takes the generator's gradient back through it, with the
# activations of before the update and the weights of after it. That is the gradient of nothing in particular, so
# minigan does not offer it, and raises ``StaleCacheError`` where it would happen: :ref:`renom-mixed-form`.)
#
# The accuracies are the share of real images with a probability of real of at least 0.5, and the share of fakes with
# one below. After each epoch, 100 images are drawn, always from the same noise.

epoch = 8 if QUICK else 30
loss_curve_dis, loss_curve_gen, acc_curve_real, acc_curve_fake, test_image = [], [], [], [], []
test_noise = RandomStream(0, "preview").uniform((100, nz))

start = time.time()
step = 0
for i in range(1, epoch + 1):
    totals = np.zeros(4)
    for x in batches.epoch(i - 1):
        noise = RandomStream(0, "latent", step).uniform((nbatch, nz))
        d, g = simultaneous_step(gen, dis, gen_opt, dis_opt, loss, x, noise, rng=RandomStream(0, "dropout", step))
        totals += d.loss, g.loss, np.mean(d.prob_real >= 0.5), np.mean(d.prob_fake < 0.5)
        step += 1

    means = totals / len(batches)
    curves = (loss_curve_dis, loss_curve_gen, acc_curve_real, acc_curve_fake)
    for curve, mean in zip(curves, means, strict=True):
        curve.append(mean)
    test_image.append(gen(test_noise).reshape(100, npx, npx))
    print(
        f"Epoch {i:02} - Loss of Dis:{means[0]:f} - Loss of Gen:{means[1]:f} - Elapsed time:{time.time() - start:.1f}\n"
        f"         - Accuracy of Real:{means[2]:f} - Accuracy of Fake:{means[3]:f}"
    )

# %%
# Two curves
# ----------
#
# Losses on the left, accuracies on the right. A fair draw is an accuracy of one half on both; near 1 and 1 the
# discriminator is winning.

fig, ax = plt.subplots(nrows=1, ncols=2, figsize=(15, 5), layout="constrained")
epochs = range(1, epoch + 1)
ax[0].plot(epochs, loss_curve_dis, linewidth=2, label="dis")
ax[0].plot(epochs, loss_curve_gen, linewidth=2, label="gen")
ax[0].set(title="Learning curve", xlabel="epoch")
ax[0].legend()
ax[1].plot(epochs, acc_curve_real, linewidth=2, label="real")
ax[1].plot(epochs, acc_curve_fake, linewidth=2, label="fake")
ax[1].set(title="Accuracy curve", xlabel="epoch")
ax[1].legend()
fig.savefig(FOLDER / "curves.png", dpi=100)
plt.show()

# %%
# For comparison, the tutorial printed on MNIST: after epoch 1 losses of 0.719 and 2.398 and accuracies of 0.785 and
# 0.903; after epoch 30 losses of 0.840 and 1.586 and accuracies of 0.745 and 0.870.
#
# The samples
# -----------
#
# The last epoch's 100 images as ink on paper: inverted, ten in a row, without gaps.


def imshow(image_set, nrows, ncols, save):
    """Images (N, 28, 28) in [0, 1], inverted, shown and saved as a PNG file."""
    pixels = 255 - to_uint8(image_set[: nrows * ncols], (0, 1))
    sheet = image_grid(pixels, columns=ncols, pad=0)
    save_png(sheet, save)
    _, ax = plt.subplots(figsize=(6, 6 * nrows / ncols), layout="constrained")
    ax.imshow(sheet, cmap="gray", vmin=0, vmax=255)
    ax.axis("off")
    plt.show()


imshow(test_image[-1], 10, 10, FOLDER / "test_image.png")

# %%
# A full run
# ----------
#
# A run with ``--quick`` makes 80 steps, too few for digits. The published one makes 5,850. These are one hundred
# samples of it on MNIST:
#
# .. image:: /images/seeds/renom-maxout.png
#    :width: 60%
#    :alt: One hundred digits drawn by renom-maxout after a full run
#
# The same training without this file, to the same weights, bit for bit (after as many epochs on the same images):
#
# .. code-block:: none
#
#    minigan train renom-maxout
#
# The tutorial ends with a picture of mode collapse; :doc:`a lesson of its own <plot_collapse>` brings it about on
# purpose. :ref:`This page <seed-renom-maxout>` goes through the tutorial line by line.
#
# References of the tutorial: [1] Goodfellow et al., "Generative adversarial nets", 2014. [2] Karras et al.,
# "Progressive growing of GANs for improved quality, stability, and variation", 2017. [3] Isola et al., "Image-to-image
# translation with conditional adversarial networks", 2017. [4] Goodfellow, "NIPS 2016 tutorial: Generative adversarial
# networks", 2016.
