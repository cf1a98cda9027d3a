"""Real CuPy without a GPU: `load()` before CuPy is imported, and its arrays live in the host's memory.

Three things are put in the place of NVIDIA's: the driver and the libraries of products and decompositions (the .cpp
files beside this one), the CUDA runtime that CuPy's extension modules carry inside themselves (its functions jump to
the driver's file), and NVRTC (g++ with device.h). CuPy itself is the wheel, unchanged.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

from libraries import CACHE, COMPILE, HERE, build, folder_of, include_folders, installed

#: What the driver counts, in the order of counts.h.
KINDS = ("kernels", "products", "solves", "cub", "memsets", "to_device", "to_host", "on_device")

#: CuPy's extension modules whose functions are turned to ours: they carry the CUDA runtime, or kernels that no
#: compiler will see again, inside them. Their functions are found by their symbols.
CARRY = ("cupy_backends.cuda.api.runtime", "cupy.cuda.thrust", "cupy.cuda.cub")

BOUNDS = r"(?:__launch_bounds__\([^)]*\)\s*)?"
KERNEL = re.compile(rf"(?<!>)\s__global__\s+{BOUNDS}void\s+{BOUNDS}(\w+)\s*\(")  # after a > comes a template's


#: The driver, once it is in its place.
DRIVER: ctypes.CDLL | None = None


def load() -> None:
    """Build what is not built, put it in the place of NVIDIA's, and import CuPy."""
    global DRIVER
    for lapack in (folder_of("numpy").parent / "numpy.libs").glob("libscipy_openblas*"):
        ctypes.CDLL(str(lapack), mode=ctypes.RTLD_GLOBAL)  # for cusolver.cpp
    libraries = {library.name: ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL) for library in build()}
    DRIVER = driver = libraries["libcuda.so.1"]
    if importlib.util.find_spec("cuda"):  # CuPy 14 lets it search the disk for NVIDIA's libraries; ours are loaded
        handles = {name[3:].split(".")[0]: library._handle for name, library in libraries.items()}
        found = {name: SimpleNamespace(_handle_uint=handle) for name, handle in handles.items()}
        importlib.import_module("cuda.pathfinder").load_nvidia_dynamic_lib = found.get
    ours = dict(symbols(driver._name, "-D")).keys() - {"_init", "_fini"}
    os.environ["CUPY_CACHE_DIR"] = str(prepare())
    for name in CARRY:
        turn(importlib.import_module(name).__file__, driver, ours)
    import cupy
    from cupy.cuda import compiler

    for name in ("_compile_using_nvrtc_no_warning", "compile_using_nvrtc"):  # the first is CuPy 14's, within the second
        if hasattr(compiler, name):
            setattr(compiler, name, compile_for_the_host)
            break
    compiler._preprocess = lambda source, options, arch, backend: ""  # by which it asks NVRTC for more of its version
    cupy.cuda.set_allocator(poisoned(cupy.get_default_memory_pool()))


def counts() -> dict[str, int]:
    """How often what has been asked of the device since the process began."""
    if DRIVER is None:
        raise SystemExit(f"CuPy does not run on the host here: start this with python {HERE / 'run.py'} in front")
    return dict(zip(KINDS, (ctypes.c_long * len(KINDS)).in_dll(DRIVER, "hostcuda_counts"), strict=True))


def prepare() -> Path:
    """The folder of the compiled kernels, which is another for another g++, CuPy or device.h.

    In it lies prelude.h, which every kernel starts with, ready parsed: a kernel then takes a quarter of the time.
    """
    said = subprocess.run(["g++", "--version"], capture_output=True, text=True, check=True).stdout
    headers = [file.read_text() for file in (HERE / "device.h", *sorted(HERE.rglob("*.cuh")))]
    told = repr((said, COMPILE, include_folders(), installed("cupy"), headers))
    folder = CACHE / "kernels" / hashlib.sha256(told.encode()).hexdigest()[:16]
    prelude = folder / "prelude.h"
    if not prelude.with_name("prelude.h.gch").exists():
        folder.mkdir(parents=True, exist_ok=True)
        theirs = [f"cupy/{name}.cuh" for name in ("complex", "carray", "atomics", "float16")]
        there = [name for name in theirs if (folder_of("cupy") / "_core/include" / name).exists()]  # of CuPy 13 not all
        lines = [f'#include "{HERE / "device.h"}"', *(f"#include <{name}>" for name in there)]
        prelude.write_text("\n".join(lines))
        half_made = folder / f"{os.getpid()}.gch"
        subprocess.run([*COMPILE, *include_folders(), "-x", "c++-header", prelude, "-o", half_made], check=True)
        half_made.replace(folder / "prelude.h.gch")
    return folder


