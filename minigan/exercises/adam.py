"""Exercise: Adam, the optimiser that gives every weight a step of its own size. The constructor is minigan's.

    m ← β₁m + (1-β₁)g        v ← β₂v + (1-β₂)g²        θ ← θ - lr·m̂ / (√v̂ + eps)

m and v start at zero, so early averages are too small: in step t = 1, 2, … m̂ = m/(1-β₁ᵗ) and v̂ = v/(1-β₂ᵗ) mend that.
"""

import numpy as np  # noqa: F401 (for you)

from minigan import optim


class Adam(optim.Adam):
    """self.m and self.v (arrays, at first 0), self.lr, .beta1, .beta2, .eps and self.steps (which is t) are there."""

    def _update(self, theta, g):
        """Change self.m, self.v and theta in place (theta -= …, self.m[...] = …); return nothing, leave g alone."""
        raise NotImplementedError("one step of Adam")
