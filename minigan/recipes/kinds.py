"""The kinds of numbers and words that a recipe's fields hold: each value is made what its field says, or refused."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from minigan.errors import ArgumentError, check_choice, number, truth, whole


def of_kind(name: str, value: Any, hint: Any, *, least: int | None) -> Any:
    """The value as the field `name` of the type `hint` holds it: NumPy's numbers as Python's, a list as a tuple.

    Raises ArgumentError, naming the field, for a value of another kind, a float that is not finite, a word that the
    field does not know, a whole number below `least` (None: any will do). Another type than recipes need is let pass.
    """
    if hint is int:
        return whole(value, f"{name} must be a whole number{at_least(least)}", least=least)
    if hint is float:
        return number(value, f"{name} must be a finite number")
    if hint is bool:
        return truth(value, name)
    if get_origin(hint) is Literal and all(isinstance(word, str) for word in get_args(hint)):
        check_choice(name, value, get_args(hint))
        return str(value)
    if get_origin(hint) is tuple:
        return several(name, value, *get_args(hint), least=least)
    return value


def several(name: str, value: Any, kind: Any, *more: Any, least: int | None) -> Any:
    """A tuple of numbers, as many as the type says; raises ArgumentError for another. Of another type: the value."""
    if kind not in (int, float) or (more != (...,) and set(more) != {kind}):
        return value
    count = None if more == (...,) else 1 + len(more)
    many = f"{count}" if count else "one or more" if least else "a tuple of"
    needs = f"{name} must be {many} {'whole' if kind is int else 'finite'} numbers{f' from {least}' if least else ''}"
    values = tuple(value) if isinstance(value, (tuple, list)) or getattr(value, "ndim", 0) == 1 else None
    if values is None or (count is not None and len(values) != count) or (least and not values):
        raise ArgumentError(f"{needs}, got {value!r}")
    try:
        return tuple(whole(v, needs, least=least) if kind is int else number(v, needs) for v in values)
    except ArgumentError:
        raise ArgumentError(f"{needs}, got {value!r}") from None


def check_comma(name: str, value: Any, hint: Any) -> None:
    """Raise ArgumentError for a number or a text where the type says a tuple: (16), which is no more than 16."""
    if get_origin(hint) is tuple and isinstance(value, (int, float, str)):
        what = "text" if isinstance(value, str) else "number"
        raise ArgumentError(f"{name} must be a tuple, got the {what} {value!r}: with a comma, ({value!r},), it is one")


def check_most(name: str, value: Any, most: int | None) -> None:
    """Raise ArgumentError for a whole number, or a tuple with one, beyond `most` (None: any will do)."""
    for each in value if isinstance(value, tuple) else (value,):
        if most is not None and isinstance(each, int) and each > most:
            raise ArgumentError(f"{name} must be at most {most:,}, got {each}")


def at_least(least: int | None) -> str:
    return "" if least is None else f", at least {least}"
