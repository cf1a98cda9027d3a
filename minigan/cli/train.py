"""minigan train: a recipe in a folder of its own, and going on with a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from minigan.cli.arguments import asks_help, first_word, parse, take_flag
from minigan.cli.flags import About
from minigan.cli.named import check_flags, know, recipe_named, take_recipe
from minigan.errors import ArgumentError
from minigan.recipes import DEFAULT, RECIPES
from minigan.recipes.own import users_code


@dataclass
class RunOptions:
    """Where a run takes its data from and where it leaves its results."""

    seed: int = 0  # decides every random number of the run
    dataset: str = "auto"  # mnist, fashion-mnist, glyphs or a folder of IDX files; auto: mnist, or else glyphs
    data_dir: Path | None = None  # folder that holds, or is to hold, mnist/*; default: $MINIGAN_DATA, else a cache
    offline: bool = False  # download nothing
    out: Path | None = None  # folder of the run; default: the next free runs/RECIPE-NNN
    device: Literal["auto", "cpu", "gpu"] = "auto"  # auto: the GPU if one works
    sample_every: str = "1"  # epochs, or steps (500steps), between two sheets of samples; never: only first and last
    preview_every: str = "100steps"  # the same for the preview in the terminal; never: none
    save_every: str = "1"  # epochs, or steps (500steps), between two checkpoints; never: only first and last
    keep: int = 2  # how many of the last checkpoints stay
    keep_every: int = 0  # epochs between two checkpoints that stay for good; 0: none does
    score_every: int = 0  # epochs between two measurements of the Fréchet distance, the best stays; 0: none
    alarms: bool = True  # say when training fails, and what to try
    smoke: bool = False  # a tiny version of the recipe, over in a moment
    recipe: str | None = None  # file.py:NAME of a recipe of your own, whose fields then are flags


@dataclass
class ResumeOptions:
    """What may change when a run goes on; everything else is as in its config.json."""

    accept: tuple[str, ...] = ()  # fields of the recipe that are changed on purpose, such as lr-g lr-d; not all can be
    data_dir: Path | None = None  # where the data are, if they have moved
    offline: bool = False  # download nothing
    device: Literal["auto", "cpu", "gpu"] | None = None  # default: as the run was started
    sample_every: str | None = None  # epochs, or steps (500steps), between two sheets; default: as it was started
    preview_every: str = "100steps"  # the same for the preview in the terminal; never: none
    save_every: str | None = None  # epochs, or steps (500steps), between two checkpoints; default: as it was started
    keep: int | None = None  # how many of the last checkpoints stay; default: as the run was started
    keep_every: int | None = None  # epochs between two checkpoints that stay for good; default: as it was started
    score_every: int | None = None  # epochs between two measurements of quality; default: as the run was started
    alarms: bool = True  # say when training fails, and what to try
    recipe: str | None = None  # file.py:NAME of a recipe of your own, by which the run was trained


def command(args: list[str]) -> None:
    """minigan train [RECIPE | --recipe file.py:NAME] [flags] | --resume RUN [flags]"""
    from minigan import runs

    source, args = take_recipe(args)
    if any(arg.split("=")[0] == "--resume" for arg in args):
        resume_command(args, source)
        return
    name, flags = first_word(args)
    recipe = recipe_named(name, source, "minigan train")
    with users_code(f"{type(recipe).__name__}.smoke()"):
        recipe = recipe.smoke() if "--smoke" in flags else recipe
    check_flags(recipe, RunOptions, ResumeOptions)
    parsed = parse(
        {"recipe": recipe, "run": RunOptions(recipe=source)},
        flags,
        About("minigan train", f"--recipe {source}" if source else name, DEFAULT, "recipe", RECIPES),
        description=f"{recipe.source or recipe.name}.\nEvery number of the recipe is a flag. Recipes: "
        f"{', '.join(RECIPES)}, and file.py:NAME behind --recipe.",
    )
    options = asdict(parsed.run)
    del options["smoke"], options["recipe"]
    runs.start(parsed.recipe, **options)


def resume_command(args: list[str], source: str | None) -> None:
    """minigan train --resume RUN [flags]"""
    from minigan import runs

    folder, flags = take_flag("--resume", args)
    if words := [word for word in flags if word in RECIPES]:
        raise ArgumentError(f"a run keeps its recipe: leave {words[0]} out of minigan train --resume {folder}")
    for flag, what in (("--seed", "seed"), ("--dataset", "images"), ("--out", "folder")):
        if any(given.split("=")[0] == flag for given in flags):
            raise ArgumentError(f"a run keeps its {what}: leave {flag} out of minigan train --resume {folder}")
    know(source, folder, tell=False)
    before = RECIPES[DEFAULT] if asks_help(args) else runs.Run(folder).recipe
    check_flags(before, RunOptions, ResumeOptions)
    parsed = parse(
        {"recipe": before, "run": ResumeOptions(recipe=source)},
        flags,
        About("minigan train --resume", folder, "RUN", "run"),
        description="Go on with a run from its newest checkpoint, as if it had never stopped. The numbers of the "
        "recipe are the run's own: --epochs may grow, another has to be named in --accept too.",
    )
    wanted = {k: v for k, v in asdict(parsed.recipe).items() if v != getattr(before, k)}
    options = asdict(parsed.run)
    del options["recipe"]
    runs.resume(folder, **options, **wanted)
