"""What a recorded frame's counts are in degrees: a text chunk of its PNG.

Readers that do not know the chunk pass it over, as the PNG specification has it.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import asdict

from ladle_rt.errors import ConfigError
from ladle_rt.temperature import CelsiusScale, PlanckScale, Temperatures

IHDR_END = 8 + 25
"""Signature and first chunk of every PNG file, bytes."""
KEYWORD = b"ladle-rt celsius\0"
LONGEST = 4096
"""Bytes of text."""


def with_temperatures(png: bytes, celsius: Temperatures | None) -> bytes:
    """The picture with its scale; as it is where there is none."""
    if celsius is None:
        return png
    text = KEYWORD + json.dumps(asdict(celsius)).encode("ascii")
    checked = b"tEXt" + text
    chunk = struct.pack(">I", len(text)) + checked + struct.pack(">I", zlib.crc32(checked))
    return png[:IHDR_END] + chunk + png[IHDR_END:]


def temperatures_of(png: bytes) -> Temperatures | None:
    """The scale in a picture; ``None`` where there is none, or it cannot be read."""
    head = png[IHDR_END : IHDR_END + 8]
    if len(head) < 8 or head[4:] != b"tEXt":
        return None
    size = min(int.from_bytes(head[:4], "big"), LONGEST)
    text = png[IHDR_END + 8 : IHDR_END + 8 + size]
    if not text.startswith(KEYWORD):
        return None
    try:
        fields = json.loads(text[len(KEYWORD) :])
        kind = PlanckScale if "r1" in fields else CelsiusScale
        return kind(**{name: float(value) for name, value in fields.items()})
    except (ValueError, TypeError, AttributeError, ConfigError):
        return None
