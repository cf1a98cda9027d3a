r"""
keras-upconv: a GAN class that knows no networks
================================================

The networks and the game kept apart, so that either can be changed without touching the other. The generator enlarges
its images by repeating pixels and convolving; the discriminator's labels are the other way round: 1 means fake.

Source: J. Leinonen, "The elements of GANs, part 1: a simple GAN with Keras", 2019.
"""

import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from minigan.backend import RandomStream
from minigan.data.batches import Batches
from minigan.data.datasets import load_dataset
from minigan.gan import Feeding, GANLoss, discriminator_step, generator_step
from minigan.nn import BatchNorm, Conv2d, Dense, Flatten, LeakyReLU, Reshape, Sequential, Sigmoid, Tanh, Upsample2d
from minigan.optim import Adam
from minigan.plot import image_grid, to_uint8
from minigan.recipes import RECIPES

# sphinx_gallery_thumbnail_path = 'images/seeds/keras-upconv.png'

QUICK = "--quick" in sys.argv  # a few seconds of training, as on this page
FIGURES = Path("runs/demos/keras-upconv/figures")
FIGURES.mkdir(parents=True, exist_ok=True)

# %%
# The theory
# ----------
#
# Here :math:`D(x)` is the probability that :math:`x` is *generated*. (One might as well take that of *real*, as most
# do.) So the right answer is 0 for a real image and 1 for a generated one, and the cross-entropies are
#
# .. math::
#
#    L_D &= -\bigl(\log D(G(z)) + \log(1 - D(x))\bigr), \\
#    L_G &= -\log(1 - D(G(z))).
#
# The discriminator takes a step that lowers :math:`L_D` while the generator stays as it is; then the generator takes
# one that lowers :math:`L_G` while the discriminator stays as it is. Real images do not occur in :math:`L_G`, so the
# generator's step needs none. In minigan the theory is one line:

loss = GANLoss(generator="non_saturating", output="probability", labels=(0.0, 1.0))

# %%
# The networks
# ------------
#
# The discriminator has three blocks of a 3×3 convolution and a LeakyReLU. The first has stride 1 and keeps the image at
# 32×32, the other two have stride 2 and halve it.


def dcgan_disc(img_shape=(32, 32, 1), *, rng):
    """Images (N, 32, 32, 1) to the probability of fake (N, 1)."""

    def conv_block(channels, strides=2):
        return [Conv2d(channels, 3, stride=strides, pad="same"), LeakyReLU(slope=0.2)]

    layers = [*conv_block(64, strides=1), *conv_block(128), *conv_block(256), Flatten(), Dense(1), Sigmoid()]
    return Sequential(layers, img_shape, rng=rng)


# %%
# The generator goes the other way. ``Upsample2d`` doubles the image, each pixel becoming a block of 2×2; the
# convolution after it makes something of the blocks. ``BatchNorm`` follows Keras' numbers: its momentum 0.8 is the
# weight of the *old* statistics, which minigan calls ``decay``, and 0.001 is added to the variance.


def dcgan_gen(img_shape=(32, 32, 1), noise_dim=64, *, rng):
    """Noise (N, 64) to images (N, 32, 32, 1) in [-1, 1]."""

    def up_block(channels):
        return [
            Upsample2d(2),
            Conv2d(channels, 3, pad="same"),
            BatchNorm(decay=0.8, eps=1e-3),
            LeakyReLU(slope=0.2),
        ]

    height, width, channels = img_shape[0] // 4, img_shape[1] // 4, 256
    layers = [
        Dense(height * width * channels), LeakyReLU(slope=0.2),
        Reshape(height, width, channels),
        *up_block(128),
        *up_block(64),
        Conv2d(img_shape[-1], 3, pad="same"), Tanh(),
    ]  # fmt: skip
    return Sequential(layers, (noise_dim,), rng=rng)


rng = RandomStream(0, "init").host
gen = dcgan_gen(rng=rng)
disc = dcgan_disc(rng=rng)
print(gen.summary(), "\n")
print(disc.summary())

# %%
# A detail of ``padding="same"``: a 3×3 kernel at stride 1 needs one row and one column of zeros on each side. At stride
# 2 it needs only one in all, and TensorFlow puts it below and on the right, where other frameworks have it on top and
# on the left. minigan follows TensorFlow. The padding as ((above, below), (left, right)), of the first two
# convolutions:

print("stride 1:", disc.layers[0].windows((32, 32)).pad)
print("stride 2:", disc.layers[2].windows((32, 32)).pad)

# %%
# These are the networks of minigan's recipe ``keras-upconv``: the same layers, the same number of parameters, and even
# the same first weights. With ``merged`` the recipe has one layer in place of the two in ``up_block``, which does the
# same with half of the multiplications: see the chapter :doc:`/upsample`.

recipe = replace(RECIPES["keras-upconv"], merged=False)
for mine, published in zip((gen, disc), recipe.networks(RandomStream(0, "init").host), strict=True):
    assert repr(mine.layers) == repr(published.layers)
    assert np.array_equal(mine.params, published.params)
assert (loss, Feeding()) == (recipe.loss, recipe.feeding)  # real and fake are two batches
print(f"{gen.params.size:,} and {disc.params.size:,} parameters, as in the recipe")

