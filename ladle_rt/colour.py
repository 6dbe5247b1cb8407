"""Colour spaces: BT.709 luma and chroma, RGB, BGR, CIELAB.

Rec. ITU-R BT.709-6, limited range: Y = 16 + 219 y, Cb = 128 + 224 cb, Cr = 128 + 224 cr with
cb = (b - y) / 1.8556 and cr = (r - y) / 1.5748. OpenCV's own conversions are BT.601.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.frames import Picture

Rgb = npt.NDArray[np.uint8]
"""HxWx3, sRGB."""

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Weights of red, green and blue."""
CB_SPAN, CR_SPAN = 1.8556, 1.5748
"""What b - y and r - y are divided by, so that chroma is in [-0.5,0.5]."""
RGB_TO_YCBCR = np.stack(
    [
        219 * LUMA,
        (np.array([0, 0, 1], np.float32) - LUMA) * np.float32(224 / CB_SPAN),
        (np.array([1, 0, 0], np.float32) - LUMA) * np.float32(224 / CR_SPAN),
    ]
)
"""RGB in [0,1] to Y - 16, Cb - 128 and Cr - 128 in 8-bit limited-range units."""
YCBCR_TO_RGB = np.linalg.inv(RGB_TO_YCBCR) * 255
"""Y - 16, Cb - 128 and Cr - 128 to RGB on [0,255]."""
_BYTES_TO_RGB = np.hstack([YCBCR_TO_RGB, YCBCR_TO_RGB @ [[-16.0], [-128.0], [-128.0]]]).astype(
    np.float32
)


def picture_planes(picture: Picture) -> list[npt.NDArray[np.uint8]]:
    """Views of Y, U and V, or the RGB picture as it is."""
    if picture.format == "rgb24":
        return [picture.data]
    height, width = picture.height, picture.width
    flat = picture.data.reshape(-1)
    luma = flat[: height * width].reshape(height, width)
    first, second = flat[height * width :].reshape(2, height // 2, width // 2)
    return [luma, first, second]


def to_rgb(picture: Picture) -> Rgb:
    """A picture as HxWx3 uint8, sRGB.

    Returns:
        The picture's own buffer where it is ``rgb24`` already: never write to it.
    """
    if picture.format == "rgb24":
        return picture.data
    size = (picture.width, picture.height)
    luma, *chroma = picture_planes(picture)
    full: Any = [cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in chroma]
    rgb: Any = cv2.transform(cv2.merge([luma, *full]), _BYTES_TO_RGB)
    return rgb  # type: ignore[no-any-return]


def swap_red_and_blue(image: Rgb) -> Rgb:
    """RGB to BGR, which OpenCV reads, writes and shows, or back: HxWx3 to a new one."""
    swapped: Any = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return swapped  # type: ignore[no-any-return]


def encode_png(rgb: Rgb) -> bytes:
    """HxWx3 uint8, sRGB, as a PNG file."""
    encoded, data = cv2.imencode(".png", swap_red_and_blue(rgb))
    assert encoded
    return data.tobytes()


def to_lab(rgb: Rgb) -> npt.NDArray[np.float32]:
    """CIELAB of HxWx3 uint8 sRGB: HxWx3, L* in [0,100]."""
    unit = rgb.astype(np.float32) / np.float32(255)
    lab: Any = cv2.cvtColor(unit, cv2.COLOR_RGB2LAB)
    return lab  # type: ignore[no-any-return]


def from_lab(lab: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """RGB in [0,1], clipped, of CIELAB: HxWx3 to HxWx3."""
    rgb: Any = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)
    return rgb  # type: ignore[no-any-return]
