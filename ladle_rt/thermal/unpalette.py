"""From the colours of a known palette back to levels, where the counts themselves are lost."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.errors import ConfigError, FalseColourError
from ladle_rt.geometry import samples, strips
from ladle_rt.thermal.palettes import PALETTES, interpolate, palette_table

logger = logging.getLogger("ladle_rt.input")

Colours = npt.NDArray[np.uint8]

OPENCV = {
    "autumn": cv2.COLORMAP_AUTUMN,
    "cividis": cv2.COLORMAP_CIVIDIS,
    "cool": cv2.COLORMAP_COOL,
    "hot": cv2.COLORMAP_HOT,
    "inferno": cv2.COLORMAP_INFERNO,
    "jet": cv2.COLORMAP_JET,
    "magma": cv2.COLORMAP_MAGMA,
    "parula": cv2.COLORMAP_PARULA,
    "plasma": cv2.COLORMAP_PLASMA,
    "opencv-rainbow": cv2.COLORMAP_RAINBOW,
    "spring": cv2.COLORMAP_SPRING,
    "summer": cv2.COLORMAP_SUMMER,
    "turbo": cv2.COLORMAP_TURBO,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "winter": cv2.COLORMAP_WINTER,
}
"""Maps of OpenCV, by name; dark or blue is taken to be cold."""
FLIR_IRON = (
    (0, 31, 37), (25, 18, 98), (70, 11, 140), (108, 10, 159), (140, 16, 162), (168, 28, 150),
    (192, 44, 128), (209, 63, 100), (223, 86, 70), (234, 109, 43), (241, 133, 22), (243, 157, 10),
    (244, 180, 12), (243, 200, 33), (239, 218, 73), (232, 231, 141), (225, 239, 239),
)  # fmt: skip
"""FLIR's "Iron" as an E40 writes it into its files, at every sixteenth of the range."""
COLOURED = tuple(name for name in PALETTES if name not in ("white-hot", "black-hot"))
FROM_PALETTES = (*COLOURED, "flir-iron", *OPENCV)
"""Palettes that can be turned back."""
GREYISH = frozenset({"cividis"})
"""So near to grey that photographs look drawn in it; ``auto`` never takes it."""
BITS = 6
"""Of each channel, in the table from colours to levels."""
NEAR = 24.0
"""A colour belongs to a palette within this distance in sRGB counts: compression shifts it."""
FAR = 48.0
"""Where a colour counts as of another palette altogether, however far it is."""
NEAR_SHARE = 0.7
"""``auto`` asks for so much of the picture; the rest may be text and marks."""
TELLING_SPAN = 64
"""A picture whose channels all span less shows too little of its palette, 8-bit counts."""
SAMPLES_PER_SIDE = 96


def check_from_palette(name: str) -> None:
    """Refuse a name that is none.

    Raises:
        ConfigError: neither ``auto`` nor one of `FROM_PALETTES`.
    """
    if name != "auto" and name not in FROM_PALETTES:
        raise ConfigError(
            f"from_palette must be auto or one of {', '.join(FROM_PALETTES)}, received {name!r}"
        )


def find_palette(rgb: Colours, name: str) -> str:
    """The palette that a picture is drawn in.

    Args:
        rgb: HxWx3, sRGB.
        name: what to call it in the message.

    Returns:
        The nearest of `FROM_PALETTES`, without `GREYISH`.

    Raises:
        FalseColourError: none of them is near.
    """
    few = samples(rgb, SAMPLES_PER_SIDE).reshape(-1, 3)
    usable = [one for one in FROM_PALETTES if one not in GREYISH]
    far = {one: np.minimum(_distance(few, one), FAR).mean() for one in usable}
    best = min(far, key=lambda one: far[one])
    near = float(np.mean(_distance(few, best) <= NEAR))
    if near < NEAR_SHARE:
        raise FalseColourError(
            f"{name}: none of the known palettes ({', '.join(FROM_PALETTES)}); the nearest, "
            f"{best}, has {near:.0%} of its colours; record white-hot, or name it with "
            "--from-palette"
        )
    return best


