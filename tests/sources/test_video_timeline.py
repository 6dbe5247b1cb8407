from __future__ import annotations

import logging
from fractions import Fraction

import pytest

from ladle_rt.sources.timeline import Timeline


def make(rate: int = 25, ticks: int = 1000) -> Timeline:
    return Timeline("clip", Fraction(rate), Fraction(1, ticks))


def test_known_times_are_kept() -> None:
    timeline = make()
    assert [timeline.place(pts) for pts in (-3, 0, 7, 5000)] == [-3, 0, 7, 5000]


def test_missing_times_follow_the_rate_without_drift() -> None:
    timeline = make(rate=30)
    placed = [timeline.place(None) for _ in range(301)]
    assert placed[:4] == [0, 33, 67, 100]
    assert placed[300] == 10_000
    assert timeline.place(20_000) == 20_000
    assert timeline.place(None) == 20_033


def test_repeated_times_move_by_a_tick_and_are_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    timeline = make()
    with caplog.at_level(logging.WARNING, "ladle_rt"):
        assert [timeline.place(pts) for pts in (0, 40, 40, 39, 80)] == [
            0,
            40,
            41,
            42,
            80,
        ]
    assert len(caplog.records) == 1


def test_a_joined_recording_goes_on_at_the_frame_rate(
    caplog: pytest.LogCaptureFixture,
) -> None:
    timeline = make()
    with caplog.at_level(logging.WARNING, "ladle_rt"):
        placed = [timeline.place(pts) for pts in (5000, 5040, 0, 40, 100)]
    assert placed == [5000, 5040, 5080, 5120, 5180]
    assert "jumps back" in caplog.text
