"""Latency of a live stream at the source's usual rate and at far more than the machine can do.

    python benchmarks/live_latency.py [--seconds 20] [--output FILE]

The network's own latency is measured in the same run, alone on one thread.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from helpers import PacedFrames, write_result

from ladle_rt.config import TranslateOptions
from ladle_rt.models.artifact import DEFAULT_MODEL, ModelArtifact, load_artifact
from ladle_rt.pipeline.frame_counter import FrameCounter
from ladle_rt.pipeline.run import run
from ladle_rt.sinks.null_sink import NullSink
from ladle_rt.sources.synthetic_source import DriveOptions, SyntheticSource
from ladle_rt.translate.select import FOR_VIDEO, create_translator, load_network

STARTS = 5


def network_ms(artifact: ModelArtifact) -> float:
    """Median of the network alone, one thread."""
    call = load_network(artifact).runner()
    thermal = np.random.default_rng(0).random((1, 1, *artifact.info.train_size), np.float32)
    times = []
    for _ in range(40):
        begin_s = time.perf_counter()
        call(thermal)
        times.append(time.perf_counter() - begin_s)
    return float(np.median(times[5:])) * 1e3


def first_picture_s() -> list[float]:
    """Process start to the end of a stream of one frame: the first picture came before that."""
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "t.mp4"
        command = [sys.executable, "-m", "ladle_rt"]
        subprocess.run([*command, "sample", str(clip), "--seconds", "1"], check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        times = []
        for _ in range(STARTS):
            begin_s = time.perf_counter()
            subprocess.run(
                [*command, "stream", "--device", str(clip), "--max-frames", "1",
                 "--output", "null"],
                check=True, stderr=subprocess.DEVNULL, env=os.environ,
            )  # fmt: skip
            times.append(time.perf_counter() - begin_s)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--overload", type=float, default=2.0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with SyntheticSource(DriveOptions(seconds=4)) as drive:
        pixels = [frame.pixels for frame in drive]
    artifact = load_artifact(DEFAULT_MODEL)
    alone_ms = network_ms(artifact)
    results: dict[str, Any] = {"network_ms": round(alone_ms, 2)}

    def stream(fps: float, policy: str, count: int) -> dict[str, Any]:
        counter = FrameCounter()
        with create_translator(artifact, TranslateOptions(), FOR_VIDEO) as translator:
            source = PacedFrames(pixels, fps, count)
            counts = run(source, translator, NullSink(), policy=policy, counter=counter)  # type: ignore[arg-type]
        return {
            "fps_in": round(fps, 1),
            "captured": counts.captured,
            "presented": counts.presented,
            "fps_out": round(counts.frames_per_second, 1),
            "dropped": dict(counts.dropped),
            "latency_ms": asdict(counts.latency_ms),
        }

    ability = stream(float("inf"), "block", 400)["fps_out"]
    fast = options.overload * ability
    results["ability_fps"] = ability
    results["1x"] = stream(options.fps, "latest", round(options.seconds * options.fps))
    results["2x"] = stream(fast, "latest", round(options.seconds * fast))
    results["network_ms_after"] = round(network_ms(artifact), 2)
    results["limit_p99_ms"] = round(1.5 * alone_ms + 10, 1)
    results["first_picture_s"] = [round(value, 3) for value in sorted(first_picture_s())]
    print("| | fps in | presented | dropped | p50 | p90 | p95 | p99 ms |")
    print("|---|---|---|---|---|---|---|---|")
    for name in ("1x", "2x"):
        row = results[name]
        latency = " | ".join(f"{value:.1f}" for value in row["latency_ms"].values())
        print(f"| {name} | {row['fps_in']} | {row['presented']} of {row['captured']} "
              f"| {row['dropped'] or 0} | {latency} |")  # fmt: skip
    print(f"network alone {alone_ms:.1f} ms; aim for p99 at 1x: {results['limit_p99_ms']} ms; "
          f"first picture within {results['first_picture_s']} s")  # fmt: skip
    if options.output is not None:
        settings = {"seconds": options.seconds, "fps": options.fps, "overload": options.overload}
        write_result(options.output, "live_latency", settings, results)


if __name__ == "__main__":
    main()
