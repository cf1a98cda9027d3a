"""The systems of minigan/recipes in PyTorch, written as well as PyTorch allows: what minigan is measured against.

(`python benchmarks/peers_check.py` holds a step of each against minigan's.)

A peer has its recipe's networks, initial distributions, losses and Adam, and makes the same passes as minigan, no more.
No gradient is computed that nobody reads: fakes that only D sees are made without a graph, D is frozen in G's step, and
a simultaneous step asks for each player's gradients alone.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from minigan import nn as minigan_nn
from minigan.recipes import Recipe


class Maxout(nn.Module):
    """The largest of each `pieces` neighbouring features."""

    def __init__(self, pieces: int):
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        # Forward and backward of (256, 240, 5) on one thread, medians of 60: amax 0.90 ms, max().values 0.95 ms,
        # max_pool1d 1.19 ms, torch.maximum over the pieces 2.50 ms.
        return x.unflatten(-1, (-1, self.pieces)).amax(-1)


class Unflatten(nn.Module):
    """Features to images (H, W, C) that PyTorch calls (C, H, W): in its format channels_last without a copy."""

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, self.shape).permute(0, 3, 1, 2)


class Flatten(nn.Module):
    """The way back."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


class SpectralLinear(nn.Linear):
    """SpectralNorm of a linear layer as minigan makes it: σ = ‖Wᵀu‖, whose gradient is that of uᵀWv with v held still.

    The outputs are divided, not the weights, which are three times as many: D's passes of `best`, forward and backward,
    take 11.1 ms so, 13.6 ms the other way, and 13.7 ms with torch.nn.utils.parametrizations.spectral_norm, which
    makes two power iterations a step (the least of 30 rounds on a busy machine; without spectral norm 9.3 ms).
    """

    def __init__(self, *sizes: int, bias: bool):
        super().__init__(*sizes, bias=bias)
        self.register_buffer("u", torch.empty(self.out_features))
        self.register_buffer("stretched", torch.empty(self.in_features))  # Wᵀu of the last pass, v times its length

    def forward(self, x: Tensor) -> Tensor:
        stretched = torch.mv(self.weight.t(), self.u)
        self.stretched.copy_(stretched.detach())
        sigma = torch.linalg.vector_norm(stretched)
        bias = self.bias if self.bias is None else self.bias * sigma
        return nn.functional.linear(x, self.weight, bias) * sigma.reciprocal()

    @torch.no_grad()
    def iterate(self) -> None:
        """One power iteration, with the weights of the last pass."""
        self.u.copy_(nn.functional.normalize(torch.mv(self.weight, self.stretched), dim=0))


def module(layer: minigan_nn.Layer, in_shape: tuple[int, ...], channels_last: bool) -> nn.Module:
    """PyTorch's form of one layer; parameters still to be filled in."""
    match layer:
        case minigan_nn.Dense():
            return nn.Linear(in_shape[-1], layer.features, bias=layer.bias)
        case minigan_nn.SpectralNorm(layer=minigan_nn.Dense() as dense):
            return SpectralLinear(in_shape[-1], dense.features, bias=dense.bias)
        case minigan_nn.Conv2d():
            (top, bottom), (left, right) = layer.windows(in_shape[:2]).pad
            even = top == bottom and left == right
            pad, sizes = (top, left) if even else 0, (in_shape[2], layer.channels, layer.kernel, layer.stride)
            conv = nn.Conv2d(*sizes, padding=pad, bias=layer.bias)
            return conv if even else nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), conv)
        case minigan_nn.UpsampleConv2d():
            conv = nn.Conv2d(in_shape[2], layer.channels, layer.kernel, padding="same", bias=layer.bias)
            return nn.Sequential(nn.Upsample(scale_factor=layer.scale, mode="nearest"), conv)
        case minigan_nn.ConvTranspose2d():
            sizes = (in_shape[2], layer.channels, layer.kernel, layer.stride)
            return nn.ConvTranspose2d(*sizes, padding=layer.pad, bias=layer.bias)
        case minigan_nn.BatchNorm():
            norm = nn.BatchNorm1d if len(in_shape) == 1 else nn.BatchNorm2d
            return norm(in_shape[-1], eps=layer.eps, momentum=1 - layer.decay)
        case minigan_nn.Reshape():
            H, W, C = layer.shape
            return Unflatten(layer.shape) if channels_last else nn.Unflatten(1, (C, H, W))
        case minigan_nn.Flatten():
            return Flatten() if channels_last else nn.Flatten()
        case minigan_nn.Upsample2d():
            return nn.Upsample(scale_factor=layer.scale, mode="nearest")
        case minigan_nn.Dropout():
            return nn.Dropout(layer.drop)
        case minigan_nn.LeakyReLU():
            return nn.LeakyReLU(layer.slope)
        case minigan_nn.ReLU():
            return nn.ReLU()
        case minigan_nn.Maxout():
            return Maxout(layer.pieces)
        case minigan_nn.Tanh():
            return nn.Tanh()
        case minigan_nn.Sigmoid():
            return nn.Sigmoid()
    raise NotImplementedError(f"no PyTorch form of {layer!r}")


