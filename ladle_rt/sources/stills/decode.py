"""Pictures out of a file of any kind that holds some."""

from __future__ import annotations

import logging
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.datasets.read_image import SUFFIXES as IMAGES
from ladle_rt.datasets.read_image import check_file, check_pixels, decode
from ladle_rt.errors import InputError, InputNotFoundError
from ladle_rt.sources.stills import flir_radiometric
from ladle_rt.sources.stills.stack_pages import (
    STILL_FLAGS,
    animation,
    count_animation,
    count_pages,
    in_rgb,
    tiff_pages,
)
from ladle_rt.sources.stills.tiff_units import tiff_scale
from ladle_rt.temperature import Temperatures
from ladle_rt.thermal.scene_reader import ReadOptions
from ladle_rt.thermal.validity import Mask

logger = logging.getLogger("ladle_rt.input")

DUMPS = frozenset({".y16", ".raw"})
"""Raw 16-bit counts, little-endian, without a header."""
FLIR = frozenset({".fff", ".seq", ".csq"})
SUFFIXES = IMAGES | DUMPS | FLIR | {".pgm", ".pnm", ".npy", ".gif", ".jp2"}
"""File name endings, lower case, that count as thermal pictures."""
MANY = frozenset({".tif", ".tiff", ".npy", ".gif", ".webp"}) | DUMPS | FLIR
"""Of those, the ones that may hold several."""
REFUSED = {
    ".ats": "FLIR ATS",
    ".bmt": "Testo BMT",
    ".irg": "InfiRay IRG",
    ".is2": "Fluke IS2",
    ".is3": "Fluke IS3",
    ".jpp": "Guide JPP",
    ".ptw": "Cedip PTW",
    ".sfmov": "FLIR SFMOV",
}
"""Vendors' files that are not read, with their names."""
DJI_HEAD = 1 << 16
"""Bytes in which a DJI camera's EXIF and first raw segment lie."""
OPAQUE = 0.5
"""Alpha below this share is not scene."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One picture as its file has it."""

    pixels: npt.NDArray[Any]
    """HxW of any real dtype, or HxWx3 in RGB order."""
    invalid: Mask | None = None
    """Where it is transparent."""
    celsius: Temperatures | None = None
    """Degrees of the values as they are here, where the file says."""


def decode_pictures(path: Path, options: ReadOptions) -> Iterator[Decoded]:
    """Every picture of a file, in order.

    Raises:
        InputNotFoundError: no such file.
        InputError: not a picture, damaged, or a raw dump without ``options.raw_size``.
    """
    suffix = path.suffix.lower()
    head = _head(path)
    if head.startswith(flir_radiometric.MAGIC):
        # Recordings may be larger than the memory.
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for counts, planck in flir_radiometric.fff_frames(data, str(path)):
                yield Decoded(counts, celsius=planck)
    elif suffix in REFUSED:
        raise InputError(
            f"{path}: {REFUSED[suffix]} files are not read; export 16-bit TIFF in the maker's "
            "program"
        )
    elif suffix in FLIR:
        raise InputError(f"{path}: expected a FLIR FFF or SEQ file, received another kind of file")
    elif head.startswith(b"\x93NUMPY") or suffix == ".npy":
        yield from _array(path)
    elif suffix in DUMPS:
        yield from _dump(path, options.raw_size)
    elif suffix in (".tif", ".tiff"):
        scale = tiff_scale(path)
        yield from (Decoded(page, celsius=scale) for page in tiff_pages(path))
    elif suffix in (".gif", ".webp"):
        yield from map(Decoded, animation(path))
    elif head.startswith(b"\xff\xd8"):
        yield _jpeg(path)
    else:
        yield _still(path)


