"""Which pairs are evaluated, and which count as trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ladle_rt.datasets import find_pairs
from ladle_rt.errors import DatasetError
from ladle_rt.evaluation import pair_selection
from ladle_rt.evaluation.pair_selection import choose_pairs


@pytest.fixture
def msrs(tmp_path: Path) -> Path:
    """Six training pairs and four test pairs, by name only."""
    for number in range(10):
        split = "train" if number < 6 else "test"
        for folder in ("ir", "vi"):
            path = tmp_path / split / folder / f"{number:05d}D.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(np.zeros(3, np.uint8).tobytes())
    return tmp_path


def names(pairs: list[pair_selection.Pair]) -> list[str]:
    return [pair.name for pair in pairs]


def test_a_folder_is_searched_once(msrs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[object, ...]] = []

    def counted(*arguments: object) -> list[pair_selection.Pair]:
        calls.append(arguments)
        return find_pairs(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(pair_selection, "find_pairs", counted)
    assert len(choose_pairs(msrs).pairs) == 10 and len(calls) == 1
    chosen = choose_pairs(msrs, split="test")
    assert len(calls) == 2 and {pair.split for pair in chosen.pairs} == {"test"}
    assert names(chosen.trained_on) == names(find_pairs(msrs, "auto", "train"))
    assert len(chosen.every) == 10


def test_limit_and_subset(msrs: Path) -> None:
    every = names(find_pairs(msrs))
    chosen = choose_pairs(msrs, split="train", limit=5, subset=3)
    train = [name for name in every if name.startswith("train")]
    assert names(chosen.pairs) == [train[0], train[2], train[4]]
    assert names(chosen.trained_on) == [train[1], train[3], train[5]], "none is evaluated too"


def test_image_lists_and_wrong_splits(msrs: Path) -> None:
    every = names(find_pairs(msrs))
    listed = msrs.parent / "list.txt"
    listed.write_text(f"{every[3]}\n{every[1]}\n")
    assert names(choose_pairs(msrs, image_list=listed).pairs) == [every[3], every[1]]
    with pytest.raises(DatasetError, match="split must be"):
        choose_pairs(msrs, split="val")


def test_the_random_split_has_training_pairs_of_its_own(msrs: Path) -> None:
    chosen = choose_pairs(msrs, split="leaky-test", limit=1)
    test = names(find_pairs(msrs, "auto", "leaky-test"))
    assert names(chosen.pairs) == test[:1] and len(test) == 2
    assert sorted(names(chosen.trained_on) + test) == sorted(names(chosen.every))
