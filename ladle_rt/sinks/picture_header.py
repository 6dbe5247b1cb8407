"""How one raw picture is described to other programs, in pipes and shared memory alike."""

from __future__ import annotations

import struct

from ladle_rt.frames import TranslatedFrame

HEADER = struct.Struct("<4sHHIIIIqqq")
"""48 bytes, little-endian: ``LRT1``, bytes of this header, pixel format (0: I420, planes Y, U, V,
BT.709 limited range), width, height, bytes of pixels, 0, sequence, capture time (monotonic ns),
presentation time (ns)."""
MAGIC = b"LRT1"


def describe(translated: TranslatedFrame) -> bytes:
    """The header of one picture."""
    picture, frame = translated.picture, translated.frame
    return HEADER.pack(
        MAGIC,
        HEADER.size,
        0,
        picture.width,
        picture.height,
        picture.data.nbytes,
        0,
        frame.sequence,
        frame.timestamp_ns,
        round(frame.time_s * 1e9),
    )
