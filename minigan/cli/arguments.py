"""Words on a command line become options; a mistake in them becomes an error of one line. And tables for a terminal."""

from __future__ import annotations

import contextlib
import io
import shlex
import sys
import traceback
from dataclasses import make_dataclass
from pathlib import Path
from typing import Any

from minigan.cli.flags import About, check_words, flags_of
from minigan.errors import ArgumentError, MiniganError
from minigan.recipes import DEFAULT
from minigan.recipes.own import users_code


def no_more(args: list[str], about: str) -> None:
    """For a command without flags: print what it is on --help, and refuse anything else."""
    if asks_help(args):
        print(about)
        sys.exit(0)
    if args:
        raise ArgumentError(f"{about.split(':')[0]} takes no arguments, got {' '.join(args)}")


def asks_help(args: list[str]) -> bool:
    return bool({"-h", "--help"} & set(args))


def take_flag(flag: str, args: list[str]) -> tuple[str, list[str]]:
    """(the flag's value, the other arguments); raises ArgumentError if it has no value."""
    value, rest = split_flag(next(i for i, arg in enumerate(args) if arg.split("=")[0] == flag), args)
    if not value and not asks_help(args):
        such = args[0] if Path(args[0]).is_dir() else f"runs/{DEFAULT}-001"
        raise ArgumentError(f"{flag} needs the folder of a run behind it, such as {flag} {such}")
    return value, rest


def split_flag(i: int, args: list[str]) -> tuple[str, list[str]]:
    """(the value of the flag at place i, "" if it has none; all other arguments)."""
    value, rest = args[i].partition("=")[2], args[i + 1 :]
    if "=" not in args[i] and rest and not rest[0].startswith("-"):
        value, rest = rest[0], rest[1:]
    return value, [*args[:i], *rest]


def first_word(args: list[str]) -> tuple[str, list[str]]:
    """(what the command is about, the flags), with "" if the flags come first; ArgumentError for an empty word."""
    if args[:1] == [""]:
        raise ArgumentError("the first word is empty; is it a variable of the shell that has no value?")
    return (args[0], args[1:]) if args and not args[0].startswith("-") else ("", args)


def parse_run(options: Any, args: list[str], *, command: str, description: str) -> tuple[str, Any]:
    """(the run that a command is about, its options); raises ArgumentError if no run is named."""
    run, flags = first_word(args)
    name = command.split()[-1]  # heads the list of flags
    parsed = parse({name: options}, flags, About(command, run, "RUN", "run"), description=description)
    if not run:
        raise ArgumentError(f"which run? {command} RUN, where RUN is a folder that minigan train made")
    return run, getattr(parsed, name)


def parse(parts: dict[str, Any], args: list[str], about: About, *, description: str) -> Any:
    """Turn every field of the given dataclass instances into a flag, with its value as default, and parse `args`.

    Raises ArgumentError for words that are no options, and what the dataclasses raise of values that do not fit.
    """
    import tyro

    Arguments = make_dataclass("Arguments", [(name, type(part)) for name, part in parts.items()])
    Arguments.__module__ = "builtins"  # of which nobody looks for the source: that takes half of the time
    flags = flags_of(parts.values())
    words = ["--help"] if asks_help(args) else check_words(args, flags, about)
    code = contextlib.nullcontext() if asks_help(args) else users_code(about.prog)  # to print help fails by itself
    try:
        # Standard output is None where the shell has closed it, for which tyro has no answer.
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(sys.stdout or io.StringIO()), code:
            return tyro.cli(
                Arguments,
                default=Arguments(**parts),
                args=words,
                prog=about.prog,
                description=description,
                config=(tyro.conf.OmitArgPrefixes,),
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        found = raised_behind(stop)
        with users_code(about.prog):
            raise found or ArgumentError(f"{about.prog} does not take {shlex.join(args)}") from None


def raised_behind(stop: SystemExit) -> BaseException | None:
    """What a recipe has raised of its fields, and tyro has turned into an exit; None if tyro refuses by itself."""
    error: BaseException | None = stop.__context__
    while error and not isinstance(error, MiniganError):
        if "tyro" not in Path(traceback.extract_tb(error.__traceback__)[-1].filename).parts:
            return error
        error = error.__context__
    return error
