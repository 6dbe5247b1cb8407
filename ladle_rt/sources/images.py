"""Still thermal images: which files are meant, and how one is read."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ladle_rt.datasets.images import SUFFIXES, decode
from ladle_rt.errors import FalseColourError, InputError, InputNotFoundError
from ladle_rt.frames import ThermalPixels
from ladle_rt.sources.formats import COLOURED_SHARE, NEUTRAL_TOLERANCE

logger = logging.getLogger("ladle_rt")


def list_images(inputs: Sequence[Path]) -> list[Path]:
    """Files as given, folders as the images directly in them, sorted by name.

    Raises:
        InputNotFoundError: a path that does not exist.
        InputError: a folder without images.
    """
    found: list[Path] = []
    for path in inputs:
        if path.is_dir():
            images = sorted(
                file
                for file in path.iterdir()
                if file.suffix.lower() in SUFFIXES
                and file.is_file()
                and not file.name.startswith(".")
            )
            if not images:
                raise InputError(f"{path}: expected a folder with images, found none in it")
            found.extend(images)
        elif path.exists():
            found.append(path)
        else:
            raise InputNotFoundError(f"{path}: no such file or folder")
    return found


def read_still(path: Path, allow_colour: bool = False) -> ThermalPixels:
    """Read one thermal image.

    Args:
        path: any image that OpenCV decodes, 8 or 16 bits deep; EXIF orientation is applied,
            an alpha channel dropped.
        allow_colour: take the luminance of a coloured image instead of refusing it.

    Returns:
        HxW, uint8 or uint16 in the file's own counts, owned by the caller.

    Raises:
        InputNotFoundError: no such file.
        InputError: not an image, or samples that are not 8- or 16-bit integers.
        FalseColourError: a colour palette instead of intensities.
    """
    image = decode(path, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    if image.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"{path}: expected 8- or 16-bit intensities, received {image.dtype}; "
            "convert it to 16-bit counts first"
        )
    if image.ndim == 2:
        return image
    limit = 2 * NEUTRAL_TOLERANCE * (257 if image.dtype == np.uint16 else 1)
    spread = image.max(axis=2).astype(np.int32) - image.min(axis=2)
    if float(np.mean(spread > limit)) > COLOURED_SHARE:
        if not allow_colour:
            raise FalseColourError(
                f"{path}: expected thermal intensities, received a colour palette; "
                "record white-hot, or use its luminance with --allow-colour"
            )
        logger.warning("%s: coloured; its luminance is used as the thermal image", path)
    gray: Any = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return gray  # type: ignore[no-any-return]
