"""Several users of one pool: nobody waits for another's backlog."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError, Future
from typing import Any

import pytest

from ladle_rt.translate.fair_pool import FairPool, Lane

LIMIT_S = 20


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
    pool = FairPool(1)
    opened, _ = gate(pool)
    order: list[str] = []

    def work(name: str) -> None:
        time.sleep(0.002)
        order.append(name)

    flood, calm = pool.lane(), pool.lane()
    done = [flood.submit(work, "flood") for _ in range(50)]
    done += [calm.submit(work, "calm") for _ in range(5)]
    opened.set()
    for future in done:
        future.result(LIMIT_S)
    # Turn by turn, as far as sleeps are of one length.
    assert order.index("calm") <= 3
    assert [i for i, name in enumerate(order) if name == "calm"][-1] < 25
    pool.close()


def test_expensive_work_gets_the_same_time_not_the_same_turns() -> None:
    pool = FairPool(1)
    opened, _ = gate(pool)
    order: list[str] = []

    def work(name: str, seconds: float) -> None:
        time.sleep(seconds)
        order.append(name)

    cheap, dear = pool.lane(), pool.lane()
    done: list[Future[Any]] = [dear.submit(work, "dear", 0.04) for _ in range(10)]
    done += [cheap.submit(work, "cheap", 0.004) for _ in range(30)]
    opened.set()
    for future in done:
        future.result(LIMIT_S)
    assert order[:15].count("cheap") >= 10
    pool.close()


def test_silence_earns_no_burst() -> None:
    pool = FairPool(1)
    busy, quiet = pool.lane(), pool.lane()
    for _ in range(20):
        busy.submit(time.sleep, 0.002).result(LIMIT_S)
    quiet.submit(time.sleep, 0).result(LIMIT_S)
    # One piece's time at most: that of the busy lane's last piece, which is charged at its end.
    assert busy.used_s > 0.03 and busy.used_s - quiet.used_s < 0.02 + busy.expected_s
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
