"""What a recorded frame's counts are in degrees: a text chunk of its PNG."""

from __future__ import annotations

import json
from dataclasses import asdict

from ladle_rt.errors import ConfigError
from ladle_rt.sinks.png import IHDR_END, with_chunk
from ladle_rt.temperature import CelsiusScale, PlanckScale, Temperatures

KEYWORD = b"ladle-rt celsius\0"
LONGEST = 4096
"""Bytes of text."""


def with_temperatures(png: bytes, celsius: Temperatures | None) -> bytes:
    """The picture with its scale; as it is where there is none."""
    if celsius is None:
        return png
    text = KEYWORD + json.dumps(asdict(celsius)).encode("ascii")
    return with_chunk(png, b"tEXt", text)


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
