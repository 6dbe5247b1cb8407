from __future__ import annotations

import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from ladle_rt.errors import OutputError
from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.sinks.recorder import Recorder


class Noting:
    """Instead of a video: remembers, and refuses where told."""

    pixel_format = "yuv420p"

    def __init__(self, path: Path, refuses_at: int | None = None) -> None:
        self.path, self.seen, self.ended = path, [], ""  # type: ignore[var-annotated]
        self._refuses_at = refuses_at

    def write(self, translated: TranslatedFrame) -> None:
        if translated.frame.sequence == self._refuses_at:
            raise OutputError("disk full")
        self.seen.append(translated.frame.sequence)

    def close(self) -> None:
        self.ended += "closed"

    def abort(self) -> None:
        self.ended += "aborted"


def translated(number: int, luma: int = 128) -> TranslatedFrame:
    data = np.full((24, 16), 128, np.uint8)
    data[:16] = luma
    frame = Frame(np.zeros((16, 16), np.uint8), number, 0)
    return TranslatedFrame(frame, Picture("yuv420p", data, 16, 16))


def make(folder: Path, refuses_at: int | None = None) -> tuple[Recorder, list[Noting]]:
    opened: list[Noting] = []

    def open_video(path: Path) -> Noting:
        opened.append(Noting(path, refuses_at))
        return opened[-1]

    return Recorder(folder, open_video, threading.Event()), opened


def test_records_between_the_two_presses(tmp_path: Path) -> None:
    recorder, opened = make(tmp_path)
    recorder.write(translated(0))
    path = recorder.record(True)
    assert path is not None and path.parent == tmp_path and path.suffix == ".mkv"
    assert recorder.recording == path and recorder.record(True) is None
    for number in (1, 2):
        recorder.write(translated(number))
    assert recorder.record(False) == path and recorder.record(False) is None
    recorder.write(translated(3))
    recorder.close()
    # The picture that was on show when the key was pressed is the first one.
    assert [(one.seen, one.ended) for one in opened] == [([0, 1, 2], "closed")]
    assert recorder.record(True) is None, "nobody would finish it"


class Slow(Noting):
    """Takes its time to open, to begin and to end."""

    LIMIT_S = 20

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.begun, self.go_on = threading.Event(), threading.Event()

    def wait(self) -> None:
        self.begun.set()
        assert self.go_on.wait(self.LIMIT_S)
        self.begun.clear()
        self.go_on.clear()

    def write(self, translated: TranslatedFrame) -> None:
        if not self.seen:
            self.wait()
        super().write(translated)

    def close(self) -> None:
        self.wait()
        super().close()


def test_pressing_record_does_not_hold_up_the_pictures(tmp_path: Path) -> None:
    video = Slow(tmp_path / "a.mkv")

    def open_video(path: Path) -> Slow:
        video.wait()
        return video

    def press(on: bool) -> threading.Thread:
        thread = threading.Thread(target=recorder.record, args=(on,))
        thread.start()
        return thread

    def show(number: int) -> None:
        """One picture, while the file is busy."""
        assert video.begun.wait(Slow.LIMIT_S)
        shown = threading.Thread(target=recorder.write, args=(translated(number),), daemon=True)
        shown.start()
        shown.join(Slow.LIMIT_S / 4)
        assert not shown.is_alive(), "the picture waits for the file"
        video.go_on.set()

    recorder = Recorder(tmp_path, open_video, threading.Event())
    recorder.write(translated(0))
    pressed = press(True)
    show(1)
    while video.go_on.is_set():
        time.sleep(0.001)
    show(2)
    pressed.join(Slow.LIMIT_S)
    recorder.write(translated(3))
    pressed = press(False)
    show(4)
    pressed.join(Slow.LIMIT_S)
    assert (video.seen, video.ended) == ([1, 3], "closed")


def test_what_was_recorded_on_request_is_kept_when_the_stream_fails(tmp_path: Path) -> None:
    recorder, opened = make(tmp_path)
    recorder.record(True)
    recorder.write(translated(0))
    recorder.abort()
    assert opened[0].ended == "closed"


def test_a_full_disk_ends_the_recording_alone(tmp_path: Path) -> None:
    recorder, opened = make(tmp_path, refuses_at=1)
    recorder.record(True)
    for number in range(3):
        recorder.write(translated(number))
    assert recorder.recording is None and recorder.problem == "disk full"
    assert (opened[0].seen, opened[0].ended) == ([0], "aborted")


def test_snapshots_are_pictures_and_never_overwrite(tmp_path: Path) -> None:
    recorder, _ = make(tmp_path / "made" / "here")
    with pytest.raises(OutputError, match="no picture yet"):
        recorder.snapshot()
    # Limited range: 235 is white.
    recorder.write(translated(0, luma=235))
    paths = [recorder.snapshot() for _ in range(3)]
    assert len(set(paths)) == 3
    for path in paths:
        assert (cv2.imread(str(path)) >= 253).all()


def test_quit_stops_the_stream(tmp_path: Path) -> None:
    stop = threading.Event()
    Recorder(tmp_path, Noting, stop).quit()
    assert stop.is_set()
