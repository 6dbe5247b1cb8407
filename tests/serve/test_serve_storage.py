"""Recordings within their limits, with a clock and a disk that the test turns."""

from __future__ import annotations

import os
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clips import frame_count

from ladle_rt.errors import ConfigError, OutputError
from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.serve import segments
from ladle_rt.serve.segments import SegmentSink
from ladle_rt.serve.serve_config import StorageRule
from ladle_rt.serve.serve_storage import Storage
from ladle_rt.sinks.base import SinkContext

PLENTY = 10**12
CONTEXT = SinkContext(64, 48, Fraction(10), Fraction(1, 1000))


def recording(folder: Path, name: str, kilobytes: int, age_s: float) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(kilobytes * 1000))
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_oldest_go_first_across_cameras(tmp_path: Path) -> None:
    for name, age_s in (("a/1.mkv", 300), ("b/1.mkv", 200), ("a/2.mkv", 100), ("b/2.mkv", 1)):
        recording(tmp_path, name, 100, age_s)
    recording(tmp_path, "a/notes.txt", 900, 999)
    recording(tmp_path, "mine.mkv", 900, 999)
    storage = Storage(StorageRule(tmp_path, max_gb=250e-6, min_free_gb=0))
    storage.tidy()
    # Only what this program recorded is counted and removed.
    assert names(tmp_path) == ["a/2.mkv", "a/notes.txt", "b/2.mkv", "mine.mkv"]
    assert (storage.state.files, storage.state.removed, storage.state.bytes) == (2, 2, 200_000)
    assert storage.state.problem is None


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    recording(tmp_path, "a/old.mkv", 1, 2 * 86_400)
    recording(tmp_path, "a/new.mkv", 1, 3600)
    Storage(StorageRule(tmp_path, max_days=1, min_free_gb=0)).tidy()
    assert names(tmp_path) == ["a/new.mkv"]


def test_a_disk_that_others_fill_is_cleared_and_then_left_alone(tmp_path: Path) -> None:
    old = recording(tmp_path, "a/1.mkv", 100, 300)
    new = recording(tmp_path, "a/2.mkv", 100, 100)
    free = {"bytes": 1_999_950_000}
    storage = Storage(StorageRule(tmp_path, min_free_gb=2), lambda folder: free["bytes"])
    storage.tidy()
    # Enough after the first; the disk itself has not told so yet.
    assert not old.exists() and new.exists()
    assert "less than min_free_gb = 2; nothing is recorded" in str(storage.state.problem)
    free["bytes"] = PLENTY
    storage.tidy()
    assert storage.state.problem is None and new.exists()


def test_a_file_that_is_written_to_stays(tmp_path: Path) -> None:
    open_file = recording(tmp_path, "a/1.mkv", 500, 300)
    recording(tmp_path, "a/2.mkv", 500, 100)
    storage = Storage(StorageRule(tmp_path, max_gb=400e-6, min_free_gb=0))
    storage.opened(open_file)
    storage.tidy()
    assert names(tmp_path) == ["a/1.mkv"]
    assert "are still written" in str(storage.state.problem)
    storage.closed(open_file)
    storage.tidy()
    assert names(tmp_path) == [] and storage.state.problem is None


def test_a_folder_that_cannot_be_made_is_a_problem_not_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    storage = Storage(StorageRule(tmp_path / "file" / "recordings"))
    storage.tidy()
    assert "Not a directory" in str(storage.state.problem)


@pytest.mark.parametrize("wrong", [{"segment_minutes": 0.0}, {"segment_mb": -1.0}])
def test_bounds(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="must be > 0"):
        StorageRule(**wrong)  # type: ignore[arg-type]


def picture(number: int) -> TranslatedFrame:
    data = np.full((72, 64), number % 200, np.uint8)
    frame = Frame(np.zeros((48, 64), np.uint8), number, 0, number * 100, Fraction(1, 1000))
    return TranslatedFrame(frame, Picture("yuv420p", data, 64, 48))


def test_a_recording_goes_on_in_the_next_file_and_loses_no_picture(tmp_path: Path) -> None:
    now = {"s": 0.0}
    storage = Storage(StorageRule(tmp_path, segment_minutes=0.05, min_free_gb=0))
    sink = SegmentSink("gate", storage, CONTEXT, lambda: now["s"])
    for number in range(70):
        now["s"] = number / 10
        sink.write(picture(number))
    assert sink.path is not None
    sink.close()
    files = sorted((tmp_path / "gate").iterdir())
    assert len(files) == 3 and sum(map(frame_count, files)) == 70
    assert sink.skipped == {"recording": 0} and sink.problem is None


def test_a_file_that_is_large_enough_is_finished(tmp_path: Path) -> None:
    now = {"s": 0.0}
    storage = Storage(StorageRule(tmp_path, segment_mb=0.0001, min_free_gb=0))
    sink = SegmentSink("gate", storage, CONTEXT, lambda: now["s"])
    for number in range(30):
        now["s"] = number / 5
        sink.write(picture(number))
    sink.close()
    assert len(list((tmp_path / "gate").iterdir())) >= 3


def test_no_room_stops_the_recording_and_not_the_camera(tmp_path: Path) -> None:
    free = {"bytes": PLENTY}
    storage = Storage(StorageRule(tmp_path, min_free_gb=1), lambda folder: free["bytes"])
    storage.tidy()
    sink = SegmentSink("gate", storage, CONTEXT)
    sink.write(picture(0))
    free["bytes"] = 1000
    storage.tidy()
    sink.write(picture(1))
    assert sink.path is None and "nothing is recorded" in str(sink.problem)
    assert sink.skipped == {"recording": 1}
    free["bytes"] = PLENTY
    storage.tidy()
    sink.write(picture(2))
    assert sink.path is not None and sink.problem is None
    sink.close()


def test_a_file_that_fails_is_tried_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = {"s": 0.0}
    storage = Storage(StorageRule(tmp_path, min_free_gb=0))
    sink = SegmentSink("gate", storage, CONTEXT, lambda: now["s"])

    class Full(segments.VideoSink):
        def write(self, translated: TranslatedFrame) -> None:
            raise OutputError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(segments, "VideoSink", Full)
        sink.write(picture(0))
    assert sink.problem == "No space left on device"
    now["s"] = segments.AGAIN_S / 2
    sink.write(picture(1))
    assert sink.path is None and sink.skipped == {"recording": 2}
    now["s"] = segments.AGAIN_S + 1
    sink.write(picture(2))
    assert sink.path is not None and sink.problem is None
    sink.abort()
    assert sum(map(frame_count, (tmp_path / "gate").iterdir())) == 1
