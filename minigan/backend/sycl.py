"""Intel's GPUs: dpnp's row of the table of libraries. Nothing else imports dpnp."""

from __future__ import annotations

from functools import cache
from types import ModuleType

from minigan.backend.arrays import Library, register_library


@cache
def import_dpnp() -> ModuleType:
    import dpnp  # pyright: ignore[reportMissingImports]

    return dpnp


def sycl_device(dpnp: ModuleType) -> str:
    """The device's name and memory, and whose runtime it is reached by."""
    device = dpnp.empty(0).sycl_device
    return f"{device.name}, {device.global_mem_size / 2**30:.1f} GiB, {device.backend.name} {device.driver_version}"


def what_ails_dpnp(error: Exception) -> str:
    """Why dpnp does not work, and the remedy, where its error does not say so."""
    if isinstance(error, ImportError) and error.name == "dpnp":
        return "dpnp is not installed; pip install dpnp"
    if type(error).__name__ != "SyclDeviceCreationError":  # "Default device is unavailable."
        return ""
    return "dpnp finds no device; install the driver of an Intel GPU, with which python -m dpctl -f lists it"


DPNP = Library(
    name="dpnp",
    device="dpnp",
    array="dpnp.dpnp_array",
    load=import_dpnp,
    as_strided=lambda dpnp, x, shape, strides: dpnp.ndarray(shape, dtype=x.dtype, buffer=x, strides=strides),
    synchronize=lambda _, array: array.sycl_queue.wait(),
    describe=sycl_device,
    explain=what_ails_dpnp,
)
register_library(DPNP)
