from __future__ import annotations

import numpy as np
import pytest

from ladle_rt.errors import ConfigError
from ladle_rt.frames import Frame, Levels, Picture, ThermalImage, TranslatedFrame
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.thermal.palettes import PALETTES, palette_table
from ladle_rt.thermal.thermal_view import ThermalView

NO_PICTURE = Picture("rgb24", np.zeros((2, 2, 3), np.uint8), 2, 2)


@pytest.mark.parametrize("name", PALETTES)
def test_hotter_never_looks_darker(name: str) -> None:
    table = palette_table(name)
    assert table.shape == (256, 3) and table.dtype == np.uint8
    luminance = table @ [0.2126, 0.7152, 0.0722]
    steps = np.diff(luminance)
    if name == "black-hot":
        assert (steps <= 0).all()
    elif name != "rainbow":
        assert (steps >= -0.6).all() and luminance[-1] - luminance[0] > 150
    assert len({tuple(color) for color in table}) > 120


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_frames_are_shown_from_cold_to_hot(dtype: type) -> None:
    offset = 7000 if dtype == np.uint16 else 0
    ramp = (np.tile(np.linspace(20, 120, 200), (50, 1)) + offset).astype(dtype)
    view = ThermalView(ThermalNormalization())
    shown = view.rgb(TranslatedFrame(Frame(ramp, 0, 0), NO_PICTURE))
    assert shown.shape == (50, 200, 3) and shown.dtype == np.uint8
    assert (np.diff(shown[25, :, 0].astype(int)) >= 0).all()
    assert shown[0, 0, 0] < 5 and shown[0, -1, 0] > 250
    assert view.next_palette() == "black-hot"
    turned = view.rgb(TranslatedFrame(Frame(ramp, 1, 1), NO_PICTURE))
    np.testing.assert_array_equal(turned, 255 - shown)


def test_unknown_palettes_are_refused() -> None:
    with pytest.raises(ConfigError, match="white-hot, black-hot"):
        ThermalView(ThermalNormalization(), "mauve")
    view = ThermalView(ThermalNormalization())
    with pytest.raises(ConfigError):
        view.palette = "mauve"
    assert view.palette == "white-hot"


def test_levels_that_came_with_the_frame_are_used() -> None:
    """The network's own image and levels, not those of the frame as captured."""
    captured = np.full((8, 8), 9000, np.uint16)
    prepared = np.full((8, 8), 64, np.uint8)
    thermal = ThermalImage(prepared, Levels(0, 128, 128))
    shown = ThermalView(ThermalNormalization(gamma_limit=1)).rgb(
        TranslatedFrame(Frame(captured, 0, 0), NO_PICTURE, thermal)
    )
    assert np.abs(shown.astype(int) - 128).max() <= 1
