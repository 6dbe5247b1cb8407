"""Power, clocks, temperature and throttling while something is measured."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from ladle_rt.benchmark.telemetry_sources import Reading, TelemetrySource

INTERVAL_S = 0.25
LARGEST = ("temperature_c", "device_mb")
"""Figures whose largest value counts; of the others it is the mean."""


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What the platform told during a measurement."""

    figures: dict[str, float]
    """See `Reading.values`; those that any source told."""
    throttled: bool | None
    """``None``: nobody tells."""
    reasons: tuple[str, ...]
    """What throttled."""
    sources: tuple[str, ...]
    """Which told anything."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, less the figures."""
        return {
            "throttled": self.throttled,
            "reasons": list(self.reasons),
            "sources": list(self.sources),
        }


class TelemetrySampler:
    """Reads the sources every `INTERVAL_S` between ``with`` and its end.

    Args:
        sources: closed at the end; a later one's figure replaces an earlier one's.
    """

    def __init__(self, sources: Sequence[TelemetrySource]) -> None:
        self._sources = sources
        self._readings: list[list[tuple[float, Reading]]] = [[] for _ in sources]
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="telemetry", daemon=True)

    def __enter__(self) -> TelemetrySampler:
        self._read()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()
        self._read()
        for source in self._sources:
            source.close()

    def _sample(self) -> None:
        while not self._done.wait(INTERVAL_S):
            self._read()

    def _read(self) -> None:
        for source, readings in zip(self._sources, self._readings, strict=True):
            readings.append((time.monotonic(), source.read()))

    def summary(self) -> Telemetry:
        """Over everything that was read; to be asked after the end."""
        figures: dict[str, float] = {}
        reasons: set[str] = set()
        told, tells = [], False
        for source, timed in zip(self._sources, self._readings, strict=True):
            readings = [reading for _, reading in timed]
            own = _figures(timed)
            figures |= own
            first, last = readings[0], readings[-1]
            reasons |= set().union(*(reading.throttling for reading in readings))
            reasons |= {
                name for name, count in last.events.items() if count > first.events.get(name, count)
            }
            silent = not any(reading.tells_throttling for reading in readings)
            tells |= not silent
            if own or not silent:
                told.append(source.name)
        throttled = bool(reasons) if tells else None
        return Telemetry(figures, throttled, tuple(sorted(reasons)), tuple(told))


def _figures(timed: Sequence[tuple[float, Reading]]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for _, reading in timed:
        for name, value in reading.values.items():
            values.setdefault(name, []).append(value)
    found = {
        name: max(each) if name in LARGEST else sum(each) / len(each)
        for name, each in values.items()
    }
    (begin_s, first), (end_s, last) = timed[0], timed[-1]
    if first.energy_j is not None and last.energy_j is not None and end_s > begin_s:
        used_j = last.energy_j - first.energy_j
        # The counter starts again at 0 now and then.
        if used_j >= 0:
            found["power_w"] = used_j / (end_s - begin_s)
    return found
