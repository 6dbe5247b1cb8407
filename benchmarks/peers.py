"""Side by side in one run: `ladle-rt video` and what people would use instead.

    python benchmarks/peers.py [--frames 150] [--runs 3] [--only NAME ...]
        [--output benchmarks/results/peers.json]

Same model, same clip, same work (`peer_loops.py`). Every contender is a whole process; they take
turns, and ratios to the naive loop are taken within a turn, so that a machine that slows down
slows all alike. A peer that is not installed is skipped with the reason; the extra `peers` brings
those that are wheels.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from helpers import Spread, write_result

from ladle_rt.benchmark.benchmark_cases import why_no_gpu
from ladle_rt.benchmark.provenance import BUSY_PERCENT, busy_percent, git_revision
from ladle_rt.models.artifact import load_artifact

LOOPS = Path(__file__).with_name("peer_loops.py")
BASE = "naive"
TITLES = {
    "ours": "`ladle-rt video`, extras off",
    "ours-extras": "`ladle-rt video`, as it comes",
    "naive": "naive cv2 + ONNX Runtime loop",
    "pyav": "sequential PyAV + ONNX Runtime loop",
    "openvino": "sequential PyAV + OpenVINO loop",
    "openvino-streams": "OpenVINO, two streams (design of vs-mlrt)",
    "vapoursynth-ort": "VapourSynth + vs-mlrt, ONNX Runtime, two streams",
    "vapoursynth-ov": "VapourSynth + vs-mlrt, OpenVINO, two streams",
    "torch": "sequential PyAV + torch eager loop",
    "torch-compiled": "sequential PyAV + torch.compile loop",
    "supervision": "supervision `process_video`",
}
NEEDS = {
    "openvino": ("openvino",),
    "openvino-streams": ("openvino",),
    "vapoursynth-ort": ("vapoursynth", "vapoursynth-lsmas", "vapoursynth-mlrt-ort"),
    "vapoursynth-ov": ("vapoursynth", "vapoursynth-lsmas", "vapoursynth-mlrt-ov"),
    "torch": ("torch",),
    "torch-compiled": ("torch",),
    "supervision": ("supervision",),
}
"""Distributions of each; VapourSynth's are wheels for Python 3.12 and later."""
ON_A_GPU = ("torch.compile with CUDA graphs", "ONNX Runtime CUDA", "ONNX Runtime TensorRT")
TIMEOUT_S = 900


class PeerError(Exception):
    """A peer that did not do its work, in one line."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One contender in one turn."""

    fps: float
    wall_s: float
    cpu_s: float
    peak_rss_mb: float
    p50_ms: float
    """Median time from a decoded frame to its picture."""
    p95_ms: float


FIGURES = tuple(Turn.__dataclass_fields__)


def run_turn(name: str, clip: Path, target: Path, model: Path, frames: int) -> Turn:
    """One contender as a process of its own.

    Raises:
        PeerError: it failed, or lost frames.
    """
    command = [sys.executable, str(LOOPS), name, str(clip), str(target), str(model)]
    target.unlink(missing_ok=True)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        begin_s = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - begin_s
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        told, errors = out.read().strip().splitlines(), err.read().strip().splitlines()
    if process.returncode or not told:
        raise PeerError(f"ended with {process.returncode}: {(errors or ['it said nothing'])[-1]}")
    found: Mapping[str, float] = json.loads(told[-1])
    if found["frames"] != frames:
        raise PeerError(f"translated {found['frames']} frames of {frames}")
    cpu_s = usage.ru_utime + usage.ru_stime
    rss_mb = usage.ru_maxrss / 1024
    return Turn(frames / wall_s, wall_s, cpu_s, rss_mb, found["p50_ms"], found["p95_ms"])


