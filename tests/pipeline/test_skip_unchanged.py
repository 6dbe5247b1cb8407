from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ladle_rt.frames import Frame
from ladle_rt.pipeline.skip_unchanged import SkipUnchanged
from ladle_rt.sources.synthetic_source import DriveOptions, SyntheticSource
from ladle_rt.sources.video_source import VideoSource


def noisy_scene(number: int, dtype: type = np.uint8, square: int | None = None) -> Frame:
    rng = np.random.default_rng(number)
    scene = np.tile(np.linspace(20, 220, 160), (120, 1))
    if square is not None:
        scene[50:66, square : square + 12] = 255
    gain = 8 if dtype == np.uint16 else 1
    pixels = np.clip((scene + rng.normal(0, 1.5, scene.shape)) * gain, 0, 255 * gain)
    return Frame(pixels.astype(dtype), number, 0, number, None)


def timed(frame: Frame, time_s: float) -> Frame:
    return Frame(frame.pixels, frame.sequence, round(time_s * 1e9))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_still_scene_with_noise_is_held_for_a_second(dtype: type) -> None:
    skip = SkipUnchanged()
    holds = [skip(timed(noisy_scene(n, dtype), n / 30)).hold for n in range(90)]
    translated = [number for number, hold in enumerate(holds) if hold is None]
    assert translated == [0, 30, 60]


def test_something_small_that_moves_is_translated() -> None:
    skip = SkipUnchanged()
    holds = [skip(timed(noisy_scene(n, square=10 + 3 * n), n / 30)).hold for n in range(30)]
    assert holds == [None] * 30


def test_slow_change_is_not_lost() -> None:
    """Compared with what was last translated, not with the frame before."""
    skip = SkipUnchanged()
    holds = []
    for number in range(30):
        frame = noisy_scene(0)
        pixels = np.minimum(frame.pixels, 235) + np.uint8(number // 2)
        holds.append(skip(timed(Frame(pixels, number, 0), number / 30)).hold)
    assert 2 < holds.count(None) < 15


def test_another_size_or_time_running_back_starts_anew() -> None:
    skip = SkipUnchanged()
    frame = noisy_scene(0)
    assert skip(timed(frame, 1.0)).hold is None
    assert skip(timed(frame, 1.1)).hold == "unchanged"
    assert skip(timed(Frame(frame.pixels[:60], 1, 0), 1.2)).hold is None
    assert skip(timed(frame, 1.3)).hold is None
    assert skip(timed(frame, 0.2)).hold is None


def test_moving_cameras_are_always_translated(shared_data: Path) -> None:
    skip = SkipUnchanged()
    with SyntheticSource(DriveOptions(seconds=1)) as source:
        assert [skip(frame).hold for frame in source] == [None] * 30
    with VideoSource(shared_data / "video8" / "horse_320x256.mp4", duration_s=2) as source:
        skip = SkipUnchanged()
        assert [skip(frame).hold for frame in source].count("unchanged") == 0
