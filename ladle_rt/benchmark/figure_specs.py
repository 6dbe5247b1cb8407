"""The figures of a case: what they are called, and which way is worse by how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LEAST_CHANGE = 0.1
"""Relative changes below this are never called a change."""


@dataclass(frozen=True, slots=True)
class FigureSpec:
    """One figure."""

    title: str
    """With its unit, for tables."""
    better: Literal["lower", "higher"] = "lower"
    least_change: float | None = None
    """Smallest absolute change that counts; ``None``: `LEAST_CHANGE` of the old value."""


FIGURES: dict[str, FigureSpec] = {
    "idle_p50_ms": FigureSpec("idle p50 ms"),
    "idle_p90_ms": FigureSpec("idle p90 ms"),
    "idle_p95_ms": FigureSpec("idle p95 ms"),
    "idle_p99_ms": FigureSpec("idle p99 ms"),
    "saturated_p50_ms": FigureSpec("saturated p50 ms"),
    "saturated_p90_ms": FigureSpec("saturated p90 ms"),
    "saturated_p95_ms": FigureSpec("saturated p95 ms"),
    "saturated_p99_ms": FigureSpec("saturated p99 ms"),
    "fps": FigureSpec("frames/s", "higher"),
    "cpu_ms": FigureSpec("CPU ms/frame"),
    "first_frame_s": FigureSpec("first frame s"),
    "load_s": FigureSpec("load s"),
    "rss_mb": FigureSpec("RSS MB"),
    "drift_max_abs": FigureSpec("drift max", least_change=1 / 255),
    "drift_mean_abs": FigureSpec("drift mean", least_change=0.25 / 255),
    "drift_ssim": FigureSpec("SSIM to fp32", "higher", least_change=0.002),
}
"""By name. Beside them stand ``streams_N_fps``, frames/s of N streams together."""


def figure_spec(name: str) -> FigureSpec:
    """The spec of a figure, streams included."""
    if name.startswith("streams_"):
        return FigureSpec(f"{name.split('_')[1]} streams, frames/s", "higher")
    return FIGURES[name]
