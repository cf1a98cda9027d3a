"""Recipes of one's own: what file.py:NAME names, where a class comes from, whether a run of it can be read again."""

from __future__ import annotations

import inspect
import linecache
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from minigan.errors import ArgumentError, MiniganError
from minigan.nn import Layer
from minigan.nn.flat import walk_shapes
from minigan.recipes import RECIPES, Recipe
from minigan.recipes.recipe import hints_of
from minigan.store.files import quoted

#: What a class has, and no instance of it.
CLASS_OWN = [name for name, hint in Recipe.__annotations__.items() if "ClassVar" in hint]
TYPED: dict[type[Recipe], str] = {}  # how the command line was asked for a class: file.py:NAME or module:NAME


def is_own(recipe: Recipe) -> bool:
    """Whether minigan does not know the recipe's class by itself."""
    return type(recipe) not in {type(known) for known in RECIPES.values()}


@contextmanager
def users_code(what: str) -> Iterator[None]:
    """While entered, whatever somebody's own code raises is an ArgumentError that says where."""
    try:
        yield
    except (MiniganError, BrokenPipeError):  # the latter where nobody reads what is printed any more
        raise
    except Exception as error:
        from minigan.recipes.loading import where_raised

        raise ArgumentError(f"{what} raised {type(error).__name__}: {error}{where_raised(error)}") from error


@contextmanager
def told_of(who: str) -> Iterator[None]:
    """While entered, an error is an ArgumentError that begins with whose it is."""
    try:
        with users_code(who):
            yield
    except MiniganError as error:
        raise error if str(error).startswith(who) else ArgumentError(f"{who}: {error}") from error


def at_layer(i: int, network: str, layer: Any) -> AbstractContextManager[None]:
    """While entered, an error is an ArgumentError that begins with the layer's place and class."""
    return told_of(f"layer {i} of {network} ({type(layer).__name__})")


def load_class(what: str, run: str = "") -> tuple[type[Recipe], Any]:
    """(the class, what was named: it, or an instance of it) of file.py:NAME or module:NAME, as `load_object` has it.

    Raises ArgumentError, in one line, if that is no recipe, or cannot be had.
    """
    from minigan.recipes.loading import load_object

    if what in RECIPES:
        raise ArgumentError(f"{what} is a recipe of minigan's: name it without the flag, as in minigan train {what}")
    if not what.rpartition(":")[0] or what.endswith(".py"):
        raise ArgumentError(f"--recipe needs file.py:NAME or module:NAME, such as --recipe mine.py:Mine, got {what!r}")
    found = load_object(what, run)
    kind = found if isinstance(found, type) else type(found)
    if not issubclass(kind, Recipe) or kind is Recipe:
        a = "a class that does not inherit" if found is kind else f"of type {kind.__name__}, which does not inherit"
        raise ArgumentError(f"{what} is no recipe: it is {a} from minigan.recipes.Recipe")
    if home_of(kind) is None:
        raise ArgumentError(f"{what}: another module is called {kind.__module__} already; rename the file")
    TYPED[kind] = what
    return kind, found


def load_recipe(what: str) -> Recipe:
    """The recipe that file.py:NAME or module:NAME names, made if it is a class; raises as `load_class`."""
    kind, found = load_class(what)
    if isinstance(found, Recipe):
        return checked(found)
    check_class(kind)
    if lacking := [field.name for field in fields(kind) if is_required(field)]:
        raise ArgumentError(
            f"{what} has no default for {', '.join(lacking)}: give each one, or name an instance that the file makes, "
            f"such as MINE = {kind.__name__}({lacking[0]}=…)"
        )
    with users_code(f"{what}()"):
        made = found()
    return checked(made)


def checked(recipe: Recipe) -> Recipe:
    """The recipe, which has a name that will do; ArgumentError otherwise."""
    if is_own(recipe):
        check_class(type(recipe))
        check_name(recipe)
    return recipe


