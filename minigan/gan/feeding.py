"""How samples are laid before D: alone or several side by side, real and fake apart or as one batch.

N is the number of samples, m how many of them lie side by side, C the last axis of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from minigan.backend import Array, array_module
from minigan.errors import ArgumentError, DTypeError, ShapeError, check_choice, whole
from minigan.gan.penalty import Penalty
from minigan.nn.network import Sequential
from minigan.nn.second import divisible

Losses = tuple[Array, Array, Array]


@dataclass(frozen=True)
class Feeding:
    """How D is fed in a step of the game.

    `batching`: real and fake are two batches to D ("separate"), and its loss is the sum of two means; or they are one
    ("concat": see `join`), and it is one mean over both (see `mean_over_both`). To D's BatchNorm the first are two
    batches, each with statistics of its own; where nothing in D makes a difference, they are joined too (`as_one`).
    `packing`: how many samples D judges at once, side by side (see `pack`); its input has `packing` times G's features.
    A collapsed G gives itself away in a group, whose samples are too much alike.
    Source: Lin et al., "PacGAN: the power of two samples in generative adversarial networks", 2018.
    Raises ArgumentError for an unknown word, or a packing below 1.
    """

    batching: Literal["separate", "concat"] = "separate"
    packing: int = 1

    def __post_init__(self) -> None:
        check_choice("Feeding batching", self.batching, ("separate", "concat"))
        packing = whole(self.packing, "Feeding packing must be a whole number of samples, at least 1", least=1)
        object.__setattr__(self, "packing", packing)

    def as_one(self, D: Sequential, penalty: Penalty | None = None) -> bool:
        """Whether real and fake go through D in one pass: as one batch, or as two that D cannot tell from one.

        The latter if every layer of D takes each example alone (`Layer.each_alone`): outputs and gradients are those of
        two passes but for rounding, and for Dropout's draws, which are others, of the same distribution. Not if a layer
        has buffers, since each pass may move them; nor with a penalty on the gradient at one of the two,
        unless the pass can be divided (see `divisible`).
        """
        if penalty is not None and not penalty.drawn and not divisible(D):
            return False
        return self.batching == "concat" or (D.each_alone and not D.buffers.size)


#: Real and fake apart, one sample at a time.
PLAIN = Feeding()


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


def join(x_real: Array, x_fake: Array) -> Array:
    """Real and fake as one batch, the real ones first: (n_real, …) and (n_fake, …) to (n_real + n_fake, …).

    Raises ShapeError or DTypeError if they are not alike otherwise, DeviceError if they live on two devices.
    """
    xp = array_module(x_real=x_real, fakes=x_fake)
    if x_real.shape[1:] != x_fake.shape[1:]:
        raise ShapeError(f"the real half has shape {x_real.shape} and the fake half {x_fake.shape}; D takes one shape")
    if x_real.dtype != x_fake.dtype:
        raise DTypeError(f"the real half is {x_real.dtype} and the fake half {x_fake.dtype}; convert with .astype(…)")
    return xp.concatenate([x_real, x_fake])


def split(x: Array, n_real: int) -> tuple[Array, Array]:
    """The two halves of such a batch: undoes `join`."""
    return x[:n_real], x[n_real:]


def mean_over_both(losses: Losses, d_real: Array, d_fake: Array) -> tuple[Losses, Array, Array]:
    """What `GANLoss.for_discriminator` gives of two means, made that of one mean over the joined batch.

    mean over both = w_real · (mean over real) + w_fake · (mean over fake), w_real = n_real / (n_real + n_fake): each
    half weighs as much as its share of the batch, and so does its gradient. With as many fakes as real ones both weigh
    ½: half of the sum of two means, which is half a learning rate to SGD and next to nothing to Adam. Where a partial
    batch meets more fakes (`d_fakes="full"`), the fakes weigh more, while in the sum both halves always weigh the same.
    """
    _, loss_real, loss_fake = losses
    n_real, n_fake = len(d_real), len(d_fake)
    w_real, w_fake = n_real / (n_real + n_fake), n_fake / (n_real + n_fake)
    return (w_real * loss_real + w_fake * loss_fake, loss_real, loss_fake), w_real * d_real, w_fake * d_fake
