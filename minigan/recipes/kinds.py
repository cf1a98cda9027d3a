"""The kinds of numbers and words that a recipe's fields hold: each value is made what its field says, or refused."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from minigan.errors import ArgumentError, check_choice, number, truth, whole


def of_kind(name: str, value: Any, hint: Any, *, least: int) -> Any:
    """The value as the field `name` of the type `hint` holds it: NumPy's numbers as Python's, a list as a tuple.

    Raises ArgumentError, naming the field, for a value of another kind, a float that is not finite, a word that the
    field does not know, and a whole number below `least`. A type that recipes have no use for so far is let pass.
    """
    if hint is int:
        return whole(value, f"{name} must be a whole number, at least {least}", least=least)
    if hint is float:
        return number(value, f"{name} must be a finite number")
    if hint is bool:
        return truth(value, name)
    if get_origin(hint) is Literal:
        check_choice(name, value, get_args(hint))
        return str(value)
    if get_origin(hint) is tuple:
        return several(name, value, *get_args(hint))
    return value


def several(name: str, value: Any, kind: Any, *more: Any) -> tuple[Any, ...]:
    """A tuple of sizes, one or more, or of numbers, as many as the type says; raises ArgumentError for another."""
    if kind not in (int, float):
        return value
    count = None if more == (...,) else 1 + len(more)
    many = f"{count}" if count else "one or more"
    needs = f"{name} must be {many} {'whole numbers from 1' if kind is int else 'finite numbers'}"
    values = tuple(value) if isinstance(value, (tuple, list)) or getattr(value, "ndim", 0) == 1 else ()
    if len(values) != (count or max(1, len(values))):
        raise ArgumentError(f"{needs}, got {value!r}")
    try:
        return tuple(whole(v, needs, least=1) if kind is int else number(v, needs) for v in values)
    except ArgumentError:
        raise ArgumentError(f"{needs}, got {value!r}") from None