def count_pictures(path: Path, options: ReadOptions) -> int:
    """How many pictures a file holds; 1 where only reading it could tell that it is none.

    Raises:
        InputNotFoundError: no such file.
    """
    suffix = path.suffix.lower()
    if suffix not in MANY:
        return 1
    try:
        if suffix in (".tif", ".tiff"):
            return max(1, count_pages(path))
        if suffix in (".gif", ".webp"):
            return max(1, count_animation(path))
        return max(1, sum(1 for _ in decode_pictures(path, options)))
    except InputNotFoundError:
        raise
    except InputError:
        return 1


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(16)
    except FileNotFoundError as error:
        raise InputNotFoundError(f"{path}: no such image") from error
    except OSError as error:
        raise InputError(f"{path}: expected an image file, received {error.strerror}") from error


def _still(path: Path) -> Decoded:
    invalid = _transparent(path) if _png_has_alpha(path) else None
    pixels = in_rgb(decode(path, STILL_FLAGS))
    fits = invalid is not None and invalid.shape == pixels.shape[:2]
    return Decoded(pixels, invalid if fits else None)


def _transparent(path: Path) -> Mask | None:
    whole = decode(path, cv2.IMREAD_UNCHANGED)
    if whole.ndim != 3 or whole.shape[2] != 4:
        return None
    transparent: Mask = whole[..., 3] < OPAQUE * np.iinfo(whole.dtype).max
    return transparent


def _jpeg(path: Path) -> Decoded:
    check_file(path)
    jpeg = path.read_bytes()
    fff = flir_radiometric.embedded_fff(jpeg)
    if fff is not None:
        try:
            counts, scale = next(flir_radiometric.fff_frames(fff, str(path)))
        except InputError as error:
            logger.warning("%s; the picture itself is read instead", error)
        else:
            logger.info("%s: FLIR radiometric JPEG; its raw counts are read", path)
            return Decoded(counts, celsius=scale)
    elif b"DJI" in jpeg[:DJI_HEAD] and b"\xff\xe3" in jpeg[:DJI_HEAD]:
        logger.info(
            "%s: DJI R-JPEG; its raw data needs DJI's Thermal SDK, the picture is read", path
        )
    return Decoded(in_rgb(decode(path, STILL_FLAGS)))


def _array(path: Path) -> Iterator[Decoded]:
    try:
        array: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError, TokenError) as error:
        # The last two: numpy reads the header as Python's literals.
        raise InputError(f"{path}: not a NumPy array that can be read ({error})") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf" or not array.size:
        raise InputError(f"{path}: expected an array of numbers, HxW or NxHxW")
    if array.ndim in (3, 4) and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim > 1:
        rows = -3 if array.shape[-1] == 3 and array.ndim > 2 else -2
        check_pixels(path, array.shape[rows + 1], array.shape[rows])
    colour = array.ndim == 3 and array.shape[-1] == 3 and array.dtype == np.uint8
    if colour or array.ndim == 2:
        yield Decoded(np.array(array))
    elif array.ndim == 3:
        for one in array:
            yield Decoded(np.array(one))
    else:
        shape = "x".join(map(str, array.shape))
        raise InputError(f"{path}: expected an array HxW or NxHxW, received {shape}")


def _dump(path: Path, size: tuple[int, int] | None) -> Iterator[Decoded]:
    total = path.stat().st_size
    if size is None:
        raise InputError(
            f"{path}: raw 16-bit counts do not say their size ({total} bytes); "
            "give it: --raw-size WIDTHxHEIGHT"
        )
    width, height = size
    check_pixels(path, width, height)
    frame = 2 * width * height
    if not total or total % frame:
        raise InputError(
            f"{path}: expected frames of {width}x{height}, {frame} bytes each, received "
            f"{total} bytes; give another --raw-size"
        )
    with path.open("rb") as file:
        while data := file.read(frame):
            if len(data) == frame:
                yield Decoded(np.frombuffer(data, "<u2").reshape(height, width).copy())


def _png_has_alpha(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(1 << 12)
    # The colour type of IHDR; the palette's transparency comes before the pixels.
    return (
        head.startswith(b"\x89PNG") and len(head) > 25 and (head[25] in (4, 6) or b"tRNS" in head)
    )
