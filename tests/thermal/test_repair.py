from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ladle_rt.similarity import ssim
from ladle_rt.sources.synthetic_source import DriveOptions, SyntheticSource
from ladle_rt.sources.video_source import VideoSource
from ladle_rt.thermal.repair import LOOK_EVERY, LOOKS, DeadPixels, Stripes

BOTH = pytest.mark.parametrize("dtype", [np.uint8, np.uint16])


@pytest.fixture(scope="module")
def drive() -> list[np.ndarray]:
    with SyntheticSource(DriveOptions(320, 256, 30, 4.0)) as source:
        return [frame.pixels for frame in source]


def wide(pixels: np.ndarray, dtype: type) -> np.ndarray:
    return pixels if dtype == np.uint8 else (pixels.astype(np.uint16) * 6 + 7000)


@BOTH
def test_stuck_pixels_are_found_and_replaced(drive: list[np.ndarray], dtype: type) -> None:
    rng = np.random.default_rng(5)
    rows, columns = rng.integers(2, 254, 40), rng.integers(2, 318, 40)
    repair = DeadPixels()
    errors = []
    for clean in drive:
        broken = wide(clean, dtype).copy()
        # As sensors have them: at a rail of the range in use.
        broken[rows, columns] = wide(np.array(rng.choice([0, 255])), dtype)
        broken[rows[:20], columns[:20]] = wide(np.array(255), dtype)
        before = broken.copy()
        repaired = repair.apply(broken)
        np.testing.assert_array_equal(broken, before, "the camera's frame was written to")
        errors.append(
            np.abs(repaired[rows, columns].astype(float) - wide(clean, dtype)[rows, columns])
        )
    assert repair.count >= 15
    gain = 6 if dtype == np.uint16 else 1
    first, last = np.median(errors[0][:20]) / gain, np.median(errors[-1][:20]) / gain
    assert last < 8 < 50 < first


def test_a_clean_camera_is_left_alone(drive: list[np.ndarray]) -> None:
    repair = DeadPixels()
    untouched = [repair.apply(frame) is frame for frame in drive]
    assert repair.count <= 3
    assert untouched[: LOOK_EVERY * LOOKS - LOOK_EVERY] == [True] * (
        LOOK_EVERY * LOOKS - LOOK_EVERY
    )


def test_a_new_size_starts_anew(drive: list[np.ndarray]) -> None:
    repair = DeadPixels()
    for frame in drive:
        broken = frame.copy()
        broken[10, 10] = 255
        repair.apply(broken)
    assert repair.count >= 1
    assert repair.apply(drive[0][:100]) is not None and repair.count == 0


@BOTH
def test_stripes_go_and_the_scene_stays(drive: list[np.ndarray], dtype: type) -> None:
    rng = np.random.default_rng(1)
    stripes = rng.normal(0, 2.5, 320)
    correct, same = Stripes(), Stripes()
    for number, clean in enumerate(drive):
        striped = (clean + stripes).clip(0, 255).round().astype(np.uint8)
        repaired = correct.apply(wide(striped, dtype), number / 30)
        untouched = same.apply(wide(clean, dtype), number / 30)
    assert repaired.dtype == dtype
    full = float(np.iinfo(dtype).max) if dtype == np.uint8 else 255.0 * 6

    def likeness(a: np.ndarray) -> float:
        reference = wide(drive[-1], dtype)
        return ssim(
            *(
                np.repeat(
                    ((x.astype(np.float32) - float(wide(np.array(0), dtype))) / full)[..., None],
                    3,
                    2,
                )
                for x in (a, reference)
            )
        )

    before = likeness(wide(striped, dtype))
    after = likeness(repaired)
    assert 1 - after < 0.5 * (1 - before)
    assert likeness(untouched) > 0.98


def test_time_that_runs_back_starts_anew(drive: list[np.ndarray]) -> None:
    fresh, used = Stripes(), Stripes()
    used.apply(drive[0] // 2, 100.0)
    np.testing.assert_array_equal(used.apply(drive[5], 0.0), fresh.apply(drive[5], 0.0))


def test_real_16_bit_footage_hardly_changes(shared_data: Path) -> None:
    with VideoSource(shared_data / "video16" / "possum_160x120_gray16.mkv") as source:
        frames = [frame.pixels for frame in source][:60]
    stripes = Stripes()
    for number, frame in enumerate(frames):
        result = stripes.apply(frame, number / 9)
    span = float(np.ptp(np.percentile(frames[-1], [1, 99])))
    change = np.abs(result.astype(float) - frames[-1]).mean()
    assert 0 < change < 0.02 * span
