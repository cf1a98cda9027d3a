"""The adversarial game: how a discriminator and a generator learn from each other. The page to read.

G turns latents z into fakes x = G(z); D tells how real x looks. D learns to tell real from fake; G learns to make D
say "real". The three steps below are the whole of it: alternate the first two, or take both at once with the third.

Source: Goodfellow et al., "Generative adversarial nets", 2014. N is the number of images in a batch.
"""

from __future__ import annotations

from typing import NamedTuple

from minigan.backend import Array, RandomStream
from minigan.errors import ArgumentError
from minigan.gan.feeding import PLAIN, Feeding, join, mean_over_both, pack, split, unpack
from minigan.gan.loss import GANLoss
from minigan.gan.penalty import Penalty, penalise
from minigan.nn.network import NetworkCache, Sequential
from minigan.nn.second import unread_pass
from minigan.optim import Optimizer

Fakes = tuple[Array, NetworkCache]


class DiscriminatorResult(NamedTuple):
    """What a discriminator step saw, before its update. The losses are 0-d arrays, the probabilities (N, 1).

    `loss` is the two parts' sum (or their mean, see `feeding.mean_over_both`) and, if there is one, the penalty.
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


def discriminator_step(
    G: Sequential,
    D: Sequential,
    d_optimizer: Optimizer,
    loss: GANLoss,
    x_real: Array,
    z: Array | None = None,
    *,
    fakes: Fakes | None = None,
    feeding: Feeding = PLAIN,
    penalty: Penalty | None = None,
    rng: RandomStream | None = None,
    penalty_rng: RandomStream | None = None,
) -> DiscriminatorResult:
    """One update of D on a batch of real images and a batch of fakes. G does not change.

    The fakes are made from z, without keeping a cache: D's gradient stops at its input, so nobody goes back into G
    (this is what "detach" does elsewhere). A recipe that shares its fakes with G's step hands them in as
    `fakes=G.forward(z, train=True)`. `feeding` says whether real and fake are two batches to D or one, and whether D
    judges several at once. Two that no layer of D could tell from one go through as one, which is fewer and larger
    products; the loss stays the sum of two means. If D has BatchNorm, its running statistics take in each of its
    passes, as in PyTorch. A `penalty` on D's gradient is part of its loss, and is computed whatever its `every` says:
    leave it out where it is not due. Its points are drawn from `penalty_rng`, a stream of its own.
    """
    check_players(D, loss, D, d_optimizer, feeding, penalty)
    if fakes is not None:
        x_fake = fakes[0]
    elif z is not None:
        x_fake, _ = G.forward(z, train=True, rng=rng, keep=False)
    else:
        raise ArgumentError("discriminator_step needs latents z to make fakes from, or fakes=(x, cache)")
    x_real, x_fake = pack(x_real, feeding.packing), pack(x_fake, feeding.packing)

    if feeding.as_one(D, penalty):
        out, cache = D.forward(join(x_real, x_fake), train=True, rng=rng)
        out_real, out_fake = split(out, len(x_real))
        caches = [cache]
    else:
        out_real, cache_real = D.forward(x_real, train=True, rng=rng)
        out_fake, cache_fake = D.forward(x_fake, train=True, rng=rng)
        caches = [cache_real, cache_fake]
    losses, d_real, d_fake = loss.for_discriminator(out_real, out_fake)
    if feeding.batching == "concat":
        losses, d_real, d_fake = mean_over_both(losses, d_real, d_fake)
    d_outs = [d_real, d_fake] if len(caches) == 2 else [join(d_real, d_fake)]

    fines = []
    if penalty is not None and not penalty.drawn:
        fines.append(penalised_backward(D, penalty, d_outs, caches, n_real=len(x_real)))
    else:
        for i, (d_out, cache) in enumerate(zip(d_outs, caches, strict=True)):
            D.backward(d_out, cache, need_input_grad=False, accumulate=i > 0)
    if penalty is not None and penalty.drawn:
        points = penalty.points(x_real, x_fake, penalty_rng)
        fines.append(penalise(D, penalty, unread_pass(D, points, rng=rng)))
    losses = (sum(fines, losses[0]), *losses[1:])

    for cache in caches:
        D.update_buffers(cache)
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
    feeding: Feeding = PLAIN,
    rng: RandomStream | None = None,
) -> GeneratorResult:
    """One update of G through D, which has learned since and does not change now.

    D is part of G's loss: the gradient runs back through D to its input, the fakes, and from there through G.
    """
    check_players(D, loss, G, g_optimizer, feeding)
    if fakes is None:
        if z is None:
            raise ArgumentError("generator_step needs latents z to make fakes from, or fakes=(x, cache)")
        fakes = G.forward(z, train=True, rng=rng)
    x_fake, cache_G = fakes
    out, cache_D = D.forward(pack(x_fake, feeding.packing), train=True, rng=rng)
    value, d_out = loss.for_generator(out)

    dx_fake = D.backward(d_out, cache_D, need_param_grads=False)
    assert dx_fake is not None  # it was asked for
    G.backward(unpack(dx_fake, feeding.packing), cache_G, need_input_grad=False)
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
    feeding: Feeding = PLAIN,
    rng: RandomStream | None = None,
) -> tuple[DiscriminatorResult, GeneratorResult]:
    """Both gradients at the same weights, from the same passes; then both updates.

    Raises ArgumentError for `batching="concat"`: G's gradient is that of D's pass over the fakes alone.
    """
    check_players(D, loss, G, g_optimizer, feeding)
    check_players(D, loss, D, d_optimizer, feeding)
    if feeding.batching == "concat":
        raise ArgumentError("simultaneous_step takes real and fake as two batches; use Feeding(batching='separate')")
    x_fake, cache_G = G.forward(z, train=True, rng=rng)
    out_real, cache_real = D.forward(pack(x_real, feeding.packing), train=True, rng=rng)
    out_fake, cache_fake = D.forward(pack(x_fake, feeding.packing), train=True, rng=rng)
    losses, d_real, d_fake = loss.for_discriminator(out_real, out_fake)
    value, d_out = loss.for_generator(out_fake)

    D.backward(d_real, cache_real, need_input_grad=False)
    D.backward(d_fake, cache_fake, need_input_grad=False, accumulate=True)
    dx_fake = D.backward(d_out, cache_fake, need_param_grads=False)
    assert dx_fake is not None  # it was asked for
    G.backward(unpack(dx_fake, feeding.packing), cache_G, need_input_grad=False)

    D.update_buffers(cache_real)
    D.update_buffers(cache_fake)
    G.update_buffers(cache_G)
    d_optimizer.step()
    g_optimizer.step()
    probabilities = loss.probability(out_real), loss.probability(out_fake)
    return DiscriminatorResult(*losses, *probabilities), GeneratorResult(value, x_fake)


def penalised_backward(
    D: Sequential, penalty: Penalty, d_outs: list[Array], caches: list[NetworkCache], *, n_real: int
) -> Array:
    """Write the gradient of the loss and of a penalty at the real images or at the fakes; returns the penalty.

    `d_outs` and `caches` are those of two passes, over the real images and over the fakes, or of one over both, the
    `n_real` real ones first, of a D that is `divisible`.
    """
    at_real = penalty.kind == "r1"
    if len(caches) == 1:
        half = slice(n_real) if at_real else slice(n_real, None)
        return penalise(D, penalty, caches[0], d_out=d_outs[0], examples=half)
    here, other = (0, 1) if at_real else (1, 0)
    D.backward(d_outs[other], caches[other], need_input_grad=False)
    return penalise(D, penalty, caches[here], d_out=d_outs[here])


def check_players(
    D: Sequential,
    loss: GANLoss,
    network: Sequential,
    optimizer: Optimizer,
    feeding: Feeding = PLAIN,
    penalty: Penalty | None = None,
) -> None:
    """Raise ArgumentError unless the loss suits D's output and the optimiser holds the network that is to move.

    And unless `loss` is a GANLoss, `feeding` a Feeding, `penalty` a Penalty: a word of theirs alone is none.
    """
    for name, value, kind in (("loss", loss, GANLoss), ("feeding", feeding, Feeding), ("penalty", penalty, Penalty)):
        if not isinstance(value, kind) and (name != "penalty" or value is not None):
            raise ArgumentError(f"{name} must be a {kind.__name__}, got {value!r}; make one: {kind.__name__}(…)")
    if penalty is not None and feeding.batching == "concat" and not D.each_alone:
        raise ArgumentError(
            "a penalty takes real and fake as two batches, which to this D, whose BatchNorm mixes a batch, is not the "
            "same as one; use Feeding(batching='separate')"
        )
    if optimizer.network is not network:
        raise ArgumentError("the optimiser of this step holds another network; are G's and D's swapped?")
    last = D.layers[-1]
    if (last.out_range == (0.0, 1.0)) != (loss.output == "probability"):
        raise ArgumentError(f"D ends in {last!r}, but the loss takes its output for a {loss.output}")
