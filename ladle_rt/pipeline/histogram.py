"""Percentiles of times, in constant memory for runs of any length."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

from ladle_rt.frame_stats import Percentiles

GROWTH = 1.02
"""Ratio of neighbouring buckets: percentiles are exact to one per cent."""
SMALLEST_MS = 0.01
BUCKETS = 1 + math.ceil(math.log(1e8) / math.log(GROWTH))
"""From 10 microseconds to a quarter of an hour."""
WANTED = (0.50, 0.90, 0.95, 0.99)
RECENT_S = 5.0
"""What counts as recent in figures for people."""
MOST_RECENT = 4096
"""Bound on remembered moments: 5 s at over 800 frames per second."""


class Histogram:
    """Counts in buckets that grow geometrically, after Gil Tene's HdrHistogram."""

    def __init__(self) -> None:
        self._counts = [0] * BUCKETS
        self._total = 0

    def add(self, value_ms: float) -> None:
        """Count one time."""
        index = 0
        if value_ms > SMALLEST_MS:
            index = min(round(math.log(value_ms / SMALLEST_MS) / math.log(GROWTH)), BUCKETS - 1)
        self._counts[index] += 1
        self._total += 1

    def percentiles(self) -> Percentiles:
        """The nearest-rank percentiles so far."""
        found: list[float] = []
        seen = 0
        ranks = [math.ceil(share * self._total) for share in WANTED]
        for index, count in enumerate(self._counts):
            seen += count
            while count and len(found) < len(ranks) and seen >= ranks[len(found)]:
                found.append(float(f"{SMALLEST_MS * GROWTH**index:.4g}"))
            if len(found) == len(ranks):
                break
        return Percentiles(*found)


def percentiles(values_ms: Iterable[float]) -> Percentiles:
    """Nearest-rank percentiles of a few times."""
    ordered = sorted(values_ms)
    if not ordered:
        return Percentiles()
    return Percentiles(*(ordered[math.ceil(share * len(ordered)) - 1] for share in WANTED))


class Recent:
    """Moments of the last seconds, each with a value."""

    def __init__(self) -> None:
        self._entries: deque[tuple[float, float]] = deque(maxlen=MOST_RECENT)

    def add(self, now_s: float, value: float = 0.0) -> None:
        """Remember a moment, and forget what is no longer recent."""
        self._forget(now_s)
        self._entries.append((now_s, value))

    def values(self, now_s: float, within_s: float = RECENT_S) -> list[float]:
        """What was remembered within the last seconds."""
        return [value for moment, value in self._entries if now_s - moment <= within_s]

    def rate(self, now_s: float) -> float:
        """Moments per second, over the last seconds."""
        self._forget(now_s)
        if len(self._entries) < 2:
            return 0.0
        # From the first to now, not to the last: a stopped stream must be seen to stop.
        span_s = now_s - self._entries[0][0]
        return (len(self._entries) - 1) / span_s if span_s > 0 else 0.0

    def _forget(self, now_s: float) -> None:
        while self._entries and now_s - self._entries[0][0] > RECENT_S:
            self._entries.popleft()
