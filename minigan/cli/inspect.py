"""minigan inspect: one step of a run, every number of it, as a page."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from minigan.cli.arguments import parse_run
from minigan.cli.named import know
from minigan.cli.tables import talk


@dataclass
class InspectOptions:
    """Which step to show, and where to write the page."""

    epoch: int | None = None  # after which epoch; by default after the newest checkpoint
    out: Path | None = None  # the page; by default RUN/inspect.html, or RUN/inspect-0003.html after epoch 3
    samples: int | None = None  # images of the batch; by default 16, or 2 where they are (H, W, C)
    data_dir: Path | None = None  # where the data are, if they have moved
    offline: bool = False  # download nothing
    recipe: str | None = None  # file.py:NAME of a recipe of your own, by which the run was trained


def command(args: list[str]) -> None:
    """minigan inspect RUN [flags]"""
    from minigan.runs.inspecting import inspect as write

    options: InspectOptions
    run, options = parse_run(
        InspectOptions(),
        args,
        command="minigan inspect",
        description="Make the step that a run would make next, from its newest checkpoint or from "
        "RUN/checkpoints/FILE.safetensors, and write a page that shows every number of it: one file, for any browser.",
    )
    know(options.recipe, run)
    choice = {key: value for key, value in asdict(options).items() if key != "recipe"}
    path = write(run, **choice, say=talk(to_stderr=True))
    print(f"Wrote the step to {path}; open it in a browser")
