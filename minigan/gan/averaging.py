"""The averaged generator: a smoother one beside G, from which pictures come."""

from __future__ import annotations

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
    averaged.params += (1 - d) * (G.params - averaged.params)
    averaged.buffers += (1 - d) * (G.buffers - averaged.buffers)
