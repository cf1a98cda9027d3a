"""minigan sample: images by a trained generator."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from minigan.cli.arguments import parse_run
from minigan.cli.named import know


@dataclass
class SampleOptions:
    """What to draw and where to."""

    count: int = 100  # how many images
    out: Path = Path("samples.png")  # .png: a sheet; .npy: uint8 (count, 28, 28)
    seed: int = 0  # decides the latents
    recipe: str | None = None  # file.py:NAME of a recipe of your own, by which the run was trained


def command(args: list[str]) -> None:
    """minigan sample RUN [flags]"""
    from minigan.runs.sampling import sample as write

    run, options = parse_run(
        SampleOptions(),
        args,
        command="minigan sample",
        description="Draw images with the newest generator of a run, or with that of RUN/checkpoints/FILE.safetensors.",
    )
    know(options.recipe, run)
    write(run, **{key: value for key, value in asdict(options).items() if key != "recipe"})
