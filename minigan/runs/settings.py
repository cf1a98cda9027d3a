"""What can be set for a run: each option once, with its default, its line in --help, and what a resume does with it.

The options of `start` and `resume`, the flags of `minigan train`, and what config.json says of a run beside its recipe
and its images are all made from the fields of `Settings`.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields, make_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_type_hints

from minigan.backend.arrays import LIBRARIES
from minigan.backend.random import check_seed
from minigan.errors import ArgumentError, as_path, check_choice, truth, whole
from minigan.runs.saver import Keep
from minigan.watch.rhythm import Every

Call = TypeVar("Call", bound=Callable[..., Any])


def option(
    take: Callable[[str, Any], Any], default: Any, told: str, *, kept: str = "", recorded: Any = None, again: str = ""
) -> Any:
    """A field of `Settings`. `take`, given its flag and a value, returns the value as a run has it, or raises
    ArgumentError; `told` is its line in --help, and `again` that of a resume, where it is another.

    What is `recorded`, in config.json as this type, stays as it was if a resume is not told otherwise (its default, in
    a run older than the option). What is `kept`, under this name, no resume may change. All else is set anew each time.
    """
    return field(default=default, metadata={"take": take, "told": told, "kept": kept, "as": recorded, "again": again})


def flag_name(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def device(flag: str, value: Any) -> str:
    check_choice(flag.strip("-"), value, (*LIBRARIES, "auto"))
    return value


def epochs(flag: str, value: Any) -> int:
    return whole(value, f"{flag} must be a whole number of epochs, or 0 for never", most=2**63)


def folder(flag: str, value: Any) -> Path | None:
    return None if value is None else as_path(value, f"{flag} must be the path of a folder")


def images(flag: str, value: Any) -> str:
    found = as_path(value, f"{flag} must be the name of a data set, or the path of a folder")
    return value if isinstance(value, str) else os.path.join(".", found)  # a path, and so never a set's name


def rhythm(flag: str, value: Any) -> str:
    Every.parse(flag, value)
    return str(value)


def switch(flag: str, value: Any) -> bool:
    return truth(value, flag)


def documented(kind: type[Any]) -> type[Any]:
    """The class with its fields in its docstring, where the command line finds what to say of them in --help."""
    kind.__doc__ = f"{kind.__doc__}\n\nArgs:" + "".join(f"\n    {f.name}: {f.metadata['told']}" for f in fields(kind))
    return kind


@documented
@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can be set for a run; raises ArgumentError, naming the flag, for what cannot be."""

    seed: int = option(lambda _, value: check_seed(value), 0, "decides every random number of the run", kept="seed")
    dataset: str = option(
        images,
        "auto",
        "mnist, fashion-mnist, glyphs or a folder of IDX files; auto: mnist, or else glyphs",
        kept="images",
    )
    device: Literal["auto", "cpu", "gpu", "dpnp"] = option(
        device, "auto", "auto: the GPU if one works; dpnp: an Intel GPU", recorded=str
    )
    data_dir: Path | None = option(
        folder,
        None,
        "folder that holds, or is to hold, mnist/*; default: $MINIGAN_DATA, else a cache",
        recorded=str | None,
        again="where the data are, if they have moved",
    )
    offline: bool = option(switch, False, "download nothing")
    out: Path | None = option(folder, None, "folder of the run; default: the next free runs/RECIPE-NNN", kept="folder")
    sample_every: str = option(
        rhythm,
        "1",
        "epochs, or steps (500steps), between two sheets of samples; never: only first and last",
        recorded=str,
    )
    preview_every: str = option(rhythm, "100steps", "the same for the preview in the terminal; never: none")
    save_every: str = option(
        rhythm, "1", "epochs, or steps (500steps), between two checkpoints; never: only first and last", recorded=str
    )
    keep: int = option(lambda _, value: Keep(value).last, 2, "how many of the last checkpoints stay", recorded=int)
    keep_every: int = option(
        lambda _, value: Keep(every=value).every,
        0,
        "epochs between two checkpoints that stay for good; 0: none does",
        recorded=int,
    )
    score_every: int = option(
        epochs, 0, "epochs between two measurements of the Fréchet distance, the best stays; 0: none", recorded=int
    )
    alarms: bool = option(switch, True, "say when training fails, and what to try")

    def __post_init__(self) -> None:
        for each in fields(Settings):
            value = each.metadata["take"](flag_name(each.name), getattr(self, each.name))
            object.__setattr__(self, each.name, value)

    def every(self, what: str) -> Every:
        """How often there is a "sample", a "preview", a "save"."""
        return Every.parse(flag_name(f"{what}_every"), getattr(self, f"{what}_every"))

    @property
    def stay(self) -> Keep:
        """Which checkpoints stay."""
        return Keep(self.keep, self.keep_every)

    def check_reached(self, given: dict[str, Any], epochs: int) -> None:
        """Raise ArgumentError for what of the `given` options would never happen in so many epochs."""
        for name, happens in (("score_every", "measured"), ("keep_every", "kept for good")):
            if name in given and (value := getattr(self, name)) > epochs:
                raise ArgumentError(
                    f"{flag_name(name)} {value} is beyond the last epoch, {epochs}: nothing would ever be {happens}"
                )

    def record(self) -> dict[str, Any]:
        """What config.json says of the settings."""
        values = {name: getattr(self, name) for name in RECORDED}
        return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


#: {what config.json records: the type it has there}
RECORDED: dict[str, Any] = {each.name: kind for each in fields(Settings) if (kind := each.metadata["as"])}
#: {what a run keeps for good: what it is called}
KEPT: dict[str, str] = {each.name: kept for each in fields(Settings) if (kept := each.metadata["kept"])}


def as_it_was(each: Field[Any]) -> tuple[str, Any, Any]:
    """(name, type, field) of an option, to be given to a resume: None for what is recorded means as it is there."""
    hint, told = get_type_hints(Settings)[each.name], each.metadata["told"]
    if each.name not in RECORDED:
        return each.name, hint, field(default=each.default, metadata={"told": told})
    told = each.metadata["again"] or f"{told.partition('; default:')[0]}; default: as the run was started"
    return each.name, hint | None, field(default=None, metadata={"told": told})


#: What may change of the settings when a run goes on.
Again = make_dataclass("Again", [as_it_was(f) for f in fields(Settings) if f.name not in KEPT], kw_only=True)
documented(Again)


def given_of(changes: dict[str, Any], kind: type[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(options, fields of the recipe) of what `start` (`Settings`) or `resume` (`Again`) is given beside its own."""
    defaults = {each.name: each.default for each in fields(kind)}
    given = {k: v for k, v in changes.items() if k in defaults and (v is not None or defaults[k] is not None)}
    return given, {k: v for k, v in changes.items() if k not in defaults}


def takes(kind: type[Any]) -> Callable[[Call], Call]:
    """Let help(call), and whatever completes names, show the options that a call finds among its **changes."""

    def decorate(call: Call) -> Call:
        signature = inspect.signature(call)
        first, *own = signature.parameters.values()
        added = inspect.signature(kind).parameters.values()
        call.__dict__["__signature__"] = signature.replace(parameters=[first, *added, *own])
        return call

    return decorate
