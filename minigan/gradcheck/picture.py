"""Where a gradient is wrong, as a picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.gradcheck.report import Row


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
