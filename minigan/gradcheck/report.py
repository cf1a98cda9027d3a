"""What a check found: a row for each array, a verdict for each entry, as text and as a table; `picture` draws it."""

from __future__ import annotations

import os
import textwrap
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

import numpy as np

from minigan.errors import ArgumentError

if TYPE_CHECKING:
    from rich.table import Table

TOLERANCE = 1e-7  # an entry is wrong if it is off by more than this share of its array's scale, and the error bar
DECIDED = 1e-4  # an entry is undecided if its error bar is wider than this share of the scale
OWN = 0.01  # of its own size, what a right entry may be off by at most: the share of the scale can be many times that
ZERO = 1e-13  # of dy, or the check's largest gradient: an analytic entry that is zero but for rounding
UNDECIDED = 0.01  # a check passes with at most this share of its entries undecided
WIDTH = 88  # of the remarks below a table, in characters
COLUMNS = ("", "array", "shape", "checked", "error", "at", "analytic", "numeric", "± bar", "not right")


@dataclass
class Row:
    """One array. `analytic`, `numeric`, `bar` and `kink` hold its entries, or one number for each direction.

    An entry is *wrong* if |analytic - numeric| > exact·scale + bar, else *undecided* if bar > 1e-4·scale, or if it is
    *faint*, so small beside the scale that it may be off by more than 1 % of itself; else right. `exact` is 1e-7, or
    less where no step is taken.
    At a kink it is wrong if it lies outside of the slopes to either side, else not decided, unless it is `tied`: the
    entries that it is tied with, moved together, have a derivative, and theirs add up to it. If they do not, `miss` is
    by how much, and they are wrong. NaN and Inf are wrong.
    """

    name: str
    shape: tuple[int, ...]
    how: str  # "entries", "directions" or "random entries"; "pairs" of what two passes say
    analytic: np.ndarray
    numeric: np.ndarray
    bar: np.ndarray
    kink: np.ndarray
    low: np.ndarray  # at a kink, what the slopes to either side allow
    high: np.ndarray
    scale: float
    places: list[tuple[int, ...]] | None = None  # of the entries in the array, if not all of it was checked
    cause: str = ""  # of what is wrong, if it can be told
    tied: np.ndarray = field(default_factory=lambda: np.zeros(()))  # for each entry; set from `kink` if not given
    miss: np.ndarray = field(default_factory=lambda: np.zeros(()))
    size: float = 0.0  # of dy, or of the check's largest gradient
    exact: float = TOLERANCE  # what an entry may be off by at most, beside the bar: a share of the scale

    def __post_init__(self) -> None:
        self.tied = np.broadcast_to(self.tied.astype(bool), self.kink.shape).copy()
        self.miss = np.broadcast_to(self.miss.astype(float), self.kink.shape).copy()

    @property
    def difference(self) -> np.ndarray:
        """|analytic - numeric| for each entry, infinite for an analytic NaN; at a kink, how far outside."""
        with np.errstate(invalid="ignore"):
            difference = np.abs(self.analytic - self.numeric)
            outside = np.maximum(self.low - self.analytic, self.analytic - self.high)
        at_kink = np.maximum(outside, self.miss)  # inside it is 0, as no miss is less
        return np.where(np.isfinite(self.analytic), np.where(self.kink, at_kink, difference), np.inf)

    @property
    def wrong(self) -> np.ndarray:
        """For each entry whether it is wrong."""
        room = np.where(self.kink, DECIDED * self.scale, self.exact * self.scale + self.bar)
        return ((self.difference > room) & ~self.zero) | (self.miss > 0) | ~np.isfinite(self.analytic)

    @property
    def zero(self) -> np.ndarray:
        """For each entry whether it is zero but for rounding, and its numeric derivative too."""
        small = np.abs(self.analytic) <= ZERO * max(self.scale, self.size)
        return ~self.kink & small & (np.abs(self.numeric) <= self.bar)

    @property
    def faint(self) -> np.ndarray:
        """For each entry whether it is too small beside the scale: right by that, and not held to its own size."""
        own = np.maximum(np.abs(self.analytic), np.abs(self.numeric))
        held = (self.difference <= OWN * own) | self.zero
        return ~self.kink & ~self.wrong & (self.bar <= DECIDED * self.scale) & ~held

    @property
    def undecided(self) -> np.ndarray:
        """For each entry whether it cannot be told: the error bar is too wide, or the entry too small.

        Where nothing has a gradient, as of steps, there is no scale but that of dy.
        """
        wide = ~(self.bar <= DECIDED * self.scale)
        if not self.analytic.any():
            wide &= ~(self.zero & (self.bar <= TOLERANCE * self.size))
        return (~self.kink & ~self.wrong & wide) | self.faint

    @property
    def right(self) -> np.ndarray:
        """For each entry whether it is right."""
        return ~self.wrong & np.where(self.kink, self.tied, ~self.undecided)

    @property
    def passes(self) -> bool:
        """Whether nothing is wrong, and at least half of the entries are right, or faint."""
        return not self.wrong.any() and 2 * int((self.right | self.faint).sum()) >= self.kink.size

    @property
    def proven(self) -> bool:
        """Whether nothing is wrong, and at least half of the entries are right."""
        return not self.wrong.any() and 2 * int(self.right.sum()) >= self.kink.size

    @property
    def index(self) -> tuple[int, ...]:
        """Of the worst entry: of a wrong one, if there is one. A numeric NaN is no difference."""
        among = self.wrong if self.wrong.any() else ~self.kink
        worst = np.argmax(np.where(among & ~np.isnan(self.difference), self.difference, -np.inf))
        return tuple(int(i) for i in np.unravel_index(worst, self.difference.shape))

    @property
    def error(self) -> float:
        """max|analytic - numeric| / scale over all entries but kinks."""
        return float(self.difference[self.index] / self.scale)

    def cells(self) -> tuple[str, ...]:
        """The row's text, under COLUMNS."""
        i = self.index
        verdict = "WRONG" if self.wrong.any() else "ok" if self.proven else "faint" if self.passes else "?"
        place = i if self.places is None else self.places[i[0]]
        counts = {"wrong": self.wrong, "undecided": self.undecided, "at kinks": self.kink & ~self.tied & ~self.wrong}
        shape = "×".join(map(str, self.shape)) or "number"
        values = f"{self.analytic[i]:+.6g}", f"{self.numeric[i]:+.6g}", f"{self.bar[i]:.0e}"
        checked = f"{self.kink.size} {self.how}"
        counts["right at ties"] = self.right & self.kink
        left = ", ".join(f"{int(entries.sum())} {what}" for what, entries in counts.items() if entries.any())
        return (verdict, self.name, shape, checked, f"{self.error:.1e}", ",".join(map(str, place)), *values, left)


