"""What is done to pictures after the engine, in both layouts of pixels."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from ladle_rt.colour import to_rgb
from ladle_rt.config import Isotherm, TranslateOptions
from ladle_rt.errors import BackendError, InputError
from ladle_rt.frames import Frame, Levels, Picture, ThermalImage, TranslatedFrame
from ladle_rt.thermal import normalization
from ladle_rt.thermal.isotherm import IsothermSwitch
from ladle_rt.thermal.normalization import ThermalNormalization
from ladle_rt.thermal.palettes import palette_table
from ladle_rt.translate.postprocess import PostProcessingTranslator

SPEC = ThermalNormalization()
H, W = 64, 96
PIXELS = np.random.default_rng(0).integers(40, 60, (H, W), np.uint8)
PIXELS[16:32, 20:40] = 250
HOT = Isotherm(200, "counts")
FORMATS = pytest.mark.parametrize("layout", ["yuv420p", "rgb24"])


class Inner:
    """An engine whose pictures are grey, and brighter with every frame."""

    name, depth, network_size, layout = "inner", 3, (64, 96), "colour"

    def __init__(self, pixel_format: str = "yuv420p", columns: int = W, rows: int = H) -> None:
        self.waiting: list[Frame] = []
        self.closed = False
        self._format, self._columns, self._rows = pixel_format, columns, rows

    def submit(self, one: Frame) -> int:
        self.waiting.append(one)
        return len(self.waiting) - 1

    def collect(self, timeout_s: float | None = None) -> TranslatedFrame:
        if not self.waiting:
            raise BackendError("nothing")
        one = self.waiting.pop(0)
        thermal = ThermalImage(one.pixels, Levels(40, 50, 250))
        return TranslatedFrame(one, self._picture(100 + one.sequence), thermal)

    def _picture(self, value: int) -> Picture:
        rows, columns = self._rows, self._columns
        if self._format == "rgb24":
            data = np.full((rows, columns, 3), value, np.uint8)
        else:
            data = np.full((rows * 3 // 2, columns), 128, np.uint8)
            data[:rows] = value
        return Picture(self._format, data, columns, rows)  # type: ignore[arg-type]

    def resize(self, size: tuple[int, int]) -> None:
        self.network_size = size

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Inner:
        return self

    def __exit__(self, *_: object) -> None: ...


def frame(number: int = 0, pixels: np.ndarray = PIXELS, **fields: Any) -> Frame:
    return Frame(pixels, number, round(number / 30 * 1e9), **fields)


def rgb(translator: Any, one: Frame | None = None) -> np.ndarray:
    translator.submit(one or frame())
    return to_rgb(translator.collect().picture).astype(int)


def wrap(inner: Inner, switch: IsothermSwitch | None = None, **options: Any) -> Any:
    settings = TranslateOptions(**{"steady": 0, "drift_warning": False, **options})
    return PostProcessingTranslator(inner, settings, SPEC, switch)  # type: ignore[arg-type]


def test_the_translator_around_another() -> None:
    inner = Inner()
    with wrap(inner, steady=0.5) as steady:
        assert (steady.name, steady.depth, steady.network_size) == ("inner", 3, (64, 96))
        steady.resize((32, 32))
        assert inner.network_size == (32, 32)
        for number in range(3):
            assert steady.submit(frame(number)) == number
        results = [steady.collect() for _ in range(3)]
        assert [one.frame.sequence for one in results] == [0, 1, 2]
        luma = [one.picture.data[:H].mean() for one in results]
        assert luma[0] == 100 and luma[2] < 102
        with pytest.raises(BackendError, match="nothing"):
            steady.collect()
    assert inner.closed


@FORMATS
def test_hot_regions_are_tinted_and_nothing_else(layout: str) -> None:
    plain = rgb(wrap(Inner(layout)))
    shown = rgb(wrap(Inner(layout), isotherm=HOT))
    changed = np.abs(shown - plain).max(axis=2) > 12
    assert changed[16:32, 20:40].all()
    # Chroma is shared by four pixels and interpolated: two around the region may show it.
    changed[14:34, 18:42] = False
    assert not changed.any()
    hottest = palette_table("ironbow")[255].astype(int)
    assert np.abs(shown[24, 30] - hottest).max() < 12


@FORMATS
def test_an_outline_leaves_the_inside(layout: str) -> None:
    plain = rgb(wrap(Inner(layout)))
    shown = rgb(wrap(Inner(layout), isotherm=Isotherm(200, "counts", "outline")))
    changed = np.abs(shown - plain).max(axis=2) > 12
    assert changed[16, 20:40].all() and changed[31, 20:40].all()
    assert not changed[20:28, 24:36].any()


@FORMATS
def test_beside_the_thermal_picture_only_the_colour_half_is_marked(layout: str) -> None:
    plain = rgb(wrap(Inner(layout, 2 * W), layout="side-by-side"))
    shown = rgb(wrap(Inner(layout, 2 * W), layout="side-by-side", isotherm=HOT))
    changed = np.abs(shown - plain).max(axis=2) > 12
    assert not changed[:, : W - 2].any() and changed[16:32, W + 20 : W + 40].all()


@FORMATS
def test_the_thermal_half_can_have_a_palette(layout: str) -> None:
    shown = rgb(wrap(Inner(layout, 2 * W), layout="side-by-side", palette="ironbow"))
    assert np.ptp(shown[8, 8]) > 50 and np.ptp(shown[8, W + 8]) <= 3
    grey = rgb(wrap(Inner(layout, 2 * W), layout="side-by-side"))
    assert np.ptp(grey[8, 8]) <= 3


def test_odd_frames_fit_their_even_pictures() -> None:
    pixels = np.pad(PIXELS, ((0, 1), (0, 1)), constant_values=250)
    shown = rgb(wrap(Inner(), isotherm=HOT), frame(pixels=pixels))
    assert shown.shape == (H, W, 3)


def test_the_switch_works_from_one_picture_to_the_next() -> None:
    switch = IsothermSwitch(HOT)
    translator = wrap(Inner(), switch, isotherm=HOT)
    marked = rgb(translator)
    switch.on = False
    plain = rgb(translator)
    switch.on = True
    assert np.array_equal(rgb(translator), marked) and not np.array_equal(plain, marked)


def test_the_mark_stays_over_the_heat() -> None:
    everywhere = np.tile(np.linspace(100, 250, 400).astype(np.uint8), (300, 1))
    options = {"isotherm": Isotherm(50, "counts"), "mark": True}
    marked = rgb(wrap(Inner(columns=400, rows=300), **options), frame(pixels=everywhere))
    options["mark"] = False
    bare = rgb(wrap(Inner(columns=400, rows=300), **options), frame(pixels=everywhere))
    changed = np.argwhere((marked != bare).any(axis=2))
    assert changed.size and changed[:, 0].min() > 200


def test_degrees_of_a_source_without_any_are_refused() -> None:
    translator = wrap(Inner(), isotherm=Isotherm(37, "celsius"))
    translator.submit(frame())
    with pytest.raises(InputError, match="needs a source that knows temperatures"):
        translator.collect()


def test_levels_that_came_along_are_not_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from ladle_rt.thermal import drift, thermal_view
    from ladle_rt.translate import steady

    def refuse(*_: object) -> Levels:
        raise AssertionError("measured twice")

    for module in (normalization, steady, thermal_view):
        monkeypatch.setattr(module, "measure_levels", refuse)
    assert not hasattr(drift, "measure_levels") and not hasattr(drift, "normalize")
    translator = wrap(Inner(), steady=0.75, drift_warning=True)
    for number in range(3):
        translator.submit(frame(number))
        shown = thermal_view.ThermalView(SPEC).rgb(translator.collect())
        assert shown.shape == (H, W, 3)


def test_drift_is_told_of_what_the_network_saw(caplog: pytest.LogCaptureFixture) -> None:
    translator = wrap(Inner(), drift_warning=True)
    empty = np.full((H, W), 40, np.uint8)
    with caplog.at_level(logging.WARNING):
        for second in range(8):
            translator.submit(Frame(empty, second, second * 10**9))
            translator.collect()
    assert "unlike the training data" in caplog.text
