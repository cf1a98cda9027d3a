"""Known mistakes in a backward pass, each with the trace that it leaves in the numbers.

Letters: a the analytic gradient, n the numeric one, both with the shape of the array. A hypothesis says what a would be
if a certain mistake had been made in a right backward; it is the cause if a *is* that, entry by entry. A wrong cause is
worse than none: what a few equal numbers could show by chance, or by symmetry, is not taken for evidence.
"""

from minigan.gradcheck.causes.amount import approximated, clipped, factor, functional, levels, signs
from minigan.gradcheck.causes.elementwise import derivative, mask
from minigan.gradcheck.causes.order import mixed, permuted, shifted, transposed, turned
from minigan.gradcheck.causes.place import alone, at_kinks, in_one_slice
from minigan.gradcheck.causes.point import elsewhere, exchanged, suspect
from minigan.gradcheck.causes.scatter import diagonal, written
from minigan.gradcheck.causes.term import added, levelled, symmetric
from minigan.gradcheck.causes.through import through
from minigan.gradcheck.causes.upstream import flows_backward, itself, partial, product, upstream
from minigan.gradcheck.causes.vector import axis_factor

#: What can be seen in the numbers whatever the reason, before any reason is looked for.
FACTS = (at_kinks, alone, approximated, factor)

#: In the order in which they are tried: the special before the general. What few numbers say is one possibility.
HYPOTHESES = (
    *(partial, written, in_one_slice, exchanged, mask, itself),
    *(transposed, permuted, turned, shifted, suspect, symmetric, levelled, clipped, signs, levels),
    *(through, product, upstream, added, functional, axis_factor, elsewhere, flows_backward, diagonal),
)

#: Those of them that say what can be seen, or ask for enough different numbers themselves.
CERTAIN = (in_one_slice, suspect, clipped, signs, levels, through, added)

#: If nothing explains all of the numbers: what they share.
TRAITS = (derivative, mixed)

#: Those that are told from an array's derivatives along a few directions.
ALONG_DIRECTIONS = (factor, partial, upstream, elsewhere)
