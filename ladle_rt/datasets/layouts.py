"""Dataset layouts by name, and how to recognise each."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ladle_rt.datasets.flir import find_flir, flir_key, is_flir
from ladle_rt.datasets.folders import (
    FOLDER_NAMES,
    find_folders,
    find_llvip,
    find_msrs,
    folder_key,
    is_folders,
    is_llvip,
    is_msrs,
)
from ladle_rt.datasets.kaist import find_kaist, is_kaist, kaist_key
from ladle_rt.datasets.lists import read_image_list, select
from ladle_rt.datasets.pairs import Pair
from ladle_rt.datasets.splits import LEAKY_SPLITS, leaky_split
from ladle_rt.errors import DatasetError, InputNotFoundError, LadleError


@dataclass(frozen=True, slots=True)
class Layout:
    """One way of arranging pairs on disk."""

    matches: Callable[[Path], bool]
    """Whether a folder is arranged this way."""
    find: Callable[[Path], list[Pair]]
    """All its pairs: at least one."""
    key: Callable[[str], str]
    """The pair's name in a line of an image list."""


LAYOUTS: dict[str, Layout] = {
    "kaist": Layout(is_kaist, find_kaist, kaist_key),
    "flir-aligned": Layout(is_flir, find_flir, flir_key),
    "llvip": Layout(is_llvip, find_llvip, folder_key),
    "msrs": Layout(is_msrs, find_msrs, folder_key),
    "folders": Layout(is_folders, find_folders, folder_key),
}
"""Layouts in the order in which ``auto`` tries them; RoadScene and M3FD are cases of ``folders``.

``folders`` comes last: flat KAIST, LLVIP and MSRS have such folders too, and say more.
"""


def recognise(root: Path) -> str:
    """The layout of a dataset, a key of `LAYOUTS`.

    Raises:
        DatasetError: none fits.
    """
    names = sorted(name for name in os.listdir(root) if not name.startswith("."))
    if not names:
        raise DatasetError(f"{root}: expected a dataset, recognised none in an empty folder")
    for name, layout in LAYOUTS.items():
        if layout.matches(root):
            return name
    raise DatasetError(
        f"{root}: expected KAIST, aligned FLIR, LLVIP, MSRS or two folders of equal stems "
        f"({'/'.join(FOLDER_NAMES[0])}, ...), recognised none in: "
        f"{', '.join(names[:4])}{', ...' * (len(names) > 4)}"
    )


def find_pairs(
    root: Path, layout: str = "auto", split: str | None = None, image_list: Path | None = None
) -> list[Pair]:
    """Find the pairs of a dataset.

    Args:
        root: the dataset's folder.
        layout: a key of `LAYOUTS`, or ``auto`` to recognise it.
        split: keep only this split of the dataset's own, or one of `LEAKY_SPLITS`, drawn over
            all its frames; ``None`` keeps all.
        image_list: text file with one pair name per line; keep only these, in its order.

    Returns:
        At least one pair, in a stable order.

    Raises:
        InputNotFoundError: no such folder.
        DatasetError: unknown layout, nothing recognised, a folder that cannot be read, or nothing
            left after filtering.
    """
    if layout != "auto" and layout not in LAYOUTS:
        raise DatasetError(f"layout must be auto or one of {sorted(LAYOUTS)}, received {layout!r}")
    try:
        if not root.is_dir():
            if root.exists():
                raise DatasetError(f"{root}: expected a dataset folder, received a file")
            raise InputNotFoundError(f"{root}: expected a dataset folder, found none")
        chosen = LAYOUTS[recognise(root) if layout == "auto" else layout]
        pairs = chosen.find(root)
    except LadleError:
        raise
    except OSError as error:
        raise DatasetError(
            f"{error.filename or root}: expected a readable folder, received: {error.strerror}"
        ) from error
    if split in LEAKY_SPLITS:
        pairs = leaky_split(pairs)
    if image_list is not None:
        pairs = select(pairs, read_image_list(image_list), image_list, chosen.key)
    return pairs if split is None else _of_split(pairs, split, root)


def _of_split(pairs: list[Pair], split: str, root: Path) -> list[Pair]:
    kept = [pair for pair in pairs if pair.split == split]
    if kept:
        return kept
    if split in LEAKY_SPLITS:
        raise DatasetError(f"{root}: none of the {len(pairs)} listed pairs is in {split}")
    splits = sorted({pair.split for pair in pairs} - {""})
    leaky = list(LEAKY_SPLITS)
    choice = f"{splits} or {leaky}" if splits else f"{leaky}: the dataset states none of its own"
    raise DatasetError(f"{root}: split must be one of {choice}; received {split!r}")
