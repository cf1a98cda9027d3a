"""What a run records of its recipe, and the recipe again out of that, by a minigan that is younger than the run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from minigan import __version__
from minigan.backend.arrays import LIBRARIES
from minigan.errors import ArgumentError, RecipeMissingError
from minigan.recipes import DEFAULT, RECIPES, Recipe
from minigan.recipes.own import is_own, is_required, source_of, users_code
from minigan.recipes.recipe import CLASSES
from minigan.runs.schema import OWN, check_entries
from minigan.store.files import quoted

#: What of a recipe's class no field says, and no layer shows.
CONSTANTS = ("image_shape", "pad", "value_range")


def record_of(recipe: Recipe) -> dict[str, Any]:
    """What config.json and every checkpoint say of a run's recipe; of one's own also where it comes from."""
    record: dict[str, Any] = {"recipe": recipe.name, "fields": asdict(recipe)}
    if is_own(recipe):
        source, text = source_of(type(recipe))
        sha256 = None if text is None else hashlib.sha256(text).hexdigest()
        constants = {name: getattr(recipe, name) for name in CONSTANTS}
        record["own"] = {"class": type(recipe).__qualname__, "from": source, "sha256": sha256, "constants": constants}
    return record


def check_record(recipe: Recipe) -> None:
    """Raise ArgumentError unless the recipe can be made again out of what is recorded of it, as JSON."""
    kind, record = type(recipe).__name__, record_of(recipe)
    for name, value in {**record["fields"], **record.get("own", {}).get("constants", {})}.items():
        try:
            again = tuples(json.loads(json.dumps(value, allow_nan=False)))
        except (TypeError, ValueError, RecursionError):
            again = ...
        if again != tuples(value):
            raise ArgumentError(
                f"{name} of {kind} is {value!r}, which a run cannot record: it must be a finite number, a text, True, "
                "False, None, or a tuple of these"
            )
    if not is_own(recipe):
        return
    with users_code(f"{kind}(…)"):
        again = type(recipe)(**{field.name: getattr(recipe, field.name) for field in fields(recipe)})
    if asdict(again) != asdict(recipe):
        raise ArgumentError(f"{kind}, made again with the fields that it has, has others: a run of it could not go on")


def recipe_of(facts: Mapping[str, Any], at: Path) -> Recipe:
    """The recipe that config.json or a checkpoint states; `at` is the run's folder, or that checkpoint.

    A field that is not there was not yet, when the run was made: it takes the default of its class, which is what
    minigan did before, and not the recipe's number of today.
    Raises RecipeMissingError if it is one's own and not defined here; KeyError, TypeError, ArgumentError for nonsense.
    """
    kind = class_of(facts, at)
    values = without_idle({name: tuples(value) for name, value in facts["fields"].items()})
    known = {field.name: field for field in fields(kind)}
    if strange := [name for name in values if name not in known]:
        newer = f"was it made by a newer minigan than this {__version__}?"
        raise ArgumentError(
            f"{facts['recipe']} has no field {', '.join(strange)}; {newer if 'own' not in facts else 'has it lost it?'}"
        )
    if lacking := [name for name, field in known.items() if name not in values and is_required(field)]:
        raise ArgumentError(f"{', '.join(lacking)} is not there")
    examples = asdict(RECIPES[DEFAULT if "own" in facts else facts["recipe"]])
    for name, value in values.items():
        if name in examples and not of_same_type(value, examples[name]):
            raise TypeError(f"{name} is {value!r}, which is not of the kind of {examples[name]!r}")
    if "own" not in facts:
        return kind(**values)
    with users_code(f"{kind.__name__}(…)"):
        recipe = kind(**values)
        for name, value in facts["own"]["constants"].items():
            if name in CONSTANTS and tuples(getattr(recipe, name)) != tuples(value):
                raise ArgumentError(f"{name} was {tuples(value)} and is now {getattr(recipe, name)}")
    return recipe


def without_idle(values: dict[str, Any]) -> dict[str, Any]:
    """The fields without what an older minigan took, although it changed nothing, and a recipe refuses by now."""
    if values.get("drop_last") is True and values.get("d_fakes") == "full":
        values["d_fakes"] = "match"  # no batch is a partial one
    if values.get("merged") is False and len(values["g_hidden"]) == 1:
        values["merged"] = True  # no layer enlarges
    return values


def class_of(facts: Mapping[str, Any], at: Path) -> type[Recipe]:
    """The class of a recipe; of one's own the newest of that name, of the same class name if there is one."""
    name, own = facts["recipe"], facts.get("own")
    if own is None:
        return type(RECIPES[name])
    check_entries({"recipe": name, "own": own}, {"recipe": str, "own": OWN})
    found = [kind for kind in CLASSES.values() if getattr(kind, "name", None) == name]
    same = [kind for kind in found if kind.__qualname__ == own["class"]]
    if not found:
        raise missing(name, own, at)
    return (same or found)[-1]


