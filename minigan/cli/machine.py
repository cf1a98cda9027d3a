"""What minigan finds on this machine: for `minigan info`, and for a report of a problem."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import minigan
from minigan.backend import cuda, describe_gpu, loops, why_no_gpu, why_one_core
from minigan.backend.threads import CORES
from minigan.data.mnist import SETS, data_folder, find_files
from minigan.errors import MiniganError
from minigan.runs.machine import blas, system
from minigan.store.files import cache_dir

LIBRARIES = ("matplotlib", "pillow", "rich", "tyro", "pooch", "safetensors", "filelock")


def facts() -> Iterator[tuple[str, str]]:
    """(what, how it is) for each thing that decides how minigan runs here."""
    yield "minigan", f"{minigan.__version__} in {Path(minigan.__file__).parent}"
    yield "Python", f"{platform.python_version()} in {sys.prefix}"
    yield "system", f"{system()}, {os.cpu_count()} cores"
    yield "NumPy", np.__version__
    yield from (("BLAS", line) for line in blas())
    yield "threads", why_one_core() or f"{CORES} for large elementwise work (backend.share)"
    yield "elementwise", elementwise_way()
    yield "libraries", ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    yield "CuPy", cupy()
    yield "GPU", gpu()
    if find_spec("dpnp"):
        yield "dpnp", f"{version('dpnp')}, {gpu('dpnp')}"
    yield from data()


def version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def elementwise_way() -> str:
    """What does the elementwise work on the CPU, and how to get loops where NumPy does it."""
    if not (reason := loops.why_no_loops()):
        return f"loops compiled by {loops.done_by('cpu')}, {CORES} core{'s' * (CORES > 1)}"
    remedy = f"; faster, if there is one for this Python, with: {sys.executable} -m pip install --upgrade numba"
    return f"NumPy ({reason}){remedy if reason.startswith('numba') else ''}"


def cupy() -> str:
    """Which CuPy is installed, or the line that installs the right one."""
    if found := cuda.wheels():
        return cuda.overlaid() or " ".join(*found.items())
    for_12, for_13, *_ = cuda.WHEELS
    driver = driver_cuda()
    if not driver:
        return (
            "not installed; no NVIDIA driver is found here; with one: "
            f"pip install {for_12} or {for_13}, for CUDA 12 or 13"
        )
    return f"not installed; install it with: {sys.executable} -m pip install {for_13 if driver >= 13 else for_12}"


def driver_cuda() -> int:
    """The major version of CUDA that the NVIDIA driver speaks, as nvidia-smi says; 0 without one."""
    if not shutil.which("nvidia-smi"):
        return 0
    try:
        out = subprocess.run(["nvidia-smi"], capture_output=True, encoding="utf-8", timeout=10, check=False).stdout  # noqa: S607
        return int(out.split("CUDA Version:")[1].split(".")[0])
    except (OSError, subprocess.SubprocessError, IndexError, ValueError):
        return 0


def gpu(device: str = "gpu") -> str:
    """The GPU that a trial operation ran on, with its memory, or why there is none."""
    reason = why_no_gpu(device)
    return f"not usable: {reason}" if reason else describe_gpu(device)


def data() -> Iterator[tuple[str, str]]:
    """Where each data set is, or that it is not here."""
    try:
        folder, own = data_folder()
    except MiniganError as error:
        yield "data", str(error)
        return
    yield "data folder", f"{folder} ({'from MINIGAN_DATA' if own else 'the cache; MINIGAN_DATA is not set'})"
    for name, published in SETS.items():
        found = [find_files(name, file, folder)[:1] for file in (*published.train, *published.test)]
        paths = [path for one in found for path in one]
        places = " and ".join(dict.fromkeys(str(path.parent) for path in paths))
        where = f"{len(paths)} of {len(found)} files in {places}" if paths else ""
        yield name, where or "not here; downloaded when it is first used"
    yield "glyphs", f"always: drawn by minigan, kept in {cache_dir()}"
