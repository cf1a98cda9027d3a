"""What a check found: a row for each array, a verdict for each entry, as text, as a table, and as a picture."""

from __future__ import annotations

import os
import textwrap
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from minigan.errors import ArgumentError

if TYPE_CHECKING:
    from rich.table import Table

TOLERANCE = 1e-7  # an entry is wrong if it is off by more than this share of its array's scale, and the error bar
DECIDED = 1e-4  # an entry is undecided if its error bar is wider than this share of the scale
UNDECIDED = 0.01  # a check passes with at most this share of its entries undecided
WIDTH = 88  # of the remarks below a table, in characters
COLUMNS = ("", "array", "shape", "checked", "error", "at", "analytic", "numeric", "± bar", "not right")


@dataclass
class Row:
    """One array. `analytic`, `numeric`, `bar` and `kink` hold its entries, or one number for each direction.

    An entry is *wrong* if |analytic - numeric| > 1e-7·scale + bar, else *undecided* if bar > 1e-4·scale, else right.
    At a kink it is wrong if it lies outside of the slopes to either side, else not decided. NaN and Inf are wrong.
    """

    name: str
    shape: tuple[int, ...]
    how: str  # "entries", "directions" or "random entries"
    analytic: np.ndarray
    numeric: np.ndarray
    bar: np.ndarray
    kink: np.ndarray
    low: np.ndarray  # at a kink, what the slopes to either side allow
    high: np.ndarray
    scale: float
    places: list[tuple[int, ...]] | None = None  # of the entries in the array, if not all of it was checked
    cause: str = ""  # of what is wrong, if it can be told

    @property
    def difference(self) -> np.ndarray:
        """|analytic - numeric| for each entry, infinite for an analytic NaN; at a kink, how far outside."""
        with np.errstate(invalid="ignore"):
            difference = np.abs(self.analytic - self.numeric)
            outside = np.maximum(np.maximum(self.low - self.analytic, self.analytic - self.high), 0.0)
        return np.where(np.isfinite(self.analytic), np.where(self.kink, outside, difference), np.inf)

    @property
    def wrong(self) -> np.ndarray:
        """For each entry whether it is wrong."""
        room = np.where(self.kink, DECIDED * self.scale, TOLERANCE * self.scale + self.bar)
        return (self.difference > room) | ~np.isfinite(self.analytic)

    @property
    def undecided(self) -> np.ndarray:
        """For each entry whether the error bar is too wide to tell."""
        return ~self.kink & ~self.wrong & ~(self.bar <= DECIDED * self.scale)

    @property
    def right(self) -> np.ndarray:
        """For each entry whether it is right."""
        return ~self.kink & ~self.wrong & ~self.undecided

    @property
    def proven(self) -> bool:
        """Whether nothing is wrong, and at least half of the entries are right."""
        return not self.wrong.any() and 2 * int(self.right.sum()) >= self.kink.size

    @property
    def index(self) -> tuple[int, ...]:
        """Of the worst entry: of a wrong one, if there is one."""
        among = self.wrong if self.wrong.any() else ~self.kink
        difference = np.nan_to_num(self.difference, nan=0.0, posinf=np.inf)
        worst = np.argmax(np.where(among, difference, -1.0))
        return tuple(int(i) for i in np.unravel_index(worst, self.difference.shape))

    @property
    def error(self) -> float:
        """max|analytic - numeric| / scale over all entries but kinks."""
        return float(self.difference[self.index] / self.scale)

    def cells(self) -> tuple[str, ...]:
        """The row's text, under COLUMNS."""
        i = self.index
        verdict = "WRONG" if self.wrong.any() else "ok" if self.proven else "?"
        place = i if self.places is None else self.places[i[0]]
        counts = {"wrong": self.wrong, "undecided": self.undecided, "at kinks": self.kink}
        shape = "×".join(map(str, self.shape)) or "number"
        values = f"{self.analytic[i]:+.6g}", f"{self.numeric[i]:+.6g}", f"{self.bar[i]:.0e}"
        checked = f"{self.kink.size} {self.how}"
        left = ", ".join(f"{int(entries.sum())} {what}" for what, entries in counts.items() if entries.any())
        return (verdict, self.name, shape, checked, f"{self.error:.1e}", ",".join(map(str, place)), *values, left)


