"""The whole job on a 640x512 clip: `ladle-rt video` against the naive loop and the floor.

    python benchmarks/video_cpu.py [--runs 5] [--frames 600] [--clip IN.mp4]
        [--output benchmarks/results/video_cpu.json]

Floor: CPU seconds of decoding, of the network (ONNX Runtime, one thread) and of encoding, each
alone, over the cores: what a perfect schedule without any other work would take. All work at one
network size; ``bare`` is ours without what the others do not do. The contenders are whole
processes and take turns; every figure is the median over the turns, ratios are taken within a
turn. CPU seconds and peak memory are the operating system's accounting of the process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any

from helpers import Spread, write_result

from ladle_rt.device import usable_cores
from ladle_rt.models.artifact import load_artifact


@dataclass(frozen=True, slots=True)
class Cost:
    """The operating system's account of one finished process."""

    wall_s: float
    cpu_s: float
    rss_mb: float


def run_process(command: list[str]) -> Cost:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


BARE = ("--steady", "0", "--no-shutter")
"""Switches off what neither the floor nor the naive loop does."""


def floor(clip: Path, translated: Path, model: Path, size: str) -> dict[str, float]:
    """CPU seconds of each part alone, and their sum over the cores as ``wall_s``."""
    script = str(Path(__file__).with_name("floor_cpu.py"))
    command = [sys.executable, script, str(clip), str(translated), str(model), size]
    parts: dict[str, float] = json.loads(subprocess.check_output(command))
    seconds = [value for key, value in parts.items() if key.endswith("_s")]
    return {**parts, "wall_s": sum(seconds) / usable_cores()}


def main() -> None:
    """Measure, print a table, record JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clip", type=Path, help="default: a synthetic drive")
    parser.add_argument("--frames", type=int, default=600, help="length of the synthetic drive")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--size", default="384x288", help="WIDTHxHEIGHT of the network")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results, settings = measure(arguments, folder)
    for contender, figures in results.items():
        print(contender, figures)
    if arguments.output:
        write_result(arguments.output, "video_cpu", settings, results)


def measure(arguments: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Results by contender, and the settings they were taken with."""
    ladle = [sys.executable, "-m", "ladle_rt"]
    clip = arguments.clip or folder / "drive.mp4"
    if not arguments.clip:
        seconds = str(arguments.frames / 30)
        run_process([*ladle, "sample", str(clip), "--seconds", seconds])
    artifact = load_artifact()
    model = artifact.onnx_path
    naive = str(Path(__file__).with_name("naive_loop.py"))
    outputs = {"naive": folder / "naive.mp4"}
    size = arguments.size
    job = [str(clip), str(outputs["naive"]), str(model), size]
    commands = {"naive": [sys.executable, naive, *job]}
    engines = ["onnxruntime", *(["openvino"] if util.find_spec("openvino") else [])]
    for engine in engines:
        for name, extras in ((engine, ()), (f"{engine}, bare", BARE)):
            outputs[name] = folder / f"{name}.mp4"
            target = ["video", str(clip), str(outputs[name]), "--overwrite", "--size", size]
            commands[name] = [*ladle, *target, "--backend", engine, *extras]
    costs: dict[str, list[Cost]] = {contender: [] for contender in commands}
    floors: list[dict[str, float]] = []
    for turn in range(arguments.runs):
        for contender, command in commands.items():
            costs[contender].append(run_process(command))
        floors.append(floor(clip, outputs["onnxruntime"], model, size))
        print(f"turn {turn + 1} of {arguments.runs}", file=sys.stderr)
    timed = [key for key in floors[0] if key.endswith("_s")]
    results: dict[str, Any] = {
        "floor": {key: Spread.of([f[key] for f in floors]).to_list() for key in timed}
    }
    for contender, runs in costs.items():
        walls = [cost.wall_s for cost in runs]
        against_naive = [a / b.wall_s for a, b in zip(walls, costs["naive"], strict=True)]
        against_floor = [a / f["wall_s"] for a, f in zip(walls, floors, strict=True)]
        results[contender] = {
            "wall_s": Spread.of(walls).to_list(),
            "cpu_s": Spread.of([cost.cpu_s for cost in runs]).to_list(),
            "peak_rss_mb": Spread.of([cost.rss_mb for cost in runs]).to_list(),
            "wall_over_naive": Spread.of(against_naive).to_list(),
            "wall_over_floor": Spread.of(against_floor).to_list(),
        }
        if contender in engines:
            results[contender]["first_frame_s"] = first_frame(commands[contender])
    settings = {
        "clip": clip.name,
        "frames": int(floors[0]["frames"]),
        "runs": arguments.runs,
        "size": size,
        "model": artifact.info.name,
    }
    return results, settings


def first_frame(command: list[str]) -> list[float]:
    """Wall seconds of the whole process for the clip's first frame alone, three times."""
    short = [*command, "--duration", "0.01"]
    return Spread.of([run_process(short).wall_s for _ in range(3)]).to_list()


if __name__ == "__main__":
    main()
