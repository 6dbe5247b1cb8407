"""The figures in the text format of Prometheus, version 0.0.4."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from ladle_rt.frame_stats import FrameStats, Percentiles


def prometheus(figures: FrameStats) -> str:
    """One exposition, every series with its help and type."""
    return "\n".join(_lines(figures)) + "\n"


def _lines(figures: FrameStats) -> Iterator[str]:
    yield from _series("captured_total", "counter", "Frames captured.", figures.captured)
    yield from _series("presented_total", "counter", "Pictures presented.", figures.presented)
    yield from _head("dropped_total", "counter", "Frames dropped, by reason.")
    for reason, count in figures.dropped.items():
        yield f'ladle_rt_dropped_total{{reason="{reason}"}} {count}'
    yield from _series("held_total", "counter", "Pictures shown once more.", figures.held)
    yield from _head("skipped_total", "counter", "Pictures an output let go, by output.")
    for output, count in figures.skipped.items():
        yield f"ladle_rt_skipped_total{{output={json.dumps(output, ensure_ascii=False)}}} {count}"
    yield from _series("reconnects_total", "counter", "Returns of the source.", figures.reconnects)
    yield from _series("in_flight", "gauge", "Frames being worked on.", figures.in_flight)
    yield from _series("up", "gauge", "1 while frames flow.", int(figures.state == "running"))
    yield from _series("uptime_seconds", "gauge", "Since the start.", figures.elapsed_s)
    yield from _series("captured_fps", "gauge", "Captured per second.", figures.fps_captured)
    yield from _series("presented_fps", "gauge", "Presented per second.", figures.fps_presented)
    yield from _head("latency_seconds", "gauge", "Capture to presented, last seconds.")
    yield from _quantiles("latency_seconds", "", figures.recent_latency_ms)
    yield from _head("stage_seconds", "gauge", "Time in each stage, whole run.")
    for stage, times in figures.stages_ms.items():
        yield from _quantiles("stage_seconds", f'stage="{stage}",', times)
    yield from _head("queue_frames", "gauge", "Frames waiting, by queue.")
    for queue, count in figures.queues.items():
        yield f'ladle_rt_queue_frames{{queue="{queue}"}} {count}'
    for name in ("cpu_percent", "machine_cpu_percent", "rss_mb", "threads", "gpu_percent"):
        if name in figures.load:
            yield from _series(name, "gauge", f"{name} of the machine.", figures.load[name])


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP ladle_rt_{name} {text}"
    yield f"# TYPE ladle_rt_{name} {kind}"


def _series(name: str, kind: str, text: str, value: float) -> Iterator[str]:
    yield from _head(name, kind, text)
    yield f"ladle_rt_{name} {value}"


def _quantiles(name: str, labels: str, times: Percentiles) -> Iterator[str]:
    for key, value in asdict(times).items():
        quantile = f"0.{key.removeprefix('p')}".rstrip("0")
        yield f'ladle_rt_{name}{{{labels}quantile="{quantile}"}} {value / 1000:.6g}'
