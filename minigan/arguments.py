"""Words on a command line become options; a mistake in them becomes an error of one line. And tables for a terminal."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import fields, make_dataclass
from typing import TYPE_CHECKING, Any

from minigan.errors import ArgumentError, nearest
from minigan.recipes import DEFAULT

if TYPE_CHECKING:
    from rich.table import Table


def print_table(table: Table) -> None:
    """As wide as the terminal; in a pipe or a file one line per row."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if console.is_terminal:
        console.print(table)
    else:
        console.width = 400
        with console.capture() as captured:
            console.print(table)
        print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def no_more(args: list[str], about: str) -> None:
    """For a command without flags: print what it is on --help, and refuse anything else."""
    if args and args[0] in ("-h", "--help"):
        print(about)
        sys.exit(0)
    if args:
        raise ArgumentError(f"{about.split(':')[0]} takes no arguments, got {' '.join(args)}")


def take_flag(flag: str, args: list[str]) -> tuple[str, list[str]]:
    """(the flag's value, the other arguments); raises ArgumentError if it has no value."""
    i = next(i for i, arg in enumerate(args) if arg.split("=")[0] == flag)
    value, rest = args[i].partition("=")[2], args[i + 1 :]
    if "=" not in args[i] and rest and not rest[0].startswith("-"):
        value, rest = rest[0], rest[1:]
    if not value and not {"-h", "--help"} & set(args):
        raise ArgumentError(f"{flag} needs the folder of a run, such as runs/{DEFAULT}-001")
    return value, [*args[:i], *rest]


def first_word(args: list[str]) -> tuple[str, list[str]]:
    """(what the command is about, the flags), with "" if the flags come first."""
    return (args[0], args[1:]) if args and not args[0].startswith("-") else ("", args)


def shape(text: str | None) -> tuple[int, ...] | None:
    """(4, 7) of "4,7"."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.replace("×", ",").strip("() ,").split(","))
    except ValueError:
        raise ArgumentError(f"--in-shape must be whole numbers with commas, such as 4,7, got {text!r}") from None


def parse(parts: dict[str, Any], args: list[str], *, prog: str, description: str) -> Any:
    """Turn every field of the given dataclass instances into a flag, with its value as default, and parse `args`.

    tyro explains a mistake in a box; here it becomes an ArgumentError of one line.
    """
    import tyro

    Arguments = make_dataclass("Arguments", [(name, type(part)) for name, part in parts.items()])
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            return tyro.cli(
                Arguments,
                default=Arguments(**parts),
                args=args,
                prog=prog,
                description=description,
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        flags = [f"--{f.name.replace('_', '-')}" for part in parts.values() for f in fields(part)]
        for arg in args:
            if arg.startswith("--") and not arg.startswith("--no-"):
                nearest("flag", arg.split("=")[0].replace("_", "-"), flags)
        reason = unboxed(messages.getvalue()).removeprefix("Error parsing recipe: ")
        raise ArgumentError(f"{reason} (see {prog} --help)") from None


def unboxed(box: str) -> str:
    """The first paragraph of a box drawn with line characters, on one line."""
    lines = [line.strip("│ ") for line in box.splitlines() if line.startswith("│")]
    rule = next((i for i, line in enumerate(lines) if line.startswith("─")), len(lines))
    return " ".join(lines[:rule]) or box.strip()
