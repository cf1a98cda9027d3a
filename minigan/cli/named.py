"""The recipe that a command is about: one of minigan's by its name, or one's own, by --recipe file.py:NAME."""

from __future__ import annotations

import shlex
import sys
from dataclasses import fields
from pathlib import Path

from minigan.cli.arguments import split_flag
from minigan.errors import ArgumentError, RecipeMissingError, known_name
from minigan.recipes import DEFAULT, RECIPES, Recipe
from minigan.recipes.own import load_class, load_recipe
from minigan.runs.recorded import other_source
from minigan.runs.run import stated
from minigan.store.files import quoted


def take_recipe(args: list[str]) -> tuple[str | None, list[str]]:
    """(what --recipe names, or None; the other arguments). ArgumentError if it is there twice, or without a value."""
    given = [i for i, arg in enumerate(args) if arg.split("=")[0] == "--recipe"]
    if not given:
        return None, args
    if len(given) > 1:
        raise ArgumentError("--recipe is given twice; one recipe is trained at a time")
    value, rest = split_flag(given[0], args)
    if not value:
        raise ArgumentError("--recipe needs file.py:NAME or module:NAME behind it, such as --recipe mine.py:Mine")
    return value, rest


def recipe_named(name: str, source: str | None, command: str) -> Recipe:
    """The recipe of that name, the default without one, or that of --recipe; raises ArgumentError if there is none."""
    if source:
        if name:
            raise ArgumentError(f"{command} takes one recipe, got {name} and --recipe {source}")
        return load_recipe(source)
    if ":" in name:
        raise ArgumentError(f"unknown recipe {name!r}; one of your own has a flag before it: {command} --recipe {name}")
    return RECIPES[known_name("recipe", name or DEFAULT, RECIPES)]


def check_flags(recipe: Recipe, *options: type) -> None:
    """Raise ArgumentError for a field of somebody's own whose flag the command has already, by these options."""
    theirs = [field for option in options for field in fields(option)]
    truths = [field.name for field in theirs if isinstance(field.default, bool)]
    truths += [field.name for field in fields(recipe) if isinstance(getattr(recipe, field.name), bool)]
    taken = {"help", "resume", *(field.name for field in theirs), *(f"no_{name}" for name in truths)}
    for field in fields(recipe):
        if field.name in taken:
            flag, kind = field.name.replace("_", "-"), type(recipe).__name__
            raise ArgumentError(f"{field.name} of {kind} cannot be a flag: --{flag} is another one; rename the field")


def know(source: str | None, run: str, *, tell: bool = True) -> None:
    """Load the recipe of one's own by which a run was trained, and tell if it has changed since.

    Raises ArgumentError if it is not that.
    """
    if not source:
        return
    kind, _ = load_class(source, run)
    if not (facts := stated(run)):
        return  # whoever reads the run will say why it cannot be
    if "own" not in facts:
        raise ArgumentError(f"{run} was trained by {facts.get('recipe')}, a recipe of minigan's: leave --recipe out")
    if getattr(kind, "name", None) != facts.get("recipe"):
        named = getattr(kind, "name", None)
        raise ArgumentError(f"{run} was trained by {facts.get('recipe')!r}, and {source} is {named!r}")
    for line in other_source(facts, kind) if tell else ():
        print(line, file=sys.stderr)


def in_a_command(error: RecipeMissingError, args: list[str]) -> str:
    """The error in one line, with the command to type in place of the one that has led to it."""
    command = f"minigan {shlex.join(args)} --recipe {quoted(Path(error.source or 'file.py:NAME'))}"
    trusted = f"; or, once you have read it and trust it: --recipe {quoted(Path(error.kept))}" if error.kept else ""
    return f"{error.what}; name its file: {command}{trusted}"
