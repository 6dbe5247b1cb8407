"""What this machine offers."""

from __future__ import annotations

import ctypes
import os
import sys
from dataclasses import dataclass


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class CudaDevice:
    """An NVIDIA GPU as its driver describes it."""

    name: str
    compute_capability: tuple[int, int]
    driver_version: str
    """The newest CUDA version that the driver serves, for example "13.1"."""

    @property
    def sm(self) -> str:
        """Architecture as compilers write it, for example ``sm_87``."""
        return "sm_{}{}".format(*self.compute_capability)


class CudaUnavailableError(Exception):
    """Why there is no GPU to use; the message is a clause, for example "no CUDA driver"."""


class NoCudaDriverError(CudaUnavailableError):
    """Nobody has ever meant to use a GPU here: no news to those who translate on the CPU."""


_MAJOR, _MINOR = 75, 76
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR of cuda.h."""


def cuda_devices() -> tuple[CudaDevice, ...]:
    """`probe_cuda`, or nothing where there is no GPU to use."""
    try:
        return probe_cuda()
    except CudaUnavailableError:
        return ()


def probe_cuda() -> tuple[CudaDevice, ...]:
    """GPUs by the CUDA driver itself, without any library that could crash without one.

    Makes no context and takes no memory.

    Raises:
        CudaUnavailableError: no driver, or one that does not start.
    """
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        raise NoCudaDriverError("no CUDA driver (libcuda) is installed") from None

    def call(name: str, *arguments: object) -> None:
        status = getattr(driver, name)(*arguments)
        if status:
            text = ctypes.c_char_p()
            driver.cuGetErrorName(status, ctypes.byref(text))
            reason = (text.value or b"unknown").decode()
            raise CudaUnavailableError(f"the CUDA driver answered {reason} ({status}) to {name}")

    call("cuInit", 0)
    count, version = ctypes.c_int(), ctypes.c_int()
    call("cuDeviceGetCount", ctypes.byref(count))
    call("cuDriverGetVersion", ctypes.byref(version))
    devices = []
    for index in range(count.value):
        name = ctypes.create_string_buffer(256)
        device = ctypes.c_int()
        capability = (ctypes.c_int(), ctypes.c_int())
        call("cuDeviceGet", ctypes.byref(device), index)
        call("cuDeviceGetName", name, len(name), device)
        for part, attribute in zip(capability, (_MAJOR, _MINOR), strict=True):
            call("cuDeviceGetAttribute", ctypes.byref(part), attribute, device)
        devices.append(
            CudaDevice(
                name.value.decode(errors="replace"),
                (capability[0].value, capability[1].value),
                f"{version.value // 1000}.{version.value % 1000 // 10}",
            )
        )
    return tuple(devices)