@dataclass
class Report:
    """The outcome of a check: printable, and true if it passed.

    It passed if there are no `problems`, no entry is wrong, at most 1 % of all entries are undecided, and of every
    array at least half are right (an array that lies on kinks proves nothing). Faint entries count as right for that,
    since rounding makes right ones faint; they are undecided all the same, and a remark says so.
    """

    title: str
    rows: list[Row] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # what was wrong besides the numbers
    sound: bool = True  # whether the passes are such that their numbers are worth advice
    cautions: list[str] = field(default_factory=list)  # what is not wrong and may surprise

    @property
    def error(self) -> float:
        """The largest error of any array."""
        return max((row.error for row in self.rows), default=0.0)

    @property
    def entries(self) -> int:
        """How many entries and directions were checked."""
        return sum(row.kink.size for row in self.rows)

    @property
    def undecided(self) -> float:
        """The share of the entries that are undecided, without the faint."""
        return sum(int((row.undecided & ~row.faint).sum()) for row in self.rows) / max(1, self.entries)

    @property
    def faint(self) -> int:
        """How many entries are undecided because they are so small."""
        return sum(int(row.faint.sum()) for row in self.rows)

    @property
    def kinks(self) -> int:
        """How many entries lie at a kink, and are not known to be right at a tie."""
        return sum(int((row.kink & ~row.tied).sum()) for row in self.rows)

    def __getitem__(self, name: str) -> Row:
        """The row of an array, by its name; raises KeyError."""
        return {row.name: row for row in self.rows}[name]

    def __bool__(self) -> bool:
        return all(row.passes for row in self.rows) and not self.problems and self.undecided <= UNDECIDED

    @property
    def headline(self) -> str:
        """The outcome in one line."""
        if self:
            return f"{self.title}: passed, largest error {self.error:.1e}"
        wrong = [row.name for row in self.rows if row.wrong.any()]
        reasons = [f"wrong: {', '.join(wrong)}"] if wrong else []
        if unproven := [row.name for row in self.rows if not (row.wrong.any() or row.passes)]:
            reasons.append(f"hardly anything decided: {', '.join(unproven)}")
        elif self.undecided > UNDECIDED:
            reasons.append(f"undecided: {self.undecided:.0%} of the entries")
        if self.problems:
            reasons.append(f"{len(self.problems)} problem{'s' * (len(self.problems) > 1)}")
        return f"{self.title}: FAILED ({'; '.join(reasons)})"

    def remarks(self) -> list[str]:
        """The problems, and the likely cause of each array's error."""
        causes: dict[str, list[str]] = {}
        for row in self.rows:
            if row.cause:
                causes.setdefault(row.cause, []).append(row.name)
        found = [f"{', '.join(names)}: {cause}" for cause, names in causes.items()]
        advice = [f"{', '.join(names)}: {text}" for text, names in self.advice().items() if names]
        proven = all(row.proven for row in self.rows) and any(row.analytic.any() for row in self.rows)
        right = "the gradients are right, at this point and with this dy; what is wrong is what the problems say"
        return [
            *(f"problem: {p}" for p in self.problems),
            *([right] if self.problems and proven else []),
            *found,
            *(advice if self.sound else []),
            *(f"caution: {c}" for c in self.cautions),
        ]

    def advice(self) -> dict[str, list[str]]:
        """What to do about arrays that could not be decided, each with the names of these arrays."""
        right = [row for row in self.rows if not row.wrong.any()]
        return {
            "some numeric derivatives could not be taken: f has no value within a step, or a step is lost beside so "
            "large numbers; choose another point, or another step (h=1e-6)": [
                row.name for row in self.rows if np.isinf(row.bar[~row.kink]).any()
            ],
            "most of it lies at kinks, where no derivative exists; check at another point (another seed, or arrays "
            "without zeros and ties), and let a layer of your own say where it bends, in `kinks`": [
                row.name for row in right if not row.passes and 2 * (row.kink & ~row.tied).sum() > row.kink.size
            ],
            "most of it is undecided: f is too steep for any step, or rounding hides what a step changes; check at "
            "another point, with numbers nearer to 1, or with another first step (h=1e-6, h=1e-2)": [
                row.name for row in right if 2 * (row.undecided & ~row.faint).sum() > row.kink.size
            ],
            "most of it is too small beside the check's largest gradient to be told from rounding, which may be as it "
            "should (a bias before BatchNorm, a saturated tanh); check it alone, or at another point, if not": [
                row.name for row in right if 2 * row.faint.sum() > row.kink.size
            ],
        }

    def cells(self) -> list[tuple[str, ...]]:
        """The table's text, its head first, without a column in which there is nothing."""
        lines = [COLUMNS, *(row.cells() for row in self.rows)]
        keep = [k for k, column in enumerate(zip(*lines, strict=True)) if any(column[1:])]
        return [tuple(line[k] for k in keep) for line in lines]

    def __str__(self) -> str:
        cells = self.cells()
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
        remarks = [textwrap.fill(f"→ {text}", WIDTH, subsequent_indent="  ") for text in self.remarks()]
        return "\n".join([self.headline, *(lines if self.rows else []), *remarks])

    __repr__ = __str__

    def __rich__(self) -> Table:
        """The same as a table in colours: `rich.print(report)`."""
        from rich.table import Table
        from rich.text import Text

        colours = {"WRONG": "bold red", "ok": "green", "faint": "yellow", "?": "yellow"}
        caption = Text("\n".join(f"→ {text}" for text in self.remarks()), style="bold")
        table = Table(title=Text(self.headline, style="bold"), caption=caption, box=None, padding=(0, 1, 0, 0))
        table.title_justify = table.caption_justify = "left"
        head, *lines = self.cells()
        for name in head:
            table.add_column(name, no_wrap=name != "array", overflow="fold", min_width=6 if name == "array" else None)
        for verdict, *rest in lines:
            table.add_row(Text(verdict, style=colours[verdict]), *map(Text, rest))
        return table

    def picture(self, file: str | os.PathLike[str] | IO[bytes], *, array: str | None = None) -> None:
        """Write a PNG of the error of each entry, an image per array, or of the one named: see `picture`."""
        from minigan.gradcheck.picture import errors_figure

        rows = [self[array]] if array else [row for row in self.rows if row.how == "entries"]
        if not rows:
            raise ArgumentError("there is nothing to draw: no array was checked entry by entry (raise elementwise)")
        errors_figure(rows).savefig(file, metadata={"Software": None})