def network(net: minigan_nn.Sequential, channels_last: bool) -> nn.Sequential:
    """A minigan network in PyTorch, with the same weights."""
    modules = []
    for layer, in_shape in zip(net.layers, [net.in_shape, *net.out_shapes], strict=False):
        made = module(layer, in_shape, channels_last)
        arrays = [getattr(layer, name) for name in layer.params(in_shape)]  # weight before bias, here as there
        for parameter, array in zip(made.parameters(), arrays, strict=True):
            axes = (3, 2, 0, 1) if array.ndim == 4 else tuple(reversed(range(array.ndim)))
            parameter.data.copy_(torch.from_numpy(array).permute(axes))
        if isinstance(made, SpectralLinear):
            made.u.copy_(torch.from_numpy(layer.u))
        modules.append(made)
    return nn.Sequential(*modules)


class Peer:
    """The same system as `recipe`: `step(x_real)` is one update of D and one of G. `seed` draws the weights and all.

    Images are (N, C, H, W) here; `prepare` makes them of minigan's. `joined`: real and fake go through D as one batch,
    in a recipe with d_batching="separate" too, where nothing in D mixes the batch, so that the sum of two means is the
    same. In a simultaneous step G's gradient then goes back through the rows of the real images as well, as zeros.
    `channels_last` lays networks and images out as minigan does; `compiled` hands both networks to torch.compile, whose
    backward is whole: in a simultaneous step it makes D's parameter and input gradients both times.
    """

    def __init__(
        self, recipe: Recipe, seed: int, *, joined: bool = False, compiled: bool = False, channels_last: bool = False
    ):
        plain = {"d_steps": 1, "d_warmup": 0, "loss_kind": "bce", "packing": 1, "penalty": "none"}
        if lacking := [field for field, value in plain.items() if getattr(recipe, field) != value]:
            raise NotImplementedError(f"{recipe.name}: a peer has no {', '.join(lacking)}")
        torch.manual_seed(seed)
        self.recipe, self.joined = recipe, joined or recipe.d_batching == "concat"
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        nets = recipe.networks(np.random.default_rng(seed))
        if joined and mixes(nets[1]):
            raise NotImplementedError(f"{recipe.name}: D's BatchNorm mixes the batch, so two are not one")
        self.G, self.D = (network(net, channels_last).to(memory_format=self.format) for net in nets)
        self.g_params, self.d_params = list(self.G.parameters()), list(self.D.parameters())
        self.norms = [layer for layer in self.D.modules() if isinstance(layer, SpectralLinear)]
        self.averaged_from = state(self.G) if recipe.average else []
        self.average = [tensor.clone() for tensor in self.averaged_from]
        self.steps = 0
        self.targets = cache(self.targets)
        betas = (recipe.beta1, recipe.beta2)
        options = {"betas": betas, "eps": recipe.eps, "fused": True}
        self.g_optimizer = torch.optim.Adam(self.g_params, lr=recipe.lr_g, **options)
        self.d_optimizer = torch.optim.Adam(self.d_params, lr=recipe.lr_d, **options)
        if compiled:
            if recipe.update == "simultaneous":  # its two backward passes share a graph: keep what the first one reads
                torch._functorch.config.donated_buffer = False
            self.G, self.D = (torch.compile(net, dynamic=False) for net in (self.G, self.D))

    def prepare(self, images: np.ndarray) -> Tensor:
        """A batch of minigan's, float32 (N, *image_shape), as `step` takes it."""
        x = torch.from_numpy(images)
        return x.permute(0, 3, 1, 2).clone(memory_format=self.format) if x.ndim == 4 else x

    def latents(self, count: int) -> Tensor:
        draw = torch.randn if self.recipe.latents == "normal" else torch.rand
        return draw(count, self.recipe.latent_dim)

    def bce(self, out: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean cross-entropy of D's outputs, of whichever kind, against a label each; or the sum by `weight`."""
        probability, f = self.recipe.d_output == "probability", nn.functional
        loss = f.binary_cross_entropy if probability else f.binary_cross_entropy_with_logits
        return loss(out, target, weight, reduction="mean" if weight is None else "sum")

    def targets(self, n_real: int, n_fake: int) -> tuple[Tensor, Tensor]:
        """(labels, weights) of a batch of real and one of fake images: kept, a step makes none of them."""
        both = (n_real + n_fake,) * 2 if self.recipe.d_batching == "concat" else (n_real, n_fake)  # a mean, or two
        columns = zip(self.recipe.labels, both, (n_real, n_fake), strict=True)
        rows = [torch.tensor([label, 1 / over]).expand(n, 2) for label, over, n in columns if n]
        target, weight = torch.cat(rows).split(1, dim=1)
        return target.contiguous(), weight.contiguous()

    def d_loss(self, x_real: Tensor, x_fake: Tensor) -> tuple[Tensor, Tensor]:
        """D's loss, and its outputs on the fakes."""
        n_real, n_fake = len(x_real), len(x_fake)
        if self.joined:
            out = self.D(torch.cat([x_real, x_fake]))
            return self.bce(out, *self.targets(n_real, n_fake)), out[n_real:]
        out_real, out_fake = self.D(x_real), self.D(x_fake)
        return self.bce(out_real, *self.targets(n_real, 0)) + self.bce(out_fake, *self.targets(0, n_fake)), out_fake

    def g_loss(self, out_fake: Tensor) -> Tensor:
        saturates = self.recipe.g_loss == "minimax"
        value = self.bce(out_fake, torch.full_like(out_fake, self.recipe.labels[saturates]))
        return -value if saturates else value

    def step(self, x_real: Tensor) -> None:
        """One step, as minigan's Trainer.train_step makes it."""
        recipe = self.recipe
        z = self.latents(recipe.batch_size if recipe.d_fakes == "full" else len(x_real))
        self.d_optimizer.zero_grad(set_to_none=True)
        self.g_optimizer.zero_grad(set_to_none=True)
        if recipe.update == "simultaneous":
            d_loss, out_fake = self.d_loss(x_real, self.G(z))
            d_loss.backward(inputs=self.d_params, retain_graph=True)
            self.g_loss(out_fake).backward(inputs=self.g_params)
            self.update_d()
            self.update_g()
            return

        with torch.set_grad_enabled(recipe.shared_fakes):
            x_fake = self.G(z)
        self.d_loss(x_real, x_fake.detach())[0].backward()
        self.update_d()

        if not recipe.shared_fakes:
            x_fake = self.G(self.latents(recipe.batch_size))
        self.D.requires_grad_(False)
        self.g_loss(self.D(x_fake)).backward()
        self.D.requires_grad_(True)
        self.update_g()

    def update_d(self) -> None:
        for norm in self.norms:
            norm.iterate()
        self.d_optimizer.step()

    def update_g(self) -> None:
        self.g_optimizer.step()
        if self.average:
            self.steps += 1
            decay = min(self.recipe.average, (1 + self.steps) / (10 + self.steps))
            torch._foreach_lerp_(self.average, self.averaged_from, 1 - decay)


def mixes(D: minigan_nn.Sequential) -> bool:
    """Whether what D says of an image depends on the others of its batch."""
    return any(isinstance(layer, minigan_nn.BatchNorm) for layer in D.layers)


def state(net: nn.Module) -> list[Tensor]:
    """What an average is taken of: the parameters and the running statistics, without BatchNorm's count of batches."""
    return [tensor.detach() for tensor in (*net.parameters(), *net.buffers()) if tensor.is_floating_point()]
