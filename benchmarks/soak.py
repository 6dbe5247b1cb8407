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
from pathlib import Path

import numpy as np
import psutil

from ladle_rt.bench.live import PacedFrames, slope
from ladle_rt.bench.record import write_result
from ladle_rt.config import TranslateOptions
from ladle_rt.models.artifact import DEFAULT_MODEL, load_artifact
from ladle_rt.pipeline.account import Account
from ladle_rt.pipeline.engine_choice import PictureSpec, make_translator
from ladle_rt.pipeline.processing import Processing
from ladle_rt.pipeline.run import run
from ladle_rt.sinks.null import NullSink
from ladle_rt.sources.synthetic import DriveOptions, SyntheticSource

WARM_UP = 0.2
"""Share of the run in which caches may fill."""
TOLERANCE_MB = 2.0
"""Growth below this over the whole run is the allocator's, whatever its interval says."""


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
    account = Account()
    process = psutil.Process()
    samples: list[tuple[float, float, float, float]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.25):
            samples.append(
                (
                    process.memory_info().rss / 2**20,
                    account.recent_latency_ms(0.5).p50,
                    process.num_threads(),
                    process.num_fds(),
                )
            )

    watcher = threading.Thread(target=watch, daemon=True)
    settings = TranslateOptions(steady=0.5)
    inner = make_translator(artifact, settings, PictureSpec("yuv420p", even=True))
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
            account=account,
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
