"""GANs whose D pays for its gradient: the smallest forms for MNIST, of Dense layers, of two published penalties."""

from __future__ import annotations

from dataclasses import dataclass

from minigan.recipes.mlp import QuickMLP


@dataclass(frozen=True)
class Penalised(QuickMLP):
    """The networks of `quick-mlp`: BatchNorm in G alone, since with it in D no example has a gradient of its own."""


class WGANGP(Penalised):
    """The Wasserstein GAN with gradient penalty: a critic that is to be of slope 1, and learns five times as often.

    The paper's algorithm 1 and numbers (λ 10, Adam with β₁ 0 and β₂ 0.9), on Dense layers in place of its convolutions.
    """

    name = "wgan-gp"
    source = "Gulrajani et al., “Improved training of Wasserstein GANs”, 2017: its smallest form for MNIST"


class R1(Penalised):
    """The plain GAN with R1: D's gradient on real images costs, so that it comes to rest where fakes are as real.

    The penalty as in the paper (γ 10), on Dense layers in place of its convolutions.
    """

    name = "r1"
    source = "Mescheder, Geiger & Nowozin, “Which training methods for GANs do actually converge?”, 2018: for MNIST"


WGAN_GP = WGANGP(
    epochs=30,
    batch_size=64,
    latent_dim=64,
    g_hidden=(256, 512),
    d_hidden=(512, 256),
    lr_g=5e-4,
    lr_d=5e-4,
    beta1=0.0,
    beta2=0.9,
    average=0.999,
    d_output="logit",
    loss_kind="wasserstein",
    penalty="wgan-gp",
    d_steps=5,
    log_every=100,
)

R1_MLP = R1(
    epochs=12,
    batch_size=64,
    latent_dim=64,
    g_hidden=(256, 512),
    d_hidden=(512, 256),
    lr_g=1e-3,
    lr_d=1e-3,
    beta1=0.0,
    beta2=0.99,
    average=0.999,
    d_output="logit",
    shared_fakes=True,
    penalty="r1",
    log_every=100,
)
