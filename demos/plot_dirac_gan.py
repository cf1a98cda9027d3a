r"""
The smallest GAN, which does not converge
=========================================

One number is real: 0. The generator has one weight, the discriminator has one weight, and the solution is plain to see.
Gradient descent does not find it. The step size and the order of the two updates decide what it does instead, and
both can be told in advance, to the last digit.

Source: Mescheder, Geiger & Nowozin, "Which training methods for GANs do actually converge?", 2018, section 2.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from minigan.gan import GANLoss, discriminator_step, generator_step, simultaneous_step
from minigan.nn import Dense, Sequential, sigmoid
from minigan.optim import SGD

QUICK = "--quick" in sys.argv  # fewer steps

# %%
# The game
# --------
#
# The latent is always 1, so the generator's weight :math:`\theta` is the number that it draws. The discriminator's
# logit for a number :math:`x` is :math:`\psi x`. With :math:`f(t) = -\log(1 + e^{-t})`, the two play for
#
# .. math:: V(\theta, \psi) = f(\theta\psi) + f(0);
#
# the generator lowers it, the discriminator raises it. Once :math:`\theta = 0` the generator is right, and at
# :math:`\psi = 0` the discriminator has no reason to prefer a side: :math:`(0, 0)` is the equilibrium.
#
# About the sign: in this paper the logit speaks for *fake*, so the labels (real, fake) are (0, 1), and minigan's loss
# of ``D``,
#
# .. math::
#
#    & \mathrm{BCE}(\psi\cdot 0,\, 0) + \mathrm{BCE}(\psi\theta,\, 1) \\
#    &= \log 2 + \log(1 + e^{-\theta\psi}),
#
# is exactly :math:`-V`. (With minigan's usual labels :math:`\psi` would be :math:`-\psi`, and nothing else would be
# different.)

LOSS = GANLoss("minimax", "logit", labels=(0.0, 1.0))
REAL, LATENT = np.zeros((1, 1)), np.ones((1, 1))


def weight(start):
    """A network that multiplies by one weight. Shapes: x and y (N, 1)."""
    network = Sequential([Dense(1, bias=False)], (1,), rng=np.random.default_rng(0), dtype=np.float64)
    network.params[0] = start
    return network


def simultaneous(G, D, g_optimizer, d_optimizer):
    """Both gradients at the same weights, then both updates."""
    simultaneous_step(G, D, g_optimizer, d_optimizer, LOSS, REAL, LATENT)


def alternating(G, D, g_optimizer, d_optimizer):
    """D's update; then G's, which sees D's new weight."""
    discriminator_step(G, D, d_optimizer, LOSS, REAL, LATENT)
    generator_step(G, D, g_optimizer, LOSS, LATENT)


def trajectory(step, h, *, start, steps):
    """The weights (θ, ψ) before the first step and after each, by gradient descent with step size h: (steps + 1, 2)."""
    G, D = weight(start[0]), weight(start[1])
    g_optimizer, d_optimizer = SGD(G, lr=h), SGD(D, lr=h)
    path = [start]
    for _ in range(steps):
        step(G, D, g_optimizer, d_optimizer)
        path.append((G.params[0], D.params[0]))
    return np.array(path)


def distance(path):
    """√(θ² + ψ²), the distance from the equilibrium. Shapes: path (T, 2), the result (T,)."""
    return np.hypot(path[:, 0], path[:, 1])


# %%
# Both at once: always outwards
# -----------------------------
#
# The gradients are :math:`\partial V/\partial\theta = f'(\theta\psi)\,\psi` and
# :math:`\partial V/\partial\psi = f'(\theta\psi)\,\theta`, with :math:`f'(t) = 1/(1 + e^t) = \sigma(-t)`. A step of
# size :math:`h` adds to :math:`(\theta, \psi)` the vector :math:`h f'\cdot(-\psi, \theta)`. That is at right angles to
# :math:`(\theta, \psi)`, and :math:`h f'` times as long. So by Pythagoras
#
# .. math:: \frac{\text{new distance}}{\text{old distance}} = \sqrt{1 + h^2 f'(\theta\psi)^2}
#
# from wherever it starts: a step never leads nearer. Close to the equilibrium :math:`f'(0) = \frac12` and the factor is
# :math:`\sqrt{1 + h^2/4}`.


def factor(path, h):
    """√(1 + h² f'(θψ)²), by which a simultaneous step from each point multiplies its distance: (T, 2) → (T,)."""
    return np.sqrt(1 + (h * sigmoid(-path[:, 0] * path[:, 1])) ** 2)


H = 0.5
outwards = trajectory(simultaneous, H, start=(0.1, 0.0), steps=50)
r = distance(outwards)
measured, told = r[1:] / r[:-1], factor(outwards[:-1], H)
print(f"distance from the equilibrium: {r[0]:.2f} at first, {r[-1]:.2f} after {len(measured)} steps")
print(f"largest error of the formula: {np.abs(measured / told - 1).max():.0e} of the factor")

# %%
# The first factors are :math:`\sqrt{1 + h^2/4}`. Further out, :math:`\theta\psi` is no longer small, and the factor
# swings about that, twice in each turn.

