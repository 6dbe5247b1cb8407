"""What the machine is busy with, as far as it tells."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import psutil

from ladle_rt.cuda.nvml import open_nvml

JETSON_LOAD = ("sys/devices/gpu.0/load", "sys/devices/platform/gpu.0/load")
"""Per mille, on Jetson boards."""


class MachineLoad:
    """Reads load and temperatures; never raises, and leaves out what the platform hides."""

    def __init__(self, root: Path = Path("/")) -> None:
        """
        Args:
            root: where ``sys`` lies.
        """
        self._root = root
        self._process: psutil.Process | None = None
        # Even this opens files, which may be used up.
        with contextlib.suppress(psutil.Error, OSError):
            self._process = psutil.Process()
            # The first answers are since the process began, and 0.
            self._process.cpu_percent()
            psutil.cpu_percent()
        self._nvml = open_nvml()

    def read(self) -> dict[str, Any]:
        """Figures of this moment.

        Returns:
            ``cpu_percent`` (of one core, this process), ``machine_cpu_percent`` (of all cores),
            ``rss_mb``, ``threads``, ``open_files``; ``gpu_percent`` and ``temperatures_c`` by
            name where the platform tells.
        """
        values: dict[str, Any] = {}
        process = self._process
        with contextlib.suppress(psutil.Error, OSError):
            values["machine_cpu_percent"] = round(psutil.cpu_percent(), 1)
            if process is not None:
                with process.oneshot():
                    values["cpu_percent"] = round(process.cpu_percent(), 1)
                    values["rss_mb"] = round(process.memory_info().rss / 2**20, 1)
                    values["threads"] = process.num_threads()
                if hasattr(process, "num_fds"):
                    values["open_files"] = process.num_fds()
        temperatures: dict[str, float] = {}
        # Listing a folder takes a file too.
        with contextlib.suppress(OSError):
            temperatures = self._zones()
        self._read_gpu(values, temperatures)
        if temperatures:
            values["temperatures_c"] = temperatures
        return values

    def _zones(self) -> dict[str, float]:
        found = {}
        for zone in sorted((self._root / "sys/class/thermal").glob("thermal_zone*")):
            with contextlib.suppress(OSError, ValueError):
                name = (zone / "type").read_text().strip()
                found[name] = int((zone / "temp").read_text()) / 1000
        return found

    def _read_gpu(self, values: dict[str, Any], temperatures: dict[str, float]) -> None:
        for name in JETSON_LOAD:
            with contextlib.suppress(OSError, ValueError):
                values["gpu_percent"] = int((self._root / name).read_text()) / 10
                return
        if self._nvml is not None:
            library, handle = self._nvml
            with contextlib.suppress(library.NVMLError):
                values["gpu_percent"] = library.nvmlDeviceGetUtilizationRates(handle).gpu
                kind = library.NVML_TEMPERATURE_GPU
                temperatures["gpu"] = library.nvmlDeviceGetTemperature(handle, kind)
