"""What the benchmark of archives compares videos and times with."""

from __future__ import annotations

from pathlib import Path

import pytest
from archive_killed import FRAMES, KINDS, difference, times_of, write
from archive_scale import holds, over_video, without_start


@pytest.mark.parametrize("kind", KINDS[:-1], ids=lambda kind: f"{kind[0]}-{kind[1]}-{kind[2]}")
def test_every_kind_has_its_frames(kind: tuple[str, str, str], tmp_path: Path) -> None:
    write(tmp_path / "a", *kind)
    times = times_of(tmp_path / f"a.{kind[0]}")
    assert len(times) == len(set(times)) == FRAMES


def test_differences_are_seen(tmp_path: Path) -> None:
    for name, frames in (("a", 8), ("b", 8), ("longer", 9)):
        write(tmp_path / name, "mkv", "ffv1", "yuv420p", frames=frames)
    write(tmp_path / "lossy", "mkv", "mpeg4", "yuv420p", frames=8)
    first = tmp_path / "a.mkv"
    assert difference(first, tmp_path / "b.mkv") == 0
    assert difference(first, tmp_path / "longer.mkv") == 255
    assert 0 < difference(first, tmp_path / "lossy.mkv") < 255


def test_a_start_is_taken_off_within_its_turn() -> None:
    wall = {
        "video": [21.0, 41.0],
        "local_start": [1.0, 1.0],
        "ray_start": [5.0, 9.0],
        "ray_1": [26.0, 51.0],
    }
    assert over_video(wall) == {"ray_1": pytest.approx((26 / 21 + 51 / 41) / 2, abs=1e-3)}
    # 21 of 20 and 42 of 40 seconds.
    assert over_video(without_start(wall)) == {"ray_1": pytest.approx(1.05)}


@pytest.mark.parametrize(
    "wrong",
    [
        {"workers_lost": 0},
        {"every_frame_once": False},
        {"largest_difference_to_undisturbed": 2},
        {"largest_difference_to_single_run": 255},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_does_not_hold(wrong: dict[str, int]) -> None:
    right = {
        "workers_lost": 2,
        "every_frame_once": True,
        "largest_difference_to_undisturbed": 1,
        "largest_difference_to_single_run": 1,
    }
    assert holds(right) and not holds({**right, **wrong})
