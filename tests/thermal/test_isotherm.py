"""Which pixels are hot, in every unit, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from ladle_rt.config import Isotherm
from ladle_rt.errors import InputError
from ladle_rt.frames import Frame
from ladle_rt.temperature import CelsiusScale
from ladle_rt.thermal.isotherm import IsothermReader, IsothermSwitch


def scene(hot: int = 9000, dtype: type = np.uint16) -> np.ndarray:
    """Noise around 5000 and a hot square of 4 % of the picture."""
    pixels = np.random.default_rng(0).normal(5000, 40, (100, 100))
    pixels[20:40, 30:50] = hot
    return pixels.astype(dtype)


SQUARE = np.zeros((100, 100), bool)
SQUARE[20:40, 30:50] = True


@pytest.mark.parametrize(
    "isotherm",
    [Isotherm(96, "percentile"), Isotherm(8000, "counts"), Isotherm(35, "celsius")],
    ids=lambda one: one.unit,
)
def test_a_hot_square_is_found_in_every_unit(isotherm: Isotherm) -> None:
    frame = Frame(scene(), 0, 0, celsius=CelsiusScale(0.01, -50))
    hot = IsothermReader(isotherm).read(frame)
    assert hot is not None
    np.testing.assert_array_equal(hot.mask, SQUARE)
    assert hot.heat[SQUARE].min() >= 128 and not hot.heat[~SQUARE].any()


def test_heat_grows_from_the_isotherm_to_the_hottest_pixel() -> None:
    ramp = np.tile(np.arange(0, 1000, 10, dtype=np.uint16), (20, 1))
    hot = IsothermReader(Isotherm(500, "counts")).read(Frame(ramp, 0, 0))
    assert hot is not None
    row = hot.heat[0, 50:].astype(int)
    assert row[0] == 128 and row[-1] == 255 and (np.diff(row) > 0).all()


def test_saturated_pixels_are_hot_and_flat_frames_are_not() -> None:
    """An 8-bit camera whose hottest 10 % all read 255."""
    pixels = np.full((50, 50), 90, np.uint8)
    pixels[:5] = 255
    hot = IsothermReader(Isotherm()).read(Frame(pixels, 0, 0))
    assert hot is not None and hot.mask[:5].all() and not hot.mask[5:].any()
    assert IsothermReader(Isotherm()).read(Frame(np.full((50, 50), 90, np.uint8), 0, 0)) is None
    assert IsothermReader(Isotherm(9000.5, "counts")).read(Frame(scene(), 0, 0)) is None


def test_temperatures_are_read_behind_a_tone_curve() -> None:
    equalized = np.full((100, 100), 200, np.uint8)
    frame = Frame(equalized, 0, 0, counts=scene())
    hot = IsothermReader(Isotherm(8000, "counts")).read(frame)
    assert hot is not None
    np.testing.assert_array_equal(hot.mask, SQUARE)


def test_a_percentile_follows_slowly_and_stills_do_not() -> None:
    cold, warm = scene(), scene() + np.uint16(1000)

    def share(smoothing_s: float) -> float:
        reader = IsothermReader(Isotherm(90), smoothing_s)
        reader.read(Frame(cold, 0, 0))
        hot = reader.read(Frame(warm, 1, 40_000_000))
        return 0.0 if hot is None else float(hot.mask.mean())

    assert share(0.0) == pytest.approx(0.1, abs=0.01)
    assert share(1.0) > 0.9


def test_degrees_need_a_source_that_knows_them() -> None:
    with pytest.raises(InputError, match=r"37 degrees C needs .* 98% or counts"):
        IsothermReader(Isotherm(37, "celsius")).read(Frame(scene(), 0, 0))


def test_the_switch_is_on_where_an_isotherm_was_asked_for() -> None:
    assert not IsothermSwitch().on and IsothermSwitch().isotherm == Isotherm()
    asked = IsothermSwitch(Isotherm(80))
    assert asked.on and asked.isotherm.value == 80
