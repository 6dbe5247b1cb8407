"""What a TIFF says its values are: degrees Celsius or kelvins, in words or in GDAL's fields."""

from __future__ import annotations

import re
from pathlib import Path

from ladle_rt.errors import ConfigError
from ladle_rt.temperature import KELVIN_0, CelsiusScale

DESCRIPTION, SAMPLE_FORMAT, GDAL = 270, 339, 42112
"""Tags: ``ImageDescription``, ``SampleFormat`` and GDAL's metadata, XML with ``role``."""
FLOATS = 3
CELSIUS = re.compile(r"\b(?:celsius|deg_?c|degrees?[ _]c)\b|\N{DEGREE SIGN}\s?C\b", re.IGNORECASE)
KELVIN = re.compile(r"\b(?:kelvins?|deg_?k)\b", re.IGNORECASE)
FIELD = r'<Item[^>]*role="{}"[^>]*>([^<]*)</Item>'


def tiff_scale(path: Path) -> CelsiusScale | None:
    """The scale that a TIFF's first page states; ``None`` where it states none.

    Integers need a stated scale beside the unit: nobody knows whether they are tenths.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            tags = getattr(image, "tag_v2", {})
            words = str(tags.get(DESCRIPTION, "")) + " " + str(tags.get(GDAL, ""))
            floats = FLOATS in _numbers(tags.get(SAMPLE_FORMAT))
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
        return None  # Whether it is a picture at all is for those who decode it.
    zero = 0.0 if CELSIUS.search(words) else KELVIN_0 if KELVIN.search(words) else None
    gain = _field("scale", words)
    if zero is None or (gain is None and not floats):
        return None
    try:
        return CelsiusScale(1.0 if gain is None else gain, zero + (_field("offset", words) or 0.0))
    except ConfigError:
        return None


def _numbers(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else (value,)


def _field(role: str, words: str) -> float | None:
    found = re.search(FIELD.format(role), words)
    try:
        return None if found is None else float(found[1])
    except ValueError:
        return None
