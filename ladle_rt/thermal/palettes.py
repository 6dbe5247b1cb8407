"""False-colour palettes for people who look at the thermal picture; no network ever sees them.

Each runs through a few control points, interpolated in sRGB. All but the rainbow grow
monotonously in luminance (or fall, for black-hot), so that hotter never looks darker; a test
holds that.
"""

from __future__ import annotations

from functools import cache
from typing import Any, get_args

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.config import Palette
from ladle_rt.errors import ConfigError

_POINTS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "white-hot": ((0, 0, 0), (255, 255, 255)),
    "black-hot": ((255, 255, 255), (0, 0, 0)),
    "ironbow": (
        (0, 0, 10),
        (50, 0, 130),
        (140, 10, 150),
        (210, 50, 80),
        (240, 110, 20),
        (255, 185, 20),
        (255, 255, 220),
    ),
    "lava": ((0, 0, 0), (60, 5, 5), (160, 20, 0), (235, 90, 0), (255, 190, 60), (255, 255, 230)),
    "arctic": ((5, 5, 40), (20, 50, 140), (30, 120, 200), (120, 200, 220), (255, 235, 170)),
    "green-hot": ((0, 0, 0), (0, 70, 20), (20, 170, 50), (190, 255, 160)),
    "rainbow": ((0, 0, 130), (0, 150, 255), (0, 200, 80), (250, 230, 0), (255, 90, 0), (200, 0, 0)),
}
PALETTES: tuple[str, ...] = get_args(Palette)
"""Names; the first is the usual one."""


@cache
def palette_table(name: str) -> npt.NDArray[np.uint8]:
    """The colours of a palette.

    Returns:
        uint8 [256,3], sRGB, from cold to hot; read-only.

    Raises:
        ConfigError: no such palette.
    """
    if name not in _POINTS:
        raise ConfigError(f"palette must be one of {', '.join(PALETTES)}, received {name!r}")
    table = interpolate(_POINTS[name])
    table.setflags(write=False)
    return table


def interpolate(colours: tuple[tuple[int, int, int], ...]) -> npt.NDArray[np.uint8]:
    """256 colours, uint8 [256,3], through control points at equal distances."""
    points = np.array(colours, np.float64)
    places = np.linspace(0, 255, len(points))
    channels = [np.interp(np.arange(256), places, points[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


def in_palette(grey: Any, name: str) -> npt.NDArray[np.uint8]:
    """A grey picture in a palette.

    Args:
        grey: HxW uint8, from cold to hot.
        name: one of `PALETTES`.

    Returns:
        HxWx3 uint8, sRGB, owned by the caller.
    """
    table = palette_table(name)
    planes = [cv2.LUT(grey, np.ascontiguousarray(table[:, channel])) for channel in range(3)]
    merged: Any = cv2.merge(planes)
    return merged  # type: ignore[no-any-return]
