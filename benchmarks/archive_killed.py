"""Many recordings of mixed kinds through a cluster whose nodes are killed; see `archive_scale`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from simulated_nodes import add_node

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
LONG = 3
"""Recordings of several segments besides."""
LONG_FRAMES = 300
RATE = 25
SEGMENT_S = 2
LOSSLESS = ("--codec", "ffv1", "--quality", "96x64", "--threads", "1")
"""So that pictures can be compared as they were before they were encoded."""


def command(*words: str) -> list[str]:
    """A command of this program."""
    return [sys.executable, "-m", "ladle_rt", *words]


def ladle(folder: Path, *words: str, codes: tuple[int, ...] = (0,)) -> float:
    """Seconds that a command took."""
    begun_s = time.monotonic()
    done = subprocess.run(command(*words), cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode not in codes:
        raise SystemExit(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return time.monotonic() - begun_s


def kill_nodes(folder: Path, cluster: Any, count: int) -> dict[str, Any]:
    """Translate an archive with and without kills, and compare.

    One node is killed when the first segments of the long recordings are finished, another when a
    third of all recordings is.

    Args:
        folder: for everything.
        cluster: of two nodes of one core.
        count: recordings of mixed kinds.
    """
    for number in range(count):
        write(folder / "in" / f"{number % 7}" / f"{number:03d}", *KINDS[number % len(KINDS)])
    for number in range(LONG):
        write(folder / "in" / "long" / f"{number}", *KINDS[number], frames=LONG_FRAMES)
    broken = sum(KINDS[number % len(KINDS)][1] is None for number in range(count))
    codes = (3,) if broken else (0,)
    words = ("archive", "in", "--container", "mkv", "--segment", str(SEGMENT_S), "--workers", "2")
    words = (*words, *LOSSLESS)
    local_s = ladle(folder, *words, "local", codes=codes)
    begun_s = time.monotonic()
    kills = run_and_kill(folder, cluster, words, count, codes)
    killed_s = time.monotonic() - begun_s
    report = json.loads((folder / "killed" / ".ladle-rt" / "report.json").read_text())
    again_s = ladle(folder, *words, "killed", codes=codes)
    (folder / "one" / "long").mkdir(parents=True)
    for path in sorted((folder / "in" / "long").iterdir()):
        ladle(folder, "video", str(path), f"one/long/{path.stem}.mkv", *LOSSLESS)
    names = [one.relative_to(folder / "killed") for one in (folder / "killed").rglob("*.mkv")]
    videos = {name: times_of(folder / "killed" / name) for name in sorted(names)}
    expected = {name: LONG_FRAMES if name.parts[0] == "long" else FRAMES for name in videos}
    undisturbed = max(difference(folder / "local" / name, folder / "killed" / name)
                      for name in videos)  # fmt: skip
    single = max(difference(folder / "one" / name, folder / "killed" / name)
                 for name in videos if name.parts[0] == "long")  # fmt: skip
    return {
        "recordings": count + LONG,
        "damaged_on_purpose": broken,
        "videos": len(videos),
        "kills": kills,
        "workers_lost": len(report["workers_lost"]),
        "frames": sum(map(len, videos.values())),
        "every_frame_once": len(videos) == count + LONG - broken
        and all(len(set(times)) == len(times) == expected[name] for name, times in videos.items()),
        "largest_difference_to_undisturbed": undisturbed,
        "largest_difference_to_single_run": single,
        "local_2_workers_s": round(local_s, 1),
        "ray_2_nodes_killed_s": round(killed_s, 1),
        "again_all_skipped_s": round(again_s, 1),
    }


def run_and_kill(
    folder: Path, cluster: Any, words: tuple[str, ...], count: int, codes: tuple[int, ...]
) -> list[dict[str, int]]:
    """Run a command, kill a node twice and add another each time; how far the run was."""
    ledger = folder / "killed" / ".ladle-rt"

    def count_of(pattern: str) -> int:
        try:
            return sum(1 for _ in ledger.glob(pattern))
        except FileNotFoundError:
            # A folder that was there a moment ago; the next look counts.
            return 0

    def far() -> dict[str, int]:
        return {
            "segments_finished": count_of("cuts/*/0*.json"),
            "recordings_done": count_of("done/*.json"),
        }

    moments: tuple[Callable[[dict[str, int]], bool], ...] = (
        lambda found: found["segments_finished"] > 0,
        lambda found: found["recordings_done"] >= count // 3,
    )
    process = subprocess.Popen(
        command(*words, "killed", "--address", cluster.address, "--memory-mb", "500"),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    kills = []
    for come in moments:
        while process.poll() is None and not come(found := far()):
            time.sleep(0.05)
        if process.poll() is not None:
            break
        kills.append(found)
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        add_node(cluster)
    out, err = process.communicate()
    if process.returncode not in codes or len(kills) < len(moments):
        raise SystemExit(f"the run with killed nodes, {len(kills)} kills: {out}{err}")
    return kills


def times_of(path: Path) -> list[int | None]:
    """Of all frames of a video, decoded."""
    with av.open(str(path)) as container:
        return [frame.pts for frame in container.decode(video=0)]


def difference(first: Path, second: Path) -> int:
    """Largest of any pixel of any plane; 255 where one has more frames."""
    largest = 0
    with av.open(str(first)) as one, av.open(str(second)) as other:
        frames = one.decode(video=0), other.decode(video=0)
        for a, b in _paired(*frames):
            if a is None or b is None:
                return 255
            planes = (frame.to_ndarray().astype(np.int16) for frame in (a, b))
            largest = max(largest, int(np.abs(np.subtract(*planes)).max()))
    return largest


def _paired(first: Iterator[Any], second: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
    while True:
        pair = next(first, None), next(second, None)
        if pair == (None, None):
            return
        yield pair


def write(
    stem: Path, extension: str, codec: str | None, pixels: str | None, frames: int = FRAMES
) -> None:
    """Waves that move, and levels that drift."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    path = stem.with_suffix(f".{extension}")
    if codec is None:
        path.write_bytes(b"\x1a\x45\xdf\xa3 and then nothing that is a recording")
        return
    rows, columns = np.mgrid[:64, :96]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixels
        for number in range(frames):
            picture = 120 + 60 * np.sin((columns + number * 3) / 9) * np.cos(rows / 7)
            picture += 40 * np.sin(number / 90)
            image = av.VideoFrame.from_ndarray(picture.astype(np.uint8), "gray")
            image.pts, image.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(image.reformat(format=pixels)))
        container.mux(stream.encode(None))
