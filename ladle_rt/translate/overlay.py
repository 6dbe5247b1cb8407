"""What is painted over finished pictures: hot regions, and a palette on the thermal half.

On the host, after any engine, in whichever layout of pixels the sink takes: a mark costs as much
as the pixels that it covers.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.colour import RGB_TO_YCBCR, picture_planes
from ladle_rt.config import IsothermStyle
from ladle_rt.frames import Picture
from ladle_rt.thermal.isotherm import HotRegion
from ladle_rt.thermal.palettes import in_palette, palette_table

Bytes = npt.NDArray[np.uint8]

OUTLINE_SHARE = 1 / 240
"""Width of an outline, share of the picture's height."""


def paint_hot(
    picture: Picture, hot: HotRegion, palette: str, style: IsothermStyle, left: int = 0
) -> None:
    """Paint the hot region into a picture, in place.

    Args:
        picture: ``yuv420p`` or ``rgb24``.
        hot: of the frame it was made from.
        palette: colours of the heat.
        style: the whole region or its outline.
        left: column at which the colour picture begins, even.
    """
    height, width = picture.height, picture.width - left
    mask, heat = (_fitted(one, height, width) for one in (hot.mask, hot.heat))
    if style == "outline":
        mask, heat = _outline(mask, max(1, round(height * OUTLINE_SHARE)))
    rows, columns = np.nonzero(mask)
    values = heat[rows, columns]
    columns = columns + left
    if picture.format == "rgb24":
        picture.data[rows, columns] = palette_table(palette)[values]
        return
    table = _ycbcr_table(palette)
    planes = picture_planes(picture)
    planes[0][rows, columns] = table[values, 0]
    for channel in (1, 2):
        planes[channel][rows // 2, columns // 2] = table[values, channel]


def paint_palette(picture: Picture, palette: str) -> None:
    """Show the grey thermal picture in the left half of a side-by-side one in a palette, in place.

    Args:
        picture: ``yuv420p`` or ``rgb24``.
        palette: colours from cold to hot.
    """
    half = picture.width // 2
    if picture.format == "rgb24":
        grey = np.ascontiguousarray(picture.data[:, :half, 0])
        picture.data[:, :half] = in_palette(grey, palette)
        return
    full_range = np.clip((np.arange(256) - 16) * (255 / 219), 0, 255).round().astype(np.uint8)
    table = _ycbcr_table(palette)[full_range]
    luma, *chroma = picture_planes(picture)
    grey = luma[:, :half].copy()
    luma[:, :half] = table[grey, 0]
    size = (half // 2, picture.height // 2)
    small: Any = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    for channel, plane in enumerate(chroma, 1):
        plane[:, : half // 2] = table[small, channel]


def _outline(mask: npt.NDArray[np.bool_], thickness: int) -> tuple[Any, Bytes]:
    """The border inside the region, in the palette's hottest colours."""
    filled = mask.astype(np.uint8)
    kernel = np.ones((2 * thickness + 1, 2 * thickness + 1), np.uint8)
    inside = cv2.erode(filled, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return (filled > inside), np.full(mask.shape, 192, np.uint8)


def _fitted(plane: npt.NDArray[Any], height: int, width: int) -> npt.NDArray[Any]:
    """A plane of the frame's size in the picture's: pictures of odd frames differ by a pixel."""
    cropped = plane[:height, :width]
    missing = (height - cropped.shape[0], width - cropped.shape[1])
    return np.pad(cropped, [(0, one) for one in missing], "edge") if any(missing) else cropped


@cache
def _ycbcr_table(palette: str) -> Bytes:
    """`palette_table` in 8-bit limited-range Y, Cb and Cr."""
    exact = palette_table(palette) / 255 @ RGB_TO_YCBCR.T + np.array([16, 128, 128])
    return np.asarray(exact.round(), np.uint8)
