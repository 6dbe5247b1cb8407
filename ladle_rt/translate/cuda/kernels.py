"""The frame kernels, four ``.cu`` files that are one source, compiled for the GPU at hand.

For cards in the folder ``cubins`` they ship compiled, 75 kB each; for others they are compiled on
the machine that runs them, by NVRTC or nvcc, and kept: see `ladle_rt.cuda.compile`. What ships was
made by CUDA 12, so that every driver from 12 on loads it, by
``benchmarks/kernel_cubins.py --ship``, and goes by a hash of the source, so that none of another
source is ever loaded.
"""

from __future__ import annotations

import hashlib
import lzma
from importlib import resources

from ladle_rt.cuda.compile import OLDEST_CUDA, cubin, find_compiler
from ladle_rt.cuda.probe import CudaDevice, cuda_devices
from ladle_rt.errors import BackendError

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
    driver_major = devices[0].driver_major if devices else None
    source = kernel_source()
    if driver_major is None or driver_major >= OLDEST_CUDA:
        carried = shipped_cubin(source, f"sm_{capability[0]}{capability[1]}")
        if carried is not None:
            return carried
    return cubin(source, capability, driver_major)


def check_compiler(device: CudaDevice | None) -> str:
    """Who compiles the kernels for a GPU, in words.

    Args:
        device: the GPU; ``None``: any.

    Raises:
        BackendError: they have to be compiled, and nobody here can.
    """
    try:
        return find_compiler(device.driver_major if device else None).name
    except BackendError:
        if device is None or device.driver_major < OLDEST_CUDA:
            raise
        if shipped_cubin(kernel_source(), device.sm) is None:
            raise
        return f"none needed, the kernels for {device.sm} come compiled"


def shipped_cubin(source: str, architecture: str) -> bytes | None:
    """What the package carries of a source; ``None`` where that is nothing."""
    path = resources.files(__package__) / "cubins" / shipped_name(source, architecture)
    return lzma.decompress(path.read_bytes()) if path.is_file() else None


def shipped_name(source: str, architecture: str) -> str:
    """Of the file that holds a source's kernels for an architecture."""
    return f"{architecture}-{hashlib.sha256(source.encode()).hexdigest()[:16]}.cubin.xz"
