r"""
flux-dcgan: the DCGAN of the Flux tutorial
==========================================

A GAN of convolutions. The generator grows an image from 7×7 to 28×28 pixels, the discriminator shrinks it again to one
number. The tutorial's own code never trains its generator; this lesson shows why, and does.

Source: D. Santra, "Deep Convolutional Generative Adversarial Network (DCGAN)", Flux.jl tutorial, 2021.
"""

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from minigan.backend import RandomStream
from minigan.data.batches import Batches
from minigan.data.datasets import load_dataset
from minigan.errors import StaleCacheError
from minigan.gan import Feeding, GANLoss, discriminator_step, generator_step
from minigan.losses import binary_cross_entropy, binary_cross_entropy_with_logits
from minigan.nn import (
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Dropout,
    Flatten,
    LeakyReLU,
    ReLU,
    Reshape,
    Sequential,
    Tanh,
    sigmoid,
)
from minigan.nn.init import normal
from minigan.optim import Adam
from minigan.plot import image_grid, save_gif, save_png, to_uint8
from minigan.recipes import RECIPES

# sphinx_gallery_thumbnail_path = 'images/seeds/flux-dcgan.png'

QUICK = "--quick" in sys.argv  # a few seconds of training, as on this page
FOLDER = Path("runs/demos/flux-dcgan")
OUTPUT = FOLDER / "output"
OUTPUT.mkdir(parents=True, exist_ok=True)

# %%
# An artist and a critic
# ----------------------
#
# The generator is an artist who draws images that should look real, the discriminator a critic who learns to tell them
# from real ones. Equilibrium is reached when the critic can no longer do that.
#
# The numbers of a run are kept together in a record with default values. (minigan's recipes are such records, too.)


@dataclass(frozen=True)
class HyperParams:
    """The tutorial's numbers."""

    batch_size: int = 128
    latent_dim: int = 100
    epochs: int = 25
    verbose_freq: int = 1000  # steps from one picture to the next
    output_dim: int = 5  # a picture is a square of 5×5 samples
    disc_lr: float = 2e-4
    gen_lr: float = 2e-4
    n_images: int = 60_000


hparams = HyperParams(epochs=2, verbose_freq=5, n_images=1_200) if QUICK else HyperParams()

# %%
# The data: images of 28×28 pixels and one channel, in [-1, 1], shuffled for each epoch. The last batch of an epoch is
# what is left over, 96 of 60,000.

images = load_dataset("auto", count=hparams.n_images).images
dataloader = Batches(images, hparams.batch_size, shape=(28, 28, 1), value_range=(-1, 1))
print(f"{len(images):,} images in {len(dataloader)} batches")

# %%
# The generator
# -------------
#
# A ``Dense`` layer turns the noise into 256 channels of 7×7. Three *transposed convolutions* follow: each value of
# their input stamps a small pattern on the output. With stride 1 the image keeps its size; with stride 2 the stamps are
# two pixels apart, and it doubles, from 7 to 14 to 28. In between ``BatchNorm`` keeps the numbers in range. (Flux's
# momentum 0.1 is the weight of the *new* batch; minigan's ``decay`` 0.9 that of the old.) Since BatchNorm adds a bias
# of its own, the layers before it need none.
#
# ``dcgan_init``: as in the paper on DCGANs, the convolutions' weights start from a normal distribution with standard
# deviation 0.02. The Dense layers keep the default of Flux and of minigan, Glorot's uniform distribution.

dcgan_init = normal(0.02)


def make_generator(latent_dim, rng):
    """Noise (N, latent_dim) to images (N, 28, 28, 1) in [-1, 1]."""
    layers = [
        Dense(7 * 7 * 256, bias=False), BatchNorm(decay=0.9), ReLU(),
        Reshape(7, 7, 256),
        ConvTranspose2d(128, 5, stride=1, pad=2, bias=False, init_W=dcgan_init), BatchNorm(decay=0.9), ReLU(),
        ConvTranspose2d(64, 4, stride=2, pad=1, bias=False, init_W=dcgan_init), BatchNorm(decay=0.9), ReLU(),
        ConvTranspose2d(1, 4, stride=2, pad=1, bias=False, init_W=dcgan_init), Tanh(),
    ]  # fmt: skip
    return Sequential(layers, (latent_dim,), rng=rng)


