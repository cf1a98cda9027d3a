r"""
Minimax and non-saturating: what a sure discriminator leaves to learn from
==========================================================================

The paper that invented the game gives the generator two losses. The first, *minimax*, is the one that the theory is
about. The second, now called *non-saturating*, is the one that nearly everybody trains with. The reason is a gradient
that vanishes. Here it is measured: by how much, for which images, and what becomes of the digits.

Source: Goodfellow et al., "Generative adversarial nets", 2014, section 3.
"""

import sys
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

from minigan.backend import RandomStream
from minigan.data.batches import Batches
from minigan.data.datasets import load_dataset
from minigan.gan import GANLoss, discriminator_step
from minigan.optim import SGD, Adam
from minigan.plot import image_grid, to_uint8
from minigan.recipes import RECIPES
from minigan.train import Trainer

QUICK = "--quick" in sys.argv  # fewer steps

# %%
# Two losses, one wish
# --------------------
#
# Let ``D`` end in a logit :math:`x`, so that its probability of *real* is :math:`p = \sigma(x)`. Of a fake, ``G`` wants
# ``D`` to say *real*. It can lower
#
# - minimax: :math:`-\mathrm{BCE}(p, 0) = \log(1 - p)`, the opposite of what ``D`` lowers, or
# - non-saturating: :math:`\mathrm{BCE}(p, 1) = -\log p`, the loss of a discriminator that is wrong.
#
# Both fall as :math:`p` rises. The cross-entropy's gradient with respect to the logit is :math:`p - t` for the label
# :math:`t` (:doc:`/bce`), so that of minimax is :math:`-(p - 0) = -p`, and that of the other is :math:`p - 1`. When
# ``D`` is sure that a fake is a fake, :math:`x \to -\infty` and :math:`p \to 0`: the first gradient goes to 0, the
# second to -1. Their ratio is
#
# .. math:: \frac{-p}{p - 1} = \frac{p}{1 - p},
#
# and everything before the logit, ``D`` and ``G``, only multiplies. So for each fake the two gradients have the same
# direction, and one is :math:`p/(1-p)` times as long as the other.

LOSSES = {name: GANLoss(generator=name, output="logit") for name in ("minimax", "non_saturating")}
RECIPE = replace(
    RECIPES["pytorch-mlp"],
    d_output="logit",
    batch_size=64,
    g_hidden=(256,),
    d_hidden=(128, 64),
    lr_g=1e-3,
    lr_d=1e-3,
    beta1=0.5,
)


def gradients(G, D, loss, z):
    """What one backward pass leaves: of each fake (N, 784), of G's parameters (flat), and D's probabilities (N, 1)."""
    fakes, cache_G = G.forward(z, train=True)
    out, cache_D = D.forward(fakes, train=True)
    _, d_out = loss.for_generator(out)
    dx = D.backward(d_out, cache_D, need_param_grads=False)
    G.backward(dx, cache_G, need_input_grad=False)
    return dx, G.grads.copy(), loss.probability(out)


# %%
# A discriminator that becomes sure
# ---------------------------------
#
# ``G`` is fresh and stays as it is; ``D`` alone is trained. Now and then we stop and ask: if ``G`` were to learn from
# this very ``D`` and these 100 latents, how long would its gradient be? Both networks compute in float64, so that small
# numbers are no rounding errors.

images = load_dataset("auto", count=3_000).images
G, D = RECIPE.networks(RandomStream(0, "init").host, dtype=np.float64)
d_optimizer = Adam(D, lr=RECIPE.lr_d, beta1=RECIPE.beta1)
batches = Batches(images, RECIPE.batch_size, shape=D.in_shape, dtype=np.float64)
latents = RandomStream(0, "preview").normal((100, RECIPE.latent_dim), np.float64)

STOPS = (0, 3, 10, 30, 100, 300) if QUICK else (0, 3, 10, 30, 100, 300, 1000, 3000)
norms = {"minimax": [], "non_saturating": []}
ratios, odds, mean_p = [], [], []
print("steps of D   mean D(G(z))    minimax   non-saturating   the one over the other")
for step in range(STOPS[-1] + 1):
    if step in STOPS:
        dx, dtheta = {}, {}
        for name, loss in LOSSES.items():
            dx[name], dtheta[name], p = gradients(G, D, loss, latents)
            norms[name].append(np.linalg.norm(dtheta[name]))
        ratios.append(np.linalg.norm(dx["minimax"], axis=1) / np.linalg.norm(dx["non_saturating"], axis=1))
        odds.append((p / (1 - p))[:, 0])
        mean_p.append(p.mean())
        small, large = norms["minimax"][-1], norms["non_saturating"][-1]
        print(f"{step:10}   {p.mean():12.2e}   {small:8.2e}   {large:14.2e}   {small / large:22.2e}")
    z = RandomStream(0, "latent", step).normal((RECIPE.batch_size, RECIPE.latent_dim), np.float64)
    discriminator_step(G, D, d_optimizer, LOSSES["minimax"], batches.batch(step), z)

# %%
# Within 300 steps the minimax gradient becomes hundreds of times shorter than it was at its longest, while the other
# keeps growing. At first both grow: a discriminator that has learned nothing yet has no advice to give, whatever the
# loss.

