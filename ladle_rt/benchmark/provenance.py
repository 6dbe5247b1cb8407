"""What a figure rests on: machine, versions, revision, load."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

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
