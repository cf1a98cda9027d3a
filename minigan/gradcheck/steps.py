"""Which step to believe: where the first leaves a doubt, others are tried, and what they agree on counts.

At a step that is too large two differences may agree by luck and be wrong (sin(kx) at h = 2π/k does not change at all);
a kink may lie within the step, and not at the point. A smaller step sees finer structure, and its rounding is in its
bar. So nothing is called wrong, or a kink, on the word of one step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigan.gradcheck.numeric import STEP, Measured, Slope, slope, typical
from minigan.gradcheck.report import DECIDED, TOLERANCE, Row

if TYPE_CHECKING:
    from minigan.gradcheck.kinks import Origin

FACTOR = 30.0  # from one step to the next
SMALLER = 6  # steps at most; with the first they span nine decades
WITNESSES = 3  # smaller steps that must not contradict, before an entry is wrong
CLOSER = 3.0  # a last smaller step, where rounding hides at h/30 what h has seen
ENOUGH = 20  # doubts of one kind that all proved true: then the others of the array are believed
BLURRED = 1e-6  # of the scale: a bar that rounding makes wider than this is a reason to try a larger step


def kinked(bend: Any, noise: Any, scale: float) -> Any:
    """Whether one-sided differences, or each of several, disagree by more than rounding explains."""
    return bend > noise + TOLERANCE * scale


def believed(at: Callable[[float], Slope], first: Slope, a: float, scale: float, size: float = 1.0) -> Slope:
    """The slope `at` the step that can be trusted, starting from the one at the `first` step, which left a doubt.

    Of the steps the one with the smallest bar is taken, after each bar was widened by what smaller steps contradict.
    Smaller steps are tried until one agrees with the analytic a, or a kink stays where it is, or three have confirmed
    that a is wrong, or rounding hides everything; larger ones, up to 1e-4 of the `size` of θ, where rounding hid a from
    the first.
    """

    def with_lost(s: Slope) -> Slope:
        return s._replace(bar=s.bar + s.lost, noise=s.noise + 4 * s.lost, lost=0.0)

    steps = [with_lost(first)]
    larger_first = rounding_hides(first, scale) and not off(first, a, scale)
    while not larger_first and len(steps) <= SMALLER and not settled(steps, a, scale):
        steps.append(with_lost(at(steps[-1].h / FACTOR)))
        if steps[-1].noise > DECIDED * scale:  # not where f has no value, and so no noise: closer by it may have one
            break
    best = choose(steps, scale)
    limit, lower = STEP * size, np.inf
    while steps[0].h < limit and best.bar > BLURRED * scale and not kinked(best.bend, best.noise, scale):
        if lower <= best.bar < np.inf:
            break
        lower = best.bar
        try:
            steps.insert(0, with_lost(at(min(steps[0].h * FACTOR, limit))))
        except Exception:  # further away the function may have no value
            break
        best = choose(steps, scale)
    if off(best, a, scale) and not confirmed(best, steps, a, scale):
        steps.append(with_lost(at(best.h / CLOSER)))
        steps.sort(key=lambda s: -s.h)
        best = choose(steps, scale)
        if not confirmed(best, steps, a, scale):
            best = best._replace(bar=max(best.bar, abs(a - best.value)))  # seen at one step alone: it cannot be told
    return best


def settled(steps: Sequence[Slope], a: float, scale: float) -> bool:
    """Whether smaller steps would add nothing."""
    best = choose(steps, scale)
    if kinked(best.bend, best.noise, scale):
        return len(steps) >= WITNESSES and np.isfinite(best.high)
    if best.bar > DECIDED * scale:
        return False
    return not off(best, a, scale) or sum(s.h < best.h for s in steps) >= WITNESSES


def choose(steps: Sequence[Slope], scale: float) -> Slope:
    """Of steps, from large to small, the one to believe; its bar tells what smaller ones say against it."""
    bars = [
        max([s.bar] + [abs(s.value - t.value) - t.bar for t in steps[i:] if np.isfinite(t.bar)])
        for i, s in enumerate(steps)
    ]
    i = int(np.argmin(bars))
    corners = [s for s in steps if kinked(s.bend, s.noise, scale)]
    if bars[i] <= DECIDED * scale or not corners:
        return steps[i]._replace(bar=bars[i], bend=0.0)
    smallest = next((s for s in reversed(corners) if np.isfinite(s.high)), corners[-1])
    if sum(agree(smallest, s) for s in corners) < 2 <= len(steps):  # one step alone says so
        return smallest._replace(low=-np.inf, high=np.inf)
    return smallest


def rounding_hides(s: Slope, scale: float) -> bool:
    """Whether a larger step might tell more: the bar is wide, and most of it is rounding."""
    hidden, bar = 0.25 * s.noise + s.lost, s.bar + s.lost
    return BLURRED * scale < bar < np.inf and 2 * hidden >= bar and not kinked(s.bend, s.noise, scale)


def agree(one: Slope, other: Slope) -> bool:
    """Whether two steps find the same corner."""
    room = 0.1 * (one.high - one.low)
    return bool(abs(one.high - other.high) <= room and abs(one.low - other.low) <= room)


def off(s: Slope, a: float, scale: float) -> bool:
    """Whether a is wrong beside a derivative without a kink."""
    kink = kinked(s.bend, s.noise, scale) and s.bar > DECIDED * scale
    return not kink and abs(a - s.value) > TOLERANCE * scale + s.bar


def confirmed(best: Slope, steps: Sequence[Slope], a: float, scale: float) -> bool:
    """Whether another step, with nearly the same derivative, finds a wrong too."""
    return any(s.h != best.h and off(s, a, scale) and abs(s.value - best.value) <= s.bar + best.bar for s in steps)


class Doubts:
    """The slopes that other steps have been asked about, so that each is asked about once."""

    def __init__(self) -> None:
        self.tried: dict[str, np.ndarray] = {}

    def settle(self, origin: Origin, rows: Sequence[Row], found: dict[str, Measured]) -> bool:
        """Ask about what is wrong, at kinks, undecided or blurred in the rows; whether there was anything new."""
        asked = False
        for row in rows:
            m = found[row.name]
            tried = self.tried.setdefault(row.name, np.zeros(row.kink.size, bool))
            blurred = np.array([s.h < STEP and rounding_hides(s, row.scale) for s in m.slopes]).reshape(row.kink.shape)
            for doubt in (row.wrong & ~row.kink, row.kink, row.undecided & ~row.faint, blurred):
                new = np.flatnonzero(doubt & np.isfinite(row.analytic) & ~tried.reshape(doubt.shape))
                tried[new] = True
                asked |= new.size > 0
                proved = 0
                for count, k in enumerate(np.random.default_rng(0).permutation(new)):
                    if count == proved == ENOUGH:
                        break
                    before = self.ask(origin, row, m, int(k))
                    proved += same_verdict(before, m.slopes[k], row, int(k))
        return asked

    def ask(self, origin: Origin, row: Row, m: Measured, k: int) -> Slope:
        """Put the slope to be believed in the place of the k-th, which is returned."""
        array, (where, v) = origin.arrays[row.name], m.lines[k]

        def at(h: float) -> Slope:
            return slope(origin.f, origin.here, array, where, v, h)

        before, size = m.slopes[k], max(1.0, typical(array), float(np.abs(array[where]).max()))
        m.slopes[k] = believed(at, before, float(m.analytic.flat[k]), row.scale, size)
        return before


def same_verdict(one: Slope, other: Slope, row: Row, k: int) -> bool:
    """Whether both are at a kink, or both undecided, or both make the k-th entry wrong."""
    verdicts = [
        (
            bool(kinked(s.bend, s.noise, row.scale)),
            off(s, float(row.analytic.flat[k]), row.scale),
            s.bar > DECIDED * row.scale,
        )
        for s in (one, other)
    ]
    return verdicts[0] == verdicts[1]
