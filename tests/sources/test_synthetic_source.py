"""The synthetic drive: deterministic, thermal-looking, of the size that was asked for."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from ladle_rt.errors import ConfigError
from ladle_rt.sources.base import Source
from ladle_rt.sources.synthetic_source import DriveOptions, SyntheticSource, synthetic_pairs


def test_same_options_same_drive() -> None:
    options = DriveOptions(width=160, height=128, seconds=0.1)
    first, second = (list(SyntheticSource(options)) for _ in range(2))
    assert [frame.pts for frame in first] == [0, 1, 2]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(first, second, strict=True))
    pairs = list(itertools.pairwise(first))
    assert all(a.timestamp_ns <= b.timestamp_ns for a, b in pairs)
    assert not any(np.shares_memory(a.pixels, b.pixels) for a, b in pairs)
    other = next(iter(SyntheticSource(DriveOptions(160, 128, seconds=0.1, seed=2))))
    assert not np.array_equal(first[0].pixels, other.pixels)


def test_a_seed_keeps_its_thermal_picture() -> None:
    """Figures of benchmarks are about these pixels; other builds of OpenCV round a few of them."""
    kept = cv2.imread(str(Path(__file__).with_name("drive-seed3.png")), cv2.IMREAD_UNCHANGED)
    *_, frame = SyntheticSource(DriveOptions(160, 128, rate=5, seconds=1, seed=3))
    assert kept is not None and kept.shape == frame.pixels.shape
    assert np.mean(kept != frame.pixels) < 0.01


def test_pairs_are_one_scene_in_two_palettes() -> None:
    pairs = list(synthetic_pairs(320, 256, seed=1, count=3))
    again = list(synthetic_pairs(320, 256, seed=1, count=3))
    assert all(np.array_equal(a.visible, b.visible) for a, b in zip(pairs, again, strict=True))
    assert not np.array_equal(pairs[0].visible, pairs[1].visible)
    first = next(iter(SyntheticSource(DriveOptions(320, 256, seconds=2.4))))
    assert np.array_equal(pairs[0].thermal, first.pixels)
    for thermal, visible in pairs:
        assert thermal.shape == (256, 320) and visible.shape == (256, 320, 3)
        sky, road = visible[:20].mean(axis=(0, 1)), visible[230:, 110:150].mean(axis=(0, 1))
        assert sky[2] > sky[0] + 40 and np.ptp(road) < 20 < 60 < road.mean() < 130
        # What is cold by day is the sky: above the horizon, and blue or white.
        cold = (thermal < 60)[:100]
        assert cold.mean() > 0.2 and (visible[:100][cold].argmax(axis=1) == 2).mean() > 0.95


def test_it_looks_like_a_drive_by_day() -> None:
    with SyntheticSource(DriveOptions(seconds=1)) as source:
        assert isinstance(source, Source)
        frames = [frame.pixels for frame in source]
    assert source.info.frames == len(frames) == 30
    assert frames[0].shape == (512, 640) and frames[0].dtype == np.uint8
    sky, road = frames[0][:80], frames[0][450:, 200:440]
    assert sky.mean() < 60 < 150 < road.mean()
    moved = np.abs(frames[-1].astype(int) - frames[0])[220:].mean()
    noise = np.abs(frames[1].astype(int) - frames[0])[:80].mean()
    assert moved > 3 * noise


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (2048, 16), (16, 2048)])
def test_any_size_and_at_least_one_frame(size: tuple[int, int]) -> None:
    source = SyntheticSource(DriveOptions(*size, seconds=0.001))
    (frame,) = source
    assert (source.info.width, source.info.height, source.info.frames) == (*size, 1)
    assert frame.pixels.shape == size[::-1] and frame.pixels.dtype == np.uint8


def test_scenery_lasts_to_the_end_of_a_long_drive() -> None:
    """Something stands at the roadside in the last second as in the first."""
    things = SyntheticSource(DriveOptions(160, 128, rate=1, seconds=120))
    *_, last = things
    roadside = last.pixels[40:54].astype(float)
    assert roadside.std(axis=1).mean() > 15


@pytest.mark.parametrize(
    "values",
    [
        {"width": 8},
        {"rate": 0},
        {"seconds": 0.0},
        {"seconds": math.inf},
        {"seconds": math.nan},
        {"seed": -1},
        {"height": 9000},
    ],
)
def test_bad_options(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        DriveOptions(**values)  # type: ignore[arg-type]
