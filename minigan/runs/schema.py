"""What config.json and a checkpoint say of a run, and whether what stands there can be true: files may be damaged."""

from __future__ import annotations

from typing import Any, get_args

from minigan.store.checkpoint import is_count

MEANS = {"sums": dict, "counts": dict}
#: What a checkpoint must say of its run, and config.json too; see `check_entries`.
FACTS = {
    "seed": int,
    "dataset": {
        **{"name": str, "images": int, "sha256": str},
        **{"path": str | None, "test_images": bool | None, "split_seed": int | None},
    },
    "elementwise": str | None,
}
#: What both say beside that of a recipe of one's own.
OWN = {"class": str, "from": str | None, "sha256": str | None, "constants": dict}
#: What a checkpoint must say of where in its run it was saved.
POSITION = {
    "step": int,
    "epoch": int,
    "means": {"interval": MEANS, "whole": MEANS},
    "history": {"rows": int, "sha256": str},
    "architecture": dict,
}


def check_entries(values: dict[str, Any], kinds: dict[str, Any], within: str = "") -> None:
    """Raise TypeError unless `values`, out of a file, hold all that `kinds` names, of these types.

    An int must be a count, of 0 or more; what may also be None may be left out.
    """
    for name, kind in kinds.items():
        value: Any = values.get(name)
        wanted = dict if isinstance(kind, dict) else kind
        if type(value) not in (get_args(wanted) or (wanted,)):
            raise TypeError(
                f"{within}{name} is of type {type(value).__name__}, not {getattr(wanted, '__name__', wanted)}"
            )
        if isinstance(kind, dict):
            check_entries(value, kind, f"{within}{name}.")
        elif type(value) is int and not is_count(value):
            raise TypeError(f"{within}{name} is no number from 0 to 2**64 - 1")


def check_means(means: dict[str, Any]) -> None:
    """Raise TypeError unless these are the states of two `Means`: a sum and a count for each of their names."""
    for name, state in means.items():
        check_entries(state["counts"], dict.fromkeys(state["sums"], int), f"means.{name}.counts.")
        check_entries(state["sums"], dict.fromkeys(state["counts"], float), f"means.{name}.sums.")