@dataclass
class Report:
    """The outcome of a check: printable, and true if it passed.

    It passed if there are no `problems`, no entry is wrong, at most 1 % of all entries are undecided, and of every
    array at least half are right (an array that lies on kinks proves nothing).
    """

    title: str
    rows: list[Row] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # what was wrong besides the numbers
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
        """The share of the entries that are undecided."""
        return sum(int(row.undecided.sum()) for row in self.rows) / max(1, self.entries)

    @property
    def kinks(self) -> int:
        """How many entries lie at a kink."""
        return sum(int(row.kink.sum()) for row in self.rows)

    def __getitem__(self, name: str) -> Row:
        """The row of an array, by its name; raises KeyError."""
        return {row.name: row for row in self.rows}[name]

    def __bool__(self) -> bool:
        return all(row.proven for row in self.rows) and not self.problems and self.undecided <= UNDECIDED

    @property
    def headline(self) -> str:
        """The outcome in one line."""
        if self:
            return f"{self.title}: passed, largest error {self.error:.1e}"
        wrong = [row.name for row in self.rows if row.wrong.any()]
        reasons = [f"wrong: {', '.join(wrong)}"] if wrong else []
        if unproven := [row.name for row in self.rows if not (row.wrong.any() or row.proven)]:
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
        lost = [row.name for row in self.rows if np.isinf(row.bar).any()]
        hint = (
            "some numeric derivatives could not be taken: f has no value within a step, or a step is lost beside so "
            "large numbers; choose another point, or another step (h=1e-6)"
        )
        sound = all(row.proven for row in self.rows) and any(row.analytic.any() for row in self.rows)
        right = "the gradients are right, at this point and with this dy; what is wrong is what the problems say"
        return [
            *(f"problem: {p}" for p in self.problems),
            *([right] if self.problems and sound else []),
            *found,
            *([f"{', '.join(lost)}: {hint}"] if lost else []),
            *(f"caution: {c}" for c in self.cautions),
        ]

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

        colours = {"WRONG": "bold red", "ok": "green", "?": "yellow"}
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
        """Write a PNG of the error of each entry, an image per array, or of the one named: see `errors_figure`."""
        rows = [self[array]] if array else [row for row in self.rows if row.how == "entries"]
        if not rows:
            raise ArgumentError("there is nothing to draw: no array was checked entry by entry (raise elementwise)")
        errors_figure(rows).savefig(file, metadata={"Software": None})


def errors_figure(rows: list[Row]) -> Any:
    """The error of each entry over its array's scale, as colours from 1e-12 to 1; grey: undecided or at a kink.

    An array of more than two axes is laid out with its first axis downwards and all the others to the right.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6.4, 0.6 + 1.6 * len(rows)), dpi=110, layout="constrained")
    axes = figure.subplots(len(rows), squeeze=False)[:, 0]
    image: Any = None
    for ax, row in zip(axes, rows, strict=True):
        decided = row.right | row.wrong
        error = np.where(decided, np.clip(row.difference / row.scale, 1e-12, 1.0), np.nan)
        flat = error.reshape(1, -1) if error.ndim < 2 else error.reshape(len(error), -1)
        image = ax.imshow(flat, norm=LogNorm(1e-12, 1.0), cmap="RdYlGn_r", aspect="auto", interpolation="none")
        ax.set_facecolor("0.8")
        crosses = np.argwhere(row.wrong.reshape(flat.shape)) if row.wrong.size < 400 else []  # more would be a blot
        for down, right in crosses:
            ax.text(right, down, "×", ha="center", va="center", fontsize=7)
        ax.set_title(f"{row.name}: {int(row.wrong.sum())} of {row.kink.size} wrong", fontsize=9, loc="left")
        ax.tick_params(labelsize=7)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(nbins="auto", integer=True, min_n_ticks=1))
    figure.colorbar(image, ax=list(axes), label="error / scale", fraction=0.05)
    return figure
