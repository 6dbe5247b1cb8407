"""Failure signatures rise with the failure that they name, and with no other."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ladle_rt.evaluation.signatures import colour_at_edges, displacement_px, noisy


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """Coloured shapes on grey, 192x256."""
    rng = np.random.default_rng(0)
    picture = np.full((192, 256, 3), 0.5, np.float32)
    for _ in range(60):
        x, y = int(rng.integers(0, 256)), int(rng.integers(0, 192))
        colour = [float(value) for value in rng.random(3)]
        cv2.rectangle(picture, (x, y), (x + 25, y + 18), colour, -1)
    return picture


def test_the_truth_itself_has_none(scene: np.ndarray) -> None:
    assert displacement_px(scene, scene) == 0
    assert colour_at_edges(scene, scene) == pytest.approx(1)


@pytest.mark.parametrize("shift", [2, 5])
def test_displacement_is_in_pixels(scene: np.ndarray, shift: int) -> None:
    found = displacement_px(np.roll(scene, shift, axis=1), scene)
    assert found == pytest.approx(shift, abs=0.6)


def test_tone_is_no_displacement(scene: np.ndarray) -> None:
    found = displacement_px(np.asarray(0.2 + 0.5 * scene, np.float32), scene)
    assert found is not None and found < 0.3


def test_bleeding_colour_lowers_its_share_at_edges_and_pale_colour_does_not(
    scene: np.ndarray,
) -> None:
    lab = cv2.cvtColor(scene, cv2.COLOR_RGB2LAB)

    def with_chroma(change: np.ndarray) -> np.ndarray:
        mixed = np.dstack([lab[..., 0], change]).astype(np.float32)
        return np.clip(cv2.cvtColor(mixed, cv2.COLOR_LAB2RGB), 0, 1)

    bled = colour_at_edges(with_chroma(cv2.GaussianBlur(lab[..., 1:], (0, 0), 8)), scene)
    pale = colour_at_edges(with_chroma(lab[..., 1:] * 0.5), scene)
    assert bled is not None and pale is not None
    assert bled < 0.8 < 0.9 < pale


def test_flat_pictures_say_nothing() -> None:
    flat = np.full((192, 256, 3), 0.5, np.float32)
    assert displacement_px(flat, flat) is None and colour_at_edges(flat, flat) is None


def test_noise_is_the_same_for_the_same_draw() -> None:
    thermal = np.full((192, 256), 0.5, np.float32)
    assert (noisy(thermal, 1) == noisy(thermal, 1)).all()
    assert noisy(thermal, 1).std() * 255 == pytest.approx(2, rel=0.05)
    assert not (noisy(thermal, 1) == noisy(thermal, 2)).all()
