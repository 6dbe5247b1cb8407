"""Guided detail against plain NumPy, and against the picture it should restore."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ladle_rt.frames import Levels
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.translate.colorize import PictureSpec, Rendering, render
from ladle_rt.translate.detail import EPSILON, MAX_SLOPE, RADIUS, slope

LINEAR = ThermalNormalization(gamma_limit=1.0)
FULL, SMALL = (128, 192), (32, 48)


def texture(shape: tuple[int, int], seed: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def windows(image: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    side = 2 * RADIUS + 1
    padded = np.pad(image, RADIUS, "reflect")
    return np.lib.stride_tricks.sliding_window_view(padded, (side, side))


@pytest.mark.parametrize("contrast", [1.0, 0.02])
def test_slope_is_a_regression_in_every_window(contrast: float) -> None:
    thermal, luminance = texture((20, 26), 1) * np.float32(contrast), texture((20, 26), 2)
    t, y = windows(thermal.astype(float)), windows(luminance.astype(float))
    t_rest = t - t.mean(axis=(2, 3), keepdims=True)
    y_rest = y - y.mean(axis=(2, 3), keepdims=True)
    fitted = (t_rest * y_rest).mean(axis=(2, 3)) / ((t_rest**2).mean(axis=(2, 3)) + EPSILON)
    expected = windows(np.clip(fitted, -MAX_SLOPE, MAX_SLOPE)).mean(axis=(2, 3))
    assert np.ptp(expected) > 0.1
    assert np.abs(slope(luminance, thermal) - expected).max() < 1e-3


def test_slope_is_bounded_and_zero_without_contrast() -> None:
    thermal = texture(SMALL, 3) * np.float32(0.1)
    assert np.abs(slope(thermal * 50, thermal)).max() <= MAX_SLOPE
    assert np.abs(slope(texture(SMALL, 4), np.full(SMALL, 0.7, np.float32))).max() < 1e-3
    assert slope(np.ones((1, 1), np.float32), np.ones((1, 1), np.float32)).shape == (1, 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("gain", [0.6, -0.6])
def test_detail_restores_what_the_network_size_lost(gain: float, dtype: type) -> None:
    """Hot is bright or hot is dark: the full-size picture follows its own polarity."""
    top = np.iinfo(dtype).max
    pixels = (cv2.GaussianBlur(texture(FULL, 5), (0, 0), 2) * top).astype(dtype)
    levels = Levels(float(pixels.min()), float(np.median(pixels)), float(pixels.max()))
    sharp_thermal = (pixels.astype(np.float32) - levels.low) / (levels.high - levels.low)
    thermal = cv2.resize(sharp_thermal, SMALL[::-1], interpolation=cv2.INTER_AREA)
    value = np.float32(0.5) + np.float32(gain) * (thermal - np.float32(0.5))
    item = Rendering(np.repeat(value[None], 3, axis=0), thermal, pixels, levels)
    ideal = 16 + 219 * (0.5 + gain * (sharp_thermal - 0.5))

    def error(detail: bool) -> float:
        picture = render(
            item,
            LINEAR,
            PictureSpec("yuv420p", True),
            detail=detail,
            layout="colour",
            mark=False,
        )
        return float(np.abs(picture.data[: FULL[0]] - ideal).mean())

    assert error(False) > 4
    assert error(True) < 0.4 * error(False)
