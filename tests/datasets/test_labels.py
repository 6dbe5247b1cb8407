"""Label maps beside pairs, and the bad ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ladle_rt.datasets import Pair
from ladle_rt.datasets.labels import label_path, read_labels
from ladle_rt.errors import DatasetError, InputError


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    (tmp_path / "labels").mkdir()
    thermal, visible = tmp_path / "ir/a.png", tmp_path / "vi/a.jpg"
    return Pair(thermal, visible, "a", "", "day", "", tmp_path)


def write(pair: Pair, labels: np.ndarray) -> None:
    cv2.imwrite(str(label_path(pair)), labels)


def test_maps_are_enlarged_without_mixing(pair: Pair) -> None:
    assert read_labels(pair, (120, 160)) is None
    small = np.array([[0, 3], [6, 255]], np.uint8).repeat(30, 0).repeat(40, 1)
    write(pair, small)
    labels = read_labels(pair, (120, 160))
    assert labels is not None and labels.shape == (120, 160)
    assert set(np.unique(labels)) == {0, 3, 6, 255} and labels[0, 0] == 0 and labels[-1, -1] == 255


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full((60, 60), 1, np.uint8), r"aspect ratio \(160x120\), received 60x60"),
        (np.full((60, 80), 9, np.uint8), "expected classes 0 to 6 and 255 for unsure, received 9"),
        (np.zeros((60, 80, 3), np.uint8), "expected an 8-bit grey label map"),
    ],
)
def test_maps_that_are_none_are_refused(pair: Pair, labels: np.ndarray, message: str) -> None:
    write(pair, labels)
    with pytest.raises(DatasetError, match=message):
        read_labels(pair, (120, 160))


def test_damaged_maps_are_refused(pair: Pair) -> None:
    label_path(pair).write_bytes(b"no picture")
    with pytest.raises(InputError, match="does not decode"):
        read_labels(pair, (120, 160))
