"""Degrees of counts: there and back, and as FLIR's published formula has them."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladle_rt.errors import ConfigError
from ladle_rt.sources.stills.flir_calibration import planck_scale
from ladle_rt.temperature import KELVIN_64, UNITS, CelsiusScale, PlanckScale, parse_scale

E40 = {
    0x20: 0.95, 0x24: 2.0, 0x28: 294.14, 0x2C: 287.14, 0x30: 292.14, 0x34: 0.98, 0x3C: 0.49,
    0x58: 14866.5, 0x5C: 1395.7, 0x60: 1.0, 0x70: 0.006569, 0x74: 0.01262, 0x78: -0.002276,
    0x7C: -0.00667, 0x80: 1.9, 0x30C: 0.01108648,
}  # fmt: skip
"""A real camera's figures, by their place in the record."""


def record(order: str = "<", **changed: float) -> bytes:
    data = bytearray(0x400)
    for place, value in (E40 | {int(key[1:], 16): value for key, value in changed.items()}).items():
        struct.pack_into(order + "f", data, place, value)
    struct.pack_into(order + "i", data, 0x308, -5859)
    return bytes(data)


def published(raw: float) -> float:
    """``raw2temp`` of the R package Thermimage, step by step, for the figures above."""
    r1, b, f, o, r2 = 14866.5, 1395.7, 1.0, -5859, 0.01108648
    e, distance, window, humidity, air = 0.95, 2.0, 0.98, 0.49, 287.14 - 273.15
    h2o = humidity * math.exp(1.5587 + 0.06939 * air - 2.7816e-4 * air**2 + 6.8455e-7 * air**3)
    root = math.sqrt(distance / 2)
    tau = 1.9 * math.exp(-root * (0.006569 - 0.002276 * math.sqrt(h2o)))
    tau += (1 - 1.9) * math.exp(-root * (0.01262 - 0.00667 * math.sqrt(h2o)))

    def counts(kelvin: float) -> float:
        return r1 / (r2 * (math.exp(b / kelvin) - f)) - o

    reflected = (1 - e) / e * counts(294.14)
    first = (1 - tau) / e / tau * counts(287.14)
    glass = (1 - window) / e / tau / window * counts(292.14)
    second = (1 - tau) / e / tau / window / tau * counts(287.14)
    own = raw / e / tau / window / tau - first - second - glass - reflected
    return b / math.log(r1 / (r2 * (own + o)) + f) - 273.15


@pytest.mark.parametrize("order", ["<", ">"])
def test_flir_counts_as_the_published_formula_has_them(order: str) -> None:
    scale = planck_scale(record(order), order)
    assert scale is not None
    for raw in (16_500, 17_059, 18_266, 25_000):
        assert scale.celsius(raw) == pytest.approx(published(raw), abs=2e-3)


@pytest.mark.parametrize(
    "wrong",
    [{"x20": 0.0}, {"x20": math.nan}, {"x58": -1.0}, {"x34": 0.0}, {"x28": 5.0}, {"x60": 1e9}],
)
def test_figures_without_sense_give_no_degrees(wrong: dict[str, float]) -> None:
    assert planck_scale(record(**wrong), "<") is None
    assert planck_scale(record()[:0x300], "<") is None


@given(celsius=st.floats(-40, 500))
def test_there_and_back(celsius: float) -> None:
    flir = planck_scale(record(), "<")
    assert flir is not None
    for scale in (flir, *UNITS.values(), CelsiusScale(-0.1, 40)):
        assert scale.celsius(scale.counts(celsius)) == pytest.approx(celsius, abs=1e-6)


def test_new_counts_get_the_scale_that_fits() -> None:
    upside_down = CelsiusScale(0.5, -10).rebased(255, -1)
    assert upside_down.celsius(255) == -10 and upside_down.celsius(0) == 0.5 * 255 - 10
    assert not upside_down.rises and upside_down.rebased(255, -1) == CelsiusScale(0.5, -10)


def test_no_temperature_is_beyond_a_scale() -> None:
    scale = PlanckScale(14866.5, 0.011, 1395.7, 1.0, -5859)
    assert scale.celsius(0) == -273.15 and math.isfinite(scale.counts(-1000))


def test_scales_as_people_write_them() -> None:
    assert parse_scale("kelvin/100").celsius(31_000) == pytest.approx(36.85)
    assert parse_scale(" Kelvin/64") is KELVIN_64
    assert parse_scale("optris").celsius(1370) == pytest.approx(37)
    assert parse_scale("-0.1,40") == CelsiusScale(-0.1, 40)
    for wrong in ("fahrenheit", "0,1", "nan,2", "1", "1,2,3"):
        with pytest.raises(ConfigError, match="temperature scale must be"):
            parse_scale(wrong)
