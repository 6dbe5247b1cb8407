"""The frame kernels, four ``.cu`` files that are one source, compiled for the GPU at hand.

For the cards in `SHIPPED` they come compiled, in the folder ``cubins``, each under a hash of the
source: what is of another source has another name and is never loaded. For other cards, and after
a change of the source, NVRTC or nvcc compiles them on the machine that runs them, once: see
`ladle_rt.cuda.compile`. ``benchmarks/kernel_cubins.py --ship`` renews the folder.
"""

from __future__ import annotations

import logging
import lzma
from fractions import Fraction
from importlib import resources

from ladle_rt.cuda.compile import cubin, digest, find_compiler
from ladle_rt.cuda.probe import CudaDevice, cuda_devices
from ladle_rt.thermal.normalization import LevelTracker
from ladle_rt.translate import detail, steady

logger = logging.getLogger("ladle_rt")

SHIPPED = {f"sm_{name}": 12 for name in (75, 80, 86, 87, 89, 90, 120)} | {"sm_110": 13}
"""Cards, and the major version of the CUDA that compiles for them: the oldest that is served and
knows the card, as a driver loads no kernels of a later one."""
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
    carried = _carried(f"sm_{capability[0]}{capability[1]}", driver_major)
    return carried or cubin(kernel_source(), capability, driver_major)


def check_compiler(device: CudaDevice | None) -> str:
    """Who compiles the kernels for a GPU, in words.

    Args:
        device: the GPU; ``None``: any.

    Raises:
        BackendError: they have to be compiled, and nobody here can.
    """
    if device is None:
        return find_compiler().name
    if _carried(device.sm, device.driver_major):
        return f"none needed, the kernels for {device.sm} come compiled"
    return find_compiler(device.driver_major).name


def shipped_cubin(source: str, architecture: str) -> bytes | None:
    """What the package carries of a source; ``None`` where that is nothing, or damaged."""
    path = resources.files(__package__) / "cubins" / shipped_name(source, architecture)
    if not path.is_file():
        return None
    try:
        return lzma.decompress(path.read_bytes())
    except (OSError, lzma.LZMAError) as error:
        logger.warning("%s is damaged (%s): the kernels are compiled here", path.name, error)
        return None


def shipped_name(source: str, architecture: str) -> str:
    """Of the file that holds a source's kernels for an architecture."""
    return f"{architecture}-{digest(source)}.cubin.xz"


def _carried(architecture: str, driver_major: int | None) -> bytes | None:
    made_by = SHIPPED.get(architecture)
    if made_by is None or (driver_major is not None and driver_major < made_by):
        return None
    return shipped_cubin(kernel_source(), architecture)
