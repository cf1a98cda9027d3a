"""Is a hand-written gradient right? Compare it with finite differences, which need no calculus.

    from minigan.gradcheck import check_pair
    print(check_pair(forward, backward, x, W, b))   # your own functions; or check_layer, check_network, check_loss

Every numeric derivative comes with an error bar, so that each entry of a gradient is *wrong*, *right*, or *undecided*,
and never wrong only because float arithmetic is what it is; a report names the likely cause of what is wrong. Read
`numeric.py` (one derivative) first, then `compare.py`.
"""

from typing import TYPE_CHECKING

from minigan.gradcheck.anything import assert_gradients, check_gradients
from minigan.gradcheck.compare import check
from minigan.gradcheck.report import Report, Row
from minigan.gradcheck.targets import check_layer, check_loss, check_network, check_pair

if TYPE_CHECKING:
    from minigan.gradcheck.games import check_discriminator_step, check_generator_step, check_recipe

__all__ = [
    "Report",
    "Row",
    "assert_gradients",
    "check",
    "check_discriminator_step",
    "check_generator_step",
    "check_gradients",
    "check_layer",
    "check_loss",
    "check_network",
    "check_pair",
    "check_recipe",
]

GAMES = ("check_discriminator_step", "check_generator_step", "check_recipe")

if not TYPE_CHECKING:  # a type checker would take every misspelt name for one that this knows

    def __getattr__(name: str) -> object:
        """The checks of the game, which are imported with it when first asked for: a pair of functions needs none."""
        if name not in GAMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from minigan.gradcheck import games

        return getattr(games, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *GAMES})
