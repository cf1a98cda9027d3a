r"""
The best discriminator, and what it measures
============================================

A GAN's theory starts with a discriminator that has learned all there is to learn. Its answer is known, and so is its
loss. Here the data are single numbers, so small that both can be computed, and a network of minigan must find them.

Source: Goodfellow et al., "Generative adversarial nets", 2014, section 4.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from minigan.gan import GANLoss, discriminator_step
from minigan.nn import Dense, Sequential, Tanh, sigmoid
from minigan.optim import Adam

QUICK = "--quick" in sys.argv  # fewer steps and fewer shifts

# %%
# Two densities
# -------------
#
# The real numbers come from a density with two bumps. The generator knows the bumps but not their place: it takes a
# number :math:`z` of the same density and adds a shift, :math:`G(z) = z + s`. That is a ``Dense`` with one weight, 1,
# and one bias, :math:`s`. So its density is the real one, moved: :math:`p_g(x) = p_\text{data}(x - s)`.

WEIGHTS, CENTRES, WIDTH = (0.6, 0.4), (-1.2, 1.2), 0.7
GRID = np.linspace(-12, 12, 4801)  # beyond it is nothing to speak of: no bump comes nearer to its ends than 6 widths


def density(x):
    """p_data(x) = Σ weight · N(x; centre, WIDTH²). Shapes: x any, the result the same."""
    bumps = [w * np.exp(-0.5 * ((x - c) / WIDTH) ** 2) for w, c in zip(WEIGHTS, CENTRES, strict=True)]
    return sum(bumps) / (WIDTH * np.sqrt(2 * np.pi))


def generator(shift):
    """G(z) = 1·z + shift. Shapes: z and G(z) (N, 1)."""
    G = Sequential([Dense(1)], (1,), rng=np.random.default_rng(0), dtype=np.float64)
    G.layers[0].W[...], G.layers[0].b[...] = 1, shift
    return G


# %%
# The theory speaks of expectations. A mean over :math:`N` random draws misses them by about :math:`1/\sqrt N`, so we
# leave chance out and take the number below which a share of :math:`(i + \frac12)/N` of the density lies, for
# :math:`i = 0, \dots, N-1`: one from each slice of probability :math:`1/N`.


def quantiles(n):
    """The numbers of which a share (i + 1/2)/n of p_data lies below, i = 0 … n - 1. Shape: (n, 1)."""
    mass = density(GRID) * (GRID[1] - GRID[0])
    share = np.cumsum(mass) - mass / 2  # a point of the grid has half of its own mass to its left
    return np.interp((np.arange(n) + 0.5) / n, share, GRID)[:, None]


FEW, MANY = quantiles(1_000), quantiles(20_000)  # to train on, and to measure with

# %%
# The best answer
# ---------------
#
# The discriminator maximises :math:`V = \mathbb E_\text{data}[\log D(x)] + \mathbb E_g[\log(1 - D(x))]`, which is
# minigan's loss of ``D`` with the other sign. Written as an integral, each :math:`x` contributes
#
# .. math:: p_\text{data}\log D + p_g\log(1 - D),
#
# and :math:`D` may choose its answer to each :math:`x` by itself. The derivative
# :math:`p_\text{data}/D - p_g/(1 - D)` is 0 at
#
# .. math:: D^*(x) = \frac{p_\text{data}(x)}{p_\text{data}(x) + p_g(x)},
#
# and, :math:`V` being concave in :math:`D`, that is the maximum. The logit of :math:`D^*` is
# :math:`\log p_\text{data} - \log p_g`.


def optimal_logit(x, shift):
    """log p_data(x) - log p_g(x), whose sigmoid is D*(x). Shapes: x any, the result the same."""
    return np.log(density(x)) - np.log(density(x - shift))


# %%
# The network knows none of this. It has two hidden layers and sees nothing but numbers, labelled real or fake. Both
# kinds are the same thousand quantiles, the fake ones through ``G``. The learning rate falls to 0, so that Adam comes
# to rest.

LOSS = GANLoss(output="logit")


def discriminator():
    """x (N, 1) to a logit (N, 1)."""
    layers = [Dense(16), Tanh(), Dense(16), Tanh(), Dense(1)]
    return Sequential(layers, (1,), rng=np.random.default_rng(2), dtype=np.float64)


def train_discriminator(shift, *, steps, lr=0.02):
    """A discriminator after so many steps of Adam against the generator with this shift, which stays as it is."""
    G, D = generator(shift), discriminator()
    optimizer = Adam(D, lr=lr)
    for step in range(steps):
        optimizer.lr = lr * (1 - step / steps)
        discriminator_step(G, D, optimizer, LOSS, x_real=FEW, z=FEW)
    return D


# %%
# Where neither density has any mass, no number ever comes from there and :math:`D` may answer what it likes. So we
# compare where their average is above 0.01, which leaves out half a per cent of its mass.


def largest_error(D, shift):
    """max |D(x) - D*(x)| over the x of the grid where (p_data + p_g)/2 > 0.01."""
    x = GRID[(density(GRID) + density(GRID - shift)) / 2 > 0.01]
    return np.abs(sigmoid(D(x[:, None]))[:, 0] - sigmoid(optimal_logit(x, shift))).max()


STEPS = 500 if QUICK else 2_000
SHIFT = 1.0
D = train_discriminator(SHIFT, steps=STEPS)
print(f"after {STEPS} steps D differs from D* by at most {largest_error(D, SHIFT):.4f}")

# %%
# Above, the two densities; below, the answers. Where they cross, ``D`` says one half.

x = GRID[np.abs(GRID - SHIFT / 2) < 3.7]
figure, (above, below) = plt.subplots(2, 1, figsize=(7, 5), sharex=True, layout="constrained")
above.fill_between(x, density(x), alpha=0.4, label=r"$p_{\mathrm{data}}$")
above.fill_between(x, density(x - SHIFT), alpha=0.4, label=rf"$p_g$, shifted by {SHIFT:g}")
above.set(ylabel="density", ylim=(0, None))
above.legend(loc="upper right")
below.axhline(0.5, color="0.8", linewidth=1)
below.plot(x, sigmoid(optimal_logit(x, SHIFT)), color="black", linewidth=1.5, label="$D^*$, the formula")
below.plot(x, sigmoid(D(x[:, None])), "--", color="tab:red", linewidth=2.5, label="$D$, trained")
below.set(xlabel="a number, $x$", ylabel="probability of real", ylim=(-0.05, 1.05))
below.legend(loc="upper right")
plt.show()

# %%
# What its loss measures
# ----------------------
#
# Put :math:`D^*` into :math:`V`. With the average of the two densities, :math:`m = (p_\text{data} + p_g)/2`, it is
# :math:`D^* = p_\text{data}/(2m)` and :math:`1 - D^* = p_g/(2m)`. Each of the two logarithms gives a
# :math:`-\log 2`, and what is left are two Kullback-Leibler divergences:
#
# .. math::
#
#    V(D^*) &= -\log 4 + \mathrm{KL}(p_\text{data}\,\|\,m) + \mathrm{KL}(p_g\,\|\,m) \\
#           &= -\log 4 + 2\,\mathrm{JSD}(p_\text{data}, p_g).
#
# The Jensen-Shannon divergence is the mean of the two. It is 0 where the densities are the same and nowhere else, and
# never above :math:`\log 2`. Below it is computed from the densities alone, by the trapezium rule, and :math:`V` from
# minigan's loss.


def kullback_leibler(p, q):
    """∫ p log(p/q) dx, in nats. Shapes: p and q (len(GRID),), densities on the grid, above 0."""
    return np.trapezoid(p * np.log(p / q), GRID)


def jensen_shannon(shift):
    """JSD(p_data, p_g) = [KL(p_data ‖ m) + KL(p_g ‖ m)] / 2 with m = (p_data + p_g)/2, in nats."""
    p_data, p_g = density(GRID), density(GRID - shift)
    m = (p_data + p_g) / 2
    return (kullback_leibler(p_data, m) + kullback_leibler(p_g, m)) / 2


def value(D, shift):
    """V = E_data[log D] + E_g[log(1 - D)]. D is a network, or any function from x (N, 1) to logits (N, 1)."""
    (loss, _, _), _, _ = LOSS.for_discriminator(D(MANY), D(generator(shift)(MANY)))
    return -float(loss)


by_loss = value(lambda x: optimal_logit(x, SHIFT), SHIFT)
print(f"-log 4 + 2 JSD        {-np.log(4) + 2 * jensen_shannon(SHIFT):.5f}  by integrals")
print(f"V of the formula D*   {by_loss:.5f}  by minigan's loss")
print(f"V of the trained D    {value(D, SHIFT):.5f}  by minigan's loss; less, for none is better than D*")

# %%
# So the loss of a discriminator that is kept at its best is a distance between what is real and what is made, and a
# generator that lowers :math:`V` lowers that distance. Move the generator's bumps past the real ones, and train a new
# discriminator at a few places on the way:

TRAINED_AT = (-1.0, 0.0, 2.0) if QUICK else (-3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0)
VALUES = [value(train_discriminator(shift, steps=STEPS), shift) for shift in TRAINED_AT]
shifts = np.linspace(-6, 6, 121)

print("shift    V(D*)     V(D)")
for shift, v in zip(TRAINED_AT, VALUES, strict=True):
    print(f"{shift:5.1f} {-np.log(4) + 2 * jensen_shannon(shift):8.5f} {v:8.5f}")

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.axhline(0, color="0.6", linestyle=":")
axes.axhline(-np.log(4), color="0.6", linestyle=":")
axes.plot(shifts, [-np.log(4) + 2 * jensen_shannon(s) for s in shifts], label=r"$-\log 4 + 2\,$JSD, by integrals")
axes.plot(TRAINED_AT, VALUES, "o", color="tab:red", label="a trained $D$, by minigan's loss")
axes.text(0, -0.03, "0: no number could be of both kinds", ha="center", va="top", color="0.35")
axes.text(-6, -np.log(4) + 0.03, r"$-\log 4$: nothing to tell apart", va="bottom", color="0.35")
axes.set(xlabel="shift of the generator", ylabel="value of the game, $V$ (nats)")
axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.8))
plt.show()

# %%
# The minimum is :math:`-\log 4 \approx -1.386`, where the shift is 0: there :math:`D^* = \frac12` everywhere, and
# minigan's ``d_loss`` is :math:`\log 4` (half of it, 0.693, for a recipe that takes the mean over both kinds). Far away
# the curve is flat: a generator whose every number is found out learns from the minimax loss next to nothing. That is
# one reason why recipes train it with the non-saturating loss; another is that no real discriminator is kept at its
# best.
