"""The raw recording, ``.lrec``: thermal frames as captured, bit by bit, with all their times.

A file is `MAGIC`, then one record per frame: `HEADER` (little-endian) and the pixels as PNG,
whose own checksums guard them. Own, because no common container keeps nanosecond capture times,
sequence gaps and changing sizes beside 16-bit pixels. What counts are in degrees is a text chunk
of the PNG. A file that was cut off anywhere is readable up to its last whole frame.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction
from typing import Any, BinaryIO

import cv2
import numpy as np

from ladle_rt.errors import ConfigError, InputError
from ladle_rt.frames import Frame
from ladle_rt.sinks.png import IHDR_END, with_chunk
from ladle_rt.temperature import CelsiusScale, PlanckScale, Temperatures

MAGIC = b"ladle-rt recording 1\n"
HEADER = struct.Struct("<4sqqqqqBI")
"""``FRAM``, sequence, capture time (monotonic ns), pts, time base numerator and denominator
(0 and 0 where the frame has none), 1 if it has a pts, bytes of PNG that follow."""
MARK = b"FRAM"
FAST = [cv2.IMWRITE_PNG_COMPRESSION, 1]
KEYWORD = b"ladle-rt celsius\0"
"""Of the text that says what counts are in degrees."""
MOST_TEXT = 4096
"""Bytes of it that are read."""


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
    png = _with_temperatures(array.tobytes(), frame.celsius)
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
            celsius=_temperatures_of(png),
        )


def _with_temperatures(png: bytes, celsius: Temperatures | None) -> bytes:
    """The picture with its scale; as it is where there is none."""
    if celsius is None:
        return png
    text = KEYWORD + json.dumps(asdict(celsius)).encode("ascii")
    return with_chunk(png, b"tEXt", text)


def _temperatures_of(png: bytes) -> Temperatures | None:
    """The scale in a picture; ``None`` where there is none, or it cannot be read."""
    head = png[IHDR_END : IHDR_END + 8]
    if len(head) < 8 or head[4:] != b"tEXt":
        return None
    size = min(int.from_bytes(head[:4], "big"), MOST_TEXT)
    text = png[IHDR_END + 8 : IHDR_END + 8 + size]
    if not text.startswith(KEYWORD):
        return None
    try:
        fields = json.loads(text[len(KEYWORD) :])
        kind = PlanckScale if "r1" in fields else CelsiusScale
        return kind(**{name: float(value) for name, value in fields.items()})
    except (ValueError, TypeError, AttributeError, ConfigError):
        return None
