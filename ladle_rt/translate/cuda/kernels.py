"""The frame kernels, four ``.cu`` files that are one source, compiled for the GPU at hand.

They are compiled on the machine that runs them, by NVRTC or nvcc, and kept: see
`ladle_rt.cuda.compile`. No compiled kernels ship with the package: those of one architecture are
0.6 MB, 0.2 MB compressed, there are eight architectures, and a driver takes none of a later CUDA
than its own, so that two sets would be needed. Compiling takes seconds, once.
"""

from __future__ import annotations

from importlib import resources

from ladle_rt.cuda.compile import cubin
from ladle_rt.cuda.probe import cuda_devices

PARTS = ("common", "before", "steady", "after")
"""Each needs those before it."""


def kernel_source() -> str:
    """The text of all parts; compilers name the part and its line."""
    folder = resources.files(__package__)
    texts = [(folder / f"{part}.cu").read_text(encoding="utf-8") for part in PARTS]
    return "".join(f'#line 1 "{part}.cu"\n{text}' for part, text in zip(PARTS, texts, strict=True))


def frame_cubin(capability: tuple[int, int]) -> bytes:
    """The kernels for a compute capability and the driver of this machine.

    Raises:
        BackendError: see `ladle_rt.cuda.compile.cubin`.
    """
    devices = cuda_devices()
    return cubin(kernel_source(), capability, devices[0].driver_major if devices else None)
