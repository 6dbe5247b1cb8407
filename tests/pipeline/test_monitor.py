from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from ladle_rt.frames import Frame
from ladle_rt.pipeline.frame_counter import FrameCounter
from ladle_rt.pipeline.machine_load import MachineLoad
from ladle_rt.pipeline.monitor import Monitor, summary
from ladle_rt.sources.base import SourceEvent


def test_state_follows_source_and_pictures() -> None:
    counter = FrameCounter()
    monitor = Monitor(counter)
    monitor.source = "camera"
    assert monitor.figures().state == "starting"
    times = counter.captured(Frame(np.zeros((2, 2), np.uint8), 0, time.monotonic_ns()))
    counter.presented(times)
    assert monitor.figures().state == "running"
    monitor.note_event(SourceEvent("lost", "camera: gone"))
    monitor.note_event(SourceEvent("retrying", "camera: no such device"))
    lost = monitor.figures()
    assert (lost.state, lost.problem) == ("lost", "camera: no such device")
    assert "no such device" in summary(lost)
    monitor.note_event(SourceEvent("back", "camera is back"))
    back = monitor.figures()
    assert (back.state, back.problem, back.reconnects) == ("running", None, 1)
    monitor.note_event(SourceEvent("changed", "now 4x4"))
    assert monitor.figures().state == "running"
    monitor.ended("disk full")
    assert (monitor.figures().state, monitor.figures().problem) == ("ended", "disk full")
    row = monitor.figures().to_dict()
    assert row["captured"] == row["presented"] == 1 and set(row["latency_ms"]) >= {"p50", "p99"}


def test_load_of_this_machine() -> None:
    values = MachineLoad().read()
    assert values["rss_mb"] > 10 and values["threads"] >= 1
    assert 0 <= values["machine_cpu_percent"] <= 100


def test_load_of_a_jetson(tmp_path: Path) -> None:
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("gpu-thermal\n")
    (zone / "temp").write_text("48500\n")
    broken = tmp_path / "sys/class/thermal/thermal_zone1"
    broken.mkdir()
    load = tmp_path / "sys/devices/gpu.0"
    load.mkdir(parents=True)
    (load / "load").write_text("731\n")
    values = MachineLoad(tmp_path).read()
    assert values["gpu_percent"] == 73.1
    assert values["temperatures_c"] == {"gpu-thermal": 48.5}


def test_load_without_a_file_to_open() -> None:
    """All are used up: figures get fewer, and the stream goes on."""
    code = """
import os, resource
from ladle_rt.pipeline.frame_counter import FrameCounter
from ladle_rt.pipeline.machine_load import MachineLoad
from ladle_rt.pipeline.monitor import Monitor
monitor, load = Monitor(FrameCounter()), MachineLoad()
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
try:
    while True:
        taken.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
load.read(), monitor.figures(), MachineLoad().read()
for one in taken:
    os.close(one)
assert "rss_mb" in load.read()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
