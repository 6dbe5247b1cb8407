"""What archives cost: workers, Ray, simulated nodes, nodes that are killed, and the driver itself.

python benchmarks/archive_scale.py --output benchmarks/results/archive_scale.json
python benchmarks/archive_scale.py --overhead --quality fast \
    --output benchmarks/results/archive_overhead.json

Needs the extra ``scale``. First 203 recordings of mixed kinds go through a cluster of two simulated
nodes that are killed in the middle, and are compared picture by picture with what undisturbed local
workers made of them, the long ones with one run of ``ladle-rt video`` too. Then one recording of
two segments of a minute goes, in turns, through ``ladle-rt video``, one and two local workers, and
one and two nodes of the cluster: as many turns as ``--minutes`` leave room for, at least one.
Ratios are taken within a turn. What an archive takes when all is done already, its start, is taken
in every turn as well, with and without Ray: it is paid once for an archive, not for each segment.
At last the driver is timed with events alone, and the requests of a segment are counted.
``--overhead``: nothing but turns, of ``video``, one local worker and one node.

The cluster idles beside those who do not use it; ``cluster_idle_cores`` says what that takes. CPU
time is that of a command and its workers. Those with Ray have none: Ray's workers end without
leaving their time to anybody.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import psutil
from archive_costs import count_requests, time_driver
from archive_killed import kill_nodes, ladle
from helpers import write_result
from simulated_nodes import add_node, simulated_cluster

REST_S = 45.0
"""Kept free for what comes after the turns."""
SEGMENT_S = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="recordings of mixed kinds")
    parser.add_argument("--seconds", type=int, default=120, help="length of the one recording")
    parser.add_argument("--turns", type=int, default=3, help="at most")
    parser.add_argument("--minutes", type=float, default=9.0, help="after which no turn begins")
    parser.add_argument("--quality", default="96x64", help="the network's box in the turns")
    parser.add_argument("--overhead", action="store_true", help="only turns, of one worker")
    parser.add_argument("--output", type=Path)
    chosen = parser.parse_args()
    end_s = time.monotonic() + chosen.minutes * 60
    load = psutil.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="archive-") as name, simulated_cluster() as cluster:
        folder = Path(name)
        for _ in range(2):
            add_node(cluster)
        results: dict[str, Any] = {}
        if not chosen.overhead:
            results["killed_nodes"] = kill_nodes(folder / "many", cluster, chosen.count)
            told("killed nodes", results["killed_nodes"])
        results["turns"] = take_turns(folder / "one", cluster, chosen, end_s)
        if not chosen.overhead:
            results["driver"] = time_driver(cluster.address)
            told("driver", results["driver"])
            results["requests"] = count_requests(folder / "requests")
    print(json.dumps(results, indent=2))
    if chosen.output is not None:
        settings = {
            **({} if chosen.overhead else {"count": chosen.count}),
            **{name: getattr(chosen, name) for name in ("seconds", "quality", "minutes")},
            "segment_s": SEGMENT_S,
            "turns": len(results["turns"]["wall_s"]["video"]),
            "load_average_before": round(load, 2),
        }
        write_result(chosen.output, "archive_scale", settings, results)
    sys.exit(0 if chosen.overhead or holds(results["killed_nodes"]) else 1)


def told(what: str, figures: Any) -> None:
    """So that a long run shows how far it is."""
    print(f"{what}: {json.dumps(figures)}", file=sys.stderr, flush=True)


def holds(killed: dict[str, Any]) -> bool:
    """Whether workers really died, and nobody could tell by the videos."""
    differences = (
        killed["largest_difference_to_undisturbed"],
        killed["largest_difference_to_single_run"],
    )
    return bool(killed["workers_lost"] and killed["every_frame_once"] and max(differences) <= 1)


def take_turns(
    folder: Path, cluster: Any, chosen: argparse.Namespace, end_s: float
) -> dict[str, Any]:
    """One recording, by one and two workers, with and without Ray."""
    folder.mkdir()
    ladle(folder, "sample", "a.mp4", "--seconds", str(chosen.seconds), "--size", "320x256")
    with av.open(str(folder / "a.mp4")) as container:
        frames = sum(1 for packet in container.demux(video=0) if packet.size)
    common = ("--threads", "1", "--quality", chosen.quality)
    archive = ("archive", "a.mp4", "out", *common, "--segment", str(SEGMENT_S))
    ray = ("--address", cluster.address, "--memory-mb", "1000")
    contenders = {
        "video": ("video", "a.mp4", "video.mp4", "--overwrite", *common),
        "local_1": (*archive, "--workers", "1"),
        # The video is there then, and the next has nothing to do.
        "local_start": (*archive, "--workers", "1"),
        "ray_1": (*archive, "--workers", "1", *ray),
        "ray_start": (*archive, "--workers", "1", *ray),
    }
    if not chosen.overhead:
        contenders["local_2"] = (*archive, "--workers", "2")
        contenders["ray_2"] = (*archive, "--workers", "2", *ray)
    wall: dict[str, list[float]] = {name: [] for name in contenders}
    cpu: dict[str, list[float]] = {name: [] for name in contenders if not name.startswith("ray")}
    idle_cpu_s = idle_wall_s = longest_s = 0.0
    sizes: dict[str, int] = {}
    for _ in range(chosen.turns):
        begun_s = time.monotonic()
        if longest_s and begun_s + longest_s + REST_S > end_s:
            break
        for name, words in contenders.items():
            if not name.endswith("start"):
                shutil.rmtree(folder / "out", ignore_errors=True)
            own_s, clusters_s = commands_cpu_s(), cluster_cpu_s(cluster)
            wall[name].append(ladle(folder, *words))
            if name in cpu:
                cpu[name].append(commands_cpu_s() - own_s)
                idle_cpu_s += cluster_cpu_s(cluster) - clusters_s
                idle_wall_s += wall[name][-1]
            told(name, {"wall_s": round(wall[name][-1], 1)})
        sizes = {
            "recording_bytes": (folder / "a.mp4").stat().st_size,
            "video_bytes": (folder / "out" / "a.mp4").stat().st_size,
        }
        longest_s = max(longest_s, time.monotonic() - begun_s)
    return {
        "frames": frames,
        **sizes,
        "wall_s": {name: [round(one, 2) for one in values] for name, values in wall.items()},
        "cpu_s": {name: [round(one, 2) for one in values] for name, values in cpu.items()},
        "wall_over_video": over_video(wall),
        "cpu_over_video": over_video(cpu),
        "wall_over_video_without_start": over_video(without_start(wall)),
        "cpu_over_video_without_start": over_video(without_start(cpu)),
        "cluster_idle_cores": round(idle_cpu_s / idle_wall_s, 3),
    }


def without_start(values: dict[str, list[float]]) -> dict[str, list[float]]:
    """What is left when what an archive takes that is done already is taken off.

    Of ``video`` the local one: it starts the same program and reads the same model.
    """
    left = {}
    for name, taken in values.items():
        if not name.endswith("start"):
            start = values["ray_start" if name.startswith("ray") else "local_start"]
            left[name] = [a - b for a, b in zip(taken, start, strict=True)]
    return left


def over_video(values: dict[str, list[float]]) -> dict[str, float]:
    """Medians of the ratios to the plain command of the same turn."""
    return {
        name: round(
            statistics.median(a / b for a, b in zip(taken, values["video"], strict=True)), 3
        )
        for name, taken in values.items()
        if name != "video" and not name.endswith("start")
    }


def commands_cpu_s() -> float:
    """CPU seconds of all commands that have ended, with their workers."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def cluster_cpu_s(cluster: Any) -> float:
    """CPU seconds of a cluster's own processes."""
    found: dict[int, psutil.Process] = {}
    # Ray's processes detach themselves, so they are looked up by its own account.
    for node in (cluster.head_node, *cluster.worker_nodes):
        for started in node.all_processes.values():
            for each in started:
                with contextlib.suppress(psutil.Error):
                    root = psutil.Process(each.process.pid)
                    found |= {one.pid: one for one in (root, *root.children(recursive=True))}
    total = 0.0
    for one in found.values():
        with contextlib.suppress(psutil.Error):
            times = one.cpu_times()
            total += times.user + times.system
    return total


if __name__ == "__main__":
    main()
