"""Curves as SVG to stand in a page: it takes the page's colours, light and dark, and needs no script.

Every number that comes out of a file is made a float first, so nothing of a file's text gets into the drawing.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 400, 230  # of the drawing; it is shown as wide as there is room
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 10, 24  # margins
MOST = 600  # points of a curve: more cannot be told apart

Point = tuple[float, float | None]  # step, value; None where there is none


class Curve(NamedTuple):
    """A curve of a chart: its name, which of the page's colours it has (1, 2, …), and its points by rising step."""

    label: str
    colour: int
    points: Sequence[Point]


def chart(
    title: str,
    curves: Sequence[Curve],
    *,
    limits: tuple[float, float] | None = None,
    level: float | None = None,
    marks: Sequence[tuple[float, str, int]] = (),
) -> str:
    """A <figure>: title, names of the curves, and the drawing.

    `limits` of the value (None: those of the curves), a dotted `level`, and `marks`, upright lines of (step, what it
    says when pointed at, colour).
    """
    thin = [curve._replace(points=thinned(curve.points)) for curve in curves]
    steps = [step for curve in thin for step, _ in curve.points]
    values = [value for curve in thin for _, value in curve.points if value is not None]
    names = "".join(f'<span class="name c{curve.colour}">{html.escape(curve.label)}</span>' for curve in curves)
    head = f"<figcaption><b>{html.escape(title)}</b> {names}</figcaption>"
    if not values:
        return f'<figure class="chart">{head}<p class="none">no values yet</p></figure>'
    right = max(max(steps), 1.0)
    low, high = limits or widened(min(values), max(values))
    frame = Frame(right, low, high)
    parts = [axes_of(frame, level)]
    for step, text, colour in marks:
        at = f'x1="{frame.x(step)}" x2="{frame.x(step)}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"'
        parts.append(f'<line class="mark c{colour}" {at}><title>{html.escape(text)}</title></line>')
    parts += [line_of(curve, frame) for curve in thin]
    about = html.escape(f"{title}: {', '.join(curve.label for curve in curves)}, by step")
    drawing = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{about}">{"".join(parts)}</svg>'
    return f'<figure class="chart">{head}{drawing}</figure>'


class Frame(NamedTuple):
    """Where a step from 0 to `right`, and a value from `low` to `high`, are in the drawing."""

    right: float
    low: float
    high: float

    def x(self, step: float) -> str:
        return f"{LEFT + (WIDTH - LEFT - RIGHT) * step / self.right:.1f}"

    def y(self, value: float) -> str:
        return f"{TOP + (HEIGHT - TOP - BOTTOM) * (self.high - value) / (self.high - self.low):.1f}"


def axes_of(frame: Frame, level: float | None) -> str:
    """Lines and numbers of both axes, and the dotted level."""
    parts, right, bottom = [], WIDTH - RIGHT, HEIGHT - BOTTOM
    for value in round_numbers(frame.low, frame.high):
        y = frame.y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="y" x="{LEFT - 6}" y="{y}" dy="0.32em">{shortest(value)}</text>')
    for step in round_numbers(0, frame.right, 4):
        parts.append(f'<line class="grid" x1="{frame.x(step)}" x2="{frame.x(step)}" y1="{TOP}" y2="{bottom}"/>')
        parts.append(f'<text class="x" x="{frame.x(step)}" y="{HEIGHT - 8}">{shortest(step)}</text>')
    if level is not None:
        parts.append(f'<line class="level" x1="{LEFT}" x2="{right}" y1="{frame.y(level)}" y2="{frame.y(level)}"/>')
    return "".join(parts)


def line_of(curve: Curve, frame: Frame) -> str:
    """The curve, broken where there is no value; a few points are marked, and so is one that stands alone."""
    pieces: list[list[tuple[str, str]]] = [[]]
    for step, value in curve.points:
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append((frame.x(step), frame.y(value)))
    few = len(curve.points) < 40
    parts = []
    for piece in pieces:
        if len(piece) > 1:
            points = " ".join(f"{x},{y}" for x, y in piece)
            parts.append(f'<polyline class="c{curve.colour}" points="{points}"/>')
        if few or len(piece) == 1:
            parts += [f'<circle class="c{curve.colour}" cx="{x}" cy="{y}" r="2"/>' for x, y in piece]
    return "".join(parts)


def thinned(points: Sequence[Point]) -> list[Point]:
    """At most about MOST points: the means of as many neighbours each, None where one of them has no value."""
    many = -(-len(points) // MOST)
    if many <= 1:
        return list(points)
    found: list[Point] = []
    for start in range(0, len(points), many):
        bunch = points[start : start + many]
        values = [value for _, value in bunch if value is not None]
        found.append((bunch[-1][0], sum(values) / len(values) if len(values) == len(bunch) else None))
    return found


def widened(low: float, high: float) -> tuple[float, float]:
    """The range and a little more on both sides; about a single value as much as it is."""
    more = 0.05 * (high - low) or 0.5 * abs(high) or 0.5
    return low - more, high + more


def round_numbers(low: float, high: float, count: int = 5) -> list[float]:
    """About so many multiples of 1, 2 or 5 times a power of ten, from low to high."""
    least = (high - low) / count
    if not (0 < least < math.inf):
        return []
    power = 10.0 ** math.floor(math.log10(least))
    each = next((f * power for f in (1, 2, 5) if f * power >= least), 10 * power)
    first = math.ceil(low / each)
    return [each * n for n in range(first, first + 2 * count + 2) if each * n <= high * (1 + 1e-9) or each * n == 0]


def shortest(value: float) -> str:
    """A number of an axis: 20k for 20,000, and no exponent where few digits do."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M" if abs(value) < 1e9 else f"{value:.3g}"
    return f"{value / 1e3:g}k" if abs(value) >= 1e4 else f"{round(value, 12):g}"