rng = RandomStream(0, "init").host
generator = make_generator(hparams.latent_dim, rng)
print(generator.summary())

# %%
# A small test: three noise vectors must give three images.

noise = RandomStream(0, "sample").normal((3, hparams.latent_dim))
gen_image = generator(noise)
assert gen_image.shape == (3, 28, 28, 1)

# %%
# The discriminator
# -----------------
#
# Two convolutions of stride 2 halve the image, from 28 to 14 to 7. ``Dropout`` silences 0.3 of the features in
# training. (The tutorial's code, as it is often copied, has lost its dropout and the ``Flatten``.) The last layer gives
# one number for each image, a *logit*: above 0 for real, below 0 for fake, and its sigmoid is the probability of real.


def make_discriminator(rng):
    """Images (N, 28, 28, 1) to logits (N, 1)."""
    layers = [
        Conv2d(64, 4, stride=2, pad=1, init_W=dcgan_init), LeakyReLU(slope=0.2), Dropout(drop=0.3),
        Conv2d(128, 4, stride=2, pad=1, init_W=dcgan_init), LeakyReLU(slope=0.2), Dropout(drop=0.3),
        Flatten(),
        Dense(1),
    ]  # fmt: skip
    return Sequential(layers, (28, 28, 1), rng=rng)


discriminator = make_discriminator(rng)
print(discriminator.summary())

logits = discriminator(gen_image)
assert logits.shape == (3, 1)

# %%
# The losses
# ----------
#
# The discriminator's loss is BCE(real, 1) + BCE(fake, 0), the generator's is BCE(fake, 1). The cross-entropy is taken
# of logits: the same number as that of their sigmoids, but without a logarithm of 0 when the critic is very sure
# (:doc:`/bce`).

of_logits, _ = binary_cross_entropy_with_logits(logits, 1.0)
of_probabilities, _ = binary_cross_entropy(sigmoid(logits), 1.0)
print(f"of logits {of_logits:.6f}, of probabilities {of_probabilities:.6f}")
assert np.isclose(of_logits, of_probabilities)

loss = GANLoss(generator="non_saturating", output="logit", labels=(1.0, 0.0))
disc_opt = Adam(discriminator, lr=hparams.disc_lr, beta1=0.9, beta2=0.999)
gen_opt = Adam(generator, lr=hparams.gen_lr, beta1=0.9, beta2=0.999)

# %%
# All this is what minigan calls the recipe ``flux-dcgan``. Its networks have the same layers, the same number of
# parameters, and even the same first weights:

recipe = RECIPES["flux-dcgan"]
for mine, published in zip((generator, discriminator), recipe.networks(RandomStream(0, "init").host), strict=True):
    assert repr(mine.layers) == repr(published.layers)
    assert np.array_equal(mine.params, published.params)
assert (loss, Feeding()) == (recipe.loss, recipe.feeding)  # real and fake are two batches
print(f"{generator.params.size:,} and {discriminator.params.size:,} parameters, as in the recipe")

# %%
# Pictures
# --------
#
# 25 noise vectors stay the same for the whole run. The tutorial sends each through the generator alone, as a batch of
# one. That works because a network that *predicts*, ``generator(noise)``, uses BatchNorm's running statistics and not
# those of the batch, so it makes no difference how many images are made at once. (Up to rounding, it does not:)

fixed_noise = RandomStream(0, "preview").normal((hparams.output_dim**2, hparams.latent_dim))
alone, together = generator(fixed_noise[:1]), generator(fixed_noise)[:1]
assert np.allclose(alone, together, atol=1e-6)


def create_output_image(gen, fixed_noise, hparams):
    """The samples of the fixed noise, output_dim to a row, as one image of 0…255."""
    fake_images = gen(fixed_noise).reshape(-1, 28, 28)
    return image_grid(to_uint8(fake_images, (-1, 1)), columns=hparams.output_dim, pad=0)


