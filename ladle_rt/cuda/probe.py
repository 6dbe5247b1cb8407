"""Is there a GPU to use, and if not, why not. Safe where nothing of CUDA is installed.

Asks the driver itself, by ctypes: a Runtime of TensorRT crashes the process where there is no
driver, pycuda and Torch-TensorRT do not import, and no wheel of CUDA needs to be installed to know.
"""

from __future__ import annotations

import ctypes
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ladle_rt.errors import BackendError

WITHOUT = "install NVIDIA's driver, or leave --backend at auto to translate on the CPU"
DEVICE_FILES = Path("/dev")
"""Where Linux shows the GPUs as ``nvidia0``, ``nvidia1``, ..."""
NEEDED_FILES = ("nvidia[0-9]*", "nvidiactl", "nvidia-uvm", "nvmap", "nvhost-gpu")
"""What the driver opens, on a card and on a Jetson."""

_MAJOR, _MINOR, _INTEGRATED = 75, 76, 18
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR and _INTEGRATED of cuda.h."""


@dataclass(frozen=True, slots=True)
class CudaDevice:
    """An NVIDIA GPU as its driver describes it."""

    name: str
    compute_capability: tuple[int, int]
    driver_version: str
    """The newest CUDA version that the driver serves, for example "13.1"."""
    integrated: bool = False
    """Whether it works in the CPU's memory, as a Jetson's does, and has none of its own."""

    @property
    def sm(self) -> str:
        """Architecture as compilers write it, for example ``sm_87``."""
        return "sm_{}{}".format(*self.compute_capability)

    @property
    def driver_major(self) -> int:
        """Major part of ``driver_version``: no library of a later one runs on this driver."""
        return int(self.driver_version.partition(".")[0])


class CudaUnavailableError(Exception):
    """Why there is no GPU to use; the message is a clause, for example "no CUDA driver"."""


class NoCudaDriverError(CudaUnavailableError):
    """Nobody has ever meant to use a GPU here: no news to those who translate on the CPU."""


def cuda_devices() -> tuple[CudaDevice, ...]:
    """`probe_cuda`, or nothing where there is no GPU to use."""
    try:
        return probe_cuda()
    except CudaUnavailableError:
        return ()


def probe_cuda() -> tuple[CudaDevice, ...]:
    """The GPUs that the driver shows. Makes no context and takes no memory.

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
            raise CudaUnavailableError(
                f"the CUDA driver answered {reason} ({status}) to {name}{_forbidden()}"
            )

    call("cuInit", 0)
    count, version = ctypes.c_int(), ctypes.c_int()
    call("cuDeviceGetCount", ctypes.byref(count))
    call("cuDriverGetVersion", ctypes.byref(version))
    devices = []
    for index in range(count.value):
        name = ctypes.create_string_buffer(256)
        device = ctypes.c_int()
        major, minor, integrated = (ctypes.c_int() for _ in range(3))
        call("cuDeviceGet", ctypes.byref(device), index)
        call("cuDeviceGetName", name, len(name), device)
        wanted = ((major, _MAJOR), (minor, _MINOR), (integrated, _INTEGRATED))
        for answer, attribute in wanted:
            call("cuDeviceGetAttribute", ctypes.byref(answer), attribute, device)
        devices.append(
            CudaDevice(
                name.value.decode(errors="replace"),
                (major.value, minor.value),
                f"{version.value // 1000}.{version.value % 1000 // 10}",
                bool(integrated.value),
            )
        )
    return tuple(devices)


def find_gpu(index: int = 0) -> CudaDevice:
    """A GPU of this machine; to be asked before any object of TensorRT or pycuda is made.

    Args:
        index: which of the GPUs that the driver shows.

    Raises:
        BackendError: no driver, a driver that does not start, or no such GPU; with the reason.
    """
    try:
        devices = probe_cuda()
    except CudaUnavailableError as error:
        raise BackendError(f"no GPU to translate on: {error}; {WITHOUT}") from None
    if not devices:
        raise BackendError(
            "no GPU to translate on: the CUDA driver shows none "
            f"(CUDA_VISIBLE_DEVICES may hide it); {WITHOUT}"
        )
    if not 0 <= index < len(devices):
        raise BackendError(
            f"expected a GPU number from 0 to {len(devices) - 1}, received {index}; "
            "choose one of them"
        )
    return devices[index]


def gpu_facts(device: CudaDevice) -> dict[str, Any]:
    """A GPU as a plan's manifest names it; a plan of TensorRT proper is tied to all three."""
    major, minor = device.compute_capability
    return {
        "name": device.name,
        "compute_capability": f"{major}.{minor}",
        "cuda": device.driver_version,
    }


def target_of(device: CudaDevice) -> str:
    """Its compute capability as ``--target`` takes it: ``sm89``."""
    return "sm{}{}".format(*device.compute_capability)


def _forbidden() -> str:
    """Device files that this user may not open, as a clause."""
    files = sorted(path for pattern in NEEDED_FILES for path in DEVICE_FILES.glob(pattern))
    closed = [str(path) for path in files if not os.access(path, os.R_OK | os.W_OK)]
    if not closed:
        return ""
    return f": this user may not open {', '.join(closed)} (see their group, and usermod -aG)"
