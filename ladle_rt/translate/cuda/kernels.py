"""The frame kernels, ``kernels.cu``, compiled for the GPU at hand."""

from __future__ import annotations

from importlib import resources

from ladle_rt.cuda.compile import cubin
from ladle_rt.cuda.probe import cuda_devices


def kernel_source() -> str:
    """The text of ``kernels.cu``."""
    return (resources.files(__package__) / "kernels.cu").read_text(encoding="utf-8")


def frame_cubin(capability: tuple[int, int]) -> bytes:
    """The kernels for a compute capability and the driver of this machine.

    Raises:
        BackendError: see `ladle_rt.cuda.compile.cubin`.
    """
    devices = cuda_devices()
    return cubin(kernel_source(), capability, devices[0].driver_major if devices else None)