class PaletteReader:
    """Turns the coloured pictures of one input into levels; in order, from one thread.

    ``auto`` decides once, on the first picture that shows enough to tell palettes apart, and says
    so; a closed shutter or a black first picture decides nothing.
    """

    def __init__(
        self, palette: str, name: str, crop: tuple[int, int, int, int] | None = None
    ) -> None:
        """
        Args:
            palette: ``auto`` or one of `FROM_PALETTES`.
            name: what to call the input.
            crop: the part to judge by: X, Y, width and height.
        """
        self._palette, self._name, self._crop = palette, name, crop

    def levels(self, rgb: Colours) -> npt.NDArray[np.uint8]:
        """The levels of the next picture, as `palette_levels`.

        Args:
            rgb: HxWx3, sRGB.

        Raises:
            FalseColourError: ``auto`` knows no such palette.
        """
        if self._palette != "auto":
            return palette_levels(rgb, self._palette)
        x, y, width, height = self._crop or (0, 0, *rgb.shape[1::-1])
        judged = rgb[y : y + height, x : x + width]
        few = judged.reshape(-1, 3)[:: max(1, judged.size // (3 * SAMPLES_PER_SIDE**2))]
        if not few.size or int(np.ptp(few, axis=0).max()) < TELLING_SPAN:
            return np.ascontiguousarray(rgb[..., 1])
        self._palette = find_palette(judged, self._name)
        logger.info("%s: drawn in the palette %s", self._name, self._palette)
        return palette_levels(rgb, self._palette)


def palette_levels(rgb: Colours, palette: str) -> npt.NDArray[np.uint8]:
    """The level of each pixel.

    Args:
        rgb: HxWx3, sRGB.
        palette: one of `FROM_PALETTES`.

    Returns:
        HxW: the place of the nearest colour in the palette, 0 coldest; owned by the caller.
    """
    shift = 8 - BITS
    inverse = _inverse(palette)
    height, width = rgb.shape[:2]
    levels = np.empty((height, width), np.uint8)
    for rows in strips(height, width):
        red, green, blue = (rgb[rows, :, channel] >> shift for channel in range(3))
        levels[rows] = inverse[red, green, blue]
    return levels


@cache
def _table(name: str) -> npt.NDArray[np.float32]:
    if name in OPENCV:
        ramp = np.arange(256, dtype=np.uint8)[None]
        drawn: Any = cv2.applyColorMap(ramp, OPENCV[name])
        return np.asarray(drawn[0, :, ::-1], np.float32)
    if name == "flir-iron":
        return interpolate(FLIR_IRON).astype(np.float32)
    return palette_table(name).astype(np.float32)


@cache
def _inverse(name: str) -> npt.NDArray[np.uint8]:
    """uint8 [64,64,64]: the level nearest to a colour."""
    steps = (np.arange(1 << BITS, dtype=np.float32) + 0.5) * (1 << (8 - BITS)) - 0.5
    table = _table(name)
    result = np.empty((len(steps),) * 3, np.uint8)
    for number, red in enumerate(steps):
        green, blue = np.meshgrid(steps, steps, indexing="ij")
        colours = np.stack([np.full_like(green, red), green, blue], axis=-1)
        result[number] = _squares(colours.reshape(-1, 3), table).argmin(1).reshape(green.shape)
    return result


def _distance(colours: Colours, palette: str) -> npt.NDArray[np.float32]:
    nearest = _squares(colours.astype(np.float32), _table(palette)).min(axis=1)
    distance: npt.NDArray[np.float32] = np.sqrt(np.maximum(nearest, 0))
    return distance


def _squares(
    colours: npt.NDArray[np.float32], table: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Squared distance of each colour to each of a table."""
    result: npt.NDArray[np.float32] = (
        (colours**2).sum(1)[:, None] - 2 * colours @ table.T + (table**2).sum(1)
    )
    return result
