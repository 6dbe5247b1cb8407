"""``auto`` takes every published arrangement for what it is; folders that are no dataset."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ladle_rt.datasets import LAYOUTS, find_pairs, read_thermal, read_visible
from ladle_rt.datasets.layouts import recognise
from ladle_rt.errors import DatasetError, InputNotFoundError

ARRANGEMENTS = {
    "kaist, bare": ("kaist", "set00/V000/{m}/I00019.jpg", "lwir", "visible"),
    "kaist, images": ("kaist", "images/set06/V000/{m}/I00019.jpg", "lwir", "visible"),
    "kaist, flat": ("kaist", "{m}/set06_V000_I00019.png", "lwir", "visible"),
    "kaist, voc": ("kaist", "JPEGImages/set06_V000_I00019_{m}.jpg", "lwir", "visible"),
    "flir": ("flir-aligned", "JPEGImages/FLIR_00002_{m}", "PreviewData.jpeg", "RGB.jpg"),
    "flir, below": ("flir-aligned", "align/JPEGImages/FLIR_01_{m}", "PreviewData.jpeg", "RGB.jpg"),
    "flir, loose": ("flir-aligned", "FLIR_00002_{m}", "PreviewData.jpeg", "RGB.jpg"),
    "llvip": ("llvip", "{m}/train/010001.jpg", "infrared", "visible"),
    "llvip, test only": ("llvip", "{m}/test/190001.jpg", "infrared", "visible"),
    "msrs": ("msrs", "train/{m}/00001D.png", "ir", "vi"),
    "msrs, test only": ("msrs", "test/{m}/00004N.png", "ir", "vi"),
    "msrs, one folder": ("msrs", "{m}/00004N.png", "ir", "vi"),
    "roadscene, HR": ("folders", "{m}/FLIR_00006.jpg", "cropinfrared", "crop_HR_visible"),
    "roadscene, LR": ("folders", "{m}/FLIR_00006.jpg", "cropinfrared", "crop_LR_visible"),
    "m3fd": ("folders", "{m}/00000.png", "Ir", "Vis"),
    "own": ("folders", "{m}/010001.png", "Thermal", "RGB"),
    "own, as LLVIP without splits": ("folders", "{m}/010001.jpg", "infrared", "visible"),
}  # fmt: skip
BESIDE = (
    "Annotations/FLIR_00002_PreviewData.xml",
    "AnnotatedImages/FLIR_00002_RGB.jpg",
    "AnnotatedImages/FLIR_00002_PreviewData.jpeg",
    "Segmentation_labels/00001D.png",
    "README.md",
)
"""What lies beside the images in the archives, and is no pair."""


@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_auto_mistakes_none_for_another(touch: Callable[..., Path], name: str) -> None:
    layout, pattern, thermal, visible = ARRANGEMENTS[name]
    files = [pattern.format(m=thermal), pattern.format(m=visible)]
    root = touch(*files, *BESIDE)
    assert recognise(root) == layout
    # Only ``folders``, which is tried last, may fit as well.
    assert {key for key in LAYOUTS if LAYOUTS[key].matches(root)} - {"folders"} <= {layout}
    (pair,) = find_pairs(root)
    assert [pair.thermal, pair.visible] == [root / file for file in files]
    assert pair.root == root


def test_one_layout_is_not_read_as_another(touch: Callable[..., Path]) -> None:
    root = touch("Ir/00000.png", "Vis/00000.png")
    for layout in set(LAYOUTS) - {"folders"}:
        if layout == "msrs":  # It differs from a plain pair of folders by what its stems mean.
            assert find_pairs(root, layout)[0].light == "unknown"
            continue
        with pytest.raises(DatasetError, match=r"no thermal image|expected LLVIP"):
            find_pairs(root, layout)
    root = touch("other/set00/V000/lwir/I00001.jpg", "other/set00/V000/visible/I00001.jpg")
    for layout in ("folders", "msrs", "llvip"):
        with pytest.raises(DatasetError, match=r"expected .* found neither"):
            find_pairs(root / "other", layout)


def one_line(*arguments: Any) -> str:
    with pytest.raises(DatasetError) as caught:
        find_pairs(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_folders_that_are_no_dataset(touch: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="found none"):
        find_pairs(tmp_path / "missing")
    assert "recognised none in an empty folder" in one_line(tmp_path)
    assert "two folders of equal stems" in one_line(tmp_path, "folders")
    touch("a.txt", "b.txt", "c.txt", "d.txt", "e.txt", ".hidden")
    assert "received a file" in one_line(tmp_path / "a.txt")
    assert "recognised none in: a.txt, b.txt, c.txt, d.txt, ..." in one_line(tmp_path)
    assert "layout must be" in one_line(tmp_path, "nothing")
    (tmp_path / "ir").mkdir()
    (tmp_path / "vi").mkdir()
    seen = "found no thermal images and no visible images"
    assert one_line(tmp_path).endswith(seen)
    assert one_line(tmp_path, "kaist").endswith(seen)
    assert one_line(tmp_path, "flir-aligned").endswith(seen)


@pytest.mark.parametrize("layout", ["auto", "kaist", "folders"])
def test_folder_that_cannot_be_read(
    touch: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    root = touch("set00/V000/lwir/I00001.jpg") / "set00"
    listed = os.scandir

    def scandir(folder: Any) -> Any:
        if "set00" in str(folder):
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    message = one_line(root, layout)
    assert message == f"{root}: expected a readable folder, received: Permission denied"


def test_splits_that_are_not_there(touch: Callable[..., Path]) -> None:
    root = touch("train/ir/00001D.png", "train/vi/00001D.png")
    assert "split must be one of ['train'] or ['leaky-train'," in one_line(root, "auto", "night")
    root = touch("own/ir/a.png", "own/vi/a.png") / "own"
    assert "states none of its own; received 'train'" in one_line(root, "auto", "train")


def test_real_datasets(shared_data: Path) -> None:
    def find(name: str, **filters: Any) -> Any:
        return find_pairs(shared_data / name, **filters)

    assert recognise(shared_data / "roadscene") == "folders"
    assert len(find("roadscene")) == 170
    assert len(find("roadscene", split="val")) == 24
    assert recognise(shared_data / "msrs") == "msrs"
    assert {pair.light for pair in find("msrs")} == {"day", "night"}
    assert recognise(shared_data / "m3fd") == recognise(shared_data / "flir-crops") == "folders"
    assert (len(find("m3fd")), len(find("flir-crops"))) == (32, 2926)
    kaist = find("kaist-mini")
    assert [pair.name for pair in kaist] == [f"set00/V000/I0000{i}" for i in range(10)]
    assert read_thermal(kaist[0].thermal).shape == read_visible(kaist[0].visible).shape[:2]
