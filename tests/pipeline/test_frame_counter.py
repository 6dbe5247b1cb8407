from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from ladle_rt.frames import Frame
from ladle_rt.pipeline.frame_counter import FrameCounter, FrameTimes


class Heard:
    def __init__(self) -> None:
        self.lines: list[tuple[str, int]] = []

    def presented(self, times: FrameTimes) -> None:
        self.lines.append(("presented", times.frame.sequence))

    def dropped(self, times: FrameTimes, reason: str) -> None:
        self.lines.append((reason, times.frame.sequence))


def frame(number: int, timestamp_ns: int) -> Frame:
    return Frame(np.zeros((2, 2), np.uint8), number, timestamp_ns)


def test_what_the_driver_dropped_shows() -> None:
    counter = FrameCounter()
    counter.presented(counter.captured(frame(0, 0)))
    counter.presented(counter.captured(replace(frame(1, 0), missed=3)))
    counts = counter.stats()
    assert counts.dropped == {"driver": 3}
    assert (counts.captured, counts.presented, counts.in_flight) == (5, 2, 0)


def test_counts_balance_at_every_moment() -> None:
    heard = Heard()
    counter = FrameCounter(heard)
    all_times = [counter.captured(frame(number, time.monotonic_ns())) for number in range(5)]
    counter.dropped(all_times[0], "late")
    counter.dropped(all_times[1], "late")
    counter.dropped(all_times[2], "corrupt")
    all_times[3].hold = "shutter"
    counter.presented(all_times[3])
    counts = counter.stats()
    assert (counts.captured, counts.presented, counts.in_flight, counts.held) == (5, 1, 1, 1)
    assert counts.dropped == {"late": 2, "corrupt": 1}
    assert heard.lines == [("late", 0), ("late", 1), ("corrupt", 2), ("presented", 3)]


def test_stages_add_up_to_the_latency() -> None:
    times = FrameTimes(frame(0, 0), 1_000_000, None, 3_000_000, 10_000_000, 11_500_000, 20_000_000)
    assert times.stages_ms == pytest.approx((2, 7, 1.5, 8.5))
    assert sum(times.stages_ms) == pytest.approx(times.latency_ms) == pytest.approx(19)


@pytest.mark.parametrize("offset_ns", [-3_600_000_000_000, 3_600_000_000_000, 5_000_000])
def test_a_clock_that_jumped_does_not_reach_the_figures(offset_ns: int) -> None:
    counter = FrameCounter()
    times = counter.captured(frame(0, time.monotonic_ns() + offset_ns))
    counter.presented(times)
    assert 0 <= counter.stats().latency_ms.p99 < 1_000_000


def test_a_plausible_capture_time_is_believed() -> None:
    counter = FrameCounter()
    counter.presented(counter.captured(frame(0, time.monotonic_ns() - 2_000_000_000)))
    assert counter.stats().latency_ms.p50 > 1950