def poisoned(pool) -> Callable[[int], object]:
    """An allocator for CuPy: its pool's, but that a block comes all NaN the second time too, as fresh memory does."""

    def allocate(length):
        block = pool.malloc(length)
        if length:
            ctypes.memset(block.ptr, 0xFF, length)
        return block

    return allocate


# The runtime inside CuPy's modules ---------------------------------------------------------------------------------


def symbols(path: str, *which: str) -> Iterator[tuple[str, int]]:
    """(name, address within the library) of a shared library's functions; `which` are nm's words for fewer of them."""
    said = subprocess.run(["nm", "--defined-only", *which, path], capture_output=True, text=True, check=True).stdout
    for line in said.splitlines():
        address, kind, name = line.split(maxsplit=2)
        if kind in "tT":
            yield name.split("@")[0], int(address, 16)


def turn(path: str, driver: ctypes.CDLL, ours: set[str]) -> None:
    """Let each function of the loaded library at `path` that is among `ours` begin with a jump to the driver's."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    base = min(int(line.split("-")[0], 16) for line in maps if line.endswith(path))
    libc = ctypes.CDLL(None)
    libc.mprotect.argtypes = [ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
    page, all_allowed = os.sysconf("SC_PAGE_SIZE"), 7  # PROT_READ | PROT_WRITE | PROT_EXEC
    for name, address in symbols(path):
        if name not in ours:
            continue
        at, target = base + address, ctypes.cast(driver[name], ctypes.c_void_p).value
        if libc.mprotect(at // page * page, 2 * page, all_allowed):
            raise OSError(f"{name} of {path} cannot be written over: this system lets no code be changed")
        ctypes.memmove(at, b"\x48\xb8" + target.to_bytes(8, "little") + b"\xff\xe0", 12)  # mov rax, target; jmp rax


# g++ in NVRTC's place ------------------------------------------------------------------------------------------------


def compile_for_the_host(
    source, options=(), arch=None, filename="", name_expressions=None, log_stream=None, *rest, **more
):
    """(the bytes of a shared library, {name expression: its kernel's name}), where NVRTC gives a cubin.

    The source and its options are kept for compile.py.
    """
    from cupy.cuda.compiler import CompileException

    mapping = {expression: f"expression_{i}" for i, expression in enumerate(name_expressions or ())}
    text = in_g_plus_plus(source)
    kernels = [(name, name) for name in KERNEL.findall(text)] + [(name, kernel) for kernel, name in mapping.items()]
    needs = "NO_INDEX"
    if re.search("threadIdx|blockIdx", text):
        needs = "BARRIERS" if re.search(r"__\w*sync", text) else "INDEX"
    text += "\n" + "".join(launcher(*kernel, needs) for kernel in kernels)
    folder = Path(os.environ["CUPY_CACHE_DIR"])
    digest = hashlib.sha256(repr((source, options, name_expressions)).encode()).hexdigest()[:24]
    kept = {"source": source, "options": options, "names": list(name_expressions or ())}
    (folder / f"{digest}.json").write_text(json.dumps(kept))
    library = folder / f"{digest}-{os.getpid()}.so"
    words = [option for option in options if option.startswith(("-D", "-I"))]
    command = [*COMPILE, *include_folders(), *words, "-include", folder / "prelude.h", "-x", "c++", "-", "-o", library]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    try:
        if done.returncode:
            raise CompileException(done.stderr, text, filename, tuple(map(str, command)), "nvrtc")
        return library.read_bytes(), mapping
    finally:
        library.unlink(missing_ok=True)


def in_g_plus_plus(source: str) -> str:
    """The kernel's source, but for what no macro of device.h can say.

    Shared memory whose size is told at the launch. And CuPy's partition (14.2.0) sorts by the 32 threads of a warp
    without a word on their order, as if they still went in step, which since Volta they need not: here they wait.
    """
    source = re.sub(r"extern\s+__shared__\s+(.+?)\[\]\s*;", r"__shared__ \1[48 << 10];", source)
    return re.sub(r"bitonic_sort_step< T >\([^;]*;", r"__syncwarp(); \g<0> __syncwarp();", source)


def launcher(name: str, kernel: str, needs: str) -> str:
    """What cuModuleGetFunction finds under a kernel's name."""
    body = f"[](void** given) {{ hostcuda::call(&{kernel}, given); }}"
    return (
        f'extern "C" bool hostcuda_launch_{name}(void** arguments, dim3 grid, dim3 block, unsigned) {{\n'
        f"  return hostcuda::run({body}, arguments, grid, block, hostcuda::{needs});\n}}\n"
    )
