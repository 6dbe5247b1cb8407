"""A camera's figures over all its runs: ``captured = presented + sum(dropped) + in_flight``."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from ladle_rt.frame_stats import FrameStats, State

CUT = "cut off"
"""Reason of frames that were in flight when a run failed or was left behind."""


class Account:
    """Adds up run after run; every method may be called from any thread."""

    def __init__(self, source: str) -> None:
        """
        Args:
            source: what to call it before it is open, without credentials.
        """
        self._source = source
        self._lock = threading.Lock()
        self._before = FrameStats(0, 0, state="starting", source=source)
        self._running: Callable[[], FrameStats] | None = None

    def begin(self, figures: Callable[[], FrameStats]) -> None:
        """A run begins; it counts from 0."""
        with self._lock:
            self._running = figures

    def end(self, state: State, problem: str | None) -> None:
        """It is over: no frame of it is in flight any more."""
        with self._lock:
            running, self._running = self._running, None
            last = FrameStats(0, 0) if running is None else running()
            total = _add(self._before, last)
            dropped = dict(total.dropped)
            if total.in_flight:
                dropped[CUT] = dropped.get(CUT, 0) + total.in_flight
            self._before = FrameStats(
                total.captured,
                total.presented,
                dropped,
                held=total.held,
                skipped=total.skipped,
                elapsed_s=total.elapsed_s,
                reconnects=total.reconnects,
                latency_ms=total.latency_ms,
                engine=total.engine,
                network_size=total.network_size,
                source=last.source or self._source,
                state=state,
                problem=problem,
            )

    def figures(self) -> FrameStats:
        """All runs together; rates, latency and state are the present one's."""
        with self._lock:
            running, before = self._running, self._before
            if running is None:
                return before
            total = _add(before, running())
        if total.state == "starting" and before.problem is not None:
            # It is tried again: what was wrong stays until it is right.
            return replace(total, state=before.state, problem=before.problem)
        return total if total.source else replace(total, source=self._source)


def _add(before: FrameStats, now: FrameStats) -> FrameStats:
    return replace(
        now,
        captured=before.captured + now.captured,
        presented=before.presented + now.presented,
        dropped=dict(Counter(before.dropped) + Counter(now.dropped)),
        held=before.held + now.held,
        skipped=dict(Counter(before.skipped) + Counter(now.skipped)),
        reconnects=before.reconnects + now.reconnects,
        elapsed_s=before.elapsed_s + now.elapsed_s,
        latency_ms=now.latency_ms if now.presented else before.latency_ms,
        engine=now.engine or before.engine,
        network_size=now.network_size if any(now.network_size) else before.network_size,
    )