def check_class(kind: type[Recipe]) -> None:
    """Raise ArgumentError for a class whose numbers Python leaves out of its fields without a word."""
    names = {field.name for field in fields(kind)} - {*CLASS_OWN}
    for own in kind.__mro__[: kind.__mro__.index(Recipe)]:
        typed = {name: hint for name, hint in inspect.get_annotations(own).items() if "ClassVar" not in str(hint)}
        given = [name for name in vars(own) if name in names and name not in typed]
        if "__dataclass_fields__" not in vars(own) and (lost := [*typed, *given]):
            raise ArgumentError(
                f"{own.__name__} has no @dataclass(frozen=True) above it, without which Python takes no notice of its "
                f"{', '.join(lost)}"
            )
        if given:
            raise ArgumentError(
                f"{own.__name__} gives {given[0]} no type, without which Python takes no notice of it: write "
                f"{given[0]}: {Recipe.__annotations__.get(given[0], 'int')} = …"
            )


def misspelt(kind: type[Recipe]) -> list[str]:
    """A sentence for each field that a class alone has, and that is one of every recipe but for a slip in typing."""
    hints, every = hints_of(kind), hints_of(Recipe)
    known = [field.name for field in fields(Recipe)]
    return [
        f"{own.name} is a field of {kind.__name__}'s own, and {name} one of every recipe: is it a slip in typing?"
        for own in fields(kind)
        for name in known
        if own.name not in known and hints.get(own.name) == every[name] and is_slip(own.name, name)
    ]


def is_slip(typed: str, name: str) -> bool:
    """Whether what was typed is the name with a letter twice or left out, two changed over, or other underscores.

    Names that one means, such as lr_e, beta3, lr_g2, lr_ga or beta, are none of these.
    """
    twice = [name[:i] + name[i] + name[i:] for i in range(len(name))]
    less = [name[:i] + name[i + 1 :] for i in range(len(name)) if name[i].isalpha()]
    over = [name[:i] + name[i + 1] + name[i] + name[i + 2 :] for i in range(len(name) - 1)]
    return typed in {*twice, *less, *over} or typed.replace("_", "").lower() == name.replace("_", "")


def is_required(field: Field[Any]) -> bool:
    """Whether a call must give this field of a dataclass."""
    return field.init and field.default is MISSING and field.default_factory is MISSING


def home_of(kind: type) -> Any:
    """The module in which the class is defined; None if another has its name. (What a function makes is not seen.)"""
    module = sys.modules.get(kind.__module__)
    return module if "." in kind.__qualname__ or getattr(module, kind.__qualname__, None) is kind else None


def source_of(kind: type[Recipe]) -> tuple[str | None, bytes | None]:
    """(file.py:NAME as one would type it here, the text of that file) of a class; None each if there is no file.

    Of a notebook's cell there is the text alone.
    """
    path = getattr(home_of(kind), "__file__", None)
    if path:
        try:
            text = Path(path).read_bytes()
        except OSError:  # it has been removed since
            return TYPED.get(kind), None
        file, here = Path(path).resolve(), Path.cwd()
        shown = file.relative_to(here).as_posix() if file.is_relative_to(here) else file.name
        return TYPED.get(kind, f"{shown}:{kind.__qualname__}"), text
    codes = [code for value in vars(kind).values() if (code := getattr(value, "__code__", None))]
    cells = ["".join(linecache.getlines(code.co_filename)) for code in codes]
    return None, next((cell.encode() for cell in cells if cell), None)


