"""What the first bytes of a plan tell, without TensorRT."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from ladle_rt.cuda.tensorrt_edition import TensorRtEdition
from ladle_rt.errors import InputError, InputNotFoundError

_EDITIONS: dict[int, TensorRtEdition] = {0x74727466: "tensorrt", 0x74727476: "tensorrt-rtx"}
_LENGTH = 28
"""Bytes that must be there: tag (uint32, little endian) at 0, the version's parts at 24 to 27."""


@dataclass(frozen=True, slots=True)
class PlanHeader:
    """Who wrote a plan; nobody else can load it."""

    edition: TensorRtEdition
    version: str
    """Four parts."""


def read_header(path: Path) -> PlanHeader:
    """Read a plan's edition and version.

    Raises:
        InputNotFoundError: no such file.
        InputError: unreadable, too short or not a plan.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(_LENGTH)
    except FileNotFoundError as error:
        raise InputNotFoundError(f"{path}: expected a TensorRT plan, found no such file") from error
    except OSError as error:
        raise InputError(f"{path}: expected a TensorRT plan, received {error}") from error
    if len(start) < _LENGTH:
        raise InputError(
            f"{path}: expected a TensorRT plan, received {len(start)} bytes; build it again"
        )
    (tag,) = struct.unpack_from("<I", start)
    if tag not in _EDITIONS:
        raise InputError(
            f"{path}: expected a TensorRT plan, received a file that starts with "
            f"{start[:4].hex()}; make one with `ladle-rt build-engine`"
        )
    return PlanHeader(_EDITIONS[tag], ".".join(str(part) for part in start[24:28]))
