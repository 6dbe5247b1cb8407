from __future__ import annotations

import cv2
import numpy as np
import pytest

from ladle_rt.colour import (
    LUMA,
    RGB_TO_YCBCR,
    YCBCR_TO_RGB,
    encode_png,
    from_lab,
    swap_red_and_blue,
    to_lab,
    to_rgb,
)
from ladle_rt.frames import Picture


@pytest.mark.parametrize(
    ("ycbcr", "rgb"),
    [
        ((63, 102, 240), (255, 0, 0)),
        ((173, 42, 26), (0, 255, 0)),
        ((32, 240, 118), (0, 0, 255)),
        ((16, 128, 128), (0, 0, 0)),
        ((235, 128, 128), (255, 255, 255)),
    ],
)
def test_primaries_of_bt709(ycbcr: tuple[int, int, int], rgb: tuple[int, int, int]) -> None:
    """The numbers of Rec. BT.709-6 at 8 bits, not those that the module computes."""
    planes = np.concatenate([np.full(48, ycbcr[0]), np.full(12, ycbcr[1]), np.full(12, ycbcr[2])])
    found = to_rgb(Picture("yuv420p", planes.astype(np.uint8).reshape(9, 8), 8, 6))
    assert found.shape == (6, 8, 3) and np.abs(found.astype(int) - rgb).max() <= 2
    shifted = np.rint(RGB_TO_YCBCR @ (np.array(rgb) / 255))
    assert shifted == pytest.approx(np.array(ycbcr) - (16, 128, 128))


def test_there_and_back() -> None:
    assert pytest.approx(np.eye(3), abs=1e-6) == RGB_TO_YCBCR @ YCBCR_TO_RGB / 255
    assert LUMA.sum() == pytest.approx(1)


def test_a_picture_in_rgb_is_handed_on() -> None:
    data = np.zeros((3, 5, 3), np.uint8)
    assert to_rgb(Picture("rgb24", data, 5, 3)) is data


def test_png_keeps_red_red() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (5, 7, 3), np.uint8)
    stored = cv2.imdecode(np.frombuffer(encode_png(rgb), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(swap_red_and_blue(stored), rgb)
    assert np.array_equal(stored, rgb[..., ::-1])


def test_lab() -> None:
    """Lindbloom's values for sRGB's primaries under D65."""
    rgb = np.array([[[255, 0, 0], [0, 255, 0], [255, 255, 255]]], np.uint8)
    expected = [[53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [100, 0, 0]]
    assert np.abs(to_lab(rgb)[0] - expected).max() < 0.3
    assert np.rint(from_lab(to_lab(rgb)) * 255) == pytest.approx(rgb)
