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
    better: Literal["lower", "higher", "neither"] = "lower"
    """``neither``: a change is told and is no regression."""
    least_change: float | None = None
    """Smallest absolute change that counts; ``None``: `LEAST_CHANGE` of the old value."""
    paired: bool = False
    """Of the same images in every report: values are compared, and intervals, which are over
    images, say nothing about a change."""


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
    "peak_rss_mb": FigureSpec("peak RSS MB"),
    "device_mb": FigureSpec("GPU memory MB"),
    "engine_mb": FigureSpec("engine MB"),
    "build_s": FigureSpec("build s", least_change=30.0),
    "power_w": FigureSpec("power W"),
    "mj_per_frame": FigureSpec("mJ/frame"),
    "temperature_c": FigureSpec("hottest C", "neither", 10.0),
    "cpu_mhz": FigureSpec("CPU MHz", "neither"),
    "gpu_mhz": FigureSpec("GPU MHz", "neither"),
    "drift_max_abs": FigureSpec("drift max", least_change=4 / 255, paired=True),
    "drift_mean_abs": FigureSpec("drift mean", least_change=0.25 / 255, paired=True),
    "drift_ssim": FigureSpec("SSIM to fp32", "higher", 0.002, paired=True),
    "drift_ms_ssim": FigureSpec("MS-SSIM to fp32", "higher", 0.002, paired=True),
    "drift_psnr_db": FigureSpec("PSNR to fp32 dB", "neither", 3.0, paired=True),
    "best_ssim": FigureSpec("SSIM to best", "higher", 0.01, paired=True),
    "best_ms_ssim": FigureSpec("MS-SSIM to best", "higher", 0.01, paired=True),
    "best_psnr_db": FigureSpec("PSNR to best dB", "neither", 1.0, paired=True),
    "picture_contrast": FigureSpec("contrast", "neither", paired=True),
    "picture_chroma": FigureSpec("chroma", "neither", paired=True),
    "picture_colourfulness": FigureSpec("colourfulness", "neither", paired=True),
    "picture_sharpness": FigureSpec("sharpness", "neither", paired=True),
    "picture_black_point": FigureSpec("black L*", "neither", 2.0, paired=True),
    "truth_ssim": FigureSpec("SSIM", "higher", 0.005, paired=True),
    "truth_ms_ssim": FigureSpec("MS-SSIM", "higher", 0.005, paired=True),
    "truth_psnr_db": FigureSpec("PSNR dB", "higher", 0.1, paired=True),
    "truth_ciede2000": FigureSpec("CIEDE2000", "lower", 0.2, paired=True),
    "truth_contrast_ratio": FigureSpec("contrast", "neither", 0.05, paired=True),
    "truth_chroma_ratio": FigureSpec("chroma", "neither", 0.05, paired=True),
    "truth_sharpness_ratio": FigureSpec("sharpness", "neither", 0.05, paired=True),
}
"""By name. Beside them stand ``streams_N_fps``, frames/s of N streams together."""


def figure_spec(name: str) -> FigureSpec:
    """The spec of a figure, streams included."""
    if name.startswith("streams_"):
        return FigureSpec(f"{name.split('_')[1]} streams, frames/s", "higher")
    return FIGURES[name]
