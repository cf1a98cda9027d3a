"""Real CuPy on a machine without a GPU: minigan's GPU tests, or any command of it, with CuPy's wheel on the CPU.

    python tests/hostcuda/run.py                                       the tests that are marked gpu
    python tests/hostcuda/run.py pytest -m gpu tests/gpu -x            … those you choose, with pytest's words
    python tests/hostcuda/run.py minigan info                          any module: python -m minigan info
    python tests/hostcuda/run.py minigan train flux-mlp --smoke --device gpu
    python tests/hostcuda/run.py benchmarks/launches.py                or a file

Linux on x86-64 with g++ and binutils. The first run makes build/hostcuda (or the folder HOSTCUDA_FOLDER): a virtual
environment with the wheels below (800 MB), unless the Python that runs this has CuPy, six libraries, and each kernel
when it is first launched. README.md beside this file says how it works, and what it cannot show.
"""

from __future__ import annotations

import importlib
import os
import platform
import runpy
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import libraries

ROOT = libraries.HERE.parents[1]
PACKAGES = (
    "cupy-cuda12x==14.2.0",
    "nvidia-cuda-runtime-cu12==12.9.79",  # headers
    "nvidia-cuda-nvcc-cu12==12.9.86",  # headers of those headers, crt/
    "nvidia-cuda-nvrtc-cu12==12.9.86",  # for compile.py alone
    "pytest>=8",
)
COMMANDS = ("filelock", "matplotlib", "pooch", "rich", "safetensors", "threadpoolctl", "tyro")  # what minigan's need


def main() -> None:
    words = sys.argv[1:] or ["pytest", "-p", "no:randomly", "-m", "gpu", "--require-gpu", *marked()]
    in_environment()
    sys.path.insert(0, str(ROOT))
    importlib.import_module("minigan")  # before NumPy, as it wants to be
    importlib.import_module("hostcupy").load()
    sys.argv = words
    if words[0].endswith(".py"):
        sys.path.insert(0, str(Path(words[0]).parent))
        runpy.run_path(words[0], run_name="__main__")
    else:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)


def in_environment() -> None:
    """Go on in the virtual environment, unless this one has the packages; SystemExit where none of it can work."""
    if (here := (sys.platform, platform.machine())) != ("linux", "x86_64"):
        raise SystemExit(f"tests/hostcuda needs Linux on x86-64, and this is {' on '.join(here)}")
    if missing := [tool for tool in ("g++", "nm") if not shutil.which(tool)]:
        raise SystemExit(f"{' and '.join(missing)} not found: install your system's g++ and binutils")
    if not libraries.installed("cupy"):
        python = environment()
        os.execv(python, [str(python), *sys.argv])


def marked() -> list[str]:
    """The files with tests that need a GPU: the others may need packages that are not here."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(file) for file in files if "mark.gpu" in file.read_text(encoding="utf-8")]


def environment() -> Path:
    """The Python of a virtual environment with the packages, made if it is not there yet."""
    folder = libraries.CACHE / "venv"
    python = folder / "bin" / "python"
    if not (folder / "whole").exists():
        print(f"installing {', '.join(PACKAGES)} into {folder}", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES, *COMMANDS], check=True)
        (folder / "whole").touch()
    return python


if __name__ == "__main__":
    main()