around = trajectory(alternating, H, start=(0.1, 0.0), steps=50)
figure, (plane, factors) = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
plane.plot(*outwards.T, ".-", color="tab:red", linewidth=0.8, label="both at once")
plane.plot(*around.T, ".-", color="tab:blue", linewidth=0.8, label="one after the other")
plane.plot(0, 0, "k+", markersize=12, label="the equilibrium")
plane.set(xlabel=r"generator, $\theta$", ylabel=r"discriminator, $\psi$", aspect="equal", ylim=(-0.45, 0.6))
plane.set_title(f"50 steps of size {H}")
plane.legend(loc="upper left")
factors.axhline(np.sqrt(1 + H**2 / 4), color="0.5", linestyle="--", label=r"$\sqrt{1 + h^2/4}$")
factors.plot(told, color="black", label=r"$\sqrt{1 + h^2 f'(\theta\psi)^2}$")
factors.plot(measured, "o", markersize=4, color="tab:red", label="measured")
factors.set(xlabel="step", ylabel="distance, new over old", title="both at once: the factor of each step")
factors.legend(loc="upper left")
plt.show()

# %%
# One after the other: round and round
# ------------------------------------
#
# Alternating, the generator sees the discriminator's new weight. Near the equilibrium :math:`f' = \frac12`; write
# :math:`c = h/2`. Then :math:`\psi_\text{new} = \psi + c\,\theta` and
# :math:`\theta_\text{new} = \theta - c\,\psi_\text{new}`, together
#
# .. math:: \begin{pmatrix}\theta\\ \psi\end{pmatrix}_\text{new} =
#           \begin{pmatrix}1 - c^2 & -c\\ c & 1\end{pmatrix}\begin{pmatrix}\theta\\ \psi\end{pmatrix}.
#
# The determinant is :math:`(1 - c^2) + c^2 = 1` and the trace :math:`2 - c^2`. The eigenvalues solve
# :math:`\lambda^2 - (2 - c^2)\lambda + 1 = 0`. Their product is 1. If :math:`|2 - c^2| < 2`, they are a conjugate pair,
# so both have absolute value 1: the map only turns. That is so exactly when :math:`c < 2`, which is :math:`h < 4`.
# Beyond it they are real and different, so one is larger than 1 in absolute value and pushes outwards.
#
# How far does it swing? Put the new weights into :math:`Q = \theta^2 + \psi^2 + c\,\theta\psi`, and :math:`Q` comes out
# as it was. So the points lie on an ellipse, and since :math:`|\theta\psi| \le \frac12(\theta^2 + \psi^2)`, the squared
# distance stays between :math:`Q/(1 + h/4)` and :math:`Q/(1 - h/4)`. All of this is about a start so close that
# :math:`f'` does not change on the way.


def limits(h):
    """The nearest and the farthest point of the ellipse through (1, 0), where Q = 1: 1/√(1 + h/4) and 1/√(1 - h/4)."""
    return 1 / np.sqrt(1 + h / 4), 1 / np.sqrt(1 - h / 4)


def growth(h):
    """The larger |λ| of the linearised alternating step: 1 up to h = 4, else q + √(q² - 1) with q = h²/8 - 1."""
    q = max(1.0, h**2 / 8 - 1)
    return q + np.sqrt(q**2 - 1)


CLOSE = 1e-6
STEPS = 1_000 if QUICK else 20_000
paths = {h: trajectory(alternating, h, start=(CLOSE, 0.0), steps=STEPS) / CLOSE for h in (0.5, 2.0, 3.9)}
print(f"distance over the first one, in {STEPS} alternating steps:")
for h, path in paths.items():
    (near, far), r = limits(h), distance(path)
    print(f"  h = {h}: from {r.min():.4f} to {r.max():.4f}; the ellipse reaches from {near:.4f} to {far:.4f}")

# %%
# The dots below lie on the ellipses. (With :math:`h = 2` each step turns by a sixth, so there are only six of them.)
# With :math:`h = 4.1`, a little more than 4, the weights leave: each step multiplies their distance by the larger
# eigenvalue, until they are so far out that :math:`f'` is another.

paths[4.1] = trajectory(alternating, 4.1, start=(CLOSE, 0.0), steps=60) / CLOSE
r = distance(paths[4.1])
print(f"h = 4.1: {r[20]:,.0f} times the first distance after 20 steps")
print(f"         the last of them multiplied it by {r[20] / r[19]:.4f}; the larger eigenvalue is {growth(4.1):.4f}")

figure, (plane, distances) = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
theta, psi = np.meshgrid(np.linspace(-5, 5, 301), np.linspace(-5, 5, 301))
for (h, path), colour in zip(paths.items(), ("tab:blue", "tab:green", "tab:orange", "tab:red"), strict=True):
    distances.semilogy(distance(path)[:61], ".-", linewidth=0.8, color=colour, label=f"h = {h}")
    if h < 4:
        plane.plot(*path[:300].T, ".", color=colour, label=f"h = {h}")
        plane.contour(theta, psi, theta**2 + psi**2 + h / 2 * theta * psi, levels=[1], colors=colour, linewidths=0.8)
plane.plot(0, 0, "k+", markersize=12)
plane.set(xlabel=r"$\theta$ / first distance", ylabel=r"$\psi$ / first distance", aspect="equal")
plane.set_title("one after the other: 300 steps")
plane.legend(loc="upper right")
distances.set(xlabel="step", ylabel="distance / first distance", ylim=(0.3, 1e8), title="how far from the equilibrium")
distances.legend(loc="upper left", ncols=2)
plt.show()

# %%
# So neither way arrives: both at once drifts off, one after the other goes round, or leaves if its steps are too large.
# That is no mistake in a gradient, and smaller steps do not cure it. The paper shows what does: a penalty on the
# discriminator's gradient, or noise on what it sees, bends the circles inwards.
