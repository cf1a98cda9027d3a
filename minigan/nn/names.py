"""Settings by other names: what a call with an unknown argument is told, so that nobody has to look it up."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from minigan.errors import CallError, hint

#: {what PyTorch or Keras calls a setting: (the names here, of which those are told that the class takes, a caution)}.
CALLED_HERE: dict[str, tuple[tuple[str, ...], str]] = {
    **dict.fromkeys(("padding", "pads"), (("pad",), "")),
    **dict.fromkeys(("kernel_size", "pool_size"), (("kernel",), "")),
    "strides": (("stride",), ""),
    **dict.fromkeys(("out_channels", "filters", "out_features", "units"), (("channels", "features"), "")),
    "use_bias": (("bias",), ""),
    **dict.fromkeys(("negative_slope", "alpha"), (("slope",), "")),
    **dict.fromkeys(("p", "rate"), (("drop",), "")),
    "momentum": (("decay",), "PyTorch's momentum is 1 - decay, Keras's is decay"),
    "epsilon": (("eps",), ""),
    **dict.fromkeys(("scale_factor", "size"), (("scale",), "")),
    "kernel_initializer": (("init_W",), ""),
    "bias_initializer": (("init_b",), ""),
    "gamma_initializer": (("init_gamma",), ""),
    "learning_rate": (("lr",), ""),
    "betas": (("beta1", "beta2"), ""),
    **dict.fromkeys(("input_shape", "input_dim"), (("in_shape",), "without the batch axis")),
}
LEARNED = ("affine", "center", "scale")  # of BatchNorm alone
#: {what is no setting here: why}
WITHOUT = {
    **dict.fromkeys(
        ("in_features", "in_channels", "num_features", "input_shape", "input_dim", "input_size"),
        "the size of its input follows from the network's in_shape",
    ),
    **dict.fromkeys(LEARNED, "gamma and beta are always learned"),
    "track_running_stats": "running statistics are always kept",
    "inplace": "no pass alters its input",
    "activation": "an activation is a layer of its own",
    **dict.fromkeys(("data_format", "channels_last"), "images are always (N, H, W, C)"),
    **dict.fromkeys(("dtype", "device"), "Sequential(…, dtype=…) and network.to(device) decide for all layers"),
}


class CheckedCall:
    """Base of what is made with settings: a wrong argument raises CallError (a TypeError) that names the right one."""

    if not TYPE_CHECKING:  # which knows the arguments from __init__

        def __new__(cls, *args: Any, **settings: Any) -> Any:
            """Python calls this with the arguments of `__init__`, and just before it."""
            check_call(cls, args, settings)
            return super().__new__(cls)


def check_call(cls: type, args: tuple[Any, ...], settings: dict[str, Any]) -> None:
    """Raise CallError if `cls.__init__` takes no setting of such a name, or fewer values by position."""
    if not args and not settings:  # such as a copy
        return
    parameters = parameters_of(cls.__init__)
    kinds = [p.kind for p in parameters]
    named = [p.name for p in parameters[1:] if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]  # self is no. 0
    placed = [p.name for p in parameters[1:] if p.kind in (p.POSITIONAL_OR_KEYWORD, p.POSITIONAL_ONLY)]
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        for name in settings:
            if name not in named:
                raise CallError(f"{cls.__name__} has no setting {name!r}; {setting_remedy(name, named)}")
    if inspect.Parameter.VAR_POSITIONAL not in kinds and len(args) > len(placed):
        takes = f"({', '.join(placed)})" if placed else "nothing"
        others = ", ".join(f"{name}=…" for name in named if name not in placed)
        more = f"; by name: {others}" if others else ""
        raise CallError(f"{cls.__name__} takes {takes} by position, got {', '.join(map(brief, args))}{more}")


@lru_cache(maxsize=256)  # a layer takes as long to be looked at as to be made
def parameters_of(init: Callable[..., None]) -> list[inspect.Parameter]:
    """What an `__init__` takes, self first."""
    return list(inspect.signature(init).parameters.values())


def setting_remedy(name: str, known: list[str]) -> str:
    """What to write in place of the setting `name`."""
    ours, caution = CALLED_HERE.get(name, ((), ""))
    if here := [own for own in ours if own in known]:
        return f"it is called {' and '.join(here)} here" + (f" ({caution})" if caution else "")
    if name in WITHOUT and (name not in LEARNED or "init_gamma" in known):
        return WITHOUT[name]
    return hint(name, known) if known else "it takes none by name"


def brief(value: Any) -> str:
    """A number or a word as it stands, of anything else what it is: an array or a network may be long."""
    return repr(value) if isinstance(value, (int, float, str, tuple)) else type(value).__name__
