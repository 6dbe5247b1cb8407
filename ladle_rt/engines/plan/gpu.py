"""The GPUs of this machine as plans know them."""

from __future__ import annotations

from typing import Any

from ladle_rt.device import CudaDevice


def gpu_facts(device: CudaDevice) -> dict[str, Any]:
    """A GPU as a manifest names it; a plan of TensorRT proper is tied to all three."""
    major, minor = device.compute_capability
    return {
        "name": device.name,
        "compute_capability": f"{major}.{minor}",
        "cuda": device.driver_version,
    }


def target_of(device: CudaDevice) -> str:
    """Its compute capability as ``--target`` takes it: ``sm89``."""
    return "sm{}{}".format(*device.compute_capability)
