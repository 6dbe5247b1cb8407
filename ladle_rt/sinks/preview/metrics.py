"""The figures for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ladle_rt.frame_stats import FrameStats, Percentiles

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The text format that every Prometheus reads."""
LOAD = ("cpu_percent", "machine_cpu_percent", "rss_mb", "threads", "gpu_percent")


class Exposition:
    """What a Prometheus server asks for."""

    def __init__(self, figures: Callable[[], FrameStats]) -> None:
        # Not the library's own registry, which belongs to the program around us.
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Figures(figures))

    def render(self) -> bytes:
        """One exposition, of `CONTENT_TYPE`."""
        return generate_latest(self._registry)


class _Figures(Collector):
    def __init__(self, figures: Callable[[], FrameStats]) -> None:
        self._figures = figures

    def describe(self) -> list[Metric]:
        """Nothing: names are the same at every collection, and no run has begun yet."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All series."""
        figures = self._figures()
        yield _counter("captured", "Frames captured.", figures.captured)
        yield _counter("presented", "Pictures presented.", figures.presented)
        dropped = _counter("dropped", "Frames dropped, by reason.", labels=["reason"])
        for reason, count in figures.dropped.items():
            dropped.add_metric([reason], count)
        yield dropped
        yield _counter("held", "Pictures shown once more.", figures.held)
        skipped = _counter("skipped", "Pictures an output let go.", labels=["output"])
        for output, count in figures.skipped.items():
            skipped.add_metric([output], count)
        yield skipped
        yield _counter("reconnects", "Returns of the source.", figures.reconnects)
        yield _gauge("in_flight", "Frames being worked on.", figures.in_flight)
        yield _gauge("up", "1 while frames flow.", float(figures.state == "running"))
        yield _gauge("uptime_seconds", "Since the start.", figures.elapsed_s)
        yield _gauge("captured_fps", "Captured per second.", figures.fps_captured)
        yield _gauge("presented_fps", "Presented per second.", figures.fps_presented)
        latency = _gauge("latency_seconds", "Capture to presented.", labels=["quantile"])
        _add_quantiles(latency, [], figures.recent_latency_ms)
        yield latency
        stages = _gauge("stage_seconds", "Time in each stage.", labels=["stage", "quantile"])
        for stage, times in figures.stages_ms.items():
            _add_quantiles(stages, [stage], times)
        yield stages
        queues = _gauge("queue_frames", "Frames waiting, by queue.", labels=["queue"])
        for queue, count in figures.queues.items():
            queues.add_metric([queue], count)
        yield queues
        for name in LOAD:
            if name in figures.load:
                yield _gauge(name, f"{name} of the machine.", figures.load[name])


def _counter(
    name: str, text: str, value: float | None = None, labels: list[str] | None = None
) -> CounterMetricFamily:
    return CounterMetricFamily(f"ladle_rt_{name}", text, value, labels)


def _gauge(
    name: str, text: str, value: float | None = None, labels: list[str] | None = None
) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"ladle_rt_{name}", text, value, labels)


def _add_quantiles(family: GaugeMetricFamily, labels: list[str], times: Percentiles) -> None:
    for key, value in asdict(times).items():
        family.add_metric([*labels, str(int(key.removeprefix("p")) / 100)], value / 1000)
