"""What a wrong gradient of a penalised step may be the right gradient of: too little of the penalty, or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.gan import Penalty
from minigan.gradcheck.numeric import Terms


def penalty_suspects(loss: Callable[[], Any], without: Callable[[], Any], penalty: Penalty, N: int) -> dict[str, Terms]:
    """{the diagnosis: what would then have been differentiated}, of the loss with and without a penalty at N points."""

    def part(share: float) -> Terms:
        return lambda: np.ravel((1 - share) * without() + share * loss())

    found: dict[str, Terms] = {
        "the gradient of the penalty is left out: it is that of the loss without it": lambda: np.ravel(without())
    }
    if penalty.every > 1:
        found[f"only 1/{penalty.every} of the penalty's gradient is in it: it is not taken `every` times over"] = part(
            1 / penalty.every
        )
    if N > 1:
        found[f"only 1/{N} of the penalty's gradient is in it: its mean over {N} points is taken twice"] = part(1 / N)
    return found
