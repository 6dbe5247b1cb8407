"""What screens, pages and files may know of a running stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ladle_rt.frame_stats import FrameStats, State
from ladle_rt.pipeline.frame_counter import FrameCounter
from ladle_rt.pipeline.histogram import RECENT_S
from ladle_rt.pipeline.machine_load import MachineLoad
from ladle_rt.sources.base import SourceEvent
from ladle_rt.translate.base import Translator

LOAD_EVERY_S = 1.0


class Monitor:
    """Puts the figures together; `figures` may be called from any thread."""

    def __init__(self, counter: FrameCounter) -> None:
        self._counter = counter
        self._load = MachineLoad()
        self._load_values: Mapping[str, Any] = {}
        self._load_at_s = 0.0
        self._lock = threading.Lock()
        self._state: State = "starting"
        self._problem: str | None = None
        self._reconnects = 0
        self._translator: Translator | None = None
        self.source = ""
        """What the source is called."""

    def attach(self, translator: Translator) -> None:
        """Tell which engine translates."""
        self._translator = translator

    def note_event(self, event: SourceEvent) -> None:
        """Take note of what happened to the source; from its thread."""
        with self._lock:
            if event.kind == "back":
                self._state, self._problem = "running", None
                self._reconnects += 1
            elif event.kind in ("lost", "retrying"):
                self._state, self._problem = "lost", event.detail

    def ended(self, problem: str | None = None) -> None:
        """The run is over."""
        with self._lock:
            self._state, self._problem = "ended", problem

    def figures(self) -> FrameStats:
        """A snapshot."""
        counts = self._counter.stats()
        captured, presented = self._counter.rates()
        with self._lock:
            self._refresh_load()
            if self._state == "starting" and counts.presented:
                self._state = "running"
            state, problem, reconnects = self._state, self._problem, self._reconnects
            load = self._load_values
        translator = self._translator
        return replace(
            counts,
            elapsed_s=round(counts.elapsed_s, 3),
            state=state,
            source=self.source,
            engine="" if translator is None else translator.name,
            network_size=(0, 0) if translator is None else translator.network_size,
            reconnects=reconnects,
            problem=problem,
            fps_captured=round(captured, 2),
            fps_presented=round(presented, 2),
            recent_latency_ms=self._counter.recent_latency_ms(RECENT_S),
            stages_ms=self._counter.stages_ms(),
            queues=self._counter.queues(),
            load=load,
        )

    def _refresh_load(self) -> None:
        now_s = time.monotonic()
        if now_s - self._load_at_s >= LOAD_EVERY_S:
            self._load_at_s, self._load_values = now_s, self._load.read()


def summary(figures: FrameStats) -> str:
    """One line for a log."""
    recent = figures.recent_latency_ms
    parts = [
        f"{figures.fps_presented:.1f} fps",
        f"latency p50 {recent.p50:.0f} p99 {recent.p99:.0f} ms",
        f"{figures.presented} presented",
        *(f"{count} {reason}" for reason, count in sorted(figures.dropped.items())),
    ]
    parts += [f"{count} skipped by {name}" for name, count in figures.skipped.items() if count]
    if figures.reconnects:
        parts.append(f"{figures.reconnects} reconnects")
    if figures.problem:
        parts.append(figures.problem)
    return ", ".join(parts)
