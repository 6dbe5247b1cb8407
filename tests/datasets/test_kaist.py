"""KAIST's arrangements: facts from the path, links, and frames that are there twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ladle_rt.datasets import find_pairs
from ladle_rt.errors import DatasetError

ARRANGEMENTS = {
    "bare": "set{s}/V{v}/{m}/I{i}.jpg",
    "images": "images/set{s}/V{v}/{m}/I{i}.jpg",
    "kaist-rgbt": "kaist-rgbt/images/set{s}/V{v}/{m}/I{i}.jpg",
    "kaist-cvpr15": "kaist-cvpr15/images/set{s}/V{v}/{m}/I{i}.png",
    "as extracted": "set{s}_V{v}/images/set{s}/V{v}/{m}/I{i}.jpg",
    "flat": "{m}/set{s}_V{v}_I{i}.png",
    "flat, told twice": "{m}/set{s}_V{v}_{m}_I{i}.jpg",
    "voc": "JPEGImages/set{s}_V{v}_I{i}_{m}.jpg",
}


@pytest.mark.parametrize("name", sorted(ARRANGEMENTS))
def test_facts_are_read_from_the_path(touch: Callable[..., Path], name: str) -> None:
    frames = (("00", "000", "00019"), ("05", "001", "00000"), ("09", "000", "00003"))
    # A name above the dataset that speaks of a modality, and what macOS leaves in archives.
    root = touch(
        *(
            "my_visible_data/" + ARRANGEMENTS[name].format(s=s, v=v, i=i, m=modality)
            for s, v, i in frames
            for modality in ("lwir", "visible")
        ),
        "my_visible_data/lwir/._set00_V000_I00019.png",
    )
    pairs = find_pairs(root / "my_visible_data")
    facts = [(pair.name, pair.sequence, pair.light, pair.split) for pair in pairs]
    assert facts == [
        ("set00/V000/I00019", "set00/V000", "day", "train"),
        ("set05/V001/I00000", "set05/V001", "night", "train"),
        ("set09/V000/I00003", "set09/V000", "night", "test"),
    ]
    assert all("lwir" in p.thermal.as_posix()[len(str(root)) + 16 :] for p in pairs)
    assert [p.name for p in find_pairs(root, split="test")] == ["set09/V000/I00003"]


def test_below_a_set_folder(touch: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    root = touch("set01/V002/lwir/I00001.jpg", "set01/V002/visible/I00001.jpg") / "set01"
    assert [pair.name for pair in find_pairs(root)] == ["set01/V002/I00001"]
    monkeypatch.chdir(root)
    assert [pair.name for pair in find_pairs(Path())] == ["set01/V002/I00001"]


def test_sets_may_be_links_and_links_may_turn_back(touch: Callable[..., Path]) -> None:
    root = touch("disk/V000/lwir/I00001.jpg", "disk/V000/visible/I00001.jpg", "kaist/README")
    (root / "kaist/set07").symlink_to(root / "disk")
    (root / "disk/V000/again").symlink_to(root / "disk")
    (pair,) = find_pairs(root / "kaist")
    assert (pair.name, pair.thermal.is_file()) == ("set07/V000/I00001", True)


def test_frames_that_are_there_twice(touch: Callable[..., Path]) -> None:
    root = touch(
        *(
            f"{copy}/set00/V000/{modality}/I00001.jpg"
            for copy in ("images", "images_small")
            for modality in ("lwir", "visible")
        )
    )
    with pytest.raises(DatasetError, match=r"one \w+ image of set00/V000/I00001, received .* pass"):
        find_pairs(root)
    assert len(find_pairs(root / "images_small")) == 1
