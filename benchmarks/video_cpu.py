"""The whole job on a 640x512 clip: `ladle-rt video` against the naive loop and the floor.

    python benchmarks/video_cpu.py [--runs 5] [--frames 600] [--clip IN.mp4]
        [--output benchmarks/results/video_cpu.json]

Floor: CPU seconds of decoding, of the network (ONNX Runtime, one thread) and of encoding, each
alone, over the cores: what a perfect schedule without any other work would take. The contenders
are whole processes and take turns; every figure is the median over the turns, ratios are taken
within a turn. CPU seconds and peak memory are the operating system's accounting of the process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any

import av
import numpy as np
import onnxruntime

from ladle_rt.bench.record import Spread, write_result
from ladle_rt.device import usable_cores
from ladle_rt.models.artifact import load_artifact

FLOOR_NETWORK_FRAMES = 100
"""Frames the network's CPU time is measured on; the rest is proportional."""


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


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of all threads of this process while ``work`` runs."""
    start = time.process_time()
    work()
    return time.process_time() - start


def decode(clip: Path) -> list[av.VideoFrame]:
    """All frames of a clip."""
    with av.open(str(clip)) as container:
        return list(container.decode(video=0))


def encode(frames: list[av.VideoFrame], target: Path) -> None:
    """Encode frames with the settings of `ladle-rt video`."""
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", 30, options={"preset": "veryfast", "crf": "19"})
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
        for frame in frames:
            frame.pict_type = av.video.frame.PictureType.NONE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def floor(clip: Path, translated: Path, model: Path, folder: Path) -> dict[str, float]:
    """CPU seconds of each part alone, and their sum over the cores as ``wall_s``."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    thermal = np.random.default_rng(0).random((1, 1, 192, 256), dtype=np.float32)
    session.run(None, {"thermal": thermal})

    def network() -> None:
        for _ in range(FLOOR_NETWORK_FRAMES):
            session.run(None, {"thermal": thermal})

    count = len(decode(clip))
    pictures = decode(translated)
    parts = {
        "decode_s": cpu_seconds(lambda: decode(clip)),
        "network_s": cpu_seconds(network) * count / FLOOR_NETWORK_FRAMES,
        "encode_s": cpu_seconds(lambda: encode(pictures, folder / "floor.mp4")),
    }
    return {**parts, "wall_s": sum(parts.values()) / usable_cores()}


def main() -> None:
    """Measure, print a table, record JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clip", type=Path, help="default: a synthetic drive")
    parser.add_argument("--frames", type=int, default=600, help="length of the synthetic drive")
    parser.add_argument("--runs", type=int, default=5)
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
    commands = {"naive": [sys.executable, naive, str(clip), str(outputs["naive"]), str(model)]}
    engines = ["onnxruntime", *(["openvino"] if util.find_spec("openvino") else [])]
    for engine in engines:
        outputs[engine] = folder / f"{engine}.mp4"
        target = ["video", str(clip), str(outputs[engine]), "--overwrite"]
        commands[engine] = [*ladle, *target, "--backend", engine]
    costs: dict[str, list[Cost]] = {contender: [] for contender in commands}
    floors: list[dict[str, float]] = []
    for turn in range(arguments.runs):
        for contender, command in commands.items():
            costs[contender].append(run_process(command))
        floors.append(floor(clip, outputs["onnxruntime"], model, folder))
        print(f"turn {turn + 1} of {arguments.runs}", file=sys.stderr)
    results: dict[str, Any] = {
        "floor": {key: Spread.of([f[key] for f in floors]).to_list() for key in floors[0]}
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
            results[contender]["first_frame_s"] = first_frame(commands[contender], folder)
    settings = {
        "clip": clip.name,
        "frames": len(decode(clip)),
        "runs": arguments.runs,
        "model": artifact.info.name,
    }
    return results, settings


def first_frame(command: list[str], folder: Path) -> list[float]:
    """Wall seconds of the whole process for the clip's first frame alone, three times."""
    short = [*command, "--duration", "0.01"]
    return Spread.of([run_process(short).wall_s for _ in range(3)]).to_list()


if __name__ == "__main__":
    main()
