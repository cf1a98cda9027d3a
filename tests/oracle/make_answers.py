"""PyTorch's answers for `test_oracle.py`: `PYTHONPATH=. python tests/oracle/make_answers.py`, with PyTorch 2.13.0.

Everything is computed in float64 by PyTorch's functions, optimisers and autograd. Of minigan only the options of
layers and recipes are read, and the draws of dropout's masks and of a penalty's points, which are an input. A stored
answer stays as it is where today's agrees: in their last digits two machines differ.
"""

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parents[1]))  # where pytest finds these two as well
from cases import ALL
from oracle import inputs

from minigan.backend import RandomStream


class Network:
    """A list of minigan's layers as PyTorch computes them: a method for each class, parameters under minigan's names.

    Weights are kept as (C, K), so that their gradients come out as minigan lays them out.
    """

    def __init__(self, name, layers, in_shape, *, steepness=1.0):
        self.name, self.layers, self.steepness = name, layers, steepness
        self.params, self.buffers = {}, {}
        self.moved = {}  # buffers that the next update of the network leaves behind
        self.forward(torch.zeros(1, *in_shape), train=False)  # makes the tensors: their shapes follow from the input's

    def forward(self, x, *, train, rng=None, update=False):
        """`update`: whether this pass moves the running statistics."""
        for i, layer in enumerate(self.layers):
            kind = type(layer).__name__
            x = getattr(self, kind)(layer, x, f"{i}.{kind}.", train=train, rng=rng, update=update)
        return x

    def param(self, name, shape):
        if name not in self.params:
            values = self.steepness * inputs.parameter(f"{self.name}.{name}", shape)
            self.params[name] = tensor(values).requires_grad_()
        return self.params[name]

    def buffer(self, name, shape):
        return self.buffers.setdefault(name, tensor(inputs.parameter(f"{self.name}.{name}", shape)))

    def grads(self, loss, **options):
        """The gradient of each parameter, by name."""
        grads = torch.autograd.grad(loss, list(self.params.values()), **options)
        return dict(zip(self.params, grads, strict=True))

    def Dense(self, layer, x, at, **_):
        W = self.param(at + "W", (x.shape[-1], layer.features))
        return F.linear(x, W.T, self.param(at + "b", (layer.features,)) if layer.bias else None)

    def ReLU(self, layer, x, at, **_):
        return F.relu(x)

    def LeakyReLU(self, layer, x, at, **_):
        return F.leaky_relu(x, layer.slope)

    def Tanh(self, layer, x, at, **_):
        return torch.tanh(x)

    def Sigmoid(self, layer, x, at, **_):
        return torch.sigmoid(x)

    def BatchNorm(self, layer, x, at, *, train, update, **_):
        C = x.shape[-1:]
        gamma, beta = (self.param(at + name, C) for name in ("gamma", "beta"))
        names = [at + name for name in ("running_mean", "running_var")]
        running = [self.buffer(name, C).clone() for name in names]  # torch moves them in place
        options = {"training": train, "momentum": 1 - layer.decay, "eps": layer.eps}
        y = F.batch_norm(x.movedim(-1, 1), *running, gamma, beta, **options)
        if update:
            self.buffers.update(zip(names, running, strict=True))
        return y.movedim(1, -1)

    def Dropout(self, layer, x, at, *, train, rng, **_):
        if not train or layer.drop == 0:
            return x
        silent = round(layer.drop * 2**16)  # of the 2^16 draws, all as likely
        kept = rng.bits(tuple(x.shape)) >= silent
        return x * torch.from_numpy(kept) / (1 - silent / 2**16)

    def Conv2d(self, layer, x, at, **_):
        W, b = self.kernel(layer, at, (x.shape[-1], layer.channels))
        (top, bottom), (left, right) = self.pads(layer, x.shape[1:3])
        x = F.pad(x.movedim(-1, 1), (left, right, top, bottom))
        return F.conv2d(x, W.permute(3, 2, 0, 1).contiguous(), b, layer.stride).movedim(1, -1)

    def ConvTranspose2d(self, layer, x, at, **_):
        W, b = self.kernel(layer, at, (layer.channels, x.shape[-1]))
        W = W.permute(3, 2, 0, 1).contiguous()
        y = F.conv_transpose2d(x.movedim(-1, 1), W, None, layer.stride)
        if layer.pad == "same":  # the image that a convolution would have come from: its zeros are cut off
            size = [n * s for n, s in zip(x.shape[1:3], both(layer.stride), strict=True)]
            missing = [max(n - m, 0) for n, m in zip(size, y.shape[2:], strict=True)]
            y = F.pad(y, (0, missing[1], 0, missing[0]))  # a kernel smaller than its stride leaves the end empty
            (top, _), (left, _) = self.pads(layer, size)
            y = y[:, :, top : top + size[0], left : left + size[1]]
        else:
            (top, bottom), (left, right) = self.pads(layer, None)
            y = y[:, :, top : y.shape[2] - bottom, left : y.shape[3] - right]
        return (y if b is None else y + b[:, None, None]).movedim(1, -1)

    def kernel(self, layer, at, ends):
        """W (KH, KW, *ends) and b or None."""
        W = self.param(at + "W", (*both(layer.kernel), *ends))
        return W, self.param(at + "b", (layer.channels,)) if layer.bias else None

    def pads(self, layer, size):
        """((above, below), (left, right)); "same" as TensorFlow's documentation states it."""
        if layer.pad != "same":
            return [both(sides) for sides in both(layer.pad)]
        pads = []
        for n, k, s in zip(size, both(layer.kernel), both(layer.stride), strict=True):
            total = max(k - s, 0) if n % s == 0 else max(k - n % s, 0)
            pads.append((total // 2, total - total // 2))
        return pads

    def SpectralNorm(self, layer, x, at, *, update, **_):
        inner, K = layer.layer, getattr(layer.layer, "features", None) or layer.layer.channels
        kernel = both(inner.kernel) if hasattr(inner, "kernel") else ()
        W = self.param(at + "W", (*kernel, x.shape[-1], K))
        u = F.normalize(self.buffer(at + "u", (K,)), dim=0)  # the formula's u has any length, as an averaged one has
        matrix = W.reshape(-1, K)
        self.params[at + "W"] = W / torch.linalg.vector_norm(matrix @ u)
        y = getattr(self, type(inner).__name__)(inner, x, at)
        self.params[at + "W"] = W
        if update:  # u moves on by one power iteration, for the passes after this update
            self.moved[at + "u"] = F.normalize(matrix.T @ F.normalize(matrix @ u, dim=0), dim=0).detach()
        return y

    def MaxPool2d(self, layer, x, at, **_):
        (top, bottom), (left, right) = self.pads(layer, x.shape[1:3])
        x = F.pad(x.movedim(-1, 1), (left, right, top, bottom), value=-torch.inf)
        return F.max_pool2d(x, layer.kernel, layer.stride).movedim(1, -1)

    def Maxout(self, layer, x, at, **_):
        return x.reshape(*x.shape[:-1], -1, layer.pieces).amax(-1)

    def Upsample2d(self, layer, x, at, **_):
        scale = tuple(float(s) for s in both(layer.scale))
        return F.interpolate(x.movedim(-1, 1), scale_factor=scale, mode="nearest").movedim(1, -1)

    def UpsampleConv2d(self, layer, x, at, **_):
        return self.Conv2d(layer, self.Upsample2d(layer, x, at), at)

    def Flatten(self, layer, x, at, **_):
        return torch.flatten(x, 1)

    def Reshape(self, layer, x, at, **_):
        return x.reshape(len(x), *layer.shape)


def both(value):
    """(value, value) of a single thing; a pair as it is."""
    return value if isinstance(value, tuple) else (value, value)


def tensor(array):
    return torch.tensor(np.asarray(array), dtype=torch.float64)


def named(prefix, tensors):
    return {f"{prefix}.{name}": value for name, value in tensors.items()}


def layer_case(name, layer, in_shape, train):
    net = Network(name, [layer], in_shape)
    x = tensor(inputs.values(f"{name}.x", (inputs.BATCH, *in_shape))).requires_grad_()
    y = net.forward(x, train=train, rng=RandomStream(1, "dropout"), update=train)
    upstream = tensor(inputs.values(f"{name}.dy", y.shape))
    dx, *grads = torch.autograd.grad(y, [x, *net.params.values()], upstream)
    grads = dict(zip(net.params, grads, strict=True))
    net.buffers.update(net.moved)
    return {"y": y, "dx": dx, **named("grad", grads), **named("running", net.buffers)}


def loss_case(loss, x, t):
    x = tensor(x).requires_grad_()
    if loss == "softmax_cross_entropy":
        value = F.cross_entropy(x, torch.from_numpy(t))
    elif loss == "hinge":
        value = F.relu(1 - t * x).mean()
    elif loss == "signed_mean":
        value = (t * x).mean()
    else:
        value = getattr(F, loss)(x, tensor(t).expand(x.shape))
    return {"value": value, "gradient": torch.autograd.grad(value, x)[0]}


def optimizer_case(kind, options):
    options = dict(options)
    if kind == "Adam":
        options["betas"] = options.pop("beta1"), options.pop("beta2")
    theta = tensor(inputs.START).requires_grad_()
    optimizer = getattr(torch.optim, kind)([theta], **options)
    found = {}
    for step in range(1, max(inputs.STEPS) + 1):
        theta.grad = tensor(inputs.values(f"gradient {step}", inputs.SIZES.shape) * inputs.SIZES)
        optimizer.step()
        if step in inputs.STEPS:
            found[f"after {step}"] = theta.detach().clone()
    return found


def game_case(recipe):
    """One update of D and one of G, written from the definitions."""
    g_layers, d_layers = recipe.layers()
    G = Network("G", g_layers, (recipe.latent_dim,))
    D = Network("D", d_layers, recipe.image_shape, steepness=inputs.steepness(recipe))
    x_real = tensor(inputs.values("x_real", (recipe.batch_size, *recipe.image_shape)))
    z, z_again = (tensor(inputs.values(n, (recipe.batch_size, recipe.latent_dim))) for n in ("z", "z again"))
    passes = {"train": True, "rng": RandomStream(1, "dropout")}
    real, fake = recipe.labels
    simultaneous = recipe.update == "simultaneous"
    same_fakes = simultaneous or recipe.shared_fakes

    def bce(out, *labels):
        """The mean cross-entropy of D's outputs, or another kind of loss; an equal share has each label."""
        if recipe.loss_kind != "bce":
            side = torch.cat([torch.full((len(out) // len(labels), 1), 2 * label - 1) for label in labels])
            return F.relu(1 - side * out).mean() if recipe.loss_kind == "hinge" else -(side * out).mean()
        t = torch.cat([torch.full((len(out) // len(labels), 1), label) for label in labels])
        logits = recipe.d_output == "logit"
        return (F.binary_cross_entropy_with_logits if logits else F.binary_cross_entropy)(out, t)

    def g_objective(out):
        if recipe.loss_kind != "bce":
            return -out.mean()
        return bce(out, real) if recipe.g_loss == "non_saturating" else -bce(out, fake)

    def probability(out):
        p = out if recipe.d_output == "probability" else torch.sigmoid(out)
        return p if real > fake else 1 - p

    # D's update. minigan folds statistics in once per update of a network, so G's are left alone if these fakes are
    # for D only.
    x_fake = G.forward(z, **passes, update=same_fakes)
    for_d = x_fake if simultaneous else x_fake.detach()
    if penalised := recipe.penalty != "none":
        x_real.requires_grad_()
        for_d.requires_grad_()
    if recipe.d_batching == "concat":
        out = D.forward(torch.cat([x_real, for_d]), **passes, update=True)
        out_real, out_fake = out.chunk(2)
        d_loss = bce(out, real, fake)
    else:
        out_real = D.forward(x_real, **passes, update=True)
        out_fake = D.forward(for_d, **passes, update=True)
        d_loss = bce(out_real, real) + bce(out_fake, fake)
    if penalised:
        penalty = penalty_of(recipe, D, (x_real, out_real), (for_d, out_fake), passes)
        d_loss = d_loss + penalty
    if simultaneous:
        g_loss = g_objective(out_fake)
        g_grads = G.grads(g_loss, retain_graph=True)
    d_grads = D.grads(d_loss)
    adam(D, d_grads, recipe, recipe.lr_d)

    # G's update, through D as it is now.
    if not simultaneous:
        if not same_fakes:
            x_fake = G.forward(z_again, **passes, update=True)
        g_loss = g_objective(D.forward(x_fake, **passes))
        g_grads = G.grads(g_loss)
    adam(G, g_grads, recipe, recipe.lr_g)

    d_values = {"loss": d_loss, "loss_real": bce(out_real, real), "loss_fake": bce(out_fake, fake)}
    d_values |= {"prob_real": probability(out_real), "prob_fake": probability(out_fake)}
    d_values |= {"penalty": penalty} if penalised else {}
    return {
        **named("D", d_values),
        **named("G", {"loss": g_loss, "fakes": x_fake}),
        **named("grad.D", d_grads),
        **named("grad.G", g_grads),
        **{f"after.{net.name}.{name}": t for net in (D, G) for name, t in {**net.params, **net.buffers}.items()},
    }


def penalty_of(recipe, D, real, fake, passes):
    """What D pays for its gradient at x, whose own gradient is autograd's; `real`, `fake`: x and what D said of it."""
    if recipe.penalty in ("r1", "r2"):
        x, out = real if recipe.penalty == "r1" else fake
    else:
        x_real, rng = real[0], RandomStream(1, "penalty")
        share = tensor(rng.uniform((len(x_real), *[1] * (x_real.ndim - 1)), np.float64))
        if recipe.penalty == "dragan":
            x = x_real + share * tensor(rng.uniform(tuple(x_real.shape), np.float64)) * x_real.std(correction=0) / 2
        else:
            x = share * x_real + (1 - share) * fake[0]
        x = x.detach().requires_grad_()
        out = D.forward(x, **passes)
    (g,) = torch.autograd.grad(out.sum(), x, create_graph=True)
    squares = g.flatten(1).square().sum(1)
    if recipe.penalty in ("r1", "r2"):
        value = squares.mean() / 2
    else:
        off = squares.sqrt() - 1
        value = (F.relu(off) if recipe.penalty == "wgan-gp-one-sided" else off).square().mean()
    return recipe.penalty_weight * recipe.penalty_every * value


def adam(net, grads, recipe, lr):
    optimizer = torch.optim.Adam(net.params.values(), lr=lr, betas=(recipe.beta1, recipe.beta2), eps=recipe.eps)
    for name, theta in net.params.items():
        theta.grad = grads[name]
    optimizer.step()
    net.buffers.update(net.moved)


def agree(new, stored):
    """Whether they differ by rounding alone."""
    return len(new) == len(stored) and np.allclose(new, stored, rtol=1e-10, atol=1e-15 + 1e-14 * abs(stored).max())


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    cases = {
        f"{name}-{'train' if train else 'inference'}": layer_case(name, make(), shape, train)
        for name, make, shape in ALL
        for train in (True, False)
    }
    cases |= {case: loss_case(*given) for case, given in inputs.LOSSES.items()}
    cases |= {case: optimizer_case(*given) for case, given in inputs.OPTIMIZERS.items()}
    cases |= {case: game_case(recipe) for case, recipe in inputs.GAMES.items()}
    answers = {
        f"{case}/{entry}": inputs.digest(value.detach().numpy())
        for case, entries in cases.items()
        for entry, value in entries.items()
    }
    stored = inputs.load()
    answers |= {name: stored[name] for name in answers if name in stored and agree(answers[name], stored[name])}
    inputs.save(answers)
    size = f"{inputs.FILE.stat().st_size / 1000:.0f} kB"
    print(f"{len(answers)} answers in {len(cases)} cases, {size}, from PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
