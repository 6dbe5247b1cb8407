"""The figures for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ladle_rt.frame_stats import FrameStats, Percentiles

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The text format that every Prometheus reads."""
LOAD = ("cpu_percent", "machine_cpu_percent", "rss_mb", "threads", "gpu_percent")


Streams = Mapping["str | None", FrameStats]
"""Figures by the camera's name; ``None`` is the only stream there is, which needs no name."""


class Exposition:
    """What a Prometheus server asks for."""

    def __init__(
        self, streams: Callable[[], Streams], others: Callable[[], Iterable[Metric]] | None = None
    ) -> None:
        """
        Args:
            streams: the figures of this moment; several are told apart by the label ``camera``.
            others: further series.
        """
        # Not the library's own registry, which belongs to the program around us.
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Figures(streams, others or (lambda: ())))

    def render(self) -> bytes:
        """One exposition, of `CONTENT_TYPE`."""
        return generate_latest(self._registry)


class _Figures(Collector):
    def __init__(
        self, streams: Callable[[], Streams], others: Callable[[], Iterable[Metric]]
    ) -> None:
        self._streams, self._others = streams, others

    def describe(self) -> list[Metric]:
        """Nothing: names are the same at every collection, and no run has begun yet."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All series."""
        families = _Families()
        for name, figures in self._streams().items():
            families.add(name, figures)
        yield from families.all.values()
        yield from self._others()


class _Families:
    """Metric families by name, filled stream by stream."""

    def __init__(self) -> None:
        self.all: dict[str, Metric] = {}

    def add(self, camera: str | None, figures: FrameStats) -> None:
        """One stream's series."""
        own = {} if camera is None else {"camera": camera}
        self._count("captured", "Frames captured.", figures.captured, own)
        self._count("presented", "Pictures presented.", figures.presented, own)
        self._touch("dropped", "Frames dropped, by reason.", CounterMetricFamily, own, "reason")
        for reason, count in figures.dropped.items():
            self._count("dropped", "", count, {**own, "reason": reason})
        self._count("held", "Pictures shown once more.", figures.held, own)
        self._touch("skipped", "Pictures an output let go.", CounterMetricFamily, own, "output")
        for output, count in figures.skipped.items():
            self._count("skipped", "", count, {**own, "output": output})
        self._count("reconnects", "Returns of the source.", figures.reconnects, own)
        self._gauge("in_flight", "Frames being worked on.", figures.in_flight, own)
        self._gauge("up", "1 while frames flow.", float(figures.state == "running"), own)
        self._gauge("uptime_seconds", "Since the start.", figures.elapsed_s, own)
        self._gauge("captured_fps", "Captured per second.", figures.fps_captured, own)
        self._gauge("presented_fps", "Presented per second.", figures.fps_presented, own)
        self._quantiles("latency_seconds", "Capture to presented.", figures.recent_latency_ms, own)
        for stage, times in figures.stages_ms.items():
            self._quantiles("stage_seconds", "Time in each stage.", times, {**own, "stage": stage})
        for queue, count in figures.queues.items():
            self._gauge("queue_frames", "Frames waiting, by queue.", count, {**own, "queue": queue})
        for name in LOAD:
            # Of the process and the machine: the same for all streams, and told once.
            if name in figures.load and f"ladle_rt_{name}" not in self.all:
                self._gauge(name, f"{name} of the machine.", figures.load[name], {})

    def _quantiles(self, name: str, text: str, times: Percentiles, labels: dict[str, str]) -> None:
        for key, value in asdict(times).items():
            quantile = str(int(key.removeprefix("p")) / 100)
            self._gauge(name, text, value / 1000, {**labels, "quantile": quantile})

    def _count(self, name: str, text: str, value: float, labels: dict[str, str]) -> None:
        family = self._touch(name, text, CounterMetricFamily, labels)
        family.add_metric(list(labels.values()), value)

    def _gauge(self, name: str, text: str, value: float, labels: dict[str, str]) -> None:
        family = self._touch(name, text, GaugeMetricFamily, labels)
        family.add_metric(list(labels.values()), value)

    def _touch(self, name: str, text: str, kind: Any, labels: Iterable[str], *more: str) -> Any:
        """The family, made when it is first asked for."""
        full = f"ladle_rt_{name}"
        if full not in self.all:
            self.all[full] = kind(full, text, labels=[*labels, *more])
        return self.all[full]
