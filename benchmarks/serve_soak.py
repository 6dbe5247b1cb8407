"""Eight cameras on one machine: do their accounts add up, and does one that dies disturb another?

python benchmarks/serve_soak.py --minutes 10 --clips DIR --output results.json --pictures FOLDER

Seven cameras play clips at their own pace, in loops; the eighth comes over UDP from an FFmpeg that
is killed after a third of the time and started again at half. ``--clips`` is a folder of thermal
videos; without it, synthetic drives are made. ``--pictures`` keeps the page with all cameras as a
browser shows it, while the eighth is away and at the end; that time is not measured. Latency is
that of the time before the kill, counts are those of the whole run.
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from headless_browser import BROWSER, DRIVER, chromium
from helpers import free_port, write_result

from ladle_rt.config import TranslateOptions
from ladle_rt.frame_stats import FrameStats
from ladle_rt.models.artifact import DEFAULT_MODEL
from ladle_rt.pipeline.sample import write_sample
from ladle_rt.serve.serve_config import CameraConfig, EngineConfig, PageConfig, ServeConfig
from ladle_rt.serve.supervisor import Supervisor
from ladle_rt.sources.base import SourceOptions
from ladle_rt.sources.synthetic_source import DriveOptions

CAMERAS = 8
UNPLUGGED = "camera8"
PHASES = ("before", "unplugged", "after")
PICTURES_S = 60.0
"""How long the browser may take to show all cameras."""


def drive(folder: Path) -> Path:
    """A synthetic clip."""
    write_sample(folder / "drive.mp4", DriveOptions(seconds=10))
    return folder / "drive.mp4"


def send(clip: Path, port: int) -> subprocess.Popen[bytes]:
    """FFmpeg as a camera of the network: a clip in a loop, at its own pace."""
    target = f"udp://127.0.0.1:{port}?pkt_size=1316"
    command = ["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", str(clip), "-an"]
    command += ["-c:v", "mpeg2video", "-pix_fmt", "yuv420p", "-q:v", "3", "-g", "10"]
    return subprocess.Popen([*command, "-f", "mpegts", target])


def configuration(clips: list[Path], port: int, model: str) -> ServeConfig:
    """Clips in turn, and one camera of the network."""
    options = TranslateOptions(allow_colour=True, quality="fast")
    looped = SourceOptions(realtime=True, loop=True)
    cameras = [
        CameraConfig(f"camera{number}", str(clip), open=looped, options=options)
        for number, clip in enumerate(itertools.islice(itertools.cycle(clips), CAMERAS - 1), 1)
    ]
    watched = SourceOptions(timeout_s=3.0)
    cameras.append(
        CameraConfig(UNPLUGGED, f"udp://127.0.0.1:{port}", open=watched, options=options)
    )
    engine = EngineConfig(model=model)
    return ServeConfig(tuple(cameras), engine, PageConfig("127.0.0.1:0"))


def photograph(url: str, cameras: int, target: Path | None) -> None:
    """Keep the page as soon as it shows so many cameras' pictures."""
    if target is None:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shown = (
        "return [...document.querySelectorAll('.tile img')].filter((i) => i.naturalWidth).length"
    )
    with chromium() as browser:
        browser.set_window_size(1280, 960)
        browser.get(url)
        end_s = time.monotonic() + PICTURES_S
        while browser.execute_script(shown) < cameras and time.monotonic() < end_s:
            time.sleep(0.5)
        browser.save_screenshot(str(target))


