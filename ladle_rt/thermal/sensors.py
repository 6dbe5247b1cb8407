"""What thermal cameras deliver beside the picture, recognised by shape and content.

Rows of telemetry before or behind it (FLIR Boson 512+2, Lepton 120+2, HT-301 288+4), or raw
16-bit counts below a picture of the same size (InfiRay P2 Pro, TOPDON TC001: 256x384).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SENSORS = frozenset(
    {
        (80, 60), (160, 120), (206, 156), (240, 180), (256, 192), (320, 240), (320, 256),
        (336, 256), (382, 288), (384, 288), (400, 300), (640, 480), (640, 512), (764, 480),
        (1024, 768), (1280, 1024),
    }
)  # fmt: skip
"""Width and height of thermal sensors on the market."""
MOST_TELEMETRY = 4
"""Rows."""
UNLIKE = 4.0
"""Telemetry differs from the picture's edge by so many times what two rows of it do."""
ROUGHER = 2.5
"""The low bytes of counts jump; they vary from pixel to pixel by so many times a picture."""
NEUTRAL = 128
NEUTRAL_TOLERANCE = 14
"""Chroma of a grey picture, 8-bit counts."""

COUNTS_SHARE = 0.9
"""So many words look like counts; the rest are edges."""

Plane = npt.NDArray[Any]


def telemetry_rows(width: int, height: int) -> int:
    """Rows too many for a sensor of this width; 0 if its shape is nothing known."""
    for rows in range(1, MOST_TELEMETRY + 1):
        if (width, height - rows) in SENSORS:
            return rows
    return 0


def is_stacked(width: int, height: int) -> bool:
    """Whether the shape is that of two sensor frames, one above the other."""
    return height % 2 == 0 and (width, height // 2) in SENSORS


def picture_rows(pixels: Plane) -> slice:
    """Rows that are picture.

    Args:
        pixels: HxW, any real dtype.

    Returns:
        All rows, or all but telemetry above or below: by its shape, and unlike the picture.
    """
    height, width = pixels.shape
    rows = telemetry_rows(width, height)
    if not rows:
        return slice(0, height)
    below, above = (_unlike(pixels, edge, step) for edge, step in ((height - rows, -1), (rows, 1)))
    usual = max(_usual_step(pixels[rows : height - rows]), 1e-6)
    if max(below, above) < UNLIKE * usual:
        return slice(0, height)
    return slice(0, height - rows) if below >= above else slice(rows, height)


def picture_half(pixels: Plane) -> slice:
    """Rows of the half that is worth reading of a frame with counts below a picture.

    Args:
        pixels: HxW; uint8: low bytes or luma; uint16: luma and chroma, then counts.

    Returns:
        All rows where the content is no such stack; of uint16 the counts, else the picture.
    """
    height, width = pixels.shape
    if not is_stacked(width, height):
        return slice(0, height)
    upper, lower = pixels[: height // 2], pixels[height // 2 :]
    if pixels.dtype == np.uint8:
        smooth, rough = (float(np.abs(np.diff(half.astype(np.int16))).mean())
                         for half in (upper, lower))  # fmt: skip
        return slice(0, height // 2) if rough > ROUGHER * max(smooth, 1.0) else slice(0, height)
    if pixels.dtype == np.uint16 and holds_counts(lower) and not holds_counts(upper):
        return slice(height // 2, height)
    return slice(0, height)


def holds_counts(words: npt.NDArray[np.uint16]) -> bool:
    """Whether 16-bit words are counts, not pairs of luma and chroma.

    Counts have much the same high byte in neighbours, and none that would be a neutral chroma:
    0x8080 would be some 240 degrees in the units that these cameras use.
    """
    high = (words >> 8).astype(np.int16)
    blue, red = high[:, 0::2], high[:, 1::2]
    alike = np.abs(blue[:, : red.shape[1]] - red) <= 1
    coloured = np.abs(high - NEUTRAL) > NEUTRAL_TOLERANCE
    return bool(coloured.mean() > COUNTS_SHARE and alike.mean() > COUNTS_SHARE)


def _unlike(pixels: Plane, edge: int, step: int) -> float:
    """Step from the picture's outermost row to the row beside it."""
    inner, outer = (edge - 1, edge) if step < 0 else (edge, edge - 1)
    return float(np.median(np.abs(pixels[outer].astype(np.float64) - pixels[inner])))


def _usual_step(picture: Plane) -> float:
    steps = np.abs(np.diff(picture.astype(np.float64), axis=0))
    return float(np.quantile(np.median(steps, axis=1), 0.9)) + 1.0
