"""KAIST multispectral pedestrian dataset (CC BY-NC-SA 4.0).

Every published arrangement spells the same three facts into the path, so one expression reads
them all: ``setXX/VYYY/{lwir,visible}/I#####.jpg`` (bare, or below ``images``, ``kaist-rgbt`` or
``kaist-cvpr15``), flat ``{lwir,visible}/setXX_VYYY_I#####.png``, and VOC-style
``JPEGImages/setXX_VYYY_I#####_{lwir,visible}.jpg``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ladle_rt.datasets.images import SUFFIXES
from ladle_rt.datasets.pairs import Light, Pair, match

DAY_SETS = frozenset({"set00", "set01", "set02", "set06", "set07", "set08"})
TRAIN_SETS = frozenset(f"set{number:02d}" for number in range(6))

_NAME = re.compile(r"(set\d{2})[/_](V\d{3})[/_](?:(?:lwir|visible)[/_])?(I\d{5})")
_MODALITY = re.compile(r"(?:^|[/_])(lwir|visible)(?=[/_.])")


def is_kaist(root: Path) -> bool:
    """Whether a folder holds KAIST images in any published arrangement."""
    return next(_images(root), None) is not None


def find_kaist(root: Path) -> list[Pair]:
    """All pairs below ``root``, sorted by set, video and frame."""
    found: dict[str, dict[str, Path]] = {"lwir": {}, "visible": {}}
    for name, modality, path in _images(root):
        found[modality][name] = path
    return [
        Pair(
            thermal=thermal,
            visible=visible,
            name=name,
            sequence=name.rpartition("/")[0],
            light=_light(name),
            split="train" if name[:5] in TRAIN_SETS else "test",
        )
        for name, thermal, visible in match(found["lwir"], found["visible"], root)
    ]


def _light(name: str) -> Light:
    return "day" if name[:5] in DAY_SETS else "night"


def _images(root: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield ``(name, modality, path)`` for each KAIST image below a folder."""
    for folder, _, files in os.walk(root):
        relative = os.path.relpath(folder, root).replace(os.sep, "/")
        prefix = f"{root.name}/{relative}" if relative != "." else root.name
        for file in files:
            if os.path.splitext(file)[1].lower() not in SUFFIXES:
                continue
            path = f"{prefix}/{file}"
            name, modality = _NAME.search(path), _MODALITY.search(path)
            if name and modality:
                yield "/".join(name.groups()), modality[1], Path(folder, file)
