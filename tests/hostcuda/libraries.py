"""The libraries in the place of NVIDIA's: where they lie, what they need, and how g++ makes them."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("HOSTCUDA_FOLDER", HERE.parents[1] / "build" / "hostcuda"))

#: A kernel's compiler. No fused multiply-add and no rearranged sums, so that its numbers are those of its source;
#: CuPy's own headers are for a compiler that lets more pass than g++ does.
COMPILE = (
    *("g++", "-std=c++17", "-O1", "-shared", "-fPIC", "-w", "-fpermissive"),
    *("-ffp-contract=off", "-fno-strict-aliasing"),
)


def folder_of(package: str) -> Path:
    """Where an installed package lies, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{package} is not installed in {sys.prefix}; python {HERE / 'run.py'} installs it")
    return Path(next(iter(spec.submodule_search_locations)))


def include_folders() -> list[str]:
    """g++'s flags for our headers, CuPy's, and CUDA's: the runtime's, and crt/ of the compiler's."""
    nvidia = folder_of("nvidia")
    cupy = folder_of("cupy") / "_core/include"
    theirs = (cupy, *(cupy / "cupy/_cccl" / name for name in ("libcudacxx", "thrust")))
    return [f"-I{folder}" for folder in (HERE, *theirs, nvidia / "cuda_runtime/include", nvidia / "cuda_nvcc/include")]


#: Each library by the name under which CuPy asks for it, with its sources, the status that says "not supported" in it,
#: and the extension module that asks.
LIBRARIES = {
    "libcuda.so.1": (("driver.cpp", "sums_and_sorts.cpp"), 801, "cupy_backends/cuda/api/runtime"),
    "libnvrtc.so.12": (("nvrtc.cpp",), 5, "cupy_backends/cuda/libs/nvrtc"),
    "libcublas.so.12": (("cublas.cpp",), 15, "cupy_backends/cuda/libs/cublas"),
    "libcusolver.so.11": (("cusolver.cpp",), 9, "cupy_backends/cuda/libs/cusolver"),
    "libcusparse.so.12": ((), 10, "cupy_backends/cuda/libs/cusparse"),
    "libcurand.so.10": ((), 203, "cupy_backends/cuda/libs/curand"),
}


def build() -> list[Path]:
    """The libraries, made where one is missing or older than a file here; the driver, which the others need, first."""
    folder = CACHE / "lib" / f"{sys.implementation.cache_tag}-{installed('cupy')}"
    folder.mkdir(parents=True, exist_ok=True)
    newest = max(file.stat().st_mtime for file in (*HERE.glob("*.cpp"), HERE / "counts.h", Path(__file__)))
    made = [folder / name for name in LIBRARIES]
    for path in made:
        if not path.exists() or path.stat().st_mtime < newest:
            make(path, *LIBRARIES[path.name])
    return made


def make(path: Path, sources: tuple[str, ...], status: int, module: str) -> None:
    """Compile one library; all that CuPy's module asks for and the sources do not have says that it is missing."""
    (asking,) = folder_of("cupy").parent.glob(f"{module}.*.so")
    with tempfile.TemporaryDirectory() as work:
        objects = []
        for source in sources:
            objects.append(f"{work}/{source}.o")
            gcc("-O3", "-std=c++17", "-fPIC", "-c", str(HERE / source), "-o", objects[-1], *include_folders())
        missing = sorted(asked_of(asking) - names(objects))
        text = ["#include <cstdio>", *(MISSING.format(name=name, status=status) for name in missing)]
        (Path(work) / "missing.cpp").write_text("\n".join(text))
        (Path(work) / "versions").write_text(f"{path.name} {{ global: *; }};")  # CuPy's modules ask for name@library
        half_made = path.with_suffix(f".{os.getpid()}")
        versions = f"-Wl,--version-script={work}/versions"
        gcc("-shared", "-fPIC", *objects, f"{work}/missing.cpp", f"-Wl,-soname,{path.name}", versions, "-o", half_made)
        half_made.replace(path)


MISSING = 'extern "C" int {name}() {{ fprintf(stderr, "hostcuda has no {name}\\n"); return {status}; }}'


def gcc(*arguments: object) -> None:
    subprocess.run(["g++", *map(str, arguments)], check=True)


def asked_of(module: Path) -> set[str]:
    """The functions of CUDA that an extension module of CuPy looks for outside, or carries inside itself."""
    said = subprocess.run(["nm", "-D", "--undefined-only", module], capture_output=True, text=True, check=True).stdout
    outside = set(re.findall(r" U (cu[a-z]+[A-Z]\w*)", said))
    said = subprocess.run(["nm", module], capture_output=True, text=True, check=True).stdout
    return outside | set(re.findall(r" [tT] (cuda[A-Z]\w*)", said))


def names(objects: list[str]) -> set[str]:
    """The functions that object files define."""
    if not objects:
        return set()
    said = subprocess.run(["nm", "--defined-only", *objects], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r" T (\w+)", said))


def installed(package: str) -> str:
    """The version of an installed distribution of CuPy, or of another package."""
    from importlib import metadata

    found = [d for d in metadata.distributions() if re.fullmatch(rf"{package}(-cuda\d+x)?", d.metadata["Name"])]
    return "-".join(sorted(d.version for d in found))
