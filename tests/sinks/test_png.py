"""One PNG: exact pixels, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from ladle_rt.errors import OutputError
from ladle_rt.frames import Picture
from ladle_rt.sinks.png import write_png


def picture(height: int, width: int, seed: int = 0) -> Picture:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Picture("rgb24", rgb, width, height)


@pytest.mark.parametrize("shape", [(1, 1), (51, 77), (1, 5000), (64, 96)])
def test_pixels_and_channel_order_survive(tmp_path: Path, shape: tuple[int, int]) -> None:
    ours = picture(*shape)
    write_png(tmp_path / "p.png", ours)
    stored = cv2.imread(str(tmp_path / "p.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(stored[..., ::-1], ours.data)


def test_an_existing_file_is_replaced(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_png(tmp_path / "p.png", picture(8, 8, seed))
    stored = cv2.imread(str(tmp_path / "p.png"))
    assert np.array_equal(stored[..., ::-1], picture(8, 8, 2).data)
    assert os.listdir(tmp_path) == ["p.png"]


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write here"):
        write_png(tmp_path / "missing" / "p.png", picture(8, 8))
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(OutputError, match="cannot be put in place"):
        write_png(tmp_path / "taken.png", picture(8, 8))
    assert os.listdir(tmp_path) == ["taken.png"]
