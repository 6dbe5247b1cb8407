"""Does anything grow: memory, latency, threads, files, over a long stream.

python benchmarks/soak.py --frames 20000            as fast as it goes
python benchmarks/soak.py --minutes 10 --fps 30     like a camera
"""

from __future__ import annotations

import argparse
import json
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from helpers import PacedFrames, write_result

from ladle_rt.config import TranslateOptions
from ladle_rt.models.artifact import DEFAULT_MODEL, load_artifact
from ladle_rt.pipeline.frame_counter import FrameCounter
from ladle_rt.pipeline.processing import Processing
from ladle_rt.pipeline.run import run
from ladle_rt.sinks.null_sink import NullSink
from ladle_rt.sources.synthetic_source import DriveOptions, SyntheticSource
from ladle_rt.translate.select import FOR_VIDEO, create_translator

WARM_UP = 0.2
"""Share of the run in which caches may fill."""
TOLERANCE_MB = 2.0
"""Growth below this over the whole run is the allocator's, whatever its interval says."""
BLOCKS = 20
"""A series is averaged over so many stretches, which makes neighbours nearly independent."""
T_975_18 = 2.101
"""Student's t, 97.5 %, 18 degrees of freedom."""


@dataclass(frozen=True, slots=True)
class Slope:
    """Change of a series over a run, with its 95 % interval."""

    total: float
    """Change from begin to end by the fitted line, in the series' unit."""
    low: float
    high: float

    @property
    def is_zero(self) -> bool:
        """Whether no change is within the interval."""
        return self.low <= 0 <= self.high


def slope(values: Sequence[float]) -> Slope:
    """Least squares over `BLOCKS` block means, interval by Student's t.

    Args:
        values: evenly spaced in time, at least `BLOCKS`.
    """
    means = np.array([block.mean() for block in np.array_split(np.asarray(values, float), BLOCKS)])
    x = np.linspace(-0.5, 0.5, BLOCKS)
    gain = float((x * means).sum() / (x * x).sum())
    rest = means - means.mean() - gain * x
    error = math.sqrt(float((rest * rest).sum()) / (BLOCKS - 2) / float((x * x).sum()))
    return Slope(gain, gain - T_975_18 * error, gain + T_975_18 * error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--fps", type=float, default=math.inf)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    frames = options.frames or round(options.minutes * 60 * options.fps)
    with SyntheticSource(DriveOptions(seconds=4)) as drive:
        pixels = [frame.pixels for frame in drive]
    artifact = load_artifact(options.model)
    counter = FrameCounter()
    process = psutil.Process()
    samples: list[tuple[float, float, float, float]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.25):
            samples.append(
                (
                    process.memory_info().rss / 2**20,
                    counter.recent_latency_ms(0.5).p50,
                    process.num_threads(),
                    process.num_fds(),
                )
            )

    watcher = threading.Thread(target=watch, daemon=True)
    settings = TranslateOptions(steady=0.5)
    inner = create_translator(artifact, settings, FOR_VIDEO)
    processing = Processing(inner, settings, artifact.info.thermal)
    begin_s = time.monotonic()
    with processing.translator as translator:
        watcher.start()
        counts = run(
            PacedFrames(pixels, options.fps, frames),
            translator,
            NullSink(),
            policy="block" if math.isinf(options.fps) else "latest",
            prepare=processing.prepare,
            counter=counter,
        )
    took_s = time.monotonic() - begin_s
    done.set()
    watcher.join()
    steady = np.array(samples[int(WARM_UP * len(samples)) :])
    # The last samples see the threads of an ending run.
    steady = steady[: -max(2, len(steady) // 50)]
    memory, latency = slope(steady[:, 0]), slope(steady[:, 1])
    constant = {
        name: len(set(steady[:, column])) == 1 for name, column in (("threads", 2), ("files", 3))
    }
    results = {
        "frames": counts.captured,
        "presented": counts.presented,
        "dropped": dict(counts.dropped),
        "seconds": round(took_s, 1),
        "fps": round(counts.presented / took_s, 2),
        "rss_mb": round(float(np.median(steady[:, 0])), 1),
        "rss_growth_mb": [round(v, 3) for v in (memory.total, memory.low, memory.high)],
        "latency_growth_ms": [round(v, 3) for v in (latency.total, latency.low, latency.high)],
        "latency_ms": [counts.latency_ms.p50, counts.latency_ms.p99],
        "threads": sorted({int(v) for v in steady[:, 2]}),
        "files": sorted({int(v) for v in steady[:, 3]}),
        "rss_steady": memory.is_zero or abs(memory.total) < TOLERANCE_MB,
        "latency_steady": latency.is_zero,
        **{f"{name}_constant": value for name, value in constant.items()},
    }
    print(json.dumps(results, indent=2))
    if options.output is not None:
        settings = {"fps": None if math.isinf(options.fps) else options.fps, "model": options.model}
        write_result(options.output, "soak", settings, results)


if __name__ == "__main__":
    main()
