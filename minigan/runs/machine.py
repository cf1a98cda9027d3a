"""The machine that a run is trained on, as RUN/machine.json keeps it beside the wall-clock of timing.jsonl.

Neither decides anything of the run, so they stand apart from config.json: its time means nothing without them.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minigan.store.files import write_atomically


def keep_machine(folder: Path) -> None:
    """Write RUN/machine.json: of a run that was gone on with elsewhere, the last machine."""
    facts = {"system": system(), "cores": os.cpu_count(), "blas": list(blas())}
    write_atomically(folder / "machine.json", (json.dumps(facts, indent=2) + "\n").encode())


def kept_machine(folder: Path) -> dict[str, Any]:
    """What stands there; {} if it is not there, as in a run of an older version, or cannot be read."""
    try:
        found = json.loads((folder / "machine.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def system() -> str:
    """Such as "Linux 6.1 x86_64". (platform.platform() starts a program, uname -p, for what it then leaves out.)"""
    return f"{platform.system()} {platform.release()} {platform.machine()}"


def blas() -> Iterator[str]:
    """The library behind NumPy's matrix products, the processor whose kernels it has chosen, and its threads."""
    from threadpoolctl import threadpool_info

    found = [lib for lib in threadpool_info() if lib["user_api"] == "blas"]
    for lib in found:
        kernel = lib.get("architecture") or "unknown"
        yield f"{lib['internal_api']} {lib['version']}, kernel {kernel}, threads {lib['num_threads']}"
    if not found:
        yield "unknown (threadpoolctl finds none)"
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        if name in os.environ:
            yield f"set by the environment: {name}={os.environ[name]}"
