from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from ladle_rt.frames import Frame
from ladle_rt.pipeline.account import Account, Passage


class Heard:
    def __init__(self) -> None:
        self.lines: list[tuple[str, int]] = []

    def presented(self, passage: Passage) -> None:
        self.lines.append(("presented", passage.frame.sequence))

    def dropped(self, passage: Passage, reason: str) -> None:
        self.lines.append((reason, passage.frame.sequence))


def frame(number: int, timestamp_ns: int) -> Frame:
    return Frame(np.zeros((2, 2), np.uint8), number, timestamp_ns)


def test_what_the_driver_dropped_shows() -> None:
    account = Account()
    account.presented(account.captured(frame(0, 0)))
    account.presented(account.captured(replace(frame(1, 0), missed=3)))
    counts = account.statistics()
    assert counts.dropped == {"driver": 3}
    assert (counts.captured, counts.presented, counts.in_flight) == (5, 2, 0)


def test_books_balance_at_every_moment() -> None:
    heard = Heard()
    account = Account(heard)
    passages = [account.captured(frame(number, time.monotonic_ns())) for number in range(5)]
    account.dropped(passages[0], "late")
    account.dropped(passages[1], "late")
    account.dropped(passages[2], "corrupt")
    passages[3].hold = "shutter"
    account.presented(passages[3])
    counts = account.statistics()
    assert (counts.captured, counts.presented, counts.in_flight, counts.held) == (5, 1, 1, 1)
    assert counts.dropped == {"late": 2, "corrupt": 1}
    assert heard.lines == [("late", 0), ("late", 1), ("corrupt", 2), ("presented", 3)]


def test_stages_add_up_to_the_latency() -> None:
    passage = Passage(frame(0, 0), 1_000_000, None, 3_000_000, 10_000_000, 11_500_000, 20_000_000)
    assert passage.stages_ms == pytest.approx((2, 7, 1.5, 8.5))
    assert sum(passage.stages_ms) == pytest.approx(passage.latency_ms) == pytest.approx(19)


@pytest.mark.parametrize("offset_ns", [-3_600_000_000_000, 3_600_000_000_000, 5_000_000])
def test_a_clock_that_jumped_does_not_reach_the_figures(offset_ns: int) -> None:
    account = Account()
    passage = account.captured(frame(0, time.monotonic_ns() + offset_ns))
    account.presented(passage)
    assert 0 <= account.statistics().latency_ms.p99 < 1000


def test_a_plausible_capture_time_is_believed() -> None:
    account = Account()
    account.presented(account.captured(frame(0, time.monotonic_ns() - 2_000_000_000)))
    assert account.statistics().latency_ms.p50 > 1950
