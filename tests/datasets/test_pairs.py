"""Pairing goes by name, and says what it leaves out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from ladle_rt.datasets import find_pairs
from ladle_rt.errors import DatasetError


def test_pairs_go_by_stem_not_position(
    touch: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    root = touch(
        *(f"thermal/{name}.png" for name in "abcx"), *(f"visible/{name}.jpg" for name in "bcd")
    )
    with caplog.at_level(logging.WARNING, logger="ladle_rt"):
        pairs = find_pairs(root)
    assert [(p.thermal.stem, p.visible.stem) for p in pairs] == [("b", "b"), ("c", "c")]
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{root}: left out 2 thermal images (first thermal/a.png) without a visible partner "
        "and 1 visible image (first visible/d.jpg) without a thermal partner"
    )


def test_only_the_side_that_lacks_partners_is_told(
    touch: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    # One warning for both splits together.
    paired = [f"{split}/{folder}/1D.png" for split in ("train", "test") for folder in ("ir", "vi")]
    root = touch(*paired, "train/vi/00003N.png", "test/vi/00002N.png")
    with caplog.at_level(logging.WARNING, logger="ladle_rt"):
        assert len(find_pairs(root)) == 2
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{root}: left out 2 visible images (first test/vi/00002N.png) without a thermal partner"
    )


def test_nothing_has_a_partner(touch: Callable[..., Path]) -> None:
    root = touch("ir/a.png", "ir/b.png", "vi/c.png")
    with pytest.raises(DatasetError) as caught:
        find_pairs(root)
    assert str(caught.value) == (
        f"{root}: no thermal image has a visible partner of the same name; found 2 thermal images "
        "(such as ir/a.png) and 1 visible image (such as vi/c.png)"
    )
    root = touch("kaist/set00/V000/visible/I00001.jpg") / "kaist"
    with pytest.raises(
        DatasetError, match=r"found no thermal images and 1 visible image \(such as"
    ):
        find_pairs(root)
