"""Every kernel that CuPy writes for minigan, through NVIDIA's own compiler: does it compile for a GPU?

    python tests/hostcuda/compile.py              for sm_90 (H100, H200)
    python tests/hostcuda/compile.py 75 80 120    for others: T4, A100, Blackwell

The sources are those that run.py has seen on this machine; if there are none, it first runs the GPU's tests. NVRTC
needs no GPU and no driver: its wheel compiles anywhere. The last line tells how many of how many compiled.
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from multiprocessing import Pool
from pathlib import Path

import hostcupy
import libraries
import run


def main() -> int:
    run.in_environment()
    folder = hostcupy.prepare()
    if not list(folder.glob("*.json")):
        subprocess.run([sys.executable, Path(run.__file__)], check=True)
    sources = sorted(folder.glob("*.json"))
    failed = 0
    for architecture in sys.argv[1:] or ["90"]:
        with Pool() as pool:  # a process for each core: NVRTC compiles one source at a time
            told = pool.starmap(trial, [(source, architecture) for source in sources], chunksize=8)
        for source, reason in zip(sources, told, strict=True):
            if reason:
                failed += 1
                print(f"{source}: {reason}")
        print(f"{told.count('')} of {len(sources)} compiled for sm_{architecture}, CuPy {libraries.installed('cupy')}")
    return min(failed, 1)


def trial(path: Path, architecture: str) -> str:
    """Why CuPy's way to NVRTC does not compile a kept source, or an empty string."""
    warnings.simplefilter("ignore")  # CuPy warns that it finds no GPU
    from cupy.cuda import compiler

    compiler._get_arch_for_options_for_nvrtc = lambda arch=None: (f"-arch=sm_{arch}", "cubin")  # it would ask the GPU
    kept = json.loads(path.read_text())
    try:
        binary, _ = compiler.compile_using_nvrtc(
            kept["source"], tuple(kept["options"]), architecture, name_expressions=kept["names"] or None
        )
    except compiler.CompileException as error:
        return str(error)
    return "" if binary.startswith(b"\x7fELF") else "what came is no binary for a GPU"


if __name__ == "__main__":
    sys.exit(main())