# %%
# The way back into the generator
# -------------------------------
#
# The tutorial makes each batch of fakes once and gives it to both players, which saves a pass. But its generator step
# takes the gradient of ``generator_loss(disc(fake_img))`` with respect to the generator's weights, and ``fake_img`` was
# made before, outside the function that is differentiated. To Flux it is a constant (and outside, BatchNorm is in
# its test mode). The generator's gradient is empty, and only the critic ever learns.
#
# To go back through a network, one needs what its forward pass left behind: minigan calls it the cache. So fakes are
# shared *with* their cache, and fakes without one are refused:

gen_image, nothing_kept = generator.forward(noise, train=True, keep=False)
try:
    generator_step(
        generator, discriminator, gen_opt, loss, fakes=(gen_image, nothing_kept), rng=RandomStream(0, "dropout")
    )
except StaleCacheError as error:
    print(error)

# %%
# Training
# --------
#
# The noise is a full batch of 128 even where the real batch has 96. Steps are counted from 0, and a picture is saved
# every ``verbose_freq`` steps and after the last one. (As in the tutorial, all but the last are drawn after the update
# of the step that they are named after.)

frames = []


def save_picture(train_steps):
    """The generator's picture as output/dcgan_steps_STEPS.png."""
    path = OUTPUT / f"dcgan_steps_{train_steps:06d}.png"
    save_png(create_output_image(generator, fixed_noise, hparams), path)
    frames.append(path)


train_steps = 0
for epoch in range(1, hparams.epochs + 1):
    print(f"Epoch {epoch}")
    for real_img in dataloader.epoch(epoch - 1):
        noise = RandomStream(0, "latent", train_steps).normal((hparams.batch_size, hparams.latent_dim))
        dropout = RandomStream(0, "dropout", train_steps)
        fakes = generator.forward(noise, train=True)  # the images and the cache
        d = discriminator_step(generator, discriminator, disc_opt, loss, real_img, fakes=fakes, rng=dropout)
        g = generator_step(generator, discriminator, gen_opt, loss, fakes=fakes, rng=dropout)
        if train_steps % hparams.verbose_freq == 0:
            print(f"Train step {train_steps}, Discriminator loss = {d.loss:.4f}, Generator loss = {g.loss:.4f}")
            save_picture(train_steps)
        train_steps += 1
save_picture(train_steps)

# %%
# All pictures together are an animation, ``output.gif``. Here they are side by side:

save_gif(frames, FOLDER / "output.gif")

columns = min(5, len(frames))
rows = math.ceil(len(frames) / columns)
figure, axes = plt.subplots(rows, columns, figsize=(2.4 * columns, 2.7 * rows), layout="constrained", squeeze=False)
for ax in axes.flat:
    ax.axis("off")
for ax, path in zip(axes.flat, frames, strict=False):
    ax.imshow(plt.imread(path), cmap="gray", vmin=0, vmax=1)
    ax.set_title(path.stem)
plt.show()

# %%
# A longer run
# ------------
#
# If this page was made with ``--quick``, there are no digits above, and there cannot be: a run of 20 steps is far too
# short. The published one takes 11,725, 25 epochs of 469. The same training without this file, to the same weights, bit
# for bit:
#
# .. code-block:: none
#
#    minigan train flux-dcgan
#
# One hundred samples of a longer run on MNIST are on the left. On the right is the same system with Adam's
# :math:`\beta_1` at 0.5, as in the DCGAN paper, and nothing else changed: the recipe ``flux-dcgan-half``.
#
# .. image:: /images/seeds/flux-dcgan.png
#    :width: 48%
#    :alt: One hundred digits drawn by flux-dcgan after 8 epochs
# .. image:: /images/seeds/flux-dcgan-half.png
#    :width: 48%
#    :alt: One hundred digits drawn by flux-dcgan-half after 6 epochs
#
# (Eight epochs of the published 25 on the left, six on the right, one seed each.) Ten samples after each epoch of
# ``flux-dcgan``, from the first at the top to the last:
#
# .. image:: /images/seeds/flux-dcgan-epochs.png
#    :width: 48%
#    :alt: Ten digits after each epoch of flux-dcgan
#
# With the published :math:`\beta_1 = 0.9` Adam averages over about ten gradients, with 0.5 over about two, so it
# follows the other player more quickly. The recipe with 0.9 draws the same single stroke for all latents in its first
# epochs.
#
# :ref:`This page <seed-flux-dcgan>` goes through the tutorial line by line.
