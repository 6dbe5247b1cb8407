"""A pair, and pairing by name: never by position in a listing, since counts drift."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ladle_rt.datasets.read_image import SUFFIXES
from ladle_rt.errors import DatasetError

logger = logging.getLogger("ladle_rt")

Light = Literal["day", "night", "dusk", "unknown"]
LIGHTS: tuple[Light, ...] = get_args(Light)


@dataclass(frozen=True, slots=True)
class Pair:
    """One thermal image and the visible image of the same moment."""

    thermal: Path
    visible: Path
    name: str
    """Unique within the dataset; for KAIST ``setXX/VYYY/I#####``."""
    sequence: str
    """Drive or video the pair comes from; never split inside one."""
    light: Light
    split: str
    """``train``, ``val`` or ``test``; empty where the dataset states none."""
    root: Path
    """Folder of the dataset the pair comes from."""


def name_of(root: Path) -> str:
    """What a dataset's folder is called, also where it is given as ``.``."""
    return os.path.basename(os.path.abspath(root))


def is_image(name: str) -> bool:
    """Whether a file name is an image's, and not a hidden file's."""
    return os.path.splitext(name)[1].lower() in SUFFIXES and not name.startswith(".")


def subfolders(folder: Path) -> dict[str, Path]:
    """Folders directly in a folder, by lower-case name: archives differ in their spelling."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir())
    return {name.lower(): folder / name for name in names}


def images_by_stem(folder: Path) -> dict[str, Path]:
    """Images directly in a folder, by stem.

    Raises:
        DatasetError: two images with one stem.
    """
    found: dict[str, Path] = {}
    for name in sorted(os.listdir(folder)):
        if is_image(name):
            stem = os.path.splitext(name)[0]
            if stem in found:
                raise DatasetError(
                    f"{folder}: expected one image per stem, received {found[stem].name} "
                    f"and {name}; remove one"
                )
            found[stem] = folder / name
    return found


def match(
    thermal: Mapping[str, Path], visible: Mapping[str, Path], root: Path
) -> list[tuple[str, Path, Path]]:
    """Pairs of equal keys, sorted by key; images without a partner are told in one warning.

    Raises:
        DatasetError: no key is in both.
    """
    shared = sorted(thermal.keys() & visible.keys())
    if not shared:
        seen = " and ".join(
            _count(side, images.values(), root, "such as")
            for side, images in (("thermal", thermal), ("visible", visible))
        )
        raise DatasetError(
            f"{root}: no thermal image has a visible partner of the same name; found {seen}"
        )
    single = [
        f"{_count(side, [own[key] for key in sorted(lonely)], root, 'first')} "
        f"without a {partner} partner"
        for side, own, lonely, partner in (
            ("thermal", thermal, thermal.keys() - visible.keys(), "visible"),
            ("visible", visible, visible.keys() - thermal.keys(), "thermal"),
        )
        if lonely
    ]
    if single:
        logger.warning("%s: left out %s", root, " and ".join(single))
    return [(key, thermal[key], visible[key]) for key in shared]


def _count(side: str, images: Iterable[Path], root: Path, word: str) -> str:
    paths = list(images)
    number = f"{len(paths) or 'no'} {side} image{'s' * (len(paths) != 1)}"
    return f"{number} ({word} {os.path.relpath(paths[0], root)})" if paths else number
