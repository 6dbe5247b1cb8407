"""Every fault alone and in random sequences: no hang, exact counts, latency back to normal."""

from __future__ import annotations

import importlib.util
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ladle_rt.config import TranslateOptions
from ladle_rt.frames import Frame, TranslatedFrame
from ladle_rt.pipeline.frame_counter import FrameCounter, FrameTimes
from ladle_rt.pipeline.run import run
from ladle_rt.sources.base import SourceEvent
from ladle_rt.sources.reconnect import Backoff, ReconnectingSource
from ladle_rt.thermal.frontend import FrontEnd
from ladle_rt.thermal.normalization import ThermalNormalization

_spec = importlib.util.spec_from_file_location("scripted", Path(__file__).with_name("scripted.py"))
assert _spec and _spec.loader
scripted: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(scripted)

QUICK = Backoff(first_s=0.01, longest_s=0.05)
DEADLINE_S = 30.0
MOST_IN_FLIGHT = 16
"""What waits, is translated, or is in a hand; a burst has 60."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Warnings about losses are expected by the hundred."""
    logging.getLogger("ladle_rt").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("ladle_rt").setLevel(logging.NOTSET)


class Moments:
    """A `Listener` that keeps when each frame was presented."""

    def __init__(self) -> None:
        self.presented_at_s: list[float] = []

    def presented(self, times: FrameTimes) -> None:
        self.presented_at_s.append(times.presented_ns * 1e-9)

    def dropped(self, times: FrameTimes, reason: str) -> None: ...


def play(script: list[str], policy: str = "latest") -> dict[str, Any]:
    """Run a script through the live pipeline until some frames after its last fault."""
    camera = scripted.Camera(script)
    events: list[SourceEvent] = []
    stop = threading.Event()
    moments = Moments()
    counter = FrameCounter(moments)
    in_flight: list[int] = []

    class Sink(scripted.KeepingSink):  # type: ignore[misc]
        def write(self, translated: TranslatedFrame) -> None:
            super().write(translated)
            in_flight.append(counter.stats().in_flight)

    sink = Sink()
    front = FrontEnd(TranslateOptions(), ThermalNormalization())
    after: list[int] = []

    def look(statistics: Any) -> None:
        # Some good frames after the last fault, then it is enough.
        if camera.gone.is_set():
            after.append(statistics.presented)
            if after[-1] - after[0] >= 10:
                stop.set()

    begin_s = time.monotonic()
    # Short only where something is to be missed: a busy machine may pause for as long.
    timeout_s = scripted.TIMEOUT_S if "stall" in script else DEADLINE_S
    source = ReconnectingSource(
        camera.open, timeout_s=timeout_s, on_event=events.append, backoff=QUICK
    )
    with source:
        result = run(
            source,
            scripted.SlowTranslator(),
            sink,
            policy=policy,  # type: ignore[arg-type]
            prepare=front.process,
            stop=stop,
            on_progress=look,
            counter=counter,
        )
    assert time.monotonic() - begin_s < DEADLINE_S
    return {
        "camera": camera,
        "events": [event.kind for event in events],
        "sink": sink,
        "result": result,
        "presented_at_s": moments.presented_at_s,
        "in_flight": in_flight,
    }


def check(played: dict[str, Any]) -> None:
    result, sink, camera = played["result"], played["sink"], played["camera"]
    assert result.captured == result.presented + sum(result.dropped.values())
    assert result.in_flight == 0
    assert result.presented == len(sink.sequences)
    assert sink.sequences == sorted(set(sink.sequences)), "each once, in order"
    assert sink.ended == "closed"
    assert result.dropped.get("corrupt", 0) <= camera.corrupt
    assert not {thread.name for thread in threading.enumerate()} & {"capture", "submit", "present"}
    # Pictures came again after the last fault.
    assert max(camera.fault_times_s, default=0) < max(played["presented_at_s"])
    # Frames do not pile up, which is what would make them old.
    assert max(played["in_flight"]) <= MOST_IN_FLIGHT


@pytest.mark.parametrize("fault", scripted.FAULTS)
def test_each_fault_alone(fault: str) -> None:
    played = play([fault])
    check(played)
    camera, result, events = played["camera"], played["result"], played["events"]
    if fault == "unplug":
        assert events == ["lost", "retrying", "retrying", "back"]
    elif fault == "stall":
        assert events[:1] == ["lost"] and "back" in events
    elif fault == "short":
        assert result.dropped["corrupt"] == camera.corrupt == 2
    elif fault in ("repeat", "flat"):
        assert result.held + result.dropped.get("late", 0) >= 4
    elif fault == "burst":
        assert result.dropped["late"] >= 40
    elif fault.startswith("other"):
        assert "changed" in events


@settings(
    max_examples=12, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    script=st.lists(st.sampled_from(scripted.FAULTS), min_size=2, max_size=5),
    policy=st.sampled_from(["latest", "drop-oldest"]),
)
def test_faults_in_any_order(script: list[str], policy: str) -> None:
    check(play(script, policy))


def test_nothing_leaks_over_many_losses() -> None:
    play(["unplug"])
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    played = play(["unplug", "stall"] * 4)
    check(played)
    assert played["camera"].opened >= 8
    end_s = time.monotonic() + 10
    while threading.active_count() > threads:
        assert time.monotonic() < end_s, [thread.name for thread in threading.enumerate()]
        time.sleep(0.02)
    assert len(os.listdir("/proc/self/fd")) <= files


def test_presentation_time_never_runs_back_and_keeps_gaps() -> None:
    camera = scripted.Camera(["clock back", "unplug", "clock ahead", "stall"])
    source = ReconnectingSource(camera.open, timeout_s=scripted.TIMEOUT_S, backoff=QUICK)
    frames: list[Frame] = []
    with source:
        for frame in source:
            frames.append(frame)
            if camera.gone.is_set():
                break
    pts = [frame.pts for frame in frames]
    assert pts == sorted(set(pts))
    assert [frame.sequence for frame in frames] == list(range(len(frames)))


def test_closing_ends_a_wait_in_another_thread() -> None:
    class Silent(scripted.CameraSource):
        def __iter__(self) -> Iterator[Frame]:
            self._closed.wait(20)
            return iter(())

    source = ReconnectingSource(lambda: Silent(scripted.Camera([])), timeout_s=20)
    reader = threading.Thread(target=lambda: list(source))
    reader.start()
    source.close()
    reader.join(5)
    assert not reader.is_alive()


def test_a_bug_in_a_source_is_no_loss() -> None:
    class Broken(scripted.CameraSource):
        def __iter__(self) -> Iterator[Frame]:
            raise TypeError("bug")

    broken = Broken(scripted.Camera([]))
    with ReconnectingSource(lambda: broken, timeout_s=5) as source:
        with pytest.raises(TypeError, match="bug"):
            list(source)
        assert broken._closed.is_set(), "nobody else can close it"
