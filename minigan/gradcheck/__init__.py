"""Is a hand-written gradient right? Compare it with finite differences, which need no calculus.

    from minigan.gradcheck import check_pair
    print(check_pair(forward, backward, x, W, b))   # your own functions; or check_layer, check_network, check_loss

Every numeric derivative comes with an error bar, so that each entry of a gradient is *wrong*, *right*, or *undecided*,
and never wrong only because float arithmetic is what it is; a report names the likely cause of what is wrong. Read
`numeric.py` (one derivative) first, then `compare.py`.
"""

from minigan.gradcheck.anything import assert_gradients, check_gradients
from minigan.gradcheck.compare import check
from minigan.gradcheck.games import check_discriminator_step, check_generator_step, check_recipe
from minigan.gradcheck.report import Report, Row
from minigan.gradcheck.targets import check_layer, check_loss, check_network, check_pair

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
