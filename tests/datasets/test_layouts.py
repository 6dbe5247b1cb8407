"""Every published layout, pairing by stem, splits, and folders that are no dataset."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from ladle_rt.datasets import find_pairs, read_image_list, read_thermal, read_visible
from ladle_rt.errors import DatasetError, InputError, InputNotFoundError

KAIST_LAYOUTS = {
    "bare": "set{s}/V{v}/{m}/I{i}.jpg",
    "images": "images/set{s}/V{v}/{m}/I{i}.jpg",
    "kaist-rgbt": "kaist-rgbt/images/set{s}/V{v}/{m}/I{i}.jpg",
    "kaist-cvpr15": "kaist-cvpr15/images/set{s}/V{v}/{m}/I{i}.png",
    "flat": "{m}/set{s}_V{v}_I{i}.png",
    "voc": "JPEGImages/set{s}_V{v}_I{i}_{m}.jpg",
}


def put(path: Path, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (8, 8) if channels == 1 else (8, 8, channels)
    cv2.imwrite(str(path), np.full(shape, 90, np.uint8))


@pytest.mark.parametrize("layout", sorted(KAIST_LAYOUTS))
def test_kaist_layouts(tmp_path: Path, layout: str) -> None:
    pattern = KAIST_LAYOUTS[layout]
    for s, v, i in (("00", "000", "00019"), ("05", "001", "00000"), ("09", "000", "00003")):
        for modality in ("lwir", "visible"):
            put(tmp_path / pattern.format(s=s, v=v, i=i, m=modality))
    pairs = find_pairs(tmp_path)
    facts = [(pair.name, pair.sequence, pair.light, pair.split) for pair in pairs]
    assert facts == [
        ("set00/V000/I00019", "set00/V000", "day", "train"),
        ("set05/V001/I00000", "set05/V001", "night", "train"),
        ("set09/V000/I00003", "set09/V000", "night", "test"),
    ]
    assert all("lwir" in str(p.thermal) and "visible" in str(p.visible) for p in pairs)
    assert [p.name for p in find_pairs(tmp_path, split="test")] == ["set09/V000/I00003"]


def test_kaist_below_a_set_folder(tmp_path: Path) -> None:
    for modality in ("lwir", "visible"):
        put(tmp_path / f"set01/V002/{modality}/I00001.jpg", 3)
    (pair,) = find_pairs(tmp_path / "set01")
    assert pair.name == "set01/V002/I00001"
    assert read_thermal(pair.thermal).shape == (8, 8)


def test_kaist_image_list(tmp_path: Path) -> None:
    for number in range(3):
        for modality in ("lwir", "visible"):
            put(tmp_path / f"set00/V000/{modality}/I0000{number}.jpg")
    names = tmp_path / "list.txt"
    names.write_text("set00/V000/I00002\n\nset00/V000/I00000\n")
    found = find_pairs(tmp_path, image_list=names)
    assert [pair.name[-1] for pair in found] == ["2", "0"]
    names.write_text("set00/V000/I00002\nset00/V000/I00009\n")
    with pytest.raises(DatasetError, match=r"1 of 2 listed images .*I00009"):
        find_pairs(tmp_path, image_list=names)


def test_msrs_light_and_split(tmp_path: Path) -> None:
    for split, stem in (("train", "00001D"), ("test", "00002N")):
        for folder in ("ir", "vi"):
            put(tmp_path / split / folder / f"{stem}.png")
    found = [(pair.name, pair.light, pair.split) for pair in find_pairs(tmp_path)]
    assert found == [("train/00001D", "day", "train"), ("test/00002N", "night", "test")]


@pytest.mark.parametrize("visible", ["crop_HR_visible", "crop_LR_visible"])
def test_roadscene_as_published(tmp_path: Path, visible: str) -> None:
    put(tmp_path / "cropinfrared/FLIR_00006.jpg")
    put(tmp_path / visible / "FLIR_00006.jpg", 3)
    (pair,) = find_pairs(tmp_path)
    assert (pair.name, pair.visible.parent.name) == ("FLIR_00006", visible)


def test_pairs_go_by_stem_not_position(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.png", "b.png", "c.png"):
        put(tmp_path / "thermal" / name)
    for name in ("b.jpg", "c.jpg", "d.jpg"):
        put(tmp_path / "visible" / name, 3)
    with caplog.at_level(logging.WARNING, logger="ladle_rt"):
        pairs = find_pairs(tmp_path)
    assert [(p.thermal.stem, p.visible.stem) for p in pairs] == [("b", "b"), ("c", "c")]
    assert "2 images have no partner" in caplog.text


def test_table_gives_split_block_and_light(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        put(tmp_path / "ir" / name)
        put(tmp_path / "vi" / name)
    table = tmp_path / "pairs.csv"
    table.write_text("file,split,block,light\na.png,train,A,day\nb.png,val,E,dusk\n")
    (pair,) = find_pairs(tmp_path, split="val")
    assert (pair.name, pair.sequence, pair.light) == ("b", "E", "dusk")
    with pytest.raises(DatasetError, match=r"split must be one of \['train', 'val'\]"):
        find_pairs(tmp_path, split="test")
    table.write_text("file,split,block,light\na.png,train,A,day\n")
    with pytest.raises(DatasetError, match="a row for every pair"):
        find_pairs(tmp_path)
    table.write_text("file,split,block,light\na.png,train,A,noon\nb.png,val,E,dusk\n")
    with pytest.raises(DatasetError, match="light must be one of"):
        find_pairs(tmp_path)


def test_folders_that_are_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError):
        find_pairs(tmp_path / "missing")
    with pytest.raises(DatasetError, match="recognised none"):
        find_pairs(tmp_path)
    with pytest.raises(DatasetError, match="layout must be"):
        find_pairs(tmp_path, "nothing")
    with pytest.raises(DatasetError, match="two folders of equal stems"):
        find_pairs(tmp_path, "folders")
    put(tmp_path / "ir/a.png")
    put(tmp_path / "vi/b.png")
    with pytest.raises(DatasetError, match="no thermal image has a visible partner"):
        find_pairs(tmp_path)
    put(tmp_path / "ir/a.jpg")
    with pytest.raises(DatasetError, match="one image per stem"):
        find_pairs(tmp_path)


def test_image_lists_must_be_lists(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    with pytest.raises(DatasetError, match="expected an image list"):
        read_image_list(path)
    path.write_text("\n")
    with pytest.raises(DatasetError, match="empty list"):
        read_image_list(path)


def test_images_keep_depth_and_say_what_is_wrong(tmp_path: Path) -> None:
    counts = np.arange(64, dtype=np.uint16).reshape(8, 8) + 7000
    cv2.imwrite(str(tmp_path / "t.tiff"), counts)
    assert np.array_equal(read_thermal(tmp_path / "t.tiff"), counts)
    cv2.imwrite(str(tmp_path / "v.png"), np.full((4, 4, 3), (10, 20, 30), np.uint8))
    assert read_visible(tmp_path / "v.png")[0, 0].tolist() == [30, 20, 10]
    with pytest.raises(InputNotFoundError):
        read_thermal(tmp_path / "missing.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(InputError, match="does not decode"):
        read_visible(tmp_path / "empty.png")
    cv2.imwrite(str(tmp_path / "f.tiff"), np.zeros((4, 4), np.float32))
    with pytest.raises(InputError, match="8- or 16-bit"):
        read_thermal(tmp_path / "f.tiff")
    with pytest.raises(InputError, match="expected an image file"):
        read_thermal(tmp_path)


def test_real_datasets(shared_data: Path) -> None:
    roadscene = find_pairs(shared_data / "roadscene")
    assert len(roadscene) == 170
    assert len(find_pairs(shared_data / "roadscene", split="val")) == 24
    msrs = find_pairs(shared_data / "msrs")
    assert {pair.light for pair in msrs} == {"day", "night"}
    kaist = find_pairs(shared_data / "kaist-mini")
    assert [pair.name for pair in kaist] == [f"set00/V000/I0000{i}" for i in range(10)]
    assert read_thermal(kaist[0].thermal).shape == read_visible(kaist[0].visible).shape[:2]
