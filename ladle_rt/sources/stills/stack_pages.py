"""Stacks and animations, a part of them at a time: a small file can hold any number of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.datasets.read_image import check_file, check_pixels
from ladle_rt.errors import InputError

STILL_FLAGS = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
PAGES_AT_ONCE = 16
"""A call opens the file anew and goes over the pages before."""
PIXELS_AT_ONCE = 1 << 24

Picture = npt.NDArray[Any]
"""HxW of any real dtype, or HxWx3 in RGB order, owned by the caller."""


def tiff_pages(path: Path) -> Iterator[Picture]:
    """Every page.

    Raises:
        InputError: not a TIFF, or a page that does not decode.
    """
    count = count_pages(path)
    if count < 1:
        raise InputError(f"{path}: expected an image, received a file that does not decode")
    at_once = max(1, min(PAGES_AT_ONCE, PIXELS_AT_ONCE // _largest_page(path)))
    for start in range(0, count, at_once):
        wanted = min(at_once, count - start)
        try:
            _, pages = cv2.imreadmulti(str(path), start, wanted, flags=STILL_FLAGS)
        except cv2.error:
            pages = ()
        for page in pages:
            yield in_rgb(page)
        if len(pages) < wanted:
            raise InputError(
                f"{path}: expected {count} pages, received {start + len(pages)} that decode"
            )


def count_pages(path: Path) -> int:
    """Pages of a TIFF; 0 where it is none."""
    try:
        count: int = cv2.imcount(str(path), STILL_FLAGS)
    except cv2.error:
        return 0
    return count


def animation(path: Path) -> Iterator[Picture]:
    """Every picture of a GIF or WebP, as it is shown.

    Raises:
        InputError: neither of them, larger than an image may be, or damaged.
    """
    from PIL import Image

    check_file(path)
    number = 0
    try:
        with Image.open(path, formats=("GIF", "WEBP")) as image:
            check_pixels(path, *image.size)
            for number in range(getattr(image, "n_frames", 1)):
                image.seek(number)
                yield np.array(image.convert("RGB"))
    except InputError:
        raise
    # Pillow has no common error for damaged files.
    except Exception as error:
        raise InputError(
            f"{path}: expected a GIF or WebP, received a file of which picture {number + 1} does "
            f"not decode ({' '.join(str(error).split())[:100]})"
        ) from error


def count_animation(path: Path) -> int:
    """Pictures of a GIF or WebP; 0 where it is neither."""
    from PIL import Image

    try:
        with Image.open(path, formats=("GIF", "WEBP")) as image:
            return int(getattr(image, "n_frames", 1))
    except Exception:
        return 0


def in_rgb(image: npt.NDArray[Any]) -> Picture:
    """An image as OpenCV has it: HxW, HxWx3 or HxWx4 in BGR order; HxWx3 is turned in place."""
    if image.ndim == 2:
        return image
    if image.shape[2] != 3:
        return np.ascontiguousarray(image[..., 2::-1])
    blue = image[..., 0].copy()
    image[..., 0] = image[..., 2]
    image[..., 2] = blue
    return image


def _largest_page(path: Path) -> int:
    """Pixels of the largest page; those of `PIXELS_AT_ONCE` where nobody can say."""
    from PIL import Image

    largest = 1
    try:
        with Image.open(path, formats=("TIFF",)) as image:
            for number in range(getattr(image, "n_frames", 1)):
                image.seek(number)
                largest = max(largest, image.width * image.height)
    # A kind of pixels that Pillow does not know, or damage: both are no reason to refuse.
    except Exception:
        return PIXELS_AT_ONCE
    return largest
