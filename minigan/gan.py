"""The adversarial game: how a discriminator and a generator learn from each other. The page to read.

G turns latents z into fakes x = G(z); D tells how real x looks. D learns to tell real from fake; G learns to make D
say "real". The three steps below are the whole of it: alternate the first two, or take both at once with the third.

Source: Goodfellow et al., "Generative adversarial nets", 2014. N is the number of images in a batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from minigan.backend import Array, RandomStream, array_module
from minigan.errors import ArgumentError, check_choice, number, whole
from minigan.losses import binary_cross_entropy, binary_cross_entropy_with_logits, hinge
from minigan.nn.activations import sigmoid
from minigan.nn.network import NetworkCache, Sequential
from minigan.optim import Optimizer

Fakes = tuple[Array, NetworkCache]


class DiscriminatorResult(NamedTuple):
    """What a discriminator step saw, before its update. The losses are 0-d arrays, the probabilities (N, 1).

    With packing m there is one probability for each group of m samples, (N/m, 1).
    """

    loss: Array
    loss_real: Array
    loss_fake: Array
    prob_real: Array  # D's probability that the real images are real
    prob_fake: Array  # … and that the fakes are


class GeneratorResult(NamedTuple):
    """What a generator step saw, before its update."""

    loss: Array
    fakes: Array


@dataclass(frozen=True)
class GANLoss:
    """What the two players compare. BCE below is the mean over a batch; (real, fake) are the `labels`.

    `kind="bce"`:

    D minimises BCE(D(x), real) + BCE(D(G(z)), fake), the sum of two means; with `batching="concat"` both go through D
    as one batch with the mean over 2N, which is half of it.
    G minimises BCE(D(G(z)), real) ("non_saturating"), or -BCE(D(G(z)), fake) ("minimax": the opposite of D's own term,
    whose gradient vanishes as D becomes sure).

    `kind="hinge"`, of logits: D minimises mean max(0, 1 - D(x)) + mean max(0, 1 + D(G(z))), so that it learns nothing
    more from what it is sure of; G minimises -mean D(G(z)).
    Source: Lim & Ye, "Geometric GAN", 2017; Miyato et al., "Spectral normalization for GANs", 2018.

    `output`: whether D ends in a "probability" (a sigmoid) or a "logit".
    `packing`: how many samples D judges at once, side by side (see `pack`); its input has `packing` times G's features.
    A collapsed G gives itself away in a group, whose samples are too much alike.
    Source: Lin et al., "PacGAN: the power of two samples in generative adversarial networks", 2018.
    Raises ArgumentError for labels outside [0, 1] or equal, an unknown word, or a packing below 1.
    """

    generator: Literal["non_saturating", "minimax"] = "non_saturating"
    output: Literal["probability", "logit"] = "probability"
    batching: Literal["separate", "concat"] = "separate"
    labels: tuple[float, float] = (1.0, 0.0)
    kind: Literal["bce", "hinge"] = "bce"
    packing: int = 1

    def __post_init__(self) -> None:
        check_choice("GANLoss generator", self.generator, ("non_saturating", "minimax"))
        check_choice("GANLoss kind", self.kind, ("bce", "hinge"))
        check_choice("GANLoss output", self.output, ("probability", "logit"))
        check_choice("GANLoss batching", self.batching, ("separate", "concat"))
        labels = self.labels if isinstance(self.labels, (tuple, list)) else ()
        needs = "the labels (real, fake) must be two different numbers in [0, 1]"
        object.__setattr__(self, "labels", tuple(number(label, needs) for label in labels))
        if len(self.labels) != 2 or len(set(self.labels)) != 2 or not all(0 <= t <= 1 for t in self.labels):
            raise ArgumentError(f"{needs}, got {labels}")
        if self.kind == "hinge" and (self.output, self.generator, self.labels) != (
            "logit",
            "non_saturating",
            (1, 0),
        ):
            raise ArgumentError(
                f"the hinge loss compares logits without labels, got output {self.output!r}, generator "
                f"{self.generator!r} and labels {self.labels}; it needs 'logit', 'non_saturating' and (1.0, 0.0) "
                "(--d-output, --g-loss, --labels)"
            )
        packing = whole(self.packing, "GANLoss packing must be a whole number of samples, at least 1", least=1)
        object.__setattr__(self, "packing", packing)

    def bce(self, out: Array, label: float) -> tuple[Array, Array]:
        """The cross-entropy of D's outputs, of whichever kind, against one label: (value, gradient)."""
        return (binary_cross_entropy if self.output == "probability" else binary_cross_entropy_with_logits)(out, label)

    def for_discriminator(self, out_real: Array, out_fake: Array) -> tuple[tuple[Array, Array, Array], Array, Array]:
        """(loss, its real part, its fake part), and the gradients with respect to D's outputs on real and on fake."""
        if self.kind == "hinge":
            loss_real, d_real = hinge(out_real, 1)
            loss_fake, d_fake = hinge(out_fake, -1)
        else:
            loss_real, d_real = self.bce(out_real, self.labels[0])
            loss_fake, d_fake = self.bce(out_fake, self.labels[1])
        w_real, w_fake = 1.0, 1.0
        if self.batching == "concat":
            n = len(out_real) + len(out_fake)
            w_real, w_fake = len(out_real) / n, len(out_fake) / n
        loss = w_real * loss_real + w_fake * loss_fake
        return (loss, loss_real, loss_fake), w_real * d_real, w_fake * d_fake

    def for_generator(self, out_fake: Array) -> tuple[Array, Array]:
        """G's loss and its gradient with respect to D's output on the fakes."""
        if self.kind == "hinge":
            return -out_fake.mean(), array_module(out_fake).full_like(out_fake, -1 / out_fake.size)
        if self.generator == "non_saturating":
            return self.bce(out_fake, self.labels[0])
        loss, d_fake = self.bce(out_fake, self.labels[1])
        return -loss, -d_fake

    def probability(self, out: Array) -> Array:
        """D's probability of *real*, whatever its output and the label convention."""
        p = out if self.output == "probability" else sigmoid(out)
        return p if self.labels[0] > self.labels[1] else 1 - p


