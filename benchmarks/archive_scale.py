"""What archives cost: workers, Ray, simulated nodes, a node that is killed, and the driver itself.

python benchmarks/archive_scale.py --output benchmarks/results/archive_scale.json

Needs the extra ``scale``. First 200 recordings of mixed kinds go through a cluster of two simulated
nodes, one of which is killed in the middle, and are compared picture by picture with what two
undisturbed local workers made of them. Then one recording of two segments of a minute goes, in
turns, through ``ladle-rt video``, one and two local workers, and one and two nodes of the cluster:
as many turns as ``--minutes`` leave room for, at least one. Ratios are taken within a turn. At last
the driver is timed with events alone, and the requests of a segment are counted. On a shared
machine only CPU time says much, that of all processes together, Ray's own included.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
from helpers import write_result

from ladle_rt.archive.archive_driver import translate_archive
from ladle_rt.archive.archive_report import Report
from ladle_rt.archive.archive_storage import FolderStore
from ladle_rt.archive.plan import Archive, find_recordings
from ladle_rt.archive.shipped_model import ShippedModel, pack
from ladle_rt.archive.tasks import Event, Finished, Progress, Task
from ladle_rt.archive.work import work
from ladle_rt.config import TranslateOptions
from ladle_rt.models.artifact import DEFAULT_MODEL, load_artifact

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
FRAMES = 12
"""Of each of the many recordings."""
NODE = {"memory": 4 << 30, "object_store_memory": 100 << 20, "include_dashboard": False}
"""Simulated nodes share the machine's memory; what each has is only said."""
EVENTS = 2000
REST_S = 30.0
"""Kept free for what comes after the turns."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="recordings of mixed kinds")
    parser.add_argument("--seconds", type=int, default=120, help="length of the one recording")
    parser.add_argument("--turns", type=int, default=3, help="at most")
    parser.add_argument("--minutes", type=float, default=9.0, help="after which no turn begins")
    parser.add_argument("--quality", default="96x64", help="the network's box in the turns")
    parser.add_argument("--output", type=Path)
    chosen = parser.parse_args()
    end_s = time.monotonic() + chosen.minutes * 60
    with tempfile.TemporaryDirectory(prefix="archive-") as name, two_nodes() as cluster:
        folder = Path(name)
        results = {"killed_node": kill_a_node(folder / "many", cluster, chosen.count)}
        results["turns"] = take_turns(folder / "one", cluster, chosen, end_s)
        results["driver"] = time_driver(cluster.address)
        results["requests"] = count_requests(folder / "requests")
    print(json.dumps(results, indent=2))
    if chosen.output is not None:
        settings = {
            **{name: getattr(chosen, name) for name in ("count", "seconds", "quality", "minutes")},
            "segment_s": 60,
            "turns": len(results["turns"]["wall_s"]["video"]),
        }
        write_result(chosen.output, "archive_scale", settings, results)
    killed = results["killed_node"]
    sys.exit(0 if killed["same_pictures"] and killed["every_frame_once"] else 1)


@contextlib.contextmanager
def two_nodes() -> Iterator[Any]:
    """A cluster of two nodes of one core each, and a head that only directs."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    try:
        for cores in (0, 1, 1):
            cluster.add_node(num_cpus=cores, **NODE)
        yield cluster
    finally:
        cluster.shutdown()


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "ladle_rt", *words]


