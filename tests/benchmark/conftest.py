"""Reports with made-up times, as a machine of a given speed and noise would give them."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pytest

from ladle_rt.benchmark.benchmark_report import BenchmarkReport, CaseResult, EngineFile
from ladle_rt.benchmark.intervals import Figure, exact, over_rounds, percentile_figures

MakeReport = Callable[..., BenchmarkReport]


@functools.cache
def make(
    seed: int = 0, slower: float = 1.0, noise: float = 0.1, cpu: str = "a processor"
) -> BenchmarkReport:
    """One case of three rounds; ``slower`` multiplies all times."""
    rng = np.random.default_rng(seed)
    pace = [slower * factor for factor in rng.normal(1, 0.02, 3)]
    samples = {
        state: [(base * one * rng.lognormal(0, noise, 120)).tolist() for one in pace]
        for state, base in (("idle", 20.0), ("saturated", 45.0))
    }
    figures = {
        f"{state}_{quantile}_ms": figure
        for state, rounds in samples.items()
        for quantile, figure in percentile_figures(rounds).items()
    }
    figures |= {
        "fps": over_rounds([60 / one for one in pace]),
        "streams_2_fps": over_rounds([58 / one for one in pace]),
        "first_frame_s": over_rounds([0.7 * one for one in pace]),
        "load_s": over_rounds([0.2 * one for one in pace]),
        "cpu_ms": over_rounds([30 * one for one in pace]),
        "rss_mb": over_rounds([200.0, 201.0, 202.0]),
        "drift_max_abs": Figure(0.001, 0.001, 0.001),
        "drift_mean_abs": Figure(1e-5, 1e-5, 1e-5),
        "drift_ssim": Figure(0.9999, 0.9998, 1.0),
        "best_ms_ssim": Figure(0.81, 0.79, 0.84),
        "picture_contrast": Figure(20.0, 19.0, 21.0),
        "engine_mb": exact(2.5),
        "power_w": over_rounds([15.0 * one for one in (1.0, 1.01, 0.99)]),
        "temperature_c": over_rounds([60.0, 61.0, 62.0]),
    }
    stages = {name: percentile_figures(samples["idle"]) for name in ("network", "picture")}
    stages["prepare"] = percentile_figures([[0.5, 0.6]])
    case = CaseResult(
        *("tiny", "0" * 64, "fp32", "onnxruntime", "cpu", (64, 96), "measured", ""),
        *(3, figures, stages, samples, [0.001, 0.002]),
        telemetry={"throttled": False, "reasons": [], "sources": ["sysfs"]},
        engine=EngineFile("1" * 64, 2621440),
        sample_jpeg="/9j/",
    )
    provenance = {
        "date": "2026-01-02T03:04:05+00:00",
        "command": "ladle-rt benchmark",
        "git_revision": None,
        "machine": {"cpu": cpu, "cores": 2, "system": "Linux"},
        "platform": {"kernel": "6.1", "gpus": [{"name": "A", "compute_capability": "sm_87"}]},
        "memory_mb": 8000,
        "versions": {"python": "3.12.0"},
        "load_average": [0.1, 0.1, 0.1],
        "busy_percent": [1.0, 2.0],
        "quiet": True,
    }
    settings = {
        "models": ["tiny"],
        "backends": ["onnxruntime"],
        "precisions": [],
        "quick": True,
        "rounds": 3,
        "seconds": 2.0,
        "frames": 120,
        "streams": [2],
        "frame_size": [512, 640],
        "quality_frames": 2,
        "truth": None,
    }
    return BenchmarkReport(True, provenance, settings, (case,), "/9j/")


@pytest.fixture
def make_report() -> MakeReport:
    return make
