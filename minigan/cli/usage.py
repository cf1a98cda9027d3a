"""What the command line says of itself: its commands, what is called otherwise here, and the ways to ask for help."""

from __future__ import annotations

import re
from pathlib import Path

from minigan import __version__
from minigan.errors import ArgumentError

USAGE = f"""minigan {__version__}: generative adversarial networks from scratch

  minigan train [RECIPE] [flags]       train a network to draw; without a recipe: best
  minigan train --recipe mine.py:Mine  train a recipe of your own
  minigan train --resume RUN [flags]   go on with a run that was interrupted, or train it for longer
  minigan sample RUN [flags]           draw images with a trained generator
  minigan evaluate RUN [flags]         how good its images are: the papers' numbers, beside those of real images
  minigan inspect RUN [flags]          one of its training steps, every number of it, as a page
  minigan report RUN [OTHER] [flags]   a run on one page, to look at and to send; or two, side by side
  minigan export RUN [flags]           its generator for other programs: ONNX, or PyTorch's layouts
  minigan gradcheck [WHAT] [flags]     check gradients: a recipe's, or your own (module:NAME, file.py:NAME)
  minigan exercise NAME [flags]        write a piece of minigan yourself: dense, conv2d, batchnorm, bce, adam, …
  minigan bench [RECIPE] [flags]       how long a training step takes on this machine, and what on
  minigan recipes                      the recipes, with their sizes and sources
  minigan info                         versions, BLAS, GPU, data: what minigan finds on this machine

All flags of a command, with their defaults: minigan COMMAND --help
"""

#: {what somebody may look for: where it is}
NO_COMMANDS = {
    "plot": "the curves of a run are in RUN/samples/curves.png, or with all else: minigan report RUN",
    "curves": "the curves of a run are in RUN/samples/curves.png, or with all else: minigan report RUN",
    "compare": "two runs side by side: minigan report RUN OTHER",
    "show": "a run on one page: minigan report RUN",
    "resume": "it is minigan train --resume RUN",
    "generate": "it is minigan sample RUN",
    "draw": "it is minigan sample RUN",
    "test": "how good a run is: minigan evaluate RUN; whether gradients are right: minigan gradcheck",
    "list": "it is minigan recipes; the runs are the folders in runs",
    "trace": "it is minigan inspect RUN",
    "version": "it is minigan --version",
}


def ask_plainly(args: list[str]) -> list[str]:
    """`help`, `help train`, `-h train` and `train help` as --help behind what they are about.

    Raises ArgumentError for a flag with another dash, which came out of a text editor.
    """
    for word in args:
        if re.match(r"[\u2010-\u2015\u2212]", word):
            raise ArgumentError(f"{word!r} begins with a dash that is no hyphen, as editors make them: type it anew")
    ways = ("help", "-h", "--help")
    if args and args[0] in ways:
        return [*(word for word in args[1:] if word not in ways), "--help"]
    if args[1:] == ["help"] and not Path("help").exists():  # which would be the name of a run
        return [args[0], "--help"]
    return args
