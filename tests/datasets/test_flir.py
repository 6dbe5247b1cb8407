"""Aligned FLIR: both arrangements, splits from its lists wherever they lie."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from ladle_rt.datasets import find_pairs

IMAGES = [
    f"JPEGImages/FLIR_{number}_{modality}"
    for number in ("00002", "00013", "08864")
    for modality in ("RGB.jpg", "PreviewData.jpeg")
]


def write_lists(folder: Path, train: str, validation: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "align_train.txt").write_text(train)
    (folder / "align_validation.txt").write_text(validation)


@pytest.mark.parametrize("inside", ["", "align"])
@pytest.mark.parametrize("lists", [".", "JPEGImages", "ImageSets/Main", "Annotations", "root"])
def test_splits_come_from_the_lists(touch: Callable[..., Path], inside: str, lists: str) -> None:
    root = touch(*(f"flir/{inside}/{name}" for name in IMAGES)) / "flir"
    train = "FLIR_00002_PreviewData\r\nFLIR_00013_PreviewData\r\n"
    folder = root if lists == "root" else root / inside / lists
    write_lists(folder, train, "FLIR_08864_PreviewData\n")
    pairs = find_pairs(root)
    assert [(pair.name, pair.split) for pair in pairs] == [
        ("FLIR_00002", "train"),
        ("FLIR_00013", "train"),
        ("FLIR_08864", "val"),
    ]
    assert {(p.light, p.sequence, p.thermal.suffix) for p in pairs} == {
        ("unknown", "flir", ".jpeg")
    }


def test_folder_of_images_alone(touch: Callable[..., Path]) -> None:
    root = touch(*IMAGES)
    write_lists(root, "FLIR_00002", "FLIR_08864")
    pairs = find_pairs(root / "JPEGImages")
    assert [pair.split for pair in pairs] == ["train", "", "val"]


def test_without_lists_there_is_no_split(touch: Callable[..., Path]) -> None:
    assert [pair.split for pair in find_pairs(touch(*IMAGES))] == ["", "", ""]


def test_lists_of_more_images_than_there_are(
    touch: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    root = touch(*IMAGES)
    write_lists(root, "FLIR_00001_PreviewData\nFLIR_00002_PreviewData", "FLIR_00002_RGB")
    with caplog.at_level(logging.WARNING, logger="ladle_rt"):
        pairs = find_pairs(root)
    assert "1 of 2 images in its lists are not there, first FLIR_00001" in caplog.text
    # In both lists: kept from training.
    assert [pair.split for pair in pairs] == ["val", "", ""]
