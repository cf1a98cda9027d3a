"""The fifteen, in the order in which they hang."""

from __future__ import annotations

from exhibit import Exhibit
from wrong_games import FORGETFUL, MEAN, WITHOUT_D
from wrong_layers import ADDING, FORTH, LAST, MASKLESS, RESHAPED, SLOPELESS, STILL, TWICE, ZERO
from wrong_penalties import BY_THE_IMAGES, UNSCALED, WITHOUT_GRADIENT

from minigan.errors import known_name

EXHIBITS: tuple[Exhibit, ...] = (
    *(ZERO, STILL, SLOPELESS, MASKLESS, TWICE, RESHAPED),
    *(ADDING, LAST, FORTH, MEAN, WITHOUT_D, FORGETFUL),
    *(WITHOUT_GRADIENT, BY_THE_IMAGES, UNSCALED),
)


def find(which: str) -> Exhibit:
    """The exhibit with this number, counted from 1, or this slug; raises ArgumentError."""
    known = {e.slug: e for e in EXHIBITS}
    numbered = {str(i): e for i, e in enumerate(EXHIBITS, start=1)}
    return numbered[which] if which in numbered else known[known_name("exhibit", which, known, also=", or 1 to 15")]
