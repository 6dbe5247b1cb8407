"""Naturalness: what fog, blur and grey do to the figures."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ladle_rt.evaluation.image_metrics import ImageScores, colourfulness, compare, gradient_energy

Image = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def truth() -> Image:
    coarse = np.random.default_rng(0).random((48, 64, 3), dtype=np.float32)
    return np.clip(cv2.resize(coarse, (256, 192), interpolation=cv2.INTER_CUBIC), 0, 1)


def ratios(scores: ImageScores) -> tuple[float, float, float]:
    return scores.contrast_ratio, scores.chroma_ratio, scores.sharpness_ratio


def test_the_truth_is_as_natural_as_itself(truth: Image) -> None:
    same = compare(truth, truth)
    assert ratios(same) == (1, 1, 1)
    assert same.colourfulness == same.colourfulness_truth > 50
    assert same.black_point == same.black_point_truth


def test_blur_takes_sharpness_first(truth: Image) -> None:
    blurred = compare(cv2.GaussianBlur(truth, (0, 0), 2), truth)
    assert blurred.sharpness_ratio < 0.6 < blurred.contrast_ratio < 1


def test_fog_has_no_contrast_no_colour_and_no_black(truth: Image) -> None:
    fog = compare(0.3 * truth + np.float32(0.5), truth)
    assert max(ratios(fog)) < 0.5
    assert fog.sharpness_ratio == pytest.approx(0.3**2, rel=1e-3), "an energy, not an amplitude"
    assert fog.colourfulness == pytest.approx(0.3 * fog.colourfulness_truth, rel=1e-3)
    assert fog.black_point > fog.black_point_truth + 20


def test_lightness_of_known_colours() -> None:
    """Half black, half white: L* is 0 and 100, so it spreads by 50; sRGB red has 53.24."""
    halves = np.zeros((192, 256, 3), np.float32)
    halves[:, 128:] = 1
    red = np.broadcast_to(np.float32([1, 0, 0]), (192, 256, 3))
    scores = compare(red, halves)
    assert (scores.contrast, scores.contrast_truth) == pytest.approx((0, 50), abs=1e-3)
    assert (scores.black_point, scores.black_point_truth) == pytest.approx((53.24, 0), abs=0.01)


def test_gradient_energy_of_a_ramp_is_the_square_of_its_slope() -> None:
    x, y = np.meshgrid(np.arange(64), np.arange(48))
    ramp = np.repeat((0.003 * x + 0.004 * y)[..., None].astype(np.float32), 3, axis=2)
    assert gradient_energy(ramp) == pytest.approx(0.003**2 + 0.004**2, rel=1e-3)


def test_colourfulness_is_the_published_formula() -> None:
    """One half red, the other green, by hand: rg = +-255, yb = 127.5 in both."""
    image = np.zeros((4, 8, 3), np.float32)
    image[:, :4, 0] = image[:, 4:, 1] = 1
    assert colourfulness(image) == pytest.approx(255 + 0.3 * 127.5)
    assert colourfulness(np.full((4, 8, 3), 0.4, np.float32)) == pytest.approx(0, abs=1e-4)
