from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ladle_rt.errors import OutputError
from ladle_rt.frames import Frame
from ladle_rt.pipeline import trace as trace_module
from ladle_rt.pipeline.frame_counter import FrameTimes
from ladle_rt.pipeline.stats_file import StatsFile
from ladle_rt.pipeline.trace import Trace


def times(number: int, hold: str | None = None) -> FrameTimes:
    frame = Frame(np.zeros((2, 2), np.uint8), number, 0)
    start = 1_000_000 * number
    return FrameTimes(frame, start, hold, *(start + step for step in (2000, 9000, 10_000, 12_000)))


def test_stages_follow_one_another(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    with Trace(path) as trace:
        trace.presented(times(1))
        trace.dropped(times(2), "late")
        trace.presented(times(3, "shutter"))
        assert not path.exists()
    events = json.loads(path.read_text())
    names = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    assert list(names.values()) == ["queue", "translate", "wait", "present"]
    stages = [event for event in events if event["ph"] == "X" and event["args"]["frame"] == 1]
    assert [event["dur"] for event in stages] == [2, 7, 1, 2]
    for before, after in zip(stages, stages[1:], strict=False):  # noqa: RUF007
        assert before["ts"] + before["dur"] == after["ts"]
    assert [event["name"] for event in events if event["ph"] == "i"] == ["dropped: late"]
    assert {event["args"].get("held") for event in events if event["ph"] == "X"} == {
        None,
        "shutter",
    }


def test_a_long_trace_ends_early_and_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_module, "MOST_EVENTS", 50)
    with Trace(tmp_path / "t.json") as trace:
        for number in range(100):
            trace.presented(times(number))
    assert len(json.loads((tmp_path / "t.json").read_text())) == 50


def test_places_that_cannot_be_written_are_refused_at_once(tmp_path: Path) -> None:
    taken = tmp_path / "there.json"
    taken.write_text("mine")
    for make in (Trace, StatsFile):
        with pytest.raises(OutputError, match="already exists"):
            make(taken)
        with pytest.raises(OutputError, match="does not exist"):
            make(tmp_path / "no" / "t.json")
    assert taken.read_text() == "mine"


def test_a_full_disk_does_not_hide_what_ended_the_stream(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def play(error: Exception | None) -> None:
        with Trace(tmp_path / "t.json") as trace:
            trace._file.close()
            trace._file = open("/dev/full", "w", encoding="utf-8")  # noqa: SIM115
            if error is not None:
                raise error

    with pytest.raises(TypeError, match="bug"):
        play(TypeError("bug"))
    assert "No space left" in caplog.text
    with pytest.raises(OutputError, match="No space left"):
        play(None)


def test_rows_are_whole_and_can_be_followed(tmp_path: Path) -> None:
    path = tmp_path / "stats.jsonl"
    rows = StatsFile(path)
    for number in range(3):
        rows.write({"captured": number})
        assert json.loads(path.read_text().splitlines()[-1]) == {"captured": number}
    rows.close()
    rows.close()
