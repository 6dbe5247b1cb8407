"""The raw recording, ``.lrec``: thermal frames as captured, bit by bit, with all their times.

A file is `MAGIC`, then one record per frame: `HEADER` (little-endian) and the pixels as PNG,
whose own checksums guard them. Own, because no common container keeps nanosecond capture times,
sequence gaps and changing sizes beside 16-bit pixels. What counts are in degrees is text inside
the PNG. A file that was cut off anywhere is
readable up to its last whole frame.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, BinaryIO

import cv2
import numpy as np

from ladle_rt.errors import InputError
from ladle_rt.frames import Frame
from ladle_rt.recording.temperatures import temperatures_of, with_temperatures

MAGIC = b"ladle-rt recording 1\n"
HEADER = struct.Struct("<4sqqqqqBI")
"""``FRAM``, sequence, capture time (monotonic ns), pts, time base numerator and denominator
(0 and 0 where the frame has none), 1 if it has a pts, bytes of PNG that follow."""
MARK = b"FRAM"
FAST = [cv2.IMWRITE_PNG_COMPRESSION, 1]


class CutOffError(Exception):
    """The file ends within a frame, or is damaged from here on."""


def frame_record(frame: Frame) -> bytes:
    """One frame as it lies in the file.

    Args:
        frame: HxW, uint8 or uint16.
    """
    counts = frame.pixels if frame.counts is None else frame.counts
    encoded, array = cv2.imencode(".png", counts, FAST)
    assert encoded
    png = with_temperatures(array.tobytes(), frame.celsius)
    base = frame.time_base or Fraction(0)
    header = HEADER.pack(
        MARK,
        frame.sequence,
        frame.timestamp_ns,
        frame.pts or 0,
        base.numerator,
        base.denominator if frame.time_base else 0,
        frame.pts is not None,
        len(png),
    )
    return header + png


def read_magic(file: BinaryIO, name: str) -> None:
    """Go behind the file's beginning.

    Raises:
        InputError: another kind of file.
    """
    if file.read(len(MAGIC)) != MAGIC:
        raise InputError(f"{name}: expected a ladle-rt recording, received another kind of file")


def read_frames(file: BinaryIO) -> Iterator[Frame]:
    """Every frame as it was.

    Raises:
        CutOffError: after the last whole frame of a file that does not end with one.
    """
    while header := file.read(HEADER.size):
        if len(header) < HEADER.size:
            raise CutOffError
        mark, sequence, timestamp_ns, pts, numerator, denominator, has_pts, size = HEADER.unpack(
            header
        )
        png = file.read(size)
        if mark != MARK or len(png) < size:
            raise CutOffError
        try:
            pixels: Any = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:  # Larger than a picture may be.
            pixels = None
        if pixels is None:
            raise CutOffError
        yield Frame(
            pixels,
            sequence,
            timestamp_ns,
            pts if has_pts else None,
            Fraction(numerator, denominator) if denominator else None,
            celsius=temperatures_of(png),
        )
