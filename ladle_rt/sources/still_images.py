"""Still thermal images: which files are meant, and how they become thermal pixels."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ladle_rt.datasets.read_image import decode
from ladle_rt.errors import FalseColourError, InputError, InputNotFoundError
from ladle_rt.frames import ThermalPixels
from ladle_rt.sources.pixel_layouts import COLOURED_SHARE, NEUTRAL_TOLERANCE, share_without_bar
from ladle_rt.sources.stills.decode import SUFFIXES, Decoded, decode_pictures
from ladle_rt.temperature import Temperatures
from ladle_rt.thermal.scene_reader import ReadOptions, SceneReader
from ladle_rt.thermal.validity import Mask

logger = logging.getLogger("ladle_rt")

MOST_JUDGED = 1 << 21
"""Pixels by which colour is judged."""


def list_images(inputs: Sequence[Path], recursive: bool = False) -> list[Path]:
    """Files as given, folders as the images in them, sorted by name.

    Args:
        inputs: files and folders.
        recursive: sub-folders too; otherwise a warning names what they would have given.

    Raises:
        InputNotFoundError: a path that does not exist.
        InputError: a folder without images.
    """
    found: list[Path] = []
    for path in inputs:
        if path.is_dir():
            found.extend(_list_folder(path, recursive))
        elif path.exists():
            found.append(path)
        else:
            raise InputNotFoundError(f"{path}: no such file or folder")
    return found


def _list_folder(folder: Path, recursive: bool) -> list[Path]:
    # Not `Path.walk`, which is of Python 3.12; links to folders are not followed.
    everything = [path for path in sorted(folder.rglob("*")) if _visible(path, folder)]
    images = [path for path in everything if path.suffix.lower() in SUFFIXES]
    here = images if recursive else [path for path in images if path.parent == folder]
    deeper = len(images) - len(here)
    if not here:
        hint = f"; {deeper} lie in its sub-folders, add --recursive" if deeper else ""
        raise InputError(f"{folder}: expected a folder with images, found none in it{hint}")
    if deeper:
        logger.warning(
            "%s: %d images in its sub-folders are left out; --recursive takes them", folder, deeper
        )
    known = set(images)
    left = [path for path in everything if path not in known]
    other = [path.name for path in left if recursive or path.parent == folder]
    if other:
        names = ", ".join(other[:3]) + (", ..." if len(other) > 3 else "")
        logger.warning("%s: %d files are no images and are left out: %s", folder, len(other), names)
    return here


def _visible(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return not hidden and path.is_file()


def read_still(
    path: Path, allow_colour: bool = False, options: ReadOptions | None = None
) -> ThermalPixels:
    """Read one thermal image, the first of a file that holds several.

    Args:
        path: see `ladle_rt.sources.stills.decode.SUFFIXES`; EXIF orientation is applied.
        allow_colour: take the luminance of a coloured image instead of refusing it.
        options: what the file holds.

    Returns:
        HxW, uint8 or uint16; integers in the file's own counts where they are that deep, owned
        by the caller.

    Raises:
        InputNotFoundError: no such file.
        InputError: not an image.
        FalseColourError: a colour palette instead of intensities.
    """
    return next(read_stills(path, allow_colour, options))


def read_stills(
    path: Path, allow_colour: bool = False, options: ReadOptions | None = None
) -> Iterator[ThermalPixels]:
    """`read_still` of every picture in a file.

    Args:
        path: as there, as are the next two.
        allow_colour: see above.
        options: see above.
    """
    for pixels, _ in read_scenes(path, allow_colour, options):
        yield pixels


def read_scenes(
    path: Path,
    allow_colour: bool = False,
    options: ReadOptions | None = None,
    reader: SceneReader | None = None,
) -> Iterator[tuple[ThermalPixels, Temperatures | None]]:
    """`read_stills` with the degrees of each picture's counts, where they are known.

    Args:
        path: as there, as are the next two.
        allow_colour: see above.
        options: see above.
        reader: goes on with it where files belong together.
    """
    options = options or ReadOptions()
    reader = reader or scene_reader(options, str(path))
    for decoded in decode_pictures(path, options):
        yield _scene(decoded, reader, path, allow_colour, options), reader.celsius


def scene_reader(options: ReadOptions, name: str, *, live: bool = False) -> SceneReader:
    """A `SceneReader` with its mask, read.

    Raises:
        InputNotFoundError: no such mask.
        InputError: the mask is not an image.
    """
    mask: Mask | None = None
    if options.mask is not None:
        mask = decode(options.mask, cv2.IMREAD_GRAYSCALE) < 128
    return SceneReader(options, name, mask, live=live)


def _scene(
    decoded: Decoded, reader: SceneReader, path: Path, allow_colour: bool, options: ReadOptions
) -> ThermalPixels:
    image = decoded.pixels
    if image.ndim == 2:
        return reader.read(image, decoded.invalid, decoded.celsius)
    if image.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{path}: expected one channel of {image.dtype}, received a colour image")
    if options.from_palette is not None:
        eight: Any = image if image.dtype == np.uint8 else (image >> 8).astype(np.uint8)
        return reader.read_colours(eight)
    if options.crop is not None:
        x, y, width, height = options.crop
        judged = image[y : y + height, x : x + width]
    else:
        judged = image
    if judged.size and _coloured_share(judged) > COLOURED_SHARE:
        if not allow_colour:
            raise FalseColourError(
                f"{path}: expected thermal intensities, received a colour palette; record "
                "white-hot, turn it back with --from-palette auto, cut to the grey part with "
                "--crop X,Y,W,H, or use its luminance with --allow-colour"
            )
        logger.warning("%s: coloured; its luminance is used as the thermal image", path)
    gray: Any = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return reader.read(gray, decoded.invalid)


def _coloured_share(image: npt.NDArray[Any]) -> float:
    """Of HxWx3, by samples where it is larger than cameras deliver; see `share_without_bar`."""
    step = math.ceil(math.sqrt(image.shape[0] * image.shape[1] / MOST_JUDGED))
    few = image[::step, ::step]
    limit = 2 * NEUTRAL_TOLERANCE * (257 if image.dtype == np.uint16 else 1)
    return share_without_bar(few.max(axis=2) - few.min(axis=2) > limit)
