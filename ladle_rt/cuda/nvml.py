"""What NVIDIA's management library knows beside the driver: its release, MIG, who else is there.

Optional: without the package or the library nothing is known, and nothing fails. It counts GPUs
as ``nvidia-smi -L`` does, and makes no context.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

BUSY_PERCENT = 5
"""Share of the last moment in which others computed, from which on times say little."""


def busy_gpu() -> str:
    """Who keeps the GPU busy, as a clause; empty where nobody does, or nobody can tell.

    To be asked before this process computes there itself.
    """
    opened = open_nvml()
    if opened is None:
        return ""
    library, gpu = opened
    try:
        percent = library.nvmlDeviceGetUtilizationRates(gpu).gpu
        if percent < BUSY_PERCENT:
            return ""
        processes = library.nvmlDeviceGetComputeRunningProcesses(gpu)
    except library.NVMLError:
        return ""
    others = sorted(str(one.pid) for one in processes if one.pid != os.getpid())
    named = f" (processes {', '.join(others)})" if others else ""
    return f"others use {percent} % of the GPU{named}"


def driver_release() -> str:
    """The installed driver, for example "580.65.06"; empty where nobody can tell."""
    opened = open_nvml()
    if opened is None:
        return ""
    library, _ = opened
    try:
        return _text(library.nvmlSystemGetDriverVersion())
    except library.NVMLError:
        return ""


def mig_slices() -> tuple[str, ...]:
    """UUIDs of the MIG slices of the GPU that this process may use; none where MIG is off."""
    opened = open_nvml()
    if opened is None:
        return ()
    library, gpu = opened
    try:
        if library.nvmlDeviceGetMigMode(gpu)[0] != library.NVML_DEVICE_MIG_ENABLE:
            return ()
        most = library.nvmlDeviceGetMaxMigDeviceCount(gpu)
    except library.NVMLError:
        return ()
    found = []
    for index in range(most):
        try:
            one = library.nvmlDeviceGetMigDeviceHandleByIndex(gpu, index)
            found.append(_text(library.nvmlDeviceGetUUID(one)))
        except library.NVMLError:
            # A place without a slice.
            continue
    return tuple(found)


def open_nvml() -> tuple[Any, Any] | None:
    """``pynvml``, initialised, and its handle of the first GPU that this process may use."""
    try:
        library: Any = importlib.import_module("pynvml")
    except ImportError:
        return None
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0].strip()
    try:
        library.nvmlInit()
        if first.startswith(("GPU-", "MIG-")):
            return library, library.nvmlDeviceGetHandleByUUID(first)
        return library, library.nvmlDeviceGetHandleByIndex(int(first) if first.isdecimal() else 0)
    except library.NVMLError:
        return None


def _text(value: Any) -> str:
    """Older releases of the package give bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)
