"""What every recorded benchmark result carries: machine, versions, command, runs."""

from __future__ import annotations

import datetime
import json
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Spread:
    """Minimum, median and maximum of one figure over runs."""

    minimum: float
    median: float
    maximum: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise at least one value."""
        return cls(min(values), statistics.median(values), max(values))

    def to_list(self) -> list[float]:
        """Minimum, median, maximum, four significant digits."""
        return [float(f"{v:.4g}") for v in (self.minimum, self.median, self.maximum)]


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


def write_result(
    path: Path, benchmark: str, settings: Mapping[str, Any], results: Mapping[str, Any]
) -> None:
    """Write one result as JSON (`benchmarks/schema.json` describes it)."""
    record = {
        "benchmark": benchmark,
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "command": " ".join(["python", *(Path(sys.argv[0]).as_posix(), *sys.argv[1:])]),
        "machine": machine(),
        "versions": versions(),
        "settings": dict(settings),
        "results": dict(results),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
