"""Pixel formats of cameras: which is best, and how intensities come out of each."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.frames import ThermalPixels

PREFERENCE = ("Y16", "Y16-BE", "GREY", "NV12", "YUYV", "UYVY", "MJPG")
"""From the most to the least of the sensor: raw counts, grey, luma beside colour, compressed."""
BYTES_PER_PIXEL = {"Y16": 2, "Y16-BE": 2, "GREY": 1, "NV12": 1, "YUYV": 2, "UYVY": 2}
"""Of the plane that holds intensities."""


COLOURED = ("YUYV", "UYVY", "NV12", "MJPG")
"""What may show a palette, from the most to the least of it."""


def decode(
    data: npt.NDArray[np.uint8], name: str, width: int, height: int, stride: int
) -> ThermalPixels | str:
    """Intensities of one buffer.

    Args:
        data: the buffer's used bytes.
        name: one of `PREFERENCE`.
        width: pixels.
        height: pixels.
        stride: bytes from line to line.

    Returns:
        HxW uint8 or uint16, owned by the caller; or why the buffer cannot be used.
    """
    if name == "MJPG":
        image: Any = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
        return "not a whole JPEG picture" if image is None else image
    used = width * BYTES_PER_PIXEL[name]
    expected = stride * (height - 1) + used
    if data.size < expected:
        return f"expected {expected} bytes, received {data.size}"
    lines = np.lib.stride_tricks.as_strided(data, (height, used), (stride, 1))
    if name in ("Y16", "Y16-BE"):
        words = np.ascontiguousarray(lines).view("<u2" if name == "Y16" else ">u2")
        return words.astype(np.uint16)
    if name in ("YUYV", "UYVY"):
        lines = lines[:, 0 if name == "YUYV" else 1 :: 2]
    return np.array(lines)


def decode_colours(
    data: npt.NDArray[np.uint8], name: str, width: int, height: int, stride: int
) -> npt.NDArray[np.uint8] | str:
    """The picture of one buffer in colour.

    Args:
        data: the buffer's used bytes.
        name: one of `COLOURED`.
        width: pixels, even.
        height: pixels.
        stride: bytes from line to line.

    Returns:
        HxWx3 uint8, RGB, owned by the caller; or why the buffer cannot be used.
    """
    if name == "MJPG":
        image: Any = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
        return "not a whole JPEG picture" if image is None else _swapped(image)
    lines, used = (height * 3 // 2, width) if name == "NV12" else (height, 2 * width)
    expected = stride * (lines - 1) + used
    if data.size < expected:
        return f"expected {expected} bytes, received {data.size}"
    packed = np.lib.stride_tricks.as_strided(data, (lines, used), (stride, 1))
    if name != "NV12":
        packed = packed.reshape(height, width, 2)
    code = {
        "YUYV": cv2.COLOR_YUV2RGB_YUYV,
        "UYVY": cv2.COLOR_YUV2RGB_UYVY,
        "NV12": cv2.COLOR_YUV2RGB_NV12,
    }[name]
    converted: Any = cv2.cvtColor(np.ascontiguousarray(packed), code)
    return converted  # type: ignore[no-any-return]


def _swapped(image: Any) -> Any:
    return np.ascontiguousarray(image[..., ::-1])
