"""The pictures of the README and of the chapter on training.

    python docs/pictures.py layer       docs/images/dense.png: a layer's formulas beside its code, read from the code
    python docs/pictures.py run RUN     the digits, the animation, the curves and the interpolation of a run

The run in the pages was made by

    minigan train --dataset mnist --sample-every 200steps --out RUN        # as benchmarks/scores.py --time does
"""

import inspect
import shutil
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from minigan import plot
from minigan.nn import Dense
from minigan.watch.pictures import sheets

IMAGES = Path(__file__).parent / "images"

FORMULAS = {  # of Dense: {method: {the line that computes it: formula}}
    "forward": {"matmul": r"$y = x\,W + b$"},
    "input_grad": {"matmul": r"$dx = dy\;W^{\mathsf{T}}$"},
    "param_grads": {"matmul": r"$dW = x^{\mathsf{T}}\,dy$", "sum": r"$db = \Sigma_n\, dy_n$"},
}
LINE, TOP = 0.26, 0.25  # inches


def layer():
    """Each method of Dense, as it stands in minigan/nn/dense.py, with its formula to the left."""
    methods = {name: inspect.cleandoc("\n" + inspect.getsource(getattr(Dense, name))).split("\n") for name in FORMULAS}
    lines = [(name, line) for name, source in methods.items() for line in [*source, ""]][:-1]
    height = LINE * (len(lines) - 1) + 2 * TOP
    figure = Figure(figsize=(9.6, height), dpi=110)
    for i, (name, line) in enumerate(lines):
        y = 1 - (TOP + LINE * i) / height
        figure.text(0.2, y, line, family="monospace", fontsize=10, va="center")
        for part, formula in FORMULAS[name].items():
            if part in line:
                figure.text(0.02, y, formula, fontsize=17, va="center", color="#1f4e9c")
    figure.savefig(IMAGES / "dense.png", metadata={"Software": None})


def run(folder):
    """The last sheet, thirty of its digits in motion (slower and slower), curves and interpolation."""
    samples = folder / "samples"
    found = sheets(samples, steps_per_epoch=10**9)  # epoch-0000 comes first and the last epoch last, steps between
    with Image.open(found[-1]) as sheet:
        plot.save_png(np.asarray(sheet), IMAGES / "best.png")
    frames = []
    early = np.geomspace(1, len(found), 40).astype(int) - 1  # most happens at first
    for path in [found[i] for i in sorted({0, *early})]:
        with Image.open(path) as sheet:
            rows = np.asarray(sheet)[:92].repeat(2, axis=0).repeat(2, axis=1)
        frames.append(folder / f"frame-{len(frames):04d}.png")
        plot.save_png(rows, frames[-1])
    plot.save_gif(frames, IMAGES / "best.gif", frames=32)
    for path in frames:
        path.unlink()
    for name in ("curves", "interpolation"):
        shutil.copy(samples / f"{name}.png", IMAGES / f"best-{name}.png")


if __name__ == "__main__":
    if sys.argv[1:2] == ["layer"]:
        layer()
    elif sys.argv[1:2] == ["run"] and len(sys.argv) == 3:
        run(Path(sys.argv[2]))
    else:
        sys.exit(__doc__)
