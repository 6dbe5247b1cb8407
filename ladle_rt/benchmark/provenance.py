"""What a figure rests on: machine, versions, revision, load."""

from __future__ import annotations

import contextlib
import datetime
import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import psutil

from ladle_rt.cuda.probe import cuda_devices
from ladle_rt.device import usable_cores

PACKAGES = (
    "ladle-rt",
    "numpy",
    "av",
    "onnx",
    "onnxruntime",
    "openvino",
    "cuda-bindings",
    "pycuda",
    "tensorrt",
    "tensorrt-rtx",
    "torch",
    "torch-tensorrt",
    "supervision",
)
RELEASE = "etc/nv_tegra_release"
"""Says on a Jetson which L4T is installed."""
BUSY_PERCENT = 20.0
"""Processor time that others may take before a machine no longer counts as quiet."""
SAMPLE_S = 0.3


def machine() -> dict[str, Any]:
    """Processor, cores this process may use, and operating system; no host name."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {"cpu": model, "cores": usable_cores(), "system": platform.system()}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide speed, those that are installed."""
    # OpenCV by itself: the system's is no package, and pip has two of the same module.
    found = {"python": platform.python_version(), "opencv": cv2.__version__}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_revision() -> str | None:
    """Commit of the checkout that this package lies in, ``+changes`` where files differ from it.

    Returns:
        ``None`` for an installed package, and where git is not installed.
    """
    package = Path(__file__).resolve().parents[1]
    if not (package.parent / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(package.parent), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
        return done.stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        return commit + "+changes" * bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None


def platform_facts(root: Path = Path("/")) -> dict[str, Any]:
    """What else decides about speed, as far as the platform tells: board, release, power mode.

    Args:
        root: where ``sys``, ``proc`` and ``etc`` lie.

    Returns:
        JSON-ready. ``kernel``; ``board`` and ``l4t`` of a Jetson; ``power_mode``, nvpmodel's;
        ``governor`` of the CPU's clocks; ``nvidia_driver``; ``gpus`` with their names.
    """
    facts: dict[str, Any] = {"kernel": platform.release()}
    for name, place in (
        ("board", "proc/device-tree/model"),
        ("l4t", RELEASE),
        ("governor", "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        ("nvidia_driver", "sys/module/nvidia/version"),
    ):
        with contextlib.suppress(OSError):
            text = (root / place).read_text(encoding="utf-8", errors="replace")
            facts[name] = text.strip("\0\n ").splitlines()[0].removeprefix("# ")
    mode = power_mode()
    if mode is not None:
        facts["power_mode"] = mode
    gpus = [
        {"name": gpu.name, "compute_capability": gpu.sm, "cuda": gpu.driver_version}
        for gpu in cuda_devices()
    ]
    return facts | ({"gpus": gpus} if gpus else {})


def power_mode() -> str | None:
    """Name of the mode that nvpmodel has set; ``None`` where there is no nvpmodel."""
    tool = shutil.which("nvpmodel")
    if tool is None:
        return None
    try:
        done = subprocess.run([tool, "-q"], capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"Power Mode:\s*(\S+)", done.stdout)
    return found[1] if found else None


def busy_percent() -> float:
    """Share of all processors that is busy now, measured for `SAMPLE_S` of doing nothing."""
    return float(psutil.cpu_percent(SAMPLE_S))


def provenance(command: str) -> dict[str, Any]:
    """Facts about this machine and this program, JSON-ready.

    Args:
        command: as typed.
    """
    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        "date": now.isoformat(timespec="seconds"),
        "command": command,
        "git_revision": git_revision(),
        "machine": machine(),
        "platform": platform_facts(),
        "memory_mb": round(psutil.virtual_memory().total / 2**20),
        "versions": versions(),
        "load_average": [round(value, 2) for value in psutil.getloadavg()],
    }
