"""Two sibling folders of equal stems (RoadScene, M3FD, your own), MSRS and LLVIP."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import cast

from ladle_rt.datasets.lists import without_suffix
from ladle_rt.datasets.pairs import (
    LIGHTS,
    Light,
    Pair,
    images_by_stem,
    is_image,
    match,
    name_of,
    subfolders,
)
from ladle_rt.errors import DatasetError

FOLDER_NAMES = (
    ("ir", "vi"),
    ("ir", "vis"),
    ("cropinfrared", "crop_hr_visible"),
    ("cropinfrared", "crop_lr_visible"),
    ("lwir", "visible"),
    ("infrared", "visible"),
    ("thermal", "visible"),
    ("thermal", "rgb"),
    ("ir", "rgb"),
)
"""Folder names, thermal then visible, in any case, that hold pairs of equal stems."""
PAIR_TABLE = "pairs.csv"
"""Optional table beside the folders with columns ``file``, ``split``, ``block``, ``light``."""

_MODALITIES = frozenset(name for names in FOLDER_NAMES for name in names)
_SPLITS = ("train", "test")

Place = tuple[str, Path, Path]
"""A split, empty where there is none, and its thermal and visible folders."""


def is_folders(root: Path) -> bool:
    """Whether a folder holds two folders by the names of `FOLDER_NAMES`."""
    return _modalities(root) is not None


def find_folders(root: Path) -> list[Pair]:
    """Pairs of two sibling folders (`FOLDER_NAMES`), facts from ``pairs.csv`` where there is one.

    Raises:
        DatasetError: no such folders, two images with one stem, no image with a partner, or a
            table that does not fit.
    """
    folders = _modalities(root)
    if folders is None:
        raise DatasetError(
            f"{root}: expected two folders of equal stems such as "
            f"{', '.join('/'.join(names) for names in FOLDER_NAMES[:3])}, found neither"
        )
    pairs = _find([("", *folders)], root)
    table = root / PAIR_TABLE
    return _with_table(pairs, table) if table.is_file() else pairs


def is_msrs(root: Path) -> bool:
    """Whether a folder is MSRS: its stems are digits and ``D`` or ``N``."""
    places = _msrs_places(root)
    if not places or places[0][1].name.lower() != "ir" or (root / PAIR_TABLE).is_file():
        return False
    names = filter(is_image, os.listdir(places[0][1]))
    fits = [bool(re.match(r"\d+[DN]\.", name)) for name in names]
    return bool(fits) and all(fits)


def find_msrs(root: Path) -> list[Pair]:
    """MSRS: ``[{train,test}/]{vi,ir}/#####{D,N}``; the letter says day or night.

    Raises:
        DatasetError: no such folders, two images with one stem, or no image with a partner.
    """
    places = _msrs_places(root)
    if not places:
        raise DatasetError(f"{root}: expected MSRS ([train/ or test/] ir and vi), found neither")
    lights: dict[str, Light] = {"D": "day", "N": "night"}
    return [
        replace(pair, light=lights.get(pair.name[-1], "unknown")) for pair in _find(places, root)
    ]


def is_llvip(root: Path) -> bool:
    """Whether a folder is LLVIP: splits inside the modalities, stems of six digits."""
    return any(
        re.match(r"\d{6}\.", name)
        for _, thermal, _ in _llvip_places(root)
        for name in os.listdir(thermal)
        if is_image(name)
    )


def find_llvip(root: Path) -> list[Pair]:
    """LLVIP: ``{visible,infrared}/{train,test}/######``, street cameras by night.

    The first two digits of a stem are the camera's place: that is its sequence.

    Raises:
        DatasetError: no such folders, two images with one stem, or no image with a partner.
    """
    places = _llvip_places(root)
    if not places:
        raise DatasetError(
            f"{root}: expected LLVIP (infrared/train, visible/train and test), found neither"
        )
    return [
        replace(pair, light="night", sequence=pair.name.rpartition("/")[2][:2])
        for pair in _find(places, root)
    ]


def folder_key(line: str) -> str:
    """An image's path as its pair is named: without suffix and without the modality's folder."""
    *folders, stem = without_suffix(line).split("/")
    return "/".join([*(name for name in folders if name.lower() not in _MODALITIES), stem])


def _find(places: Iterable[Place], root: Path) -> list[Pair]:
    """Pairs of all places, in the order of the places."""
    thermal: dict[str, Path] = {}
    visible: dict[str, Path] = {}
    splits: dict[str, str] = {}
    order: dict[str, int] = {}
    for split, *folders in places:
        order[split] = len(order)
        for found, folder in zip((thermal, visible), folders, strict=True):
            for stem, path in images_by_stem(folder).items():
                name = f"{split}/{stem}" if split else stem
                found[name], splits[name] = path, split
    pairs = [
        Pair(path, other, name, name_of(root), "unknown", splits[name], root)
        for name, path, other in match(thermal, visible, root)
    ]
    return sorted(pairs, key=lambda pair: order[pair.split])


def _modalities(folder: Path) -> tuple[Path, Path] | None:
    found = subfolders(folder)
    for thermal, visible in FOLDER_NAMES:
        if thermal in found and visible in found:
            return found[thermal], found[visible]
    return None


def _msrs_places(root: Path) -> list[Place]:
    found = subfolders(root)
    bases = [(split, found[split]) for split in _SPLITS if split in found] or [("", root)]
    return [(split, *pair) for split, base in bases if (pair := _modalities(base))]


def _llvip_places(root: Path) -> list[Place]:
    found = subfolders(root)
    if not {"infrared", "visible"} <= found.keys():
        return []
    thermal, visible = subfolders(found["infrared"]), subfolders(found["visible"])
    return [
        (split, thermal[split], visible[split])
        for split in _SPLITS
        if split in thermal and split in visible
    ]


def _with_table(pairs: list[Pair], table: Path) -> list[Pair]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            rows = {Path(row.get("file") or "").stem: row for row in csv.DictReader(stream)}
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{table}: expected a UTF-8 table, received: {error}") from error
    missing = [pair.name for pair in pairs if pair.name not in rows]
    if missing:
        raise DatasetError(f"{table}: expected a row for every pair, none for {missing[0]!r}")
    result = []
    for pair in pairs:
        row = rows[pair.name]
        light = row.get("light") or "unknown"
        if light not in LIGHTS:
            raise DatasetError(f"{table}: light must be one of {LIGHTS}, received {light!r}")
        result.append(
            replace(
                pair,
                split=row.get("split") or "",
                sequence=row.get("block") or pair.sequence,
                light=cast(Light, light),
            )
        )
    return result
