"""The published random split, labelled as leaky, and evenly spaced samples."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from ladle_rt.datasets import find_pairs, subset
from ladle_rt.datasets.splits import leaky_split
from ladle_rt.errors import DatasetError

SIDES = ("lwir", "visible")


@pytest.fixture
def root(touch: Callable[..., Path]) -> Path:
    folders = [f"data/set{number}/V000/{side}" for number in ("00", "06") for side in SIDES]
    return touch(*(f"{folder}/I{i:05d}.jpg" for folder in folders for i in range(25))) / "data"


def test_leaky_parts_are_four_to_one_over_all_frames(root: Path) -> None:
    train, test = (find_pairs(root, split=split) for split in ("leaky-train", "leaky-test"))
    assert (len(train), len(test)) == (40, 10)
    names = [pair.name for pair in (*train, *test)]
    assert sorted(names) == [pair.name for pair in find_pairs(root)]
    # Over all frames: the official sets are mixed, neighbours are on both sides.
    assert {name[:5] for name in names[:40]} == {name[:5] for name in names[40:]}
    assert {pair.split for pair in test} == {"leaky-test"}
    assert [pair.name for pair in train] == sorted(names[:40])
    assert len(find_pairs(root, split="train")) == 25


def test_leaky_parts_depend_on_names_alone(root: Path) -> None:
    pairs = find_pairs(root)
    moved = [replace(pair, thermal=Path("x"), sequence="other") for pair in reversed(pairs)]
    parts = {pair.name: pair.split for pair in leaky_split(pairs)}
    assert {pair.name: pair.split for pair in leaky_split(moved)} == parts
    # Runs of other years and machines draw the same.
    held_out = sorted(name for name, part in parts.items() if part == "leaky-test")
    assert held_out[:3] == ["set00/V000/I00007", "set00/V000/I00008", "set00/V000/I00014"]


def test_one_warning_for_both_parts(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="ladle_rt"):
        find_pairs(root)
        assert not caplog.records
        find_pairs(root, split="leaky-train")
        find_pairs(root, split="leaky-test")
    (record,) = caplog.records
    assert "leak" in record.getMessage() and "not comparable" in record.getMessage()


def test_listed_images_keep_their_part(root: Path, tmp_path: Path) -> None:
    held_out = find_pairs(root, split="leaky-test")
    names = tmp_path / "list.txt"
    names.write_text("\n".join(pair.name for pair in held_out[:4]))
    assert find_pairs(root, "kaist", "leaky-test", names) == held_out[:4]
    with pytest.raises(DatasetError, match="none of the 4 listed pairs is in leaky-train"):
        find_pairs(root, "kaist", "leaky-train", names)


def test_one_pair_cannot_be_split(touch: Callable[..., Path]) -> None:
    with pytest.raises(DatasetError, match="at least 2 pairs to split, received 1"):
        find_pairs(touch("ir/a.png", "vi/a.png"), split="leaky-test")


def test_subset_is_evenly_spaced(root: Path) -> None:
    pairs = find_pairs(root)
    assert subset(pairs, 50) == subset(pairs, 99) == pairs
    assert subset(pairs, 1) == pairs[:1]
    assert subset(pairs, 2) == [pairs[0], pairs[-1]]
    indices = [pairs.index(pair) for pair in subset(pairs, 8)]
    steps = {after - before for before, after in pairwise(indices)}
    assert len(indices) == 8 and steps == {7}
    for n in range(1, 50):
        assert len(set(subset(pairs, n))) == n
    with pytest.raises(DatasetError, match="at least 1 pair, received 0"):
        subset(pairs, 0)