def _installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def skipped() -> dict[str, str]:
    """Peers that cannot run here, and why."""
    found = {}
    for name, needs in NEEDS.items():
        missing = [one for one in needs if not _installed(one)]
        if missing:
            found[name] = f"{', '.join(missing)} not installed; pip install 'ladle-rt[peers]'"
            if name.startswith("vapoursynth") and sys.version_info < (3, 12):
                version = ".".join(map(str, sys.version_info[:2]))
                found[name] = f"its wheels need Python 3.12, this is {version}"
    no_gpu = why_no_gpu()
    for name in ON_A_GPU:
        found[name] = no_gpu or "not written: `ladle-rt benchmark` measures the engines of a GPU"
    return found


def summarize(turns: Mapping[str, Sequence[Turn]]) -> dict[str, Any]:
    """Spreads of every figure, and of its ratio to the naive loop in the same turn."""
    results: dict[str, Any] = {}
    for name, mine in turns.items():
        figures: dict[str, Any] = {
            figure: Spread.of([getattr(turn, figure) for turn in mine]).to_list()
            for figure in FIGURES
        }
        base = turns.get(BASE, [])
        if len(base) == len(mine):
            pairs = list(zip(mine, base, strict=True))
            figures["of_naive"] = {
                figure: Spread.of(
                    [getattr(a, figure) / getattr(b, figure) for a, b in pairs]
                ).to_list()
                for figure in FIGURES
            }
        results[name] = figures
    return results


def measure(
    names: Sequence[str], clip: Path, folder: Path, model: Path, frames: int, runs: int
) -> tuple[dict[str, list[Turn]], dict[str, str], list[float]]:
    """Turns by contender, those that failed with the reason, and how busy the machine was.

    A contender that fails once is out: its turns would not be comparable.
    """
    turns: dict[str, list[Turn]] = {name: [] for name in names}
    failed: dict[str, str] = {}
    busy: list[float] = []
    for number in range(runs):
        # Every turn begins with another one, so that nobody always follows the same neighbour.
        order = [*names[number % len(names) :], *names[: number % len(names)]]
        for name in order:
            if name in failed:
                continue
            busy.append(busy_percent())
            try:
                turns[name].append(run_turn(name, clip, folder / f"{name}.mp4", model, frames))
            except PeerError as error:
                failed[name] = str(error)
                del turns[name]
            else:
                turn = turns[name][-1]
                print(f"{number + 1}/{runs} {name}: {turn.fps:.1f} frames/s", file=sys.stderr)
    return turns, failed, busy


def main() -> None:
    """Measure, print a table, record JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=150, help="length of the synthetic drive")
    parser.add_argument("--runs", type=int, default=3, help="turns of every contender")
    parser.add_argument("--only", nargs="+", choices=list(TITLES), help="these alone")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    left_out = skipped()
    names = [name for name in given.only or TITLES if name not in left_out]
    not_asked = [name for name in TITLES if name not in names and name not in left_out]
    left_out |= dict.fromkeys(not_asked, "not asked for")
    artifact = load_artifact()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = folder / "drive.mp4"
        sample = [sys.executable, "-m", "ladle_rt", "sample", str(clip)]
        subprocess.run(
            [*sample, "--seconds", str(given.frames / 30)], check=True, timeout=TIMEOUT_S
        )
        turns, failed, busy = measure(
            names, clip, folder, artifact.onnx_path, given.frames, given.runs
        )
    results = summarize(turns)
    for name, figures in results.items():
        ratio = figures.get("of_naive", {}).get("fps", ["?"] * 3)
        print(f"{TITLES[name]:45s} {figures['fps'][1]:7} frames/s, of naive {ratio}")
    for name, reason in {**left_out, **failed}.items():
        print(f"{TITLES.get(name, name):45s} skipped: {reason}")
    if given.output:
        settings = {
            "frames": given.frames,
            "runs": given.runs,
            "model": artifact.info.name,
            "model_sha256": artifact.info.onnx_sha256,
            "git_revision": git_revision(),
            "busy_percent": busy,
            "quiet": max(busy, default=0.0) <= BUSY_PERCENT,
            "skipped": {**left_out, **failed},
        }
        write_result(given.output, "peers", settings, results)


if __name__ == "__main__":
    main()