def soak(clips: list[Path], model: str, seconds: float, pictures: Path | None) -> dict[str, Any]:
    """Run, unplug, plug in again, and count."""
    port = free_port(socket.SOCK_DGRAM)
    sender = send(clips[0], port)
    phases: list[tuple[dict[str, FrameStats], dict[str, FrameStats]]] = []
    process = psutil.Process()
    rss_mb: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(1.0):
            rss_mb.append(process.memory_info().rss / 2**20)

    threading.Thread(target=watch, daemon=True).start()
    began_s = time.monotonic()
    supervisor = Supervisor(configuration(clips, port, model), lambda line: None)

    def measure(phase_s: float) -> None:
        begin = supervisor.figures()
        time.sleep(phase_s)
        phases.append((begin, supervisor.figures()))

    def picture(name: str) -> Path | None:
        return None if pictures is None else pictures / f"grid-{name}.png"

    try:
        with supervisor:
            # Networks are loaded and sources open before anything is measured.
            time.sleep(min(10.0, seconds / 6))
            measure(seconds / 3)
            sender.send_signal(signal.SIGKILL)
            sender.wait()
            measure(seconds / 6)
            during = supervisor.figures()[UNPLUGGED].state
            photograph(supervisor.urls[0], CAMERAS - 1, picture("unplugged"))
            sender = send(clips[0], port)
            measure(seconds / 2)
            photograph(supervisor.urls[0], CAMERAS, picture("back"))
    finally:
        sender.kill()
        sender.wait()
        done.set()
    last = supervisor.figures()
    cameras = {name: account(name, last[name], phases) for name in last}
    others = [one for name, one in cameras.items() if name != UNPLUGGED]
    elapsed_s = time.monotonic() - began_s
    used = process.cpu_times()
    rates = [one["fps"]["before"] for one in others]
    back = phases[-1][1][UNPLUGGED].presented - phases[-1][0][UNPLUGGED].presented
    return {
        "accounts_add_up": all(one["adds_up"] for one in cameras.values()),
        "state_while_unplugged": during,
        "came_back": during == "lost" and back > 0,
        "fps_total": round(sum(one["fps"]["before"] for one in cameras.values()), 2),
        "fps_others_before_during_after": [
            round(sum(one["fps"][phase] for one in others), 2) for phase in PHASES
        ],
        "fps_others_slowest_and_fastest": [min(rates), max(rates)],
        "cores_used": round((used.user + used.system) / elapsed_s, 2),
        "load_average": psutil.getloadavg()[1],
        "rss_mb_early_and_last": [round(rss_mb[len(rss_mb) // 4], 1), round(rss_mb[-1], 1)],
        "cameras": cameras,
    }


def account(
    name: str, last: FrameStats, phases: list[tuple[dict[str, FrameStats], dict[str, FrameStats]]]
) -> dict[str, Any]:
    """One camera's frames, and its pictures a second in each phase."""
    fps = {
        phase: round(
            (end[name].presented - begin[name].presented)
            / (end[name].elapsed_s - begin[name].elapsed_s),
            2,
        )
        for phase, (begin, end) in zip(PHASES, phases, strict=True)
    }
    dropped = sum(last.dropped.values())
    # Later ones hold the outage, and the browser's part of the cores.
    latency = phases[0][1][name].latency_ms
    return {
        "captured": last.captured,
        "presented": last.presented,
        "dropped": dict(last.dropped),
        "in_flight": last.in_flight,
        "adds_up": last.captured == last.presented + dropped + last.in_flight,
        "reconnects": last.reconnects,
        "fps": fps,
        "latency_ms": {
            "p50": round(latency.p50, 1),
            "p95": round(latency.p95, 1),
            "p99": round(latency.p99, 1),
        },
    }


def to_text(results: dict[str, Any]) -> str:
    """A table of the cameras, for people."""
    lines = [
        f"{'camera':9}{'captured':>9}{'presented':>10}{'dropped':>9}{'fps':>7}"
        f"{'p50 ms':>8}{'p95 ms':>8}{'p99 ms':>8}  adds up"
    ]
    for name, one in results["cameras"].items():
        latency = one["latency_ms"]
        lines.append(
            f"{name:9}{one['captured']:9}{one['presented']:10}{sum(one['dropped'].values()):9}"
            f"{one['fps']['before']:7.2f}"
            f"{latency['p50']:8.0f}{latency['p95']:8.0f}{latency['p99']:8.0f}  {one['adds_up']}"
        )
    before, during, after = results["fps_others_before_during_after"]
    lines.append(
        f"{UNPLUGGED} {results['state_while_unplugged']} while unplugged, back: "
        f"{results['came_back']}; the others' pictures a second before, meanwhile and after: "
        f"{before:.2f}, {during:.2f}, {after:.2f}"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--pictures", type=Path, help="folder; needs chromium and chromedriver")
    options = parser.parse_args()
    if options.pictures is not None and not (BROWSER and DRIVER):
        parser.error("--pictures needs chromium and chromedriver")
    with tempfile.TemporaryDirectory() as folder:
        clips = sorted(options.clips.glob("*.mp4")) if options.clips else [drive(Path(folder))]
        results = soak(clips, options.model, options.minutes * 60, options.pictures)
    print(json.dumps(results, indent=2))
    print(to_text(results))
    if options.output is not None:
        settings = {
            "minutes": options.minutes,
            "cameras": CAMERAS,
            "clips": len(clips) if options.clips else "a synthetic drive",
            "model": options.model,
        }
        write_result(options.output, "serve_soak", settings, results)
    sys.exit(0 if results["accounts_add_up"] and results["came_back"] else 1)


if __name__ == "__main__":
    main()
