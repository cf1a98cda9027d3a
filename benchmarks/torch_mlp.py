"""flux-mlp and pytorch-mlp in PyTorch, written as well as PyTorch allows: the peer of `step.py` and `quality.py`."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from minigan.recipes import Recipe


class Peer:
    """The same system as `recipe`: sizes, activations, dropout, initial distribution, losses, Adam, and passes.

    No gradient is computed that nobody reads: the fakes of D's step are made without a graph, and D is frozen in G's.
    """

    def __init__(self, recipe: Recipe, seed: int):
        torch.manual_seed(seed)
        self.recipe = recipe
        flux = recipe.name == "flux-mlp"

        def linear(n: int, m: int) -> nn.Linear:
            layer = nn.Linear(n, m)
            if recipe.init == "glorot":
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
            return layer

        def mlp(sizes: list[int], activation: nn.Module, drop: float, last: nn.Module) -> nn.Sequential:
            layers: list[nn.Module] = []
            for n, m in pairwise(sizes[:-1]):
                layers += [linear(n, m), activation] + ([nn.Dropout(drop)] if drop else [])
            return nn.Sequential(*layers, linear(*sizes[-2:]), last)

        leaky = nn.LeakyReLU(0.2)
        self.G = mlp([recipe.latent_dim, *recipe.g_hidden, 784], leaky if flux else nn.ReLU(), 0.0, nn.Tanh())
        self.D = mlp([784, *recipe.d_hidden, 1], leaky, recipe.dropout, nn.Sigmoid())
        betas = (recipe.beta1, recipe.beta2)
        self.g_optimizer = torch.optim.Adam(self.G.parameters(), lr=recipe.lr_g, betas=betas, fused=True)
        self.d_optimizer = torch.optim.Adam(self.D.parameters(), lr=recipe.lr_d, betas=betas, fused=True)
        self.bce = nn.BCELoss()

    def step(self, x_real: Tensor) -> None:
        n = len(x_real)
        with torch.no_grad():
            x_fake = self.G(torch.randn(n, self.recipe.latent_dim))
        self.d_optimizer.zero_grad()
        if self.recipe.d_batching == "concat":
            target = torch.cat([torch.ones(n, 1), torch.zeros(n, 1)])
            d_loss = self.bce(self.D(torch.cat([x_real, x_fake])), target)
        else:
            d_loss = self.bce(self.D(x_real), torch.ones(n, 1)) + self.bce(self.D(x_fake), torch.zeros(n, 1))
        d_loss.backward()
        self.d_optimizer.step()

        self.D.requires_grad_(False)
        self.g_optimizer.zero_grad()
        count = self.recipe.batch_size
        self.bce(self.D(self.G(torch.randn(count, self.recipe.latent_dim))), torch.ones(count, 1)).backward()
        self.g_optimizer.step()
        self.D.requires_grad_(True)
