"""minigan train: a recipe in a folder of its own, and going on with a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from minigan.cli.arguments import asks_help, first_word, parse, take_flag
from minigan.cli.flags import About
from minigan.cli.named import check_flags, know, recipe_named, take_recipe
from minigan.errors import ArgumentError
from minigan.recipes import DEFAULT, RECIPES
from minigan.recipes.own import users_code
from minigan.runs.settings import KEPT, Again, Settings, flag_name


@dataclass(frozen=True, kw_only=True)
class RunOptions(Settings):
    """Where a run takes its data from and where it leaves its results."""

    smoke: bool = False  # a tiny version of the recipe, over in a moment
    recipe: str | None = None  # file.py:NAME of a recipe of your own, whose fields then are flags


@dataclass(kw_only=True)
class ResumeOptions(Again):
    """What may change when a run goes on; everything else is as in its config.json."""

    accept: tuple[str, ...] = ()  # fields of the recipe that are changed on purpose, such as lr-g lr-d; not all can be
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
    given = asdict(parsed.run)
    del given["smoke"], given["recipe"]
    runs.start(parsed.recipe, **given)


def resume_command(args: list[str], source: str | None) -> None:
    """minigan train --resume RUN [flags]"""
    from minigan import runs

    folder, flags = take_flag("--resume", args)
    after_flags = zip(["", *flags], flags, strict=False)  # a word after a flag is its value, as in --penalty r1
    if words := [word for before, word in after_flags if word in RECIPES and not before.startswith("--")]:
        raise ArgumentError(f"a run keeps its recipe: leave {words[0]} out of minigan train --resume {folder}")
    for name, what in KEPT.items():
        if any(given.split("=")[0] == flag_name(name) for given in flags):
            raise ArgumentError(
                f"a run keeps its {what}: leave {flag_name(name)} out of minigan train --resume {folder}"
            )
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
    given = asdict(parsed.run)
    del given["recipe"]
    runs.resume(folder, **given, **wanted)
