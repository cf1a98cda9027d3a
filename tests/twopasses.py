"""The draws of two passes through D, handed to one pass over both batches: to compare the two ways number by number."""

import numpy as np

from minigan.backend import RandomStream
from minigan.nn import Dropout


class OfTwoPasses(RandomStream):
    """`RandomStream(seed, "dropout")` as D's layers ask it in a pass over the real ones, then one over the fakes."""

    def __init__(self, seed, D, counts):
        super().__init__(seed, "dropout")
        shapes = [
            shape
            for layer, shape in zip(D.layers, D.out_shapes, strict=True)
            if isinstance(layer, Dropout) and layer.drop
        ]
        passes = [[super(OfTwoPasses, self).bits((n, *shape)) for shape in shapes] for n in counts]
        self.waiting = [np.concatenate(of_a_layer) for of_a_layer in zip(*passes, strict=True)]

    def bits(self, shape):
        return self.waiting.pop(0) if self.waiting else super().bits(shape)
