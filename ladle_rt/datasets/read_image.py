"""Read one image of a pair."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.colour import swap_red_and_blue
from ladle_rt.errors import ConfigError, InputError, InputNotFoundError, shown
from ladle_rt.frames import ThermalPixels

MAX_BYTES = 512 << 20
"""Largest image file that is read."""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_PART = 64 << 20
"""Bytes that a part of a PNG which is cut off may claim, so that its beginning can be read."""
LIMIT = "OPENCV_IO_MAX_IMAGE_PIXELS"
"""The variable of the environment that OpenCV takes its limit from; ``ladle_rt`` sets it where it
is not set, and names the figure."""
MOST_DEFLATED = 1032
"""Bytes that one byte of deflated data can hold at most."""
PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""A pixel's, by the colour type of a PNG."""
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
"""File name endings, lower case, that count as images."""


def pixel_limit() -> int:
    """How many pixels a still, a page or a frame of a video may have.

    Raises:
        ConfigError: the variable `LIMIT` is no number.
    """
    given = os.environ[LIMIT]
    if not (given.isascii() and given.isdigit() and int(given[:20])):
        raise ConfigError(f"{LIMIT} must be a number of pixels > 0, received {shown(given, 40)!r}")
    return int(given[:20])


def check_pixels(path: Path | str, width: int, height: int) -> None:
    """Refuse what is larger than a picture may be.

    Raises:
        InputError: it has more pixels than `pixel_limit`.
    """
    limit = pixel_limit()
    if width * height > limit:
        raise InputError(
            f"{path}: expected an image of at most {limit} pixels, received {width}x{height}; "
            f"scale it down, cut it, or raise {LIMIT}"
        )


def check_file(path: Path) -> None:
    """Refuse what must not be read whole.

    Raises:
        OSError: no such file.
        InputError: no regular file, or larger than any image is.
    """
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise InputError(f"{path}: expected an image file, received no regular file")
    if facts.st_size > MAX_BYTES:
        raise InputError(
            f"{path}: expected an image file, received {facts.st_size >> 20} MB, more than "
            f"{MAX_BYTES >> 20}"
        )


def read_thermal(path: Path) -> ThermalPixels:
    """Read a thermal image as intensities.

    Returns:
        HxW, uint8 or uint16, owned by the caller. Three-channel files (KAIST's LWIR JPEGs
        are some) give their luminance.

    Raises:
        InputNotFoundError: no such file.
        InputError: not an image, or neither 8 nor 16 bits deep.
    """
    image = decode(path, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    if image.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{path}: expected 8- or 16-bit intensities, received {image.dtype}")
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return cast(ThermalPixels, image)


def read_visible(path: Path) -> npt.NDArray[np.uint8]:
    """Read a visible-light image.

    Returns:
        HxWx3, uint8 sRGB in RGB order, owned by the caller.

    Raises:
        InputNotFoundError: no such file.
        InputError: not an image.
    """
    return swap_red_and_blue(decode(path, cv2.IMREAD_COLOR))


def decode(path: Path, flags: int) -> npt.NDArray[Any]:
    """Decode an image file with OpenCV's ``flags``.

    Raises:
        InputNotFoundError: no such file.
        InputError: not an image.
    """
    try:
        check_file(path)
        data = np.fromfile(path, dtype=np.uint8)
    except FileNotFoundError as error:
        raise InputNotFoundError(f"{path}: no such image") from error
    except OSError as error:
        raise InputError(f"{path}: expected an image file, received {error.strerror}") from error
    _check_length(path, data)
    try:
        image = cv2.imdecode(data, flags) if data.size else None
    except cv2.error as error:
        # OpenCV raises, where it otherwise returns nothing, for sizes beyond its limits.
        if "CV_IO_MAX_IMAGE" in str(error):
            raise InputError(
                f"{path}: expected an image of at most {pixel_limit()} pixels, received a "
                f"larger one; scale it down, cut it, or raise {LIMIT}"
            ) from error
        image = None
    if image is None:
        raise InputError(f"{path}: expected an image, received a file that does not decode")
    return image


def _check_length(path: Path, data: npt.NDArray[np.uint8]) -> None:
    """Refuse a PNG that cannot hold the picture it claims, before memory is taken for that."""
    head = data[:33].tobytes()
    if len(head) < 33 or not head.startswith(PNG_SIGNATURE):
        return
    width, height, bits, kind = struct.unpack_from(">IIBB", head, 16)
    needed = width * height * bits * PNG_SAMPLES.get(kind, 1) // 8
    if needed > MOST_DEFLATED * len(data):
        raise InputError(
            f"{path}: expected a PNG of {width}x{height}, received {len(data)} bytes, which cannot "
            "hold so many pixels; it is cut off or damaged"
        )
    # OpenCV takes memory for what a part claims before it reads it.
    place = len(PNG_SIGNATURE)
    while place + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data.data, place)
        if length > max(len(data) - place, PNG_PART):
            raise InputError(
                f"{path}: expected a PNG, received {len(data)} bytes with a part that claims "
                f"{length}; it is cut off or damaged"
            )
        place += 12 + length
