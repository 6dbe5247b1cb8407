"""What is not scene does not set the levels; what is scene stays as it is."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladle_rt.thermal.normalization import ThermalNormalization, measure_levels
from ladle_rt.thermal.validity import ValidScene, fill_invalid, invalid_pixels, missing_values

SPEC = ThermalNormalization()


def scene(dtype: type = np.uint16, seed: int = 1) -> np.ndarray:
    """120x160 with warm things on a ramp; 16 bits around 22000, 8 bits over the whole range."""
    noise = np.random.default_rng(seed).normal(0, 1, (120, 160))
    ramp = np.linspace(0, 60, 120)[:, None] + cv2.GaussianBlur(noise, (0, 0), 4) * 40
    ramp[70:80, 50:60] += 60
    unit = (ramp - ramp.min()) / np.ptp(ramp)
    if dtype is np.uint8:
        return np.rint(unit * 255).astype(np.uint8)
    return np.rint(21_500 + 1_300 * unit).astype(np.uint16)


def levels(pixels: np.ndarray) -> np.ndarray:
    found = measure_levels(pixels, SPEC)
    return np.array([found.low, found.mid, found.high])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_whole_scene_is_not_touched(dtype: type) -> None:
    pixels = scene(dtype)
    assert ValidScene("x").apply(pixels) is pixels


@pytest.mark.parametrize("end", [0, 65_535])
@pytest.mark.parametrize("share", [0.001, 0.03, 0.3])
def test_ends_of_the_range_far_from_the_scene(end: int, share: float) -> None:
    pixels = scene()
    rng = np.random.default_rng(2)
    holed = np.where(rng.random(pixels.shape) < share, end, pixels).astype(np.uint16)
    span = np.ptp(levels(pixels))
    assert np.abs(levels(ValidScene("x").apply(holed)) - levels(pixels)).max() < 0.04 * span
    if share > 0.01:
        assert np.abs(levels(holed) - levels(pixels)).max() > 5 * span, "it would have hurt"


def test_a_few_saturated_pixels_stay_the_hottest() -> None:
    pixels = scene()
    pixels[10:12, 10:12] = 65_535
    filled = ValidScene("x").apply(pixels)
    assert (filled[10:12, 10:12] == pixels[pixels < 65_535].max()).all()


def test_sixteen_bits_stretched_to_both_ends_are_scene() -> None:
    unit = scene(np.uint8).astype(np.uint16)
    assert invalid_pixels(unit * 257) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    "sides", [(9, 9, 0, 0), (0, 0, 12, 12), (5, 5, 7, 7), (4, 0, 0, 0), (0, 0, 0, 3), (2, 20, 0, 0)]
)
def test_black_borders(dtype: type, sides: tuple[int, int, int, int]) -> None:
    inner = np.maximum(scene(dtype), 20)
    framed = cv2.copyMakeBorder(inner, *sides, cv2.BORDER_CONSTANT, value=0)
    expected = cv2.copyMakeBorder(
        np.zeros(inner.shape, np.uint8), *sides, cv2.BORDER_CONSTANT, value=1
    )
    found = invalid_pixels(framed)
    assert found is not None and np.array_equal(found, expected.astype(bool))


def test_a_border_after_lossy_compression() -> None:
    framed = cv2.copyMakeBorder(
        scene(np.uint8) // 2 + 60, 16, 16, 0, 0, cv2.BORDER_CONSTANT, value=16
    )
    coded = cv2.imdecode(cv2.imencode(".jpg", framed, [cv2.IMWRITE_JPEG_QUALITY, 90])[1], 0)
    found = invalid_pixels(coded)
    assert found is not None and found[:14].all() and found[-14:].all()
    assert not found[20:-20].any()


def test_a_clipped_sky_is_scene() -> None:
    pixels = scene(np.uint8).astype(int) - 90
    assert (pixels[0] < 0).mean() > 0.9
    assert invalid_pixels(pixels.clip(0).astype(np.uint8)) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("radius", [58, 75, 90])
def test_round_optics(dtype: type, radius: int) -> None:
    inside = cv2.circle(np.zeros((120, 160), np.uint8), (80, 60), radius, 1, -1) > 0
    pixels = np.where(inside, np.maximum(scene(dtype), 20), 0).astype(dtype)
    found = invalid_pixels(pixels)
    assert found is not None and np.mean(found != ~inside) < 0.01


def test_much_of_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    pixels = scene()
    pixels[:30] = 0
    valid = ValidScene("in.mkv")
    with caplog.at_level(logging.WARNING, "ladle_rt"):
        for _ in range(3):
            valid.apply(pixels)
    assert len(caplog.records) == 1
    assert "in.mkv: 25 % of the picture is not scene" in caplog.text


def test_nothing_valid_is_left_alone() -> None:
    nothing = np.zeros((8, 8), np.uint16)
    assert ValidScene("x").apply(nothing) is nothing


@pytest.mark.parametrize("mark", [np.nan, np.inf, -9999.0, 3.4e38])
def test_marks_for_no_data_among_floats(mark: float) -> None:
    degrees = scene().astype(np.float32) / 100 - 200
    degrees[3, 4:20] = mark
    missing = missing_values(degrees)
    assert missing is not None and missing.sum() == 16 and missing[3, 4:20].all()
    assert missing_values(degrees[10:]) is None


def test_no_picture_of_many_cameras_has_a_border_that_is_none(shared_data: Path) -> None:
    folders = ("roadscene/ir", "metu-vistir/ir", "m3fd/ir", "msrs/ir", "hit-uav-thermal-only")
    for folder in folders:
        for path in sorted((shared_data / folder).glob("*"))[::7]:
            pixels = cv2.imread(str(path), cv2.IMREAD_ANYDEPTH)
            if pixels is not None:
                assert invalid_pixels(pixels) is None, path


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 24), st.integers(1, 24), st.sampled_from([np.uint8, np.uint16]),
    st.integers(0, 2**32 - 1), st.integers(1, 16),
)  # fmt: skip
def test_any_picture_is_taken(height: int, width: int, dtype: type, seed: int, bits: int) -> None:
    rng = np.random.default_rng(seed)
    top = min(np.iinfo(dtype).max, (1 << bits) - 1)
    pixels = (
        rng.integers(0, top + 1, (height, width)) * (rng.random((height, width)) > 0.3)
    ).astype(dtype)
    before = pixels.copy()
    filled = ValidScene("x").apply(pixels)
    assert filled.shape == pixels.shape and filled.dtype == pixels.dtype
    assert np.array_equal(pixels, before)
    found = invalid_pixels(pixels)
    if found is None:
        assert filled is pixels
    else:
        assert np.array_equal(filled, fill_invalid(pixels, found))
        assert np.array_equal(filled[~found], pixels[~found])


def test_something_hot_before_a_clipped_background_is_not_framed_by_a_border() -> None:
    pixels = np.full((48, 64), 40, np.uint8)
    pixels[:, 30:36] = 220
    assert ValidScene("x").apply(pixels) is pixels
