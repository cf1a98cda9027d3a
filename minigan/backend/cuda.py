"""NVIDIA's GPUs: CuPy's row of the table of libraries, and what its errors mean. Nothing else imports CuPy."""

from __future__ import annotations

from functools import cache
from types import ModuleType

from minigan.backend.arrays import Library, register_library
from minigan.backend.kernels import by_kernel

WHEELS = ("cupy-cuda12x", "cupy-cuda13x", "cupy")  # the names under which CuPy is installed


@cache
def import_cupy() -> ModuleType:
    import cupy  # pyright: ignore[reportMissingImports]

    return cupy


def wheels() -> dict[str, str]:
    """{name: version} of the installed packages that hold CuPy: one, or it is in a bad way."""
    from importlib import metadata  # it imports half of the network's modules

    found = {}
    for name in WHEELS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def overlaid() -> str:
    """The line for two packages that hold CuPy, whose files have the same names; an empty string for one or none."""
    found = wheels()
    if len(found) < 2:
        return ""
    names = " and ".join(f"{name} {version}" for name, version in found.items())
    return (  # not "remove one": that takes the other's files away too
        f"{names} have overwritten each other's files; pip uninstall {' '.join(found)}, then install the one that "
        "your driver is for"
    )


def nvidia_gpu(cupy: ModuleType) -> str:
    """The GPU's name, its free and its whole memory, and CUDA's version."""
    runtime = cupy.cuda.runtime
    name, (free, total) = runtime.getDeviceProperties(0)["name"].decode(), runtime.memGetInfo()
    return f"{name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free, CUDA {release(runtime.runtimeGetVersion())}"


def release(version: int) -> str:
    """12040 is 12.4."""
    return f"{version // 1000}.{version % 1000 // 10}"


def what_ails_cupy(error: Exception) -> str:
    """Why CuPy does not work, and the remedy, where its error does not say so."""
    if line := overlaid():
        return line
    if isinstance(error, ImportError) and error.name == "cupy" and (found := wheels()):
        return f"CuPy's files are gone; pip install --force-reinstall {' '.join(found)}"  # as after that removal of one
    if "cudaErrorInsufficientDriver" not in str(error):
        return ""
    runtime = import_cupy().cuda.runtime
    driver, needed = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    if not driver:
        return "CuPy finds no NVIDIA driver; install one for your GPU, with which nvidia-smi lists it"
    older = ", or have cupy-cuda12x in the place of cupy-cuda13x" if driver // 1000 == 12 < needed // 1000 else ""
    return (
        f"the NVIDIA driver is too old: it knows CUDA {release(driver)} and CuPy was built with {release(needed)}; "
        f"update it{older}"
    )


CUPY = Library(
    name="CuPy",
    device="gpu",
    array="cupy.ndarray",
    load=import_cupy,
    fuse=by_kernel,
    synchronize=lambda cupy, _: cupy.cuda.get_current_stream().synchronize(),
    free=lambda cupy: cupy.get_default_memory_pool().free_all_blocks(),
    describe=nvidia_gpu,
    explain=what_ails_cupy,
)
register_library(CUPY)