figure, (norm, ratio) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for (name, values), marker in zip(norms.items(), "os", strict=True):
    norm.plot(STOPS, values, marker=marker, label=name.replace("_", "-"))
norm.set_xscale("symlog", linthresh=3)
norm.set_yscale("log")
norm.set(xlabel="steps of D, alone", ylabel="length of G's gradient", title="the gradient of all of G's weights")
norm.set_xticks(STOPS, [str(stop) for stop in STOPS])
norm.minorticks_off()
norm.legend()
line = np.array([min(map(min, odds)), max(map(max, odds))])
ratio.loglog(line, line, color="0.6", zorder=0, label=r"$p/(1-p)$")
for stop, x, y in zip(STOPS, odds, ratios, strict=True):
    ratio.loglog(x, y, ".", label=f"{stop} steps")
ratio.set(xlabel=r"$p/(1-p)$ of a fake", ylabel="minimax over non-saturating", title="the gradients of single fakes")
ratio.legend(fontsize="small")
plt.show()

error = max(np.abs(measured / told - 1).max() for measured, told in zip(ratios, odds, strict=True))
print(f"the ratio for each of {100 * len(STOPS)} fakes is p/(1-p), with an error of at most {error:.0e} of it")

# %%
# On the right there is a dot for every fake at every stop. The ratio is :math:`p/(1-p)`, but for rounding: float64 has
# 16 digits. That says more than "smaller". The gradient of ``G`` is a mean over fakes, in which minimax gives each a
# weight of :math:`p` and the other :math:`1 - p`. So minimax listens most to the fakes that deceive ``D`` best, and
# once ``D`` is sure, the non-saturating loss listens to all alike:

for stop, one in zip(STOPS, odds, strict=True):
    p = np.sort(one / (1 + one))[::-1]
    first, other = p[:10].sum() / p.sum(), (1 - p[:10]).sum() / (1 - p).sum()
    print(f"{stop:4} steps: the best 10 fakes of 100 have {first:4.0%} of the weight, non-saturating {other:4.0%}")

# %%
# Does it matter?
# ---------------
#
# That depends on the optimiser. Plain gradient descent takes steps as long as the gradient. Adam divides each gradient
# by a running mean of its size, so a gradient that is small all the time makes steps as long as any other. Four runs,
# from the same weights: ``D`` first makes 200 updates alone (``d_warmup``), then both play. ``G`` learns by SGD or by
# Adam, from either loss. (``D`` always learns by Adam, and has dropout here.)

WARMUP = 200
STEPS = WARMUP + (700 if QUICK else 4_000)
LR_SGD = 0.05


def play(g_loss, optimizer, *, seed=0):
    """A trainer after STEPS updates of D, and how far G's weights have moved after each update of G."""
    trainer = Trainer(replace(RECIPE, g_loss=g_loss, dropout=0.3, d_warmup=WARMUP), images, seed=seed)
    if optimizer == "SGD":
        trainer.g_optimizer = SGD(trainer.G, lr=LR_SGD)
    start, moved = trainer.G.params.copy(), []
    for step in range(STEPS):
        trainer.train_step(trainer.batches.batch(step))
        moved.append(np.linalg.norm(trainer.G.params - start))
    return trainer, moved[WARMUP:]


RUNS = {(name, optimizer): play(name, optimizer) for optimizer in ("SGD", "Adam") for name in LOSSES}

figure, axes = plt.subplots(2, 2, figsize=(10, 5.6), layout="constrained")
for ax, ((name, optimizer), (trainer, _)) in zip(axes.flat, RUNS.items(), strict=True):
    fakes = trainer.G(trainer.preview_latents(50)).reshape(-1, 28, 28)
    ax.imshow(image_grid(to_uint8(fakes, RECIPE.value_range)), cmap="gray", vmin=0, vmax=255)
    ax.set(xticks=[], yticks=[], title=f"{name.replace('_', '-')}, {optimizer}")
plt.show()

# %%
# With SGD, minimax has drawn nothing: the picture is the noise that it began with. The same optimiser, the same rate
# and the non-saturating loss make digits. With Adam both do.

figure, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
print("                      G's weights have moved by      D(G(z)) now")
for (name, optimizer), (trainer, moved) in RUNS.items():
    p = trainer.loss.probability(trainer.D(trainer.G(trainer.preview_latents(100)))).mean()
    print(f"{name:>14}, {optimizer:4}  {moved[0]:.1e} at once, {moved[-1]:.1e} in all      {p:.1e}")
    colour, line = "tab:blue" if name == "minimax" else "tab:orange", "-" if optimizer == "SGD" else "--"
    ax.semilogy(range(1, len(moved) + 1), moved, line, color=colour, label=f"{name.replace('_', '-')}, {optimizer}")
ax.set(xlabel="updates of G", ylabel="distance of G's weights\nfrom where they began")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %%
# It is not that minimax with SGD is slow and would get there. While ``G`` stands still, ``D`` becomes ever more sure
# and the gradient ever shorter. The rate would have to grow as the gradient shrinks, and that is what Adam's division
# does.
#
# So "minimax does not train" says too much. Its gradient vanishes exactly as the formula tells, and an optimiser that
# is blind to the length of a gradient hardly minds. What Adam cannot change are the weights of the fakes within it.
