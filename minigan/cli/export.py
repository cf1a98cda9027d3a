"""minigan export: a run's generator for other programs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from minigan.cli.arguments import parse_run
from minigan.cli.named import know
from minigan.cli.tables import talk


@dataclass
class ExportOptions:
    """Where to write the generator."""

    out: Path = Path("generator.onnx")  # .onnx, or .safetensors in PyTorch's names and layouts
    recipe: str | None = None  # file.py:NAME of a recipe of your own, by which the run was trained


def command(args: list[str]) -> None:
    """minigan export RUN [flags]"""
    from minigan.runs.exporting import export as write

    options: ExportOptions
    run, options = parse_run(
        ExportOptions(),
        args,
        command="minigan export",
        description="Write the newest generator of a run, or that of RUN/checkpoints/FILE.safetensors, for programs "
        "that know nothing of minigan: as ONNX, or as the weights of a PyTorch network whose code is then printed.",
    )
    know(options.recipe, run)
    if code := write(run, options.out, say=talk(to_stderr=True)):
        print(code)
    print(f"Wrote the generator to {options.out}", file=sys.stderr if code else sys.stdout)
