"""Counts every captured frame of a run: presented, dropped for a reason, or in flight."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ladle_rt.frame_stats import FrameStats, Percentiles
from ladle_rt.frames import Frame
from ladle_rt.pipeline.histogram import Histogram, Recent, percentiles

STAGES = ("queue", "translate", "wait", "present")
"""In the inbox; front end and translator; in the outbox; the sinks."""
PLAUSIBLE_AGE_NS = 10_000_000_000
"""A capture time that is older, or in the future, is a clock that jumped."""


@dataclass(slots=True)
class FrameTimes:
    """When one frame reached each stage, nanoseconds on the monotonic clock."""

    frame: Frame
    """As captured."""
    captured_ns: int
    """Captured, by the source's own account where that is plausible."""
    hold: str | None = None
    """Why an earlier picture is presented again instead of translating this frame."""
    taken_ns: int = 0
    translated_ns: int = 0
    begun_ns: int = 0
    presented_ns: int = 0

    @property
    def spans_ns(self) -> tuple[tuple[int, int], ...]:
        """Begin and end of each of `STAGES`."""
        moments = (
            self.captured_ns, self.taken_ns, self.translated_ns, self.begun_ns, self.presented_ns
        )  # fmt: skip
        return tuple(itertools.pairwise(moments))

    @property
    def stages_ms(self) -> tuple[float, ...]:
        """Time in each of `STAGES`."""
        return tuple((end_ns - start_ns) * 1e-6 for start_ns, end_ns in self.spans_ns)

    @property
    def latency_ms(self) -> float:
        """Capture to presented."""
        return (self.presented_ns - self.captured_ns) * 1e-6


class Listener(Protocol):
    """Hears of every frame's end, from the thread where it ends; see `ladle_rt.pipeline.trace`."""

    def presented(self, times: FrameTimes) -> None: ...

    def dropped(self, times: FrameTimes, reason: str) -> None: ...


class FrameCounter:
    """Counts and times of one run; every method may be called from any thread."""

    def __init__(self, listener: Listener | None = None) -> None:
        self._lock = threading.Lock()
        self._listener = listener
        self._begin_s = time.monotonic()
        self._captured = 0
        self._presented = 0
        self._held = 0
        self._dropped: Counter[str] = Counter()
        self._first_picture_s: float | None = None
        self._latency = Histogram()
        self._stages = {name: Histogram() for name in STAGES}
        self._captures, self._presents = Recent(), Recent()
        self.stopped = False
        """Ended on request before the source was exhausted."""
        self.queues: Callable[[], Mapping[str, int]] = dict
        """Frames waiting now, by queue; set by the run."""
        self.skipped: Callable[[], Mapping[str, int]] = dict
        """Presented pictures that single outputs let go, by output; set by the run."""

    def captured(self, frame: Frame) -> FrameTimes:
        """A frame has come, and with it the news of those that its driver dropped."""
        now_ns = time.monotonic_ns()
        plausible = 0 <= now_ns - frame.timestamp_ns <= PLAUSIBLE_AGE_NS
        with self._lock:
            self._captured += 1 + frame.missed
            if frame.missed:
                self._dropped["driver"] += frame.missed
            self._captures.add(now_ns * 1e-9)
        return FrameTimes(frame, frame.timestamp_ns if plausible else now_ns)

    def dropped(self, times: FrameTimes, reason: str) -> None:
        """A frame is given up."""
        with self._lock:
            self._dropped[reason] += 1
        if self._listener is not None:
            self._listener.dropped(times, reason)

    def presented(self, times: FrameTimes) -> None:
        """A frame's picture was taken by the sink."""
        times.presented_ns = time.monotonic_ns()
        now_s = times.presented_ns * 1e-9
        with self._lock:
            self._presented += 1
            self._held += times.hold is not None
            if self._first_picture_s is None:
                self._first_picture_s = now_s - self._begin_s
            self._latency.add(times.latency_ms)
            for name, value_ms in zip(STAGES, times.stages_ms, strict=True):
                self._stages[name].add(value_ms)
            self._presents.add(now_s, times.latency_ms)
        if self._listener is not None:
            self._listener.presented(times)

    def stats(self) -> FrameStats:
        """Where every frame went so far."""
        skipped = dict(self.skipped())
        with self._lock:
            return FrameStats(
                captured=self._captured,
                presented=self._presented,
                dropped=dict(self._dropped),
                in_flight=self._captured - self._presented - self._dropped.total(),
                held=self._held,
                skipped=skipped,
                elapsed_s=time.monotonic() - self._begin_s,
                first_picture_s=self._first_picture_s,
                latency_ms=self._latency.percentiles(),
                stopped=self.stopped,
            )

    def stages_ms(self) -> dict[str, Percentiles]:
        """Over the whole run, by stage."""
        with self._lock:
            return {name: histogram.percentiles() for name, histogram in self._stages.items()}

    def recent_latency_ms(self, within_s: float) -> Percentiles:
        """Capture to presented, over the last seconds."""
        with self._lock:
            return percentiles(self._presents.values(time.monotonic(), within_s))

    def rates(self) -> tuple[float, float]:
        """Frames per second captured and presented, over the last seconds."""
        now_s = time.monotonic()
        with self._lock:
            return self._captures.rate(now_s), self._presents.rate(now_s)
