"""What the first bytes of a plan tell, without TensorRT."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from ladle_rt.cuda.tensorrt_edition import TensorRtEdition, same_version
from ladle_rt.errors import BackendError, InputError, InputNotFoundError

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
    return _parsed(start, str(path))


def require_writer(plan: bytes, edition: TensorRtEdition, version: str, name: str = "plan") -> None:
    """Refuse a plan that this TensorRT did not write, before it is asked to load it.

    TensorRT itself says no more than that deserialising failed, or a code; a plan of the other
    edition is rejected by its tag alone.

    Args:
        plan: its bytes, or its first ones.
        edition: who is to load it.
        version: likewise.
        name: what to call the plan.

    Raises:
        BackendError: not a plan, or one of another edition or version.
    """
    try:
        found = _parsed(plan[:_LENGTH], name)
    except InputError as error:
        raise BackendError(str(error)) from error
    if found.edition != edition or not same_version(found.version, version):
        raise BackendError(
            f"{name}: expected a plan of {edition} {version}, which is installed, received one of "
            f"{found.edition} {found.version}, which alone can load it; build it again with "
            "`ladle-rt build-engine`"
        )


def _parsed(start: bytes, path: str) -> PlanHeader:
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
