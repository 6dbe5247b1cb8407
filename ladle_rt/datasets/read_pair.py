"""Read both images of a pair, and decide what unequal sizes mean."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.datasets.pairs import Pair
from ladle_rt.datasets.read_image import read_thermal, read_visible
from ladle_rt.errors import DatasetError
from ladle_rt.frames import ThermalPixels

logger = logging.getLogger("ladle_rt")

ASPECT_TOLERANCE = 0.02
"""Aspect ratios this close are one field of view: sizes halved and rounded differ that much."""

_resized: set[Path] = set()


class FlatThermalError(DatasetError):
    """A thermal image of one value, as a closed shutter gives: there is nothing to translate."""


def read_pair(pair: Pair) -> tuple[ThermalPixels, npt.NDArray[np.uint8]]:
    """Read a pair as two images of one size, the thermal image's.

    A visible image of another size and the same aspect ratio is resized (INTER_AREA), with one
    warning per dataset and process. Another aspect ratio is another field of view: no scale makes
    its pixels correspond, so it is refused.

    Returns:
        Thermal HxW uint8 or uint16 and visible HxWx3 uint8 sRGB in RGB order, owned by the caller.

    Raises:
        FlatThermalError: a thermal image of one value.
        DatasetError: images of two aspect ratios.
        InputNotFoundError: an image is missing.
        InputError: an image does not decode.
    """
    thermal = read_thermal(pair.thermal)
    if thermal.min() == thermal.max():
        raise FlatThermalError(
            f"{pair.thermal}: expected a thermal image, received one whose pixels are all "
            f"{thermal.flat[0]}; leave the pair out"
        )
    visible = read_visible(pair.visible)
    if visible.shape[:2] == thermal.shape:
        return thermal, visible
    (height, width), (other_height, other_width) = thermal.shape, visible.shape[:2]
    if abs(other_width * height / (other_height * width) - 1) > ASPECT_TOLERANCE:
        raise DatasetError(
            f"{pair.thermal} is {width}x{height} and {pair.visible} is {other_width}x"
            f"{other_height}: expected one aspect ratio; crop or align them first"
        )
    if pair.root not in _resized:
        _resized.add(pair.root)
        logger.warning(
            "%s: visible images are resized to the size of their thermal images (first %s, "
            "%dx%d to %dx%d)",
            *(pair.root, pair.name, other_width, other_height, width, height),
        )
    resized = cv2.resize(visible, (width, height), interpolation=cv2.INTER_AREA)
    return thermal, cast("npt.NDArray[np.uint8]", resized)
