"""False colours become the levels they were drawn from."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ladle_rt.errors import ConfigError, FalseColourError
from ladle_rt.thermal.palettes import palette_table
from ladle_rt.thermal.scene_reader import ReadOptions, SceneReader
from ladle_rt.thermal.unpalette import FROM_PALETTES, GREYISH, OPENCV, find_palette, palette_levels


def levels() -> np.ndarray:
    soft = cv2.GaussianBlur(np.random.default_rng(4).normal(0, 1, (120, 160)), (0, 0), 6)
    return np.rint((soft - soft.min()) / np.ptp(soft) * 255).astype(np.uint8)


def draw(palette: str) -> np.ndarray:
    if palette in OPENCV:
        return cv2.applyColorMap(levels(), OPENCV[palette])[..., ::-1]
    return palette_table(palette)[levels()]


@pytest.mark.parametrize("palette", [name for name in FROM_PALETTES if name != "flir-iron"])
def test_every_palette_there_and_back(palette: str) -> None:
    error = np.abs(palette_levels(draw(palette), palette).astype(int) - levels())
    assert error.mean() < 1.5 and np.quantile(error, 0.99) <= 6
    if palette not in GREYISH:
        assert find_palette(draw(palette), "x") == palette


def test_auto_sees_through_jpeg_and_text() -> None:
    picture = np.ascontiguousarray(draw("ironbow")[..., ::-1])
    cv2.putText(picture, "23.4 C", (4, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 2)
    coded = cv2.imdecode(cv2.imencode(".jpg", picture)[1], cv2.IMREAD_COLOR)[..., ::-1]
    read = SceneReader(ReadOptions(from_palette="auto"), "x").read_colours(coded)
    assert np.abs(read[40:].astype(int) - levels()[40:]).mean() < 3


def test_a_photograph_has_no_palette() -> None:
    photo = np.random.default_rng(5).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    with pytest.raises(FalseColourError, match="none of the known palettes"):
        find_palette(photo, "x")


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ConfigError, match="from_palette must be auto or one of ironbow"):
        ReadOptions(from_palette="pink")
