"""minigan evaluate: how good a run's samples are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from minigan.cli.arguments import parse_run
from minigan.cli.named import know
from minigan.cli.tables import print_table, talk


@dataclass
class EvaluateOptions:
    """What to measure and how to say it."""

    count: int = 10_000  # how many samples; only numbers of equal counts compare
    seed: int = 0  # decides the latents
    data_dir: Path | None = None  # where the data are, if they have moved
    offline: bool = False  # download nothing
    json: bool = False  # print one JSON object, and nothing else
    recipe: str | None = None  # file.py:NAME of a recipe of your own, by which the run was trained


def command(args: list[str]) -> None:
    """minigan evaluate RUN [flags]"""
    import json

    from minigan.runs import evaluation

    options: EvaluateOptions
    run, options = parse_run(
        EvaluateOptions(),
        args,
        command="minigan evaluate",
        description="Measure the samples of a run's newest generator as the papers do, with real images and noise for "
        "comparison. Leaves RUN/evaluation.json, and in RUN/samples/nearest.png the samples nearest to training data.",
    )
    know(options.recipe, run)
    choice = {key: value for key, value in asdict(options).items() if key not in ("json", "recipe")}
    result = evaluation.evaluate(run, **choice, say=talk(options.json))
    if options.json:
        print(json.dumps(result))
        return
    print_table(evaluation.results_table(result))
    print(f"\n{evaluation.legend(result)}\nThe samples nearest to training images: {run}/samples/nearest.png")
