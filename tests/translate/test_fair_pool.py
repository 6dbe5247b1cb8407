"""Several users of one pool: nobody waits for another's backlog."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError

import pytest

from ladle_rt.translate.fair_pool import FairPool, Lane

LIMIT_S = 20


class Work:
    """Pieces that take as long as they say, by a clock that only they move."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.order: list[str] = []

    def clock(self) -> float:
        return self.now_s

    def piece(self, name: str, seconds: float) -> None:
        self.now_s += seconds
        self.order.append(name)


def gate(pool: FairPool) -> tuple[threading.Event, Lane]:
    """Hold the only worker, so that what is enqueued meanwhile waits."""
    opened, held = threading.Event(), threading.Event()
    lane = pool.lane()

    def hold() -> None:
        held.set()
        opened.wait(LIMIT_S)

    lane.submit(hold)
    assert held.wait(LIMIT_S)
    return opened, lane


def test_a_flood_does_not_come_before_the_others() -> None:
    work = Work()
    pool = FairPool(0, work.clock)
    flood, calm = pool.lane(), pool.lane()
    for _ in range(50):
        flood.submit(work.piece, "flood", 0.03)
    for _ in range(5):
        calm.submit(work.piece, "calm", 0.03)
    while pool.turn():
        pass
    # Turn by turn, from the second on: what the first costs is known at its end only.
    assert work.order[:10] == ["flood", "calm"] * 5
    assert work.order[10:] == ["flood"] * 45


def test_expensive_work_gets_the_same_time_not_the_same_turns() -> None:
    work = Work()
    pool = FairPool(0, work.clock)
    cheap, dear = pool.lane(), pool.lane()
    for _ in range(10):
        dear.submit(work.piece, "dear", 0.04)
    for _ in range(100):
        cheap.submit(work.piece, "cheap", 0.004)
    for _ in range(44):
        assert pool.turn()
    assert work.order.count("cheap") == 40 and work.order.count("dear") == 4


def test_silence_earns_no_burst() -> None:
    work = Work()
    pool = FairPool(0, work.clock)
    busy, quiet = pool.lane(), pool.lane()
    for _ in range(20):
        busy.submit(work.piece, "busy", 0.01)
        assert pool.turn()
    for _ in range(10):
        busy.submit(work.piece, "busy", 0.01)
        quiet.submit(work.piece, "quiet", 0.01)
    work.order.clear()
    while pool.turn():
        pass
    # It had 20 pieces less so far, and gets no more than every other turn for that.
    assert work.order.count("quiet") == 10
    assert work.order[:3].count("quiet") == 2 and work.order[:10].count("quiet") <= 6


def test_work_that_comes_from_several_workers_is_done_once() -> None:
    pool = FairPool(4)
    lanes = [pool.lane() for _ in range(3)]
    done = [lanes[number % 3].submit(lambda n=number: n) for number in range(300)]
    assert [future.result(LIMIT_S) for future in done] == list(range(300))
    assert not pool.turn()
    pool.close()


def test_a_lane_ends_alone() -> None:
    pool = FairPool(1)
    opened, _ = gate(pool)
    leaving, staying = pool.lane(), pool.lane()
    dropped = leaving.submit(int)
    kept = staying.submit(lambda: 7)
    leaving.shutdown(cancel_futures=True)
    with pytest.raises(CancelledError):
        dropped.result(LIMIT_S)
    with pytest.raises(RuntimeError):
        leaving.submit(int)
    opened.set()
    assert kept.result(LIMIT_S) == 7
    pool.close()
    with pytest.raises(RuntimeError):
        staying.submit(int)


def test_closing_a_lane_waits_for_what_runs() -> None:
    pool = FairPool(2)
    lane = pool.lane()
    begun, ended = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        time.sleep(0.1)
        ended.set()

    lane.submit(work)
    assert begun.wait(LIMIT_S)
    lane.shutdown()
    assert ended.is_set()
    pool.close()


def test_errors_reach_who_asked_and_the_pool_goes_on() -> None:
    pool = FairPool(1)
    lane = pool.lane()
    with pytest.raises(ZeroDivisionError):
        lane.submit(lambda: 1 / 0).result(LIMIT_S)
    assert lane.submit(lambda: 3).result(LIMIT_S) == 3
    assert pool.share == 1
    pool.close()


def test_the_share_follows_the_number_of_lanes() -> None:
    pool = FairPool(4)
    first = pool.lane()
    assert first.share == 4
    others = [pool.lane() for _ in range(7)]
    assert first.share == 1
    for other in others:
        other.shutdown()
    assert first.share == 4
    pool.close()
