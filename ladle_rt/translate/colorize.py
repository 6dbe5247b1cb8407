"""Network output to a full-size picture, as planes written once.

All arithmetic that can be done at network size is: BT.709 luma and chroma there, then luma is
brought to full size and chroma only to its own size; see `ladle_rt.colour`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.colour import RGB_TO_YCBCR, YCBCR_TO_RGB
from ladle_rt.config import Layout
from ladle_rt.frames import Levels, Picture, PixelFormat, ThermalPixels
from ladle_rt.geometry import strips
from ladle_rt.thermal.normalization import ThermalNormalization, apply_levels
from ladle_rt.translate.detail import slope

Plane = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

LABEL = "synthetic colour"


@dataclass(frozen=True, slots=True)
class PictureSpec:
    """What a sink wants."""

    pixel_format: PixelFormat
    """See `ladle_rt.frames.Picture`."""
    even: bool
    """Crop odd sides by one pixel at the right or bottom; ``yuv420p`` needs it."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """One frame's material for `render`."""

    rgb: Plane
    """[3,h,w] float32, RGB in [0,1], network output without padding, or colours of classes."""
    thermal_small: Plane
    """[h,w] float32 in [0,1], what the network saw."""
    pixels: ThermalPixels
    """[H,W] uint8 or uint16, the frame as captured; decides the picture's size."""
    levels: Levels
    """Levels the frame was normalised with."""


def render(
    item: Rendering,
    spec: ThermalNormalization,
    picture: PictureSpec,
    *,
    detail: bool,
    layout: Layout,
    mark: bool,
) -> Picture:
    """Make the full-size picture of one translated frame.

    Args:
        item: network output and the frame it came from.
        spec: the model's normalisation.
        picture: layout of the result.
        detail: add full-resolution detail from the thermal image.
        layout: colour alone, or thermal at the left and colour at the right, or colour half over
            thermal.
        mark: write the label at the bottom right.

    Returns:
        A picture that the caller owns; twice as wide for ``side-by-side``.
    """
    pixels = _even(item.pixels) if picture.even else item.pixels
    height, width = pixels.shape
    channels, small_height, small_width = item.rgb.shape
    flat = RGB_TO_YCBCR @ item.rgb.reshape(channels, -1)
    small = flat.reshape(3, small_height, small_width)
    side_by_side, blend = layout == "side-by-side", layout == "semantic"
    sharpen = detail and not blend and (height > small_height or width > small_width)
    luma: Plane | None = None
    shown: Bytes | None = None
    if side_by_side or sharpen or blend:
        thermal = apply_levels(pixels, item.levels, spec)
        if side_by_side:
            shown = _to_byte(thermal * np.float32(219), 16)
        if sharpen:
            luma = _sharpened(small[0], item.thermal_small, thermal)
        if blend:
            small = small * np.float32(0.5)
            luma = _resize(small[0], (width, height), cv2.INTER_LINEAR)
            luma += thermal * np.float32(219 / 2)
    if luma is None:
        luma = _resize(small[0], (width, height), cv2.INTER_CUBIC)
    if picture.pixel_format == "yuv420p":
        planes = _yuv420p(luma, small[1:], shown)
        if mark:
            draw_label(planes[0], 16, 235)
        data = np.concatenate([plane.reshape(-1) for plane in planes])
        return Picture("yuv420p", data.reshape(-1, planes[0].shape[1]), *planes[0].shape[::-1])
    rgb = _rgb24(luma, small[1:], shown)
    if mark:
        draw_label(rgb, 0, 255)
    return Picture("rgb24", rgb, rgb.shape[1], height)


def _sharpened(luminance: Plane, thermal_small: Plane, thermal: Plane) -> Plane:
    """Full-size luminance by the guided filter; see `ladle_rt.translate.detail`."""
    size = (thermal.shape[1], thermal.shape[0])
    steepness = slope(luminance * np.float32(1 / 219), thermal_small) * np.float32(219)
    luma = _resize(luminance - steepness * thermal_small, size, cv2.INTER_CUBIC)
    cv2.accumulateProduct(_resize(steepness, size, cv2.INTER_LINEAR), thermal, luma)
    return luma


def _yuv420p(luma: Plane, chroma: Plane, shown: Bytes | None) -> list[Bytes]:
    size = (luma.shape[1] // 2, luma.shape[0] // 2)
    planes = [
        _to_byte(luma, 16),
        *(_to_byte(_resize(plane, size, cv2.INTER_LINEAR), 128) for plane in chroma),
    ]
    if shown is None:
        return planes
    left = [shown, *(np.full_like(plane, 128) for plane in planes[1:])]
    return [np.hstack(pair) for pair in zip(left, planes, strict=True)]


def _rgb24(luma: Plane, chroma: Plane, shown: Bytes | None) -> Bytes:
    height, width = luma.shape
    blue, red = (_resize(plane, (width, height), cv2.INTER_LINEAR) for plane in chroma)
    rgb = np.empty((height, width if shown is None else 2 * width, 3), np.uint8)
    for rows in strips(height, width):
        rgb[rows, -width:] = _strip(luma[rows], blue[rows], red[rows])
        if shown is not None:
            grey = shown[rows].astype(np.float32) - 16
            rgb[rows, :width] = _strip(grey, np.zeros_like(grey), np.zeros_like(grey))
    return rgb


def _strip(luma: Plane, blue: Plane, red: Plane) -> Bytes:
    return _to_byte(cv2.transform(cv2.merge([luma, blue, red]), YCBCR_TO_RGB), 0)


def _even(pixels: ThermalPixels) -> ThermalPixels:
    """Without the last row or column of an odd side; a side of one pixel is doubled instead."""
    grow = [(0, 1 if side == 1 else 0) for side in pixels.shape]
    grown: Any = np.pad(pixels, grow, "edge") if (0, 1) in grow else pixels
    even: ThermalPixels = np.ascontiguousarray(grown[: grown.shape[0] & ~1, : grown.shape[1] & ~1])
    return even


def _resize(plane: Plane, size: tuple[int, int], enlarge: int) -> Plane:
    down = size[0] <= plane.shape[1] and size[1] <= plane.shape[0]
    resized: Any = cv2.resize(plane, size, interpolation=cv2.INTER_AREA if down else enlarge)
    return resized  # type: ignore[no-any-return]


def _to_byte(image: Any, offset: int) -> Bytes:
    """Add, round and saturate to uint8 in one pass."""
    scalar: Any = (offset,) * 4
    result: Any = cv2.add(image, scalar, dtype=cv2.CV_8U)
    return result  # type: ignore[no-any-return]


def draw_label(image: Bytes, dark: int, bright: int) -> None:
    """Write `LABEL` on a dark box at the bottom right; left out where it would not fit."""
    scale = max(min(image.shape[0] / 900, image.shape[1] / 400), 0.35)
    (width, height), baseline = cv2.getTextSize(LABEL, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    margin = max(2, height // 3)
    left = image.shape[1] - width - 2 * margin
    top = image.shape[0] - height - baseline - margin
    if left < 0 or top < image.shape[0] // 2:
        return
    image[top:, left:] = dark
    origin = (left + margin, image.shape[0] - baseline)
    color = (bright,) * 3
    cv2.putText(image, LABEL, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, color, 1, cv2.LINE_AA)
