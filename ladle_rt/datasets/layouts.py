"""Dataset layouts by name, and how to recognise each."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from ladle_rt.datasets.kaist import find_kaist, is_kaist
from ladle_rt.datasets.pairs import (
    LIGHTS,
    Light,
    Pair,
    images_by_stem,
    match,
    read_image_list,
    select,
)
from ladle_rt.errors import DatasetError, InputNotFoundError

FOLDER_NAMES = (
    ("ir", "vi"),
    ("cropinfrared", "crop_HR_visible"),
    ("cropinfrared", "crop_LR_visible"),
    ("lwir", "visible"),
    ("infrared", "visible"),
    ("thermal", "visible"),
    ("thermal", "rgb"),
    ("ir", "rgb"),
)
"""Folder names, thermal then visible, that hold pairs of equal stems."""
PAIR_TABLE = "pairs.csv"
"""Optional table beside the folders with columns ``file``, ``split``, ``block``, ``light``."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One way of arranging pairs on disk."""

    matches: Callable[[Path], bool]
    find: Callable[[Path], list[Pair]]


def find_folders(root: Path) -> list[Pair]:
    """Pairs of two sibling folders (`FOLDER_NAMES`), facts from ``pairs.csv`` where there is one.

    Raises:
        DatasetError: no such folders, two images with one stem, or a table that does not fit.
    """
    folders = _folders(root)
    if folders is None:
        raise DatasetError(
            f"{root}: expected two folders of equal stems such as "
            f"{', '.join('/'.join(names) for names in FOLDER_NAMES[:3])}, found neither"
        )
    thermal, visible = (images_by_stem(folder) for folder in folders)
    pairs = [
        Pair(path, other, stem, root.name, "unknown", "")
        for stem, path, other in match(thermal, visible, root)
    ]
    table = root / PAIR_TABLE
    return _with_table(pairs, table) if table.is_file() else pairs


def find_msrs(root: Path) -> list[Pair]:
    """MSRS: ``[{train,test}/]{vi,ir}/#####{D,N}``; the letter says day or night."""
    splits = [name for name in ("train", "test") if (root / name).is_dir()]
    found = [(name, pair) for name in splits for pair in find_folders(root / name)]
    if not splits:
        found = [("", pair) for pair in find_folders(root)]
    lights: dict[str, Light] = {"D": "day", "N": "night"}
    return [
        replace(
            pair,
            name=f"{split}/{pair.name}" if split else pair.name,
            light=lights.get(pair.name[-1], "unknown"),
            split=split,
        )
        for split, pair in found
    ]


def _folders(root: Path) -> tuple[Path, Path] | None:
    for names in FOLDER_NAMES:
        thermal, visible = (root / name for name in names)
        if thermal.is_dir() and visible.is_dir():
            return thermal, visible
    return None


def _is_msrs(root: Path) -> bool:
    base = root / "train" if (root / "train").is_dir() else root
    folders = _folders(base)
    if folders is None or folders[0].name != "ir" or (root / PAIR_TABLE).is_file():
        return False
    stems = images_by_stem(folders[0])
    return bool(stems) and all(stem[:-1].isdigit() and stem[-1] in "DN" for stem in stems)


def _with_table(pairs: list[Pair], table: Path) -> list[Pair]:
    with table.open(encoding="utf-8", newline="") as stream:
        rows = {Path(row.get("file") or "").stem: row for row in csv.DictReader(stream)}
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


LAYOUTS: dict[str, Layout] = {
    "kaist": Layout(is_kaist, find_kaist),
    "msrs": Layout(_is_msrs, find_msrs),
    "folders": Layout(lambda root: _folders(root) is not None, find_folders),
}
"""Layouts in the order in which ``auto`` tries them; RoadScene is a case of ``folders``."""


def find_pairs(
    root: Path, layout: str = "auto", split: str | None = None, image_list: Path | None = None
) -> list[Pair]:
    """Find the pairs of a dataset.

    Args:
        root: the dataset's folder.
        layout: a key of `LAYOUTS`, or ``auto`` to recognise it.
        split: keep only this split; ``None`` keeps all.
        image_list: text file with one pair name per line; keep only these, in its order.

    Returns:
        At least one pair, in a stable order.

    Raises:
        InputNotFoundError: no such folder.
        DatasetError: unknown layout, nothing recognised, or nothing left after filtering.
    """
    if not root.is_dir():
        raise InputNotFoundError(f"{root}: expected a dataset folder, found none")
    if layout != "auto" and layout not in LAYOUTS:
        raise DatasetError(f"layout must be auto or one of {sorted(LAYOUTS)}, received {layout!r}")
    if layout == "auto":
        chosen = next((entry for entry in LAYOUTS.values() if entry.matches(root)), None)
        if chosen is None:
            raise DatasetError(
                f"{root}: expected KAIST, MSRS or two folders of equal stems "
                f"({'/'.join(FOLDER_NAMES[0])}, ...), recognised none"
            )
    else:
        chosen = LAYOUTS[layout]
    pairs = chosen.find(root)
    if not pairs:
        raise DatasetError(f"{root}: no thermal image has a visible partner of the same name")
    if image_list is not None:
        pairs = select(pairs, read_image_list(image_list), image_list)
    if split is not None:
        splits = sorted({pair.split for pair in pairs})
        pairs = [pair for pair in pairs if pair.split == split]
        if not pairs:
            raise DatasetError(f"{root}: split must be one of {splits}, received {split!r}")
    return pairs
