"""What archives cost: against ``ladle-rt video``, over Ray, and for many small recordings.

    python benchmarks/archive.py overhead --rounds 3 --json archive.json
    python benchmarks/archive.py many --count 200

``overhead`` translates one recording with ``ladle-rt video``, then as an archive of segments of a
minute by one local worker and by one worker of a Ray cluster that is already up; the three take
turns. Ratios are of medians, of wall time and of the CPU time of all processes, Ray's own included:
on a shared machine only the second says much.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil

KINDS = (
    ("mkv", "ffv1", "gray"),
    ("mkv", "ffv1", "gray16le"),
    ("mp4", "libx264", "yuv420p"),
    ("avi", "mjpeg", "yuvj420p"),
    ("ts", "libx264", "yuv420p"),
    ("mov", "mpeg4", "yuv420p"),
    ("webm", "libvpx", "yuv420p"),
    ("mkv", None, None),
)
"""Container, codec and pixel format; without a codec the file is damaged."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    overhead = commands.add_parser("overhead")
    overhead.add_argument("--seconds", type=int, default=120)
    overhead.add_argument("--rounds", type=int, default=3)
    overhead.add_argument("--quality", default="256x192")
    overhead.add_argument("--json", type=Path)
    many = commands.add_parser("many")
    many.add_argument("--count", type=int, default=200)
    many.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="archive-") as folder:
        if chosen.command == "many":
            measure_many(Path(folder), chosen.count, chosen.workers)
            return
        result = measure_overhead(Path(folder), chosen.seconds, chosen.rounds, chosen.quality)
    print(json.dumps(result, indent=2))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(result, indent=2) + "\n")


def ladle(folder: Path, *words: str, codes: tuple[int, ...] = (0,)) -> float:
    """Seconds that a command took."""
    begun_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "ladle_rt", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in codes:
        raise SystemExit(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return time.monotonic() - begun_s


def cpu_s(cluster: Any) -> float:
    """CPU seconds of all commands that have ended, and of a cluster with its workers."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = ended.ru_utime + ended.ru_stime
    # Ray's processes detach themselves, so they are looked up by its own account.
    for each in itertools.chain(*cluster.head_node.all_processes.values()):
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(each.process.pid)
            for one in (root, *root.children(recursive=True)):
                times = one.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total


def measure_overhead(folder: Path, seconds: int, rounds: int, quality: str) -> dict[str, Any]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    cluster.add_node(
        num_cpus=1, memory=4 << 30, object_store_memory=100 << 20, include_dashboard=False
    )
    ladle(folder, "sample", "a.mp4", "--seconds", str(seconds), "--size", "320x256")
    with av.open(str(folder / "a.mp4")) as container:
        frames = sum(1 for packet in container.demux(video=0) if packet.size)
    common = ("--threads", "1", "--quality", quality)
    archive = ("archive", "a.mp4", "out", "--workers", "1", *common)
    times: dict[str, list[float]] = {"video": [], "archive": [], "ray": []}
    cpu: dict[str, list[float]] = {"video": [], "archive": [], "ray": []}
    try:
        for number in range(rounds):
            for name, words in (
                ("video", ("video", "a.mp4", f"{number}.mp4", *common)),
                ("archive", archive),
                ("ray", (*archive, "--address", cluster.address)),
            ):
                before_s = cpu_s(cluster)
                times[name].append(ladle(folder, *words))
                cpu[name].append(cpu_s(cluster) - before_s)
                shutil.rmtree(folder / "out", ignore_errors=True)
    finally:
        cluster.shutdown()
    return {
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "frames": frames,
        "seconds_of_video": seconds,
        "segment_s": 60,
        "quality": quality,
        "wall_s": {name: [round(one, 2) for one in values] for name, values in times.items()},
        "cpu_s": {name: [round(one, 2) for one in values] for name, values in cpu.items()},
        "wall_over_video": over_video(times),
        "cpu_over_video": over_video(cpu),
    }


def over_video(values: dict[str, list[float]]) -> dict[str, float]:
    """Medians over those of the plain command."""
    middle = {name: statistics.median(one) for name, one in values.items()}
    return {name: round(middle[name] / middle["video"], 3) for name in ("archive", "ray")}


def measure_many(folder: Path, count: int, workers: int) -> None:
    for number in range(count):
        write_small(folder / "in" / f"{number % 7}" / f"{number:03d}", *KINDS[number % len(KINDS)])
    words = ("archive", "in", "out", "--workers", str(workers), "--threads", "1")
    elapsed_s = ladle(folder, *words, "--quality", "96x64", codes=(3,))
    report = json.loads((folder / "out" / ".ladle-rt" / "report.json").read_text())
    again_s = ladle(folder, *words, "--quality", "96x64", codes=(3,))
    videos = [path for path in (folder / "out").rglob("*.mp4") if path.is_file()]
    print(
        f"{count} recordings: {len(report['translated'])} translated, {len(report['failed'])} "
        f"failed, {len(videos)} videos, {sum(one['frames'] for one in report['translated'])} "
        f"frames in {elapsed_s:.1f} s; again, all skipped: {again_s:.1f} s"
    )


def write_small(stem: Path, extension: str, codec: str | None, pixels: str | None) -> None:
    stem.parent.mkdir(parents=True, exist_ok=True)
    path = stem.with_suffix(f".{extension}")
    if codec is None:
        path.write_bytes(b"\x1a\x45\xdf\xa3 and then nothing that is a recording")
        return
    rows, columns = np.mgrid[:64, :96]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixels
        for number in range(12):
            picture = 120 + 60 * np.sin((columns + number * 3) / 9) * np.cos(rows / 7)
            image = av.VideoFrame.from_ndarray(picture.astype(np.uint8), "gray")
            image.pts, image.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(image.reformat(format=pixels)))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    main()
