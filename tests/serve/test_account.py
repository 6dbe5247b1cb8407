"""Accounts over several runs, and what is wrong with a camera."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ladle_rt.frame_stats import FrameStats, Percentiles
from ladle_rt.serve.account import CUT, Account
from ladle_rt.serve.alarms import AlarmWatch

LIVE = FrameStats(
    10, 7, {"late": 2}, 1, state="running", source="Boson", fps_captured=30, fps_presented=29
)


def adds_up(figures: FrameStats) -> bool:
    return figures.captured == figures.presented + sum(figures.dropped.values()) + figures.in_flight


def test_runs_add_up_and_what_was_in_flight_is_not_lost() -> None:
    account = Account("/dev/video0")
    assert account.figures() == FrameStats(0, 0, state="starting", source="/dev/video0")
    account.begin(lambda: LIVE)
    assert account.figures() == LIVE
    account.end("lost", "gone")
    between = account.figures()
    assert (between.captured, between.presented, between.in_flight) == (10, 7, 0)
    assert between.dropped == {"late": 2, CUT: 1} and between.problem == "gone" and adds_up(between)
    account.begin(lambda: replace(LIVE, dropped={"late": 1, "corrupt": 1}))
    again = account.figures()
    assert again.dropped == {"late": 3, CUT: 1, "corrupt": 1} and again.captured == 20
    assert again.state == "running" and again.problem is None and adds_up(again)


def test_what_was_wrong_stays_until_it_is_right() -> None:
    account = Account("/dev/video0")
    account.begin(lambda: FrameStats(0, 0, state="starting"))
    assert account.figures().problem is None
    account.end("lost", "no such device")
    account.begin(lambda: FrameStats(0, 0, state="starting"))
    assert (account.figures().state, account.figures().problem) == ("lost", "no such device")


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({}, []),
        ({"state": "lost", "problem": "unplugged"}, ["away"]),
        ({"state": "starting"}, []),
        ({"state": "ended"}, ["ended"]),
        ({"fps_presented": 10.0}, ["dropping"]),
        ({"recent_latency_ms": Percentiles(2000, 2000, 2000, 2000)}, ["late"]),
    ],
)
def test_alarms(change: dict[str, object], kinds: list[str]) -> None:
    found = AlarmWatch().look(replace(LIVE, **change))  # type: ignore[arg-type]
    assert [alarm.kind for alarm in found] == kinds


def test_silence_and_what_ended() -> None:
    now = {"s": 0.0}
    watch = AlarmWatch(lambda: now["s"])
    assert watch.look(LIVE) == ()
    now["s"] = 11.0
    (alarm,) = watch.look(LIVE)
    assert (alarm.kind, alarm.text) == ("silent", "no picture for 11 s")
    assert watch.look(replace(LIVE, presented=8)) == ()
    found = watch.look(replace(LIVE, presented=9), ["rtsp: gone"], "disk full")
    assert [(one.kind, one.text) for one in found] == [
        ("output", "rtsp: gone"),
        ("recording", "disk full"),
    ]
