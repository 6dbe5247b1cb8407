"""KAIST multispectral pedestrian dataset (CC BY-NC-SA 4.0).

Every published arrangement spells the same three facts into the path, so one expression reads
them all: ``setXX/VYYY/{lwir,visible}/I#####.jpg`` (bare, or below ``images``, ``kaist-rgbt`` or
``kaist-cvpr15``), flat ``{lwir,visible}/setXX_VYYY_I#####.png``, and VOC-style
``JPEGImages/setXX_VYYY_I#####_{lwir,visible}.jpg``. So do the image lists.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ladle_rt.datasets.pairs import Pair, is_image, match, name_of
from ladle_rt.errors import DatasetError

DAY_SETS = frozenset({"set00", "set01", "set02", "set06", "set07", "set08"})
TRAIN_SETS = frozenset(f"set{number:02d}" for number in range(6))

_NAME = re.compile(r"(set\d{2})[/_](V\d{3})[/_](?:(?:lwir|visible)[/_])?(I\d{5})")
# The last one in the path: folders above the dataset may be called anything.
_MODALITY = re.compile(r".*[/_](lwir|visible)(?=[/_.])")


def is_kaist(root: Path) -> bool:
    """Whether a folder holds KAIST images in any published arrangement."""
    return next(_images(root), None) is not None


def find_kaist(root: Path) -> list[Pair]:
    """All pairs below ``root``, sorted by set, video and frame.

    Raises:
        DatasetError: no image with a partner, or two files of one frame.
    """
    found: dict[str, dict[str, str]] = {"lwir": {}, "visible": {}}
    for name, modality, path in _images(root):
        if name in found[modality]:
            raise DatasetError(
                f"{root}: expected one {modality} image of {name}, received "
                f"{found[modality][name]} and {path}; pass the folder of one of them"
            )
        found[modality][name] = path
    thermal, visible = (
        {name: Path(path) for name, path in found[modality].items()} for modality in found
    )
    return [
        Pair(
            thermal=path,
            visible=other,
            name=name,
            sequence=name.rpartition("/")[0],
            light="day" if name[:5] in DAY_SETS else "night",
            split="train" if name[:5] in TRAIN_SETS else "test",
            root=root,
        )
        for name, path, other in match(thermal, visible, root)
    ]


def kaist_key(line: str) -> str:
    """The pair's name in a line of an image list, ``setXX/VYYY/I#####``."""
    found = _NAME.search(line)
    return "/".join(found.groups()) if found else line


def _images(root: Path) -> Iterator[tuple[str, str, str]]:
    """Yield ``(name, modality, path)`` for each KAIST image below a folder."""
    seen = set()
    for folder, below, files in os.walk(root, onerror=_refuse, followlinks=True):
        # Sets are often links to another disk; a link upwards would never end.
        real = os.path.realpath(folder)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        relative = os.path.relpath(folder, root).replace(os.sep, "/")
        prefix = f"/{name_of(root)}/{relative}"
        for file in files:
            path = f"{prefix}/{file}"
            name, modality = _NAME.search(path), _MODALITY.match(path)
            if name and modality and is_image(file):
                yield "/".join(name.groups()), modality[1], os.path.join(folder, file)


def _refuse(error: OSError) -> None:
    raise error