# %%
# The game
# --------
#
# The class below is handed two networks and never asks what is in them. Any generator whose images fit the
# discriminator will do. Both have an Adam with :math:`\beta_1 = 0.5` and :math:`\beta_2 = 0.9`; the ``eps`` is Keras'.
#
# The blog holds the other network still with a context, ``Nontrainable``, that puts its flag back even after Ctrl-C.
# minigan has no such flag: a step simply does not ask for the other network's gradients, and there is nothing to put
# back.
#
# ``training_ratio`` is the number of discriminator steps, each with new images and new noise, for one of the generator.
# That is a ``for`` loop. ``batch_gen`` and ``noise_gen`` are anything that ``next`` can be asked of.


class GAN:
    """Two networks, their optimisers, and how they take turns."""

    def __init__(self, gen, disc, lr_gen=0.0001, lr_disc=0.0001):
        self.gen, self.disc = gen, disc
        self.opt_gen = Adam(gen, lr=lr_gen, beta1=0.5, beta2=0.9, eps=1e-7)
        self.opt_disc = Adam(disc, lr=lr_disc, beta1=0.5, beta2=0.9, eps=1e-7)

    def fit_generator(self, batch_gen, noise_gen, steps_per_epoch=1, num_epochs=1, training_ratio=1):
        """Train, and print the last losses of each epoch."""
        for epoch in range(1, num_epochs + 1):
            for _ in range(steps_per_epoch):
                for _ in range(training_ratio):
                    d = discriminator_step(self.gen, self.disc, self.opt_disc, loss, next(batch_gen), next(noise_gen))
                g = generator_step(self.gen, self.disc, self.opt_gen, loss, next(noise_gen))
            print(f"Epoch {epoch}/{num_epochs}  D0 {d.loss:.4f}  D1 {d.loss_real:.4f}", end="")
            print(f"  D2 {d.loss_fake:.4f}  G0 {g.loss:.4f}")


# %%
# The data
# --------
#
# MNIST's 70,000 images, the test images included, each with two pixels of background added on all sides: 28 + 2 + 2 =
# 32, which can be halved twice and doubled twice. The pixels are in [-1, 1]. Batches of 32 come without end, in a new
# order after each pass, and every one is full.

batch_size = 32
noise_dim = 64
n_images = 400 if QUICK else 70_000
images = load_dataset("auto", count=n_images, test_images=True).images
batches = Batches(images, batch_size, shape=(32, 32, 1), value_range=(-1, 1), pad=2, drop_last=True)
batch_gen = batches.forever()

# %%
# The noise is Gaussian. Of every two batches the discriminator gets the first and the generator the second.


def noise_batches():
    """Noise (32, 64), batch after batch without end."""
    for step in count():
        stream = RandomStream(0, "latent", step)
        yield stream.normal((batch_size, noise_dim))
        yield stream.normal((batch_size, noise_dim))


noise_gen = noise_batches()

# %%
# Training
# --------
#
# An *epoch* is 20 steps here, not a pass over the images, and there are 200 of them. D0 is the discriminator's loss,
# the sum of D1 on real images and D2 on generated ones; G0 is the generator's.

steps_per_epoch = 3 if QUICK else 20
num_epochs = 4 if QUICK else 200

gan = GAN(gen, disc)
gan.fit_generator(batch_gen, noise_gen, steps_per_epoch=steps_per_epoch, num_epochs=num_epochs, training_ratio=1)

# %%
# Looking
# -------
#
# 16 real images above 16 generated ones, eight in a row, without the padding.


def sheet(x):
    """Images (N, 32, 32, 1) in [-1, 1] as one image of 0…255, eight in a row, each cropped to 28×28."""
    return image_grid(to_uint8(x[:, 2:-2, 2:-2, 0], (-1, 1)), columns=8)


real = batches.take(np.arange(16))
generated = gen(RandomStream(0, "preview").normal((16, noise_dim)))
figure, axes = plt.subplots(2, 1, figsize=(6, 3.6), layout="constrained")
for ax, title, x in zip(axes, ("real", "generated"), (real, generated), strict=True):
    ax.imshow(sheet(x), cmap="gray", vmin=0, vmax=255)
    ax.set(xticks=[], yticks=[], ylabel=title)
figure.savefig(FIGURES / "gan_samples.png", dpi=150)
plt.show()

# %%
# A longer run
# ------------
#
# If this page was made with ``--quick``, there are no digits in the lower half, and there cannot be: a run of 12 steps
# is far too short. The published one takes 4,000. "This is hardly perfect", its author writes, "but the outputs have a
# nice resemblance to the real digits." One hundred samples after 3,200 steps on MNIST:
#
# .. image:: /images/seeds/keras-upconv.png
#    :width: 60%
#    :alt: One hundred digits drawn by keras-upconv after 160 of its 200 epochs
#
# The same training without this file, to the same weights, bit for bit (and twice as fast without the flag, which
# rounds differently):
#
# .. code-block:: none
#
#    minigan train keras-upconv --no-merged
#
# "Play around with the amount of training": ``--epochs 400``; or with ``--d-steps 2``, which is ``training_ratio``.
# :ref:`This page <seed-keras-upconv>` goes through the blog line by line.
