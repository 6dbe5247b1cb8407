"""Times that a stream or a damaged file may bring, in the files that are made of them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ladle_rt.frames import Frame, Picture, TranslatedFrame
from ladle_rt.sinks.base import Sink, SinkContext
from ladle_rt.sinks.video_sink import VideoSink

TICK = Fraction(1, 1_000_000)
HOURS_3 = 3 * 3600


def write(sink: Sink, times_s: list[float]) -> None:
    for number, time_s in enumerate(times_s):
        data = np.full((72, 64), 100 + number, np.uint8)
        frame = Frame(data[:48], number, 0, round(time_s / TICK), TICK)
        sink.write(TranslatedFrame(frame, Picture("yuv420p", data, 64, 48)))
    sink.close()


def read(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.time) for frame in container.decode(video=0)]


def live(path: Path) -> Sink:
    return VideoSink(path, SinkContext(64, 48, Fraction(25), TICK), "growing")


def whole(path: Path) -> Sink:
    return VideoSink(path, SinkContext(64, 48, Fraction(25), TICK))


@pytest.mark.parametrize("name", ["out.mkv", "out.mp4"])
def test_a_recording_that_starts_late_begins_at_zero(name: str, tmp_path: Path) -> None:
    write(live(tmp_path / name), [HOURS_3 + number * 0.04 for number in range(5)])
    found = read(tmp_path / name)
    assert found == pytest.approx([number * 0.04 for number in range(5)], abs=2e-3)


@pytest.mark.parametrize("make", [live, whole])
def test_a_gap_of_hours_does_not_break_mp4(
    make: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "out.mp4"
    times_s = [number * 0.04 + HOURS_3 * (number >= 5) for number in range(10)]
    write(make(path), times_s)  # type: ignore[operator]
    found = read(path)
    assert len(found) == 10 and found == sorted(found)
    assert found[5] - found[4] > 1000, "as long as the format can hold"
    assert found[9] - found[5] == pytest.approx(0.16, abs=2e-3)
    assert caplog.text.count("cannot hold the gap of 10800 s") == 1


def test_mkv_keeps_the_gap(tmp_path: Path) -> None:
    write(whole(tmp_path / "out.mkv"), [0.0, 0.04, HOURS_3, HOURS_3 + 0.04])
    assert read(tmp_path / "out.mkv") == pytest.approx(
        [0.0, 0.04, HOURS_3, HOURS_3 + 0.04], abs=2e-3
    )
