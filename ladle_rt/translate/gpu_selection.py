"""Which of several GPUs this process uses; chosen before anything of CUDA starts.

CUDA itself selects, by ``CUDA_VISIBLE_DEVICES``: so the driver, TensorRT, torch and the processes
that are started from here all see the chosen one alone, as their first.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys

from ladle_rt.errors import ConfigError

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_NOT_INITIALIZED = 3
"""CUDA_ERROR_NOT_INITIALIZED of cuda.h."""
_selected: str | None = None


def select_gpu(wanted: str) -> None:
    """Let this process use one GPU; a second call may only repeat the first.

    Args:
        wanted: a number as ``nvidia-smi -L`` counts, or, where ``CUDA_VISIBLE_DEVICES`` is set,
            a place in it; or a UUID, such as ``GPU-8932f937`` or ``MIG-...``.

    Raises:
        ConfigError: not such a name, or CUDA runs in this process already.
    """
    global _selected
    if wanted == _selected:
        return
    if _selected is not None or _cuda_started():
        used = "CUDA" if _selected is None else f"GPU {_selected}"
        raise ConfigError(
            f"gpu {wanted}: this process already uses {used}; start another process for it"
        )
    chosen = _resolved(wanted, os.environ.get(_VISIBLE))
    if _VISIBLE not in os.environ:
        # Numbers as nvidia-smi has them; by default CUDA counts from the fastest card.
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    os.environ[_VISIBLE] = chosen
    _selected = wanted


def _resolved(wanted: str, visible: str | None) -> str:
    if re.fullmatch(r"(GPU|MIG)-[\w/-]+", wanted):
        return wanted
    if not wanted.isdecimal():
        raise ConfigError(
            f"gpu: expected a number or a UUID as `nvidia-smi -L` prints them, received {wanted!r}"
        )
    if visible is None:
        return wanted
    names = [name.strip() for name in visible.split(",") if name.strip()]
    if int(wanted) >= len(names):
        raise ConfigError(
            f"gpu {wanted}: {_VISIBLE} shows {len(names)} ({visible or 'none'}), counted from 0"
        )
    return names[int(wanted)]


def _cuda_started() -> bool:
    """Whether somebody in this process has initialised the driver, which then no longer looks."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int()
    return bool(driver.cuDeviceGetCount(ctypes.byref(count)) != _NOT_INITIALIZED)
