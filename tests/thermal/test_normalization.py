"""One normalisation for training and run time: monotone, bounded, blind to gain and offset."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladle_rt.errors import ConfigError
from ladle_rt.thermal.normalization import (
    Levels,
    LevelTracker,
    ThermalNormalization,
    apply_levels,
    gamma_for,
    measure_levels,
    normalize,
)

SPEC = ThermalNormalization()


def scene(seed: int = 0, low: int = 20, high: int = 220) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(low, high, (40, 50)).astype(np.uint8)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.integers(0, 65535), min_size=1, max_size=200),
    deep=st.booleans(),
)
def test_bounded_and_monotone(values: list[int], deep: bool) -> None:
    pixels = np.array([values], np.uint16)
    if not deep:
        pixels = (pixels >> 8).astype(np.uint8)
    result = normalize(pixels, SPEC)
    assert result.dtype == np.float32 and result.shape == pixels.shape
    assert result.min() >= 0 and result.max() <= 1
    order = np.argsort(pixels[0], kind="stable")
    assert (np.diff(result[0][order]) >= 0).all()


@settings(max_examples=40, deadline=None)
@given(gain=st.integers(1, 100), offset=st.integers(0, 30000))
def test_gain_and_offset_do_not_matter(gain: int, offset: int) -> None:
    counts = scene().astype(np.uint16)
    expected = normalize(counts, SPEC)
    assert np.allclose(
        normalize(counts * np.uint16(gain) + np.uint16(offset), SPEC), expected, atol=1e-3
    )


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.integers(0, 65535), min_size=1, max_size=300),
    deep=st.booleans(),
    low=st.floats(0, 40),
    high=st.floats(60, 100),
)
def test_levels_are_the_percentiles_of_numpy(
    values: list[int], deep: bool, low: float, high: float
) -> None:
    pixels = np.array([values], np.uint16)
    if not deep:
        pixels = (pixels >> 8).astype(np.uint8)
    spec = ThermalNormalization(low_percentile=low, high_percentile=high)
    levels = measure_levels(pixels, spec)
    expected = np.percentile(pixels, [low, 50, high], method="inverted_cdf")
    assert [levels.low, levels.mid, levels.high] == expected.tolist()


@settings(max_examples=60, deadline=None)
@given(counts=st.integers(0, 65535), size=st.integers(1, 12), deep=st.booleans())
def test_flat_frames_are_black(counts: int, size: int, deep: bool) -> None:
    pixels = np.full((size, size), counts if deep else counts >> 8, np.uint16)
    if not deep:
        pixels = pixels.astype(np.uint8)
    assert not normalize(pixels, SPEC).any()


def test_eight_and_sixteen_bits_agree() -> None:
    pixels = scene()
    big = np.tile(pixels.astype(np.uint16), (8, 8))
    assert np.allclose(
        normalize(pixels, SPEC), normalize(pixels.astype(np.uint16), SPEC), atol=1e-6
    )
    assert np.allclose(normalize(big, SPEC)[:40, :50], normalize(pixels, SPEC), atol=1e-6)


def test_median_lands_near_the_target() -> None:
    skewed = (scene(low=0, high=256).astype(float) ** 1.5 / 256**0.5).astype(np.uint8)
    assert np.median(normalize(skewed, SPEC)) == pytest.approx(SPEC.mid_target, abs=0.03)


def test_gamma_stays_within_its_limit() -> None:
    assert gamma_for(Levels(0, 1, 100), SPEC) == 1 / SPEC.gamma_limit
    assert gamma_for(Levels(0, 99, 100), SPEC) == SPEC.gamma_limit
    assert gamma_for(Levels(5, 5, 5), SPEC) == 1.0


def test_flat_frames_stay_flat_and_noise_is_not_blown_up() -> None:
    assert not normalize(np.zeros((8, 8), np.uint8), SPEC).any()
    faint = np.full((64, 64), 100, np.uint8)
    faint[::2] += 1
    assert np.ptp(normalize(faint, SPEC)) < 0.5


def test_levels_are_values_of_the_frame() -> None:
    pixels = np.array([[10, 20, 30, 40]], np.uint8)
    assert measure_levels(pixels, SPEC) == Levels(10, 20, 40)
    assert apply_levels(pixels, Levels(10, 25, 40), SPEC)[0, [0, 3]].tolist() == [0, 1]


@pytest.mark.parametrize(
    "values",
    [
        {"low_percentile": 60.0, "high_percentile": 40.0},
        {"high_percentile": 101.0},
        {"mid_target": 1.0},
        {"gamma_limit": 0.5},
        {"gamma_limit": math.nan},
        {"gamma_limit": math.inf},
        {"min_span": 0.0},
        {"min_span": math.nan},
        {"min_span": math.inf},
    ],
)
def test_bad_settings(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        ThermalNormalization(**values)


def test_dictionary_round_trip() -> None:
    spec = ThermalNormalization(mid_target=0.4)
    assert ThermalNormalization.from_dict(spec.to_dict()) == spec
    with pytest.raises(ConfigError, match="needs the fields"):
        ThermalNormalization.from_dict({})
    with pytest.raises(ConfigError, match="must be numbers"):
        ThermalNormalization.from_dict({**spec.to_dict(), "mid_target": "high"})


def test_tracker_follows_slowly() -> None:
    tracker = LevelTracker(SPEC, smoothing_s=1.0)
    first = tracker.update(scene(), 0.0)
    assert first == measure_levels(scene(), SPEC)
    warmer = scene(low=40, high=240)
    step = tracker.update(warmer, 0.1)
    wanted = measure_levels(warmer, SPEC)
    assert first.low < step.low < first.low + 0.2 * (wanted.low - first.low)
    for frame in range(100):
        step = tracker.update(warmer, 0.2 + 0.1 * frame)
    assert step.low == pytest.approx(wanted.low, abs=0.1)


@settings(max_examples=40, deadline=None)
@given(
    lows=st.lists(st.integers(0, 150), min_size=2, max_size=12),
    steps=st.lists(st.floats(0, 3), min_size=12, max_size=12),
    smoothing_s=st.floats(0, 5),
)
def test_tracked_levels_stay_among_the_measured_ones(
    lows: list[int], steps: list[float], smoothing_s: float
) -> None:
    tracker = LevelTracker(SPEC, smoothing_s)
    frames = [scene(low=low, high=low + 100) for low in lows]
    measured = [measure_levels(frame, SPEC) for frame in frames]
    time_s = 0.0
    for number, frame in enumerate(frames):
        time_s += steps[number]
        levels = tracker.update(frame, time_s)
        for name in ("low", "mid", "high"):
            seen = [getattr(each, name) for each in measured[: number + 1]]
            assert min(seen) - 1e-9 <= getattr(levels, name) <= max(seen) + 1e-9
        assert levels.low <= levels.mid <= levels.high


def test_tracking_does_not_depend_on_the_frame_rate() -> None:
    """One second towards a new level is one second, in four steps or in forty."""
    ends = []
    for frames in (4, 40):
        tracker = LevelTracker(SPEC, smoothing_s=1.0)
        tracker.update(scene(), 0.0)
        for number in range(1, frames + 1):
            levels = tracker.update(scene(low=40, high=240), number / frames)
        ends.append(levels.low)
    first, wanted = (measure_levels(scene(low=low, high=low + 200), SPEC).low for low in (20, 40))
    assert ends[0] == pytest.approx(ends[1])
    assert ends[0] == pytest.approx(wanted + (first - wanted) * np.exp(-1))


def test_tracker_takes_cuts_and_restarts_at_once() -> None:
    cold, hot = scene(low=0, high=60), scene(low=150, high=250)
    tracker = LevelTracker(SPEC, smoothing_s=10.0)
    tracker.update(cold, 5.0)
    assert tracker.update(hot, 5.1) == measure_levels(hot, SPEC)
    near = scene(low=140, high=240)
    assert tracker.update(near, 1.0) == measure_levels(near, SPEC)
    assert LevelTracker(SPEC, 0).update(near, 0) == measure_levels(near, SPEC)
    for smoothing_s in (-1.0, math.nan):
        with pytest.raises(ConfigError):
            LevelTracker(SPEC, smoothing_s)
