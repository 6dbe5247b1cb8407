"""What is wrong with a camera now, for people and for Prometheus; from its figures alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ladle_rt.frame_stats import FrameStats

AlarmKind = Literal["away", "silent", "dropping", "late", "output", "recording", "ended"]
"""``away``: the source is not there. ``silent``: it is, and no picture comes. ``dropping``: more
than `MOST_DROPPED` of its frames. ``late``: pictures older than `LATEST_MS`. ``output``: one
ended. ``recording``: nothing is recorded. ``ended``: the recording that it plays is over."""
SILENT_S = 10.0
MOST_DROPPED = 0.5
LATEST_MS = 1500.0


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that is wrong."""

    kind: AlarmKind
    text: str
    """One line."""


class AlarmWatch:
    """Looks at one camera's figures now and then; from one thread at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            clock: seconds.
        """
        self._clock = clock
        self._presented = -1
        self._moved_s = clock()

    def look(
        self,
        figures: FrameStats,
        failures: Sequence[str] = (),
        recording_problem: str | None = None,
    ) -> tuple[Alarm, ...]:
        """What is wrong now.

        Args:
            figures: the camera's.
            failures: outputs that ended early, one line each.
            recording_problem: why nothing is recorded, where something should be.
        """
        now_s = self._clock()
        if figures.presented != self._presented or figures.state != "running":
            self._presented, self._moved_s = figures.presented, now_s
        found: list[Alarm] = []
        if figures.state in ("lost", "starting") and figures.problem is not None:
            found.append(Alarm("away", figures.problem))
        if figures.state == "ended":
            found.append(Alarm("ended", figures.problem or "the recording is over"))
        silent_s = now_s - self._moved_s
        if silent_s >= SILENT_S:
            found.append(Alarm("silent", f"no picture for {silent_s:.0f} s"))
        elif figures.state == "running":
            found += _slow(figures)
        found += [Alarm("output", failure) for failure in failures]
        if recording_problem is not None:
            found.append(Alarm("recording", recording_problem))
        return tuple(found)


def _slow(figures: FrameStats) -> list[Alarm]:
    found = []
    captured, presented = figures.fps_captured, figures.fps_presented
    if captured > 1 and presented < (1 - MOST_DROPPED) * captured:
        text = f"{presented:.1f} of {captured:.1f} frames a second are shown"
        found.append(Alarm("dropping", text))
    if figures.recent_latency_ms.p50 > LATEST_MS:
        late_s = figures.recent_latency_ms.p50 / 1000
        found.append(Alarm("late", f"pictures are {late_s:.1f} s late"))
    return found
