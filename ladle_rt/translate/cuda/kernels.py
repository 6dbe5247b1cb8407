"""The frame kernels, four ``.cu`` files that are one source, compiled for the GPU at hand.

For cards in the folder ``cubins`` they ship compiled, 78 kB for sm_86; none does yet. For others
they are compiled on the machine that runs them, by NVRTC or nvcc, and kept: see
`ladle_rt.cuda.compile`.
What ships is made by CUDA 12, so that every driver from 12 on loads it, by
``benchmarks/kernel_cubins.py --ship``, and goes by a hash of the source, so that none of another
source is ever loaded.
"""

from __future__ import annotations

import hashlib
import lzma
from fractions import Fraction
from importlib import resources

from ladle_rt.cuda.compile import OLDEST_CUDA, cubin, find_compiler
from ladle_rt.cuda.probe import CudaDevice, cuda_devices
from ladle_rt.errors import BackendError
from ladle_rt.thermal.normalization import LevelTracker
from ladle_rt.translate import detail, steady

PARTS = ("common", "before", "steady", "after")
"""Each needs those before it."""
_CUT = Fraction(str(steady.CUT_SHARE))
SHARED: dict[str, int | float] = {
    "CUT_OVERLAP": LevelTracker.CUT_OVERLAP,
    "STILL": steady.STILL,
    "NOISE_FACTOR": steady.NOISE_FACTOR,
    "REACH": steady.MARGIN // 2,
    "REFERENCE_RATE": steady.REFERENCE_RATE,
    # More than CUT_OVER of CUT_UNDER gate pixels moving are another scene.
    "CUT_OVER": _CUT.numerator,
    "CUT_UNDER": _CUT.denominator,
    "RADIUS": detail.RADIUS,
    "EPSILON": detail.EPSILON,
    "MAX_SLOPE": detail.MAX_SLOPE,
}
"""What the CPU path and the kernels have to agree on; the kernels are compiled with it."""


def kernel_source() -> str:
    """The text of all parts behind `SHARED`; compilers name the part and its line."""
    folder = resources.files(__package__)
    texts = [(folder / f"{part}.cu").read_text(encoding="utf-8") for part in PARTS]
    constants = "".join(map(_constant, SHARED, SHARED.values()))
    return constants + "".join(
        f'#line 1 "{part}.cu"\n{text}' for part, text in zip(PARTS, texts, strict=True)
    )


def _constant(name: str, value: int | float) -> str:
    # repr is the shortest text that reads as the same number.
    kind, suffix = ("int", "") if isinstance(value, int) else ("float", "f")
    return f"constexpr {kind} {name} = {value!r}{suffix};\n"


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
