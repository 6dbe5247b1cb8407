"""Images of a pair: one size, or a reason why not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from ladle_rt.datasets import FlatThermalError, Pair, find_pairs, read_pair
from ladle_rt.errors import DatasetError, InputError, InputNotFoundError


@pytest.fixture
def pair_of(put: Callable[..., Path], tmp_path: Path) -> Callable[..., list[Pair]]:
    """Write one pair per visible size beside thermal images of 40x32 and find them."""

    def make(*visible: tuple[int, int]) -> list[Pair]:
        for number, size in enumerate(visible):
            put(tmp_path / f"ir/{number}.png", 1, (32, 40))
            put(tmp_path / f"vi/{number}.png", 3, size)
        return find_pairs(tmp_path)

    return make


def test_equal_sizes_are_read_as_they_are(
    pair_of: Callable[..., list[Pair]], caplog: pytest.LogCaptureFixture
) -> None:
    (pair,) = pair_of((32, 40))
    with caplog.at_level(logging.WARNING, logger="ladle_rt"):
        thermal, visible = read_pair(pair)
    assert thermal.shape == (32, 40) and thermal.dtype == np.uint8
    assert np.array_equal(visible, cv2.imread(str(pair.visible))[..., ::-1])
    assert not caplog.records


def test_sixteen_bits_stay(put: Callable[..., Path], tmp_path: Path) -> None:
    put(tmp_path / "vi/a.png", 3)
    (tmp_path / "ir").mkdir()
    counts = np.arange(64, dtype=np.uint16).reshape(8, 8) + 7000
    cv2.imwrite(str(tmp_path / "ir/a.tiff"), counts)
    (pair,) = find_pairs(tmp_path)
    assert np.array_equal(read_pair(pair)[0], counts)


def test_equal_aspect_is_resized_with_one_warning(
    pair_of: Callable[..., list[Pair]], caplog: pytest.LogCaptureFixture
) -> None:
    pairs = pair_of((64, 80), (65, 80), (16, 20))
    with caplog.at_level(logging.WARNING, logger="ladle_rt"):
        for pair in pairs:
            thermal, visible = read_pair(pair)
            assert visible.shape == (*thermal.shape, 3) and visible.dtype == np.uint8
    (record,) = caplog.records
    message = record.getMessage()
    assert message.startswith(f"{pairs[0].root}: ") and "first 0, 80x64 to 40x32" in message
    # By area: means of 2x2 pixels.
    large = cv2.imread(str(pairs[0].visible)).astype(np.float64)[..., ::-1]
    means = large.reshape(32, 2, 40, 2, 3).mean(axis=(1, 3))
    assert np.abs(read_pair(pairs[0])[1] - means).max() <= 0.5


@pytest.mark.parametrize("size", [(32, 41), (33, 40), (40, 32)])
def test_other_aspect_is_refused(pair_of: Callable[..., list[Pair]], size: tuple[int, int]) -> None:
    (pair,) = pair_of(size)
    with pytest.raises(DatasetError) as caught:
        read_pair(pair)
    message = str(caught.value)
    assert "\n" not in message and message.endswith("crop or align them first")
    assert f"{pair.thermal} is 40x32 and {pair.visible} is {size[1]}x{size[0]}" in message


def test_unaligned_flir_is_refused(put: Callable[..., Path], tmp_path: Path) -> None:
    put(tmp_path / "JPEGImages/FLIR_00002_PreviewData.jpeg", 1, (512, 640))
    put(tmp_path / "JPEGImages/FLIR_00002_RGB.jpg", 3, (1600, 1800))
    (pair,) = find_pairs(tmp_path)
    with pytest.raises(DatasetError, match=r"640x512 .* 1800x1600.* crop or align them first"):
        read_pair(pair)


@pytest.mark.parametrize("value", [0, 255])
def test_flat_thermal_images_are_refused(pair_of: Callable[..., list[Pair]], value: int) -> None:
    (pair,) = pair_of((32, 40))
    cv2.imwrite(str(pair.thermal), np.full((32, 40), value, np.uint8))
    with pytest.raises(FlatThermalError, match=rf"0\.png: .* all {value}; leave the pair out"):
        read_pair(pair)


def test_images_that_went_away_or_broke(pair_of: Callable[..., list[Pair]]) -> None:
    (pair,) = pair_of((32, 40))
    pair.visible.write_bytes(b"not an image")
    with pytest.raises(InputError, match=r"vi/0\.png: expected an image"):
        read_pair(pair)
    pair.visible.unlink()
    with pytest.raises(InputNotFoundError):
        read_pair(pair)


@pytest.mark.parametrize("name", ["roadscene", "msrs", "m3fd", "flir-crops", "kaist-mini"])
def test_real_pairs_have_one_size(
    shared_data: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="ladle_rt"):
        for pair in find_pairs(shared_data / name)[:20]:
            thermal, visible = read_pair(pair)
            assert visible.shape == (*thermal.shape, 3)
    assert not caplog.records
