"""FLIR ADAS, the aligned pairs (Zhang et al., ICIP 2020; Teledyne terms).

``JPEGImages/FLIR_#####_{RGB.jpg,PreviewData.jpeg}``, bare or below ``align``, with the lists
``align_train.txt`` and ``align_validation.txt`` (``FLIR_#####_PreviewData`` per line) above or
beside it. The images in ``AnnotatedImages`` have the same names and boxes drawn on them: they
are no pairs.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from ladle_rt.datasets.lists import read_image_list
from ladle_rt.datasets.pairs import Pair, images_by_stem, is_image, match, name_of, subfolders

logger = logging.getLogger("ladle_rt")

_LISTS = {"align_train.txt": "train", "align_validation.txt": "val"}
_STEM = re.compile(r"(FLIR_\d+)_(RGB|PreviewData)")
_NAME = re.compile(r"FLIR_\d+")


def is_flir(root: Path) -> bool:
    """Whether a folder holds the aligned FLIR pairs."""
    return any(_STEM.match(name) and is_image(name) for name in os.listdir(_images(root)))


def find_flir(root: Path) -> list[Pair]:
    """All pairs, sorted by number; their splits from the lists where there are any.

    Raises:
        DatasetError: no image with a partner, or a list that cannot be read.
    """
    images = _images(root)
    found: dict[str, dict[str, Path]] = {"PreviewData": {}, "RGB": {}}
    for stem, path in images_by_stem(images).items():
        parts = _STEM.fullmatch(stem)
        if parts:
            found[parts[2]][parts[1]] = path
    pairs = match(found["PreviewData"], found["RGB"], root)
    splits = _splits(images, root)
    absent = sorted(splits.keys() - {name for name, _, _ in pairs})
    if absent:
        logger.warning(
            "%s: %d of %d images in its lists are not there, first %s",
            *(root, len(absent), len(splits), absent[0]),
        )
    return [
        Pair(thermal, visible, name, name_of(root), "unknown", splits.get(name, ""), root)
        for name, thermal, visible in pairs
    ]


def flir_key(line: str) -> str:
    """The pair's name in a line of an image list, ``FLIR_#####``."""
    found = _NAME.search(line)
    return found[0] if found else line


def _images(root: Path) -> Path:
    """The folder of the images: below ``root``, or ``root`` itself."""
    found = subfolders(root)
    if "jpegimages" in found:
        return found["jpegimages"]
    return subfolders(found["align"]).get("jpegimages", root) if "align" in found else root


def _splits(images: Path, root: Path) -> dict[str, str]:
    """Names in the lists, each with its split."""
    above = images.parent
    places = (images, above, above / "ImageSets" / "Main", above / "Annotations", root)
    splits = {}
    # Validation comes last: an image in both lists is not trained on.
    for file, split in _LISTS.items():
        path = next((place / file for place in places if (place / file).is_file()), None)
        if path is not None:
            splits.update(dict.fromkeys(map(flir_key, read_image_list(path)), split))
    return splits
