"""Two folders of equal stems with their table, MSRS, LLVIP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ladle_rt.datasets import find_pairs
from ladle_rt.errors import DatasetError


def test_msrs_light_and_split(touch: Callable[..., Path]) -> None:
    root = touch(
        *(
            f"{split}/{folder}/{stem}.png"
            for split, stem in (("train", "00001D"), ("test", "00002N"), ("detection", "1"))
            for folder in ("ir", "vi")
        )
    )
    found = [(pair.name, pair.light, pair.split) for pair in find_pairs(root)]
    assert found == [("train/00001D", "day", "train"), ("test/00002N", "night", "test")]


def test_llvip_facts(touch: Callable[..., Path]) -> None:
    root = touch(
        *(
            f"{folder}/{name}.jpg"
            for name in ("train/010001", "train/020007", "test/190001")
            for folder in ("infrared", "visible")
        )
    )
    pairs = find_pairs(root)
    assert [(pair.name, pair.sequence, pair.split) for pair in pairs] == [
        ("train/010001", "01", "train"),
        ("train/020007", "02", "train"),
        ("test/190001", "19", "test"),
    ]
    assert {pair.light for pair in pairs} == {"night"}
    assert [pair.name for pair in find_pairs(root, split="test")] == ["test/190001"]


def test_the_larger_visible_images_of_roadscene_come_first(touch: Callable[..., Path]) -> None:
    folders = ("cropinfrared", "crop_LR_visible", "crop_HR_visible")
    (pair,) = find_pairs(touch(*(f"{folder}/FLIR_00006.jpg" for folder in folders)))
    assert (pair.name, pair.visible.parent.name) == ("FLIR_00006", "crop_HR_visible")


def test_folder_names_in_any_case(touch: Callable[..., Path]) -> None:
    root = touch("m3fd/IR/00000.png", "m3fd/vIs/00000.jpg", "m3fd/Annotation/00000.xml")
    (pair,) = find_pairs(root / "m3fd")
    assert (pair.thermal.parent.name, pair.sequence) == ("IR", "m3fd")


def test_two_images_of_one_stem(touch: Callable[..., Path]) -> None:
    root = touch("ir/a.png", "ir/a.jpg", "vi/a.png")
    with pytest.raises(DatasetError, match=r"one image per stem, received a\.jpg and a\.png"):
        find_pairs(root)


def test_table_gives_split_block_and_light(touch: Callable[..., Path]) -> None:
    root = touch("ir/a.png", "ir/b.png", "vi/a.png", "vi/b.png")
    table = root / "pairs.csv"
    table.write_text("file,split,block,light\na.png,train,A,day\nb.png,val,E,dusk\n")
    (pair,) = find_pairs(root, split="val")
    assert (pair.name, pair.sequence, pair.light) == ("b", "E", "dusk")
    with pytest.raises(DatasetError, match=r"split must be one of \['train', 'val'\]"):
        find_pairs(root, split="test")
    for content, message in (
        (b"file,split,block,light\na.png,train,A,day\n", "a row for every pair"),
        (b"file,split,light\na.png,train,noon\nb.png,val,dusk\n", "light must be one of"),
        (b"\x89PNG\xff", "expected a UTF-8 table"),
    ):
        table.write_bytes(content)
        with pytest.raises(DatasetError, match=message):
            find_pairs(root)
