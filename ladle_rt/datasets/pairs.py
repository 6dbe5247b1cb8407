"""A pair, and pairing by name: never by position in a listing, since counts drift."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ladle_rt.datasets.images import SUFFIXES
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


def images_by_stem(folder: Path) -> dict[str, Path]:
    """Images directly in a folder, by stem.

    Raises:
        DatasetError: two images with one stem.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES:
            if path.stem in found:
                raise DatasetError(
                    f"{folder}: expected one image per stem, received {found[path.stem].name} "
                    f"and {path.name}; remove one"
                )
            found[path.stem] = path
    return found


def match(
    thermal: Mapping[str, Path], visible: Mapping[str, Path], origin: Path
) -> list[tuple[str, Path, Path]]:
    """Pairs of equal keys, sorted by key; images without a partner are counted in one warning."""
    shared = sorted(thermal.keys() & visible.keys())
    single = len(thermal) + len(visible) - 2 * len(shared)
    if single:
        logger.warning("%s: %d images have no partner and are left out", origin, single)
    return [(key, thermal[key], visible[key]) for key in shared]


def read_image_list(path: Path) -> list[str]:
    """Names in an image list, one per line; blank lines are skipped.

    Raises:
        DatasetError: the list is missing, empty or not text.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: expected an image list, received {error}") from error
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise DatasetError(f"{path}: expected one image name per line, received an empty list")
    return names


def select(pairs: Iterable[Pair], names: Iterable[str], origin: Path) -> list[Pair]:
    """The named pairs, in the list's order.

    Raises:
        DatasetError: the list names a pair that is not there.
    """
    by_name = {pair.name: pair for pair in pairs}
    wanted = list(names)
    missing = [name for name in wanted if name not in by_name]
    if missing:
        raise DatasetError(
            f"{origin}: {len(missing)} of {len(wanted)} listed images are not in the dataset, "
            f"first {missing[0]!r}"
        )
    return [by_name[name] for name in wanted]
