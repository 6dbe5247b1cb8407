from __future__ import annotations

import itertools
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ladle_rt.config import VideoEncoding
from ladle_rt.errors import OutputError
from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.sinks.base import SinkContext
from ladle_rt.sinks.video_sink import VideoSink

ROOT = Path(__file__).resolve().parents[2]
TICK = Fraction(1, 1_000_000)
CONTEXT = SinkContext(64, 48, Fraction(30), TICK)
BOTH = pytest.mark.parametrize("name", ["out.mkv", "out.mp4"])


def translated(
    number: int, pts: int | None = None, size: tuple[int, int] = (64, 48)
) -> TranslatedFrame:
    width, height = size
    data = np.full((height * 3 // 2, width), 128, np.uint8)
    data[:height] = 16 + (number * 7) % 200
    pts = number * 33_333 if pts is None else pts
    frame = Frame(np.zeros((height, width), np.uint8), number, 0, pts, TICK)
    return TranslatedFrame(frame, Picture("yuv420p", data, width, height))


def read(path: Path) -> list[tuple[float, int]]:
    """Time and level of every frame."""
    with av.open(str(path)) as container:
        return [
            (float(frame.time), int(frame.to_ndarray()[: frame.height].mean()))
            for frame in container.decode(video=0)
        ]


@BOTH
def test_exactly_what_was_presented_with_its_times(name: str, tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / name, CONTEXT, "growing")
    # A gap of two seconds, as a lost source leaves.
    times = [number * 33_333 + (2_000_000 if number >= 20 else 0) for number in range(40)]
    for number, pts in enumerate(times):
        sink.write(translated(number, pts))
    sink.close()
    sink.close()
    found = read(tmp_path / name)
    assert [time_s for time_s, _ in found] == pytest.approx([pts * 1e-6 for pts in times], abs=2e-3)
    levels = [level for _, level in found]
    assert levels == pytest.approx([16 + (number * 7) % 200 for number in range(40)], abs=6)


@BOTH
def test_another_size_is_scaled_to_the_first(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = VideoSink(tmp_path / name, CONTEXT, "growing")
    for number in range(10):
        sink.write(translated(number, size=(64, 48) if number < 5 else (128, 96)))
    sink.close()
    assert len(read(tmp_path / name)) == 10
    assert caplog.text.count("changes from 64x48 to 128x96") == 1


CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, {folder!r})
from test_video_growing import CONTEXT, translated
from ladle_rt.sinks.video_sink import VideoSink
sink = VideoSink(Path({path!r}), CONTEXT, "growing")
for number in range(100_000):
    sink.write(translated(number))
    print(number, flush=True)
    time.sleep(1 / 120)
"""


@BOTH
def test_kill_loses_less_than_a_second(name: str, tmp_path: Path) -> None:
    """A real process, really killed: times are the frames', 30 a second."""
    path = tmp_path / name
    code = CHILD.format(folder=str(Path(__file__).parent), path=str(path))
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    limit_s = time.monotonic() + 60
    written = 0
    while written < 140 and time.monotonic() < limit_s:
        written = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read().split()
    process.wait()
    written = int(rest[-1]) if rest else written
    found = read(path)
    assert written >= 140
    assert found[-1][0] > written / 30 - 1.0
    assert [time_s for time_s, _ in found] == sorted({time_s for time_s, _ in found})


def test_nothing_is_left_of_a_recording_that_never_began(tmp_path: Path) -> None:
    VideoSink(tmp_path / "a.mkv", CONTEXT, "growing").close()
    VideoSink(tmp_path / "b.mkv", CONTEXT, "growing").abort()
    assert list(tmp_path.iterdir()) == []


def test_what_was_recorded_is_kept_on_abort(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "a.mkv", CONTEXT, "growing")
    for number in range(30):
        sink.write(translated(number))
    sink.abort()
    assert len(read(tmp_path / "a.mkv")) > 0


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    link = tmp_path / "a.mkv"
    sink = VideoSink(link, replace(CONTEXT, overwrite=True), "growing")
    link.symlink_to(full)
    numbers = itertools.count()

    def until_it_fails() -> None:
        while next(numbers) < 3000:
            sink.write(translated(next(numbers)))

    with pytest.raises(OutputError, match=r"a\.mkv: cannot be written \(No space left"):
        until_it_fails()
    sink.close()


def test_refusals(tmp_path: Path) -> None:
    there = tmp_path / "there.mkv"
    there.write_bytes(b"mine")
    with pytest.raises(OutputError, match="already exists"):
        VideoSink(there, CONTEXT, "growing")
    with pytest.raises(OutputError, match=r"expected one of \.mkv \.mp4"):
        VideoSink(tmp_path / "a.gif", CONTEXT, "growing")
    assert there.read_bytes() == b"mine"


def test_the_encoder_is_named_with_the_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "ladle_rt.engine"):
        VideoSink(tmp_path / "a.mkv", CONTEXT, "growing")
    chosen = [record.message for record in caplog.records if record.message.startswith("encoder")]
    assert len(chosen) == 1
    if "h264_nvenc" not in chosen[0].split()[1]:
        assert "h264_nvenc" in chosen[0], "the reason against the first choice is told"


def test_two_runs_do_not_share_a_new_file(tmp_path: Path) -> None:
    """Both found the name free when they began; the second may not write over the first."""
    first, second = (VideoSink(tmp_path / "a.mkv", CONTEXT, "growing") for _ in range(2))
    first.write(translated(0))
    with pytest.raises(OutputError, match=r"a\.mkv: another program has made this file"):
        second.write(translated(0))
    second.abort()
    for number in range(1, 10):
        first.write(translated(number))
    first.close()
    assert len(read(tmp_path / "a.mkv")) == 10


def test_a_codec_can_be_asked_for(tmp_path: Path) -> None:
    encoding = VideoEncoding("mpeg4")
    sink = VideoSink(tmp_path / "a.mkv", replace(CONTEXT, encoding=encoding), "growing")
    sink.write(translated(0))
    sink.close()
    with av.open(str(tmp_path / "a.mkv")) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
