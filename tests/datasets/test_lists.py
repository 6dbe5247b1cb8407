"""Image lists as they are found in the wild, for every layout."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from ladle_rt.datasets import find_pairs, read_image_list
from ladle_rt.errors import DatasetError

NAMES = {
    "kaist": "images/set00/V000/{lwir,visible}/I01217.jpg",
    "flir-aligned": "JPEGImages/FLIR_00002_{PreviewData.jpeg,RGB.jpg}",
    "llvip": "{infrared,visible}/train/010001.jpg",
    "msrs": "train/{ir,vi}/00001D.png",
    "folders": "{Ir,Vis}/00000.png",
}
LINES = [
    ("kaist", "set00/V000/I01217"),
    ("kaist", "set00/V000/I01217.jpg"),
    ("kaist", "set00_V000_I01217"),
    ("kaist", "set00_V000_I01217.png"),
    ("kaist", "set00/V000/visible/I01217"),
    ("kaist", "set00/V000/lwir/I01217.jpg"),
    ("kaist", "set00_V000_lwir_I01217"),
    ("kaist", "images\\set00\\V000\\lwir\\I01217.jpg"),
    ("kaist", "/data/kaist-cvpr15/images/set00/V000/visible/I01217.jpg"),
    ("flir-aligned", "FLIR_00002_PreviewData"),
    ("flir-aligned", "FLIR_00002_RGB.jpg"),
    ("flir-aligned", "./JPEGImages/FLIR_00002_PreviewData.jpeg"),
    ("flir-aligned", "FLIR_00002"),
    ("llvip", "010001"),
    ("llvip", "010001.jpg"),
    ("llvip", "train/010001"),
    ("llvip", "infrared/train/010001.jpg"),
    ("llvip", "C:/LLVIP/visible/train/010001.jpg"),
    ("msrs", "00001D"),
    ("msrs", "train/00001D.png"),
    ("msrs", "MSRS/train/vi/00001D.png"),
    ("folders", "00000"),
    ("folders", "00000.png"),
    ("folders", "./Vis/00000.png"),
    ("folders", "M3FD/Ir/00000.PNG"),
]
STRANGERS = [
    ("kaist", "set00/V001/I01217"),
    ("kaist", "set09_V000_I01217.jpg"),
    ("flir-aligned", "FLIR_00003_PreviewData"),
    ("llvip", "test/010001"),
    ("msrs", "test/vi/00001D.png"),
    ("folders", "00000.png.orig"),
]


def make(touch: Callable[..., Path], layout: str) -> Path:
    """A dataset of one pair."""
    before, _, rest = NAMES[layout].partition("{")
    names, _, after = rest.partition("}")
    return touch(*(f"data/{before}{name}{after}" for name in names.split(","))) / "data"


@pytest.mark.parametrize(("layout", "line"), LINES)
def test_lines_as_found_in_the_wild(
    touch: Callable[..., Path], tmp_path: Path, layout: str, line: str
) -> None:
    root = make(touch, layout)
    path = tmp_path / "list.txt"
    path.write_text(f"{line}\n")
    assert find_pairs(root, image_list=path) == find_pairs(root, layout)


@pytest.mark.parametrize(("layout", "line"), STRANGERS)
def test_lines_that_name_no_pair(
    touch: Callable[..., Path], tmp_path: Path, layout: str, line: str
) -> None:
    root = make(touch, layout)
    path = tmp_path / "list.txt"
    path.write_text(line)
    with pytest.raises(DatasetError, match="1 of 1 listed images are not in the dataset, first"):
        find_pairs(root, image_list=path)


def test_order_comments_and_line_ends(touch: Callable[..., Path], tmp_path: Path) -> None:
    root = touch(*(f"own/{m}/{stem}.png" for m in ("ir", "vi") for stem in ("a", "b#1", "c d")))
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeff# chosen by eye\r\nc d\r\n\r\n  b#1.png  # fog\r\n#a\r\n".encode())
    assert read_image_list(path) == ["c d", "b#1.png"]
    found = find_pairs(root / "own", image_list=path)
    assert [pair.name for pair in found] == ["c d", "b#1"]


def test_stems_in_two_splits_need_their_split(touch: Callable[..., Path], tmp_path: Path) -> None:
    root = touch(*(f"own/{s}/{m}/1D.png" for s in ("train", "test") for m in ("ir", "vi"))) / "own"
    path = tmp_path / "list.txt"
    path.write_text("1D.png")
    with pytest.raises(DatasetError, match=r"first '1D\.png'; expected names such as 'train/1D'"):
        find_pairs(root, image_list=path)


def test_missing_and_repeated_names(
    touch: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = touch(*(f"set00/V000/{m}/I0000{n}.jpg" for n in range(3) for m in ("lwir", "visible")))
    names = tmp_path / "list.txt"
    names.write_text("set00/V000/I00002\n\nset00_V000_I00000\nset00/V000/visible/I00002.jpg\n")
    with caplog.at_level(logging.WARNING, logger="ladle_rt"):
        found = find_pairs(tmp_path, image_list=names)
    assert [pair.name[-1] for pair in found] == ["2", "0"]
    (record,) = caplog.records
    assert "1 of 3 lines name an image again, first 'set00/V000/visible/I00002.jpg'" in (
        record.getMessage()
    )
    names.write_text("set00/V000/I00002\nset00/V000/I00009\n")
    with pytest.raises(DatasetError, match=r"1 of 2 listed images .*I00009.*set00/V000/I00000"):
        find_pairs(root, image_list=names)


def test_image_lists_must_be_lists(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    with pytest.raises(DatasetError, match=r"expected an image list.*received No such file"):
        read_image_list(path)
    with pytest.raises(DatasetError, match=r"expected an image list.*received no regular file"):
        read_image_list(tmp_path)
    path.write_text("\n# nothing\n")
    with pytest.raises(DatasetError, match="empty list"):
        read_image_list(path)
    path.write_text("a\n", encoding="utf-16")
    with pytest.raises(DatasetError, match="in UTF-8"):
        read_image_list(path)