def check_own(recipe: Recipe) -> None:
    """Raise ArgumentError unless a run of this recipe could be read again, and its networks fit each other.

    Of a recipe of minigan's own only the networks are looked at.
    """
    kind = type(recipe).__name__
    checked(recipe)
    with users_code(f"{kind}.layers()"):
        try:
            networks = recipe.architecture()
        except NotImplementedError:
            raise ArgumentError(
                f"{kind} has no layers(self), which returns two lists: the layers of G, and those of D"
            ) from None
        except (TypeError, ValueError) as error:
            if isinstance(error, MiniganError) or "unpack" not in str(error):
                raise
            raise ArgumentError(f"{kind}.layers() must return two lists, G's layers and D's: {error}") from None
        again = recipe.architecture()
        for name, wanted in (("G", tuple(recipe.image_shape)), ("D", (1,))):
            layers, in_shape = networks[name]
            if not isinstance(layers, (list, tuple)):
                raise ArgumentError(f"{kind}.layers() must return two lists, and {name}'s is {layers!r}")
            if not layers:
                raise ArgumentError(f"{kind}.layers() gives {name} no layer")
            check_new(layers, again[name][0], name, kind)
            shape = in_shape
            for i, layer in enumerate(layers):
                with users_code(f"layer {i} of {name} ({type(layer).__name__})"):
                    before, shape = shape, walk_shapes(layers[: i + 1], in_shape)[-1]
                with at_layer(i, name, layer):
                    if not isinstance(shape, (tuple, list)):
                        raise ArgumentError(f"out_shape must return a tuple, such as (4,), got {shape!r}")
                    check_specs(layer, before)
            if tuple(shape) != wanted:
                what = "image_shape, the shape of an image" if name == "G" else "one number, how real an image is"
                raise ArgumentError(f"{name} of {kind} gives {shape} and should give {wanted}: {what}")


def check_new(layers: list[Any], again: list[Any], name: str, kind: str) -> None:
    """Raise ArgumentError unless these are layers, and the next call gives others, alike, wherever they have weights.

    A network keeps its layers: of one that is made once for all, another network could not be built, as resuming does.
    """
    if len(layers) != len(again):
        raise ArgumentError(f"{kind}.layers() gives {name} {len(layers)} layers at first, and then {len(again)}")
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            what = f"the class {layer.__name__}: make one" if isinstance(layer, type) else f"{layer!r}: no layer"
            raise ArgumentError(f"layer {i} of {name} of {kind} is {what}")
        with at_layer(i, name, layer):
            if (now := repr(layer)) != (then := repr(again[i])):
                raise ArgumentError(
                    f"it is {now} at first and {then} from the next call of {kind}.layers(), so that a run could not "
                    "be resumed: layers() and __repr__ must always give the same"
                )
        has_weights = type(layer).params is not Layer.params or type(layer).buffers is not Layer.buffers
        if has_weights and any(layer is other for other in again):
            raise ArgumentError(
                f"{kind}.layers() gives the same layer {i} of {name} ({type(layer).__name__}) each time, so that a run "
                "could not be resumed: make new layers within layers(), not once for all outside of it"
            )


def check_specs(layer: Layer, in_shape: tuple[int, ...]) -> None:
    """Raise ArgumentError unless `params` and `buffers` say of each array its shape and how it begins."""
    for what in ("params", "buffers"):
        for name, spec in getattr(layer, what)(in_shape).items():
            if not isinstance(spec, (tuple, list)) or len(spec) != 2 or not callable(spec[1]):
                raise ArgumentError(
                    f"{what} must give (shape, initialiser) for {name}, such as ((3,), minigan.nn.init.zeros), got "
                    f"{spec!r}"
                )


def check_name(recipe: Recipe) -> None:
    """Raise ArgumentError unless a class of one's own has a name that a run can record, and a folder bear."""
    kind, name = type(recipe).__name__, getattr(recipe, "name", None)
    give = f'write name = "…" into class {kind}, without a type'
    if name is None or "name" in [field.name for field in fields(recipe)]:
        raise ArgumentError(f"{kind} needs a name that all its instances have: {give}")
    if name in RECIPES:
        raise ArgumentError(f"{name} is a recipe of minigan's own, and {kind} is not that: {give}")
    if not isinstance(name, str) or len(name) > 100 or not re.fullmatch(r"\w([\w.-]*\w)?", name):
        raise ArgumentError(
            f"{kind}.name must do as the name of a folder (letters, digits, and - _ . within), got {name!r}: {give}"
        )


def typed(recipe: Recipe) -> str:
    """What a printed command on a run needs beside the run: " --recipe file.py:NAME", or "" for one of minigan's."""
    source = source_of(type(recipe))[0] if is_own(recipe) else None
    return f" --recipe {quoted(Path(source))}" if source else ""


def whose(recipe: Recipe) -> str:
    """What `minigan train` takes to begin with this recipe: its name, or --recipe file.py:NAME."""
    return typed(recipe).strip() or recipe.name