def missing(name: str, own: Mapping[str, Any], at: Path) -> RecipeMissingError:
    """The error for a run whose recipe is somebody's own. Nothing that its files say is run."""
    source, kind = own.get("from"), own["class"]
    if not all(text.isprintable() for text in (name, kind, source or "")):
        raise TypeError("own holds what cannot be printed")
    copy = (at.parent.parent if at.suffix == ".safetensors" else at) / "recipe.py"
    kept = f"{copy}:{kind if '.' not in kind else (source or kind).rpartition(':')[2]}" if copy.is_file() else None
    told = f"{at} was trained by a recipe of one's own, {name!r} (class {kind}"
    told += f", from {source})" if source else ")"
    told += f", whose text is kept in {copy}" if kept else ""
    return RecipeMissingError(told, source, kept)


def since(facts: Mapping[str, Any], recipe: Recipe) -> list[str]:
    """What is otherwise than when this was recorded, a sentence each: fields that were not yet, another source."""
    new = [
        f"{field.name} {getattr(recipe, field.name)!r}" for field in fields(recipe) if field.name not in facts["fields"]
    ]
    told = [f"Not yet recorded when this run was made, so as it was before: {', '.join(new)}."] if new else []
    return [*told, *other_source(facts, type(recipe))]


def other_source(facts: Mapping[str, Any], kind: type[Recipe]) -> list[str]:
    """A sentence if a class of one's own is not, letter for letter, the one that this was recorded of."""
    own = facts.get("own")
    source, text = source_of(kind) if own else (None, None)
    if not own or text is None or hashlib.sha256(text).hexdigest() == own.get("sha256"):
        return []
    return [f"The source of {kind.name} ({source or kind.__name__}) has changed since this run was trained."]


def other_way(facts: Mapping[str, Any], device: str, now: str) -> list[str]:
    """A sentence if elementwise work on the CPU was done otherwise when this was recorded than it is done `now`."""
    before = facts.get("elementwise")
    if device != "cpu" or now == (before or LIBRARIES[device].name):  # there was nothing else before it was recorded
        return []
    was = before or "not recorded"
    return [f"Elementwise work is done by {now} from here on (before: {was}): the same to rounding, not to the bit."]


def edited(facts: Mapping[str, Any], folder: Path) -> tuple[str, str] | None:
    """(that the source of a run's class has changed, what to do if it no longer makes the run's recipe), or None."""
    kind, kept = class_of(facts, folder), folder / "recipe.py"
    if not (told := other_source(facts, kind)):
        return None
    own, remedy = facts["own"], "put its former text back"
    if kept.is_file() and hashlib.sha256(kept.read_bytes()).hexdigest() == own["sha256"]:
        remedy += f", or name the one that is kept: --recipe {quoted(kept)}:{own['class']}"
    return told[0].removesuffix("."), remedy


def tuples(value: Any) -> Any:
    """The value with every list in it as a tuple, as which the fields of a recipe hold them."""
    return tuple(map(tuples, value)) if isinstance(value, (list, tuple)) else value


def of_same_type(value: Any, example: Any) -> bool:
    """Whether a value out of a file is of the example's type, a tuple's elements included; 1 will do for 1.0."""
    if isinstance(example, tuple):
        return isinstance(value, tuple) and bool(value) and all(of_same_type(v, example[0]) for v in value)
    return type(value) is type(example) or (type(value), type(example)) == (int, float)