def pack(x: Array, m: int) -> Array:
    """m samples after another side by side along the last axis, as a D with packing m sees them.

    Shapes: x (N, …, C), the result (N/m, …, mC); with m = 1 it is x itself.
    Raises ArgumentError if m does not divide N.
    """
    if m == 1:
        return x
    if len(x) % m:
        raise ArgumentError(
            f"{len(x)} samples cannot be packed in groups of {m}; take a batch size that {m} divides, and leave out a "
            "last batch that is not full (drop_last)"
        )
    groups = x.reshape(len(x) // m, m, *x.shape[1:])
    return array_module(x).moveaxis(groups, 1, -2).reshape(len(groups), *x.shape[1:-1], m * x.shape[-1])


def unpack(x: Array, m: int) -> Array:
    """The samples one by one again, (N/m, …, mC) to (N, …, C): undoes `pack`, and takes gradients back through it."""
    if m == 1:
        return x
    groups = x.reshape(*x.shape[:-1], m, x.shape[-1] // m)
    return array_module(x).moveaxis(groups, -2, 1).reshape(m * len(x), *x.shape[1:-1], groups.shape[-1])


def discriminator_step(
    G: Sequential,
    D: Sequential,
    d_optimizer: Optimizer,
    loss: GANLoss,
    x_real: Array,
    z: Array | None = None,
    *,
    fakes: Fakes | None = None,
    rng: RandomStream | None = None,
) -> DiscriminatorResult:
    """One update of D on a batch of real images and a batch of fakes. G does not change.

    The fakes are made from z, without keeping a cache: D's gradient stops at its input, so nobody goes back into G
    (this is what "detach" does elsewhere). A recipe that shares its fakes with G's step hands them in as
    `fakes=G.forward(z, train=True)`. If D has BatchNorm, its running statistics take in each of its passes, as in
    PyTorch.
    """
    check_players(D, loss, D, d_optimizer)
    if fakes is not None:
        x_fake = fakes[0]
    elif z is not None:
        x_fake, _ = G.forward(z, train=True, rng=rng, keep=False)
    else:
        raise ArgumentError("discriminator_step needs latents z to make fakes from, or fakes=(x, cache)")
    x_real, x_fake = pack(x_real, loss.packing), pack(x_fake, loss.packing)

    if loss.batching == "concat":
        x = array_module(x_real=x_real, fakes=x_fake).concatenate([x_real, x_fake])
        out, cache = D.forward(x, train=True, rng=rng)
        out_real, out_fake = out[: len(x_real)], out[len(x_real) :]
        losses, d_real, d_fake = loss.for_discriminator(out_real, out_fake)
        D.backward(array_module(out).concatenate([d_real, d_fake]), cache, need_input_grad=False)
        D.update_buffers(cache)
    else:
        out_real, cache_real = D.forward(x_real, train=True, rng=rng)
        out_fake, cache_fake = D.forward(x_fake, train=True, rng=rng)
        losses, d_real, d_fake = loss.for_discriminator(out_real, out_fake)
        D.backward(d_real, cache_real, need_input_grad=False)
        D.backward(d_fake, cache_fake, need_input_grad=False, accumulate=True)
        D.update_buffers(cache_real)
        D.update_buffers(cache_fake)

    d_optimizer.step()
    return DiscriminatorResult(*losses, loss.probability(out_real), loss.probability(out_fake))


def generator_step(
    G: Sequential,
    D: Sequential,
    g_optimizer: Optimizer,
    loss: GANLoss,
    z: Array | None = None,
    *,
    fakes: Fakes | None = None,
    rng: RandomStream | None = None,
) -> GeneratorResult:
    """One update of G through D, which has learned since and does not change now.

    D is part of G's loss: the gradient runs back through D to its input, the fakes, and from there through G.
    """
    check_players(D, loss, G, g_optimizer)
    if fakes is None:
        if z is None:
            raise ArgumentError("generator_step needs latents z to make fakes from, or fakes=(x, cache)")
        fakes = G.forward(z, train=True, rng=rng)
    x_fake, cache_G = fakes
    out, cache_D = D.forward(pack(x_fake, loss.packing), train=True, rng=rng)
    value, d_out = loss.for_generator(out)

    dx_fake = D.backward(d_out, cache_D, need_param_grads=False)
    assert dx_fake is not None  # it was asked for
    G.backward(unpack(dx_fake, loss.packing), cache_G, need_input_grad=False)
    G.update_buffers(cache_G)
    g_optimizer.step()
    return GeneratorResult(value, x_fake)


def simultaneous_step(
    G: Sequential,
    D: Sequential,
    g_optimizer: Optimizer,
    d_optimizer: Optimizer,
    loss: GANLoss,
    x_real: Array,
    z: Array,
    *,
    rng: RandomStream | None = None,
) -> tuple[DiscriminatorResult, GeneratorResult]:
    """Both gradients at the same weights, from the same passes; then both updates.

    Raises ArgumentError for `batching="concat"`: G's gradient is that of D's pass over the fakes alone.
    """
    if loss.batching == "concat":
        raise ArgumentError("simultaneous_step takes real and fake as two batches; use GANLoss(batching='separate')")
    check_players(D, loss, G, g_optimizer)
    check_players(D, loss, D, d_optimizer)
    x_fake, cache_G = G.forward(z, train=True, rng=rng)
    out_real, cache_real = D.forward(pack(x_real, loss.packing), train=True, rng=rng)
    out_fake, cache_fake = D.forward(pack(x_fake, loss.packing), train=True, rng=rng)
    losses, d_real, d_fake = loss.for_discriminator(out_real, out_fake)
    value, d_out = loss.for_generator(out_fake)

    D.backward(d_real, cache_real, need_input_grad=False)
    D.backward(d_fake, cache_fake, need_input_grad=False, accumulate=True)
    dx_fake = D.backward(d_out, cache_fake, need_param_grads=False)
    assert dx_fake is not None  # it was asked for
    G.backward(unpack(dx_fake, loss.packing), cache_G, need_input_grad=False)

    D.update_buffers(cache_real)
    D.update_buffers(cache_fake)
    G.update_buffers(cache_G)
    d_optimizer.step()
    g_optimizer.step()
    probabilities = loss.probability(out_real), loss.probability(out_fake)
    return DiscriminatorResult(*losses, *probabilities), GeneratorResult(value, x_fake)


def check_players(D: Sequential, loss: GANLoss, network: Sequential, optimizer: Optimizer) -> None:
    """Raise ArgumentError unless the loss suits D's output and the optimiser holds the network that is to move."""
    if optimizer.network is not network:
        raise ArgumentError("the optimiser of this step holds another network; are G's and D's swapped?")
    last = D.layers[-1]
    if (last.out_range == (0.0, 1.0)) != (loss.output == "probability"):
        raise ArgumentError(f"D ends in {last!r}, but the loss takes its output for a {loss.output}")
