"""Pictures in the layout that a screen, a page or an image file wants."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.frames import Picture

_LUMA = np.array([0.2126, 0.7152, 0.0722])
_CB = (np.array([0, 0, 1]) - _LUMA) / 1.8556
_CR = (np.array([1, 0, 0]) - _LUMA) / 1.5748
_TO_RGB = np.linalg.inv(np.stack([219 * _LUMA, 224 * _CB, 224 * _CR])) * 255
_AFFINE = np.hstack([_TO_RGB, _TO_RGB @ [[-16.0], [-128.0], [-128.0]]]).astype(np.float32)
"""Limited-range Y, Cb, Cr to RGB on [0,255], Rec. ITU-R BT.709-6; OpenCV's own conversions are
BT.601."""


def to_rgb(picture: Picture) -> npt.NDArray[np.uint8]:
    """A picture as HxWx3 uint8, sRGB.

    Returns:
        The picture's own buffer where it is ``rgb24`` already: never write to it.
    """
    if picture.format == "rgb24":
        return picture.data
    height, width = picture.height, picture.width
    flat = picture.data.reshape(-1)
    quarter = height * width // 4
    luma = flat[: 4 * quarter].reshape(height, width)
    chroma = flat[4 * quarter :].reshape(2, height // 2, width // 2)
    planes = [
        luma,
        *(cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in chroma),
    ]
    rgb: Any = cv2.transform(cv2.merge(planes), _AFFINE)
    return rgb  # type: ignore[no-any-return]
