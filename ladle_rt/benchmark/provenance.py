"""What a figure rests on: machine, versions, revision, load."""

from __future__ import annotations

import datetime
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from ladle_rt.device import usable_cores

PACKAGES = (
    "ladle-rt",
    "numpy",
    "opencv-python",
    "av",
    "onnx",
    "onnxruntime",
    "openvino",
    "tensorrt-rtx",
    "torch",
)
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
    found = {"python": platform.python_version()}
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
        "memory_mb": round(psutil.virtual_memory().total / 2**20),
        "versions": versions(),
        "load_average": [round(value, 2) for value in psutil.getloadavg()],
    }
