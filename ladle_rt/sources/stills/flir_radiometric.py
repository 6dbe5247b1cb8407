"""Raw counts in FLIR's files: radiometric JPEG, FFF and SEQ.

The layout is the one that ExifTool documents (FLIR.pm, "FLIR FFF tags"): a header, a directory of
32 bytes a record, and a record of type 1 with width, height and either 16-bit words or a PNG. In a
PNG the words may be byte-swapped, in either the byte order is the camera's: the smoother of the
two readings is the picture.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.errors import InputError
from ladle_rt.sources.stills import flir_calibration
from ladle_rt.temperature import PlanckScale

MAGIC = (b"FFF\0", b"AFF\0")
HEADER_BYTES = 64
ENTRY_BYTES = 32
RAW_RECORD = 1
RAW_HEADER_BYTES = 32
MOST_RECORDS = 1000
PNG = b"\x89PNG"
JPEG_LS = b"\xff\xd8\xff\xf7"
JPEG_MARK = b"FLIR\0"

Counts = npt.NDArray[np.uint16]


def embedded_fff(jpeg: bytes) -> bytes | None:
    """The FFF part of a radiometric JPEG, from its APP1 segments; ``None`` if it has none."""
    parts: dict[int, bytes] = {}
    place = 2
    while place + 4 <= len(jpeg) and jpeg[place] == 0xFF and jpeg[place + 1] not in (0xDA, 0xD9):
        size = int.from_bytes(jpeg[place + 2 : place + 4], "big")
        segment = jpeg[place + 4 : place + 2 + size]
        if jpeg[place + 1] == 0xE1 and segment.startswith(JPEG_MARK) and len(segment) > 8:
            parts[segment[6]] = segment[8:]
        place += 2 + max(size, 2)
    return b"".join(parts[number] for number in sorted(parts)) or None


def fff_frames(data: bytes | mmap.mmap, name: str) -> Iterator[tuple[Counts, PlanckScale | None]]:
    """Every frame of an FFF file, or of several one after another (SEQ).

    Args:
        data: the file, or a map of it.
        name: what to call it in messages.

    Yields:
        HxW counts as the camera measured them, owned by the caller, and their degrees where the
        file says what is needed.

    Raises:
        InputError: cut off, without raw data, or of a compression that is not read (CSQ).
    """
    place = 0
    while 0 <= place < len(data):
        counts, scale, end = _frame(data, place, name)
        yield counts, scale
        starts = [at for magic in MAGIC if (at := data.find(magic, end)) >= 0]
        place = min(starts, default=-1)


def _frame(
    data: bytes | mmap.mmap, place: int, name: str
) -> tuple[Counts, PlanckScale | None, int]:
    """The raw frame of one FFF block, its degrees, and where the block ends."""
    header = data[place : place + HEADER_BYTES]
    if len(header) < HEADER_BYTES or header[:4] not in MAGIC:
        raise InputError(f"{name}: expected a FLIR FFF file, received another or a damaged one")
    order = _byte_order(header)
    if order is None:
        raise InputError(f"{name}: a FLIR FFF file of an unknown version; export it as 16-bit TIFF")
    start, records = struct.unpack_from(order + "II", header, 24)
    raw, scale, end = None, None, place + HEADER_BYTES
    for number in range(min(records, MOST_RECORDS)):
        at = place + start + number * ENTRY_BYTES
        if at + ENTRY_BYTES > len(data):
            break
        (kind,) = struct.unpack_from(order + "H", data, at)
        offset, length = struct.unpack_from(order + "II", data, at + 12)
        if kind and place + offset + length <= len(data):
            end = max(end, place + offset + length)
            if kind == RAW_RECORD and raw is None:
                raw = data[place + offset : place + offset + length]
            elif kind == flir_calibration.RECORD and scale is None:
                camera = data[place + offset : place + offset + length]
                # Its byte order is its own, and only one of the two makes sense.
                scales = (flir_calibration.planck_scale(camera, one) for one in "<>")
                scale = next((one for one in scales if one is not None), None)
    if raw is None or len(raw) < RAW_HEADER_BYTES:
        raise InputError(f"{name}: a FLIR file without whole raw thermal data; it may be cut off")
    return _counts(raw, name), scale, end


def _byte_order(header: bytes) -> str | None:
    """By the version, which is between 100 and 200."""
    for order in "><":
        (version,) = struct.unpack_from(order + "I", header, 20)
        if 100 <= version < 200:
            return order
    return None


def _counts(raw: bytes, name: str) -> Counts:
    order = "<" if raw[0] == 2 else ">"
    width, height = struct.unpack_from(order + "HH", raw, 2)
    body = raw[RAW_HEADER_BYTES:]
    if body.startswith(JPEG_LS):
        raise InputError(
            f"{name}: FLIR CSQ (JPEG-LS) is not read; export it as SEQ or 16-bit TIFF in FLIR's "
            "own program"
        )
    if body.startswith(PNG):
        try:
            image: Any = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:
            image = None
        if image is None or image.dtype != np.uint16 or image.ndim != 2:
            raise InputError(f"{name}: FLIR raw data that is no 16-bit PNG; it may be damaged")
        words: Counts = image
    else:
        size = width * height
        if not size or len(body) < 2 * size:
            raise InputError(
                f"{name}: expected {width}x{height} counts of FLIR raw data, received "
                f"{len(body)} bytes"
            )
        words = np.frombuffer(body, order + "u2", size).reshape(height, width).astype(np.uint16)
    swapped = words.byteswap()
    return words if _roughness(words) <= _roughness(swapped) else swapped


def _roughness(words: Counts) -> float:
    """Steps between neighbours, against the spread: a wrong byte order makes noise."""
    values = words.astype(np.float64)
    step = np.abs(np.diff(values, axis=1)).mean() if words.shape[1] > 1 else 0.0
    return float(step / (np.abs(values - np.median(values)).mean() + 1e-9))
