"""minigan: generative adversarial networks from scratch, every forward and backward pass written by hand."""

import os
import sys

__version__ = "0.1.0"

if "numpy" not in sys.modules:
    # After each product OpenBLAS's threads spin for 2^26 cycles, on cores that the rest of a step could use. Now they
    # sleep after 2^18, a tenth of a millisecond: the next product of a small network still finds them awake.
    # OpenBLAS reads this once, when NumPy loads it. `backend.share` is what uses the cores meanwhile.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "18")


def __getattr__(name: str) -> object:
    """minigan.nn and the other modules, each imported when it is first asked for: `import minigan` takes no time."""
    from importlib import import_module

    if name in (modules := _submodules()):
        return import_module(f"{__name__}.{name}")
    if name.startswith("_"):  # what copy, pickle and help look for
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from minigan import nn
    from minigan.errors import hint

    where = f"it is minigan.nn.{name}" if name in nn.__all__ else hint(name, modules)
    raise AttributeError(f"minigan has no module {name!r}; {where}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_submodules()})


def _submodules() -> list[str]:
    """What lies in this folder to be imported; __init__.pyi tells the same to type checkers, which run nothing."""
    from pkgutil import iter_modules

    return [module.name for module in iter_modules(__path__) if module.name not in ("__main__", "pytest_plugin")]