def ladle(folder: Path, *words: str, codes: tuple[int, ...] = (0,)) -> float:
    """Seconds that a command took."""
    begun_s = time.monotonic()
    done = subprocess.run(command(*words), cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode not in codes:
        raise SystemExit(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return time.monotonic() - begun_s


# Many recordings, and a node that dies -----------------------------------------------------------


def kill_a_node(folder: Path, cluster: Any, count: int) -> dict[str, Any]:
    for number in range(count):
        write_small(folder / "in" / f"{number % 7}" / f"{number:03d}", *KINDS[number % len(KINDS)])
    broken = sum(KINDS[number % len(KINDS)][1] is None for number in range(count))
    codes = (3,) if broken else (0,)
    words = ("archive", "in", "--threads", "1", "--workers", "2", "--quality", "96x64")
    local_s = ladle(folder, *words, "local", codes=codes)
    begun_s = time.monotonic()
    ended, killed_at = run_and_kill(folder, cluster, (*words, "killed"), count)
    if ended.returncode not in codes:
        raise SystemExit(f"the run with a killed node: {ended.stdout}{ended.stderr}")
    killed_s = time.monotonic() - begun_s
    report = json.loads((folder / "killed" / ".ladle-rt" / "report.json").read_text())
    again_s = ladle(folder, *words, "killed", codes=codes)
    made = {name: pictures(folder / name) for name in ("local", "killed")}
    return {
        "recordings": count,
        "damaged_on_purpose": broken,
        "videos": len(made["killed"]),
        "killed_when_done": killed_at,
        "workers_lost": len(report["workers_lost"]),
        "frames": sum(frames for frames, _ in made["killed"].values()),
        "every_frame_once": len(made["killed"]) == count - broken
        and all(frames == FRAMES for frames, _ in made["killed"].values()),
        "same_pictures": made["killed"] == made["local"],
        "local_2_workers_s": round(local_s, 1),
        "ray_2_nodes_one_killed_s": round(killed_s, 1),
        "again_all_skipped_s": round(again_s, 1),
    }


def run_and_kill(
    folder: Path, cluster: Any, words: tuple[str, ...], count: int
) -> tuple[subprocess.CompletedProcess[str], int]:
    """Run a command, kill a node when a third of the recordings is done, and add another."""
    doomed = next(iter(cluster.worker_nodes))
    done = folder / "killed" / ".ladle-rt" / "done"
    process = subprocess.Popen(
        command(*words, "--address", cluster.address, "--memory-mb", "500"),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and len(list(done.glob("*.json"))) < count // 3:
        time.sleep(0.05)
    killed_at = len(list(done.glob("*.json")))
    running = process.poll() is None
    cluster.remove_node(doomed, allow_graceful=False)
    cluster.add_node(num_cpus=1, **NODE)
    out, err = process.communicate()
    if not running:
        raise SystemExit(f"nothing was left to kill a node for: {out}{err}")
    return subprocess.CompletedProcess(process.args, process.returncode, out, err), killed_at


def pictures(folder: Path) -> dict[str, tuple[int, str]]:
    """Frames of every video, and a hash over their decoded pixels."""
    found = {}
    for path in sorted(folder.rglob("*.mp4")):
        hashed, count = hashlib.sha256(), 0
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                hashed.update(frame.to_ndarray().tobytes())
                count += 1
        found[path.relative_to(folder).as_posix()] = (count, hashed.hexdigest())
    return found


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
        for number in range(FRAMES):
            picture = 120 + 60 * np.sin((columns + number * 3) / 9) * np.cos(rows / 7)
            image = av.VideoFrame.from_ndarray(picture.astype(np.uint8), "gray")
            image.pts, image.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(image.reformat(format=pixels)))
        container.mux(stream.encode(None))


# One recording, by one and two workers, with and without Ray -------------------------------------


def take_turns(
    folder: Path, cluster: Any, chosen: argparse.Namespace, end_s: float
) -> dict[str, Any]:
    folder.mkdir()
    ladle(folder, "sample", "a.mp4", "--seconds", str(chosen.seconds), "--size", "320x256")
    with av.open(str(folder / "a.mp4")) as container:
        frames = sum(1 for packet in container.demux(video=0) if packet.size)
    common = ("--threads", "1", "--quality", chosen.quality)
    archive = ("archive", "a.mp4", "out", *common)
    ray = ("--address", cluster.address, "--memory-mb", "1000")
    contenders = {
        "video": ("video", "a.mp4", "video.mp4", "--overwrite", *common),
        "local_1": (*archive, "--workers", "1"),
        "ray_1": (*archive, "--workers", "1", *ray),
        "local_2": (*archive, "--workers", "2"),
        "ray_2": (*archive, "--workers", "2", *ray),
    }
    wall: dict[str, list[float]] = {name: [] for name in contenders}
    cpu: dict[str, list[float]] = {name: [] for name in contenders}
    longest_s = 0.0
    for _ in range(chosen.turns):
        begun_s = time.monotonic()
        if longest_s and begun_s + longest_s + REST_S > end_s:
            break
        for name, words in contenders.items():
            before_s = cpu_s(cluster)
            wall[name].append(ladle(folder, *words))
            cpu[name].append(cpu_s(cluster) - before_s)
            shutil.rmtree(folder / "out", ignore_errors=True)
        longest_s = max(longest_s, time.monotonic() - begun_s)
    return {
        "frames": frames,
        "wall_s": {name: [round(one, 2) for one in values] for name, values in wall.items()},
        "cpu_s": {name: [round(one, 2) for one in values] for name, values in cpu.items()},
        "wall_over_video": within_turns(wall),
        "cpu_over_video": within_turns(cpu),
    }


def within_turns(values: dict[str, list[float]]) -> dict[str, float]:
    """Medians of the ratios to the plain command of the same turn."""
    return {
        name: round(
            statistics.median(a / b for a, b in zip(taken, values["video"], strict=True)), 3
        )
        for name, taken in values.items()
        if name != "video"
    }


def cpu_s(cluster: Any) -> float:
    """CPU seconds of all commands that have ended, and of a cluster with its workers."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = ended.ru_utime + ended.ru_stime
    # Ray's processes detach themselves, so they are looked up by its own account.
    for node in (cluster.head_node, *cluster.worker_nodes):
        for started in node.all_processes.values():
            for each in started:
                with contextlib.suppress(psutil.Error):
                    root = psutil.Process(each.process.pid)
                    for one in (root, *root.children(recursive=True)):
                        times = one.cpu_times()
                        total += times.user + times.system
                        total += times.children_user + times.children_system
    return total


# What a segment costs those who are not workers --------------------------------------------------


def time_driver(address: str) -> dict[str, float]:
    """CPU and wall time of this process for each event that comes through Ray."""
    from ladle_rt.archive.ray_workers import RayWorkers

    def chatter() -> Callable[..., Iterable[Event]]:
        # A function within a function travels with its code.
        def chat(task: Task, model: ShippedModel) -> Iterator[Event]:
            for _ in range(EVENTS):
                yield Progress(1)
            yield Finished()

        return chat

    model = pack(load_artifact(DEFAULT_MODEL))
    with contextlib.closing(RayWorkers(address, model, 2, 1, memory_mb=500)) as workers:
        options = {"num_cpus": 1, "max_retries": 0, "num_returns": "streaming"}
        workers._remote = workers._ray.remote(**options)(chatter())
        # Processes are started by the first.
        hear(workers, 2)
        cpu_before_s, begun_s = time.process_time(), time.monotonic()
        heard = hear(workers, 2)
        cpu_of_all_s, took_s = time.process_time() - cpu_before_s, time.monotonic() - begun_s
    return {
        "events": heard,
        "cpu_ms_per_event": round(1000 * cpu_of_all_s / heard, 4),
        "events_per_s": round(heard / took_s, 1),
    }


def hear(workers: Any, tasks: int) -> int:
    heard = 0
    for ticket in range(tasks):
        workers.submit(ticket, None)
    while workers._running:
        heard += len(workers.poll(0.2))
    return heard


class Inline:
    """`Workers` within this process, where requests can be counted."""

    count = threads = 1

    def __init__(self, model: ShippedModel) -> None:
        self._model = model
        self._given: list[tuple[int, Task]] = []

    def has_room(self) -> bool:
        return not self._given

    def submit(self, ticket: int, task: Task) -> None:
        self._given.append((ticket, task))

    def poll(self, timeout_s: float) -> list[tuple[int, Event]]:
        ticket, task = self._given.pop()
        return [(ticket, event) for event in work(task, self._model)]

    def close(self) -> None:
        self._given.clear()


def count_requests(folder: Path) -> dict[str, dict[str, float]]:
    """Calls of the store for each segment and for each recording besides, by what they ask."""
    counts = {seconds: requests_of(folder, seconds) for seconds in (8, 16)}
    # Segments of two seconds: four, and four more.
    asked = sorted(counts[16])
    each = {name: (counts[16][name] - counts[8][name]) / 4 for name in asked}
    besides = {name: counts[8][name] - 4 * each[name] for name in asked}
    return {"per_segment": each, "per_recording": besides}


def requests_of(folder: Path, seconds: int) -> Counter[str]:
    place = folder / str(seconds)
    place.mkdir(parents=True)
    ladle(place, "sample", "a.mp4", "--seconds", str(seconds), "--size", "96x64")
    counts: Counter[str] = Counter()
    names = ("find", "names", "read", "fetch", "put", "write", "remove")
    real = {name: getattr(FolderStore, name) for name in names}

    def counted(name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            counts[name] += 1
            return real[name](*arguments)

        return call

    model = pack(load_artifact(DEFAULT_MODEL))
    options = TranslateOptions(size=(64, 96), threads=1)
    archive = Archive(str(place / "out"), model.sha256, options, segment_s=2)
    recordings, _ = find_recordings((str(place / "a.mp4"),), archive.target, "mp4")
    try:
        for name in names:
            setattr(FolderStore, name, counted(name))
        translate_archive(archive, recordings, Inline(model), Report(archive, 1))
    finally:
        for name in names:
            setattr(FolderStore, name, real[name])
    return counts


if __name__ == "__main__":
    main()
