"""The daylight look: where it brings pictures, and how far it dares to go."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ladle_rt.colour import Rgb
from ladle_rt.datasets.look import CHROMA, GAIN, measure, measure_set, to_look


def scene(seed: int = 0) -> Rgb:
    """Smooth, slightly coloured, from dark to bright."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(20, 236, (8, 10, 1)) + rng.integers(-20, 21, (8, 10, 3))
    small = coarse.astype(np.float32)
    large = cv2.resize(small, (160, 120), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large.round(), np.uint8)


def hazy(rgb: Rgb) -> Rgb:
    """As through haze: lifted blacks, little more than a third of the contrast."""
    return (rgb // 5 * 2 + 120).astype(np.uint8)


def lab(rgb: Rgb) -> np.ndarray:
    return cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def test_haze_goes() -> None:
    picture = scene()
    lightness = lab(to_look(hazy(picture), "daylight"))[..., 0]
    assert np.percentile(lab(hazy(picture))[..., 0], 1) > 50
    assert np.percentile(lightness, 1) < 8 and np.percentile(lightness, 99) > 90
    assert np.median(lightness) == pytest.approx(46, abs=3)


def test_two_exposures_of_a_scene_come_out_alike() -> None:
    picture = scene()
    apart = np.abs(picture.astype(float) - hazy(picture)).mean()
    first, second = (to_look(p, "daylight").astype(float) for p in (picture, hazy(picture)))
    assert np.abs(first - second).mean() < apart / 3


def test_a_colour_cast_goes_most_of_the_way() -> None:
    picture = scene()
    grey = np.repeat(picture[..., :1], 3, axis=2)
    cast = grey.copy()
    cast[..., 0] = np.clip(cast[..., 0].astype(int) + 40, 0, 255)
    before, after = lab(cast), lab(to_look(cast, "daylight"))
    assert abs(np.median(after[..., 1])) < 0.75 * abs(np.median(before[..., 1]))


def test_colour_is_evened_within_limits() -> None:
    graded = lab(to_look(scene(), "daylight"))
    assert np.hypot(graded[..., 1], graded[..., 2]).mean() == pytest.approx(CHROMA, rel=0.35)
    grey = np.repeat(scene()[..., :1], 3, axis=2).copy()
    grey[::2] += 1
    grade = measure(grey)
    assert grade.gain == GAIN[1]
    graded = lab(grade(grey))
    assert np.hypot(graded[..., 1], graded[..., 2]).mean() < 2


def test_dim_noise_is_not_blown_up_to_daylight() -> None:
    noise = np.random.default_rng(0).integers(100, 104, (120, 160, 3), dtype=np.uint8)
    assert lab(to_look(noise, "daylight"))[..., 0].std() < 6


def test_clipped_skies_are_neutral() -> None:
    picture = scene()
    picture[:40] = (255, 235, 245)
    before, sky = (lab(p)[:40] for p in (picture, to_look(picture, "daylight")))
    assert np.hypot(sky[..., 1], sky[..., 2]).mean() < 3 and sky[..., 0].mean() > 95
    assert np.hypot(before[..., 1], before[..., 2]).mean() > 8


def test_a_set_of_crops_has_one_grade() -> None:
    white = np.full((64, 64, 3), 230, np.uint8)
    crops = [scene(seed) for seed in range(6)] + [white]
    grade = measure_set(crops)
    # By itself a white car would be made mid-grey.
    assert lab(to_look(white, "daylight"))[..., 0].mean() < lab(grade(white))[..., 0].mean() - 5
    assert grade(white).shape == white.shape


def test_no_look_changes_nothing() -> None:
    picture = scene()
    assert to_look(picture, "none") is picture
