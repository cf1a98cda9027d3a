"""What was typed behind a command, word for word: which flag each word belongs to, and what is wrong with it.

tyro, which turns the words into options, explains a mistake in a box that names the type of a field; here it is one
line that names what to type.
"""

from __future__ import annotations

import shlex
import types
from collections.abc import Callable, Iterable
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from minigan.errors import ArgumentError, known_name

ONE = {int: "a whole number", float: "a number", str: "a word", Path: "a path"}
SEVERAL = {int: "whole numbers", float: "numbers", str: "words"}
#: {what other programs call a flag: how it begins here}
ALIASES = {"--learning-rate": "--lr", "--gpu": "--device", "--cuda": "--device", "--output": "--out"}
#: {what is no flag of the command: what to type instead}
NO_FLAGS = {
    "--version": "minigan --version",
    "--resume": "minigan train --resume RUN",
    "--accept": "minigan train --resume RUN --accept FIELD",
    "--recipe": "minigan gradcheck file.py:NAME, without a flag",
}

TRUTHS = ("true", "yes", "on", "1", "false", "no", "off", "0")


class About(NamedTuple):
    """What a command is about: its first word, which is `default` if none was given."""

    command: str  # minigan train
    word: str = ""
    default: str = ""
    what: str = "recipe"  # that the word names
    names: Iterable[str] = ()  # all that it can be, if that is known

    @property
    def prog(self) -> str:
        return f"{self.command} {self.word or self.default}"


class Flag(NamedTuple):
    """What follows a flag: `number` words (None: as many as come), each of which `convert` takes."""

    takes: str
    example: str
    number: int | None
    convert: Callable[[str], Any]


def flags_of(parts: Iterable[Any]) -> dict[str, Flag]:
    """The flag of every field of the dataclass instances, and of every boolean also the one that says no."""
    found = {}
    for part in parts:
        hints = get_type_hints(type(part))
        for field in fields(part):
            name, value = field.name.replace("_", "-"), getattr(part, field.name)
            try:
                found[f"--{name}"] = flag = flag_of(hints[field.name], value)
            except (KeyError, TypeError, ValueError, IndexError):  # of a recipe of one's own
                raise ArgumentError(
                    f"{field.name} of {type(part).__name__} is of type {field.type}, for which there is no flag: make "
                    "it int, float, bool, str, Literal or a tuple of one of them; or no field, without a type"
                ) from None
            if flag.number == 0:
                found[f"--no-{name}"] = flag
    return found


def flag_of(hint: Any, value: Any) -> Flag:
    """A field's flag, by its type and its default."""
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(option for option in get_args(hint) if option is not type(None))
    if hint is bool:
        return Flag("no value", "", 0, str)
    if get_origin(hint) is Literal:
        *others, last = map(str, get_args(hint))
        return Flag(f"{', '.join(others)} or {last}" if others else last, "", 1, [*others, last].index)
    if get_origin(hint) is tuple:
        kind, *more = get_args(hint)
        count = None if more == [...] else 1 + len(more)
        return Flag(f"{count or ''} {SEVERAL[kind]}".strip(), " ".join(map(str, value)), count, kind)
    return Flag(ONE[hint], "" if value is None else str(value), 1, hint)


def check_words(args: list[str], flags: dict[str, Flag], about: About) -> list[str]:
    """The words as tyro takes them: commas between values become spaces.

    Raises ArgumentError, with what to type, for the first word that is no flag, or no value of the one before.
    """
    found, rest, truth = [], list(args), False
    while rest:
        at = len(args) - len(rest)
        name, equals, value = rest.pop(0).partition("=")
        if not is_flag(name):
            raise ArgumentError(stray(args, at, about, after=found[-1] if truth else ""))
        name = name.replace("_", "-")
        check_flag(name, flags, about)
        flag, values = flags[name], separate(value) if equals else []
        while not equals and rest and not is_flag(rest[0]):
            if len(values) == flag.number or (flag.number is None and rest[0] in about.names):
                break
            values += separate(rest.pop(0)) if flag.number != 1 else [rest.pop(0)]
        if equals and flag.number == 1:
            values = [value]
        check_values(name, flag, values)
        found += [f"{name}={values[0]}"] if flag.number == 1 else [name, *values]
        truth = flag.number == 0
    return found


def check_values(name: str, flag: Flag, values: list[str]) -> None:
    """Raise ArgumentError unless these are values of the flag."""
    such = f", such as {name} {flag.example}" if flag.example else ""
    got = f", got {' '.join(values)}" if values else ""
    if flag.number == 0 and values:
        raise ArgumentError(f"{name} takes no value{got}; it is {name} or {opposite(name)}")
    if (flag.number is None and not values) or (flag.number is not None and len(values) != flag.number):
        raise ArgumentError(f"{name} needs {flag.takes}{such}{got}")
    for value in values:
        if not value:
            raise ArgumentError(f"{name} is empty; is it a variable of the shell that has no value?")
        try:
            flag.convert(value)
        except ValueError:
            raise ArgumentError(f"{name} must be {flag.takes}{such}, got {value!r}") from None


def stray(args: list[str], at: int, about: About, *, after: str) -> str:
    """What to say of a word that belongs to no flag: most often it is what the command is about."""
    word, command = args[at], about.command
    if after and word not in about.names and word.lower() in TRUTHS:
        return f"{after} takes no value, got {word}; it is {after} or {opposite(after)}"
    if about.word:
        return f"{command} takes one {about.what}, got {about.word} and {word}"
    if about.names:
        known_name(about.what, word, about.names)
    return f"{word} comes first: {command} {shlex.join([word, *args[:at], *args[at + 1 :]])}"


def check_flag(name: str, flags: Iterable[str], about: About) -> None:
    """Raise ArgumentError, with what may be meant, for a flag that there is not."""
    start = ALIASES.get(name, name.lower())
    if name not in flags and len(start) > 3:
        if begin := [flag for flag in flags if flag.startswith(start)]:
            raise ArgumentError(f"unknown flag {name!r}; did you mean {' or '.join(begin)}?")
        if places := [place for flag, place in NO_FLAGS.items() if flag.startswith(start)]:
            raise ArgumentError(f"unknown flag {name!r}; it is {places[0]}")
    if name not in flags and not get_close_matches(name.strip("-").lower(), [flag.strip("-") for flag in flags]):
        raise ArgumentError(f"unknown flag {name!r}; see {about.prog} --help")  # the dashes make all flags alike
    known_name("flag", name, flags)


def opposite(name: str) -> str:
    return name.replace("--no-", "--") if name.startswith("--no-") else name.replace("--", "--no-", 1)


def separate(text: str) -> list[str]:
    """["128", "64"] of "128,64", and of "(128, 64)"."""
    return text.strip("()[]").replace(",", " ").split()


def is_flag(word: str) -> bool:
    """Whether a word is a flag, and not a value such as -1 or -1,1."""
    try:
        float(word.split(",")[0])
    except ValueError:
        return word.startswith("-") and len(word) > 1
    return False
