"""The tones a scene is painted in: grey levels of long-wave infrared, or colours of daylight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

Canvas = npt.NDArray[np.uint8]
"""HxW grey levels, or HxWx3 sRGB."""
Tone = int | tuple[int, int, int]
Ground = Literal["verge", "pavement", "road", "edge line", "dash"]
Part = Literal[
    "trunk", "leaves", "wall", "roof", "window", "pole", "head", "coat", "legs",
    "shadow", "cabin", "body", "rear", "wheel",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Palette:
    """How one kind of camera sees each part of a scene."""

    ground: dict[Ground, Tone]
    """Of the flat ground."""
    tone: Callable[[Part, int], Tone]
    """Of a part of a thing whose surface has this warmth."""
    sky: Callable[[npt.NDArray[np.float32]], Canvas]
    """A whole picture of sky, from how cloudy each pixel is."""


_LEVELS: dict[Part, int] = {
    "trunk": 125, "roof": 70, "window": 80, "shadow": 120, "wheel": 225,
}  # fmt: skip
_WARMER: dict[Part, int] = {"coat": -30, "legs": -40, "cabin": -55, "rear": 70}


def _thermal_tone(part: Part, warmth: int) -> int:
    return _LEVELS.get(part, min(255, warmth + _WARMER.get(part, 0)))


def _thermal_sky(clouds: npt.NDArray[np.float32]) -> Canvas:
    rows = np.linspace(8, 46, len(clouds), dtype=np.float32)[:, None]
    sky: Canvas = np.clip(rows + 7 * clouds, 0, 255).astype(np.uint8)
    return sky


THERMAL = Palette(
    ground={"verge": 96, "pavement": 150, "road": 178, "edge line": 200, "dash": 205},
    tone=_thermal_tone,
    sky=_thermal_sky,
)
"""White-hot by day: cold sky, warm road, hot wheels and rear ends, people hotter than all else."""


_COLOURS: dict[Part, tuple[int, int, int]] = {
    "trunk": (84, 62, 44), "roof": (122, 58, 44), "window": (52, 66, 84), "pole": (128, 130, 132),
    "head": (214, 168, 138), "coat": (44, 70, 122), "legs": (40, 42, 52), "shadow": (48, 48, 50),
    "cabin": (56, 72, 88), "rear": (146, 28, 30), "wheel": (26, 26, 28),
}  # fmt: skip
_BY_WARMTH: dict[Part, tuple[Sequence[int], Sequence[tuple[int, int, int]]]] = {
    "leaves": ((75, 160), ((30, 66, 28), (112, 150, 62))),
    "wall": ((120, 155, 190), ((236, 226, 202), (214, 176, 126), (158, 92, 72))),
    "body": ((90, 115, 140, 170), ((238, 238, 236), (150, 156, 164), (46, 76, 140), (32, 34, 38))),
}
"""Warmth and colour at each: what the sun warms more is darker, and lit leaves are lighter."""


def _daylight_tone(part: Part, warmth: int) -> tuple[int, int, int]:
    if part in _COLOURS:
        return _COLOURS[part]
    at, colours = _BY_WARMTH[part]
    red, green, blue = (round(float(np.interp(warmth, at, c))) for c in zip(*colours, strict=True))
    return red, green, blue


def _daylight_sky(clouds: npt.NDArray[np.float32]) -> Canvas:
    height, width = clouds.shape
    zenith_to_ground = np.array([[(72, 128, 206)], [(206, 222, 236)]], np.float32)
    # To the horizon, which hides the lower half.
    blue = cv2.resize(zenith_to_ground, (width, height), interpolation=cv2.INTER_LINEAR)
    white = np.clip(0.45 * clouds, 0, 0.9)[..., None]
    sky: Canvas = (blue + white * (248 - blue)).astype(np.uint8)
    return sky


DAYLIGHT = Palette(
    ground={
        "verge": (96, 126, 62),
        "pavement": (168, 164, 158),
        "road": (92, 94, 98),
        "edge line": (222, 222, 216),
        "dash": (236, 236, 230),
    },
    tone=_daylight_tone,
    sky=_daylight_sky,
)
"""sRGB by day. It follows from the thermal picture as far as can be, so that it can be learned."""
