"""The adversarial game: how a discriminator and a generator learn from each other. Read `steps.py` first."""

from minigan.gan.feeding import Feeding, pack, unpack
from minigan.gan.loss import GANLoss
from minigan.gan.penalty import Penalty
from minigan.gan.steps import (
    DiscriminatorResult,
    Fakes,
    GeneratorResult,
    discriminator_step,
    generator_step,
    simultaneous_step,
)

__all__ = [
    "DiscriminatorResult",
    "Fakes",
    "Feeding",
    "GANLoss",
    "GeneratorResult",
    "Penalty",
    "discriminator_step",
    "generator_step",
    "pack",
    "simultaneous_step",
    "unpack",
]
