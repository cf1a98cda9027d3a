"""The averaged generator: a smoother one beside G, from which pictures come."""

from __future__ import annotations

from minigan.backend import Array, Elementwise
from minigan.nn import Sequential


def average(averaged: Sequential, G: Sequential, decay: float, steps: int) -> None:
    """θ̄ ← d·θ̄ + (1-d)·θ over G's parameters, and likewise over its buffers; d = min(decay, (1+t)/(10+t)) after t steps.

    G's weights circle around what they are after; their average sits nearer to the middle. A short memory at first (d
    rises from 2/11) keeps the untrained weights from lingering in it.
    Source: Yazıcı et al., "The unusual effectiveness of averaging in GAN training", ICLR 2019; the rise of d is
    TensorFlow's ExponentialMovingAverage with num_updates.
    """
    d = min(decay, (1 + steps) / (10 + steps))
    averaged.version += 1  # first, as in an optimiser's step
    for mean, newest in ((averaged.params, G.params), (averaged.buffers, G.buffers)):
        move_towards(mean, newest, 1 - d, out=mean)


@Elementwise
def move_towards(mean: Array, newest: Array, share: float) -> Array:
    mean += share * (newest - mean)
    return mean
